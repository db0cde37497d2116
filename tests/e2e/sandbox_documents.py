# SPDX-License-Identifier: Apache-2.0
# Documents that an operator creates in the sandbox, request by request.
import hashlib
import json

from fake_node import step
from sandbox_lib import MODEL, ok, refused, same, take

STEP = {"action": "aws:runShellScript", "name": "a", "inputs": {"runCommand": ["echo {{ word }}"]}}
YAML = """schemaVersion: "2.2"
description: in YAML
parameters:
  word: {type: String, default: yes}
mainSteps:
- action: aws:runShellScript
  name: a
  inputs:
    runCommand:
    - |
      echo {{ word }}
"""


def document(word="x", **more):
    doc = {"schemaVersion": "2.2", "parameters": {"word": {"type": "String", "default": word}},
           "mainSteps": [STEP]}
    doc.update(more)
    return json.dumps(doc)


def create(operator, name, content, **more):
    return operator.ask("CreateDocument", Name=name, Content=content, **more)["DocumentDescription"]


def update(operator, name, content, **more):
    return operator.ask("UpdateDocument", Name=name, Content=content, **more)["DocumentDescription"]


def get(operator, name, **more):
    return operator.ask("GetDocument", Name=name, **more)


def listed(operator, **more):
    return [d["Name"] for d in operator.ask("ListDocuments", **more)["DocumentIdentifiers"]]


def versions_of(operator, name):
    answer = operator.ask("ListDocumentVersions", Name=name)
    return [(v["DocumentVersion"], v["IsDefaultVersion"]) for v in answer["DocumentVersions"]]


def test_versions(operator):
    made = create(operator, "Made", document("one"), VersionName="first", DisplayName="made here",
                  TargetType="/AWS::EC2::Instance", Tags=[{"Key": "team", "Value": "a"}])
    same((made["DocumentVersion"], made["DefaultVersion"], made["LatestVersion"], made["Status"],
          made["VersionName"], made["DocumentFormat"], made["DocumentType"], made["SchemaVersion"]),
         ("1", "1", "1", "Active", "first", "JSON", "Command", "2.2"), "a document is created")
    same((made["Hash"], made["HashType"]),
         (hashlib.sha256(document("one").encode()).hexdigest(), "Sha256"), "its hash")
    same((made["Parameters"], made["Tags"], made["PlatformTypes"]),
         ([{"Name": "word", "Type": "String", "Description": "", "DefaultValue": "one"}],
          [{"Key": "team", "Value": "a"}], ["Linux", "MacOS"]), "parameters, tags, platforms")
    refused("it is there already", "DocumentAlreadyExists", create, operator, "Made", document("2"))
    refused("so is the sandbox's own", "ValidationException", create, operator,
            "AWS-RunShellScript", document())
    new = update(operator, "Made", document("two"), VersionName="second")
    same((new["DocumentVersion"], new["DefaultVersion"], new["LatestVersion"]), ("2", "1", "2"),
         "a second version")
    refused("the default is not the latest", "InvalidDocumentVersion", update, operator, "Made",
            document("three"))
    refused("nor is the first", "InvalidDocumentVersion", update, operator, "Made",
            document("three"), DocumentVersion="1")
    refused("a version of no document", "InvalidDocumentVersion", update, operator, "Made",
            document("three"), DocumentVersion="9")
    refused("the same content", "DuplicateDocumentContent", update, operator, "Made",
            document("one"), DocumentVersion="$LATEST")
    refused("the same name of a version", "DuplicateDocumentVersionName", update, operator, "Made",
            document("three"), DocumentVersion="$LATEST", VersionName="first")
    update(operator, "Made", document("three"), DocumentVersion="2")
    same(versions_of(operator, "Made"), [("3", False), ("2", False), ("1", True)],
         "versions, newest first")
    same([json.loads(get(operator, "Made", **{"DocumentVersion": v})["Content"])["parameters"]["word"]
          ["default"] for v in ("1", "2", "$DEFAULT", "$LATEST")], ["one", "two", "one", "three"],
         "each version's content")
    same(get(operator, "Made", VersionName="second")["DocumentVersion"], "2", "by its name")
    refused("a name and another's number", "InvalidDocumentVersion", get, operator, "Made",
            VersionName="second", DocumentVersion="1")
    refused("no such version", "InvalidDocumentVersion", get, operator, "Made", DocumentVersion="4")
    answer = operator.ask("UpdateDocumentDefaultVersion", Name="Made", DocumentVersion="2")
    same(answer["Description"], {"Name": "Made", "DefaultVersion": "2",
                                 "DefaultVersionName": "second"}, "another default")
    same(get(operator, "Made")["DocumentVersion"], "2", "which is what is got")
    refused("no such default", "InvalidDocumentVersion", operator.ask,
            "UpdateDocumentDefaultVersion", Name="Made", DocumentVersion="7")
    refused("the default stays", "InvalidDocumentOperation", operator.ask, "DeleteDocument",
            Name="Made", DocumentVersion="2")
    operator.ask("DeleteDocument", Name="Made", DocumentVersion="3")
    update(operator, "Made", document("four"))
    same(versions_of(operator, "Made"), [("4", False), ("2", True), ("1", False)],
         "a number is not given twice")


def test_commands(node, operator):
    def text_of(command):
        message = take(node, command)
        content = json.loads(message["Payload"])["DocumentContent"]
        node.acknowledge(message)
        node.reply(message, "Success", {"a": step()}, {"Success": 1})
        return content["parameters"]["word"]["default"]

    def send(**more):
        return operator.send(DocumentName="Made", Parameters={}, **more)

    same([text_of(send(**v)) for v in ({}, {"DocumentVersion": "1"}, {"DocumentVersion": "$LATEST"})],
         ["two", "one", "four"], "commands of each version")
    same(operator.command(send(DocumentVersion="1"))["DocumentVersion"], "1",
         "the version is told")
    operator.ask("CancelCommand", CommandId=operator.ask("ListCommands")["Commands"][0]["CommandId"])
    refused("a version that was deleted", "InvalidDocumentVersion", send, DocumentVersion="3")
    good = hashlib.sha256(document("two").encode()).hexdigest()
    text_of(send(DocumentHash=good, DocumentHashType="Sha256"))
    refused("another hash", "InvalidDocument", send, DocumentHash=good, DocumentVersion="1")
    refused("unknown parameter", "InvalidParameters", operator.send, DocumentName="Made",
            Parameters={"words": ["x"]})
    create(operator, "Talk", json.dumps({"schemaVersion": "1.0", "sessionType": "Standard_Stream"}),
           DocumentType="Session")
    refused("no command of a session document", "InvalidDocument", operator.send,
            DocumentName="Talk", Parameters={})


def test_yaml(node, operator):
    made = create(operator, "Yaml", YAML, DocumentFormat="YAML")
    same((made["DocumentFormat"], made["Description"], made["Parameters"][0]["DefaultValue"]),
         ("YAML", "in YAML", "true"), "a document in YAML")
    answer = get(operator, "Yaml", DocumentFormat="YAML")
    same((answer["Content"], answer["DocumentFormat"]), (YAML, "YAML"), "as it was written")
    wanted = {"schemaVersion": "2.2", "description": "in YAML",
              "parameters": {"word": {"type": "String", "default": True}},
              "mainSteps": [{"action": "aws:runShellScript", "name": "a",
                             "inputs": {"runCommand": ["echo {{ word }}\n"]}}]}
    answer = node.call("ssm", "GetDocument", {"Name": "Yaml"})
    same((json.loads(answer["Content"]), answer["DocumentFormat"]), (wanted, "JSON"),
         "the node gets it as JSON")
    ok(not MODEL.check_output("GetDocument", answer), "which fits the model",
       *MODEL.check_output("GetDocument", answer))
    answer = node.call("ssm", "GetDocument",
                       {"Name": "arn:aws:ssm:eu-west-1:123456789012:document/Yaml"})
    same(answer["Name"], "Yaml", "by its ARN")
    command = operator.send(DocumentName="Yaml", Parameters={"word": ["hi"]})
    message = take(node, command)
    same(json.loads(message["Payload"])["DocumentContent"], wanted, "and so does its command")
    node.acknowledge(message)
    node.reply(message, "Success", {"a": step()}, {"Success": 1})


def test_refused(operator):
    def bad(what, content, code="InvalidDocumentContent", **more):
        refused(what, code, create, operator, "Bad", content, **more)

    bad("no JSON", "{")
    bad("no YAML", "a: [", DocumentFormat="YAML")
    bad("text", document(), DocumentFormat="TEXT")
    bad("a list", "[]")
    bad("nested", "[" * 30000)
    bad("no schema", json.dumps({"mainSteps": [STEP]}))
    bad("unknown schema", document(schemaVersion="3.0"), "InvalidDocumentSchemaVersion")
    bad("a session's schema", document(schemaVersion="1.0"), "InvalidDocumentSchemaVersion")
    bad("no steps", document(mainSteps=[]))
    bad("a step without a name", document(mainSteps=[{"action": "aws:x", "inputs": {}}]))
    bad("a step twice", document(mainSteps=[STEP, STEP]))
    bad("a parameter without a type", document(parameters={"a": {}}))
    bad("parameters as a list", document(parameters=[]))
    bad("no runtimeConfig", json.dumps({"schemaVersion": "1.2"}))
    bad("an unknown kind of session", json.dumps({"schemaVersion": "1.0", "sessionType": "x"}),
        DocumentType="Session")
    bad("no session's schema", json.dumps({"schemaVersion": "2.2", "sessionType": "Port"}),
        "InvalidDocumentSchemaVersion", DocumentType="Session")
    bad("a type that the sandbox lacks", document(), "ValidationException",
        DocumentType="Automation")
    bad("too large", document(description="x" * 65536), "MaxDocumentSizeExceeded")
    bad("an empty one", "", "ValidationException")
    bad("attachments", document(), "ValidationException", Attachments=[])
    bad("a reserved tag", document(), "ValidationException", Tags=[{"Key": "aws:x", "Value": ""}])
    refused("none of them was created", "InvalidDocument", get, operator, "Bad")
    for name in ("ab", "a b c", "amazonThing", "AWS-Mine", "x" * 129):
        refused("name '%.20s'" % name, "ValidationException", create, operator, name, document())
    create(operator, "Largest", document(description="x" * (65536 - len(document(description="")))))
    refused("an update that is none", "InvalidDocumentContent", update, operator, "Largest", "{")
    for operation, more in (("UpdateDocument", {"Content": document()}), ("DeleteDocument", {}),
                            ("UpdateDocumentDefaultVersion", {"DocumentVersion": "1"})):
        refused("%s of nothing" % operation, "InvalidDocument", operator.ask, operation,
                Name="Nothing", **more)
        refused("%s of the sandbox's own" % operation, "InvalidDocument", operator.ask, operation,
                Name="AWS-RunShellScript", **more)


def test_lists(operator):
    own = ["Largest", "Made", "Talk", "Yaml"]
    same(listed(operator, Filters=[{"Key": "Owner", "Values": ["Self"]}]), own, "one's own")
    ok("AWS-RunShellScript" in listed(operator, Filters=[{"Key": "Owner", "Values": ["Amazon"]}]),
       "the sandbox's")
    same(listed(operator, DocumentFilterList=[{"key": "DocumentType", "value": "Session"},
                                              {"key": "Owner", "value": "Self"}]),
         ["Talk"], "by type")
    same(listed(operator, Filters=[{"Key": "Name", "Values": ["La", "Ya"]}]), ["Largest", "Yaml"],
         "by the beginning of the name")
    same(listed(operator, Filters=[{"Key": "tag:team", "Values": ["a"]}]), ["Made"], "by tag")
    same(listed(operator, Filters=[{"Key": "TargetType", "Values": ["/AWS::EC2::Instance"]}]),
         ["Made"], "by type of target")
    same(listed(operator, Filters=[{"Key": "Owner", "Values": ["Self"]},
                                   {"Key": "PlatformTypes", "Values": ["Windows"]}]), ["Talk"],
         "by platform")
    refused("unknown filter", "InvalidFilterKey", listed, operator,
            Filters=[{"Key": "Colour", "Values": ["red"]}])
    first = operator.ask("ListDocuments", MaxResults=2)
    rest = operator.ask("ListDocuments", NextToken=first["NextToken"])
    same([d["Name"] for page in (first, rest) for d in page["DocumentIdentifiers"]],
         listed(operator), "pages")
    operator.ask("DeleteDocument", Name="Talk")
    refused("deleted", "InvalidDocument", get, operator, "Talk")
    for name in ("Made", "Yaml", "Largest"):
        operator.ask("DeleteDocument", Name=name)
    create(operator, "Made", document("again"))
    same((versions_of(operator, "Made"), listed(operator, Filters=[
        {"Key": "tag:team", "Values": ["a"]}])), ([("1", True)], []), "nothing is left of it")
    operator.ask("DeleteDocument", Name="Made")


def test_all(node, operator):
    test_versions(operator)
    test_commands(node, operator)
    test_yaml(node, operator)
    test_refused(operator)
    test_lists(operator)
