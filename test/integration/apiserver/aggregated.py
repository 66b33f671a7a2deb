#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An API server behind the aggregator: aggregated.py FOLDER ADDRESS PORT. Serves wares.test.example/v1 (wares, namespaced),
kept in memory, over TLS to clients with a certificate of FOLDER/front.crt. While FOLDER/hang exists no answer comes.
Keeps the headers of the last request in FOLDER/headers, one a line.
"""
import http.server
import json
import os
import ssl
import sys
import threading
import time

FOLDER, ADDRESS, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])
GROUP, VERSION = "wares.test.example", "v1"
BASE = f"/apis/{GROUP}/{VERSION}"
WARES = {}
LOCK = threading.Lock()
RESOURCES = {
    "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{GROUP}/{VERSION}",
    "resources": [
        {"name": "wares", "singularName": "ware", "namespaced": True, "kind": "Ware", "shortNames": ["wa"],
         "verbs": ["create", "delete", "deletecollection", "get", "list", "watch"]},
        {"name": "wares/stock", "singularName": "", "namespaced": True, "kind": "Stock", "verbs": ["get"]},
    ],
}
REFERENCE = {"$ref": "#/definitions/example.test.Ware"}
OPENAPI_2 = {
    "swagger": "2.0", "info": {"title": "wares", "version": "v1"},
    "paths": {BASE + "/wares": {"get": {"operationId": "listWares", "responses": {"200": {
        "description": "OK", "schema": REFERENCE}}}},
        "/apis/apps/v1/deployments": {"get": {"responses": {"200": {"description": "stolen"}}}}},
    "definitions": {
        "example.test.Ware": {"type": "object", "description": "Something for sale.", "properties": {
            "price": {"type": "integer", "description": "Of one, in cents."},
            "metadata": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}},
            "x-kubernetes-group-version-kind": [{"group": GROUP, "version": VERSION, "kind": "Ware"}]},
        # another one than the cluster's
        "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": {"type": "object", "description": "Ours."},
        "example.test.Unused": {"type": "object"}},
}
OPENAPI_3 = {"openapi": "3.0.0", "info": {"title": "wares", "version": "v1"}, "paths": {}, "components": {"schemas": {
    "example.test.Ware": {"type": "object", "description": "Something for sale.", "x-kubernetes-group-version-kind": [
        {"group": GROUP, "version": VERSION, "kind": "Ware"}]}}}}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, code, body):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def missing(self):
        self.answer(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound",
                          "message": "there is no such ware", "code": 404})

    def ware(self):
        parts = self.path.split("?")[0][len(BASE):].strip("/").split("/")
        return (parts[1], parts[3] if len(parts) > 3 else None) if parts[0] == "namespaces" else (None, None)

    def note(self):
        while os.path.exists(FOLDER + "/hang"):
            time.sleep(0.05)
        if "kube-aggregator" in self.headers.get("X-Remote-User", ""):
            return
        new = f"{FOLDER}/headers.{threading.get_ident()}"
        with open(new, "w") as file:
            file.write(f"{self.command} {self.path}\n{self.headers}")
        os.rename(new, FOLDER + "/headers")

    def do_GET(self):
        self.note()
        path = self.path.split("?")[0]
        if path == BASE:
            return self.answer(200, RESOURCES)
        if path == "/openapi/v2":
            return self.answer(200, OPENAPI_2)
        if path == "/openapi/v3":
            return self.answer(200, {"paths": {BASE[1:]: {"serverRelativeURL": f"/openapi/v3{BASE}?hash=ABC"}}})
        if path == "/openapi/v3" + BASE:
            return self.answer(200, OPENAPI_3)
        namespace, name = self.ware()
        if "watch=" in self.path:
            return self.watch()
        with LOCK:
            found = [w for (n, _), w in sorted(WARES.items()) if namespace in (None, n)]
            one = WARES.get((namespace, name))
        if name is None:
            return self.answer(200, {"kind": "WareList", "apiVersion": f"{GROUP}/{VERSION}",
                                     "metadata": {"resourceVersion": "1"}, "items": found})
        return self.answer(200, one) if one else self.missing()

    def watch(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        for i in range(3):
            event = {"type": "ADDED", "object": {"kind": "Ware", "apiVersion": f"{GROUP}/{VERSION}",
                                                 "metadata": {"name": f"w{i}", "namespace": "default"}}}
            self.wfile.write(json.dumps(event).encode() + b"\n")
            self.wfile.flush()
        while not os.path.exists(FOLDER + "/end-watch"):
            time.sleep(0.05)
        self.close_connection = True

    def do_POST(self):
        self.note()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        namespace, _ = self.ware()
        body["metadata"].update(namespace=namespace, uid="u-" + body["metadata"]["name"], resourceVersion="1")
        with LOCK:
            WARES[(namespace, body["metadata"]["name"])] = body
        self.answer(201, body)

    def do_DELETE(self):
        self.note()
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        namespace, name = self.ware()
        if name is None:
            with LOCK:
                for key in [k for k in WARES if k[0] == namespace]:
                    del WARES[key]
            return self.answer(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})
        with LOCK:
            gone = WARES.pop((namespace, name), None)
        self.answer(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"}) if gone else self.missing()


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(FOLDER + "/wares.crt", FOLDER + "/wares.key")
context.load_verify_locations(FOLDER + "/front.crt")
context.verify_mode = ssl.CERT_REQUIRED
server = http.server.ThreadingHTTPServer((ADDRESS, PORT), Handler, bind_and_activate=False)
server.request_queue_size = 128
server.server_bind()
server.server_activate()
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
