# SPDX-License-Identifier: Apache-2.0
# Every fault of a frame, each way: the bytes of a port session arrive whole, both ways at once. The
# operator's end does as the real client does: it repeats what is not acknowledged, and acknowledges
# once. Prints TAP lines without a plan.
"""usage: session_faults.py READY.json PROGRAM"""
import hashlib
import json
import os
import select
import socket
import struct
import threading
import time
import uuid
from urllib.parse import urlsplit

from sandbox_lib import IID, ok, same
from sandbox_ws import Message, Socket, ctl, write_message
from session import client, wait_status

BYTES = 100 * 1024
CHUNK = 1024
OUTPUT, HANDSHAKE, ANSWER, COMPLETE = 1, 5, 6, 7
OVERDUE = 0.3
KINDS = ({"kind": "drop"}, {"kind": "duplicate"}, {"kind": "reorder"}, {"kind": "delay", "delay_ms": 150},
         {"kind": "corrupt"}, {"kind": "corrupt", "keep_bytes": 2}, {"kind": "corrupt", "keep_bytes": 119})
FRAMES = ("in:output_stream_data", "in:acknowledge", "out:input_stream_data", "out:acknowledge")


class Operator:
    def __init__(self, answer):
        url = urlsplit(answer["StreamUrl"])
        self.socket = Socket(None, url.path + "?" + url.query)
        self.socket.send(1, json.dumps({
            "MessageSchemaVersion": "1.0", "RequestId": str(uuid.uuid4()), "TokenValue": answer["TokenValue"],
            "ClientId": str(uuid.uuid4()), "ClientVersion": "1.2.650.0"}).encode())
        self.expected = self.sent = 0
        self.early, self.unacked = {}, {}
        self.digest, self.got = hashlib.sha256(), 0
        self.ready = self.closed = False

    def send(self, payload, payload_type):
        frame = write_message("input_stream_data", payload, sequence=self.sent, payload_type=payload_type)
        self.unacked[self.sent] = [frame, time.monotonic()]
        self.sent += 1
        self.socket.send(2, frame)

    def repeat(self):
        now = time.monotonic()
        for entry in [e for e in self.unacked.values() if now - e[1] > OVERDUE]:
            entry[1] = now
            self.socket.send(2, entry[0])

    def process(self, payload, payload_type):
        if payload_type == HANDSHAKE:
            self.send(json.dumps({"ClientVersion": "1.2.650.0", "ProcessedClientActions": [
                {"ActionType": "SessionType", "ActionResult": None, "ActionStatus": 1, "Error": ""}],
                "Errors": None}).encode(), ANSWER)
        elif payload_type == COMPLETE:
            self.ready = True
        elif payload_type == OUTPUT:
            self.digest.update(payload)
            self.got += len(payload)

    def take(self, data):
        try:
            message = Message(data)
        except (AssertionError, UnicodeDecodeError):
            return
        if not message.whole:
            return
        if message.kind == "channel_closed":
            self.closed = True
        elif message.kind == "acknowledge":
            self.unacked.pop(message.json["AcknowledgedMessageSequenceNumber"], None)
        elif message.kind == "output_stream_data":
            sequence = struct.unpack(">Q", data[48:56])[0]
            if sequence >= self.expected and sequence not in self.early:
                self.early[sequence] = (message.payload, struct.unpack(">I", data[112:116])[0])
                self.socket.send(2, write_message("acknowledge", {
                    "AcknowledgedMessageType": message.kind, "AcknowledgedMessageId": str(message.id),
                    "AcknowledgedMessageSequenceNumber": sequence, "IsSequentialMessage": True}, flags=3))
            while self.expected in self.early:
                self.process(*self.early.pop(self.expected))
                self.expected += 1

    def step(self):
        self.repeat()
        if select.select([self.socket.sock], [], [], 0.05)[0]:
            op, data = self.socket.frame()
            if op == 2:
                self.take(data)


class Server(threading.Thread):
    """Says CONTENT and takes as much; then it hangs up at once."""

    def __init__(self, content):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = str(self.socket.getsockname()[1])
        self.content, self.digest = content, hashlib.sha256()
        self.start()

    def run(self):
        s, _ = self.socket.accept()
        left = len(self.content)
        while left:
            data = s.recv(65536)
            if not data:
                break
            self.digest.update(data)
            left -= len(data)
        s.sendall(self.content)
        s.close()
        self.socket.close()


def run(aws, name, faults):
    down, up = os.urandom(BYTES), os.urandom(BYTES)
    server = Server(down)
    answer = aws.start_session(Target=IID, DocumentName="AWS-StartSSHSession",
                               Parameters={"portNumber": [server.port]})
    end = Operator(answer)
    while not end.ready:
        end.step()
    for fault in faults:
        ctl("fault", service="ssmmessages", probability=0.1, **fault)
    for at in range(0, BYTES, CHUNK):
        end.send(up[at:at + CHUNK], OUTPUT)
        if at % (8 * CHUNK) == 0:
            end.step()
    deadline = time.monotonic() + 60
    while (end.unacked or end.got < BYTES) and not end.closed and time.monotonic() < deadline:
        end.step()
    server.join(1)
    ctl("clear-faults")
    good = (end.got == BYTES and end.digest.digest() == hashlib.sha256(down).digest() and
            server.digest.digest() == hashlib.sha256(up).digest())
    ok(good, "%s: the bytes are whole both ways" % name, "%d of %d came" % (end.got, BYTES),
       "%d not acknowledged" % len(end.unacked))
    same(wait_status(answer["SessionId"], "Terminated"), "Terminated", "%s: and the session ends in order" % name)


def main():
    aws = client()
    table = [dict(kind, operation=frame) for kind in KINDS for frame in FRAMES]
    for fault in table:
        run(aws, " ".join(str(v) for v in fault.values()), [fault])
    run(aws, "all of them", [dict(fault, count=10) for fault in table])


main()
