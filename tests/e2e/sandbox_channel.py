# SPDX-License-Identifier: Apache-2.0
# The sandbox's control channel, by a client of its own: signed by botocore, frames by hand from
# spec 02. Prints TAP lines without a plan.
"""usage: sandbox_channel.py READY.json PROGRAM"""
import json
import re
import time
import urllib.error
import uuid
import xml.etree.ElementTree

from fake_node import AGENT, Node, stamp
from sandbox_lib import READY
from sandbox_ws import (CONTROL, Message, Socket, body_of, channel, ctl, open_input, rest, signed,
                        token, write_message)


def ok(good, what, *notes):
    print("%s - channel: %s" % ("ok" if good else "not ok", what), flush=True)
    if not good:
        for note in notes:
            print("# %s" % (note,), flush=True)


def same(got, wanted, what):
    ok(got == wanted, what, "got %r" % (got,), "wanted %r" % (wanted,))


def acknowledge(s, job, code="200", name="Successful", **more):
    created = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(job.created / 1000)) + \
        ".%03dZ" % (job.created % 1000)
    keys = {"jobId": job.json["JobId"], "acknowledgedMessageId": str(job.id),
            "createdDate": created, "statusCode": code, "errorMessage": name}
    keys.update(more)
    s.send(2, write_message("agent_job_ack", keys))


def content(status, **more):
    info = {"agent": AGENT, "dateTime": stamp(), "runId": "", "runtimeStatusCounts": None}
    info.update(more)
    return json.dumps({"additionalInfo": info, "documentStatus": status,
                       "documentTraceOutput": "", "runtimeStatus": None})


def reply(s, job, text, message_id=None, **more):
    keys = {"schemaVersion": 1, "jobId": job.json["JobId"], "content": text,
            "topic": re.match(r"aws\.ssm\.[a-z]+Command", job.json["Topic"]).group()}
    keys.update(more)
    s.send(2, write_message("agent_job_reply", keys, message_id))


def job_of(s):
    op, data = s.frame()
    assert op == 2, (op, data)
    return Message(data)


def queue():
    return ctl("queue", parameters={"commands": ["true"]})["commands"][0]


def test_rest(node):
    status, text = rest(node, CONTROL, body_of())
    same(status, 201, "CreateControlChannel is answered with 201")
    root = xml.etree.ElementTree.fromstring(text)
    ok(any(e.tag.endswith("TokenValue") and e.text for e in root), "its answer holds a token", text)
    for what, path, body, headers, wanted in (
            ("another order of keys", CONTROL, b'{"RequestId":"%s","MessageSchemaVersion":"1.0"}'
             % str(uuid.uuid4()).encode(), {}, 400),
            ("a blank between keys", CONTROL, json.dumps(json.loads(body_of())).encode(), {}, 400),
            ("one more key", CONTROL, body_of(ClientId=""), {}, 400),
            ("another content type", CONTROL, body_of(),
             {"Content-Type": "application/x-amz-json-1.1"}, 400),
            ("x-amz-target", CONTROL, body_of(), {"X-Amz-Target": "x"}, 400),
            ("a strange instance", "/v1/control-channel/i-00000000000000001", body_of(), {}, 403),
            ("a query", CONTROL + "?a=b", body_of(), {}, 400)):
        status, text = rest(node, path, body, headers)
        ok(status == wanted and text.startswith("<"), "%s is refused in XML" % what, status, text)
    status, text = rest(node, "/v1/control-channel/i-00000000000000001", body_of())
    ok("<AccessDeniedException>" in text, "who may not is told by AccessDeniedException", text)


def test_upgrade(node):
    same(Socket(node).status, 101, "the signed upgrade is taken")
    for what, arguments in (
            ("another query", {"path": CONTROL + "?role=subscribe"}),
            ("version 12", {"headers": {"Sec-WebSocket-Version": "12"}}),
            ("no key", {"drop": "Sec-WebSocket-Key"}),
            ("an extension", {"headers": {"Sec-WebSocket-Extensions": "permessage-deflate"}}),
            ("no signature", {"drop": "Authorization"}),
            ("another date", {"headers": {"X-Amz-Date": "20200101T000000Z"}})):
        status = Socket(node, **arguments).status
        ok(400 <= status < 500, "an upgrade with %s is refused" % what, status)


def test_open(node):
    for what, op, data in (
            ("a wrong token", 1, open_input("x")),
            ("PlatformType Linux", 1, open_input(token(node), PlatformType="Linux")),
            ("one more key", 1, open_input(token(node), More="")),
            ("no JSON", 1, b"{"),
            ("a binary one", 2, open_input(token(node)))):
        s = Socket(node)
        s.send(op, data)
        same(s.closed(), 1008, "a first message that is %s closes with 1008" % what)
    for what, arguments in (("without mask", {"mask": None}), ("in parts", {"first": 1}),
                            ("with reserved bits", {"first": 0xc1})):
        s = Socket(node)
        s.send(1, b"x", **arguments)
        same(s.closed(), 1002, "a frame %s closes with 1002" % what)
    value = token(node)
    s = Socket(node)
    s.send(1, open_input(value))
    s.send(9, b"keepalive")
    same(s.frame(), (10, b"keepalive"), "a ping is answered")
    again = Socket(node)
    same(s.closed(), 1000, "a second channel displaces the first")
    again.send(1, open_input(value))
    same(again.closed(), 1008, "a token is good for one channel")


def test_job(node):
    s = channel(node)
    command = queue()
    job = job_of(s)
    same(job.kind, "agent_job", "a command comes as agent_job")
    same(list(job.json), ["Content", "JobId", "Topic", "SchemaVersion"], "with these members")
    same(json.loads(job.json["Content"])["CommandId"], command, "Content is the payload")
    acknowledge(s, job)
    reply(s, job, content("InProgress"))
    ack = job_of(s)
    same((ack.kind, ack.json["jobId"]), ("agent_job_reply_ack", job.json["JobId"]), "a reply is acknowledged")
    last = uuid.uuid4()
    reply(s, job, content("Success"), last)
    same(job_of(s).json["acknowledgedMessageId"], str(last), "by its MessageId")
    reply(s, job, content("Failed"), last)
    job_of(s)
    invocation = ctl("invocation", command=command)
    same((invocation["status"], invocation["replies"]), ("Success", 2), "one that came twice counts once")
    messages = [x for x in ctl("journal") if x.get("operation") == "agent_job_reply"]
    same(messages[-1]["payload"]["documentStatus"], "Failed", "the journal has them")
    return s


def test_refused(node):
    def closes(what, act):
        s = channel(node)
        queue()
        job = job_of(s)
        while job.kind != "agent_job":
            job = job_of(s)
        act(s, job)
        same(s.closed(), 1008, "%s closes with 1008" % what)
    closes("an acknowledgement of another message",
           lambda s, j: acknowledge(s, j, acknowledgedMessageId=str(uuid.uuid4())))
    closes("a wrong createdDate", lambda s, j: acknowledge(s, j, createdDate=stamp()))
    closes("a code with another's name", lambda s, j: acknowledge(s, j, "51405"))
    closes("one more member", lambda s, j: acknowledge(s, j, more=1))
    closes("a topic with its suffix", lambda s, j: reply(s, j, content("Success"), topic=j.json["Topic"]))
    closes("a reply to a strange job", lambda s, j: reply(s, j, content("Success"), jobId="x"))
    closes("ableToOpenMGSConnection",
           lambda s, j: reply(s, j, content("Success", ableToOpenMGSConnection=True)))
    closes("content of more than 120000 bytes", lambda s, j: reply(s, j, " " * 120001))
    closes("a payload that is no JSON", lambda s, j: s.send(2, write_message("agent_job_reply", b"x")))
    closes("flags", lambda s, j: s.send(2, write_message("agent_job_ack", {}, flags=3)))
    closes("a wrong digest", lambda s, j: s.send(2, write_message("agent_job_ack", {}, digest=b"x" * 32)))
    closes("a schema version 2", lambda s, j: s.send(2, write_message("agent_job_ack", {}, schema=2)))
    closes("an unknown type", lambda s, j: s.send(2, write_message("agent_jop", {})))
    closes("a frame that is too short", lambda s, j: s.send(2, b"x" * 119))
    closes("a ping that is not keepalive", lambda s, j: s.send(9, b"ping"))


def test_transport(node):
    s = channel(node)
    ctl("set", transport="ec2messages")
    command = queue()
    messages = node.poll()
    ok(any(command in m["MessageId"] for m in messages), "transport=ec2messages: polls have it", messages)
    for m in messages:
        node.acknowledge(m)
    ctl("set", transport="ssmmessages")
    command = queue()
    job = job_of(s)
    while command not in job.payload.decode():
        job = job_of(s)
    ok(True, "transport=ssmmessages: the channel has it")
    acknowledge(s, job)
    ctl("channel", do="close", code=1001)
    same(s.closed(), 1001, "the control socket closes a channel")
    ctl("set", transport="auto")
    command = queue()
    ok(any(command in m["MessageId"] for m in node.poll()), "without a channel polls have it")


def settle(node):
    """Nothing comes a second time and disturbs what follows."""
    for line in ctl("journal"):
        job = (line.get("request") or {}).get("JobId") if line.get("direction") == "out" else None
        if job:
            node.acknowledge({"MessageId": job})


def test_faults(node):
    def jobs_after(n, **fault):
        settle(node)
        ctl("journal", clear=True)
        ctl("fault", service="ssmmessages", operation="out:agent_job", count=1, **fault)
        s = channel(node)
        for _ in range(2):
            queue()
        jobs = []
        s.sock.settimeout(1.5)
        try:
            while len(jobs) < n:
                jobs.append(job_of(s))
        except (EOFError, OSError, AssertionError):
            pass
        ctl("clear-faults")
        ctl("channel", do="cut")
        return [(j.json["JobId"] if j.whole else "", j.whole) for j in jobs]
    same(len(jobs_after(2, kind="drop")), 1, "drop: a frame is lost")
    jobs = jobs_after(3, kind="duplicate")
    ok(len(jobs) == 3 and jobs[0] == jobs[1] != jobs[2], "duplicate: it comes twice", jobs)
    jobs = jobs_after(2, kind="corrupt")
    ok(len(jobs) == 2 and [j[1] for j in jobs] == [False, True], "corrupt: its digest is wrong", jobs)
    begun = time.monotonic()
    jobs = jobs_after(2, kind="delay", delay_ms=500)
    ok(len(jobs) == 2 and time.monotonic() - begun >= 0.5, "delay: it comes late", jobs)
    jobs = jobs_after(2, kind="reorder")
    sent = [x["request"]["JobId"] for x in ctl("journal") if x.get("operation") == "agent_job"]
    same([j[0] for j in jobs], sent[::-1], "reorder: the second comes first")
    same(len(jobs_after(2, kind="close")), 0, "close: the channel is closed instead")
    ctl("fault", service="ssmmessages", operation="CreateControlChannel", kind="status", status=403, count=1)
    status, text = rest(node, CONTROL, body_of())
    ok(status == 403 and "<AccessDeniedException>" in text, "refuse: AccessDeniedException", text)


def main():
    node = Node(READY)
    node.ping()
    test_rest(node)
    test_upgrade(node)
    test_open(node)
    test_job(node)
    test_refused(node)
    test_transport(node)
    test_faults(node)


main()
