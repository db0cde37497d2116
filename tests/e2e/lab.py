# SPDX-License-Identifier: Apache-2.0
"""For the sweeps: a sandbox, agents with and without the preloaded library, and what they left."""
import itertools
import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SRC, BUILD = os.environ["top_srcdir"], os.environ["top_builddir"]
PRELOAD = BUILD + "/tests/e2e/.libs/preload.so"
FINAL = ("Success", "Failed", "Cancelled", "TimedOut")

# Bits of preload.h.
EFFECT, SPACE, IO, FDS, SPAWN = 1, 2, 4, 8, 16


class Trouble(Exception):
    """The laboratory itself does not work: no result of a test."""


def clean_environment():
    keep = {k: v for k, v in os.environ.items()
            if not re.match(r"(AWS_|ECS_)|.*_proxy$", k, re.I)}
    keep.update(LC_ALL="C.UTF-8", PATH="/usr/sbin:/usr/bin:/sbin:/bin")
    return keep


def read(path):
    try:
        with open(path, errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def sanitizer_library():
    """The address sanitizer's, where it is a library (gcc): it has to come before any other."""
    out = subprocess.run(["ldd", BUILD + "/ssm-agent"], text=True, stdout=subprocess.PIPE,
                         env=clean_environment()).stdout
    found = re.search(r"=> (/\S*asan\S*)", out)
    return found.group(1) if found else None


def is_sanitized():
    with open(BUILD + "/ssm-agent", "rb") as f:
        return b"__asan_init" in f.read()


ASAN = sanitizer_library()
SLOW = 4 if is_sanitized() else 1
# Each call where that is quick, else every fourth, another one in each row.
STEP = int(os.environ.get("SSM_SWEEP_STEP", "4" if SLOW > 1 else "1"))
# How many runs without a fault say how long a life is.
UNFAULTED = 12


def plan(count, row=0):
    return list(range(1 + row % STEP if count > STEP else 1, count + 1, STEP))


def owed(measured, lives):
    """How many points of the measured life have to be met. LIVES: the lengths of lives that ended in
    order before the point they were to meet. Such a life is an unfaulted one too, so the shortest
    counts, as long as it is nearly as long as the measured one."""
    shortest = min([measured] + lives)
    return shortest if shortest * 10 >= measured * 9 else measured


def preload_setting(**words):
    text = ";".join("%s=%s" % (k.rstrip("_"), v) for k, v in words.items() if v is not None)
    return {"LD_PRELOAD": " ".join(filter(None, [ASAN, PRELOAD])), "SSM_PRELOAD": text}


def wait_for(what, seconds, check, step=0.005):
    end = time.monotonic() + seconds * SLOW
    while True:
        got = check()
        if got:
            return got
        if time.monotonic() > end:
            return None
        time.sleep(step)


class Sandbox:
    def __init__(self, work):
        os.makedirs(work)
        self.root = work + "/sandbox"
        self.log = open(work + "/sandbox.log", "w")
        self.proc = subprocess.Popen(
            [BUILD + "/ssm-sandbox", "--no-state", "--root", self.root, "--exit-with-parent",
             "--builtin-documents", SRC + "/sdk/sandbox/documents"],
            stdout=self.log, stderr=self.log, env=clean_environment())
        said = wait_for("the sandbox", 30, lambda: read(self.root + "/ready.json"), 0.02)
        if not said:
            raise Trouble("the sandbox does not start: " + read(self.log.name))
        self.endpoint = json.loads(said)["endpoint"]
        self.control = socket.socket(socket.AF_UNIX)
        self.control.connect(self.root + "/control.sock")
        self.journal_at = 0

    def ask(self, op, must=True, **args):
        self.control.sendall(json.dumps(dict(args, op=op)).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            part = self.control.recv(1 << 20)
            if not part:
                raise Trouble("the sandbox ended while it was asked for " + op)
            answer += part
        answer = json.loads(answer)
        if must and not answer.get("ok"):
            raise Trouble("%s: %s" % (op, answer.get("error", answer)))
        return answer

    def requests(self):
        """Those since the last call."""
        path = self.ask("journal")["path"]
        with open(path) as f:
            f.seek(self.journal_at)
            lines = f.readlines()
            self.journal_at = f.tell()
        return [json.loads(line) for line in lines]

    def replies(self, message):
        """Id and payload of each reply to it that was taken since the last call, in order."""
        for q in self.requests():
            request = q.get("request") or {}
            if q["operation"] == "SendReply" and request.get("MessageId") == message and \
                    q["status"] == 200:
                yield request["ReplyId"], q["payload"]

    def stop(self):
        self.proc.terminate()
        self.proc.wait()
        self.log.close()


def built_plugin(name):
    for folder in (BUILD + "/plugins", BUILD + "/plugins/" + name):
        path = "%s/.libs/%s.so" % (folder, name)
        if os.path.exists(path):
            return path
    raise Trouble("the plugin %s is not built" % name)


class Case:
    """One agent's state, and the agents that work with it one after another."""

    def __init__(self, work, sandbox, template=None):
        self.work, self.sandbox = work, sandbox
        self.dir = work + "/dir"
        self.root = work + "/root"
        self.oracle = work + "/oracle"
        self.plugins = work + "/plugins"
        self.host_wrapper = work + "/host"
        self.proc = None
        os.makedirs(self.dir)
        os.mkdir(self.plugins, 0o755)
        shutil.copy(built_plugin("runCommand"), self.plugins)
        os.chmod(self.plugins + "/runCommand.so", 0o644)
        if template:
            subprocess.run(["cp", "-a", template, self.root], check=True)
        else:
            os.mkdir(self.root, 0o700)

    def write_wrapper(self, words):
        """The host gets a clean environment, so the library is put before it here. Other hosts
        than those of jobs stay as they are."""
        env = " ".join("%s='%s'" % pair for pair in preload_setting(**words).items())
        with open(self.host_wrapper, "w") as f:
            f.write('#!/bin/sh\n[ "$1" != --job ] || export %s\nexec %s/ssm-plugin-host "$@"\n'
                    % (env, BUILD))
        os.chmod(self.host_wrapper, 0o755)

    def options(self, host):
        return ["--root=" + self.root, "-o", "Mds.Endpoint=" + self.sandbox.endpoint,
                "-o", "Ssm.Endpoint=" + self.sandbox.endpoint,
                "-o", "Paths.Plugins=" + self.plugins, "-o", "Paths.Host=" + host,
                "-o", "Log.Target=stderr", "-o", "Log.Level=debug"]

    def start(self, agent=None, host=None):
        """With these words for the library in the agent, in hosts."""
        env = dict(clean_environment(),
                   AWS_EC2_METADATA_SERVICE_ENDPOINT=self.sandbox.endpoint)
        if agent:
            env.update(preload_setting(who="agent", **agent))
        if host:
            self.write_wrapper(dict(host, who="host"))
        self.polls = self.node()["polls"]
        with open(self.work + "/agent.log", "a") as log:
            self.proc = subprocess.Popen(
                [BUILD + "/ssm-agent"] +
                self.options(self.host_wrapper if host else BUILD + "/ssm-plugin-host"),
                stdout=log, stderr=log, env=env)

    def node(self):
        return self.sandbox.ask("wait-node", must=False, polls=0, pings=0)

    def wait_poll(self, seconds=20):
        """False: it died, or does not poll."""
        return bool(wait_for("poll", seconds, lambda: not self.alive() or
                             self.node()["polls"] > self.polls)) and self.alive()

    def alive(self):
        return self.proc is not None and self.proc.poll() is None

    def stop(self, sig=signal.SIGTERM, seconds=10):
        if not self.proc:
            return None
        if self.alive():
            self.proc.send_signal(sig)
        try:
            status = self.proc.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            status = self.proc.wait()
        self.proc = None
        return status

    def queue(self, script):
        return self.sandbox.ask("queue", parameters={"commands": [script]})["commands"][0]

    def trace(self, who):
        """Of each call that counted: classes, name, what it was about."""
        lines = [line.split(" ", 2) for line in read("%s/%s.trace" % (self.dir, who)).splitlines()]
        return [(int(c), call, what.replace(self.work, "")) for c, call, what in lines]

    def injected(self, who):
        return read("%s/%s.injected" % (self.dir, who)).replace(self.work, "").strip()

    def leftovers(self, having=b""):
        """Hosts and scripts of this case that are still there; those that have this in their words or
        environment."""
        found = []
        mark = os.fsencode(self.work)
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    words = f.read()
                with open("/proc/%s/environ" % pid, "rb") as f:
                    words += f.read()
                if having in words and (
                        mark in words or
                        mark in os.fsencode(os.readlink("/proc/%s/cwd" % pid))):
                    found.append(int(pid))
            except OSError:
                pass
        return found

    def kill_leftovers(self):
        for pid in self.leftovers():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass

    def clear(self, keep=False):
        self.stop(signal.SIGKILL)
        self.kill_leftovers()
        if not keep:
            shutil.rmtree(self.work, ignore_errors=True)


class Bench:
    """Sandboxes to borrow, each by one case at a time."""

    def __init__(self, name, count):
        self.work = tempfile.mkdtemp(prefix="ssm-%s." % name,
                                     dir=os.environ.get("TMPDIR", "/tmp"))
        self.free, self.all, self.numbers = queue.Queue(), [], itertools.count(1)
        for _ in range(count):
            self.free.put(self.new_sandbox())

    def new_sandbox(self):
        sandbox = Sandbox("%s/sandbox%d" % (self.work, next(self.numbers)))
        self.all.append(sandbox)
        return sandbox

    def close(self, keep=False):
        for sandbox in self.all:
            if sandbox.proc.poll() is None:
                sandbox.stop()
        if not keep:
            shutil.rmtree(self.work, ignore_errors=True)


# ------------------------------------------------------------------- TAP

tests = 0


def say(text=""):
    print(text, flush=True)


def ok(good, name):
    global tests
    tests += 1
    say("%sok %d - %s" % ("" if good else "not ", tests, name))


def done_testing():
    say("1..%d" % tests)


def run(main):
    if STEP > 1:
        say("# a smaller plan: every call that is %d behind the one before; N counts those" % STEP)
    try:
        main()
    except Trouble as e:
        say("Bail out! %s" % str(e).replace("\n", " ")[:2000])
        sys.exit(1)
