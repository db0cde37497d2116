# SPDX-License-Identifier: Apache-2.0
"""The power is cut behind each thing that one command's life leaves on the disk or sends.

A preloaded library logs every write, rename, sync and so on below the state folder, in order, by
all processes. For every P of the unfaulted log the command is sent anew, and behind its P-th entry
agent and host die. From the log the folder is built as a disk may have kept it (see KINDS), and an
agent starts on it, with another boot id. It must end the command with one final reply within five
seconds, and never run it a second time.

SSM_CUT=WORD... runs only kinds that have one of the words; SSM_CUT_P=P only that cut.
SSM_CUT_KEEP=1 keeps the folders of cases that failed, SSM_CUT_VERBOSE=1 shows their agents' logs.
"""
import collections
import concurrent.futures
import os
import shutil
import struct
import sys
import time

import lab
from lab import FINAL, Case, Trouble, read, wait_for

WORKERS = int(os.environ.get("SSM_SWEEP_WORKERS", "3"))
WITHIN = 5  # seconds from the restart to the final reply
TRIES = 30
STATE = "/var/lib/amazon/ssm"
SCRIPT = 'echo "$SSM_COMMAND_ID" >>%s; echo out; echo err >&2'

CREATE, WRITE, SIZE, SYNC, RENAME, UNLINK, MKDIR, SEND = range(1, 9)
NAMES = ["", "create", "write", "size", "sync", "rename", "unlink", "mkdir", "send"]
HEAD = struct.Struct("<IIIIQqQ")
Entry = collections.namedtuple("Entry", "op pid ino offset path path2 data")

# What the disk may have kept of what was not synced.
KINDS = {
    "synced only": "bytes and names that were not synced are gone",
    "names only": "all names are there, bytes that were not synced are gone",
    "zeros": "all names and sizes are there, bytes that were not synced are zeros",
    "all": "everything got to the disk in time",
    "torn": "everything but the second half of the last write, unless it was synced",
}


def read_log(path):
    try:
        with open(path, "rb") as f:
            blob = f.read()
    except OSError:
        return []
    entries, at = [], 0
    while at + HEAD.size <= len(blob):
        op, n1, n2, pid, ino, offset, size = HEAD.unpack_from(blob, at)
        at += HEAD.size
        path1, path2 = blob[at:at + n1].decode(), blob[at + n1:at + n1 + n2].decode()
        at += n1 + n2
        # Only writes carry data; their head tells how much.
        data = blob[at:at + size] if op == WRITE else b""
        at += len(data)
        entries.append(Entry(op, pid, ino, offset, path1, path2, data))
    return entries


# ------------------------------------------------------------------- disk

class Node:
    """A file or a folder: as processes see it, and as the disk has it."""

    def __init__(self, folder):
        self.folder = folder
        self.now = {} if folder else bytearray()
        self.kept = {} if folder else bytearray()

    def sync(self):
        self.kept = dict(self.now) if self.folder else bytearray(self.now)


class Disk:
    """What the log says, played to a model of a disk that keeps nothing unasked."""

    def __init__(self):
        self.root = Node(True)
        self.nodes = {}

    def folder_of(self, path):
        at = self.root
        *parents, name = path.split("/")
        for part in parents:
            at = at.now[part]
        return at.now, name

    def node(self, ino):
        return self.nodes.get(ino)

    def play(self, entries, torn=False):
        last = max((i for i, e in enumerate(entries) if e.op == WRITE), default=-1)
        # What was synced behind it is whole.
        torn = torn and not any(e.op == SYNC and e.ino == entries[last].ino
                                for e in entries[last + 1:])
        for i, e in enumerate(entries):
            self.apply(e._replace(data=e.data[:len(e.data) // 2])
                       if torn and i == last else e)

    def apply(self, e):
        if e.op in (CREATE, MKDIR):
            names, name = self.folder_of(e.path)
            names[name] = self.nodes[e.ino] = Node(e.op == MKDIR)
        elif e.op == UNLINK:
            names, name = self.folder_of(e.path)
            names.pop(name, None)
        elif e.op == RENAME:
            (old, name), (new, name2) = self.folder_of(e.path), self.folder_of(e.path2)
            new[name2] = old.pop(name)
        elif e.op == SYNC:
            (self.node(e.ino) or self.root).sync()
        elif e.op == SIZE:
            n = self.node(e.ino)
            n.now[:] = (n.now + bytes(max(0, e.offset - len(n.now))))[:e.offset]
        elif e.op == WRITE:
            n = self.node(e.ino)
            if len(n.now) < e.offset:
                n.now.extend(bytes(e.offset - len(n.now)))
            n.now[e.offset:e.offset + len(e.data)] = e.data

    def content(self, node, kind):
        if kind in ("all", "torn"):
            return bytes(node.now)
        if kind == "zeros":
            return (bytes(node.kept) + bytes(len(node.now)))[:max(len(node.kept), len(node.now))]
        return bytes(node.kept)

    def build(self, where, kind, node=None):
        node = node or self.root
        os.makedirs(where, mode=0o700, exist_ok=True)
        for name, child in (node.kept if kind == "synced only" else node.now).items():
            path = where + "/" + name
            if child.folder:
                self.build(path, kind, child)
                continue
            with open(path, "wb", opener=lambda p, f: os.open(p, f, 0o600)) as f:
                f.write(self.content(child, kind))


# ------------------------------------------------------------------- runs

class Run:
    def __init__(self, case, kind=None, cut=0):
        self.case, self.sandbox, self.kind, self.cut = case, case.sandbox, kind, cut
        self.trouble, self.took = [], 0.0
        self.state = case.root + STATE

    def words(self):
        return {"dir": self.case.dir, "root": self.state, "cut": self.cut or None}

    def status(self):
        return self.sandbox.ask("invocation", command=self.command)

    def is_final(self):
        return self.status()["status"] in FINAL

    def begin(self):
        """The command waits already when the agent starts: the log begins with the folders."""
        os.makedirs(self.state, mode=0o700)
        self.command = self.case.queue(SCRIPT % self.case.oracle)
        self.message = self.status()["message"]
        self.case.start(agent=self.words(), host=self.words())

    def first_life(self):
        case = self.case
        wait_for("first life", 20, lambda: not case.alive() or self.is_final())
        if self.cut and case.alive():
            # Beyond the final reply there may be more to come.
            wait_for("the rest", 1, lambda: not case.alive())
        if case.alive():
            time.sleep(0.03 * lab.SLOW)
            case.proc.terminate()
        if not wait_for("end", 10, lambda: not case.alive()):
            raise Trouble("the agent does not end")
        case.stop()
        self.log = read_log(case.dir + "/log")
        self.reached = bool(self.cut) and len(self.log) >= self.cut
        if self.cut:
            case.kill_leftovers()

    def rebuild(self):
        disk = Disk()
        disk.play(self.log[:self.cut], torn=self.kind == "torn")
        shutil.rmtree(self.case.root)
        os.mkdir(self.case.root, 0o700)
        disk.build(self.state, self.kind)
        with open(self.case.work + "/boot", "w") as f:
            f.write("11111111-2222-4333-8444-%012d\n" % self.cut)

    def message_state(self):
        return self.sandbox.ask("message-state", message=self.message)["state"]

    def deliver_again(self):
        self.sandbox.ask("redeliver", command=self.command)
        if not wait_for("acknowledged", 10, lambda: self.message_state() not in
                        ("queued", "in-flight")):
            self.trouble.append("not acknowledged when delivered again")

    def second_life(self):
        case, begun = self.case, time.monotonic()
        self.acknowledged = self.message_state() not in ("queued", "in-flight")
        case.start(agent={"boot": case.work + "/boot"})
        if not case.wait_poll():
            self.trouble.append("the agent does not start on what is left")
            return
        if not self.acknowledged:
            self.deliver_again()
        if not wait_for("final", WITHIN, self.is_final):
            self.trouble.append("no final reply within %d s%s" % (
                WITHIN, ", and it had been acknowledged" if self.acknowledged else ""))
        self.took = time.monotonic() - begun
        self.deliver_again()
        time.sleep(0.02)
        status = case.stop()
        if status != 0:
            self.trouble.append("the agent ended with %s" % status)

    def ledgers(self):
        """A reply that comes once more by its id counts once; whatever is new behind a final one
        is wrong."""
        self.starts = len(read(self.case.oracle).splitlines())
        self.finals, seen = {}, set()
        for reply, payload in self.sandbox.replies(self.message):
            if payload["documentStatus"] in FINAL:
                self.finals[reply] = payload
            elif self.finals and reply not in seen:
                self.trouble.append("a new reply behind the final one")
            seen.add(reply)
        self.final = self.status()["status"]
        if self.final == "Success" and self.starts != 1:
            self.trouble.append("Success, and the script ran %d times" % self.starts)

    def go(self):
        self.begin()
        self.first_life()
        if self.reached:
            self.rebuild()
            self.second_life()
        self.ledgers()
        return self

    def failed(self):
        return bool(self.trouble or self.starts > 1 or len(self.finals) != 1)


def one_run(bench, kind=None, cut=0):
    sandbox = bench.free.get()
    name = "%s/%s-%d-%.6f" % (bench.work, (kind or "log").replace(" ", "-"), cut, time.monotonic())
    case = Case(name, sandbox)
    run = Run(case, kind, cut)
    sandbox.requests()
    try:
        run.go()
    except (Trouble, KeyError) as e:
        run.trouble.append("%s: %s" % (type(e).__name__, e))
        run.starts, run.finals, run.final = 0, {}, "?"
        run.reached, run.log = False, []
    if run.failed() and os.environ.get("SSM_CUT_VERBOSE"):
        run.text = read(case.work + "/agent.log")
    case.clear(keep=run.failed() and os.environ.get("SSM_CUT_KEEP"))
    if run.failed():
        sandbox.stop()
        sandbox = bench.new_sandbox()
    bench.free.put(sandbox)
    return run


def run_until_reached(bench, kind, cut):
    for _ in range(TRIES):
        run = one_run(bench, kind, cut)
        if run.reached or run.failed():
            break
    return run


# ---------------------------------------------------------------- results

def show(kind, run, entry):
    lab.say("# %s, cut behind %d (%s %s): %d starts, %d final replies, %s; %s" %
            (kind, run.cut, NAMES[entry.op], entry.path or entry.ino, run.starts, len(run.finals),
             run.final, "; ".join(run.trouble) or ("no other trouble" if run.reached
                                                   else "not reached")))
    for line in getattr(run, "text", "").splitlines():
        lab.say("#    " + line)


def report(kind, log, runs):
    doubles = sum(r.starts > 1 for r in runs)
    missing = sum(not r.finals for r in runs)
    duplicate = sum(len(r.finals) > 1 for r in runs)
    count = lab.owed(len(log), [len(r.log) for r in runs if not r.reached and not r.failed()])
    runs = [r for r in runs if r.cut <= count or r.reached or r.failed()]
    reached = sum(r.reached for r in runs)
    for r in runs:
        if r.failed() or not r.reached:
            show(kind, r, log[min(r.cut, len(log)) - 1])
    statuses = collections.Counter(r.final for r in runs)
    lab.say("# %-12s (%s): P %d of the unfaulted log, %d cuts; double starts %d, missing final "
            "replies %d, duplicate %d; %s; slowest %.1f s" %
            (kind, KINDS[kind], len(runs), reached, doubles, missing, duplicate,
             ", ".join("%s %d" % s for s in sorted(statuses.items())),
             max(r.took for r in runs)))
    lab.ok(reached == len(runs), "%s: entries of the unfaulted log %d, cuts %d" %
           (kind, len(runs), reached))
    lab.ok(not any(r.failed() for r in runs),
           "%s: one final reply within %d s, one start at most" % (kind, WITHIN))


def wanted(kind):
    words = os.environ.get("SSM_CUT", "").split()
    return not words or any(word in kind for word in words)


def main():
    bench = lab.Bench("cut", WORKERS)
    try:
        only = os.environ.get("SSM_CUT_P")
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            # Records that meet in one sync make a log shorter; the shortest can always be reached.
            logs = list(pool.map(lambda _: one_run(bench), range(lab.UNFAULTED)))
            lab.ok(not any(r.failed() for r in logs), "the unfaulted run: one start, one final reply")
            for r in logs:
                for text in r.trouble:
                    lab.say("# " + text)
            log = min((r.log for r in logs), key=len)
            for number, kind in enumerate(KINDS):
                if not wanted(kind):
                    continue
                cuts = [int(only)] if only else lab.plan(len(log), number)
                report(kind, log, list(pool.map(
                    lambda cut, kind=kind: run_until_reached(bench, kind, cut), cuts)))
    finally:
        bench.close(keep=os.environ.get("SSM_CUT_KEEP"))
    lab.done_testing()


lab.run(main)
