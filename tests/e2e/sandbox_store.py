# SPDX-License-Identifier: Apache-2.0
# What a sandbox keeps for its operator, request by request: the parameter store, tags.
from sandbox_lib import IID, MODEL, ok, refused, same


def put(operator, name, value, **more):
    body = {"Name": name, "Value": value, "Type": "String"}
    body.update(more)
    return operator.ask("PutParameter", **body)


def value_of(operator, name, **more):
    return operator.ask("GetParameter", Name=name, **more)["Parameter"]["Value"]


def names_by_path(operator, path, **more):
    answer = operator.ask("GetParametersByPath", Path=path, **more)
    return [p["Name"] for p in answer["Parameters"]]


def described(operator, **more):
    answer = operator.ask("DescribeParameters", **more)
    return [p["Name"] for p in answer["Parameters"]]


# ---- the parameter store ----

def test_versions(node, operator):
    same(put(operator, "/a/b", "v1"), {"Version": 1, "Tier": "Standard"}, "a parameter is made")
    refused("it is there already", "ParameterAlreadyExists", put, operator, "/a/b", "v2")
    same(put(operator, "/a/b", "v2", Overwrite=True, Description="second")["Version"], 2,
         "and is overwritten")
    got = operator.ask("GetParameter", Name="/a/b:1")["Parameter"]
    same((got["Name"], got["Value"], got["Version"], got["Selector"], got["DataType"]),
         ("/a/b", "v1", 1, ":1", "text"), "an older version")
    same((value_of(operator, "/a/b"), value_of(operator, "/a/b:2")), ("v2", "v2"), "the last one")
    ok(got["ARN"].endswith(":parameter/a/b") and got["ARN"].startswith("arn:aws:ssm:"), "its ARN", got)
    refused("no such version", "ParameterVersionNotFound", value_of, operator, "/a/b:3")
    refused("no such label", "ParameterVersionNotFound", value_of, operator, "/a/b:good")
    refused("no such parameter", "ParameterNotFound", value_of, operator, "/a/c:1")
    answer = node.call("ssm", "GetParameters", {"Names": ["/a/b", "/a/b:1", "/a/b:9", "/none"],
                                                "WithDecryption": False})
    same([p["Value"] for p in answer["Parameters"]], ["v2", "v1"], "the node reads them")
    same(answer["InvalidParameters"], ["/a/b:9", "/none"], "parameters that are not there")
    ok(not MODEL.check_output("GetParameters", answer), "GetParameters fits the model",
       *MODEL.check_output("GetParameters", answer))
    refused("the node writes none", "AccessDeniedException", node.call, "ssm", "PutParameter",
            {"Name": "x", "Value": "y", "Type": "String"})
    for i in range(3, 103):
        put(operator, "/a/b", "v%d" % i, Overwrite=True)
    refused("a hundred versions are kept", "ParameterVersionNotFound", value_of, operator, "/a/b:2")
    same((value_of(operator, "/a/b:3"), value_of(operator, "/a/b")), ("v3", "v102"),
         "the oldest that is kept, and the last")
    history = operator.ask("GetParameterHistory", Name="/a/b", MaxResults=50)
    same(([p["Version"] for p in history["Parameters"]], history["Parameters"][0]["Description"]),
         (list(range(3, 53)), "second"), "the history, page by page")


def test_refused_values(operator):
    refused("a type is needed", "ValidationException", operator.ask, "PutParameter", Name="t",
            Value="x")
    refused("unknown type", "ValidationException", put, operator, "t", "x", Type="Number")
    refused("empty value", "ValidationException", put, operator, "t", "")
    refused("NUL in a value", "ValidationException", put, operator, "t", "a\0b")
    put(operator, "t", "x")
    refused("another type", "HierarchyTypeMismatchException", put, operator, "t", "x",
            Type="StringList", Overwrite=True)
    refused("tags with overwrite", "ValidationException", put, operator, "t", "x", Overwrite=True,
            Tags=[{"Key": "a", "Value": "b"}])
    for name in ("ssmThing", "/ssm/x", "a/b", "/a//b", "/a/", "with space", "/a:b"):
        refused("name '%s'" % name, "ValidationException", put, operator, name, "x")
    refused("reserved name", "AccessDeniedException", put, operator, "/aws/x", "x")
    refused("16 levels", "HierarchyLevelLimitExceededException", put, operator, "/l" * 16, "x")
    put(operator, "/l" * 15, "x")
    refused("long name", "ValidationException", put, operator, "n" * 1012, "x")
    refused("long value", "ValidationException", put, operator, "big", "x" * 4097)
    same(put(operator, "big", "x" * 4097, Tier="Intelligent-Tiering")["Tier"], "Advanced",
         "the tier fits the value")
    refused("not back to the standard tier", "ValidationException", put, operator, "big", "x",
            Tier="Standard", Overwrite=True)
    refused("longer than any tier takes", "ValidationException", put, operator, "big", "x" * 8193,
            Overwrite=True)
    refused("unknown data type", "ValidationException", put, operator, "image", "x", DataType="iso")
    refused("no image", "ValidationException", put, operator, "image", "x",
            DataType="aws:ec2:image")
    put(operator, "image", "ami-12345678", DataType="aws:ec2:image")
    refused("policies", "InvalidPolicyTypeException", put, operator, "p", "x", Policies="[]")


def test_patterns(operator):
    put(operator, "digits", "123", AllowedPattern=r"^\d+$")
    refused("the pattern holds for later values", "ParameterPatternMismatchException", put,
            operator, "digits", "12x", Overwrite=True)
    same(value_of(operator, "digits"), "123", "and what was refused changed nothing")
    refused("the value does not fit", "ParameterPatternMismatchException", put, operator, "word",
            "1", AllowedPattern="^[a-z]+$")
    refused("no pattern", "InvalidAllowedPatternException", put, operator, "word", "1",
            AllowedPattern="(")
    refused("a pattern that would grow without end", "InvalidAllowedPatternException", put,
            operator, "word", "1", AllowedPattern="((a{1000}){1000}){1000}")


def test_secure(operator):
    put(operator, "/s/key", "hidden", Type="SecureString", KeyId="alias/mine")
    sealed = value_of(operator, "/s/key")
    ok(sealed and "hidden" not in sealed, "a SecureString is sealed", sealed)
    same(value_of(operator, "/s/key", WithDecryption=True), "hidden", "and opened")
    put(operator, "/s/other", "hidden too", Type="SecureString")
    ok(value_of(operator, "/s/other") != sealed, "another value is sealed otherwise")
    same([(p["Name"], p["KeyId"]) for p in
          operator.ask("DescribeParameters", ParameterFilters=[
              {"Key": "Type", "Values": ["SecureString"]}])["Parameters"]],
         [("/s/key", "alias/mine"), ("/s/other", "alias/aws/ssm")], "the keys that seal")
    refused("unknown key", "InvalidKeyId", put, operator, "/s/bad", "x", Type="SecureString",
            KeyId="mine")
    refused("a key for a String", "ValidationException", put, operator, "/s/bad", "x",
            KeyId="alias/mine")
    refused("a command takes no SecureString", "InvalidParameters", operator.send,
            Parameters={"commands": ["echo {{ ssm:/s/key }}"]})
    refused("nor a version of it", "InvalidParameters", operator.send,
            Parameters={"commands": ["x {{", "{{ssm:t}} {{ssm:/s/key:1}}"]})
    operator.ask("CancelCommand", CommandId=operator.send(
        Parameters={"commands": ["{{ssm-secure:/s/key}} {{ssm:/none}} {{ssm:/s/key"]}))
    ok(True, "what is no reference to it is taken")


def test_lists(operator):
    for name in ("/w/a", "/w/b", "/w/x/c", "/wide"):
        put(operator, name, name, Description="d of " + name)
    put(operator, "/w/list", "1,2", Type="StringList")
    same(names_by_path(operator, "/w"), ["/w/a", "/w/b", "/w/list"], "directly below a path")
    same(names_by_path(operator, "/w/", Recursive=True), ["/w/a", "/w/b", "/w/list", "/w/x/c"],
         "at any depth")
    same(names_by_path(operator, "/nothing"), [], "below nothing")
    same(names_by_path(operator, "/w", ParameterFilters=[{"Key": "Type", "Values": ["StringList"]}]),
         ["/w/list"], "by path and type")
    ok("t" in names_by_path(operator, "/") or "t" in names_by_path(operator, "/", Recursive=True),
       "the root is above all")
    refused("no path", "ValidationException", names_by_path, operator, "w")
    refused("eleven at once", "ValidationException", names_by_path, operator, "/w", MaxResults=11)
    first = operator.ask("GetParametersByPath", Path="/w", MaxResults=2)
    rest = operator.ask("GetParametersByPath", Path="/w", NextToken=first["NextToken"])
    same([[p["Name"] for p in page["Parameters"]] for page in (first, rest)],
         [["/w/a", "/w/b"], ["/w/list"]], "pages")
    refused("a token of nobody", "InvalidNextToken", names_by_path, operator, "/w", NextToken="x")
    wide = {"Key": "Name", "Option": "BeginsWith", "Values": ["/wi"]}
    same(described(operator, ParameterFilters=[wide]), ["/wide"], "by the beginning of a name")
    same(described(operator, ParameterFilters=[dict(wide, Option="Contains", Values=["x/c"])]),
         ["/w/x/c"], "by a part of it")
    same(described(operator, ParameterFilters=[{"Key": "Path", "Values": ["/w"]}]),
         ["/w/a", "/w/b", "/w/list"], "by path")
    same(described(operator, ParameterFilters=[{"Key": "Path", "Option": "Recursive", "Values": ["/w/x"]}]),
         ["/w/x/c"], "by path at any depth")
    same(described(operator, Filters=[{"Key": "Name", "Values": ["/w/x"]}]), ["/w/x/c"],
         "by the older list of filters")
    refused("both lists of filters", "ValidationException", described, operator,
            Filters=[{"Key": "Name", "Values": ["a"]}], ParameterFilters=[wide])
    refused("unknown key", "InvalidFilterKey", described, operator,
            ParameterFilters=[{"Key": "Colour", "Values": ["red"]}])
    refused("unknown option", "InvalidFilterOption", described, operator,
            ParameterFilters=[dict(wide, Option="EndsWith")])
    refused("no values", "InvalidFilterValue", described, operator,
            ParameterFilters=[{"Key": "Name"}])
    refused("a name is no filter of a path", "InvalidFilterKey", names_by_path, operator, "/w",
            ParameterFilters=[wide])
    operator.ask("DeleteParameter", Name="/wide")
    refused("deleted", "ParameterNotFound", operator.ask, "DeleteParameter", Name="/wide")
    answer = operator.ask("DeleteParameters", Names=["/w/a", "/w/none"])
    same((answer["DeletedParameters"], answer["InvalidParameters"]), (["/w/a"], ["/w/none"]),
         "several deleted")


# ---- tags ----

def tags_of(operator, kind, name):
    answer = operator.ask("ListTagsForResource", ResourceType=kind, ResourceId=name)
    return [(t["Key"], t["Value"]) for t in answer["TagList"]]


def add_tags(operator, kind, name, **tags):
    operator.ask("AddTagsToResource", ResourceType=kind, ResourceId=name,
                 Tags=[{"Key": k, "Value": v} for k, v in tags.items()])


def test_tags(operator):
    put(operator, "/tag/p", "x", Tags=[{"Key": "env", "Value": "test"}])
    same(tags_of(operator, "Parameter", "/tag/p"), [("env", "test")], "tags given with a parameter")
    add_tags(operator, "Parameter", "/tag/p", env="live", more="")
    same(tags_of(operator, "Parameter", "/tag/p"), [("env", "live"), ("more", "")], "tags added")
    same(described(operator, ParameterFilters=[{"Key": "tag:env", "Values": ["live", "y"]}]),
         ["/tag/p"], "parameters by tag")
    same(described(operator, ParameterFilters=[{"Key": "tag:more"}]), ["/tag/p"],
         "parameters by key")
    same(described(operator, ParameterFilters=[{"Key": "tag:env", "Values": ["test"]}]), [],
         "by a value it had")
    operator.ask("RemoveTagsFromResource", ResourceType="Parameter", ResourceId="/tag/p",
                 TagKeys=["env", "none"])
    same(tags_of(operator, "Parameter", "/tag/p"), [("more", "")], "tags removed")
    refused("51 tags", "TooManyTagsError", add_tags, operator, "Parameter", "/tag/p",
            **{"k%d" % i: "v" for i in range(50)})
    same(tags_of(operator, "Parameter", "/tag/p"), [("more", "")], "none of them was taken")
    refused("a reserved key", "ValidationException", add_tags, operator, "Parameter", "/tag/p",
            **{"aws:x": "y"})
    refused("a reserved key of a new parameter", "ValidationException", put, operator, "/tag/q", "x",
            Tags=[{"Key": "aws:x", "Value": "y"}])
    refused("which was not made", "ParameterNotFound", value_of, operator, "/tag/q")
    operator.ask("DeleteParameter", Name="/tag/p")
    put(operator, "/tag/p", "x")
    same(tags_of(operator, "Parameter", "/tag/p"), [], "tags go with their parameter")
    refused("no such parameter", "InvalidResourceId", add_tags, operator, "Parameter", "/none", a="b")
    refused("no such document", "InvalidResourceId", tags_of, operator, "Document", "No-Such")
    refused("nothing the sandbox has", "InvalidResourceType", tags_of, operator, "PatchBaseline", "x")
    add_tags(operator, "ManagedInstance", IID, role="web")
    same(tags_of(operator, "ManagedInstance", IID), [("role", "web")], "tags of a node")
    refused("no such node", "InvalidResourceId", tags_of, operator, "ManagedInstance",
            "i-0000000000000000f")


def test_all(node, operator):
    test_versions(node, operator)
    test_refused_values(operator)
    test_patterns(operator)
    test_secure(operator)
    test_lists(operator)
    test_tags(operator)
