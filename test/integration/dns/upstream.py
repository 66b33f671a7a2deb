#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A name server that misbehaves by the first label of the name asked: upstream.py PORT. Every good answer is 192.0.2.N with
N counting up, so that what comes from a cache shows.

forged   first answers with a wrong id, another question, and no answer bit; then the right one
garbage  the right id and question, and then a record that is cut off
loop     a name that is a pointer to itself
large    truncated over UDP, whole over TCP
short    like any other, with a TTL of 2
"""
import socket, struct, sys, threading

port, count, lock = int(sys.argv[1]), [0], threading.Lock()


def record(ttl):
    with lock:
        count[0] += 1
        return struct.pack(">HHHIH4B", 0xC00C, 1, 1, ttl, 4, 192, 0, 2, count[0])


def answers(query, udp):
    end = 12
    while query[end]:
        end += 1 + query[end]
    question, label = query[12:end + 5], query[13:13 + query[12]].decode()

    def message(flags, body, records, ident=query[:2], asked=question):
        return ident + struct.pack(">HHHHH", flags, 1, records, 0, 0) + asked + body

    if label == "garbage":
        return [message(0x8180, b"\xc0\x0c\x00\x01\x00\x01", 1)]
    if label == "loop":
        return [message(0x8180, struct.pack(">HHHIH", 0xC000 + 12 + len(question), 1, 1, 9, 4) + b"\1\2\3\4", 1)]
    if label == "large" and udp:
        return [message(0x8380, b"", 0)]
    good = record(2 if label == "short" else 30)
    if label == "forged":
        evil = struct.pack(">HHHIH4B", 0xC00C, 1, 1, 30, 4, 6, 6, 6, 6)
        return [message(0x8180, evil, 1, ident=bytes([query[0] ^ 1, query[1]])),
                message(0x8180, evil, 1, asked=b"\6fergod" + question[7:]),
                message(0x0100, evil, 1), message(0x8180, good, 1)]
    return [message(0x8180, good, 1)]


def udp():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", port))
    while True:
        query, client = s.recvfrom(4096)
        for answer in answers(query, True):
            s.sendto(answer, client)


def tcp():
    s = socket.create_server(("127.0.0.1", port))
    while True:
        connection, _ = s.accept()
        size = struct.unpack(">H", connection.recv(2))[0]
        answer = answers(connection.recv(size), False)[-1]
        connection.sendall(struct.pack(">H", len(answer)))
        connection.sendall(answer)
        connection.close()


threading.Thread(target=udp, daemon=True).start()
tcp()
