# SPDX-License-Identifier: Apache-2.0
"""One command, and a fault at each of the calls of its life by which something leaves the process.
In the rows "cancel ..." it is the life from a running command's cancel to its end.

For every N of the unfaulted trace the command is sent anew, and at the N-th call the agent, the
host or both die, or the call fails once. Then an agent without faults goes on (after a death), the
message is delivered again, and the ledgers are read: the script's own file (what started) and the
sandbox's journal (what was answered). spec: at most one start, exactly one final reply.

SSM_SWEEP=WORD... runs only rows that have one of the words; SSM_SWEEP_N=N only that call;
SSM_SWEEP_STEP=4 only every fourth (as with sanitizers, where each case is slow).
SSM_SWEEP_KEEP=1 keeps the folders of cases that failed.
"""
import collections
import concurrent.futures
import errno
import os
import signal
import time

import lab
from lab import EFFECT, FDS, FINAL, IO, SPACE, SPAWN, Case, ok, read, say, wait_for

WORKERS = int(os.environ.get("SSM_SWEEP_WORKERS", "3"))
WITHIN = 10  # seconds from the restart to the final reply
TRIES = 30    # until a run comes as far as the call that is wanted

Row = collections.namedtuple("Row", "name who classes act code cancel", defaults=[False])
ROWS = [
    Row("kill agent", "agent", EFFECT, "kill", None),
    Row("kill agent behind it", "agent", EFFECT, "after", None),
    Row("kill host", "host", EFFECT, "kill", None),
    Row("kill host behind it", "host", EFFECT, "after", None),
    Row("kill both at agent's", "agent", EFFECT, "both", None),
    Row("kill both at host's", "host", EFFECT, "both", None),
    Row("ENOSPC agent", "agent", SPACE, "errno", errno.ENOSPC),
    Row("ENOSPC host", "host", SPACE, "errno", errno.ENOSPC),
    Row("EIO agent", "agent", IO, "errno", errno.EIO),
    Row("EIO host", "host", IO, "errno", errno.EIO),
    Row("EMFILE agent", "agent", FDS, "errno", errno.EMFILE),
    Row("EMFILE host", "host", FDS, "errno", errno.EMFILE),
    Row("ENOMEM spawn agent", "agent", SPAWN, "errno", errno.ENOMEM),
    Row("ENOMEM spawn host", "host", SPAWN, "errno", errno.ENOMEM),
    Row("cancel, kill agent", "agent", EFFECT, "kill", None, True),
    Row("cancel, kill agent behind", "agent", EFFECT, "after", None, True),
    Row("cancel, kill host", "host", EFFECT, "kill", None, True),
    Row("cancel, kill both", "agent", EFFECT, "both", None, True),
    Row("cancel, EIO agent", "agent", IO, "errno", errno.EIO, True),
    Row("cancel, ENOSPC agent", "agent", SPACE, "errno", errno.ENOSPC, True),
]
SCRIPT = 'echo "$SSM_COMMAND_ID" >>%s; echo out; echo err >&2'
LONG_SCRIPT = 'echo "$SSM_COMMAND_ID" >>%s; (sleep 100; :) & sleep 100'


class Run:
    """One case from the first agent to the ledgers."""

    def __init__(self, case, row=None, n=0, cancel=False):
        self.case, self.sandbox, self.row, self.n = case, case.sandbox, row, n
        self.cancel = row.cancel if row else cancel
        self.trouble = []

    def words(self, who):
        words = {"dir": self.case.dir}
        if who == "agent" or self.cancel:
            words["trigger"] = 1
        if self.row and self.row.who == who:
            words.update(class_=self.row.classes, n=self.n, act=self.row.act, code=self.row.code)
        return words

    def status(self):
        return self.sandbox.ask("invocation", command=self.command)

    def is_final(self):
        return self.status()["status"] in FINAL

    def injected(self):
        return bool(self.row and self.case.injected(self.row.who))

    def begin(self):
        case = self.case
        pings = case.node()["pings"]
        case.start(agent=self.words("agent"), host=self.words("host"))
        if not case.wait_poll():
            raise lab.Trouble("the agent does not poll: " + read(case.work + "/agent.log"))
        self.sandbox.ask("wait-node", polls=0, pings=pings + 1, timeout_ms=20000)
        time.sleep(0.03 * lab.SLOW)
        if self.cancel:
            self.begin_cancel()
            return
        open(case.dir + "/trigger", "w").close()
        self.command = case.queue(SCRIPT % case.oracle)
        self.message = self.status()["message"]

    def begin_cancel(self):
        case = self.case
        self.command = case.queue(LONG_SCRIPT % case.oracle)
        self.message = self.status()["message"]
        if not wait_for("start", 20, lambda: read(case.oracle)):
            raise lab.Trouble("the command does not start: " + read(case.work + "/agent.log"))
        # What was written for the start has been written.
        time.sleep(0.05 * lab.SLOW)
        open(case.dir + "/trigger", "w").close()
        self.sandbox.ask("cancel", command=self.command)

    def first_life(self):
        """To the final reply, or to the death of the agent."""
        wait_for("first life", 20, lambda: not self.case.alive() or self.is_final())
        if self.case.alive() and self.is_final():
            # What follows the final reply belongs to the command as well.
            time.sleep(0.03 * lab.SLOW)

    def end_first(self):
        """The end in order, whose calls count, too."""
        if self.case.alive() and (self.row is None or not self.injected()):
            self.note_end(self.case.stop())

    def note_end(self, status):
        if status == 0 or (status == -signal.SIGKILL and self.injected()):
            return
        self.trouble.append("the agent ended with %s" % status)

    def is_unread(self, message):
        return self.sandbox.ask("message-state", message=message)["state"] in \
            ("queued", "in-flight")

    def deliver_again(self, why, cancel=False):
        self.sandbox.ask("redeliver", command=self.command, cancel=cancel)
        message = self.status()["cancel_message"] if cancel else self.message
        if not wait_for("acknowledged", WITHIN, lambda: not self.is_unread(message)):
            self.trouble.append("not acknowledged when delivered again (%s)" % why)

    def length(self, row):
        """How many calls of the row's classes the life had."""
        return sum(1 for c in self.traces[row.who] if c[0] & row.classes)

    def agent_dies(self):
        return self.row.act == "both" or \
            (self.row.who == "agent" and self.row.act in ("kill", "after"))

    def second_life(self):
        case = self.case
        if self.agent_dies() and not wait_for("death", 10, lambda: not case.alive()):
            self.trouble.append("the agent lives on")
        begun = time.monotonic()
        if not case.alive():
            case.stop()
            case.start()
            if not case.wait_poll():
                self.trouble.append("the agent does not start again")
                return
        if self.is_unread(self.message):
            self.deliver_again("its time of being invisible is over")
        if self.cancel and self.is_unread(self.status()["cancel_message"]):
            self.deliver_again("the cancel, whose time of being invisible is over", True)
        if not wait_for("final", WITHIN, self.is_final):
            self.trouble.append("no final reply within %d s" % WITHIN)
        self.took = time.monotonic() - begun
        if self.cancel:
            self.check_nothing_left()
        self.deliver_again("after the final reply")
        time.sleep(0.02)
        self.note_end(case.stop())

    def check_nothing_left(self):
        """The final reply comes when nothing of the command runs; a host may still be on its way out."""
        left = self.case.leftovers(b"SSM_COMMAND_ID=")
        if left:
            self.trouble.append("%d processes of the command outlive its final reply" % len(left))

    def ledgers(self):
        """Starts, final replies by id, replies of other ids behind the first final one."""
        self.starts = len(read(self.case.oracle).splitlines())
        self.finals, self.late = {}, 0
        for reply, payload in self.sandbox.replies(self.message):
            if payload["documentStatus"] in FINAL:
                if self.finals.setdefault(reply, payload) != payload:
                    self.trouble.append("a final reply changed when it was sent again")
            elif self.finals:
                self.late += 1
        shown = self.status()
        self.late += shown["replies_after_final"]
        self.final = shown["status"]
        if self.final == "Success" and (self.starts != 1 or self.cancel):
            self.trouble.append("Success, and the script ran %d times" % self.starts)
        if self.late:
            self.trouble.append("%d replies behind the final one" % self.late)

    def go(self):
        self.begin()
        self.first_life()
        self.end_first()
        if self.row and self.injected():
            self.second_life()
        self.ledgers()
        return self


# ------------------------------------------------------------------- plan

class Bench(lab.Bench):
    """With a state of which each case gets a copy."""

    def __init__(self):
        super().__init__("sweep", WORKERS)
        self.template = self.make_template()

    def make_template(self):
        """An agent that has been there for a while: its plugins are known, its folders are made."""
        sandbox = self.free.get()
        case = Case(self.work + "/template", sandbox)
        case.start()
        if not case.wait_poll():
            raise lab.Trouble("the agent does not poll: " + read(case.work + "/agent.log"))
        case.stop()
        self.free.put(sandbox)
        return case.root

    def run(self, row=None, n=0, cancel=False):
        sandbox = self.free.get()
        name = "%s/%s-%d-%.6f" % (self.work, row.name.replace(" ", "-").replace("'", "")
                                  if row else "trace", n, time.monotonic())
        case = Case(name, sandbox, self.template)
        run = Run(case, row, n, cancel)
        sandbox.requests()
        try:
            run.go()
        except lab.Trouble as e:
            run.trouble.append(str(e))
            run.starts, run.finals, run.final = 0, {}, "?"
        run.note = case.injected(row.who) if row else ""
        failed = bool(run.trouble or run.starts > 1 or len(run.finals) != 1)
        if not row or not run.note:
            run.traces = {who: case.trace(who) for who in ("agent", "host")}
        if failed and os.environ.get("SSM_SWEEP_VERBOSE"):
            run.log = read(case.work + "/agent.log")
        case.clear(keep=failed and os.environ.get("SSM_SWEEP_KEEP"))
        if failed:  # what it left there must not meet the next one
            sandbox.stop()
            sandbox = self.new_sandbox()
        self.free.put(sandbox)
        return run

    def run_until_injected(self, row, n):
        for _ in range(TRIES):
            run = self.run(row, n)
            if run.note:
                break
        return run


# ---------------------------------------------------------------- results

def wanted(row):
    words = os.environ.get("SSM_SWEEP", "").split()
    return not words or any(word in row.name for word in words)


def numbers(count, row):
    only = os.environ.get("SSM_SWEEP_N")
    return [int(only)] if only else lab.plan(count, row)


def kinds(calls):
    counts = collections.Counter(call for _, call, _ in calls)
    return ", ".join("%s %d" % pair for pair in sorted(counts.items()))


def report(row, calls, runs):
    injected = [r for r in runs if r.note]
    doubles = [r for r in runs if r.starts > 1]
    missing = [r for r in runs if not r.finals]
    duplicate = [r for r in runs if len(r.finals) > 1]
    for r in runs:
        if r.starts > 1 or len(r.finals) != 1 or r.trouble or not r.note:
            say("# %s %d (%s): %d starts, %d final replies, %s; %s" %
                (row.name, r.n, r.note or "not reached", r.starts, len(r.finals), r.final,
                 "; ".join(r.trouble) or "no other trouble"))
            for line in getattr(r, "log", "").splitlines():
                say("#    " + line)
    statuses = collections.Counter(r.final for r in runs)
    slowest = max([getattr(r, "took", 0) for r in runs] or [0])
    say("# %-22s N %3d of the unfaulted trace, %3d injected; double starts %d, missing final "
        "replies %d, duplicate %d; %s; slowest %.1f s" %
        (row.name, len(calls), len(injected), len(doubles), len(missing), len(duplicate),
         ", ".join("%s %d" % s for s in sorted(statuses.items())), slowest))
    ok(len(injected) == len(calls) and len(calls) > 0,
       "%s: N of the unfaulted trace %d, injected %d" % (row.name, len(calls), len(injected)))
    ok(not (doubles or missing or duplicate or [r for r in runs if r.trouble]),
       "%s: one start at most, one final reply" % row.name)
    return (row, calls, len(injected), len(doubles), len(missing) + len(duplicate))


def table(rows):
    form = "# %-22s %5s %9s %14s %18s  %s"
    say("#")
    say(form % ("process, fault", "N", "injected", "double starts", "missing/duplicate", "calls"))
    for row, calls, injected, doubles, replies in rows:
        say(form % (row.name, len(calls), injected, doubles, replies, kinds(calls)))
    say(form % ("together", sum(len(r[1]) for r in rows), sum(r[2] for r in rows),
                sum(r[3] for r in rows), sum(r[4] for r in rows), ""))


def measure(bench, pool, cancel):
    """The unfaulted run with the fewest calls, at the load of the others: each of its numbers can be
    reached."""
    runs = list(pool.map(lambda _: bench.run(cancel=cancel), range(lab.UNFAULTED)))
    final = "Cancelled" if cancel else "Success"
    good = [r for r in runs if not r.trouble and r.final == final and len(r.finals) == 1]
    ok(len(good) == len(runs), "the unfaulted %s: one start, one final reply" %
       ("cancel" if cancel else "run"))
    for r in runs:
        for text in r.trouble:
            say("# " + text)
    return {who: min((r.traces[who] for r in runs), key=len) for who in ("agent", "host")}


def sweep(bench, pool):
    rows, traces = [], {}
    for number, row in enumerate(ROWS):
        if not wanted(row):
            continue
        if row.cancel not in traces:
            traces[row.cancel] = measure(bench, pool, row.cancel)
        calls = [c for c in traces[row.cancel][row.who] if c[0] & row.classes]
        plan = numbers(len(calls), number)
        runs = list(pool.map(lambda n, row=row: bench.run_until_injected(row, n), plan))
        count = lab.owed(len(calls), [r.length(row) for r in runs if not r.note and not r.trouble])
        runs = [r for r in runs if r.n <= count or r.note or r.trouble]
        rows.append(report(row, [calls[r.n - 1] for r in runs if r.n <= len(calls)], runs))
    table(rows)


def main():
    bench = Bench()
    try:
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            sweep(bench, pool)
    finally:
        bench.close(keep=os.environ.get("SSM_SWEEP_KEEP"))
    lab.done_testing()


lab.run(main)
