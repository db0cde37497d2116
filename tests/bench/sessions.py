# SPDX-License-Identifier: Apache-2.0
"""Figures of sessions. The operator's end is tests/bench/session_load, so that neither Python nor the
aws command line is what is measured; the relay between both ends is the sandbox, one process for
all: what a transfer costs the agent alone is told per second of its host's processor time, and what it costs the
relay per second of that one's."""
import configparser
import hashlib
import os
import pwd
import socket
import subprocess
import threading
import time

from lab import BUILD, SRC, Agent, Sandbox, add_plugin, children, die, files_below, memory, rank, read, row, tree

BYTES = int(os.environ.get("BENCH_BYTES", str(64 << 20)))
AT_ONCE = int(os.environ.get("BENCH_SESSIONS", "100"))
SERIES = int(os.environ.get("BENCH_SERIES", "1000"))
STARTS = 50
KEYS = 1000
LOAD = BUILD + "/tests/bench/session_load"
SHELL = """{"schemaVersion": "1.0", "sessionType": "Standard_Stream",
 "inputs": {"runAsEnabled": %s, "runAsDefaultUser": "%s", "idleSessionTimeout": "60"}}"""


def make_certificate(work):
    """Its own authority; for 127.0.0.1."""
    cert, key = work + "/tls.crt", work + "/tls.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-subj", "/CN=sandbox", "-days", "9", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], check=True,
                   stderr=subprocess.DEVNULL)
    return cert, key


class Sessions:
    """A sandbox, an agent whose channels use SCHEME, and sessions by the service's own call."""

    def __init__(self, work, scheme):
        import botocore.session
        from botocore.config import Config
        cert, key = make_certificate(work)
        documents = work + "/documents"
        user = pwd.getpwuid(os.getuid()).pw_name
        os.mkdir(documents)
        os.mkdir(work + "/plugins")
        os.mkdir(work + "/root")
        os.makedirs(work + "/root/etc/ssm/conf.d")
        os.chmod(work + "/plugins", 0o755)
        os.chmod(work, 0o711)
        with open(documents + "/Shell.json", "w", encoding="utf-8") as f:
            f.write(SHELL % ("true" if user == "root" else "false", "nobody"))
        with open(SRC + "/conf.d/50-sessionManager.conf", encoding="utf-8") as f:
            snippet = f.read()
        with open(work + "/root/etc/ssm/conf.d/50-sessionManager.conf", "w", encoding="utf-8") as f:
            f.write(snippet)
        add_plugin(work, "plugins/sessionManager/.libs/sessionManager.so")
        self.sandbox = Sandbox(work, "--documents", documents, "--tls-cert", cert, "--tls-key", key,
                               "--no-journal")
        said = self.sandbox.said
        self.port = str(said["port"])
        mgs = "https://127.0.0.1:%d" % said["tls_port"] if scheme == "wss" else self.sandbox.endpoint
        self.agent = Agent(work, self.sandbox, "-o", "Mgs.Endpoint=" + mgs, "-o", "Net.CaFile=" + cert)
        self.agent.start()
        self.sandbox.ask("wait-node", polls=0, channels=1, timeout_ms=30000)
        keys = configparser.ConfigParser()
        keys.read(self.sandbox.root + "/aws/credentials")
        self.target = said["instance"]
        self.ssm = botocore.session.Session().create_client(
            "ssm", region_name=said["region"], endpoint_url=self.sandbox.endpoint,
            aws_access_key_id=keys["default"]["aws_access_key_id"],
            aws_secret_access_key=keys["default"]["aws_secret_access_key"],
            config=Config(retries={"max_attempts": 0}))

    def stop(self):
        if self.agent.proc and self.agent.proc.poll() is None:
            self.agent.stop()
        self.sandbox.stop()

    def start(self, document, mode, parameters=None, **pipes):
        """The client's process, and when the service had answered, in microseconds."""
        said = self.ssm.start_session(Target=self.target, DocumentName=document,
                                      Parameters=parameters or {})
        answered = time.monotonic_ns() // 1000
        path = "/" + said["StreamUrl"].split("/", 3)[3]
        client = subprocess.Popen([LOAD, self.port, path, said["TokenValue"], *mode], text=True,
                                  stdout=subprocess.PIPE, **pipes)
        return client, answered

    def run(self, document, mode, parameters=None, **pipes):
        client, answered = self.start(document, mode, parameters, **pipes)
        out = client.communicate()[0]
        if client.returncode != 0:
            die("a client of a session failed: %s" % " ".join(mode))
        return out.split(), answered

    def hosts(self):
        return [pid for pid in children(self.agent.pid)
                if b"--service" not in read_bytes("/proc/%d/cmdline" % pid)]

    def settle(self):
        for _ in range(1000):
            if not self.hosts():
                return
            time.sleep(0.02)
        die("hosts of sessions do not end")


def read_bytes(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


# ------------------------------------------------------------------- one session

def bench_prompt(lab):
    took = []
    for _ in range(STARTS):
        out, answered = lab.run("Shell", ["prompt"])
        took.append((int(out[0]) - answered) / 1000.0)
    for p in (50, 99):
        row("StartSession -> prompt, p%d" % p, "%.1f ms" % rank(took, p))


def bench_echo(lab):
    out, _ = lab.run("Shell", ["echo", str(KEYS)])
    took = [int(v) / 1000.0 for v in out]
    for p in (50, 99):
        row("echo of a key, p%d" % p, "%.2f ms" % rank(took, p))


# --------------------------------------------------------------------- transfers

class Server(threading.Thread):
    """Takes one connection: gives CONTENT, or takes as much and keeps its digest."""

    def __init__(self, content, gives):
        super().__init__()
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(1)
        self.port = str(self.socket.getsockname()[1])
        self.content, self.gives, self.took = content, gives, hashlib.sha256()
        self.start()

    def run(self):
        s, _ = self.socket.accept()
        left = len(self.content)
        if self.gives:
            s.sendall(self.content)
        while not self.gives and left:
            data = s.recv(1 << 20)
            if not data:
                break
            self.took.update(data)
            left -= len(data)
        if self.gives:
            s.recv(1)
        s.close()
        self.socket.close()


def plain_copy(content):
    """Microseconds of a copy through a connection on this machine, its digest left out."""
    server = Server(content, True)
    s = socket.create_connection(("127.0.0.1", int(server.port)))
    left, buf = len(content), bytearray(1 << 20)
    begin = time.monotonic_ns()
    while left:
        left -= s.recv_into(buf)
    took = (time.monotonic_ns() - begin) // 1000
    s.close()
    server.join()
    return took


def speed(us):
    return BYTES / 1e6 / (us / 1e6)


def cpu_of(pid):
    fields = read("/proc/%d/stat" % pid).rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000.0 / os.sysconf("SC_CLK_TCK")


class Meter:
    """Processor time of the relay and of the one host there is, which is asked until it is gone."""

    def __init__(self, lab):
        self.lab, self.host_ms, self.over = lab, 0, False
        self.relay = lab.sandbox.proc.pid
        self.relay_ms = -cpu_of(self.relay)
        self.thread = threading.Thread(target=self.look)

    def look(self):
        while not self.over:
            try:
                self.host_ms = max([self.host_ms] + [cpu_of(pid) for pid in self.lab.hosts()])
            except (OSError, IndexError):
                pass
            time.sleep(0.05)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()
        self.relay_ms += cpu_of(self.relay)


def told(name, goal, us, meter, base):
    row("%s, %d MiB" % (name, BYTES >> 20), "%.1f MB/s" % speed(us), "%.3f" % (speed(us) / base), goal)
    for who, ms in (("host", meter.host_ms), ("relay", meter.relay_ms)):
        if ms:
            row("  per second of the %s's CPU" % who, "%.1f MB/s" % speed(ms * 1000), "", "per CPU second")


def compare(what, digest, wanted):
    if digest != wanted:
        die("%s: what arrived is not what was sent" % what)


def bench_cat(lab, file, wanted, base):
    with Meter(lab) as meter:
        out, _ = lab.run("Shell", ["cat", file, str(BYTES)])
    compare("cat", out[2], wanted)
    told("cat", "cat", int(out[0]), meter, base)


def bench_pull(lab, kind, document, content, wanted, base):
    server = Server(content, True)
    with Meter(lab) as meter:
        out, _ = lab.run(document, [kind + "pull", str(BYTES)], {"portNumber": [server.port]})
    server.join()
    compare("port, from the node", out[2], wanted)
    told("port, from the node" + (", mux" if kind else ""), "port, from the node", int(out[0]), meter, base)


def bench_push(lab, kind, document, file, content, wanted, base):
    server = Server(content, False)
    with Meter(lab) as meter:
        client, _ = lab.start(document, [kind + "push", str(BYTES)], {"portNumber": [server.port]},
                              stdin=subprocess.PIPE)
        begin = time.monotonic_ns() // 1000
        with open(file, "rb") as f:
            while data := f.read(1 << 20):
                client.stdin.buffer.write(data)
        client.stdin.flush()
        server.join()
        took = time.monotonic_ns() // 1000 - begin
    client.communicate()
    compare("port, to the node", server.took.hexdigest(), wanted)
    told("port, to the node" + (", mux" if kind else ""), "port, to the node", took, meter, base)


def bench_transfers(lab, work):
    content = os.urandom(BYTES)
    file, wanted = work + "/content", hashlib.sha256(content).hexdigest()
    with open(file, "wb") as f:
        f.write(content)
    os.chmod(file, 0o644)
    base = speed(rank([plain_copy(content) for _ in range(3)], 50))
    row("a plain TCP copy", "%.0f MB/s" % base)
    bench_cat(lab, file, wanted, base)
    for kind, document in (("", "AWS-StartSSHSession"), ("mux-", "AWS-StartPortForwardingSession")):
        bench_pull(lab, kind, document, content, wanted, base)
        bench_push(lab, kind, document, file, content, wanted, base)


# ------------------------------------------------------------------ many sessions

def bench_at_once(lab):
    begin = time.monotonic()
    clients = [lab.start("Shell", ["hold"], stdin=subprocess.PIPE)[0] for _ in range(AT_ONCE)]
    for client in clients:
        if not client.stdout.readline():
            die("a session of %d at once has no prompt" % AT_ONCE)
    took = time.monotonic() - begin
    time.sleep(1)
    each = [memory([pid])[0] for pid in lab.hosts()]
    if len(each) != AT_ONCE:
        die("%d hosts for %d sessions" % (len(each), AT_ONCE))
    row("%d sessions at once, all prompts" % AT_ONCE, "%.2f s" % took, "", "sessions at once")
    row("  private of each, p50", "%.2f MB" % (rank(each, 50) / 1e6), "", "private, each")
    row("  the most", "%.2f MB" % (rank(each, 100) / 1e6), "", "private, each")
    for client in clients:
        client.stdin.close()
    for client in clients:
        client.wait()
    lab.settle()


def inventory(lab, work):
    fds = sum(len(os.listdir("/proc/%d/fd" % pid)) for pid in tree(lab.agent.pid))
    return fds, len(tree(lab.agent.pid)), files_below(work + "/root")


def bench_series(lab, work):
    for _ in range(10):
        lab.run("Shell", ["prompt"])
    lab.settle()
    time.sleep(0.5)
    before = inventory(lab, work), memory([lab.agent.pid])[0]
    begin = time.monotonic()
    for _ in range(SERIES):
        lab.run("Shell", ["prompt"])
    took = time.monotonic() - begin
    lab.settle()
    time.sleep(0.5)
    after = inventory(lab, work), memory([lab.agent.pid])[0]
    row("%d one after the other" % SERIES, "%.1f s" % took, "", "one after the other")
    for name, old, new in zip(("descriptors", "processes", "files"), before[0], after[0]):
        row("  %s left behind" % name, "%d" % (new - old), "", "left behind")
    row("  agent's growth, private", "%.2f MB" % ((after[1] - before[1]) / 1e6), "", "left behind")


def within(work, scheme, *figures):
    folder = "%s/%s" % (work, scheme)
    os.mkdir(folder)
    lab = Sessions(folder, scheme)
    try:
        for figure in figures:
            figure(lab, folder)
    finally:
        lab.stop()


def bench_sessions(work):
    os.chmod(work, 0o711)
    within(work, "ws", lambda lab, _: bench_prompt(lab), lambda lab, _: bench_echo(lab), bench_transfers, bench_series)
    within(work, "wss", lambda lab, _: bench_at_once(lab))
