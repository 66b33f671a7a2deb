"""A proxy in front of the apiserver that makes service account tokens look short-lived.

    token_proxy.py ADDRESS PORT APISERVER PKI SECONDS LOG

It passes everything on with the kubelet's own certificate. Of an answer to a TokenRequest it changes the time of expiry, and
it writes the time and audience of each request to LOG; while LOG.refuse exists, these are answered with 503.
"""

import datetime
import http.client
import http.server
import json
import os
import ssl
import sys
import time

address, port, upstream, pki, seconds, log = sys.argv[1:]
to_upstream = ssl.create_default_context(cafile=f"{pki}/ca.crt")
to_upstream.load_cert_chain(f"{pki}/kubelet.crt", f"{pki}/kubelet.key")


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, answer, headers):
        self.send_response(answer.status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while block := answer.read1(65536):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))
        self.wfile.write(b"0\r\n\r\n")

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        is_token = self.command == "POST" and self.path.split("?")[0].endswith("/token")
        if is_token and os.path.exists(log + ".refuse"):
            self.answer(503, [], b"")
            return
        if is_token:
            with open(log, "a") as file:
                print(time.monotonic(), *json.loads(body)["spec"].get("audiences", ()), file=file)
        there = http.client.HTTPSConnection(upstream, context=to_upstream)
        keep = {n: v for n, v in self.headers.items() if n.lower() not in ("host", "connection", "content-length")}
        there.request(self.command, self.path, body or None, keep)
        answer = there.getresponse()
        skip = ("content-length", "transfer-encoding", "connection", "date", "server")
        headers = [(n, v) for n, v in answer.getheaders() if n.lower() not in skip]
        if not is_token or answer.status != 201:
            self.stream(answer, headers)
            return
        made = json.loads(answer.read())
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=float(seconds))
        made["status"]["expirationTimestamp"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.answer(201, headers, json.dumps(made).encode())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on


server = http.server.ThreadingHTTPServer((address, int(port)), Proxy)
of_ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
of_ours.load_cert_chain(f"{pki}/server.crt", f"{pki}/server.key")
server.socket = of_ours.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
