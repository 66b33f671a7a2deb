#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small metrics adapter: adapter.py FOLDER ADDRESS PORT. Serves custom.metrics.k8s.io/v1beta2 and
external.metrics.k8s.io/v1beta1; the metric NAME is what FOLDER/values/NAME says. Prints the requests."""
import datetime
import http.server
import json
import os
import ssl
import sys

FOLDER, ADDRESS, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])
CUSTOM, EXTERNAL = "/apis/custom.metrics.k8s.io/v1beta2", "/apis/external.metrics.k8s.io/v1beta1"


def value_of(name):
    path = f"{FOLDER}/values/{os.path.basename(name)}"
    return open(path).read().strip() if os.path.exists(path) else None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, form, *args):
        print(self.path, flush=True)

    def answer(self, code, body):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        path = self.path.split("?")[0]
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        if path in (CUSTOM, EXTERNAL):
            return self.answer(200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": path[6:], "resources": []})
        parts = path.split("/")
        value = value_of(parts[-1])
        if value is None or parts[4:5] != ["namespaces"]:
            return self.answer(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound",
                                     "message": "no such metric", "code": 404})
        if path.startswith(EXTERNAL):  # two series
            items = [{"metricName": parts[-1], "timestamp": now, "value": v} for v in (value, "0")]
            return self.answer(200, {"kind": "ExternalMetricValueList", "apiVersion": EXTERNAL[6:], "metadata": {}, "items": items})
        names = ["pod-p"] if parts[-2] == "*" else [parts[-2]]
        items = [{"describedObject": {"kind": "x", "namespace": parts[5], "name": name}, "metric": {"name": parts[-1]},
                  "timestamp": now, "value": value} for name in names]
        return self.answer(200, {"kind": "MetricValueList", "apiVersion": CUSTOM[6:], "metadata": {}, "items": items})


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(FOLDER + "/adapter.crt", FOLDER + "/adapter.key")
context.load_verify_locations(FOLDER + "/front.crt")
context.verify_mode = ssl.CERT_REQUIRED
server = http.server.ThreadingHTTPServer((ADDRESS, PORT), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
