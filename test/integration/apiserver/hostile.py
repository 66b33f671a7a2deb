#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that mean no good, against the kube-apiserver at 127.0.0.1:PORT: hostile.py FOLDER PORT PID. Prints TAP.

FOLDER holds ca.crt, admin.crt and admin.key. PID is the server's, with at most 1,024 open files (so 512 connections).
What needs time runs side by side. "Cut" means that the server has ended the connection: an end or a reset.
"""
import concurrent.futures
import json
import os
import re
import select
import socket
import ssl
import sys
import time

FOLDER, PORT, PID = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
LATE = 240  # seconds; what is to be cut after 32 or 60 is cut by then on any machine
HERE = ("127.0.0.1", PORT)
MAPS = "/api/v1/namespaces/default/configmaps"


def tls_context(certificate=True):
    context = ssl.create_default_context(cafile=FOLDER + "/ca.crt")
    if certificate:
        context.load_cert_chain(FOLDER + "/admin.crt", FOLDER + "/admin.key")
    return context


def connect(certificate=True, receive_buffer=0):
    plain = socket.socket()
    if receive_buffer:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    plain.settimeout(60)
    plain.connect(HERE)
    return tls_context(certificate).wrap_socket(plain, server_hostname="127.0.0.1")


def read_answer(stream):
    """One answer as (code, headers, body); (0, {}, b"") at the end."""
    line = stream.readline()
    if not line:
        return 0, {}, b""
    code = int(line.split()[1])
    headers = {}
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, value = line.decode().split(":", 1)
        headers[name.lower()] = value.strip()
    if code < 200:
        return code, headers, b""
    return code, headers, stream.read(int(headers.get("content-length", 0)))


def ask(data, answers=1):
    """Sends bytes on a connection of its own; the codes of the answers, with 0 for the end."""
    with connect() as client:
        codes = []
        try:
            client.sendall(data)
            stream = client.makefile("rb")
            while len(codes) < answers and 0 not in codes:
                codes.append(read_answer(stream)[0])
        except (ConnectionError, ssl.SSLError):
            codes.append(0)
        return codes


def refused(data, want):
    """Sends bytes; every answer until the server has closed the connection has the code `want`."""
    text = b""
    with connect() as client:
        try:
            client.sendall(data)
            while got := client.recv(65536):
                text += got
        except (ConnectionError, ssl.SSLError):
            pass
    # libmicrohttpd 0.9.75 sends the head of its own complaints twice
    codes = {int(code) for code in re.findall(rb"^HTTP/1\.[01] (\d+)", text, re.M)}
    expect(codes, {want})


def request(method, path, body=None, content_type="application/json"):
    with connect() as client:
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        data = b"" if body is None else json.dumps(body).encode()
        if body is not None:
            head += f"Content-Type: {content_type}\r\nContent-Length: {len(data)}\r\n"
        client.sendall(head.encode() + b"\r\n" + data)
        return read_answer(client.makefile("rb"))


def config_map(name, data="v"):
    return {"metadata": {"name": name}, "data": {"k": data}}


def post(name, extra="", path=MAPS):
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{extra}"


GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


def expect(have, want):
    assert have == want, f"have {have}, want {want}"


def resident():
    """In kB; 0 with sanitizers, which keep what was freed."""
    with open(f"/proc/{PID}/maps") as maps:
        if re.search(r"/lib[at]san\.so", maps.read()):
            return 0
    with open(f"/proc/{PID}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def open_files():
    return len(os.listdir(f"/proc/{PID}/fd"))


def until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what()}"
        time.sleep(0.1)


# --- heads and bodies that are wrong or strange ---


def wrong_content_length():
    body = json.dumps(config_map("h-length")).encode()
    for value, code in (("x", 400), ("-1", 400), ("+5", 400), ("1 2", 400), ("9" * 20, 413)):
        refused(post("h-length", f"Content-Length: {value}\r\n\r\n").encode() + body, code)
    two = f"Content-Length: {len(body)}\r\nContent-Length: {len(body) + 9}\r\n\r\n"
    refused(post("h-length", two).encode() + body, 400)
    same = f"Content-Length: {len(body)}\r\nContent-Length: {len(body)}\r\n\r\n"
    expect(ask(post("h-length", same).encode() + body + GET, 2), [201, 200])
    # longer than said: the rest is a request of its own, and not one
    assert ask(post("h-length", "Content-Length: 2\r\n\r\n").encode() + b"{}}}}}\r\n\r\n", 2)[0] in (400, 422)
    refused(post("h-length", "Content-Length: 70000000\r\n\r\n").encode(), 413)


def smuggling():
    inner = b"0\r\n\r\nDELETE /api/v1/namespaces/default/configmaps/h-kept HTTP/1.1\r\nHost: x\r\n\r\n"
    expect(request("POST", MAPS, config_map("h-kept"))[0], 201)
    both = f"Content-Length: {len(inner)}\r\nTransfer-Encoding: chunked\r\n\r\n"
    refused(post("x", both).encode() + inner, 400)
    both = f"Transfer-Encoding: chunked\r\nContent-Length: {len(inner)}\r\n\r\n"
    refused(post("x", both).encode() + inner, 400)
    for encoding, code in (("gzip", 501), ("gzip, chunked", 501), ("chunked, chunked", 501), ("xchunked", 501),
                           ("chunked\r\nTransfer-Encoding: identity", 501)):
        refused(post("x", f"Transfer-Encoding: {encoding}\r\n\r\n").encode() + inner, code)
    old = post("x", "Transfer-Encoding: chunked\r\n\r\n").replace("HTTP/1.1", "HTTP/1.0")
    refused(old.encode() + inner, 400)
    for line in ("Transfer-Encoding : chunked", " Transfer-Encoding: chunked", "Transfer Encoding: chunked",
                 "Content-Length\x01: 1", "B: c\rTransfer-Encoding: chunked"):
        refused(b"GET /livez HTTP/1.1\r\nHost: x\r\nA: b\r\n" + line.encode() + b"\r\n\r\n" + GET, 400)
    expect(request("GET", MAPS + "/h-kept")[0], 200)


def heads():
    refused(b"GET /livez HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400)
    refused(b"GET /livez HTTP/1.1\r\n\r\n", 400)
    refused(b"GET /livez HTTP/1.1\r\nHost: x\r\nA: \x01\r\n\r\n", 400)
    refused(b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 300 + b"\r\n", 431)
    expect(ask(b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n", 1), [200])
    assert ask(b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 90000 + b"\r\n", 1)[0] in (431, 0)
    assert ask(b"GET /livez?" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 1)[0] in (414, 431, 0)
    expect(ask(b"\x16\x03\x01 nonsense\r\n\r\n", 1)[-1] in (0, 400), True)
    expect(ask(GET * 50, 50), [200] * 50)


def expectations():
    body = json.dumps(config_map("h-expect")).encode()
    wait = f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
    with connect() as client:
        client.sendall(post("h-expect", wait).encode())
        stream = client.makefile("rb")
        expect(read_answer(stream)[0], 100)
        client.sendall(body)
        expect(read_answer(stream)[0], 201)
    refused(post("x", "Expect: 100-continue\r\nContent-Length: 5000000\r\n\r\n").encode(), 413)
    refused(post("x", "Expect: miracles\r\nContent-Length: 2\r\n\r\n").encode(), 417)


def chunks():
    body = json.dumps(config_map("h-chunks")).encode()
    halves = [body[:7], body[7:]]
    chunked = b"".join(b"%x;name=\"value\"\r\n%s\r\n" % (len(half), half) for half in halves)
    end = b"0;last\r\nX-Trailer: a\r\nContent-Length: 99999\r\n\r\n"
    head = post("h-chunks", "Transfer-Encoding: chunked\r\nTrailer: X-Trailer\r\n\r\n").encode()
    expect(ask(head + chunked + end + GET, 2), [201, 200])
    for size in (b"x", b"-1", b"ffffffffffffffffff", b""):
        expect(ask(head + size + b"\r\nabc\r\n0\r\n\r\n" + GET, 2)[0] in (400, 413, 0), True)


# --- clients that are slow ---


def is_cut(client):
    """Whether the server has ended the connection, looking below TLS; reads what there is of it."""
    poll = select.poll()
    poll.register(client.fileno(), select.POLLIN | select.POLLRDHUP)
    return any(what & (select.POLLRDHUP | select.POLLHUP | select.POLLERR) for _, what in poll.poll(0))


def trickle(client, data, at_least, every=0.25):
    """Sends byte by byte until it is cut; it must not be before `at_least` seconds."""
    begin = time.monotonic()
    try:
        for i in range(int(LATE / every)):
            if is_cut(client):
                break
            client.send(data(i))
            time.sleep(every)
        else:
            raise AssertionError(f"not cut off in {LATE} s")
    except (ConnectionError, ssl.SSLError, BrokenPipeError):
        pass
    took = time.monotonic() - begin
    assert took >= at_least, f"cut off already after {took:.0f} s"


def stalled_handshake():
    with socket.create_connection(HERE) as client:
        begin = time.monotonic()
        until(lambda: is_cut(client), lambda: "cut off", LATE)
        assert time.monotonic() - begin >= 25


def slow_handshake():
    with socket.create_connection(HERE) as client:
        # a record that says it is longer than what will come
        hello = b"\x16\x03\x01\x3f\x00\x01\x00\x3e\xfc\x03\x03" + bytes(16000)
        trickle(client, lambda i: hello[i:i + 1], 25)


def slow_head():
    with connect() as client:
        head = b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 10000
        trickle(client, lambda i: head[i:i + 1], 25)


def slow_second_head():
    with connect() as client:
        client.sendall(GET)
        expect(read_answer(client.makefile("rb"))[0], 200)
        trickle(client, lambda i: b"a", 25)


def slow_body():
    with connect() as client:
        client.sendall(post("x", "Content-Length: 100000\r\n\r\n").encode())
        trickle(client, lambda i: b" ", 50)


def slow_chunks():
    with connect() as client:
        client.sendall(post("x", "Transfer-Encoding: chunked\r\n\r\n").encode())
        trickle(client, lambda i: b"1\r\n \r\n", 50)


def idle_is_kept():
    with connect() as client:
        stream = client.makefile("rb")
        for pause in (0, 45):
            time.sleep(pause)
            client.sendall(GET)
            expect(read_answer(stream)[0], 200)


def never_reads(path):
    with connect(receive_buffer=4096) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        begin = time.monotonic()
        until(lambda: is_cut(client), lambda: "cut off", LATE)
        assert time.monotonic() - begin >= 50


def reads_slowly():
    """200 KB/s and more than a minute: slow, but not stalled."""
    with connect(receive_buffer=65536) as client:
        client.sendall(f"GET {MAPS}?limit=500 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        begin, total = time.monotonic(), 0
        while time.monotonic() - begin < 75:
            total += len(client.recv(16384))
            time.sleep(0.08)
        client.settimeout(120)
        while total < 20 << 20:
            got = client.recv(1 << 20)
            assert got, f"cut off after {total} bytes"
            total += len(got)


def deserted_watches():
    before = open_files()
    clients = [connect() for _ in range(40)]
    for client in clients:
        client.sendall(b"GET /apis/networking.k8s.io/v1/ingresses?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    for client in clients:
        expect(client.recv(12), b"HTTP/1.1 200")
    assert open_files() >= before + 40
    for client in clients:
        client.close()
    until(lambda: open_files() <= before + 10, lambda: f"{open_files()} files open, {before} before")


# --- too much at once ---


def too_many_connections():
    files, memory = open_files(), resident()
    with connect() as good:
        stream = good.makefile("rb")
        good.sendall(GET)
        expect(read_answer(stream)[0], 200)
        clients = [socket.create_connection(HERE) for _ in range(700)]
        until(lambda: sum(is_cut(client) for client in clients) >= 188, lambda: "refused connections")
        assert open_files() < 700, f"{open_files()} files are open"
        good.sendall(GET)
        expect(read_answer(stream)[0], 200)
        for client in clients:
            client.close()
    until(lambda: open_files() <= files + 10, lambda: f"{open_files()} files open, {files} before")
    expect(request("GET", "/livez")[0], 200)
    with open(FOLDER + "/apiserver.log") as log:
        expect(log.read().count("Too many connections"), 1)
    until(lambda: resident() < memory + 20000, lambda: f"{resident()} kB, {memory} before")


def too_many_bodies():
    files, memory, codes = open_files(), resident(), []
    clients = []
    part = b" " * 2000000
    for _ in range(150):
        client = connect()
        client.sendall(post("x", "Content-Length: 2000002\r\n\r\n").encode() + part)
        clients.append(client)
    grown = resident() - memory
    assert grown < 400000, f"{grown} kB more for bodies that are not complete"
    for client in clients:
        client.sendall(b"{}")
        code, headers, _ = read_answer(client.makefile("rb"))
        codes.append(code)
        if code == 429:
            expect(headers["retry-after"], "1")
        client.close()
    assert 20 < codes.count(429) < 150 and set(codes) <= {422, 429}, codes
    expect(request("POST", MAPS, config_map("h-after"))[0], 201)
    until(lambda: open_files() <= files + 10, lambda: f"{open_files()} files open, {files} before")
    until(lambda: resident() < memory + 40000, lambda: f"{resident()} kB, {memory} before")


FAST = [
    ("a wrong Content-Length", wrong_content_length),
    ("requests that smuggle another", smuggling),
    ("heads that are wrong, large or many", heads),
    ("Expect", expectations),
    ("chunks with extensions and trailers", chunks),
    ("clients that leave their watches", deserted_watches),
    ("more connections than there may be", too_many_connections),
    ("more bodies than there is room for", too_many_bodies),
]
SLOW = [
    ("a handshake that does not begin", stalled_handshake),
    ("a handshake byte by byte", slow_handshake),
    ("a head byte by byte", slow_head),
    ("a second head byte by byte", slow_second_head),
    ("a body byte by byte", slow_body),
    ("a chunked body chunk by chunk", slow_chunks),
    ("an idle connection is kept", idle_is_kept),
    ("a list that nobody reads", lambda: never_reads(MAPS)),
    ("a watch that nobody reads", lambda: never_reads(MAPS + "?watch=1")),
    ("a list that is read slowly", reads_slowly),
]


def main():
    failed = 0
    begin = time.monotonic()

    def report(name, run):
        nonlocal failed
        try:
            run()
            why = None
        except Exception as error:  # whatever it is, the test has failed
            why = f"{type(error).__name__}: {error}"
            failed += 1
        report.count += 1
        print(f"{'not ' if why else ''}ok {report.count} - {name} ({time.monotonic() - begin:.0f} s)", flush=True)
        if why:
            print("# " + why.replace("\n", "\n# "), flush=True)

    report.count = 0
    only = os.environ.get("ONLY")
    fast = [test for test in FAST if not only or only in test[0]]
    slow = [test for test in SLOW if not only or only in test[0]]
    for name, run in fast:
        report(name, run)
    if slow:
        for i in range(30):
            expect(request("POST", MAPS, config_map(f"h-large-{i}", "x" * 1000000))[0], 201)
    memory = resident()
    with concurrent.futures.ThreadPoolExecutor(len(SLOW)) as pool:
        running = [(name, pool.submit(run)) for name, run in slow]
        for name, future in running:
            report(name, future.result)
    report("memory is back where it was",
           lambda: until(lambda: resident() < memory + 40000, lambda: f"{resident()} kB, {memory} before"))
    print(f"1..{report.count}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
