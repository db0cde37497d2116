#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make bench: what the agent costs, beside a bare fork and exec measured in the same run.

On a busy machine look at the ratios and at the CPU times: the base waits as we do.
Nothing here passes or fails by a figure: it prints a table. Options by environment:
BENCH_DIR=DIR      where the state lies (a real file system; /var/tmp)
BENCH_COUNT=N      commands one after another (100)
BENCH_BATCH=N      commands queued at once (200)
BENCH_CRASHES=N    steps of a plugin that leaks and crashes, beside commands of others (1000)
BENCH_INSTALL=no   leave out the installed size
BENCH_KEEP=1       keep the folder
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

SRC, BUILD = os.environ["top_srcdir"], os.environ["top_builddir"]
FLAGS = os.environ.get("BENCH_FLAGS", "")
COUNT = int(os.environ.get("BENCH_COUNT", "100"))
BATCH = int(os.environ.get("BENCH_BATCH", "200"))
CRASHES = int(os.environ.get("BENCH_CRASHES", "1000"))
STARTS = 10
MIB = 1 << 20
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
    def __init__(self, work):
        self.root = work + "/sandbox"
        self.log = open(work + "/sandbox.log", "w")
        self.proc = subprocess.Popen(
            [BUILD + "/ssm-sandbox", "--no-state", "--root", self.root, "--builtin-documents",
             SRC + "/sdk/sandbox/documents"], stdout=self.log, stderr=self.log,
            env=clean_environment())
        ready = self.root + "/ready.json"
        for _ in range(400):
            if read(ready):
                break
            time.sleep(0.05)
        else:
            die("the sandbox does not start; see " + self.log.name)
        said = json.loads(read(ready))
        self.endpoint = said["endpoint"]

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
    def __init__(self, work, sandbox):
        self.work, self.sandbox = work, sandbox
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
             "-o", "Log.Target=stderr", "-o", "Log.Level=info"],
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


# ---------------------------------------------------------------- the figures

def base_spawn():
    text = subprocess.run([BUILD + "/tests/bench/base", "spawn", "300"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    return [int(v) / 1000.0 for v in text.split()]


def base_memory(sandbox):
    p = subprocess.Popen([BUILD + "/tests/bench/base", "curl",
                          sandbox.endpoint + "/latest/meta-data/"], env=clean_environment(),
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    p.stdout.readline()
    out = memory([p.pid])
    p.stdin.close()
    p.wait()
    return out


def bench_life(agent, base):
    fresh = agent.start()
    time.sleep(0.5)
    stops, starts = [agent.stop()], []
    for _ in range(STARTS):
        starts.append(agent.start())
        time.sleep(0.2)
        stops.append(agent.stop())
    row("start -> first poll, fresh", "%.1f ms" % fresh, "%.1f" % (fresh / base))
    row("start -> first poll, warm", "%.1f ms" % rank(starts, 50),
        "%.1f" % (rank(starts, 50) / base))
    row("stop", "%.1f ms" % rank(stops, 50), "%.1f" % (rank(stops, 50) / base))


def bench_idle(agent, base):
    time.sleep(3)
    pids = tree(agent.pid)
    before = switches(pids)
    time.sleep(10)
    wakes = switches(pids) - before
    private, pss = memory(pids)
    row("idle, private", "%.2f MB" % (private / 1e6), "%.2f" % (private / base[0]))
    row("idle, PSS", "%.2f MB" % (pss / 1e6), "%.2f" % (pss / base[1]))
    row("wake-ups in 10 s idle", "%d" % wakes)


def is_service(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return b"--service" in f.read().split(b"\0")
    except OSError:
        return False


def settle(agent):
    """Until no host of a command is left and what was written in passing is on its way. Those of
    services stay."""
    while [pid for pid in children(agent.pid) if not is_service(pid)]:
        time.sleep(0.02)
    time.sleep(0.3)


def one_by_one(agent, count):
    timings = []
    for _ in range(count):
        timings += agent.sandbox.run("echo hello")["invocations"]
    settle(agent)
    return timings


def bench_one_by_one(agent, base):
    state = agent.work + "/root"
    one_by_one(agent, 5)
    os.sync()
    before = written(agent.pid), files_below(state), device_written(state), cpu_ms(agent.pid)
    timings = one_by_one(agent, COUNT)
    os.sync()
    after = written(agent.pid), files_below(state), device_written(state), cpu_ms(agent.pid)
    for name, stage in (("delivery", "delivered_us"), ("queueing", "queued_us")):
        took = [(t["final_us"] - t[stage]) / 1000.0 for t in timings]
        for p in (50, 99):
            row("%s -> final reply, p%d" % (name, p), "%.2f ms" % rank(took, p),
                "%.1f" % (rank(took, p) / base[0]))
    cpu = (after[3] - before[3]) / COUNT
    row("CPU per command", "%.1f ms" % cpu, "%.1f" % (cpu / base[2]))
    row("written per command", "%.1f KB" % ((after[0] - before[0]) / 1e3 / COUNT))
    if before[2] is not None:
        row("written per command, device", "%.1f KB" % ((after[2] - before[2]) / 1e3 / COUNT))
    row("files kept per command", "%.2f" % ((after[1] - before[1]) / COUNT))


def peak_pss(agent, done):
    """The most that agent and hosts had together; the scripts' shells are not counted."""
    peak = 0
    while not done():
        peak = max(peak, memory(filter(is_ours, tree(agent.pid)))[1])
        time.sleep(0.02)
    return peak


def bench_batch(agent, base):
    settle(agent)
    took = agent.sandbox.run("echo hello", BATCH)["span_us"] / 1e6
    row("%d at once" % BATCH, "%.2f s" % took, "%.0f" % (took * 1000 / base), "at once")
    settle(agent)
    # Looking costs time, so memory is looked at in a second round.
    ids = agent.sandbox.ask("queue", count=BATCH, parameters={"commands": ["echo hello"]})
    last = ids["commands"][-1]
    peak = peak_pss(agent, lambda: agent.sandbox.ask(
        "invocation", command=last).get("status", "Success") not in
        ("Pending", "InProgress", "Delayed"))
    agent.sandbox.ask("wait", commands=ids["commands"], timeout_ms=120000)
    row("%d at once, peak PSS" % BATCH, "%.1f MB" % (peak / 1e6), "", "at once, peak PSS")


def bench_output(agent, base):
    script = "head -c %d /dev/zero | tr '\\0' x" % (20 * MIB)
    settle(agent)
    took = []
    for _ in range(3):
        t = agent.sandbox.run(script)["invocations"][0]
        took.append((t["final_us"] - t["delivered_us"]) / 1e6)
        settle(agent)
    row("20 MiB of output", "%.2f s" % rank(took, 50), "%.0f" % (rank(took, 50) * 1000 / base))


CRASH = {"schemaVersion": "2.2",
         "mainSteps": [{"action": "zoo:crash", "name": "a", "inputs": {}}]}
LIKE_CRASH = {"schemaVersion": "2.2",
              "mainSteps": [{"action": "probe:spawn", "name": "a", "inputs": {"sh": "true"}}]}


def beside(agent, content, count, status):
    """p50 of commands that are run one by one while COUNT commands of another kind are, too."""
    left = [count]

    def others():
        while left[0] > 0:
            answer = agent.sandbox.ask("queue", content=content, wait_ms=120000)
            if answer["statuses"] != {status: 1}:
                die("a step that was to end %s: %s" % (status, answer["statuses"]))
            left[0] -= 1

    thread = threading.Thread(target=others)
    timings = []
    thread.start()
    while thread.is_alive():
        timings += agent.sandbox.run("echo hello")["invocations"]
    thread.join()
    if left[0] > 0:
        die("not all of the other commands were run")
    settle(agent)
    return rank([(t["final_us"] - t["delivered_us"]) / 1000.0 for t in timings], 50)


def bench_hostile(agent, base):
    settle(agent)
    add_plugin(agent.work, "tests/zoo/.libs/crash.so")
    add_plugin(agent.work, "tests/zoo/.libs/probe.so")
    quiet = beside(agent, LIKE_CRASH, min(CRASHES, 100), "Success")
    before = memory([agent.pid])[0]
    p50 = beside(agent, CRASH, CRASHES, "Failed")
    row("beside as many that succeed, p50", "%.2f ms" % quiet, "%.1f" % (quiet / base))
    row("beside those that crash, p50", "%.2f ms" % p50, "%.1f" % (p50 / base))
    row("agent's growth by crashes, private", "%.2f MB" % ((memory([agent.pid])[0] - before) / 1e6))


def size_of(path):
    return sum(os.lstat(os.path.join(where, f)).st_size
               for where, _, files in os.walk(path) for f in files)


def bench_installed(work):
    where = work + "/installed"
    subprocess.run(["make", "-s", "-C", BUILD, "install-strip", "DESTDIR=" + where,
                    "MAKEFLAGS="], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    everything = size_of(where)
    apart = 0
    for folder, _, files in os.walk(where):
        for f in files:
            path = os.path.join(folder, f)
            if re.search(r"/include/|pkgconfig|aclocal|sandbox|/documents/|/doc/|template|\.la$",
                         path[len(where):]):
                apart += os.lstat(path).st_size
    row("installed, agent", "%.2f MB" % ((everything - apart) / 1e6))
    row("installed, with SDK and sandbox", "%.2f MB" % (everything / 1e6))


# ------------------------------------------------------------------ the table

def print_table(kind, spawn, curl):
    print("\nssm-agent bench: state on %s, %d CPUs, load %.1f; %d commands one by one"
          % (kind, os.cpu_count(), os.getloadavg()[0], COUNT))
    print("base: bare fork+exec of sh -c true p50 %.2f ms, p99 %.2f ms, "
          "CPU %.2f ms;\n      "
          "bare libcurl process %.2f MB private, %.2f MB PSS\n"
          % (spawn[0], spawn[1], spawn[2], curl[0] / 1e6, curl[1] / 1e6))
    form = "%-34s %12s %9s %9s %15s"
    print(form % ("figure", "value", "x base", "aim", "reference"))
    print(form % ("-" * 34, "-" * 12, "-" * 9, "-" * 9, "-" * 15))
    for r in rows:
        print(form % r)


def measure(work, kind):
    os.mkdir(work + "/plugins")
    os.mkdir(work + "/root")
    os.chmod(work + "/plugins", 0o755)
    add_plugin(work, "plugins/runCommand/.libs/runCommand.so")
    sandbox = Sandbox(work)
    agent = Agent(work, sandbox)
    try:
        spawn, curl = base_spawn(), base_memory(sandbox)
        bench_life(agent, spawn[0])
        agent.start()
        bench_idle(agent, curl)
        bench_one_by_one(agent, spawn)
        bench_batch(agent, spawn[0])
        bench_output(agent, spawn[0])
        bench_hostile(agent, spawn[0])
        agent.stop()
        if os.environ.get("BENCH_INSTALL") != "no":
            bench_installed(work)
    finally:
        if agent.proc and agent.proc.poll() is None:
            agent.proc.terminate()
            agent.proc.wait()
        sandbox.stop()
    print_table(kind, spawn, curl)


def main():
    check_build()
    work, kind = make_folder()
    try:
        measure(work, kind)
    finally:
        if os.environ.get("BENCH_KEEP"):
            print("kept: " + work, file=sys.stderr)
        else:
            shutil.rmtree(work, ignore_errors=True)


main()
