# SPDX-License-Identifier: Apache-2.0
# What the programs share that talk to a sandbox request by request: TAP lines, its control socket,
# an operator whose answers are held against the service's model.
"""sys.argv: READY.json PROGRAM"""
import configparser
import json
import subprocess
import sys
import urllib.error
import urllib.request

from botocore.credentials import Credentials

from fake_node import Node, Refused, step
from ssm_model import Model

with open(sys.argv[1], encoding="utf-8") as ready_file:
    READY = json.load(ready_file)
PROGRAM = sys.argv[2]
MODEL = Model()
IID = READY["instance"]


def ok(good, what, *notes):
    print("%s - wire: %s" % ("ok" if good else "not ok", what), flush=True)
    if not good:
        for note in notes:
            print("# %s" % (note,), flush=True)
    return good


def same(got, wanted, what):
    return ok(got == wanted, what, "got %r" % (got,), "wanted %r" % (wanted,))


def refused(what, code, function, *args, **kwargs):
    try:
        answer = function(*args, **kwargs)
    except Refused as error:
        return ok(error.code == code, "%s: %s" % (what, code), str(error))
    return ok(False, "%s: %s" % (what, code), "answered %r" % (answer,))


def ctl(op, fail=False, **members):
    line = [PROGRAM, "ctl", READY["control"], op]
    line += ["%s=%s" % (k, json.dumps(v)) for k, v in members.items()]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode and not fail:
        raise RuntimeError("%s: %s%s" % (line, done.stdout, done.stderr))
    return done.stdout if op == "journal" else json.loads(done.stdout)


def journal():
    return [json.loads(line) for line in ctl("journal").splitlines()]


def http_status(method, path, headers=None):
    request = urllib.request.Request(READY["endpoint"] + path, method=method,
                                     headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def operator_credentials():
    ini = configparser.ConfigParser()
    ini.read(READY["root"] + "/aws/credentials")
    return Credentials(ini["default"]["aws_access_key_id"],
                       ini["default"]["aws_secret_access_key"])


class Operator(Node):
    """Every answer is held against the service's model."""

    def ask(self, operation, **body):
        answer = self.call("ssm", operation, body)
        complaints = MODEL.check_output(operation, answer)
        if complaints:
            ok(False, "%s fits the model" % operation, *complaints)
        return answer

    def send(self, **more):
        body = {"DocumentName": "AWS-RunShellScript", "InstanceIds": [IID],
                "Parameters": {"commands": ["true"]}}
        body.update(more)
        return self.ask("SendCommand", **body)["Command"]["CommandId"]

    def result(self, command, **more):
        return self.ask("GetCommandInvocation", CommandId=command, InstanceId=IID, **more)

    def invocation(self, command):
        answer = self.ask("ListCommandInvocations", CommandId=command, Details=True)
        return answer["CommandInvocations"][0]

    def command(self, command):
        return self.ask("ListCommands", CommandId=command)["Commands"][0]


def take(node, command, tries=3):
    """Polls until the message of the command is there."""
    for _ in range(tries):
        for message in node.poll():
            if command in message["MessageId"] + message["Payload"]:
                return message
    raise RuntimeError("command %s was not delivered" % command)


def finish(node, message, status="Success", code=0, out="", err="", name="aws:runShellScript"):
    node.reply(message, "InProgress")
    node.acknowledge(message)
    steps = {name: step(status, code, out, err)}
    node.reply(message, "InProgress", steps, {status: 1})
    node.reply(message, status, steps, {status: 1})
