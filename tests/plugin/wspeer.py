# SPDX-License-Identifier: Apache-2.0
"""The other end of a WebSocket, written from RFC 6455 and from nothing of ours: one connection, one
of the ways to behave below. Prints the port; ends with status 0 when the client did what it has to.

usage: wspeer.py CASE [FOLDER]       FOLDER: where key.pem and cert.pem are made (case tls)
"""
import base64
import hashlib
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import time

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def need(truth, what):
    if not truth:
        sys.exit("wspeer: " + what)


class Peer:
    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(20)
        self.pings = []

    def exactly(self, n):
        data = b""
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def head(self):
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            data += self.exactly(1)
        return data.decode("ascii")

    def request(self, target="/v1/control-channel/i-1?role=subscribe&stream=input"):
        lines = self.head().split("\r\n")
        need(lines[0] == "GET " + target + " HTTP/1.1", lines[0])
        fields = {}
        for line in lines[1:-2]:
            name, _, value = line.partition(":")
            need(name.lower() not in fields, name + " twice")
            fields[name.lower()] = value.strip()
        need(fields["upgrade"].lower() == "websocket", "Upgrade")
        need("upgrade" in fields["connection"].lower(), "Connection")
        need(fields["sec-websocket-version"] == "13", "version")
        need(len(base64.b64decode(fields["sec-websocket-key"], validate=True)) == 16, "key")
        need(fields["authorization"] == "AWS4 signed", "Authorization")
        need("sec-websocket-extensions" not in fields, "extensions")
        need("sec-websocket-protocol" not in fields, "protocol")
        self.host = fields["host"]
        digest = hashlib.sha1(fields["sec-websocket-key"].encode() + MAGIC).digest()
        return base64.b64encode(digest)

    def answer(self, accept, more=b""):
        return (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + accept + b"\r\n" + more + b"\r\n")

    def open(self, *target):
        self.sock.sendall(self.answer(self.request(*target)))

    def slowly(self, data, pause=0.0):
        for i in range(len(data)):
            self.sock.sendall(data[i:i + 1])
            if pause:
                time.sleep(pause)

    def frame(self):
        """One frame of the client: whole, masked, nothing reserved."""
        first, second = self.exactly(2)
        need(first & 0x80, "a fragmented message")
        need(not first & 0x70, "reserved bits")
        need(second & 0x80, "an unmasked frame")
        n = second & 0x7f
        if n == 126:
            n = struct.unpack(">H", self.exactly(2))[0]
            need(n > 125, "a length that is not the shortest")
        elif n == 127:
            n = struct.unpack(">Q", self.exactly(8))[0]
            need(n > 65535, "a length that is not the shortest")
        mask = self.exactly(4)
        data = self.exactly(n)
        mask = (mask * (n // 4 + 1))[:n]
        plain = (int.from_bytes(data, "big") ^ int.from_bytes(mask, "big")).to_bytes(n, "big") if n else b""
        return first & 0xf, plain

    def message(self):
        while True:
            op, data = self.frame()
            if op == PING:
                self.pings.append(data)
                self.sock.sendall(make(PONG, data))
            elif op != PONG:
                return op, data

    def wait_for(self, wanted):
        while True:
            op, data = self.frame()
            if op == wanted:
                return data

    def ends(self):
        """True when the client closes; what it sends until then does not count."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionError:
            pass
        return True


def make(op, data=b"", fin=True, rsv=0, mask=None, length=None):
    n = len(data) if length is None else length
    head = bytes([(0x80 if fin else 0) | rsv << 4 | op])
    bit = 0x80 if mask else 0
    if n < 126:
        head += bytes([bit | n])
    elif n < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", n)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", n)
    if mask:
        data = bytes(b ^ mask[i % 4] for i, b in enumerate(data))
        head += mask
    return head + data


def closes_with(p, code):
    data = p.wait_for(CLOSE)
    need(struct.unpack(">H", data[:2])[0] == code, "close code %d" % struct.unpack(">H", data[:2])[0])
    need(p.ends(), "goes on")


def echo(p):
    p.open()
    try:
        while True:
            p.sock.sendall(make(*p.message()))
    except EOFError:
        pass


def bytewise(p):
    p.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    accept = p.request()
    p.slowly(p.answer(accept) + make(TEXT, "grüße".encode()), 0.001)
    p.slowly(make(BINARY, b"frag", fin=False) + make(PING, b"are you there") +
             make(0, b"men", fin=False) + make(0, b"ted"), 0.001)
    need(p.wait_for(PONG) == b"are you there", "pong")
    need(p.ends(), "goes on")


def early(p):
    accept = p.request()
    p.sock.sendall(p.answer(accept) + make(TEXT, b"first") + make(BINARY, b"second"))
    need(p.ends(), "goes on")


def masked(p):
    p.open()
    p.sock.sendall(make(TEXT, b"hidden", mask=b"abcd"))
    closes_with(p, 1002)


def reserved(p):
    p.open()
    p.sock.sendall(make(TEXT, b"x", rsv=4))
    closes_with(p, 1002)


def opcode(p):
    p.open()
    p.sock.sendall(make(11, b"x"))
    closes_with(p, 1002)


def huge(p):
    p.open()
    p.sock.sendall(make(BINARY, b"x" * 100, length=1 << 40))
    closes_with(p, 1009)


def toolong(p):
    p.open()
    p.sock.sendall(make(BINARY, b"a" * 60000, fin=False))
    for _ in range(3):
        p.sock.sendall(make(0, b"a" * 60000, fin=False))
    closes_with(p, 1009)


def badtext(p):
    p.open()
    p.sock.sendall(make(TEXT, b"\xff\xfe"))
    closes_with(p, 1007)


def close(p):
    p.open()
    p.sock.sendall(make(CLOSE, struct.pack(">H", 1001) + b"bye"))
    closes_with(p, 1001)


def cut(p):
    p.open()
    p.sock.sendall(make(BINARY, b"half of it")[:6])
    p.sock.shutdown(socket.SHUT_WR)
    need(p.ends(), "goes on")


def silent(p):
    p.open()
    need(p.ends(), "goes on")


def alive(p):
    p.open()
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        op, data = p.frame()
        need(op == PING and data == b"keepalive", "no ping")
        p.pings.append(data)
        p.sock.sendall(make(PONG, data))
    need(len(p.pings) >= 4, "too few pings")
    p.sock.sendall(make(TEXT, b"enough"))
    need(p.ends(), "goes on")


def slow(p):
    p.open()
    time.sleep(0.5)
    count = 0
    while True:
        op, data = p.message()
        if op == TEXT:
            break
        need(data == struct.pack(">I", count) * (len(data) // 4), "order")
        count += 1
    p.sock.sendall(make(TEXT, b"%d" % count))
    need(p.ends(), "goes on")


def flood(p):
    p.open()
    n = 20000
    p.sock.settimeout(20)
    pings = make(PING, b"0123456789") * 100
    import threading
    t = threading.Thread(target=lambda: [p.sock.sendall(pings) for _ in range(n // 100)])
    t.start()
    time.sleep(0.3)
    for _ in range(n):
        need(p.frame() == (PONG, b"0123456789"), "pong")
    t.join()
    p.sock.sendall(make(TEXT, b"enough"))
    need(p.ends(), "goes on")


def gush(p):
    p.open()
    block = os.urandom(65536)
    for _ in range(64):
        p.sock.sendall(make(BINARY, block))
    p.sock.sendall(make(TEXT, b"enough"))
    need(p.ends(), "goes on")


def answers(text):
    def run(p):
        p.request()
        p.sock.sendall(text)
        need(p.ends(), "goes on")
    return run


def badaccept(p):
    accept = p.request()
    p.sock.sendall(p.answer(accept[::-1]))
    need(p.ends(), "goes on")


def endless(p):
    p.request()
    try:
        p.sock.sendall(b"HTTP/1.1 101 x\r\n")
        for i in range(4000):
            p.sock.sendall(b"X-%d: y\r\n" % i)
    except ConnectionError:
        return
    need(p.ends(), "goes on")


def hang(p):
    p.request()
    need(p.ends(), "goes on")


def hangup(p):
    p.request()
    p.sock.close()


def proxy(p):
    lines = p.head().split("\r\n")
    need(lines[0] == "CONNECT ssmmessages.example:80 HTTP/1.1", lines[0])
    p.sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    echo(p)
    need(p.host == "ssmmessages.example", p.host)


def noproxy(p):
    p.head()
    p.sock.sendall(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")
    need(p.ends(), "goes on")


class Client:
    """A client of a data channel behind its service, as spec 02 has them."""
    SESSION = "op@example.com-0abc123def4567890"

    def __init__(self, peer):
        self.seq = self.expected = 0
        self.output = b""
        self.states = []
        self.early = {}
        self.others = []
        self.take(peer)

    def take(self, peer):
        self.peer = peer
        peer.open("/v1/data-channel/" + self.SESSION + "?role=publish_subscribe")
        op, data = peer.message()
        o = json.loads(data)
        need(op == TEXT and o["TokenValue"] == "tok<1>" and o["ClientId"] == "" and
             o["ClientInstanceId"] == "i-0123456789abcdef0", "the first message")

    def send(self, kind, payload, seq=0, payload_type=0, flags=0):
        head = struct.pack(">I32sIQqQ", 116, kind.encode().ljust(32), 1, int(time.time() * 1000), seq, flags)
        head += os.urandom(16) + hashlib.sha256(payload).digest()
        self.peer.sock.sendall(make(BINARY, head + struct.pack(">II", payload_type, len(payload)) + payload))

    def type(self, payload, payload_type=1):
        self.send("input_stream_data", payload, self.seq, payload_type)
        self.seq += 1

    def step(self):
        op, data = self.peer.message()
        need(op == BINARY and len(data) >= 120, "a frame")
        kind = data[4:36].decode().rstrip()
        seq, flags = struct.unpack(">qQ", data[48:64])
        payload_type, length = struct.unpack(">II", data[112:120])
        payload = data[120:]
        need(len(payload) == length and hashlib.sha256(payload).digest() == data[80:112], "digest")
        if kind == "agent_session_state":
            self.states.append(json.loads(payload)["SessionState"])
        elif kind == "output_stream_data":
            need(len(payload) <= 1027, "a long message")
            if seq > self.expected:
                self.early[seq] = payload_type, payload
            if seq >= self.expected:
                wire = data[64:80]
                u = (wire[8:] + wire[:8]).hex()
                ack = {"AcknowledgedMessageType": kind, "AcknowledgedMessageId": "-".join(
                    (u[:8], u[8:12], u[12:16], u[16:20], u[20:])), "AcknowledgedMessageSequenceNumber": seq,
                       "IsSequentialMessage": True}
                self.send("acknowledge", json.dumps(ack).encode(), flags=3)
            if seq == self.expected:
                self.early[seq] = payload_type, payload
                while self.expected in self.early:
                    self.process(*self.early.pop(self.expected))
                    self.expected += 1
        else:
            need(kind == "acknowledge", kind)

    def process(self, payload_type, payload):
        if payload_type == 1:
            self.output += payload
        else:
            self.others.append((payload_type, payload))

    def until(self, text):
        while text not in self.output:
            self.step()
        need(self.states[:1] == ["Connected"], "not connected")

    def until_state(self, state):
        while state not in self.states:
            self.step()
        need(self.peer.ends(), "goes on")


def shell(p):
    c = Client(p)
    c.until(b"profile-runs")
    c.type(b'{"cols":101,"rows":31}', 3)
    c.type(b"stty size; printf 'gr\\303\\274%se\\n' ss\r")
    c.until(b"31 101")
    c.until("grüsse".encode())
    c.type(b"seq 100000 140000; echo en''d\r")
    c.until(b"end")
    lines = c.output.decode().split("\r\n")
    need([x for x in lines if x.isdigit() and len(x) == 6] == [str(i) for i in range(100000, 140001)],
         "lines are lost")
    c.type(b"printf 'tail\\303'; exit\r")
    c.until_state("Terminating")
    need(c.output.endswith(b"tail\xc3"), "the end is lost")


def outage(p):
    """The connection breaks while the program writes; the session goes on, nothing is lost."""
    c = Client(p)
    c.until(b"profile-runs")
    c.type(b"seq 100000 120000; sleep 1; echo en''d\r")
    c.until(b"100100")
    p.sock.close()
    c.take(Peer(p.listener.accept()[0]))
    c.until(b"end")
    lines = c.output.decode().split("\r\n")
    need([x for x in lines if x.isdigit() and len(x) == 6] == [str(i) for i in range(100000, 120001)],
         "lines are lost")
    need(c.states == ["Connected"], "connected twice")
    c.type(b"exit\r")
    c.until_state("Terminating")


def closed(p):
    c = Client(p)
    c.until(b"profile-runs")
    c.type(b"trap '' HUP TERM; echo de''af; sleep 600\r")
    c.until(b"deaf")
    c.send("channel_closed", json.dumps({"MessageType": "channel_closed", "MessageId": "m", "DestinationId": "i",
                                         "SessionId": c.SESSION, "SchemaVersion": 1}).encode())
    need(p.ends(), "goes on")
    need(c.states == ["Connected"], "Terminating")


def interactive(p):
    c = Client(p)
    c.until(b"given: a b")
    c.until_state("Terminating")


def handshake(p, version="1.2.650.0"):
    c = Client(p)
    while not c.others:
        c.step()
    kind, request = c.others.pop()
    actions = json.loads(request)["RequestedClientActions"]
    need(kind == 5 and [a["ActionType"] for a in actions] == ["SessionType"], "HandshakeRequest")
    c.type(json.dumps({"ClientVersion": version, "ProcessedClientActions": [
        {"ActionType": "SessionType", "ActionStatus": 1, "ActionResult": None, "Error": ""}],
        "Errors": None}).encode(), 6)
    while not c.others:
        c.step()
    need(c.others.pop(0)[0] == 7, "HandshakeComplete")
    return c


def separate(p):
    c = handshake(p)
    c.until_state("Terminating")
    need(c.output == b"out:one\n", "stdout")
    need(c.others == [(11, b"err:two\n"), (12, b"EXIT_CODE: 7")], "stderr, then the exit code")


def combined(p):
    c = handshake(p)
    c.until_state("Terminating")
    need(c.output.split() == [b"%d" % i for i in range(100000, 130001)], "output")
    need(c.others == [], "an exit code")


def interrupted(p):
    c = handshake(p)
    c.until(b"go")
    c.type(b"x\x03")
    c.until_state("Terminating")
    need(c.output == b"out:go\nout:got\n" and c.others == [(12, b"EXIT_CODE: 3")], "interrupt")


def nosuch(p):
    c = handshake(p)
    c.until_state("Terminating")
    need(c.others == [(12, b"EXIT_CODE: 1"), (11, b"fork/exec /no/such: no such file or directory")],
         "the error")


def port(p):
    c = handshake(p)
    server, _ = p.behind.accept()
    data = os.urandom(300000)
    for i in range(0, 3000, 1000):
        c.type(data[i:i + 1000])
    got = b""
    while len(got) < 3000:
        got += server.recv(3000)
    need(got == data[:3000], "what the client sent")
    import threading
    threading.Thread(target=lambda: (server.sendall(data), server.close())).start()
    while len(c.output) < len(data):
        c.step()
    need(c.output == data, "what the server sent")
    need(p.ends() and c.states == ["Connected"], "the end")


def old(p):
    """A client that knows no streams: the session outlives its connections, bytes make the next."""
    c = handshake(p, "1.1.69.0")
    for word, flag in ((b"one", False), (b"two", True), (b"three", False)):
        c.type(word)
        server, _ = p.behind.accept()
        need(server.recv(100) == word, "what the client sent")
        server.sendall(word.upper())
        while not c.output.endswith(word.upper()):
            c.step()
        if flag:
            c.type(struct.pack(">I", 1), 10)
            need(server.recv(100) == b"", "DisconnectToPort")
        server.close()
    need(c.output == b"ONETWOTHREE", "what the server sent")
    p.behind.close()
    c.type(b"four")
    need(p.ends() and c.states == ["Connected"], "the end")


def failures(p):
    """Streams whose connections are refused, one after the other and at once."""
    c = handshake(p)
    p.behind.close()
    for stream in range(3, 23, 2):
        c.type(struct.pack("<BBHI", 1, 0, 0, stream) + struct.pack("<BBHI", 1, 2, 5, stream) + b"hello")
    while len(c.others) < 10 or len(c.output) < 80:
        c.step()
    need(c.others == [(10, struct.pack(">I", 3))] * 10, "ConnectToPortError")
    need(sorted(struct.unpack("<BBHI", c.output[i:i + 8]) for i in range(0, 80, 8)) ==
         [(1, 1, 0, stream) for stream in range(3, 23, 2)], "FIN of each stream")
    c.type(struct.pack(">I", 2), 10)
    need(p.ends(), "the end")


def mux(p):
    """Two streams; each ends in one direction first."""
    c = handshake(p)
    data = os.urandom(200000)
    for stream in (3, 5):
        c.type(struct.pack("<BBHI", 1, 0, 0, stream) + struct.pack("<BBHI", 1, 2, 5, stream) + b"hello" +
               struct.pack("<BBHI", 1, 1, 0, stream))
    import threading
    for _ in (3, 5):
        server, _ = p.behind.accept()
        got = b""
        while more := server.recv(100):
            got += more
        need(got == b"hello", "hello")
        threading.Thread(target=lambda s=server: (s.sendall(data), s.close())).start()
    streams, ended = {3: b"", 5: b""}, set()
    while len(ended) < 2:
        while len(c.output) < 8 or len(c.output) < 8 + struct.unpack("<H", c.output[2:4])[0]:
            c.step()
        version, cmd, n, stream = struct.unpack("<BBHI", c.output[:8])
        need(version == 1 and cmd in (1, 2), "a frame of smux")
        streams[stream] += c.output[8:8 + n]
        c.output = c.output[8 + n:]
        if cmd == 1:
            ended.add(stream)
    need(streams == {3: data, 5: data}, "what the server sent")
    c.type(struct.pack(">I", 2), 10)
    need(p.ends(), "the end")


def portfails(p):
    handshake(p)
    need(p.ends(), "goes on")


def says_nothing(p):
    c = Client(p)
    c.until_state("Terminating")
    need(c.output == b"", "output")


CASES = dict(mux=mux, remote=mux, old=old, failures=failures, port=port, portfails=portfails, separate=separate, combined=combined, interrupted=interrupted, nosuch=nosuch, shell=shell, outage=outage, closed=closed, interactive=interactive, says_nothing=says_nothing, echo=echo, bytewise=bytewise, early=early, masked=masked, reserved=reserved,
             opcode=opcode, huge=huge, toolong=toolong, badtext=badtext, close=close, cut=cut,
             silent=silent, alive=alive, slow=slow, flood=flood, gush=gush, badaccept=badaccept,
             endless=endless, hang=hang, hangup=hangup, proxy=proxy, noproxy=noproxy, tls=echo,
             strange=None, forbidden=answers(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\ndenied"),
             broken=answers(b"HTTP/1.1 500 Oops\r\n\r\n"), ssh=answers(b"SSH-2.0-OpenSSH_9.2\r\n"),
             garbage=answers(bytes(range(256)) * 8))


def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder + "/key.pem",
                    "-out", folder + "/cert.pem"], check=True, capture_output=True)


def main():
    case = sys.argv[1]
    listener = socket.create_server(("127.0.0.1", 0))
    behind = None
    while case in ("mux", "remote", "old", "failures", "port") and not behind:
        try:
            behind = socket.create_server(("127.0.0.1", listener.getsockname()[1] + 1))
        except (OSError, OverflowError):
            listener = socket.create_server(("127.0.0.1", 0))
    if case in ("tls", "strange"):
        certificate(sys.argv[2])
    print(listener.getsockname()[1], flush=True)
    sock, _ = listener.accept()
    if case in ("tls", "strange"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["h2", "http/1.1"])
        context.load_cert_chain(sys.argv[2] + "/cert.pem", sys.argv[2] + "/key.pem")
        try:
            sock = context.wrap_socket(sock, server_side=True)
        except (ssl.SSLError, ConnectionError):
            return need(case == "strange", "no TLS")
        need(case == "tls", "a strange certificate was taken")
        need(sock.selected_alpn_protocol() != "h2", "HTTP/2")
    peer = Peer(sock)
    peer.listener, peer.behind = listener, behind
    CASES[case](peer)


main()
