// SPDX-License-Identifier: Apache-2.0
// What a peer of exec, attach and port-forward sends over SPDY: any bytes as frames, and as a header block. The first byte
// chooses the session.
#include "libcommon/net/spdy.h"
#include "libcommon/net/streams_internal.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void receive(const uint8_t *data, size_t size, bool server, const char *protocol)
{
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return;
        if (size && send(pair[1], data, size, MSG_DONTWAIT) < 0)
                size = 0;
        (void)shutdown(pair[1], SHUT_WR);
        struct cx_wire *wire = cx_wire_socket(pair[0], true);
        struct cx_streams *streams = cx_streams_spdy(wire, server, protocol);
        struct cx_stream_event event;
        CX_BUF message = CX_BUF_INIT_MAX(CX_STREAM_DATA_MAX);
        bool forwards = *protocol == 'p';
        int n;
        if (!server)
                (void)!cx_streams_open(streams, 80, &n);
        while (cx_streams_receive(streams, &event, &message) == 1) {
                if (event.channel < 0 || (!forwards && event.channel > CX_STREAM_RESIZE) ||
                    (event.kind == CX_STREAM_DATA && message.length > size))
                        abort();
                if (event.kind == CX_STREAM_OPENED && server && (event.port < 1 || event.port > 65535))
                        abort();
                if (event.kind == CX_STREAM_DATA && event.channel % 4 == 0)
                        cx_streams_cut(streams, event.channel);
                if (event.kind == CX_STREAM_ENDED)
                        (void)cx_streams_end(streams, event.channel);
        }
        cx_streams_free(streams); // a client's takes its wire with it
        if (server)
                cx_wire_free(wire);
        close(pair[1]);
}

static void read_headers(const uint8_t *data, size_t size)
{
        struct cx_spdy_codec *codec = cx_spdy_codec_new();
        CX_BUF headers = CX_BUF_INIT;
        if (cx_spdy_headers_read(codec, data, size, &headers) == 0)
                (void)cx_spdy_header(&headers, "streamtype");
        cx_spdy_codec_free(codec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (!size)
                return 0;
        bool server = data[0] & 1;
        if (data[0] & 4)
                read_headers(data + 1, size - 1);
        else
                receive(data + 1, size - 1, server,
                        server && (data[0] & 2) ? "v4.channel.k8s.io" : "portforward.k8s.io");
        return 0;
}
