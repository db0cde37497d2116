# SPDX-License-Identifier: Apache-2.0
# The sandbox's sessions: the operator by botocore, the node by a client of its own. Prints TAP
# lines without a plan.
"""usage: sandbox_session.py READY.json PROGRAM"""
import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from urllib.parse import urlsplit

os.environ["AWS_EC2_METADATA_DISABLED"] = "true"

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from fake_node import Node, Refused
from sandbox_lib import IID, READY, Operator, ok, operator_credentials, same
from sandbox_ws import Message, Socket, body_of, channel, ctl, rest, token, write_message

PORT = "AWS-StartPortForwardingSession"
CLOSED = ["MessageType", "MessageId", "DestinationId", "SessionId", "SchemaVersion", "CreatedDate"]


def client(service="ssm"):
    credentials = operator_credentials()
    return botocore.session.Session().create_client(
        service, region_name=READY["region"], endpoint_url=READY["endpoint"],
        aws_access_key_id=credentials.access_key, aws_secret_access_key=credentials.secret_key,
        config=Config(retries={"max_attempts": 0}))


def refused(what, code, function, **members):
    try:
        answer = function(**members)
    except ClientError as error:
        ok(error.response["Error"]["Code"] == code, "%s: %s" % (what, code), str(error))
        return error.response["Error"]["Message"]
    ok(False, "%s: %s" % (what, code), answer)
    return ""


def message(s):
    """The next one that is no job."""
    while True:
        op, data = s.frame()
        assert op == 2, (op, data)
        m = Message(data)
        if m.kind != "agent_job":
            return m


def complete(s, session, status="Success", output="", message_id=None, **more):
    keys = {"SchemaVersion": 1, "TaskId": session, "Topic": "agent_task_complete",
            "FinalTaskStatus": status, "IsRoutingFailure": False, "AwsAccountId": "",
            "InstanceId": IID, "Output": output, "S3Bucket": "", "S3UrlSuffix": "", "CwlGroup": "",
            "CwlStream": "", "RetryNumber": 1}
    keys.update(more)
    s.send(2, write_message("agent_task_complete", keys, message_id))


def described(operator, state, session):
    found = operator.ask("DescribeSessions", State=state,
                         Filters=[{"key": "SessionId", "value": session}])["Sessions"]
    return found[0] if found else None


def test_refused(aws):
    text = refused("a node without a control channel", "TargetNotConnected", aws.start_session,
                   Target=IID)
    same(text, IID + " is not connected.", "and says so")
    refused("a target that there is not", "TargetNotConnected", aws.start_session,
            Target="i-00000000000000001")
    refused("no such document", "InvalidDocument", aws.start_session, Target=IID,
            DocumentName="Nobody-WroteThis")
    refused("a document of type Command", "InvalidDocument", aws.start_session, Target=IID,
            DocumentName="AWS-RunShellScript")
    refused("a port that is none", "InvalidParameters", aws.start_session, Target=IID,
            DocumentName=PORT, Parameters={"portNumber": ["65536"]})
    refused("no host", "InvalidParameters", aws.start_session, Target=IID,
            DocumentName=PORT + "ToRemoteHost")
    for call in (aws.resume_session, aws.terminate_session):
        refused("no such session", "DoesNotExistException", call, SessionId="op-1")
    refused("a filter's value", "ValidationException", aws.describe_sessions, State="Active",
            Filters=[{"key": "Status", "value": "Tired"}])


def test_start(aws, operator, s):
    answer = aws.start_session(Target=IID, Reason="to look")
    session = answer["SessionId"]
    url = "ws://127.0.0.1:%d/v1/data-channel/%s?role=publish_subscribe" % (READY["port"], session)
    ok(answer["StreamUrl"].startswith(url) and answer["TokenValue"], "start-session is answered",
       answer)
    start = message(s)
    same((start.kind, list(start.json)),
         ("interactive_shell", ["schemaVersion", "taskId", "topic", "content"]),
         "the node gets interactive_shell")
    content = json.loads(start.json["content"])
    same((content["SessionId"], content["DocumentName"], content["DocumentContent"]["sessionType"],
          content["Parameters"], content["RunAsUser"]),
         (session, "SSM-SessionManagerRunShell", "Standard_Stream", {}, ""), "with the document")
    seen = described(operator, "Active", session)
    same((seen["Status"], seen["Target"], seen["Reason"], seen["Owner"]),
         ("Connecting", IID, "to look", content["SessionOwner"]), "describe-sessions shows it")
    again = aws.resume_session(SessionId=session)
    ok(again["TokenValue"] and again["TokenValue"] != answer["TokenValue"],
       "resume-session gives another token", again)
    return session


def test_end(aws, operator, s, session):
    same(aws.terminate_session(SessionId=session)["SessionId"], session, "terminate-session")
    closed = message(s)
    same((closed.kind, list(closed.json), closed.json["SessionId"]),
         ("channel_closed", CLOSED, session), "the node gets channel_closed")
    same(described(operator, "Active", session)["Status"], "Terminating", "the session is Terminating")
    ok("TokenValue" not in aws.resume_session(SessionId=session), "it cannot be resumed any more")
    one = uuid.uuid4()
    complete(s, session, message_id=one)
    ack = message(s)
    same((ack.kind, ack.json["MessageId"], ack.json["TaskId"]),
         ("agent_task_acknowledge", str(one), session), "agent_task_complete is acknowledged")
    seen = described(operator, "History", session)
    ok(seen["Status"] == "Terminated" and seen["EndDate"] >= seen["StartDate"],
       "the session is in the history", seen)
    same(described(operator, "Active", session), None, "and not active")
    aws.terminate_session(SessionId=session)
    ok(True, "terminated twice")


def test_failure(aws, operator, s):
    session = aws.start_session(Target=IID, DocumentName="AWS-StartInteractiveCommand",
                                Parameters={"command": ["top"]})["SessionId"]
    same(json.loads(message(s).json["content"])["Parameters"], {"command": "top"},
         "parameters travel as text")
    complete(s, session, "Failed", "no terminal", S3Bucket="b", S3UrlSuffix="k")
    message(s)
    seen = described(operator, "History", session)
    same((seen["Status"], seen["Details"], seen["OutputUrl"]),
         ("Failed", "no terminal", {"S3OutputUrl": "https://s3.%s.amazonaws.com/b/k" % READY["region"]}),
         "a session that failed")
    session = aws.start_session(Target=IID)["SessionId"]
    message(s)
    complete(s, session, "Failed", "\u00e9" * 1300)
    message(s)
    same(described(operator, "History", session)["Details"], "\u00e9" * 512, "a long output is cut")
    complete(s, "op-1")
    same(message(s).kind, "agent_task_acknowledge", "the end of an unknown session, too, is acknowledged")


def test_documents(aws, s):
    port, remote = {"portNumber": ["8080"]}, {"portNumber": ["5432"], "host": ["db.example"]}
    for name, kind, parameters in (
            (PORT, "Port", port), (PORT + "ToRemoteHost", "Port", remote),
            ("AWS-StartSSHSession", "Port", {"portNumber": ["22"]}),
            ("AWS-StartNonInteractiveCommand", "NonInteractiveCommands", {"command": ["true"]})):
        session = aws.start_session(Target=IID, DocumentName=name, Parameters=parameters)["SessionId"]
        content = json.loads(message(s).json["content"])
        same((content["DocumentContent"]["sessionType"], content["Parameters"]),
             (kind, {k: v[0] for k, v in parameters.items()}), name)
        complete(s, session)
        message(s)


def test_lists(operator, aws, s):
    wanted = []
    for _ in range(3):
        wanted.insert(0, aws.start_session(Target=IID)["SessionId"])
        message(s)
    seen, token = [], {}
    while True:
        page = operator.ask("DescribeSessions", State="Active", MaxResults=2, **token)
        seen += [x["SessionId"] for x in page["Sessions"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    same(seen, wanted, "pages, newest first")
    for key, value, count in (("Target", IID, 3), ("Target", "i-00000000000000001", 0),
                              ("Status", "Connecting", 3), ("Status", "Connected", 0),
                              ("InvokedAfter", "2020-01-01T00:00:00Z", 3),
                              ("InvokedBefore", "2020-01-01T00:00:00Z", 0)):
        found = operator.ask("DescribeSessions", State="Active", Filters=[{"key": key, "value": value}])
        same(len(found["Sessions"]), count, "filter %s %s" % (key, value))
    for session in wanted:
        ctl("session", session=session, do="terminate")
        same(message(s).kind, "channel_closed", "ended by the control socket")
        complete(s, session)
        message(s)


def test_bad_end(node):
    for what, more in (("another status", {"status": "Done"}), ("another topic", {"Topic": "x"}),
                       ("another instance", {"InstanceId": "i-00000000000000001"}),
                       ("RetryNumber 4", {"RetryNumber": 4}), ("one more member", {"More": 1})):
        s = channel(node)
        complete(s, "op-1", **more)
        same(s.closed(), 1008, "agent_task_complete with %s closes with 1008" % what)


# ---- data channels ----

DATA = "/v1/data-channel/"


def node_input(session, value, **more):
    keys = {"MessageSchemaVersion": "1.0", "RequestId": str(uuid.uuid4()), "TokenValue": value,
            "ClientInstanceId": IID, "ClientId": ""}
    keys.update(more)
    return json.dumps(keys, separators=(",", ":")).encode()


def node_end(node, session, state="Connected"):
    """The node's data channel, as the agent opens it."""
    value = token(node, DATA + session, ClientId="")
    end = Socket(node, DATA + session + "?role=publish_subscribe")
    end.send(1, node_input(session, value))
    if state:
        end.send(2, session_state(session, state))
    return end


def session_state(session, state, **more):
    keys = {"SchemaVersion": 1, "SessionState": state, "SessionId": session}
    keys.update(more)
    return write_message("agent_session_state", keys, flags=3)


def operator_input(value, **more):
    keys = {"MessageSchemaVersion": "1.0", "RequestId": str(uuid.uuid4()), "TokenValue": value,
            "ClientId": str(uuid.uuid4()), "ClientVersion": "1.2.650.0"}
    keys.update(more)
    return json.dumps(keys).encode()


def operator_end(answer):
    """The operator's, as its client opens it: no signature, the token only."""
    url = urlsplit(answer["StreamUrl"])
    end = Socket(None, url.path + "?" + url.query)
    end.send(1, operator_input(answer["TokenValue"]))
    return end


def wait_status(session, wanted):
    state = {}
    for _ in range(100):
        state = ctl("session", session=session)
        if state["status"] == wanted:
            break
        time.sleep(0.05)
    return state


def data(kind, sequence, payload, payload_type=1):
    flags = 1 if kind == "output_stream_data" and sequence == 0 else 0
    return write_message(kind, payload, flags=flags, sequence=sequence, payload_type=payload_type)


def ack(m, kind="input_stream_data"):
    return write_message("acknowledge", {
        "AcknowledgedMessageType": kind, "AcknowledgedMessageId": str(m.id),
        "AcknowledgedMessageSequenceNumber": 0, "IsSequentialMessage": True}, flags=3)


class Ends:
    """A session with both ends open; what is left of it is ended by the node."""

    def __init__(self, aws, node, s, **more):
        self.s = s
        self.answer = aws.start_session(Target=IID, **more)
        self.id = self.answer["SessionId"]
        message(s)
        self.operator = operator_end(self.answer)
        self.node = node_end(node, self.id)
        state = wait_status(self.id, "Connected")
        assert state["status"] == "Connected", state

    def done(self):
        complete(self.s, self.id)
        while message(self.s).kind != "agent_task_acknowledge":
            pass


def test_rest(aws, node, s):
    session = aws.start_session(Target=IID)["SessionId"]
    message(s)
    path = DATA + session
    for what, where, body in (
            ("a strange session", DATA + "op-1", body_of(ClientId="")),
            ("a query", path + "?a=b", body_of(ClientId="")),
            ("no ClientId", path, body_of()), ("a ClientId", path, body_of(ClientId="x"))):
        status, text = rest(node, where, body)
        ok(status == 400 and text.startswith("<"), "CreateDataChannel: %s is refused in XML" % what,
           status, text)
    same(rest(node, path, body_of(ClientId=""))[0], 201, "CreateDataChannel is answered with 201")
    for what, arguments, wanted in (
            ("without signature", (None, path + "?role=publish_subscribe"), 400),
            ("with the operator's query, signed", (node, path + "?role=publish_subscribe&cell-number=sandbox"), 400),
            ("of a strange session", (node, DATA + "op-1?role=publish_subscribe"), 400),
            ("of a strange session, unsigned",
             (None, DATA + "op-1?role=publish_subscribe&cell-number=sandbox"), 400)):
        same(Socket(*arguments).status, wanted, "an upgrade %s is refused" % what)
    for what, more in (("another instance", {"ClientInstanceId": "i-00000000000000001"}),
                       ("a ClientId", {"ClientId": "x"}), ("one more key", {"More": ""}),
                       ("a wrong token", {"TokenValue": "x"})):
        end = Socket(node, path + "?role=publish_subscribe")
        end.send(1, node_input(session, token(node, path, ClientId=""), **more))
        same(end.closed(), 1008, "the node's first message with %s closes with 1008" % what)
    for what, more in (("a wrong token", {"TokenValue": "x"}), ("no client", {"ClientId": ""})):
        end = Socket(None, path + "?role=publish_subscribe&cell-number=sandbox")
        end.send(1, operator_input(aws.resume_session(SessionId=session)["TokenValue"], **more))
        same(end.closed(), 1008, "the operator's with %s closes with 1008" % what)
    aws.terminate_session(SessionId=session)
    same(message(s).kind, "channel_closed", "the node is told of the end")
    status, text = rest(node, path, body_of(ClientId=""))
    ok(status == 400 and "Session is already terminated" in text,
       "CreateDataChannel of an ended session: Session is already terminated", text)
    complete(s, session)
    message(s)


def test_frames(aws, operator, node, s):
    ends = Ends(aws, node, s)
    same(described(operator, "Active", ends.id)["Status"], "Connected", "both ends open: Connected")
    frames = [data("output_stream_data", 0, b"$ "), data("output_stream_data", 1, bytes(range(256)), 11)]
    for frame in frames:
        ends.node.send(2, frame)
    same([ends.operator.frame()[1] for _ in frames], frames, "node to operator: the bytes as they were")
    frames = [data("input_stream_data", 0, b"ls\r"), data("input_stream_data", 1, {"cols": 80}, 3),
              b"what no client sends"]
    for frame in frames:
        ends.operator.send(2, frame)
    same([ends.node.frame()[1] for _ in frames], frames, "operator to node: even what is no message")
    got = Message(frames[0])
    ends.node.send(2, ack(got))
    same(ends.operator.frame()[1][4:15], b"acknowledge", "acknowledgements, too")
    for end in (ends.node, ends.operator):
        end.send(9, b"keepalive")
        same(end.frame(), (10, b"keepalive"), "a ping is answered")
    state = ctl("session", session=ends.id)
    same([(state[x]["frames"], state[x]["pings"]) for x in ("node", "operator")], [(3, 1), (3, 1)],
         "all is counted")
    lines = [x for x in ctl("journal") if x.get("path") == DATA + ends.id and "bytes" in x]
    same([(x["direction"], x["operation"], x["bytes"]) for x in lines if "ls" not in str(x.get("request"))][:2],
         [("in", "agent_session_state", lines[0]["bytes"]), ("in", "output_stream_data", 2)],
         "the journal has them, without the bytes")
    many = [data("output_stream_data", n, os.urandom(1024)) for n in range(2, 302)]
    for frame in many:
        ends.node.send(2, frame)
    same([ends.operator.frame()[1] for _ in many], many, "300 frames keep their order")
    ends.node.send(2, session_state(ends.id, "Terminating"))
    same(wait_status(ends.id, "Terminating")["status"], "Terminating", "the node says Terminating")
    complete(s, ends.id, output="it is over")
    closed = Message(ends.operator.frame()[1])
    same((closed.kind, list(closed.json), closed.json["Output"]),
         ("channel_closed", CLOSED + ["Output"], "it is over"), "the operator gets the output")
    same((ends.operator.closed(), ends.node.closed()), (1000, 1000), "and both channels are closed")
    same(message(s).kind, "agent_task_acknowledge", "and the node its acknowledgement")


def test_terminate(aws, node, s):
    ends = Ends(aws, node, s)
    aws.terminate_session(SessionId=ends.id)
    same([message(s).kind, Message(ends.node.frame()[1]).kind, Message(ends.operator.frame()[1]).kind],
         ["channel_closed"] * 3, "terminate-session: channel_closed on all three channels")
    ends.done()
    same(ctl("session", session=ends.id)["status"], "Terminated", "the node's answer ends it")


def test_late(aws, s):
    answer = aws.start_session(Target=IID)
    message(s)
    complete(s, answer["SessionId"], "Failed", "no such user")
    message(s)
    late = operator_end(answer)
    closed = Message(late.frame()[1])
    same((closed.kind, closed.json["Output"], late.closed()), ("channel_closed", "no such user", 1000),
         "an operator who comes after the end is told")
    url = urlsplit(answer["StreamUrl"])
    same(Socket(None, url.path + "?" + url.query).status, 400, "once")
    answer = aws.start_session(Target=IID)
    message(s)
    aws.terminate_session(SessionId=answer["SessionId"])
    message(s)
    late = operator_end(answer)
    same(Message(late.frame()[1]).kind, "channel_closed", "one who comes while it ends, too")
    complete(s, answer["SessionId"])
    message(s)
    same(late.closed(), 1000, "and is closed with it")


def test_away(aws, operator, node, s):
    ends = Ends(aws, node, s)
    ends.operator.sock.close()
    same(Message(ends.node.frame()[1]).kind, "pause_publication", "the operator is away: pause_publication")
    same(described(operator, "Active", ends.id)["Status"], "Disconnected", "the session is Disconnected")
    ends.node.send(2, data("output_stream_data", 0, b"lost"))
    ends.operator = operator_end(aws.resume_session(SessionId=ends.id))
    same(Message(ends.node.frame()[1]).kind, "start_publication", "it is back: start_publication")
    frame = data("output_stream_data", 1, b"there")
    ends.node.send(2, frame)
    same(ends.operator.frame()[1], frame, "what came while it was away is lost")
    second = operator_end(aws.resume_session(SessionId=ends.id))
    same(ends.operator.closed(), 1000, "a second channel of the operator displaces the first")
    again = node_end(node, ends.id, None)
    same(ends.node.closed(), 1000, "and one of the node the node's")
    frame = data("input_stream_data", 0, b"x")
    second.send(2, frame)
    same(again.frame()[1], frame, "which go on with the session")
    ctl("session", session=ends.id, do="cut", side="node")
    try:
        again.frame()
        ok(False, "the control socket cuts a channel")
    except (EOFError, ConnectionError):
        ok(True, "the control socket cuts a channel")
    same(wait_status(ends.id, "Disconnected")["status"], "Disconnected", "without the node: Disconnected")
    third = node_end(node, ends.id, None)
    same(wait_status(ends.id, "Connected")["status"], "Connected", "with it: Connected")
    ctl("session", session=ends.id, do="send", side="node", type="pause_publication")
    same(Message(third.frame()[1]).kind, "pause_publication", "any message by the control socket")
    ends.done()


def test_checked(aws, node, s):
    def closes(what, frame, op=2):
        ends = Ends(aws, node, s)
        ends.node.send(op, frame if isinstance(frame, bytes) else frame(ends.id))
        same(ends.node.closed(), 1008, "node: %s closes with 1008" % what)
        ends.done()
    closes("no SYN at 0", write_message("output_stream_data", b"x", payload_type=1))
    closes("SYN at 1", write_message("output_stream_data", b"x", flags=1, sequence=1, payload_type=1))
    closes("payload type 13", data("output_stream_data", 0, b"x", 13))
    closes("payload type 0", data("output_stream_data", 0, b"x", 0))
    closes("an empty payload", data("output_stream_data", 0, b""))
    closes("a wrong digest", write_message("output_stream_data", b"x", flags=1, payload_type=1, digest=b"x" * 32))
    closes("a message of the operator", data("input_stream_data", 0, b"x"))
    closes("an acknowledgement without flags", write_message("acknowledge", {}))
    closes("one with strange members", write_message("acknowledge", {"a": 1}, flags=3))
    closes("a state Resting", lambda x: session_state(x, "Resting"))
    closes("the state of another session", lambda x: session_state("op-1", "Connected"))
    closes("a frame that is too short", b"x" * 119)
    closes("a text message", b"{}", 1)
    closes("a ping that is not keepalive", b"ping", 9)


def test_faults(aws, node, s):
    kinds = (("drop", [1, 2]), ("duplicate", [0, 0, 1, 2]), ("reorder", [1, 0, 2]), ("corrupt", [None, 1, 2]),
             ("delay", [1, 2, 0]))
    for way, sender, taker, kind in (("out", "operator", "node", "input_stream_data"),
                                     ("in", "node", "operator", "output_stream_data")):
        for fault, wanted in kinds:
            ends = Ends(aws, node, s)
            more = {"delay_ms": 400} if fault == "delay" else {}
            ctl("fault", service="ssmmessages", operation="%s:%s" % (way, kind), kind=fault, count=1, **more)
            frames = [data(kind, n, b"%d" % n) for n in range(3)]
            for frame in frames:
                getattr(ends, sender).send(2, frame)
            got = [getattr(ends, taker).frame()[1] for _ in wanted]
            same([frames.index(x) if x in frames else None for x in got], wanted, "%s %s" % (way, fault))
            ctl("clear-faults")
            ends.done()


def test_lost_channel(aws, node, s):
    for way, sender, kind in (("out", "operator", "input_stream_data"), ("in", "node", "output_stream_data")):
        for fault, code in (("close", 1001), ("reset", 0)):
            ends = Ends(aws, node, s)
            ctl("fault", service="ssmmessages", operation="%s:%s" % (way, kind), kind=fault, count=1)
            getattr(ends, sender).send(2, data(kind, 0, b"x"))
            same(ends.node.closed(), code, "%s %s: the node's channel is lost" % (way, fault))
            again = node_end(node, ends.id, None)
            wait_status(ends.id, "Connected")
            frame = data("input_stream_data", 0, b"x")
            ends.operator.send(2, frame)
            same(again.frame()[1], frame, "and the next one goes on with the operator's")
            ctl("clear-faults")
            ends.done()


def test_slow_operator(aws, node, s):
    """Who does not read holds up who sends; nothing is lost or kept without limit."""
    ends = Ends(aws, node, s)
    frames = [data("output_stream_data", n, bytes([n % 256]) * 16384) for n in range(1600)]
    ends.node.sock.settimeout(1)
    sent = 0
    try:
        while sent < len(frames):
            ends.node.send(2, frames[sent])
            sent += 1
    except socket.timeout:
        pass
    ok(sent < len(frames), "a node whose operator does not read is held up", sent)
    # What was cut short in the middle is not known: only whole frames are counted on.
    got = [ends.operator.frame()[1] for _ in range(sent)]
    ok(got == frames[:sent], "and all of it comes when it reads again", len(got), sent)
    ends.done()


def test_limits(aws, node, operator, s):
    ctl("set", minute_ms=300)
    name = "Sandbox-Short"
    operator.ask("CreateDocument", Name=name, DocumentType="Session", Content=json.dumps({
        "schemaVersion": "1.0", "sessionType": "Standard_Stream",
        "inputs": {"idleSessionTimeout": "4", "maxSessionDuration": "8"}}))
    began = time.monotonic()
    ends = Ends(aws, node, s, DocumentName=name)
    closed = Message(ends.operator.frame()[1])
    ok(closed.kind == "channel_closed" and time.monotonic() - began < 2.4, "idleSessionTimeout ends it",
       closed.payload, time.monotonic() - began)
    same(message(s).kind, "channel_closed", "the node is told")
    ends.done()
    began = time.monotonic()
    ends = Ends(aws, node, s, DocumentName=name)
    same(described(operator, "Active", ends.id)["MaxSessionDuration"], "8", "it has a longest duration")
    ends.operator.sock.settimeout(0.2)
    n, closed = 0, None
    while not closed and n < 60:
        ends.operator.send(2, data("input_stream_data", n, b"x"))
        n += 1
        try:
            closed = Message(ends.operator.frame()[1])
        except socket.timeout:
            pass
    ok(closed and closed.kind == "channel_closed" and time.monotonic() - began >= 2.3,
       "maxSessionDuration ends one that is busy", time.monotonic() - began)
    ends.done()
    ctl("set", minute_ms=60000)


# ---- the aws command line ----


def test_command_line(node, s):
    """aws ssm start-session with a client of ours in the place of its plugin."""
    with tempfile.TemporaryDirectory() as folder:
        plugin = os.path.join(folder, "session-manager-plugin")
        with open(plugin, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\nexec /usr/bin/python3 '%s/session_client.py' '%s' '%s' \"$@\"\n" % (
                sys.path[0], sys.argv[1], sys.argv[2]))
        os.chmod(plugin, 0o755)
        aws = subprocess.Popen(
            [READY["root"] + "/bin/aws", "ssm", "start-session", "--target", IID,
             "--document-name", "AWS-StartNonInteractiveCommand", "--parameters", "command=cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=dict(os.environ, PATH=folder + ":" + os.environ["PATH"]))
        s.sock.settimeout(60)  # it takes its time to begin
        start = message(s)
        session = start.json["taskId"]
        end = node_end(node, session)
        wait_status(session, "Connected")
        end.send(2, data("output_stream_data", 0, {
            "AgentVersion": "3.3.0.0", "RequestedClientActions": [
                {"ActionType": "SessionType", "ActionParameters": {
                    "SessionType": "NonInteractiveCommands", "Properties": None}}]}, 5))
        got = [Message(end.frame()[1]) for _ in range(2)]
        answer = next(m.json for m in got if m.kind == "input_stream_data")
        same(answer["ProcessedClientActions"][0]["ActionStatus"], 1, "aws: the handshake is answered")
        end.send(2, data("output_stream_data", 1, {"HandshakeTimeToComplete": 1, "CustomerMessage": ""}, 7))
        Message(end.frame()[1])
        aws.stdin.write(b"to the node\n")
        aws.stdin.flush()
        typed = Message(end.frame()[1])
        same(typed.payload, b"to the node\n", "aws: what is typed comes to the node")
        end.send(2, ack(typed))
        end.send(2, data("output_stream_data", 2, b"to the operator\n"))
        Message(end.frame()[1])
        complete(s, session, output="done")
        message(s)
        out, err = aws.communicate(timeout=60)
        ok(aws.returncode == 0 and b"to the operator\n" in out and b" : done" in out,
           "aws: and back, to its end", aws.returncode, out, err)


# ---- keys ----


def test_keys(node):
    kms = client("kms")
    context = {"aws:ssm:SessionId": "op-1", "aws:ssm:TargetId": IID}
    made = kms.generate_data_key(KeyId="alias/sessions", NumberOfBytes=64, EncryptionContext=context)
    arn = made["KeyId"]
    ok(arn.startswith("arn:aws:kms:") and arn.endswith(":alias/sessions"), "an alias is named by its ARN", arn)

    def decrypt(**more):
        body = {"CiphertextBlob": base64.b64encode(made["CiphertextBlob"]).decode(), "KeyId": arn,
                "EncryptionContext": dict(reversed(context.items()))}
        body.update(more)
        return node.call("kms", "Decrypt", {k: v for k, v in body.items() if v is not None})

    def fails(what, code, **more):
        try:
            answer = decrypt(**more)
        except Refused as error:
            ok(error.code == code, "kms, %s: %s" % (what, code), str(error))
            return
        ok(False, "kms, %s: %s" % (what, code), answer)

    answer = decrypt()
    same((base64.b64decode(answer["Plaintext"]), len(made["Plaintext"]), answer["KeyId"]),
         (made["Plaintext"], 64, arn), "the node decrypts what the operator was given")
    same(decrypt(KeyId=None)["Plaintext"], answer["Plaintext"], "KeyId may be left out")
    fails("another context", "InvalidCiphertextException",
          EncryptionContext=dict(context, **{"aws:ssm:RandomChallenge": "x"}))
    fails("no context", "InvalidCiphertextException", EncryptionContext=None)
    fails("another key", "IncorrectKeyException", KeyId="alias/other")
    fails("no ciphertext of ours", "InvalidCiphertextException", CiphertextBlob="AAAA")
    fails("a key of another account", "NotFoundException", KeyId="arn:aws:kms:eu-west-1:000000000000:key/x")
    fails("a member that there is not", "ValidationException", Recipient="x")
    refused("neither size nor kind", "ValidationException", kms.generate_data_key, KeyId="alias/x")
    refused("size and kind", "ValidationException", kms.generate_data_key, KeyId="alias/x",
            NumberOfBytes=32, KeySpec="AES_256")
    same(len(kms.generate_data_key(KeyId="1234abcd", KeySpec="AES_128")["Plaintext"]), 16, "AES_128")
    same(kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=context)["Plaintext"],
         made["Plaintext"], "the operator may, too")
    try:
        node.call("kms", "GenerateDataKey", {"KeyId": "alias/x", "NumberOfBytes": 64})
        ok(False, "the node makes no keys")
    except Refused as error:
        same(error.code, "AccessDeniedException", "the node makes no keys")


def main():
    node, aws = Node(READY), client()
    operator = Operator(READY, operator_credentials())
    node.ping()
    test_refused(aws)
    s = channel(node)
    s.send(9, b"keepalive")
    s.frame()
    session = test_start(aws, operator, s)
    test_end(aws, operator, s, session)
    test_failure(aws, operator, s)
    test_documents(aws, s)
    test_lists(operator, aws, s)
    test_rest(aws, node, s)
    test_frames(aws, operator, node, s)
    test_terminate(aws, node, s)
    test_late(aws, s)
    test_away(aws, operator, node, s)
    test_checked(aws, node, s)
    test_faults(aws, node, s)
    test_lost_channel(aws, node, s)
    test_slow_operator(aws, node, s)
    test_limits(aws, node, operator, s)
    test_command_line(node, s)
    test_bad_end(node)
    test_keys(node)


main()
