// SPDX-License-Identifier: Apache-2.0
// What a peer of exec, attach and port-forward sends: any bytes as WebSocket frames of channels; and as what channels carry
// besides data, the terminal's size, and the status at the end.
#include "libcommon/net/streams_internal.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void receive(const uint8_t *data, size_t size, const char *protocol, size_t n_ports)
{
        static const int ports[] = {80, 8080};
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return;
        if (size && send(pair[1], data, size, MSG_DONTWAIT) < 0)
                size = 0;
        (void)shutdown(pair[1], SHUT_WR);
        struct cx_wire *wire = cx_wire_socket(pair[0], true);
        struct cx_streams *streams = cx_streams_websocket_server(wire, protocol, ports, n_ports);
        struct cx_stream_event event;
        CX_BUF message = CX_BUF_INIT_MAX(CX_STREAM_DATA_MAX);
        while (cx_streams_receive(streams, &event, &message) == 1) {
                int most = event.kind == CX_STREAM_OPENED ? CX_FORWARD_DATA((int)n_ports - 1) : 255;
                if (event.channel < 0 || event.channel > most || message.length > size)
                        abort();
        }
        cx_streams_free(streams);
        cx_wire_free(wire);
        close(pair[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CX_BUF text = CX_BUF_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        int width = 1, height = 1, code = 0;
        receive(data, size, "v5.channel.k8s.io", 0);
        receive(data, size, "v4.channel.k8s.io", 2);
        cx_buf_append(&text, data, size);
        if (cx_stream_size_parse(&text, &width, &height) &&
            (width < 0 || width > 65535 || height < 0 || height > 65535))
                abort();
        (void)!cx_stream_status_parse(&text, &code, &err);
        return 0;
}
