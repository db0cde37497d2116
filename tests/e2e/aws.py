#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's aws command line, loaded once for many calls.

Two seconds of processor time go by until `aws` has read its modules, twenty times what a test wants
of it. A server loads them with the first request; each call is a fork of it.

aws.py serve SOCKET    the server; it ends on SIGTERM, or when SOCKET is gone
aws.py ARGUMENT...     as aws ARGUMENT..., by the server of SSM_TEST_AWS_SOCKET; without one, by aws
"""
import array
import json
import os
import runpy
import signal
import socket
import sys

AWS = "/usr/bin/aws"


def call(arguments):
    path = os.environ.get("SSM_TEST_AWS_SOCKET", "")
    peer = socket.socket(socket.AF_UNIX)
    try:
        peer.connect(path)
    except OSError:
        os.execv(AWS, [AWS] + arguments)
    request = json.dumps({"arguments": arguments, "environment": dict(os.environ), "cwd": os.getcwd()})
    peer.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
    peer.sendall(request.encode())
    peer.shutdown(socket.SHUT_WR)
    status = peer.recv(1)
    return status[0] if status else 70


def answer(peer):
    """In a process of its own: becomes what the caller would have been."""
    _, rights, _, _ = peer.recvmsg(1, socket.CMSG_LEN(3 * 4))
    fds = array.array("i")
    fds.frombytes(rights[0][2])
    blob = b"".join(iter(lambda: peer.recv(65536), b""))
    request = json.loads(blob)
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(request["cwd"])
    kept = {"AWS_DATA_PATH": os.environ["AWS_DATA_PATH"]}  # set by its modules when they were loaded
    os.environ.clear()
    os.environ.update(kept, **request["environment"])
    sys.argv = [AWS] + request["arguments"]
    try:
        runpy.run_path(AWS, run_name="__main__")
        status = 0
    except SystemExit as e:
        status = e.code if isinstance(e.code, int) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    peer.sendall(bytes([status & 255]))


def serve(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    listener.settimeout(1)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while os.path.exists(path):
        try:
            peer, _ = listener.accept()
        except TimeoutError:
            continue
        import awscli.clidriver  # noqa: F401
        import botocore.httpsession  # noqa: F401
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            peer.settimeout(None)
            try:
                answer(peer)
            finally:
                os._exit(0)
        peer.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
    else:
        sys.exit(call(sys.argv[1:]))
