#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks how the tree hangs together; prints what is wrong, exit status 1 when anything is.

- A folder uses only the folders that the table below allows it: by an include, or by a function or a variable that the
  other folder defines, whatever the header says. Subfolders are folders of their own, but for those of libcommon.
- No file includes itself by way of others; foo.h, foo_internal.h and foo.c count as one.
- Includes start at the root of the repository, but for headers that the build makes.
- cx_ and CX_ are libcommon's, and all that libcommon exports begins so. No exported name and no struct is defined twice.

Symbols are read from the objects of the release build, which therefore has to be up to date.
"""
import collections
import os
import re
import subprocess
import sys

OBJECTS = "build/release/obj"

# folder: the folders of the same component that it may use, besides itself. "." is the component's own folder.
# libcommon is open to all, and is listed first; libcontroller is what the controller managers share. Folders that are not listed may use nothing of their component.
EDGES = {
    "libcommon": {
        "base": "",
        "format": "base",
        "api": "base format",
        "net": "base format api",
        "etcd": "base format net",
        "schema": "base format api",
        "client": "base format api net schema",
    },
    "libcontroller": {},
    "apiserver": {
        "storage": "",
        "request": "storage",
        "audit": "storage request",
        "auth": "storage request",
        "strategy": "storage request auth",
        "admission": "storage request auth",
        "registry": "storage request auth strategy admission",
        "bootstrap": "storage request strategy registry",
        "endpoints": "storage request auth strategy admission registry",
        ".": "storage request audit auth strategy admission registry bootstrap endpoints",
    },
    "scheduler": {
        "core": "",
        "plugins": "core",
        ".": "core plugins",
    },
    "controller-manager": {
        "core": "",
        "pods": "core",
        "workloads": "core pods",
        "batch": "core pods",
        "autoscaling": "core",
        "nodes": "core pods",
        "endpoints": "core pods",
        "storage": "core pods",
        "cluster": "core pods",
        "quota": "core pods",
        ".": "core workloads batch autoscaling nodes endpoints storage cluster quota",
    },
    "cloud-controller-manager": {
        "cloud": "",
        "bare": "cloud",
        ".": "cloud bare",
    },
    "kubelet": {
        "base": "",
        "certificates": "base",
        "image": "base",
        "network": "",
        "runtime": "base image network",
        "probe": "base runtime",
        "volume": "base runtime",
        "volume/plugins": "volume base image",
        "csi": "base volume",
        "pod": "base image runtime probe volume",
        "node": "base image network runtime volume pod",
        "server": "base runtime volume pod probe",
        ".": "base certificates image network runtime probe volume volume/plugins csi pod node server",
    },
    "kube-proxy": {},
    "kubectl": {
        "ctl": "",
        "kustomize": "",
        "proxy": "",
        "resource": "ctl kustomize",
        "printer": "ctl resource",
        "cmd": "ctl kustomize proxy resource printer",
        ".": "ctl cmd resource",
    },
    "minikube": {},
    "addons/dashboard": {},
    "addons/dns": {},
    "addons/ingress": {},
    "addons/loadbalancer": {},
    "addons/storage-provisioner": {},
}


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def component_of(path):
    return next((c for c in EDGES if path.startswith(c + "/")), None)


def folder_of(path):
    """The folder within its component: "." for the component's own."""
    component = component_of(path)
    folder = os.path.dirname(path)[len(component):].lstrip("/") or "."
    return folder.split("/")[0] if component == "libcommon" else folder


class Complaints:
    def __init__(self):
        self.lines = []
        self.edges = collections.defaultdict(set)  # (file, what it must not do): by which names

    def add(self, line):
        if line not in self.lines:
            self.lines.append(line)


def includes_of(path, complaints):
    found = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not match or match[1].endswith((".pb-c.h", "build_info.h")):
                continue
            if os.path.exists(match[1]):
                found.append(match[1])
            else:
                complaints.add(f"{path}:{number}: \"{match[1]}\" does not start at the root")
    return found


def check_edge(user, used, why, complaints):
    component, other = component_of(user), component_of(used)
    if component is None or other is None or (component == other and folder_of(user) == folder_of(used)):
        return
    if component != other:
        if other != "libcommon" and not (other == "libcontroller" and component.endswith("controller-manager")):
            complaints.edges[(user, f"uses {other}, another component")].add(os.path.basename(why))
        return
    source, target = folder_of(user), folder_of(used)
    if target not in EDGES[component].get(source, "").split():
        complaints.edges[(user, f"{component}/{source} uses {component}/{target}")].add(os.path.basename(why))


def unit_of(path):
    return re.sub(r"(_internal)?\.[ch]$", "", path)


def check_circles(graph, complaints):
    """Tarjan's strongly connected components, by an explicit stack."""
    index, low, on_stack, stack, counter = {}, {}, set(), [], 0
    for start in sorted(graph):
        if start in index:
            continue
        work = [(start, iter(sorted(graph.get(start, ()))))]
        index[start] = low[start] = counter
        counter += 1
        stack.append(start)
        on_stack.add(start)
        while work:
            node, successors = work[-1]
            for successor in successors:
                if successor not in index:
                    index[successor] = low[successor] = counter
                    counter += 1
                    stack.append(successor)
                    on_stack.add(successor)
                    work.append((successor, iter(sorted(graph.get(successor, ())))))
                    break
                if successor in on_stack:
                    low[node] = min(low[node], index[successor])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    circle = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        circle.append(member)
                        if member == node:
                            break
                    if len(circle) > 1:
                        complaints.add("circle: " + " ".join(sorted(circle)))


def symbols():
    """Of each object of the tree: the global names that it defines and those that it needs."""
    defined, needed = collections.defaultdict(set), collections.defaultdict(set)
    objects = []
    for folder, _, names in os.walk(OBJECTS):
        for name in names:
            path = os.path.join(folder, name)
            source = os.path.relpath(path, OBJECTS)[:-2] + ".c"
            if name.endswith(".o") and os.path.exists(source) and component_of(source):
                objects.append(path)
    for line in run("nm", "-A", "-g", *sorted(objects)).splitlines():
        path, rest = line.split(":", 1)
        words = rest.split()
        source = os.path.relpath(path, OBJECTS)[:-2] + ".c"
        (needed if words[-2] in "Uw" else defined)[source].add(words[-1])
    return defined, needed


def check_symbols(complaints):
    defined, needed = symbols()
    definers = collections.defaultdict(list)
    for source, names in defined.items():
        for name in names - {"main"}:
            definers[name].append(source)
            in_library = source.startswith("libcommon/")
            if name.startswith("cx_") != in_library:
                complaints.add(f"{source}: {name} " + ("does not begin with cx_" if in_library else
                                                       "begins with cx_, which is libcommon's"))
    for name, sources in definers.items():
        if len(sources) > 1:
            complaints.add(f"{name} is exported by {' and by '.join(sorted(sources))}")
    for source, names in needed.items():
        for name in names:
            for definer in definers.get(name, []):
                check_edge(source, definer, name, complaints)


def check_names(files, complaints):
    structs = collections.defaultdict(set)
    for path in files:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for name in re.findall(r"^\s*(?:static |const )*(?:struct|enum|union)(?: __attribute__\(\(packed\)\))? (\w+)\s*\{",
                               text, re.M) + re.findall(r"^(?:struct|enum|union) (\w+)\n\{", text, re.M):
            structs[name].add(path)
        if not path.startswith("libcommon/"):
            for name in re.findall(r"^(?:struct|enum|union) (cx_\w+) *\{|^#define (CX_\w+)", text, re.M):
                complaints.add(f"{path}: {name[0] or name[1]} has libcommon's prefix")
    for name, paths in structs.items():
        if len(paths) > 1:
            complaints.add(f"struct or enum {name} is defined in {' and in '.join(sorted(paths))}")


def main():
    complaints = Complaints()
    files = [f for f in run("git", "ls-files", "-co", "--exclude-standard", "*.c", "*.h").split()
             if os.path.exists(f) and component_of(f) and "/gen/" not in f]
    graph = collections.defaultdict(set)
    for path in files:
        for included in includes_of(path, complaints):
            check_edge(path, included, included, complaints)
            if unit_of(path) != unit_of(included):
                graph[unit_of(path)].add(unit_of(included))
    check_circles(graph, complaints)
    check_symbols(complaints)
    check_names(files, complaints)
    for (path, edge), names in complaints.edges.items():
        complaints.add(f"{path}: {edge} (not in the table of scripts/structure.py): {' '.join(sorted(names))}")
    check_circles({f"{component}/{folder}": {f"{component}/{used}" for used in allowed.split()}
                   for component, table in EDGES.items() for folder, allowed in table.items()}, complaints)
    for line in sorted(complaints.lines):
        print(line)
    return 1 if complaints.lines else 0


if __name__ == "__main__":
    sys.exit(main())
