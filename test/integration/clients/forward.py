# SPDX-License-Identifier: Apache-2.0
# forward.py PORT CONNECTIONS BYTES: connections to an echo at once, each of which sends its own bytes while it reads, closes
# its half, and wants all of them back, and then the end.
import hashlib
import socket
import sys
import threading

port, connections, size = map(int, sys.argv[1:])
bad = []


def block(number, at):
    return hashlib.sha256(f"{number} {at}".encode()).digest() * 512


def send(sock, number):
    left = size
    at = 0
    while left:
        piece = block(number, at)[:left]
        sock.sendall(piece)
        left -= len(piece)
        at += 1
    sock.shutdown(socket.SHUT_WR)


def run(number):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=120) as sock:
            sender = threading.Thread(target=send, args=(sock, number), daemon=True)
            sender.start()
            want, got = hashlib.sha256(), hashlib.sha256()
            left, at, count = size, 0, 0
            while left:
                piece = block(number, at)[:left]
                want.update(piece)
                left -= len(piece)
                at += 1
            while data := sock.recv(65536):
                got.update(data)
                count += len(data)
            if want.digest() != got.digest():
                bad.append(f"connection {number}: {count} bytes of {size}")
    except OSError as e:
        bad.append(f"connection {number}: {e}")


threads = [threading.Thread(target=run, args=(i,)) for i in range(connections)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(*bad[:5], sep="\n")
sys.exit(bool(bad))
