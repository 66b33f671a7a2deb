#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plays pods behind Services: pods.py ADDRESS NAME=PORT... serves each name on its port.

What was asked comes back as JSON: the pod's name, method, path, headers, the length of the body. /upgrade switches to a protocol
that echoes lines; /sleep/SECONDS answers later.
"""
import base64
import hashlib
import http.server
import json
import socketserver
import sys
import threading
import time


class Pod(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        if self.path == "/upgrade" and self.headers.get("Upgrade"):
            return self.upgrade()
        if "/sleep/" in self.path:
            time.sleep(float(self.path.rsplit("/", 1)[1]))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        text = json.dumps({"pod": self.server.name, "method": self.command, "path": self.requestline.split()[1], "body": len(body),
                           "headers": {k.lower(): v for k, v in self.headers.items()}}).encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def upgrade(self):
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", self.headers["Upgrade"])
        key = self.headers.get("Sec-WebSocket-Key", "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.close_connection = True
        for line in self.rfile:
            self.wfile.write(line)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = answer

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    for word in sys.argv[2:]:
        name, port = word.split("=")
        server = Server((sys.argv[1], int(port)), Pod)
        server.name = name
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


main()
