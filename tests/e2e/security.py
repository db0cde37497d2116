# SPDX-License-Identifier: Apache-2.0
# For security.test: strings that must never become a path, and commands that carry them everywhere.
# security.py step-names FOLDER | fields SOCKET FOLDER | ids SOCKET FOLDER INSTANCE | scan LOG | connect SOCKET UID TEXT
# | keys ENDPOINT | owner PROGRAM [OPTION...]
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request

MARK = "ssmCANARY"


def traversals(folder):
    """More than a hundred ways out of a folder; each would make a file or folder named MARK."""
    heads = ["../", "../../", "../../../../", "/", "//", "./../", "a/../../", "~/", "~root/", "..\\", "%2e%2e/",
             "%2e%2e%2f", "..%2f", "..%252f", "....//", ".../...//", "..;/", "\u002e\u002e\u2215", "..\uff0f",
             "\uff0e\uff0e/", "..\x00/", "\x00", "\n../", "../\n", "\r\n../", "$HOME/", "${PWD}/", "`pwd`/",
             "$(pwd)/", "*/../", "-rf ../", "--/../", "C:\\", "\\\\host\\", "file:///", ":../", "..:/", "..:..:/"]
    tails = [MARK, MARK + "/x", MARK + "\x00.txt"]
    names = [h + t for h, t in itertools.product(heads, tails)]
    names += [folder + "/" + MARK, folder + "/../" + MARK, "/proc/self/cwd/" + MARK, "/dev/fd/3/" + MARK,
              ".", "..", "...", "", " ", "-", "/", "a" * 300 + MARK, "a/" * 2000 + MARK, "../" * 1400 + MARK,
              "\u202e" + MARK, "\x1b[31m" + MARK, MARK + "; touch " + folder + "/" + MARK,
              MARK + "$(touch " + folder + "/" + MARK + ")", MARK + "`touch " + folder + "/" + MARK + "`"]
    return list(dict.fromkeys(names))


def step(name, script="true"):
    return {"action": "aws:runShellScript", "name": name, "inputs": {"runCommand": [script], "id": name}}


def document(*steps, **more):
    return {"schemaVersion": "2.2", "mainSteps": list(steps), **more}


def field_documents(name):
    """The string in each place of a document but the script, which may do what it likes."""
    yield document(step("a"), description=name)
    yield document({**step("a"), "action": name})
    yield document({**step("a"), "settings": name, "onFailure": name})
    yield document({**step("a"), "precondition": {name: ["platformType", name]}})
    yield document({**step("a"), "inputs": {"runCommand": ["true"], "onFailure": name, "timeoutSeconds": name}})
    yield document({**step("a"), "inputs": {"runCommand": ["true"], "workingDirectory": name}})
    yield document(step("{{ p }}"), parameters={"p": {"type": "String", "default": name}})
    yield document(step("a"), parameters={name: {"type": name, "default": name}})
    yield {"schemaVersion": name, "mainSteps": [step("a")]}
    yield {"schemaVersion": "1.2", "runtimeConfig": {name: {"properties": [{"id": name, "runCommand": ["true"]}]}}}
    yield {"schemaVersion": "1.2", "runtimeConfig": {"aws:runShellScript": {
        "properties": [{"id": name, "runCommand": ["true"]}]}}}


class Control:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.lines = self.socket.makefile("r", encoding="utf-8")

    def ask(self, **request):
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(self.lines.readline())


def wait_all(control, commands):
    answer = control.ask(op="wait", commands=commands, timeout_ms=240000)
    print(len(commands), answer.get("left", answer.get("error")))


def fields(path, folder):
    control = Control(path)
    names = traversals(folder)
    commands = []
    for i, name in enumerate(names):
        # Each string in two of the places, so that all places see many strings, and all strings many runs.
        documents = list(field_documents(name))
        for d in (documents[i % len(documents)], documents[(i + 5) % len(documents)]):
            answer = control.ask(op="queue", content=d, comment=name[:90])
            commands += answer.get("commands", [])
    wait_all(control, commands)


def ids(path, folder, instance):
    control = Control(path)
    payload = {"Parameters": {}, "DocumentContent": document(step("a", "echo ran >>" + folder + "/ran")), "DocumentName": "x"}
    sent = 0
    for name in traversals(folder):
        for mid in (name, "aws.ssm." + name + "." + instance, "aws.ssm.x." + name):
            answer = control.ask(op="message", id=mid, payload=json.dumps({**payload, "CommandId": name}))
            sent += answer.get("ok", False)
            cancel = control.ask(op="message", id=mid + "c", topic="aws.ssm.cancelCommand.us-east-1." + instance,
                                 payload=json.dumps({"CancelMessageId": mid, "CommandId": name}))
            sent += cancel.get("ok", False)
    print(sent)


def scan(path):
    """Lines of a log that hold what steers a terminal, or are no line of ours."""
    text = open(path, "rb").read().decode("utf-8", "surrogateescape")
    bad = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
    ours = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z (ERROR|WARNING|NOTICE|INFO|DEBUG) ")
    for line in text.split("\n")[:-1]:
        if bad.search(line) or not ours.match(line):
            print(ascii(line[:300]))


def connect(path, uid, text):
    if int(uid) != os.getuid():
        os.setgroups([])
        os.setresuid(int(uid), int(uid), int(uid))
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(20)
    try:
        s.connect(path)
        s.send(text.encode())
        answer = s.recv(65536)
    except OSError as e:
        print("refused" if not isinstance(e, socket.timeout) else "silence")
        return
    print("answered" if answer else "refused")


def keys(endpoint):
    """Secret and session token of the instance profile's role."""
    def ask(path, method="GET", **headers):
        request = urllib.request.Request(endpoint + "/latest/" + path, method=method, headers=headers)
        with urllib.request.urlopen(request) as answer:
            return answer.read().decode()

    token = {"x-aws-ec2-metadata-token":
             ask("api/token", "PUT", **{"x-aws-ec2-metadata-token-ttl-seconds": "60"})}
    where = "meta-data/iam/security-credentials/"
    found = json.loads(ask(where + ask(where, **token), **token))
    print(found["SecretAccessKey"], found["Token"])


def owner(program, *options):
    """Whose the kernel says the memory of "PROGRAM --whoami" is: root's, though it is not root, when nobody else is to see it.
    It waits for metadata that never come."""
    silent = socket.create_server(("127.0.0.1", 0))
    endpoint = "http://127.0.0.1:%d" % silent.getsockname()[1]
    who = {} if os.getuid() else {"user": 65534, "group": 65534, "extra_groups": []}
    child = subprocess.Popen([program, "--whoami", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             env={"AWS_EC2_METADATA_SERVICE_ENDPOINT": endpoint}, cwd="/", **who)
    silent.settimeout(20)
    silent.accept()  # by now it has asked, and done all that comes before
    print("root" if os.stat("/proc/%d/mem" % child.pid).st_uid == 0 else "its own")
    child.kill()


what, args = sys.argv[1], sys.argv[2:]
if what == "step-names":
    print(json.dumps(document(*[step(name) for name in traversals(args[0])])))
elif what == "count":
    print(len(traversals("/x")))
else:
    {"fields": fields, "ids": ids, "scan": scan, "connect": connect, "keys": keys, "owner": owner}[what](*args)
