#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks literal JSON paths in the code against the .api files; prints what is wrong, exit status 1 when anything is.

A path ("spec.template.metadata.labels") that an accessor of libcommon/format/json.h is given has to lead from field to
field of some type, and the last field has to be of the accessor's kind: cx_json_int of a string is a mistake, and so is a
misspelt member. What the object is cannot be seen here, so a path passes when any type has it.

JSON that is not Kubernetes' is read in the files listed below; a line with "not-api" in a comment is skipped.
"""
import collections
import glob
import re
import subprocess
import sys

NOT_KUBERNETES = re.compile(
    r"^(kubelet/(image|network)/"        # OCI distribution and images, CNI
    r"|kubelet/runtime/"                 # records of our own, runc's configuration
    r"|kubelet/csi/record"               # records of our own
    r"|libcommon/(net|format)/"          # tokens; the accessors themselves
    r"|libcommon/schema/(openapi|discovery|patch|fields|gen/)"  # OpenAPI, patches, managed fields
    r"|libcommon/client/kubeconfig"
    r"|libcommon/client/credentials"     # answers of credential plugins
    r"|apiserver/auth/tokens"            # claims
    r"|apiserver/endpoints/selection"  # continue tokens
    r"|apiserver/storage/encryption_config"  # a configuration file
    r"|controller-manager/core/discovery"  # discovery documents
    r"|kubelet/server/stream|libcommon/net/streams"  # terminal sizes
    r"|kubectl/(cmd/config|cmd/explain|ctl/connection)"
    r"|kubectl/kustomize/"               # kustomizations
    r"|minikube/|test/)")

SCALARS = {"string": "string", "bytes": "string", "time": "string", "micro-time": "string", "duration": "string",
           "quantity": "string", "int32": "int", "int64": "int", "number": "number", "bool": "bool",
           "int-or-string": "any", "any": "any"}
# What each accessor can read. "object" and "list" stand for maps and arrays.
ACCESSORS = {
    "cx_json_get": None,
    "cx_json_string": {"string", "any"},
    "cx_json_string_or": {"string", "any"},
    "cx_json_int": {"int", "number", "any"},
    "cx_json_bool": {"bool", "any"},
    "cx_json_count": {"object", "list", "any"},
    "cx_json_set": None,
    "cx_json_set_string": {"string", "any"},
    "cx_json_remove": None,
}
CALL = re.compile(r"\b(" + "|".join(ACCESSORS) + r")\(((?:[^()\"]|\([^()]*\))*?),\s*\"((?:[^\"\\]|\\.)*)\"")


def read_api():
    """type → {field: (kind of value, type of what it holds)}, with the fields that every kind and list has."""
    types = collections.defaultdict(dict)
    for path in sorted(glob.glob("libcommon/schema/*.api")):
        package, current = None, None
        with open(path, encoding="utf-8") as file:
            for line in file:
                words = line.split(" -- ")[0].split()
                if not words or line.startswith("#"):
                    continue
                if not line[0].isspace():
                    current = None
                    if words[0] == "group":
                        package = next(w.split("=")[1] for w in words if w.startswith("package="))
                    elif words[0] in ("kind", "type", "list"):
                        current = f"{package}.{words[1]}"
                        if words[0] != "type":
                            types[current] |= {"apiVersion": ("string", None), "kind": ("string", None)}
                        if words[0] == "list":
                            types[current] |= {"metadata": ("object", "meta.v1.ListMeta"),
                                               "items": ("list", f"{package}.{words[1][:-4]}")}
                elif current:
                    shape = "list" if words[1].startswith("[]") else "map" if words[1].startswith("{}") else "one"
                    base = words[1].removeprefix("{}").removeprefix("[]")
                    held = None if base in SCALARS else base if "." in base else f"{package}.{base}"
                    kind = ("list" if shape == "list" else "object" if shape == "map" or held else SCALARS[base])
                    types[current][words[0]] = (kind, held if shape == "one" else None)
    return types


def by_field(types):
    """field → all (kind, type of what it holds) that it has in any type."""
    fields = collections.defaultdict(set)
    for members in types.values():
        for name, what in members.items():
            fields[name].add(what)
    return fields


def kinds_at(path, types, fields):
    """The kinds of value that the path can lead to; empty when no type has it. {"any"} below what is not typed."""
    first, *rest = path.split(".")
    here = fields.get(first, set())
    for name in rest:
        if any(kind == "any" or (kind == "object" and held is None) for kind, held in here):
            return {"any"}  # a map's own keys, or free JSON
        here = {types[held][name] for kind, held in here if held and name in types[held]}
    return {kind for kind, _ in here}


def main():
    types = read_api()
    fields = by_field(types)
    wrong = []
    for path in subprocess.run(["git", "ls-files", "*.c", "*.h"], check=True, capture_output=True,
                               text=True).stdout.split():
        if NOT_KUBERNETES.match(path):
            continue
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for match in CALL.finditer(text):
            accessor, json_path = match[1], match[3]
            number = text.count("\n", 0, match.start(3)) + 1
            line = text.splitlines()[number - 1]
            if "not-api" in line or "%" in json_path or not json_path:
                continue
            kinds = kinds_at(json_path, types, fields)
            wanted = ACCESSORS[accessor]
            if not kinds:
                wrong.append(f"{path}:{number}: no type has \"{json_path}\"")
            elif wanted and not kinds & wanted and "any" not in kinds:
                wrong.append(f"{path}:{number}: {accessor} cannot read \"{json_path}\", which is {' or '.join(sorted(kinds))}")
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
