# SPDX-License-Identifier: Apache-2.0
# The sandbox's sessions: the operator by botocore, the node by a client of its own. Prints TAP
# lines without a plan.
"""usage: sandbox_session.py READY.json PROGRAM"""
import json
import os
import uuid

os.environ["AWS_EC2_METADATA_DISABLED"] = "true"

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from fake_node import Node
from sandbox_lib import IID, READY, Operator, ok, operator_credentials, same
from sandbox_ws import Message, channel, ctl, write_message

PORT = "AWS-StartPortForwardingSession"
CLOSED = ["MessageType", "MessageId", "DestinationId", "SessionId", "SchemaVersion", "CreatedDate"]


def client():
    credentials = operator_credentials()
    return botocore.session.Session().create_client(
        "ssm", region_name=READY["region"], endpoint_url=READY["endpoint"],
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
    test_bad_end(node)


main()
