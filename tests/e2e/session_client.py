# SPDX-License-Identifier: Apache-2.0
# An operator's client for sessions, with the arguments that the aws command line gives to
# session-manager-plugin: what the node puts out goes to standard output, standard input to the node.
"""usage: session_client.py READY.json PROGRAM RESPONSE REGION OPERATION [PROFILE PARAMETERS ENDPOINT]"""
import json
import os
import select
import struct
import sys
import uuid
from urllib.parse import urlsplit

from sandbox_ws import Message, Socket, write_message

CHUNK = 1024
OUTPUT, HANDSHAKE, ANSWER, COMPLETE, STDERR, EXIT_CODE = 1, 5, 6, 7, 11, 12


class Client:
    def __init__(self, response):
        url = urlsplit(response["StreamUrl"])
        self.socket = Socket(None, url.path + "?" + url.query)
        self.socket.send(1, json.dumps({
            "MessageSchemaVersion": "1.0", "RequestId": str(uuid.uuid4()),
            "TokenValue": response["TokenValue"], "ClientId": str(uuid.uuid4()),
            "ClientVersion": "1.2.650.0"}).encode())
        self.socket.sock.settimeout(None)
        self.sent = self.expected = 0
        self.early = {}

    def send(self, payload, payload_type):
        self.socket.send(2, write_message("input_stream_data", payload, sequence=self.sent,
                                          payload_type=payload_type))
        self.sent += 1

    def acknowledge(self, message, sequence):
        self.socket.send(2, write_message("acknowledge", {
            "AcknowledgedMessageType": message.kind, "AcknowledgedMessageId": str(message.id),
            "AcknowledgedMessageSequenceNumber": sequence, "IsSequentialMessage": True}, flags=3))

    def process(self, payload, payload_type):
        if payload_type in (OUTPUT, STDERR, EXIT_CODE):
            sys.stdout.buffer.write(payload)
            sys.stdout.buffer.flush()
        elif payload_type == HANDSHAKE:
            actions = json.loads(payload)["RequestedClientActions"]
            self.send(json.dumps({"ClientVersion": "1.2.650.0", "ProcessedClientActions": [
                {"ActionType": a["ActionType"], "ActionResult": None,
                 "ActionStatus": 1 if a["ActionType"] == "SessionType" else 3, "Error": ""}
                for a in actions], "Errors": None}).encode(), ANSWER)
        elif payload_type == COMPLETE:
            text = json.loads(payload)["CustomerMessage"]
            if text:
                print(text, flush=True)

    def take(self, data):
        """False: it is over."""
        message = Message(data)
        if message.kind == "channel_closed":
            print("\n\nSessionId: %s : %s\n" % (message.json["SessionId"], message.json["Output"]))
            return False
        if message.kind != "output_stream_data":
            return True
        sequence = struct.unpack(">Q", data[48:56])[0]
        if sequence < self.expected or not message.whole:
            return True
        self.early[sequence] = (message.payload, struct.unpack(">I", data[112:116])[0])
        self.acknowledge(message, sequence)
        while self.expected in self.early:
            self.process(*self.early.pop(self.expected))
            self.expected += 1
        return True

    def run(self):
        wanted = [self.socket.sock, 0]
        while True:
            ready = select.select(wanted, [], [])[0]
            if 0 in ready:
                data = os.read(0, CHUNK)
                if data:
                    self.send(data, OUTPUT)
                else:
                    wanted.remove(0)
            if self.socket.sock in ready:
                op, data = self.socket.frame()
                if op == 8 or (op in (1, 2) and not self.take(data)):
                    return


def main():
    text = sys.argv[3]
    if text == "--version":
        print("1.2.650.0")
        return
    if text.startswith("AWS_SSM_START_SESSION_RESPONSE"):
        text = os.environ[text]
    response = json.loads(text)
    print("\nStarting session with SessionId: %s" % response["SessionId"], flush=True)
    Client(response).run()


main()
