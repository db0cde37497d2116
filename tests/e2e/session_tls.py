# SPDX-License-Identifier: Apache-2.0
# A session all of whose connections are TLS: the operator's call, the StreamUrl, and (by the test's
# configuration of the agent) the node's channels. Prints TAP lines without a plan.
"""usage: session_tls.py READY.json PROGRAM; CA in the environment is the authority"""
import os
import socket
import ssl

import botocore.session
from botocore.config import Config

import sandbox_ws
from sandbox_lib import IID, READY, ok, operator_credentials, same
from session import End, document, wait_status


def main():
    authority = os.environ["CA"]
    context = ssl.create_default_context(cafile=authority)
    plain = socket.create_connection

    def secured(_):
        return context.wrap_socket(plain(("127.0.0.1", READY["tls_port"])), server_hostname="127.0.0.1")

    credentials = operator_credentials()
    aws = botocore.session.Session().create_client(
        "ssm", region_name=READY["region"], endpoint_url="https://127.0.0.1:%d" % READY["tls_port"],
        aws_access_key_id=credentials.access_key, aws_secret_access_key=credentials.secret_key,
        verify=authority, config=Config(retries={"max_attempts": 0}))
    document(aws, "Test-Shell", "Standard_Stream")
    answer = aws.start_session(Target=IID, DocumentName="Test-Shell")
    ok(answer["StreamUrl"].startswith("wss://127.0.0.1:%d/" % READY["tls_port"]), "the StreamUrl is one of TLS",
       answer["StreamUrl"])
    sandbox_ws.socket.create_connection = secured
    end = End(answer)
    end.until(b"profile")
    end.type(b"seq 100000 140000; exit\r")
    end.until_closed()
    lines = end.output.decode().split("\r\n")
    got, wanted = [x for x in lines if x.isdigit() and len(x) == 6], [str(i) for i in range(100000, 140001)]
    ok(got == wanted, "what is typed and put out goes through it, whole",
       "lacks %s" % sorted(set(wanted) - set(got))[:9], "%d lines" % len(got))
    same(wait_status(answer["SessionId"], "Terminated"), "Terminated", "and the session is over")


main()
