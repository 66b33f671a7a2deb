#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sockets.py PORT COOKIES WHAT [COOKIES...]: WebSockets to the dashboard, as a browser opens them. Exit status 0 when all is as it should."""
import base64
import json
import os
import socket
import ssl
import struct
import sys
import urllib.request



def key_of(jar):
    with open(jar, encoding="utf-8") as file:
        cookie_of = next(line.split("\t")[6].strip() for line in file if "__Host-dashboard" in line)
    with open(jar + ".proof", encoding="utf-8") as file:
        return cookie_of, file.read().strip()


port, what = int(sys.argv[1]), sys.argv[3]
cookie, proof = key_of(sys.argv[2])
own = f"https://127.0.0.1:{port}"
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE


class Socket:
    def __init__(self, path, protocol="object.dashboard", origin=own, cookie_value=cookie, proof_value=proof):
        self.wire = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=30))
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                 f"Sec-WebSocket-Key: {key}", f"Cookie: __Host-dashboard={cookie_value}"]
        lines += [f"Origin: {origin}"] if origin else []
        lines += [f"Sec-WebSocket-Protocol: {protocol + ', ' if protocol else ''}proof.{proof_value}"]
        self.wire.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.file = self.wire.makefile("rb")
        self.code = int(self.file.readline().split()[1])
        while self.file.readline() not in (b"\r\n", b""):
            pass

    def receive(self):
        """(opcode, payload); (8, ...) when it is closed, (None, b"") when the connection has ended."""
        head = self.file.read(2)
        if len(head) < 2:
            return None, b""
        length = head[1] & 127
        if length == 126:
            length = struct.unpack(">H", self.file.read(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self.file.read(8))[0]
        return head[0] & 15, self.file.read(length)


def request(method, path, body=None):
    call = urllib.request.Request(own + path, method=method, data=json.dumps(body).encode() if body else None,
                                  headers={"X-Dashboard-Request": proof, "Cookie": f"__Host-dashboard={cookie}", "Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(call, context=context))


def check(condition, text):
    if not condition:
        sys.exit(text)


PATH = "/api/v1/namespaces/default/configmaps?watch=1"
if what == "watch":
    version = request("GET", "/api/v1/namespaces/default/configmaps?limit=1")["metadata"]["resourceVersion"]
    ws = Socket(f"{PATH}&resourceVersion={version}", "table.dashboard")
    check(ws.code == 101, f"no upgrade: {ws.code}")
    check(ws.receive() == (1, b"200"), "the status does not come first")
    name = "w" + os.urandom(4).hex()
    request("POST", "/api/v1/namespaces/default/configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
    text = b""
    while b"\n" not in text:
        opcode, data = ws.receive()
        check(opcode == 2, f"opcode {opcode}")
        text += data
    event = json.loads(text.split(b"\n")[0])
    check(event["type"] == "ADDED" and event["object"]["kind"] == "Table" and event["object"]["rows"][0]["cells"][0] == name, text)
elif what == "refused":
    ws = Socket("/api/v1/secrets?watch=1")
    check(ws.receive() == (1, b"403"), "no status")
    check(json.loads(ws.receive()[1])["reason"] == "Forbidden", "no reason")
    check(ws.receive()[0] == 8, "it goes on")
elif what == "origins":
    check(Socket(PATH, origin="https://evil.example").code == 403, "another origin")
    check(Socket(PATH, origin=None).code == 403, "no origin")
    check(Socket(PATH, origin=f"http://127.0.0.1:{port}").code == 403, "another scheme")
    check(Socket(PATH, cookie_value="x" * 43).code == 401, "no session")
    check(Socket(PATH, proof_value="x" * 43).code == 401, "no proof")
    check(Socket(PATH, protocol=None).code == 400, "no protocol")
    check(Socket(PATH, protocol="v5.channel.k8s.io").code == 400, "another protocol")
elif what == "close":
    ws = Socket(PATH)
    check(ws.receive() == (1, b"200"), "no watch")
    ws.wire.sendall(b"\x88\x82\0\0\0\0\x03\xe8")  # a browser says goodbye, and waits
    opcode = 0
    while opcode not in (8, None):  # what came before it
        opcode, _ = ws.receive()
    check(opcode == 8, "no goodbye")
elif what == "logout":
    ws = Socket(PATH)
    check(ws.receive() == (1, b"200"), "no watch")
    request("DELETE", "/session")
    while True:
        opcode, _ = ws.receive()
        if opcode in (8, None):
            break
elif what == "many":
    open_ones = [Socket(PATH) for _ in range(128)]
    check(all(ws.receive() == (1, b"200") for ws in open_ones), "fewer than it should")
    opcode, data = Socket(PATH).receive()
    check(opcode == 8 and struct.unpack(">H", data[:2])[0] == 1013, f"one more: {opcode} {data}")
elif what == "user":  # several sessions of one user
    keys = [(cookie, proof)] + [key_of(jar) for jar in sys.argv[4:]]
    open_ones = [Socket(PATH, cookie_value=one[0], proof_value=one[1]) for one in keys[:2] for _ in range(128)]
    check(all(ws.receive() == (1, b"200") for ws in open_ones), "fewer than it should")
    opcode, data = Socket(PATH, cookie_value=keys[2][0], proof_value=keys[2][1]).receive()
    check(opcode == 8 and struct.unpack(">H", data[:2])[0] == 1013, f"one more: {opcode} {data}")
else:
    sys.exit(f"unknown: {what}")
