# SPDX-License-Identifier: Apache-2.0
# Commands to many nodes, request by request: targets, MaxConcurrency, MaxErrors.
from fake_node import Node, step
from sandbox_lib import READY, ctl, ok, refused, same
from sandbox_store import add_tags

FLEET = ["i-%017x" % i for i in range(10, 14)]


class Member(Node):
    """One of the fleet, which has the keys of the first node."""

    def __init__(self, instance, credentials):
        super().__init__(READY, credentials)
        self.instance = instance
        self.ping(ComputerName=instance)

    def finish(self, message, status="Success"):
        self.acknowledge(message)
        self.reply(message, status, {"aws:runShellScript": step(status, 1)}, {status: 1})


def tag(key, *values):
    return {"Key": key, "Values": list(values)}


def send(operator, *targets, **more):
    return operator.send(InstanceIds=[], Targets=list(targets), **more)


def instances_of(operator, command):
    answer = operator.ask("ListCommandInvocations", CommandId=command)
    return sorted(i["InstanceId"] for i in answer["CommandInvocations"])


def cancel(operator, command):
    operator.ask("CancelCommand", CommandId=command)


def details_of(operator, command):
    answer = operator.ask("ListCommandInvocations", CommandId=command)
    return {i["InstanceId"]: (i["Status"], i["StatusDetails"]) for i in answer["CommandInvocations"]}


def counts_of(operator, command):
    c = operator.command(command)
    return (c["Status"], c["StatusDetails"], c["TargetCount"], c["CompletedCount"], c["ErrorCount"],
            c["DeliveryTimedOutCount"])


def waiting(fleet):
    """What each member is given now, without a long poll."""
    ctl("set", poll_ms=20)
    got = {m.instance: m.poll() for m in fleet}
    ctl("set", poll_ms=5000)
    return {instance: messages[0] for instance, messages in got.items() if messages}


def drain(fleet):
    """Ends what was delivered before, in whatever way."""
    for member in fleet:
        ctl("set", poll_ms=20)
        while True:
            messages = member.poll()
            if not messages:
                break
            for message in messages:
                member.call("ec2messages", "DeleteMessage", {"MessageId": message["MessageId"]})
    ctl("set", poll_ms=5000)


def test_targets(operator):
    for instance, role, env in zip(FLEET, ("web", "web", "db", "db"), ("test", "live", "live", None)):
        add_tags(operator, "ManagedInstance", instance, fleet=role)
        if env:
            add_tags(operator, "ManagedInstance", instance, env=env)
    for what, targets, wanted in (
            ("a tag", [tag("tag:fleet", "web")], FLEET[:2]),
            ("either value", [tag("tag:fleet", "web", "db")], FLEET),
            ("two tags", [tag("tag:fleet", "web"), tag("tag:env", "live")], [FLEET[1]]),
            ("a key", [tag("tag-key", "env")], FLEET[:3]),
            ("a key and a tag", [tag("tag-key", "env"), tag("tag:fleet", "db")], [FLEET[2]]),
            ("ids", [tag("InstanceIds", FLEET[3], FLEET[0])], [FLEET[0], FLEET[3]])):
        command = send(operator, *targets)
        same(instances_of(operator, command), wanted, "targets by " + what)
        same((operator.command(command)["Targets"], operator.command(command)["InstanceIds"]),
             (targets, []), "which are told")
        cancel(operator, command)
    command = send(operator, tag("tag:fleet", "mail"))
    same((counts_of(operator, command), instances_of(operator, command)),
         (("Success", "NoInstancesInTag", 0, 0, 0, 0), []), "nobody has that tag")
    for what, targets in (
            ("a resource group", [tag("resource-groups:Name", "x")]),
            ("types of a resource group", [tag("resource-groups:ResourceTypeFilters", "x")]),
            ("an unknown key", [tag("colour", "red")]),
            ("a tag without a key", [tag("tag:", "red")]),
            ("a tag without values", [tag("tag:fleet")]),
            ("ids and a tag", [tag("tag:fleet", "web"), tag("InstanceIds", FLEET[0])]),
            ("no ids", [tag("InstanceIds")]),
            ("six of them", [tag("tag:fleet", "web")] * 6)):
        refused("target: " + what, "ValidationException", send, operator, *targets)
    refused("targets and instances", "ValidationException", operator.send,
            Targets=[tag("tag:fleet", "web")])
    refused("a stranger among the ids", "InvalidInstanceId", send, operator,
            tag("InstanceIds", FLEET[0], "i-0000000000000000f"))
    refused("an id twice", "DuplicateInstanceId", send, operator,
            tag("InstanceIds", FLEET[0], FLEET[0]))
    for name, values in (("MaxConcurrency", ("0", "0%", "101%", "-1", "+1", "01", "x", "%", "1.5")),
                         ("MaxErrors", ("101%", "-1", "00", "x", "%", ""))):
        for value in values:
            refused("%s '%s'" % (name, value), "ValidationException", operator.send,
                    **{name: value})


def test_rate(operator):
    every = tag("tag-key", "fleet")
    pending = sum(n for s, n in ctl("status")["invocations"].items()
                  if s in ("Pending", "InProgress", "Cancelling"))
    ctl("set", max_pending=pending + 3)
    command = send(operator, every)
    same((counts_of(operator, command), instances_of(operator, command)),
         (("Cancelled", "RateExceeded", 4, 0, 0, 0), []), "more than the account may have open")
    ctl("set", max_pending=0)


def test_concurrency(operator, fleet):
    every = tag("tag-key", "fleet")
    command = send(operator, every, MaxConcurrency="2")
    same((counts_of(operator, command), sorted(details_of(operator, command).values())),
         (("Pending", "Pending", 4, 0, 0, 0), [("Pending", "Pending")] * 4), "all are listed")
    first = waiting(fleet)
    same(sorted(first), FLEET[:2], "two at once")
    fleet[0].finish(first[FLEET[0]])
    third = waiting(fleet)
    same((sorted(third), counts_of(operator, command)),
         ([FLEET[2]], ("InProgress", "InProgress", 4, 1, 0, 0)), "the third after the first")
    cancel(operator, command)
    same((details_of(operator, command)[FLEET[0]], details_of(operator, command)[FLEET[3]],
          operator.command(command)["Status"]),
         (("Success", "Success"), ("Cancelled", "Cancelled"), "Cancelling"),
         "a cancel ends the one that waited")
    fleet[1].finish(first[FLEET[1]], "Cancelled")
    fleet[2].finish(third[FLEET[2]], "Cancelled")
    same(sorted(waiting([fleet[3]])), [], "which gets nothing")
    ctl("queue", instance=FLEET[3], parameters={"commands": ["true"]})
    other = waiting([fleet[3]])
    same(sorted(other), [FLEET[3]], "but the next command")
    fleet[3].finish(other[FLEET[3]])
    drain(fleet)
    command = send(operator, every, MaxConcurrency="30%")
    one = waiting(fleet)
    same(sorted(one), [FLEET[0]], "30 % of four are one")
    cancel(operator, command)
    fleet[0].finish(one[FLEET[0]], "Cancelled")


def ends(operator, fleet, how, **more):
    """A command to the fleet, one by one, whose members end as HOW says."""
    command = send(operator, tag("tag-key", "fleet"), MaxConcurrency="1", **more)
    for status in how:
        for instance, message in waiting(fleet).items():
            member = fleet[FLEET.index(instance)]
            if status == "NoHandlerExists":
                member.call("ec2messages", "FailMessage",
                            {"MessageId": message["MessageId"], "FailureType": status})
            else:
                member.finish(message, status)
    return command


def test_errors(operator, fleet):
    drain(fleet)
    good, bad = "Success", "Failed"
    command = ends(operator, fleet, [good, bad, good])
    same(counts_of(operator, command), ("Failed", "Failed", 4, 4, 1, 0), "the first error is the last")
    same([details_of(operator, command)[i] for i in FLEET],
         [(good, good), (bad, bad), ("Cancelled", "Terminated"), ("Cancelled", "Terminated")],
         "those that were not sent are terminated")
    ok(not waiting(fleet), "and stay so")
    command = ends(operator, fleet, [bad, good, good, good], MaxErrors="1")
    same(counts_of(operator, command), ("Success", "Incomplete", 4, 4, 1, 0), "one error is allowed")
    command = ends(operator, fleet, [bad, bad, good], MaxErrors="1")
    same(counts_of(operator, command), ("Failed", "Failed", 4, 4, 2, 0), "the second is one too many")
    command = ends(operator, fleet, [bad, bad, good, good], MaxErrors="50%")
    same(counts_of(operator, command), ("Success", "Incomplete", 4, 4, 2, 0), "half of four are two")
    command = ends(operator, fleet, ["TimedOut"])
    same(counts_of(operator, command), ("TimedOut", "ExecutionTimedOut", 4, 4, 1, 0),
         "a time-out is an error")
    command = ends(operator, fleet, ["NoHandlerExists", good, good, good])
    same(counts_of(operator, command), ("Success", "Success", 4, 4, 0, 0),
         "what cannot be delivered is none")
    command = ends(operator, fleet, [good] * 4)
    same(counts_of(operator, command), ("Success", "Success", 4, 4, 0, 0), "all succeed")
    found = operator.ask("ListCommands", Filters=[{"key": "Status", "value": "Incomplete"}])
    same([c["StatusDetails"] for c in found["Commands"]], ["Incomplete"] * 2, "filter by details")


def test_all(node, operator):
    fleet = [Member(instance, node.credentials) for instance in FLEET]
    test_targets(operator)
    test_rate(operator)
    test_concurrency(operator, fleet)
    test_errors(operator, fleet)
