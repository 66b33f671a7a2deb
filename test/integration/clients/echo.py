# SPDX-License-Identifier: Apache-2.0
# echo.py PORT: sends back what each connection sends, and ends when it does.
import socketserver
import sys


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 200


Server(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
