# SPDX-License-Identifier: Apache-2.0
"""What the figures of the bench share: the table's rows, what /proc tells, a sandbox and an agent."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SRC, BUILD = os.environ["top_srcdir"], os.environ["top_builddir"]
FLAGS = os.environ.get("BENCH_FLAGS", "")
MEMORY_FS = ("tmpfs", "ramfs")

# Figure: the aim, and the reference agent on a like machine.
GOALS = {
    "start -> first poll, fresh": ("60 ms", "1,200-1,400 ms"),
    "start -> first poll, warm": ("60 ms", "1,100 ms"),
    "stop": ("200 ms", "7,050 ms"),
    "idle, private": ("4.5 MB", ""),
    "idle, PSS": ("", "46-47 MB"),
    "wake-ups in 10 s idle": ("", "130"),
    "delivery -> final reply, p50": ("4 ms", "44 ms"),
    "delivery -> final reply, p99": ("", "64 ms"),
    "queueing -> final reply, p50": ("8 ms", "2,242 ms"),
    "queueing -> final reply, p99": ("", ""),
    "CPU per command": ("", "42-59 ms"),
    "at once": ("1.5 s", "48.8 s"),
    "at once, peak PSS": ("30 MB", "252 MB"),
    "20 MiB of output": ("0.3 s", "45.2 s"),
    "written per command": ("12 KB", "50-78 KB"),
    "written per command, device": ("12 KB", "50-78 KB"),
    "files kept per command": ("3", "5"),
    "beside as many that succeed, p50": ("", ""),
    "beside those that crash, p50": ("", ""),
    "agent's growth by crashes, private": ("", ""),
    "StartSession -> prompt, p50": ("60 ms", "1,071 ms"),
    "StartSession -> prompt, p99": ("60 ms", "1,071 ms"),
    "echo of a key, p50": ("", "1.1 ms"),
    "echo of a key, p99": ("", "2.5 ms"),
    "a plain TCP copy": ("", ""),
    "cat": ("25 MB/s", "0.65 MB/s"),
    "port, from the node": ("25 MB/s", "0.65 MB/s"),
    "port, to the node": ("25 MB/s", "0.65 MB/s"),
    "per CPU second": ("", ""),
    "sessions at once": ("", ""),
    "private, each": ("2 MB", "25 MB"),
    "one after the other": ("", ""),
    "left behind": ("0", ""),
    "installed, agent": ("1.5 MB", "113 MB"),
    "installed, with SDK and sandbox": ("", ""),
}
rows = []


def die(text):
    print("bench: " + text, file=sys.stderr)
    sys.exit(1)


def row(name, value, ratio="", goal=None):
    aim, reference = GOALS[goal or name]
    rows.append((name, value, ratio, aim, reference))
    print("%-34s %12s" % (name, value), file=sys.stderr, flush=True)


def rank(values, percent):
    values = sorted(values)
    return values[max(0, -(-len(values) * percent // 100) - 1)]


# ------------------------------------------------------------- where and what

def check_build():
    if "-fsanitize" in FLAGS:
        die("this is a build with sanitizers; configure one without")
    if not re.search(r"-O[2s3]", FLAGS):
        die("this build is not optimised (%s); configure with CFLAGS='-O2'" % FLAGS.strip())


def file_system(path):
    return subprocess.run(["stat", "-f", "-c", "%T", path], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()


def make_folder():
    parent = os.environ.get("BENCH_DIR", "/var/tmp")
    kind = file_system(parent)
    if kind in MEMORY_FS:
        die("'%s' is %s, where a sync costs nothing; set BENCH_DIR to a folder on a disk"
            % (parent, kind))
    return tempfile.mkdtemp(prefix="ssm-bench.", dir=parent), kind


def clean_environment():
    keep = {k: v for k, v in os.environ.items()
            if not re.match(r"(AWS_|ECS_)|.*_proxy$", k, re.I)}
    keep["LC_ALL"] = "C.UTF-8"
    return keep


# -------------------------------------------------------------------- /proc

def read(path):
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return ""


def children(pid):
    out = []
    for tid in os.listdir("/proc/%d/task" % pid) if os.path.isdir("/proc/%d" % pid) else []:
        out += [int(p) for p in read("/proc/%d/task/%s/children" % (pid, tid)).split()]
    return out


def tree(pid):
    out = [pid]
    for child in children(pid):
        out += tree(child)
    return out


def is_ours(pid):
    return read("/proc/%d/comm" % pid).strip() in ("ssm-agent", "ssm-plugin-host")


def memory(pids):
    """Private and proportional bytes of all of them."""
    private = pss = 0
    for pid in pids:
        text = read("/proc/%d/smaps_rollup" % pid)
        for key, value in re.findall(r"^(\w+): +(\d+) kB", text, re.M):
            if key in ("Private_Clean", "Private_Dirty"):
                private += int(value) * 1024
            elif key == "Pss":
                pss += int(value) * 1024
    return private, pss


def switches(pids):
    n = 0
    for pid in pids:
        for tid in os.listdir("/proc/%d/task" % pid):
            text = read("/proc/%d/task/%s/status" % (pid, tid))
            n += sum(int(v) for v in re.findall(r"ctxt_switches:\s+(\d+)", text))
    return n


def written(pid):
    """Of the process and of all children that it has waited for, and theirs."""
    io = dict(re.findall(r"^(\w+): (\d+)", read("/proc/%d/io" % pid), re.M))
    return int(io["write_bytes"]) - int(io["cancelled_write_bytes"])


def cpu_ms(pid):
    fields = read("/proc/%d/stat" % pid).rsplit(")", 1)[1].split()
    return sum(int(v) for v in fields[11:15]) * 1000.0 / os.sysconf("SC_CLK_TCK")


def device_written(path):
    """The whole machine's writes to that device: true only where nothing else runs."""
    dev = os.stat(path).st_dev
    text = read("/sys/dev/block/%d:%d/stat" % (os.major(dev), os.minor(dev)))
    return int(text.split()[6]) * 512 if text else None


def add_plugin(work, name):
    to = work + "/plugins/" + os.path.basename(name)
    shutil.copy(BUILD + "/" + name, to + ".new")
    os.chmod(to + ".new", 0o644)
    os.rename(to + ".new", to)


# ------------------------------------------------------------ sandbox, agent

class Sandbox:
    def __init__(self, work, *options):
        self.root = work + "/sandbox"
        self.log = open(work + "/sandbox.log", "w")
        self.proc = subprocess.Popen(
            [BUILD + "/ssm-sandbox", "--no-state", "--root", self.root, "--builtin-documents",
             SRC + "/sdk/sandbox/documents", *options], stdout=self.log, stderr=self.log,
            env=clean_environment())
        ready = self.root + "/ready.json"
        for _ in range(400):
            if read(ready):
                break
            time.sleep(0.05)
        else:
            die("the sandbox does not start; see " + self.log.name)
        self.said = json.loads(read(ready))
        self.endpoint = self.said["endpoint"]

    def ask(self, op, **args):
        s = socket.socket(socket.AF_UNIX)
        s.connect(self.root + "/control.sock")
        s.sendall(json.dumps(dict(args, op=op)).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            part = s.recv(1 << 20)
            if not part:
                die("the sandbox ended while it was asked for %s" % op)
            answer += part
        s.close()
        answer = json.loads(answer)
        if not answer.get("ok"):
            die("%s: %s" % (op, answer.get("error", answer)))
        return answer

    def run(self, script, count=1, wait_ms=120000):
        answer = self.ask("queue", count=count, wait_ms=wait_ms, timings=True,
                          parameters={"commands": [script]})
        if answer["statuses"] != {"Success": count}:
            die("not every command succeeded: %s" % answer["statuses"])
        return answer

    def stop(self):
        self.proc.terminate()
        self.proc.wait()


class Agent:
    def __init__(self, work, sandbox, *options):
        self.work, self.sandbox, self.options = work, sandbox, list(options)
        self.proc = None

    def start(self):
        """Milliseconds from before the fork to the first poll."""
        env = dict(clean_environment(),
                   AWS_EC2_METADATA_SERVICE_ENDPOINT=self.sandbox.endpoint)
        log = open(self.work + "/agent.log", "a")
        polls = self.sandbox.ask("wait-node", polls=0, pings=0)["polls"] if self.proc else 0
        begin = time.monotonic()
        self.proc = subprocess.Popen(
            [BUILD + "/ssm-agent", "--root=" + self.work + "/root",
             "-o", "Mds.Endpoint=" + self.sandbox.endpoint,
             "-o", "Ssm.Endpoint=" + self.sandbox.endpoint,
             "-o", "Paths.Plugins=" + self.work + "/plugins",
             "-o", "Paths.Host=" + BUILD + "/ssm-plugin-host",
             "-o", "Log.Target=stderr", "-o", "Log.Level=info"] + self.options,
            stdout=log, stderr=log, env=env, close_fds=True)
        log.close()
        self.sandbox.ask("wait-node", polls=polls + 1, pings=0, timeout_ms=30000)
        return (time.monotonic() - begin) * 1000

    def stop(self):
        begin = time.monotonic()
        self.proc.send_signal(signal.SIGTERM)
        self.proc.wait()
        return (time.monotonic() - begin) * 1000

    @property
    def pid(self):
        return self.proc.pid


def files_below(path):
    return sum(len(files) for _, _, files in os.walk(path))
