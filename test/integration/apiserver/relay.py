#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The proxy subresources of pods and nodes before backends that misbehave: relay.py FOLDER PORT. Prints TAP.

The backends are threads of this program: what a request's path names is what it gets, byte by byte. A pod "backend" and
a node "backend" lead to them (the node's over TLS).
"""
import http.client
import json
import os
import re
import select
import socket
import ssl
import sys
import threading
import time

FOLDER, PORT = sys.argv[1], int(sys.argv[2])
WAIT = 60


def own_address():
    """One of this machine's that is not the loopback's: the server goes on to no other of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("203.0.113.1", 9))  # sends nothing
        return probe.getsockname()[0]


HERE = own_address()

ANSWERS = {
    "plain": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\nX-Own: yes\r\nKeep-Alive: timeout=9\r\n"
             b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nhello",
    "trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5;note=\"x\"\r\nhello\r\n0\r\n"
                b"X-Sum: 1\r\nHTTP/1.1: 500\r\nContent-Length: 3\r\n\r\n",
    "newlines": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
               b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "missing": b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nnope",
    "empty": b"HTTP/1.1 204 No Content\r\n\r\n",
    "switch": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello",
    "early": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
    "nothing": b"",
    "noise": b"\x00\x01\x02 SSH-2.0 nonsense\r\n\r\n",
    "long": b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 60000 + b"\r\nContent-Length: 5\r\n\r\nhello",
    "longer": b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 2000000 + b"\r\nContent-Length: 5\r\n\r\nhello",
    "many": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 5000 + b"Content-Length: 5\r\n\r\nhello",
    "containerLogs/default/logged/c":
             b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n",
}
requests, left = {}, {"hang": threading.Event(), "stall": threading.Event()}


def serve_one(client):
    name = None
    with client:
        try:
            data = b""
            while b"\r\n\r\n" not in data:
                got = client.recv(65536)
                if not got:
                    return
                data += got
            name = data.split(b" ", 2)[1].decode().strip("/").split("?")[0]
            requests[name] = data.decode()
            if name == "stall":  # begins and does not go on
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
            if name in left:
                while client.recv(65536):
                    pass
                left[name].set()
            elif name == "endless":
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                while True:
                    client.sendall(b"x" * 65536)
            else:
                client.sendall(ANSWERS[name])
        except (ConnectionError, ssl.SSLError):
            if name in left:
                left[name].set()


def backend(tls):
    listener = socket.create_server((HERE, 0), backlog=64)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER + "/server.crt", FOLDER + "/server.key")

    def accept():
        while True:
            client, _ = listener.accept()
            try:
                client.settimeout(WAIT * 4)
                client = context.wrap_socket(client, server_side=True) if tls else client
                threading.Thread(target=serve_one, args=(client,), daemon=True).start()
            except (OSError, ssl.SSLError):
                client.close()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def connection():
    context = ssl.create_default_context(cafile=FOLDER + "/ca.crt")
    context.load_cert_chain(FOLDER + "/admin.crt", FOLDER + "/admin.key")
    return http.client.HTTPSConnection("127.0.0.1", PORT, context=context, timeout=WAIT)


def ask(method, path, body=None, headers=None, content_type="application/json"):
    """(status, headers, body); a body that ends too early is its exception."""
    client = connection()
    try:
        data = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
        client.request(method, path, data, {"Content-Type": content_type, **(headers or {})})
        answer = client.getresponse()
        try:
            return answer.status, answer.headers, answer.read()
        except (http.client.IncompleteRead, ConnectionError) as error:
            return answer.status, answer.headers, error
    finally:
        client.close()


def expect(have, want):
    assert have == want, f"have {have}, want {want}"


def expect_failure(answer, part):
    code, _, body = answer
    status = json.loads(body)
    expect((code, status["kind"], status["code"], status["reason"]), (503, "Status", 503, "ServiceUnavailable"))
    assert part in status["message"], status["message"]


def passed_on(proxy):
    code, headers, body = ask("POST", proxy + "plain?a=b%20c", "data", {
        "Authorization": "Basic eDp5", "X-Mine": "1", "Connection": "keep-alive, X-Gone", "Cookie": "c=d",
        "X-Forwarded-For": "1.2.3.4"}, "text/x")
    expect((code, body, headers["X-Own"], headers["Content-Type"]), (200, b"hello", "yes", "text/html"))
    expect((headers.get_all("Set-Cookie"), headers["Keep-Alive"]), (["a=1", "b=2"], None))
    request = requests["plain"].lower()
    for line in ("post /plain?a=b%20c http/1.1", "x-mine: 1", "cookie: c=d", "content-type: text/x",
                 "x-forwarded-for: 127.0.0.1", "x-forwarded-proto: https"):
        assert line + "\r\n" in request, request
    for part in ("authorization", "eDp5", "1.2.3.4"):
        assert part.lower() not in request, request


def whole(proxy):
    for name in ("trailers", "newlines", "interim"):
        code, headers, body = ask("GET", proxy + name)
        expect((name, code, body, headers["X-Sum"], headers["Link"]), (name, 200, b"hello", None, None))
    code, _, body = ask("GET", proxy + "missing")
    expect((code, body), (404, b"nope"))
    code, _, body = ask("GET", proxy + "empty")
    expect((code, body), (204, b""))
    code, headers, body = ask("HEAD", proxy + "plain")
    expect((code, body, headers["X-Own"]), (200, b"", "yes"))


def cut_short(proxy):
    for name in ("early", "chunk"):
        code, _, body = ask("GET", proxy + name)
        assert code == 200 and isinstance(body, Exception), (name, code, body)


def refused(proxy):
    for name in ("nothing", "noise", "switch"):
        expect_failure(ask("GET", proxy + name), "error trying to reach")
    for name in ("long", "longer", "many"):
        expect_failure(ask("GET", proxy + name), "too large")
    expect(ask("GET", "/livez")[0], 200)


def left_alone(proxy):
    """A client that does not wait any longer: the backend is told, whether it has begun to answer or not."""
    for name in ("hang", "stall"):
        left[name].clear()
        client = connection()
        client.request("GET", proxy + name)
        end = time.monotonic() + WAIT
        while name not in requests:
            assert time.monotonic() < end
            time.sleep(0.05)
        if name == "stall":
            expect(client.getresponse().read(5), b"hello")
        client.sock.close() if name == "hang" else client.close()
        client.close()
        assert left[name].wait(WAIT), f"{name}: the backend's connection is still open"
        del requests[name]


def resident():
    """The server's memory in kB; 0 with sanitizers, which keep what was freed."""
    with open(f"/proc/{os.environ['SERVER_PID']}/maps") as maps:
        if re.search(r"/lib[at]san\.so", maps.read()):
            return 0
    with open(f"/proc/{os.environ['SERVER_PID']}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def not_read(proxy):
    """A client that reads nothing of an answer without end is cut off, and the backend with it."""
    client = connection()
    client.connect()
    client.request("GET", proxy + "endless")
    end = time.monotonic() + 240
    before = resident()
    poll = select.poll()
    poll.register(client.sock.fileno(), select.POLLRDHUP)
    while not poll.poll(500):
        assert time.monotonic() < end, "not cut off"
        now = resident()
        assert now < before + 30000, f"{now} kB, {before} before"


def frames(protocol, path):
    """The answer to a WebSocket that is opened on a path: its head, then (opcode, data) of each frame until the close."""
    context = ssl.create_default_context(cafile=FOLDER + "/ca.crt")
    context.load_cert_chain(FOLDER + "/admin.crt", FOLDER + "/admin.key")
    offer = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
    with context.wrap_socket(socket.create_connection(("127.0.0.1", PORT), WAIT), server_hostname="127.0.0.1") as client:
        client.sendall((f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{offer}"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode())
        stream = client.makefile("rb")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = stream.readline()
            assert line, head
            head += line
        got = []
        while b" 101 " in head and (not got or got[-1][0] != 8):
            first, length = stream.read(2)
            assert first & 0x80 and length < 126, (first, length)
            got.append((first & 15, stream.read(length)))
        return head.decode(), got


def logs_as_messages(_):
    path = "/api/v1/namespaces/default/pods/logged/log?container=c"
    for protocol, opcode, data in (("", 2, b"hello\n"), ("binary.k8s.io", 2, b"hello\n"),
                                   ("base64.binary.k8s.io", 1, b"aGVsbG8K")):
        head, got = frames(protocol, path)
        assert "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head, head
        expect("sec-websocket-protocol" in head.lower(), bool(protocol))
        expect((got[0], got[-1]), ((opcode, data), (8, b"\x03\xe8")))
    head, _ = frames("other.k8s.io", path)
    expect(head.split("\r\n")[0], "HTTP/1.1 400 Bad Request")


MERGE = "application/merge-patch+json"


def set_addresses(address, port):
    status = {"status": {"podIP": address, "podIPs": [{"ip": address}], "phase": "Running"}}
    expect(ask("PATCH", "/api/v1/namespaces/default/pods/backend/status", status, None, MERGE)[0], 200)
    status = {"status": {"addresses": [{"type": "InternalIP", "address": address}],
                         "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}}
    expect(ask("PATCH", "/api/v1/nodes/backend/status", status, None, MERGE)[0], 200)


def kept_in(_):
    """Addresses that a kubelet, or whoever writes endpoints, must not get the server to call."""
    listener = socket.create_server(("0.0.0.0", 0), backlog=64)
    listener.settimeout(1)
    port = listener.getsockname()[1]
    loopbacks = ("127.0.0.1", "127.9.9.9", "localhost", "0.0.0.0", "::ffff:127.0.0.1", "[::ffff:127.0.0.1]",
                 "2130706433", "0x7f000001", "169.254.169.254", "224.0.0.1")
    for address in loopbacks:
        set_addresses(address, port)
        for path in (f"/api/v1/nodes/backend/proxy/plain", f"/api/v1/namespaces/default/pods/backend:{port}/proxy/",
                     "/api/v1/namespaces/default/pods/logged/log?container=c"):
            code = ask("GET", path)[0]
            assert code in (500, 503), (address, path, code)
    set_addresses(HERE, PORT)  # the server itself, with its own certificate
    expect(ask("GET", "/api/v1/nodes/backend/proxy/api/v1/secrets")[0], 503)
    try:
        listener.accept()
        assert False, "somebody came"
    except socket.timeout:
        pass
    endpoints = "/api/v1/namespaces/default/endpoints"
    slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    for count, address in enumerate(("127.0.0.1", "::1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "::ffff:127.0.0.1",
                                     "fd00:ec2::254", "nonsense")):
        for part in ("addresses", "notReadyAddresses"):
            body = {"metadata": {"name": f"e{count}"}, "subsets": [{part: [{"ip": address}], "ports": [{"port": 1}]}]}
            expect(ask("POST", endpoints, body)[0], 422)
        body = {"metadata": {"name": f"e{count}"}, "addressType": "IPv6" if ":" in address else "IPv4",
                "endpoints": [{"addresses": [address]}]}
        expect(ask("POST", slices, body)[0], 422)
    body = {"metadata": {"name": "e"}, "subsets": [{"addresses": [{"ip": "10.0.0.1"}]}]}
    expect(ask("POST", endpoints, body)[0], 201)


def main():
    plain, tls = backend(False), backend(True)
    expect(ask("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})[0], 201)
    pod = {"metadata": {"name": "backend"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    code, _, body = ask("POST", "/api/v1/namespaces/default/pods", pod)
    expect((code, body if code != 201 else b""), (201, b""))
    expect(ask("POST", "/api/v1/nodes", {"metadata": {"name": "backend"}})[0], 201)
    set_addresses(HERE, tls)
    pod = {"metadata": {"name": "logged"}, "spec": {**pod["spec"], "nodeName": "backend"}}
    expect(ask("POST", "/api/v1/namespaces/default/pods", pod)[0], 201)
    proxies = {"pod": f"/api/v1/namespaces/default/pods/backend:{plain}/proxy/",
               "node": "/api/v1/nodes/backend/proxy/"}
    tests = [("passes requests and answers on", passed_on), ("trailers, interim answers, bare newlines", whole),
             ("an answer that ends early", cut_short), ("answers that are none, or too large", refused),
             ("a client that leaves", left_alone)]
    count = failed = 0
    for where, proxy in proxies.items():
        more = {"pod": ("a client that does not read", not_read), "node": ("logs as messages", logs_as_messages)}
        for name, run in tests + [more[where]]:
            count += 1
            try:
                run(proxy)
                print(f"ok {count} - {where}: {name}", flush=True)
            except Exception as error:  # whatever it is, the test has failed
                failed += 1
                print(f"not ok {count} - {where}: {name}\n# {type(error).__name__}: {error}", flush=True)
    count += 1
    try:
        kept_in(None)
        print(f"ok {count} - goes on to no address that only it can reach", flush=True)
    except Exception as error:
        failed += 1
        print(f"not ok {count} - goes on to no address that only it can reach\n# {type(error).__name__}: {error}")
    print(f"1..{count}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
