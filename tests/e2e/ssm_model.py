# SPDX-License-Identifier: Apache-2.0
# Raw answers of the ssm service against the model that the aws command line brings along.
import gzip
import json
import os

PLACES = ["/usr/lib/python3/dist-packages/awscli/botocore/data",
          "/usr/lib/python3/dist-packages/botocore/data"]
KINDS = {"string": str, "integer": int, "long": int, "boolean": bool, "timestamp": (int, float),
         "list": list, "map": dict, "structure": dict}


def load():
    for place in PLACES:
        path = os.path.join(place, "ssm/2014-11-06/service-2.json")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                return json.load(f)
        if os.path.exists(path + ".gz"):
            with gzip.open(path + ".gz", "rt", encoding="utf-8") as f:
                return json.load(f)
    raise SystemExit("no ssm model: install awscli")


class Model:
    def __init__(self):
        self.doc = load()
        self.shapes = self.doc["shapes"]

    def check_output(self, operation, answer):
        """A list of complaints, empty when all is right."""
        output = self.doc["operations"][operation].get("output")
        found = []
        self.check(output["shape"], answer, operation, found)
        return found

    def errors_of(self, operation):
        return [e["shape"] for e in self.doc["operations"][operation].get("errors", [])]

    def check(self, name, value, path, found):
        shape = self.shapes[name]
        kind = shape["type"]
        if not isinstance(value, KINDS[kind]) or (kind != "boolean" and isinstance(value, bool)):
            found.append("%s: %r is not a %s" % (path, value, kind))
            return
        getattr(self, "check_" + kind, lambda *a: None)(shape, value, path, found)

    def check_structure(self, shape, value, path, found):
        for name in shape.get("required", []):
            if name not in value:
                found.append("%s: lacks %s" % (path, name))
        for name, item in value.items():
            member = shape["members"].get(name)
            if member is None:
                found.append("%s: the model has no %s" % (path, name))
            else:
                self.check(member["shape"], item, path + "." + name, found)

    def check_list(self, shape, value, path, found):
        self.check_size(shape, len(value), path, found)
        for i, item in enumerate(value):
            self.check(shape["member"]["shape"], item, "%s[%d]" % (path, i), found)

    def check_map(self, shape, value, path, found):
        for key, item in value.items():
            self.check(shape["key"]["shape"], key, path, found)
            self.check(shape["value"]["shape"], item, path + "." + key, found)

    def check_string(self, shape, value, path, found):
        if not value:  # the service writes "" for what is not set
            return
        self.check_size(shape, len(value), path, found)
        if "enum" in shape and value not in shape["enum"]:
            found.append("%s: %r is none of %s" % (path, value, shape["enum"]))

    def check_integer(self, shape, value, path, found):
        self.check_size(shape, value, path, found)

    @staticmethod
    def check_size(shape, size, path, found):
        if size > shape.get("max", size) or size < shape.get("min", size):
            found.append("%s: %d is out of bounds" % (path, size))
