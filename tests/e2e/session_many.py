# SPDX-License-Identifier: Apache-2.0
# Many sessions, at one time and one after the other: each has its terminal, none leaves a descriptor,
# a process or a file. The figures are the bench's (tests/bench/sessions.py); here are ceilings that
# only a leak reaches. Prints TAP lines without a plan.
"""usage: session_many.py READY.json PROGRAM; AGENT and ROOT in the environment"""
import os
import re
import time

from sandbox_lib import IID, ok, same
from session import End, client, document, wait_status

AGENT, ROOT = int(os.environ["AGENT"]), os.environ["ROOT"]
AT_ONCE, SERIES = 20, 30
PRIVATE_MAX = 16 << 20  # a sanitizer's own is left out


def tree(pid):
    found = [pid]
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/children" % (pid, task), encoding="ascii") as f:
            for child in f.read().split():
                found += tree(int(child))
    return found


def inventory():
    """Descriptors of the agent and what it has running, how many those are, and its files."""
    pids = tree(AGENT)
    files = sorted(os.path.join(where, name) for where, _, names in os.walk(ROOT) for name in names
                   if name not in ("seen", "agent.log"))
    return {"descriptors": sum(len(os.listdir("/proc/%d/fd" % pid)) for pid in pids), "processes": len(pids),
            "files": files}


def settled():
    """When nothing has changed for half a second."""
    last, since = None, 0
    for _ in range(400):
        try:
            now = inventory()
        except OSError:  # one has just ended
            now = None
        since = since + 1 if now and now == last else 0
        if since >= 5:
            break
        last = now
        time.sleep(0.1)
    return last


def private(pid):
    with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as f:
        return sum(int(n) << 10 for n in re.findall(r"^Private_\w+: +(\d+) kB", f.read(), re.M))


def start(aws):
    answer = aws.start_session(Target=IID, DocumentName="Test-Shell")
    return End(answer), answer["SessionId"]


def finish(end, session):
    end.type(b"exit\r")
    end.until_closed()
    return wait_status(session, "Terminated")


def test_at_once(aws, before):
    sessions = [start(aws) for _ in range(AT_ONCE)]
    for end, _ in sessions:
        end.until(b"profile")
    ok(True, "%d sessions at one time have their terminals" % AT_ONCE)
    hosts = [pid for pid in tree(AGENT) if os.path.basename(os.readlink("/proc/%d/exe" % pid)) ==
             "ssm-plugin-host"]
    if not os.environ.get("SANITIZED"):
        most = max(private(pid) for pid in hosts)
        ok(most < PRIVATE_MAX, "none of them has a lot of memory", "%d bytes" % most)
    same({finish(*s) for s in sessions}, {"Terminated"}, "and they end")
    after = settled()
    same((after["processes"], after["files"]), (before["processes"], before["files"]), "they leave nothing behind")


def test_series(aws, before):
    states = set()
    for _ in range(SERIES):
        end, session = start(aws)
        end.until(b"profile")
        states.add(finish(end, session))
    same(states, {"Terminated"}, "%d sessions one after the other" % SERIES)
    same(settled(), before, "leave nothing behind")


def main():
    aws = client()
    document(aws, "Test-Shell", "Standard_Stream")
    end, session = start(aws)
    end.until(b"profile")
    finish(end, session)
    before = settled()
    test_at_once(aws, before)
    # As many connections to the service as were needed at one time are kept for a while.
    test_series(aws, settled())


main()
