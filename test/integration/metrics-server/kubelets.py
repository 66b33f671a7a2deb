#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kubelets that only have metrics: kubelets.py FOLDER ADDRESS PORT COUNT [PODS]. Kubelet i listens on PORT+i with
FOLDER/kubelet.crt, wants a client certificate of FOLDER/ca.crt, and runs the pod pod-i (or PODS of them, pod-i-0 and so on),
each of which uses a quarter of a core and 64 MiB. One whose FOLDER/hang-i exists does not answer; FOLDER/restart-i starts its
containers anew.
"""
import http.server
import os
import ssl
import sys
import threading
import time

FOLDER, ADDRESS, PORT, COUNT = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
PODS = int(sys.argv[5]) if len(sys.argv) > 5 else 0
BEGAN = time.time() - 1000


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    number = 0

    def log_message(self, *args):
        pass

    def do_GET(self):
        while os.path.exists(f"{FOLDER}/hang-{self.number}"):
            time.sleep(0.05)
        now = time.time()
        began = os.stat(f"{FOLDER}/restart-{self.number}").st_mtime if os.path.exists(f"{FOLDER}/restart-{self.number}") else BEGAN
        ms = int(now * 1000)
        names = [f"pod-{self.number}-{i}" for i in range(PODS)] or [f"pod-{self.number}"]
        text = (f"# HELP node_cpu_usage_seconds_total [STABLE] x\n# TYPE node_cpu_usage_seconds_total counter\n"
                f"node_cpu_usage_seconds_total {(now - BEGAN) * 0.5:.6f} {ms}\n"
                f"node_memory_working_set_bytes 1.073741824e+09 {ms}\n")
        for name in names:
            labels = f'container="c",namespace="default",pod="{name}"'
            text += (f"container_cpu_usage_seconds_total{{{labels}}} {(now - began) * 0.25:.6f} {ms}\n"
                     f"container_memory_working_set_bytes{{{labels}}} 6.7108864e+07 {ms}\n"
                     f"container_start_time_seconds{{{labels}}} {began:.6f}\n")
        text = (text + "resource_scrape_error 0\n").encode()
        self.send_response(200 if self.path == "/metrics/resource" else 404)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(FOLDER + "/kubelet.crt", FOLDER + "/kubelet.key")
context.load_verify_locations(FOLDER + "/ca.crt")
context.verify_mode = ssl.CERT_REQUIRED
servers = []
for i in range(COUNT):
    handler = type(f"Handler{i}", (Handler,), {"number": i})
    server = http.server.ThreadingHTTPServer((ADDRESS, PORT + i), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    servers.append(server)
threading.Event().wait()
