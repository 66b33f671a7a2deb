# SPDX-License-Identifier: Apache-2.0
"""A server with nothing but a Metrics API and nodes; writes its port to the file "metrics.port" and ends after two minutes."""
import http.server
import json
import os
import threading
from urllib.parse import parse_qs, urlparse


def pod(namespace, name, labels, *containers):
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels}, "timestamp": "2026-01-01T00:00:00Z", "window": "10s",
            "containers": [{"name": c, "usage": usage} for c, usage in containers]}


PODS = [pod("one", "first", {"app": "x"}, ("c", {"cpu": "250m", "memory": "100Mi"}), ("b", {"cpu": "1500000n", "memory": "2097152", "swap": "1Mi"})),
        pod("one", "a-second-with-a-long-name", {}, ("only", {"cpu": "3", "memory": "1500Ki"})),
        pod("two", "b", {}, ("c", {"cpu": "1m", "memory": "1Gi"}))]
USAGES = [{"metadata": {"name": n}, "timestamp": "2026-01-01T00:00:00Z", "window": "10s", "usage": u} for n, u in (
    ("n2", {"cpu": "900m", "memory": "3000Mi", "swap": "5Mi"}), ("n1", {"cpu": "1999500u", "memory": "100Mi"}), ("lost", {"cpu": "1", "memory": "1Gi"}))]
NODES = [{"metadata": {"name": n}, "status": {"capacity": {"cpu": "4", "memory": "8Gi"}, "allocatable": {"cpu": "2", "memory": "4Gi"}}} for n in ("n1", "n2", "silent")]
NODES[1]["status"]["nodeInfo"] = {"swap": {"capacity": 1 << 30}}
VERSION = {"groupVersion": "metrics.k8s.io/v1beta1", "version": "v1beta1"}
RESOURCES = [("nodes", False, "NodeMetrics"), ("pods", True, "PodMetrics")]


def answer(path, query):
    parts = path.strip("/").split("/")
    selects = bool(query.get("labelSelector"))
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/api/v1":
        return {"kind": "APIResourceList", "groupVersion": "v1", "resources": [
            {"name": n, "singularName": "", "namespaced": ns, "kind": k, "verbs": ["get", "list"]} for n, ns, k in (("nodes", False, "Node"), ("pods", True, "Pod"))]}
    if path == "/apis":
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [{"name": "metrics.k8s.io", "versions": [VERSION], "preferredVersion": VERSION}]}
    if path == "/apis/metrics.k8s.io":
        return {"kind": "APIGroup", "apiVersion": "v1", "name": "metrics.k8s.io", "versions": [VERSION], "preferredVersion": VERSION}
    if path == "/apis/metrics.k8s.io/v1beta1":
        return {"kind": "APIResourceList", "groupVersion": "metrics.k8s.io/v1beta1", "resources": [
            {"name": n, "singularName": "", "namespaced": ns, "kind": k, "verbs": ["get", "list"]} for n, ns, k in RESOURCES]}
    core = parts[0] == "api"
    parts = parts[2:] if core else parts[3:]
    namespace = None
    if parts[:1] == ["namespaces"]:
        namespace, parts = parts[1], parts[2:]
    kind = {"nodes": "Node", "pods": "Pod"}[parts[0]] + ("" if core else "Metrics")
    version = "v1" if core else "metrics.k8s.io/v1beta1"
    items = {"Node": NODES, "NodeMetrics": USAGES, "Pod": [], "PodMetrics": PODS}[kind]
    items = [i for i in items if namespace in (None, i["metadata"].get("namespace"))]
    if selects:
        items = [i for i in items if i["metadata"].get("labels")]
    if len(parts) > 1:
        found = [i for i in items if i["metadata"]["name"] == parts[1]]
        return {"kind": kind, "apiVersion": version, **found[0]} if found else None
    return {"kind": kind + "List", "apiVersion": version, "metadata": {}, "items": items}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        url = urlparse(self.path)
        body, code = answer(url.path, parse_qs(url.query)), 200
        if body is None:
            name = url.path.split("/")[-1]
            code, body = 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": f'pods "{name}" not found'}
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open("metrics.port.new", "w") as file:
    file.write(str(server.server_address[1]))
os.rename("metrics.port.new", "metrics.port")
timer = threading.Timer(120, os._exit, [0])
timer.daemon = True
timer.start()
server.serve_forever()
