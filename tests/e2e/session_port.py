# SPDX-License-Identifier: Apache-2.0
# Port sessions end to end: botocore starts them, streams and single connections by hand from spec
# 02 §7, servers of our own behind them. Prints TAP lines without a plan.
"""usage: session_port.py READY.json PROGRAM"""
import json
import os
import socket
import struct
import threading

from sandbox_lib import IID, ok, same
from session import End, client, wait_status

OUTPUT, REQUEST, RESPONSE, COMPLETE, FLAG = 1, 5, 6, 7, 10
SYN, FIN, PSH = 0, 1, 2
REMOTE = "AWS-StartPortForwardingSessionToRemoteHost"


class Server:
    """Answers what it got with the same, backwards, once the other side has ended."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = str(self.socket.getsockname()[1])
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            threading.Thread(target=self.serve, args=self.socket.accept()[:1], daemon=True).start()

    def serve(self, sock):
        got = b""
        while more := sock.recv(65536):
            got += more
        sock.sendall(got[::-1])
        sock.close()


class PortEnd(End):
    def __init__(self, answer, version="1.2.650.0"):
        super().__init__(answer, version)
        self.version, self.request, self.complete, self.flags = version, None, False, []
        while not self.complete and not self.closed:
            self.step()

    def take(self, payload_type, payload):
        if payload_type == OUTPUT:
            self.output += payload
        elif payload_type == REQUEST:
            self.request = json.loads(payload)
            self.type(json.dumps({"ClientVersion": self.version, "ProcessedClientActions": [
                {"ActionType": "SessionType", "ActionStatus": 1, "ActionResult": None, "Error": ""}],
                "Errors": None}).encode(), RESPONSE)
        elif payload_type == COMPLETE:
            self.complete = True
        elif payload_type == FLAG:
            self.flags.append(struct.unpack(">I", payload)[0])

    def flag(self, number):
        self.type(struct.pack(">I", number), FLAG)

    def write(self, data):
        for i in range(0, len(data), 1024):
            self.type(data[i:i + 1024])

    def frames(self):
        """Each whole frame of smux that came: its command, its stream, its data."""
        while len(self.output) >= 8:
            version, command, length, stream = struct.unpack("<BBHI", self.output[:8])
            assert version == 1
            if len(self.output) < 8 + length:
                return
            data, self.output = self.output[8:8 + length], self.output[8 + length:]
            yield command, stream, data


def frame(command, stream, data=b""):
    return struct.pack("<BBHI", 1, command, len(data), stream) + data


def start(aws, document, **parameters):
    return aws.start_session(Target=IID, DocumentName=document,
                             Parameters={name: [value] for name, value in parameters.items()})


def exchange(end, sent):
    """SENT by stream, all streams at one time; what each got until its FIN."""
    got, ended = {stream: b"" for stream in sent}, set()
    end.write(b"".join(frame(SYN, stream) for stream in sent))
    for at in range(0, max(map(len, sent.values())), 30000):
        end.write(b"".join(frame(PSH, stream, data[at:at + 30000]) for stream, data in sent.items()))
    end.write(b"".join(frame(FIN, stream) for stream in sent))
    while len(ended) < len(sent):
        for command, stream, data in end.frames():
            got[stream] += data
            if command == FIN:
                ended.add(stream)
        if len(ended) < len(sent):
            end.step()
    return got


def test_remote(aws, server):
    answer = start(aws, REMOTE, host="localhost", portNumber=server.port)
    end = PortEnd(answer)
    properties = end.request["RequestedClientActions"][0]["ActionParameters"]["Properties"]
    same((properties["host"], properties["portNumber"]), ("localhost", server.port), "the client is told where to")
    sent = {stream: os.urandom(50000) for stream in range(3, 23, 2)}
    ok(exchange(end, sent) == {s: data[::-1] for s, data in sent.items()},
       "ten connections to a host by its name, each ended by the client first")
    end.flag(2)
    end.until_closed()
    same(wait_status(answer["SessionId"], "Terminated"), "Terminated", "the client ends the session")


def test_refused_port(aws):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        answer = start(aws, REMOTE, host="127.0.0.1", portNumber=str(closed.getsockname()[1]))
        end = PortEnd(answer)
        ok(exchange(end, {3: b"x", 5: b"y"}) == {3: b"", 5: b""}, "connections that are refused end")
        while len(end.flags) < 2:
            end.step()
        same(end.flags, [3, 3], "and the client is told of each")
        aws.terminate_session(SessionId=answer["SessionId"])


def fails_with(aws, text, what, **parameters):
    end = PortEnd(start(aws, REMOTE, **parameters))
    end.until_closed()
    ok(text in end.closed.get("Output", ""), what, end.closed)


def test_forbidden(aws):
    for host in "169.254.169.254", "::ffff:169.254.169.254", "127.0.0.3", "172.31.0.2":
        fails_with(aws, "Forwarding to IP address %s is forbidden." % host, "forbidden: " + host, host=host)
    fails_with(aws, "lookup no-such-host.invalid: ", "a name that nobody knows", host="no-such-host.invalid")


def test_old_client(aws):
    """One connection at a time, made anew when the client sends again."""
    listener = socket.create_server(("127.0.0.1", 0))
    answer = start(aws, "AWS-StartPortForwardingSession", portNumber=str(listener.getsockname()[1]))
    end = PortEnd(answer, "1.1.61.0")
    for word in b"first", b"second":
        end.write(word)
        sock, _ = listener.accept()
        sock.settimeout(20)
        same(sock.recv(100), word, "an old client's bytes arrive")
        sock.sendall(word.upper())
        end.until(word.upper())
        end.flag(1)
        same(sock.recv(100), b"", "its connection ends, the session does not")
        sock.close()
    end.flag(2)
    end.until_closed()
    same(wait_status(answer["SessionId"], "Terminated"), "Terminated", "until the client ends it")


def main():
    aws, server = client(), Server()
    test_remote(aws, server)
    test_refused_port(aws)
    test_forbidden(aws)
    test_old_client(aws)


main()
