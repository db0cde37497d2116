#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make bench: what the agent costs, beside a bare fork and exec measured in the same run.

On a busy machine look at the ratios and at the CPU times: the base waits as we do.
Nothing here passes or fails by a figure: it prints a table. Options by environment:
BENCH_DIR=DIR      where the state lies (a real file system; /var/tmp)
BENCH_COUNT=N      commands one after another (100)
BENCH_BATCH=N      commands queued at once (200)
BENCH_BYTES=N      of each transfer of a session (67108864)
BENCH_SESSIONS=N   sessions at once (100)
BENCH_SERIES=N     sessions one after the other (1000)
BENCH_ONLY=NAME    commands or sessions alone
BENCH_CRASHES=N    steps of a plugin that leaks and crashes, beside commands of others (1000)
BENCH_INSTALL=no   leave out the installed size
BENCH_KEEP=1       keep the folder
"""
import os
import re
import shutil
import subprocess
import sys
import threading
import time

from lab import (BUILD, Agent, Sandbox, add_plugin, check_build, children, clean_environment, cpu_ms, device_written,
                 die, files_below, is_ours, make_folder, memory, rank, row, rows, switches, tree, written)
from sessions import bench_sessions

COUNT = int(os.environ.get("BENCH_COUNT", "100"))
BATCH = int(os.environ.get("BENCH_BATCH", "200"))
CRASHES = int(os.environ.get("BENCH_CRASHES", "1000"))
ONLY = os.environ.get("BENCH_ONLY", "")
STARTS = 10
MIB = 1 << 20

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


def bench_commands(work, sandbox, spawn, curl):
    agent = Agent(work, sandbox)
    try:
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


def measure(work, kind):
    os.mkdir(work + "/plugins")
    os.mkdir(work + "/root")
    os.chmod(work + "/plugins", 0o755)
    add_plugin(work, "plugins/runCommand/.libs/runCommand.so")
    sandbox = Sandbox(work)
    try:
        spawn, curl = base_spawn(), base_memory(sandbox)
        if ONLY != "sessions":
            bench_commands(work, sandbox, spawn, curl)
    finally:
        sandbox.stop()
    if ONLY != "commands":
        bench_sessions(work)
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
