# SPDX-License-Identifier: Apache-2.0
# Sessions end to end: botocore starts them, a client by hand from spec 02 has the operator's end.
# Prints TAP lines without a plan.
"""usage: session.py READY.json PROGRAM"""
import json
import os
import struct
import time
import uuid
from urllib.parse import urlsplit

os.environ["AWS_EC2_METADATA_DISABLED"] = "true"

import botocore.session
from botocore.config import Config

from sandbox_lib import IID, READY, ok, operator_credentials, same
from sandbox_ws import Message, Socket, ctl, write_message


def client():
    credentials = operator_credentials()
    return botocore.session.Session().create_client(
        "ssm", region_name=READY["region"], endpoint_url=READY["endpoint"],
        aws_access_key_id=credentials.access_key, aws_secret_access_key=credentials.secret_key,
        config=Config(retries={"max_attempts": 0}))


class End:
    """The operator's: opened with its token, messages in order, each acknowledged once."""

    def __init__(self, answer, version="1.2.650.0"):
        url = urlsplit(answer["StreamUrl"])
        self.socket = Socket(None, url.path + "?" + url.query)
        self.socket.send(1, json.dumps({
            "MessageSchemaVersion": "1.0", "RequestId": str(uuid.uuid4()), "TokenValue": answer["TokenValue"],
            "ClientId": str(uuid.uuid4()), "ClientVersion": version}).encode())
        self.expected = self.sequence = 0
        self.early = {}
        self.output = b""
        self.closed = None

    def type(self, payload, payload_type=1):
        self.socket.send(2, write_message("input_stream_data", payload, sequence=self.sequence,
                                          payload_type=payload_type))
        self.sequence += 1

    def step(self):
        op, data = self.socket.frame()
        if op == 9:
            self.socket.send(10, data)
        if op != 2:
            return
        m = Message(data)
        sequence = struct.unpack(">q", data[48:56])[0]
        if m.kind == "channel_closed":
            self.closed = m.json
        if m.kind != "output_stream_data" or sequence < self.expected:
            return
        self.socket.send(2, write_message("acknowledge", {
            "AcknowledgedMessageType": m.kind, "AcknowledgedMessageId": str(m.id),
            "AcknowledgedMessageSequenceNumber": sequence, "IsSequentialMessage": True}, flags=3))
        self.early[sequence] = struct.unpack(">I", data[112:116])[0], m.payload
        while self.expected in self.early:
            self.take(*self.early.pop(self.expected))
            self.expected += 1

    def take(self, payload_type, payload):
        self.output += payload

    def until(self, text):
        while text not in self.output:
            self.step()

    def until_closed(self):
        while self.closed is None:
            self.step()


def wait_status(session, wanted):
    state = {}
    for _ in range(200):
        state = ctl("session", session=session)
        if state["status"] == wanted:
            break
        time.sleep(0.05)
    return state["status"]


def document(aws, name, kind, **more):
    inputs = {"shellProfile": {"linux": "echo pro''file"}} if kind == "Standard_Stream" else {}
    if os.geteuid() == 0:
        inputs.update({"runAsEnabled": True, "runAsDefaultUser": "nobody"})
    content = {"schemaVersion": "1.0", "description": name, "sessionType": kind, "inputs": inputs}
    content.update(more)
    aws.create_document(Name=name, DocumentType="Session", Content=json.dumps(content))


def test_shell(aws):
    document(aws, "Test-Shell", "Standard_Stream")
    answer = aws.start_session(Target=IID, DocumentName="Test-Shell")
    end = End(answer)
    end.until(b"profile")
    ok(True, "a shell begins, with its profile")
    end.type(b'{"cols":101,"rows":31}', 3)
    end.type(b"stty size; echo hel''lo\r")
    end.until(b"hello")
    ok(b"31 101" in end.output, "what is typed is done, at a terminal of the client's size", end.output)
    end.type(b"seq 100000 120000; exit\r")
    end.until_closed()
    lines = end.output.decode().split("\r\n")
    same([x for x in lines if x.isdigit() and len(x) == 6], [str(i) for i in range(100000, 120001)],
         "all output comes before the end")
    same(wait_status(answer["SessionId"], "Terminated"), "Terminated", "and the session is over")


def test_terminate(aws):
    answer = aws.start_session(Target=IID, DocumentName="Test-Shell")
    end = End(answer)
    end.until(b"profile")
    aws.terminate_session(SessionId=answer["SessionId"])
    same(wait_status(answer["SessionId"], "Terminated"), "Terminated", "terminate-session ends it")


def test_command(aws):
    document(aws, "Test-Command", "InteractiveCommands",
             parameters={"what": {"type": "String", "allowedPattern": r"^\w{4}$"}},
             properties={"linux": {"commands": "echo this: {{ what }}"}})
    answer = aws.start_session(Target=IID, DocumentName="Test-Command", Parameters={"what": ["that"]})
    end = End(answer)
    end.until(b"this: that")
    end.until_closed()
    ok(True, "a command with a parameter")


def test_store(aws):
    aws.put_parameter(Name="/app/what", Type="String", Value="kept")
    document(aws, "Test-Store", "InteractiveCommands",
             parameters={"what": {"type": "String"}, "more": {
                 "type": "String", "default": "{{ssm:/app/what}}", "allowedPattern": "^[a-z]+$"}},
             properties={"linux": {"commands": "echo {{ what }} {{ more }} {{ssm:/app/what:1}}"}})
    end = End(aws.start_session(Target=IID, DocumentName="Test-Store",
                                Parameters={"what": ["{{ ssm:/app/what }}"]}))
    end.until(b"kept kept kept")
    end.until_closed()
    ok(True, "values of the parameter store")


def test_refused(aws):
    document(aws, "Test-Nothing", "InteractiveCommands", properties={"linux": {"commands": " "}})
    end = End(aws.start_session(Target=IID, DocumentName="Test-Nothing"))
    end.until_closed()
    ok("Commands cannot be empty" in end.closed.get("Output", ""), "what fails says why", end.closed)


def main():
    aws = client()
    test_shell(aws)
    test_terminate(aws)
    test_command(aws)
    test_store(aws)
    test_refused(aws)


if __name__ == "__main__":
    main()
