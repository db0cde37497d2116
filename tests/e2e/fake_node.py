# SPDX-License-Identifier: Apache-2.0
# A node without an agent: polls, acknowledges and answers as spec'd, signed by botocore. It runs no
# script; what it reports is given by the first word of the command line.
"""usage: fake_node.py READY.json [--commands N] [--source imds|ecs|static]"""
import datetime
import json
import subprocess
import sys
import urllib.error
import urllib.request
import uuid

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

AGENT = {"lang": "en-US", "name": "amazon-ssm-agent", "os": "linux", "osver": "1", "ver": "3.3.2746.0"}


def stamp():
    now = datetime.datetime.now(datetime.timezone.utc)
    return now.strftime("%Y-%m-%dT%H:%M:%S.") + "%03dZ" % (now.microsecond // 1000)


class Refused(Exception):
    def __init__(self, status, code, message, headers):
        super().__init__("%s %s: %s" % (status, code, message))
        self.status, self.code, self.message, self.headers = status, code, message, headers


class Node:
    """Raw requests to the sandbox, each signed by botocore."""

    def __init__(self, ready, credentials=None):
        self.url = ready["endpoint"]
        self.region = ready["region"]
        self.instance = ready["instance"]
        self.ecs_uri = ready["ecs_full_uri"]
        self.credentials = credentials or self.imds_credentials()

    def http(self, method, path, headers=None):
        request = urllib.request.Request(self.url + path, method=method, headers=headers or {})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode(), answer.headers

    def imds_credentials(self):
        token, headers = self.http("PUT", "/latest/api/token",
                                   {"x-aws-ec2-metadata-token-ttl-seconds": "60"})
        assert headers["x-aws-ec2-metadata-token-ttl-seconds"] == "60"
        self.token = {"x-aws-ec2-metadata-token": token}
        base = "/latest/meta-data/iam/security-credentials/"
        role = self.http("GET", base, self.token)[0].splitlines()[0]
        doc = json.loads(self.http("GET", base + role, self.token)[0])
        assert doc["Code"] == "Success", doc
        return Credentials(doc["AccessKeyId"], doc["SecretAccessKey"], doc["Token"])

    def ecs_credentials(self, authorization):
        request = urllib.request.Request(self.ecs_uri, headers={"Authorization": authorization})
        with urllib.request.urlopen(request, timeout=30) as answer:
            doc = json.loads(answer.read())
        return Credentials(doc["AccessKeyId"], doc["SecretAccessKey"], doc["Token"])

    def call(self, service, operation, body, credentials=None, headers=None, mangle=None):
        prefix = {"ssm": "AmazonSSM", "kms": "TrentService",
                  "ec2messages": "EC2WindowsMessageDeliveryService"}[service]
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        all_headers = {"Content-Type": "application/x-amz-json-1.1",
                       "X-Amz-Target": "%s.%s" % (prefix, operation)}
        all_headers.update(headers or {})
        request = AWSRequest("POST", self.url + "/", headers=all_headers, data=data)
        SigV4Auth(credentials or self.credentials, service, self.region).add_auth(request)
        if mangle:
            mangle(request)
        raw = urllib.request.Request(self.url + "/", data=request.body, method="POST",
                                     headers=dict(request.headers.items()))
        try:
            with urllib.request.urlopen(raw, timeout=60) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            text = error.read()
            try:
                doc = json.loads(text)
            except ValueError:
                doc = {}
            code = doc.get("__type", "").split("#")[-1]
            raise Refused(error.code, code, doc.get("message", ""), error.headers) from None

    def ping(self, **more):
        body = {"AgentName": "amazon-ssm-agent", "AgentVersion": "3.3.2746.0",
                "InstanceId": self.instance, "PlatformType": "Linux"}
        body.update(more)
        return self.call("ssm", "UpdateInstanceInformation", body)

    def poll(self, visibility=10):
        body = {"Destination": self.instance, "MessagesRequestId": str(uuid.uuid4()),
                "VisibilityTimeoutInSeconds": visibility}
        return self.call("ec2messages", "GetMessages", body)["Messages"]

    def acknowledge(self, message):
        return self.call("ec2messages", "AcknowledgeMessage", {"MessageId": message["MessageId"]})

    def reply(self, message, status, steps=None, counts=None, trace="", reply_id=None):
        payload = {"additionalInfo": {"agent": AGENT, "dateTime": stamp(), "runId": "",
                                      "runtimeStatusCounts": counts},
                   "documentStatus": status, "documentTraceOutput": trace, "runtimeStatus": steps}
        return self.call("ec2messages", "SendReply",
                         {"MessageId": message["MessageId"], "Payload": json.dumps(payload),
                          "ReplyId": reply_id or str(uuid.uuid4())})


def step(status="Success", code=0, out="", err="", name="aws:runShellScript"):
    now = stamp()
    output = out + ("\n----------ERROR-------\n" + err if err else "")
    return {"status": status, "code": code, "name": name, "output": output[:2500],
            "startDateTime": now, "endDateTime": now, "outputS3BucketName": "",
            "outputS3KeyPrefix": "", "stepName": "", "standardOutput": out, "standardError": err}


def run_script(lines):
    done = subprocess.run(["/bin/sh", "-c", "\n".join(lines)], capture_output=True, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def serve(node, message):
    """The whole life of one command of the first document."""
    payload = json.loads(message["Payload"])
    node.reply(message, "InProgress")
    node.acknowledge(message)
    if "CancelMessageId" in payload:
        return
    code, out, err = run_script(payload["Parameters"]["commands"])
    status = "Success" if code == 0 else "Failed"
    if code:
        err += "failed to run commands: exit status %d" % code
    steps = {"aws:runShellScript": step(status, code, out[:24000], err[:24000])}
    node.reply(message, "InProgress", steps, {status: 1})
    node.reply(message, status, steps, {status: 1})


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        node = Node(json.load(f))
    left = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    node.ping()
    while left > 0:
        for message in node.poll():
            serve(node, message)
            left -= 1


if __name__ == "__main__":
    main()
