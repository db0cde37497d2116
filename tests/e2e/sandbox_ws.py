# SPDX-License-Identifier: Apache-2.0
# A client of ssmmessages that shares no code with sandbox or agent: requests signed by botocore,
# WebSocket frames and messages by hand from spec 02.
"""sys.argv: READY.json PROGRAM"""
import base64
import hashlib
import json
import os
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request
import uuid
import xml.etree.ElementTree

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from sandbox_lib import IID, PROGRAM, READY

CONTROL = "/v1/control-channel/" + IID
QUERY = "?role=subscribe&stream=input"


def ctl(op, **members):
    line = [PROGRAM, "ctl", READY["control"], op]
    line += ["%s=%s" % (k, json.dumps(v)) for k, v in members.items()]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    if op == "journal" and not members:
        return [json.loads(x) for x in done.stdout.splitlines()]
    return json.loads(done.stdout) if op != "journal" else None


def signed(node, method, path, body=b"", headers=None, service="ssmmessages"):
    request = AWSRequest(method, READY["endpoint"] + path, headers=headers or {}, data=body)
    SigV4Auth(node.credentials, service, READY["region"]).add_auth(request)
    return dict(request.headers.items())


def rest(node, path, body, headers=None):
    kind = {"Content-Type": "application/json"}
    kind.update(headers or {})
    request = urllib.request.Request(READY["endpoint"] + path, data=body, method="POST",
                                     headers=signed(node, "POST", path, body, kind))
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def body_of(**more):
    keys = {"MessageSchemaVersion": "1.0", "RequestId": str(uuid.uuid4())}
    keys.update(more)
    return json.dumps(keys, separators=(",", ":")).encode()


def token(node, path=CONTROL, **more):
    status, text = rest(node, path, body_of(**more))
    assert status == 201, text
    root = xml.etree.ElementTree.fromstring(text)
    return next(e.text for e in root if e.tag.endswith("TokenValue"))


class Socket:
    def __init__(self, node, path=CONTROL + QUERY, headers=None, drop=None):
        """NODE None: not signed."""
        self.sock = socket.create_connection(("127.0.0.1", READY["port"]))
        self.sock.settimeout(20)
        key = base64.b64encode(os.urandom(16)).decode()
        all_headers = signed(node, "GET", path) if node else {}
        all_headers.update({"Host": "127.0.0.1:%d" % READY["port"], "Upgrade": "websocket",
                            "Connection": "Upgrade", "Sec-WebSocket-Key": key,
                            "Sec-WebSocket-Version": "13"})
        all_headers.update(headers or {})
        if drop:
            del all_headers[drop]
        lines = ["GET %s HTTP/1.1" % path] + ["%s: %s" % x for x in all_headers.items()]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            more = self.sock.recv(1)
            if not more:
                break
            head += more
        self.status = int(head.split()[1])
        if self.status == 101:
            digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
            assert b"sec-websocket-accept: " + base64.b64encode(digest).lower() in head.lower(), head

    def send(self, op, data, mask=b"mask", first=None):
        head = bytes([0x80 | op if first is None else first])
        bit = 0x80 if mask else 0
        n = len(data)
        if n < 126:
            head += bytes([bit | n])
        elif n < 65536:
            head += bytes([bit | 126]) + struct.pack(">H", n)
        else:
            head += bytes([bit | 127]) + struct.pack(">Q", n)
        if mask:
            data = mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data))
        self.sock.sendall(head + data)

    def exactly(self, n):
        data = b""
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def frame(self):
        first, n = self.exactly(2)
        if n == 126:
            n = struct.unpack(">H", self.exactly(2))[0]
        elif n == 127:
            n = struct.unpack(">Q", self.exactly(8))[0]
        return first & 0xf, self.exactly(n)

    def closed(self):
        """The code of the Close that comes; 0 when none does."""
        try:
            while True:
                op, data = self.frame()
                if op == 8:
                    return struct.unpack(">H", data[:2])[0]
        except (EOFError, ConnectionError):
            return 0


def write_message(kind, payload, message_id=None, flags=0, digest=None, schema=1, sequence=0,
                  payload_type=0):
    data = payload if isinstance(payload, bytes) else json.dumps(payload, separators=(",", ":")).encode()
    raw = (message_id or uuid.uuid4()).bytes
    return (struct.pack(">I", 116) + kind.encode().ljust(32) + struct.pack(">IQQQ", schema,
            int(time.time() * 1000), sequence, flags) + raw[8:] + raw[:8] +
            (digest or hashlib.sha256(data).digest()) +
            struct.pack(">II", payload_type, len(data)) + data)


class Message:
    def __init__(self, data):
        assert struct.unpack(">I", data[:4])[0] == 116
        self.kind = data[4:36].decode().rstrip(" ")
        self.created = struct.unpack(">Q", data[40:48])[0]
        self.id = uuid.UUID(bytes=data[72:80] + data[64:72])
        self.payload = data[120:]
        assert struct.unpack(">I", data[116:120])[0] == len(self.payload)
        self.whole = hashlib.sha256(self.payload).digest() == data[80:112]
        try:
            self.json = json.loads(self.payload) if self.whole else None
        except ValueError:  # bytes of a stream
            self.json = None


def open_input(value, **more):
    keys = {"Cookie": None, "MessageSchemaVersion": "1.0", "RequestId": str(uuid.uuid4()),
            "TokenValue": value, "AgentVersion": "3.3.2746.0", "PlatformType": "linux"}
    keys.update(more)
    return json.dumps(keys, separators=(",", ":")).encode()


def channel(node):
    s = Socket(node)
    s.send(1, open_input(token(node)))
    return s
