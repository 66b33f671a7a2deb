// SPDX-License-Identifier: Apache-2.0
// Any bytes as what a WebSocket peer sends, and as an HTTP answer to an upgrade.
#include "libcommon/net/http_client_internal.h"
#include "libcommon/net/websocket.h"

#include <stdint.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return 0;
        if (size && send(pair[1], data, size, MSG_DONTWAIT) < 0)
                size = 0;
        shutdown(pair[1], SHUT_WR);
        struct cx_wire *wire = cx_wire_socket(pair[0], true);
        struct cx_websocket *ws = cx_websocket_server(wire);
        CX_BUF message = CX_BUF_INIT;
        int opcode;
        while (cx_websocket_recv(ws, 0, &opcode, &message) == 1)
                ;
        cx_websocket_free(ws);
        cx_wire_free(wire);
        close(pair[1]);
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        if (cx_http_parse_answer((const char *)data, size, &reply) == 0)
                free(cx_http_reply_header(&reply, "Sec-WebSocket-Accept"));
        return 0;
}
