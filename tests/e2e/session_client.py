# SPDX-License-Identifier: Apache-2.0
# An operator's client for sessions, with the arguments that the aws command line gives to
# session-manager-plugin: what the node puts out goes to standard output, standard input to the node.
# SESSION_CLIENT=wrong-key: it encrypts with another key than it asked for; no-challenge: as clients
# did that knew no challenge in the key's context; mute: it does not answer the challenge; other-kms-key,
# other-target: the data key is of another key of KMS, or for another node.
"""usage: session_client.py READY.json PROGRAM RESPONSE REGION OPERATION [PROFILE PARAMETERS ENDPOINT]"""
import base64
import json
import os
import select
import struct
import sys
import uuid
from urllib.parse import urlsplit

import botocore.session
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox_lib import READY, operator_credentials
from sandbox_ws import Message, Socket, write_message

CHUNK = 1024
OUTPUT, HANDSHAKE, ANSWER, COMPLETE, CHALLENGE, CHALLENGE_ANSWER, STDERR, EXIT_CODE = \
    1, 5, 6, 7, 8, 9, 11, 12
KIND = os.environ.get("SESSION_CLIENT", "")


class Crypt:
    """The data key of a session, spec 02 section 4.4."""

    def __init__(self, key, session, target, challenge):
        credentials = operator_credentials()
        kms = botocore.session.Session().create_client(
            "kms", region_name=READY["region"], endpoint_url=READY["endpoint"],
            aws_access_key_id=credentials.access_key, aws_secret_access_key=credentials.secret_key)
        context = {"aws:ssm:SessionId": session, "aws:ssm:TargetId": target}
        if challenge:
            context["aws:ssm:RandomChallenge"] = challenge
        answer = kms.generate_data_key(KeyId=key, NumberOfBytes=64, EncryptionContext=context)
        self.blob = base64.b64encode(answer["CiphertextBlob"]).decode()
        plain = os.urandom(64) if KIND == "wrong-key" else answer["Plaintext"]
        self.theirs, self.ours = AESGCM(plain[:32]), AESGCM(plain[32:])

    def seal(self, data):
        nonce = os.urandom(12)
        return nonce + self.ours.encrypt(nonce, data, None)

    def open(self, data):
        return self.theirs.decrypt(data[:12], data[12:], None)


class Client:
    def __init__(self, response, target):
        self.session, self.target = response["SessionId"], target
        self.crypt, self.encrypted, self.begun = None, False, False
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

    def act(self, action):
        """The answer to one of the requested actions."""
        answer = {"ActionType": action["ActionType"], "ActionStatus": 1, "ActionResult": None, "Error": ""}
        if action["ActionType"] == "KMSEncryption":
            asked = action["ActionParameters"]
            known = KIND != "no-challenge"
            self.crypt = Crypt("alias/other" if KIND == "other-kms-key" else asked["KMSKeyId"], self.session,
                               "i-00000000000000000" if KIND == "other-target" else self.target,
                               asked["Challenge"] if known else None)
            answer["ActionResult"] = {"KMSCipherTextKey": self.crypt.blob, "KMSCipherTextHash": None}
            if known:
                answer["ActionResult"]["ChallengeAcknowledgement"] = True
        elif action["ActionType"] != "SessionType":
            answer["ActionStatus"] = 3
        return answer

    def answer_challenge(self, payload):
        sealed = base64.b64decode(json.loads(payload)["Challenge"])
        data = os.urandom(64) if KIND == "wrong-key" else self.crypt.open(sealed)
        self.send(json.dumps({"Challenge": base64.b64encode(self.crypt.seal(data)).decode()}).encode(),
                  CHALLENGE_ANSWER)

    def process(self, payload, payload_type):
        self.begun = self.begun or payload_type in (OUTPUT, STDERR, COMPLETE)
        if payload_type in (OUTPUT, STDERR, EXIT_CODE):
            sys.stdout.buffer.write(self.crypt.open(payload) if self.encrypted else payload)
            sys.stdout.buffer.flush()
        elif payload_type == HANDSHAKE:
            actions = json.loads(payload)["RequestedClientActions"]
            self.send(json.dumps({"ClientVersion": "1.2.650.0", "ProcessedClientActions": [
                self.act(a) for a in actions], "Errors": None}).encode(), ANSWER)
        elif payload_type == CHALLENGE and KIND != "mute":
            self.answer_challenge(payload)
        elif payload_type == COMPLETE:
            self.encrypted = self.crypt is not None
            text = json.loads(payload)["CustomerMessage"]
            if text:
                print(text, flush=True)

    def type(self, data):
        self.send(self.crypt.seal(data) if self.encrypted else data, OUTPUT)

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
            # As the client: nothing is typed before the session has shown a sign of life.
            ready = select.select(wanted if self.begun else wanted[:1], [], [])[0]
            if 0 in ready:
                data = os.read(0, CHUNK)
                if data:
                    self.type(data)
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
    parameters = json.loads(sys.argv[7]) if len(sys.argv) > 7 and sys.argv[7] else {}
    Client(response, parameters.get("Target", READY["instance"])).run()


main()
