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
    try:
        for at in range(0, size, 16384):
            sock.sendall(block(number, at)[: size - at])
        sock.shutdown(socket.SHUT_WR)
    except OSError as e:
        bad.append(f"connection {number}: {e}")


def run(number):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=120) as sock:
            sender = threading.Thread(target=send, args=(sock, number), daemon=True)
            sender.start()
            want, got = hashlib.sha256(), hashlib.sha256()
            count = 0
            for at in range(0, size, 16384):
                want.update(block(number, at)[: size - at])
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
for line in bad[:5]:
    print(line)
sys.exit(bool(bad))
