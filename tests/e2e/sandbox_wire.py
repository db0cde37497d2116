# SPDX-License-Identifier: Apache-2.0
# The sandbox, request by request, signed by botocore: prints TAP lines without a plan.
"""usage: sandbox_wire.py READY.json PROGRAM"""
import datetime
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid

from botocore.credentials import Credentials

import sandbox_documents
import sandbox_store
import sandbox_targets
from fake_node import Node, Refused, step
from sandbox_lib import (IID, MODEL, READY, Operator, ctl, finish, http_status, journal, ok,
                         operator_credentials, refused, same, take)


# ---- metadata and credentials ----

def test_imds(node):
    good = node.token
    same(http_status("GET", "/latest/meta-data/instance-id")[0], 401, "no token, v2 required")
    same(http_status("GET", "/latest/meta-data/instance-id", good), (200, IID), "instance id")
    same(http_status("GET", "/latest/meta-data/placement/region", good), (200, READY["region"]),
         "region")
    same(http_status("GET", "/latest/meta-data/placement/availability-zone", good)[1],
         READY["region"] + "a", "availability zone")
    same(http_status("GET", "/latest/meta-data/placement/availability-zone-id", good)[0], 200,
         "availability zone id")
    doc = json.loads(http_status("GET", "/latest/dynamic/instance-identity/document", good)[1])
    same((doc["instanceId"], doc["region"]), (IID, READY["region"]), "identity document")
    same(http_status("GET", "/latest/meta-data/nothing", good)[0], 404, "unknown path")
    same(http_status("GET", "/latest/meta-data/instance-id",
                     {"x-aws-ec2-metadata-token": "bad"})[0], 401, "wrong token")
    put = "/latest/api/token"
    ttl = "x-aws-ec2-metadata-token-ttl-seconds"
    same(http_status("PUT", put)[0], 400, "token without ttl")
    same(http_status("PUT", put, {ttl: "21601"})[0], 400, "ttl too long")
    same(http_status("PUT", put, {ttl: "60", "X-Forwarded-For": "1.2.3.4"})[0], 403, "forwarded")
    same(http_status("GET", put)[0], 405, "token by GET")


def test_imds_switches(node):
    path, ttl = "/latest/meta-data/instance-id", {"x-aws-ec2-metadata-token-ttl-seconds": "60"}
    ctl("imds", mode="both")
    same(http_status("GET", path)[0], 200, "v1 beside v2")
    ctl("imds", mode="v1-only")
    same(http_status("PUT", "/latest/api/token", ttl)[0], 404, "v1 only: no token")
    same(http_status("GET", path)[0], 200, "v1 only: metadata")
    ctl("imds", mode="off")
    same(http_status("GET", path, node.token)[0], 403, "switched off")
    ctl("imds", mode="v2-required", token_status=503)
    same(http_status("PUT", "/latest/api/token", ttl)[0], 503, "token status")
    ctl("imds", token_status=0, role=False)
    same(http_status("GET", "/latest/meta-data/iam/security-credentials/", node.token)[0], 404,
         "no role")
    ctl("imds", role=True, forget_tokens=True)
    same(http_status("GET", path, node.token)[0], 401, "forgotten token")
    node.imds_credentials()
    ctl("fault", kind="hang", service="imds", operation="PutToken", count=1)
    request = urllib.request.Request(READY["endpoint"] + "/latest/api/token", method="PUT",
                                     headers=ttl)
    try:
        urllib.request.urlopen(request, timeout=0.3)
        ok(False, "token that never comes")
    except (TimeoutError, socket.timeout):
        ok(True, "token that never comes")


def test_ecs(node):
    ctl("ecs", token="secret of the task")
    same(http_status("GET", "/v2/credentials/sandbox")[0], 401, "no Authorization")
    same(http_status("GET", "/v2/credentials/sandbox", {"Authorization": "wrong"})[0], 401,
         "wrong Authorization")
    same(http_status("GET", "/v2/credentials/other",
                     {"Authorization": "secret of the task"})[0], 404, "other task")
    credentials = node.ecs_credentials("secret of the task")
    node.call("ec2messages", "AcknowledgeMessage", {"MessageId": dummy_message()}, credentials)
    same(journal()[-1]["source"], "ecs", "container credentials are good and told apart")
    ctl("ecs")
    same(http_status("GET", "/v2/credentials/sandbox")[0], 200, "no token wanted")


def dummy_message():
    return ctl("message", topic="aws.ssm.other.x", payload="{}")["message"]


# ---- signatures ----

def test_signatures(node, operator):
    def ping(**kwargs):
        return node.call("ssm", "UpdateInstanceInformation", {"InstanceId": IID}, **kwargs)

    key = node.credentials
    refused("unknown key", "UnrecognizedClientException", ping,
            credentials=Credentials("AKIANOBODY", "x"))
    refused("wrong secret", "InvalidSignatureException", ping,
            credentials=Credentials(key.access_key, "x" * 40, key.token))
    refused("no session token", "UnrecognizedClientException", ping,
            credentials=Credentials(key.access_key, key.secret_key))

    def unsigned(request):
        del request.headers["Authorization"]

    def other_body(request):
        request.data = b'{"InstanceId":"i-0000000000000000f"}'

    def bare_header(request):
        request.headers["X-Amz-Extra"] = "1"

    refused("unsigned", "MissingAuthenticationTokenException", ping, mangle=unsigned)
    refused("changed body", "InvalidSignatureException", ping, mangle=other_body)
    refused("unsigned x-amz header", "InvalidSignatureException", ping, mangle=bare_header)
    node.region, region = "us-east-1", node.region
    refused("wrong region", "InvalidSignatureException", ping)
    node.region = region
    ctl("set", skew_ms=600000)
    try:
        ping()
        ok(False, "clock skew is refused")
    except Refused as error:
        date = datetime.datetime.strptime(error.headers["Date"], "%a, %d %b %Y %H:%M:%S GMT")
        ahead = (date - datetime.datetime.utcnow()).total_seconds()
        ok(error.code == "InvalidSignatureException" and "expired" in error.message
           and 590 < ahead < 610, "clock skew is refused, Date tells the time", error, ahead)
    ctl("set", skew_ms=-600000)
    refused("clock skew the other way", "InvalidSignatureException", ping)
    ctl("set", skew_ms=0)
    refused("operator on the node's side", "AccessDeniedException", node.call, "ec2messages",
            "AcknowledgeMessage", {"MessageId": "x" * 20}, operator.credentials)
    refused("node on the operator's side", "AccessDeniedException", node.call, "ssm",
            "ListCommands", {})


def test_expiry(node):
    old = node.credentials
    ctl("expire", source="imds")
    refused("expired credentials", "ExpiredTokenException", node.ping)
    node.credentials = node.imds_credentials()
    ok(node.credentials.access_key != old.access_key, "new credentials after the end")
    ctl("rotate", source="imds")
    node.ping()
    ok(True, "older credentials stay valid after a rotation")


# ---- shapes ----

def test_shapes(node):
    call = node.call
    mds = "ec2messages"
    refused("unknown operation", "UnknownOperationException", call, "ssm", "DeleteEverything", {})
    refused("unknown ec2messages operation", "UnknownOperationException", call, mds, "GetMessage",
            {})
    refused("wrong content type", "SerializationException", call, mds, "AcknowledgeMessage",
            {"MessageId": "x" * 20}, headers={"Content-Type": "application/json"})
    refused("not JSON", "SerializationException", call, mds, "AcknowledgeMessage", b"<xml/>")
    refused("not an object", "SerializationException", call, mds, "AcknowledgeMessage", b"[]")
    refused("unknown member", "ValidationException", call, mds, "AcknowledgeMessage",
            {"MessageId": "x" * 20, "messageId": "y"})
    refused("too short", "ValidationException", call, mds, "AcknowledgeMessage",
            {"MessageId": "short"})
    refused("missing member", "ValidationException", call, mds, "GetMessages",
            {"Destination": IID})
    refused("wrong type", "SerializationException", call, mds, "GetMessages",
            {"Destination": IID, "MessagesRequestId": str(uuid.uuid4()),
             "VisibilityTimeoutInSeconds": "10"})
    refused("unknown destination", "InvalidDestinationException", call, mds, "GetMessages",
            {"Destination": "i-0000000000000000f", "MessagesRequestId": str(uuid.uuid4())})
    refused("unknown header", "ValidationException", call, mds, "AcknowledgeMessage",
            {"MessageId": "x" * 20}, headers={"X-Amz-Fun": "1"})
    refused("unknown message", "InvalidMessageIdException", call, mds, "AcknowledgeMessage",
            {"MessageId": "aws.ssm.none.of.these"})
    refused("unknown failure type", "ValidationException", call, mds, "FailMessage",
            {"MessageId": "x" * 20, "FailureType": "Tired"})
    refused("ping of a stranger", "InvalidInstanceId", call, "ssm", "UpdateInstanceInformation",
            {"InstanceId": "i-0000000000000000f"})
    refused("ping with an unknown member", "ValidationException", node.ping, Mood="good")
    refused("ping with an empty name", "ValidationException", node.ping, AgentName="")


# ---- a command ----

def test_life(node, operator):
    command = operator.send(Comment="life")
    same((operator.invocation(command)["Status"], operator.command(command)["Status"]),
         ("Pending", "Pending"), "pending")
    same(operator.result(command)["ResponseCode"], -1, "no response code yet")
    message = take(node, command)
    same((message["Destination"], message["MessageId"], message["Topic"]),
         (IID, "aws.ssm.%s.%s" % (command, IID),
          "aws.ssm.sendCommand.%s.%s" % (READY["region"], IID)), "envelope")
    payload = json.loads(message["Payload"])
    same((payload["Parameters"], payload["CommandId"], payload["CloudWatchOutputEnabled"]),
         ({"commands": ["true"]}, command, "false"), "payload")
    node.reply(message, "InProgress")
    invocation = operator.invocation(command)
    same((invocation["Status"], invocation["CommandPlugins"][0]["Status"]),
         ("InProgress", "InProgress"), "in progress")
    finish(node, message, out="hello\n", err="oops\n")
    result = operator.result(command)
    same((result["Status"], result["ResponseCode"], result["StandardOutputContent"],
          result["StandardErrorContent"], result["PluginName"]),
         ("Success", 0, "hello\n", "oops\n", "aws:runShellScript"), "success")
    done = operator.command(command)
    same((done["Status"], done["TargetCount"], done["CompletedCount"], done["ErrorCount"]),
         ("Success", 1, 1, 0), "counts")
    ok(not any(command in m["MessageId"] for m in quick_poll(node)), "no delivery after the end")
    state = ctl("invocation", command=command)
    same((state["deliveries"], state["replies"]), (1, 4), "one delivery, four replies")
    ok(state["queued_us"] <= state["delivered_us"] <= state["first_us"]
       <= state["acknowledged_us"] <= state["final_us"], "stages in order", state)


def quick_poll(node):
    ctl("set", poll_ms=50)
    messages = node.poll()
    ctl("set", poll_ms=5000)
    return messages


def test_failures(node, operator):
    command = operator.send()
    finish(node, take(node, command), "Failed", 7)
    result, whole = operator.result(command), operator.command(command)
    same((result["Status"], result["ResponseCode"], whole["Status"], whole["ErrorCount"]),
         ("Failed", 7, "Failed", 1), "failed")
    command = operator.send()
    finish(node, take(node, command), "TimedOut", 137)
    result = operator.result(command)
    same((result["Status"], result["StatusDetails"]), ("TimedOut", "ExecutionTimedOut"),
         "timed out")
    command = operator.send()
    message = take(node, command)
    node.call("ec2messages", "FailMessage",
              {"MessageId": message["MessageId"], "FailureType": "NoHandlerExists"})
    invocation = operator.invocation(command)
    same((invocation["Status"], invocation["StatusDetails"]), ("Failed", "Undeliverable"),
         "FailMessage")
    command = operator.send()
    node.reply(take(node, command), "Failed", trace="the document is wrong")
    same((operator.invocation(command)["TraceOutput"],
          operator.result(command)["StandardErrorContent"]),
         ("the document is wrong", "the document is wrong"), "document refused")


def test_limits(node, operator):
    command = operator.send()
    finish(node, take(node, command), out="\u00e9" * 24000 + "x", err="\u00e9" * 8000 + "x")
    result = operator.result(command)
    same((result["StandardOutputContent"], result["StandardErrorContent"]),
         ("\u00e9" * 24000, "\u00e9" * 8000), "24,000 and 8,000 characters")
    same(len(operator.invocation(command)["CommandPlugins"][0]["Output"]), 2500,
         "2,500 characters in a list")


def test_steps(node, operator):
    content = {"schemaVersion": "2.2", "mainSteps": [
        {"action": "aws:runShellScript", "name": "first", "inputs": {"runCommand": ["true"]}},
        {"action": "aws:runShellScript", "name": "second", "inputs": {"runCommand": ["true"]}}]}
    command = ctl("queue", document="Test-Steps", content=content)["commands"][0]
    message = take(node, command)
    same(json.loads(message["Payload"])["DocumentContent"], content, "any document")
    node.acknowledge(message)
    node.reply(message, "InProgress")
    node.reply(message, "InProgress", {"first": step(out="1")}, {"Success": 1})
    same(operator.result(command, PluginName="first")["Status"], "Success", "first step is done")
    same(operator.result(command, PluginName="second")["Status"], "InProgress",
         "second step is not")
    node.reply(message, "InProgress", {"second": step("Failed", 3, out="2")},
               {"Success": 1, "Failed": 1})
    node.reply(message, "Failed", {}, {"Success": 1, "Failed": 1})
    second = operator.result(command, PluginName="second")
    same((second["Status"], second["ResponseCode"], second["StandardOutputContent"]),
         ("Failed", 3, "2"), "second step")
    refused("steps without a name", "InvalidPluginName", operator.result, command)
    refused("unknown step", "InvalidPluginName", operator.result, command, PluginName="third")
    plugins = operator.invocation(command)["CommandPlugins"]
    same([p["Name"] for p in plugins], ["first", "second"], "all steps in the list")


def test_cancel(node, operator):
    command = operator.send()
    operator.ask("CancelCommand", CommandId=command)
    same(operator.invocation(command)["Status"], "Cancelled", "cancel before delivery")
    ok(not quick_poll(node), "a cancelled command is not delivered")
    command = operator.send()
    message = take(node, command)
    node.reply(message, "InProgress")
    node.acknowledge(message)
    operator.ask("CancelCommand", CommandId=command, InstanceIds=[IID])
    same((operator.invocation(command)["Status"], operator.command(command)["Status"]),
         ("Cancelling", "Cancelling"), "cancelling")
    cancel = take(node, command)
    same(json.loads(cancel["Payload"]), {"CancelMessageId": message["MessageId"]},
         "cancel payload")
    ok(cancel["Topic"].startswith("aws.ssm.cancelCommand.") and
       command not in cancel["MessageId"], "cancel envelope", cancel)
    node.reply(cancel, "InProgress")
    node.acknowledge(cancel)
    node.reply(message, "InProgress")
    same(operator.invocation(command)["Status"], "Cancelling", "still cancelling")
    finish(node, message, "Cancelled", 137)
    same(operator.invocation(command)["Status"], "Cancelled", "cancelled")
    refused("unknown command", "InvalidCommandId", operator.ask, "CancelCommand",
            CommandId=str(uuid.uuid4()))


def test_send_errors(operator):
    send = operator.send
    refused("unknown document", "InvalidDocument", send, DocumentName="No-Such")
    refused("unknown version", "InvalidDocumentVersion", send, DocumentVersion="7")
    refused("unknown instance", "InvalidInstanceId", send, InstanceIds=["i-0000000000000000f"])
    refused("instance named twice", "DuplicateInstanceId", send, InstanceIds=[IID, IID])
    refused("no instance", "ValidationException", send, InstanceIds=[])
    refused("unknown parameter", "InvalidParameters", send,
            Parameters={"commands": ["true"], "colour": ["red"]})
    refused("missing parameter", "InvalidParameters", send, Parameters={})
    refused("pattern", "InvalidParameters", send,
            Parameters={"commands": ["true"], "executionTimeout": ["172801"]})
    refused("two values for one", "InvalidParameters", send,
            Parameters={"commands": ["true"], "workingDirectory": ["/a", "/b"]})
    refused("too few items", "InvalidParameters", send, Parameters={"commands": []})
    refused("short time-out", "ValidationException", send, TimeoutSeconds=29)
    refused("no such invocation", "InvocationDoesNotExist", operator.result, str(uuid.uuid4()))
    for document in operator.ask("ListDocuments")["DocumentIdentifiers"]:
        operator.ask("DescribeDocument", Name=document["Name"])
        operator.ask("GetDocument", Name=document["Name"])
    nodes = operator.ask("DescribeInstanceInformation",
                         Filters=[{"Key": "InstanceIds", "Values": [IID]}])
    same([n["InstanceId"] for n in nodes["InstanceInformationList"]], [IID], "nodes by filter")
    nodes = operator.ask("DescribeInstanceInformation", InstanceInformationFilterList=[
        {"key": "PingStatus", "valueSet": ["ConnectionLost"]}])
    same(nodes["InstanceInformationList"], [], "no node by filter")


def test_pages(operator):
    seen, token = [], {}
    while True:
        page = operator.ask("ListCommands", MaxResults=2, **token)
        seen += [c["CommandId"] for c in page["Commands"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    whole = [c["CommandId"] for c in operator.ask("ListCommands")["Commands"]]
    same(seen, whole, "pages of commands")
    seen, token = [], {}
    while True:
        page = operator.ask("ListCommandInvocations", MaxResults=3, **token)
        seen += [c["CommandId"] for c in page["CommandInvocations"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    same(seen, whole, "pages of invocations")
    failed = operator.ask("ListCommands", Filters=[{"key": "Status", "value": "Failed"}])
    ok(failed["Commands"] and all(c["Status"] == "Failed" for c in failed["Commands"]),
       "filter by status")

    def listed(operation, **filters):
        answer = operator.ask(operation, Filters=[{"key": k, "value": v} for k, v in filters.items()])
        return answer["Commands" if operation == "ListCommands" else "CommandInvocations"]

    now = datetime.datetime.utcnow()
    later, before = [(now + datetime.timedelta(hours=h)).strftime("%Y-%m-%dT%H:%M:%SZ") for h in (1, -1)]
    same((len(listed("ListCommands", InvokedAfter=before, InvokedBefore=later)),
          listed("ListCommands", InvokedAfter=later), listed("ListCommandInvocations", InvokedBefore=before)),
         (len(whole), [], []), "filter by time")
    same({c["DocumentName"] for c in listed("ListCommands", DocumentName="Test-Steps")}, {"Test-Steps"},
         "filter by document")
    same(len(listed("ListCommands", ExecutionStage="Complete")) +
         len(listed("ListCommands", ExecutionStage="Executing")), len(whole), "filter by stage")
    same({i["StatusDetails"] for i in listed("ListCommandInvocations", Status="Undeliverable")},
         {"Undeliverable"}, "filter by details")
    for operation, key, value, code in (
            ("ListCommands", "Status", "Tired", "ValidationException"),
            ("ListCommands", "Status", "Terminated", "ValidationException"),
            ("ListCommandInvocations", "Status", "Incomplete", "ValidationException"),
            ("ListCommands", "InvokedAfter", "yesterday", "ValidationException"),
            ("ListCommands", "ExecutionStage", "Resting", "ValidationException"),
            ("ListCommands", "Colour", "red", "ValidationException"),
            ("ListCommandInvocations", "ExecutionStage", "Complete", "InvalidFilterKey")):
        refused("%s %s %s" % (operation, key, value), code, listed, operation, **{key: value})


# ---- delivery ----

def test_delivery(node):
    began = time.monotonic()
    ctl("set", poll_ms=20000)
    timer = threading.Timer(0.3, lambda: ctl("queue", parameters={"commands": ["true"]}))
    timer.start()
    messages = node.poll(visibility=1)
    took = time.monotonic() - began
    ok(len(messages) == 1 and took < 15, "a message ends the long poll", took, messages)
    again = node.poll(visibility=1)
    same([m["MessageId"] for m in again], [m["MessageId"] for m in messages],
         "delivered again after the visibility time-out")
    node.acknowledge(again[0])
    ctl("set", poll_ms=1500)
    same(node.poll(), [], "an acknowledged message is not delivered again")
    ctl("set", poll_ms=5000)
    node.acknowledge(again[0])
    ok(True, "acknowledged twice")
    command = again[0]["MessageId"].split(".")[2]
    same(ctl("invocation", command=command)["deliveries"], 2, "two deliveries")
    ctl("redeliver", command=command)
    same(len(node.poll()), 1, "redelivered by the control socket")
    node.acknowledge(again[0])
    ctl("fault", kind="duplicate", operation="GetMessages", count=1)
    same([m["MessageId"] for m in node.poll()], [again[0]["MessageId"]],
         "duplicate of an acknowledged message")
    finish(node, again[0])
    ctl("clear-faults")


def test_replies(node):
    command = ctl("queue", parameters={"commands": ["true"]})["commands"][0]
    message = take(node, command)
    one = str(uuid.uuid4())
    first = node.reply(message, "InProgress", reply_id=one)
    second = node.reply(message, "InProgress", reply_id=one)
    same((first["ReplyStatus"], second["ReplyStatus"]), ("Created", "NoActionTaken"),
         "the same reply twice")
    bad = step()
    del bad["standardError"]
    refused("step without standardError", "ValidationException", node.reply, message,
            "InProgress", {"x": bad})
    refused("unknown status", "ValidationException", node.reply, message, "Finished")
    refused("bad time", "ValidationException", node.reply, message, "InProgress",
            {"x": dict(step(), startDateTime="yesterday")})
    finish(node, message)
    node.reply(message, "InProgress")
    state = ctl("invocation", command=command)
    same((state["status"], state["replies_after_final"]), ("Success", 1),
         "a reply after the end changes nothing")


def test_gone_client(node, operator):
    """An agent that dies in its long poll must not take a message with it."""
    before = [n for n in ctl("status")["nodes"] if n["instance"] == IID][0]["polls"]
    victim = subprocess.Popen([sys.executable, "-c", """
import json, sys
sys.path.insert(0, sys.argv[2])
from fake_node import Node
with open(sys.argv[1]) as f:
    Node(json.load(f)).poll()
""", sys.argv[1], sys.path[0]])
    ctl("wait-node", polls=before + 1, timeout_ms=30000)
    victim.kill()
    victim.wait()
    for _ in range(100):
        if not [n for n in ctl("status")["nodes"] if n["instance"] == IID][0]["polling"]:
            break
        time.sleep(0.05)
    command = operator.send()
    began = time.monotonic()
    finish(node, take(node, command))
    ok(time.monotonic() - began < 4, "a dead poll takes no message")


def test_time_outs(operator):
    command = ctl("queue", parameters={"commands": ["true"]}, timeout_seconds=1)["commands"][0]
    done = ctl("wait", command=command, timeout_ms=20000)
    invocation = operator.invocation(command)
    same((done["ok"], invocation["Status"], invocation["StatusDetails"]),
         (True, "TimedOut", "DeliveryTimedOut"), "delivery time-out")
    same(operator.command(command)["DeliveryTimedOutCount"], 1, "counted as not delivered")
    late = ctl("queue", fail=True, parameters={"commands": ["true"]}, wait_ms=10)
    same((late["ok"], late["left"]), (False, 1), "wait with a time-out")
    operator.ask("CancelCommand", CommandId=operator.ask("ListCommands")["Commands"][0]
                 ["CommandId"])


# ---- faults ----

def test_faults(node):
    ctl("fault", kind="status", status=503, code="ServiceUnavailable", retry_after=7,
        service="ssm", operation="UpdateInstance*", nth=2)
    node.ping()
    try:
        node.ping()
        ok(False, "status fault")
    except Refused as error:
        same((error.status, error.code, error.headers["Retry-After"]),
             (503, "ServiceUnavailable", "7"), "status fault at the second request")
    node.ping()
    ok(journal()[-2]["fault"] == "status", "the journal names the fault")
    same(ctl("faults")["faults"][0]["hits"], 1, "hits are counted")
    ctl("clear-faults")
    for kind in ("reset", "close", "truncate"):
        ctl("fault", kind=kind, service="ssm", count=1)
        try:
            answer = node.ping()
            ok(False, kind, answer)
        except (ConnectionError, urllib.error.URLError, OSError, ValueError,
                __import__("http.client").client.HTTPException) as error:
            good = "reset" in repr(error).lower() if kind == "reset" else True
            ok(good, kind, repr(error))
    for garbage in ("html", "binary", "huge", "nested", "empty"):
        ctl("fault", kind="garbage", garbage=garbage, service="ssm", count=1)
        try:
            answer = node.ping()
            ok(garbage == "empty" and answer == {}, "garbage: " + garbage, answer)
        except (ValueError, RecursionError):
            ok(True, "garbage: " + garbage)
    ctl("fault", kind="delay", delay_ms=300, service="ssm", count=1)
    began = time.monotonic()
    node.ping()
    ok(time.monotonic() - began >= 0.3, "delay")
    command = ctl("queue", parameters={"commands": ["true"]})["commands"][0]
    message = take(node, command)
    ctl("fault", kind="reset", when="after", operation="AcknowledgeMessage", count=1)
    try:
        node.acknowledge(message)
        ok(False, "lost answer")
    except (ConnectionError, urllib.error.URLError):
        same(ctl("message-state", message=message["MessageId"])["state"], "acknowledged",
             "lost answer of a request that had its effect")
    finish(node, message)
    same(ctl("faults")["faults"][-1]["hits"], 1, "all counted")
    ctl("clear-faults")
    bad = ctl("fault", fail=True, kind="mischief")
    ok(not bad["ok"] and "mischief" in bad["error"], "unknown fault is refused", bad)


def test_secrets(node, operator):
    text = ctl("journal")
    leaked = [s for c in (node.credentials, operator.credentials)
              for s in (c.secret_key, c.token) if s and s in text]
    ok(not leaked, "no secret in the journal")
    ok(all(line["verified"] for line in journal()
           if line["service"] in ("ssm", "ec2messages") and line["status"] == 200
           and not line.get("fault")), "nothing was answered without a good signature")
    ctl("journal", clear=True)
    same(journal(), [], "journal emptied")


def main():
    ctl("set", poll_ms=5000)
    node = Node(READY)
    operator = Operator(READY, operator_credentials())
    refused("instance that never reported", "InvalidInstanceId", operator.send)
    node.ping(ComputerName="node.example", IPAddress="10.0.0.5", PlatformName="Debian",
              PlatformVersion="12", AgentStatus="Active", AvailabilityZone="",
              AvailabilityZoneId="", SSMConnectionChannel="ec2messages")
    test_imds(node)
    test_imds_switches(node)
    test_ecs(node)
    quick_poll(node)
    test_signatures(node, operator)
    test_expiry(node)
    test_shapes(node)
    test_life(node, operator)
    test_failures(node, operator)
    test_limits(node, operator)
    test_steps(node, operator)
    test_cancel(node, operator)
    test_send_errors(operator)
    test_pages(operator)
    test_delivery(node)
    test_replies(node)
    test_gone_client(node, operator)
    test_time_outs(operator)
    test_faults(node)
    sandbox_store.test_all(node, operator)
    sandbox_documents.test_all(node, operator)
    sandbox_targets.test_all(node, operator)
    test_secrets(node, operator)


main()
