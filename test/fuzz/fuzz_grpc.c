// SPDX-License-Identifier: Apache-2.0
// What a gRPC server may send: HTTP/2 frames that are made from the bytes (settings, headers, data with messages cut at
// odd places and lengths that lie, trailers, resets, goodbyes) and bytes as they are, to a call and a stream of one
// channel. No message is longer than the channel takes, and every call ends.
#include "libcommon/net/grpc.h"

#include "libcommon/base/alloc.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/net/pki.h"

#include <stdint.h>
#include <sys/socket.h>

#define MAX_MESSAGE 4096
#define MAX_SENT ((size_t)128 << 10) // fits the socket's buffer

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
        const uint8_t *next, *end;
};

static unsigned take(struct bytes *bytes) // 0 at the end
{
        return bytes->next < bytes->end ? *bytes->next++ : 0;
}

static void add_frame(struct cx_buf *to, unsigned type, unsigned flags, unsigned stream, const void *data,
                      size_t length)
{
        const uint8_t head[] = {
                (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length, (uint8_t)type, (uint8_t)flags, 0, 0,
                (uint8_t)(stream >> 8),  (uint8_t)stream};
        cx_buf_append(to, head, sizeof head);
        cx_buf_append(to, data, length);
}

// Messages with their prefixes; now and then the length is another.
static void add_data(struct cx_buf *to, struct bytes *bytes, unsigned stream)
{
        CX_BUF data = CX_BUF_INIT;
        unsigned shape = take(bytes);
        for (unsigned n = shape % 4; n; n--) {
                size_t length = take(bytes) % 64, said = shape & 16 ? take(bytes) << (shape >> 5) * 4 : length;
                const uint8_t prefix[] = {shape & 8 ? 1 : 0, (uint8_t)(said >> 24), (uint8_t)(said >> 16),
                                          (uint8_t)(said >> 8), (uint8_t)said};
                cx_buf_append(&data, prefix, sizeof prefix);
                while (length--)
                        cx_buf_append(&data, &(char){(char)take(bytes)}, 1);
        }
        size_t cut = take(bytes) % 8; // the rest comes with the next frame, or never
        add_frame(to, 0, take(bytes) == 255, stream, data.data, data.length > cut ? data.length - cut : 0);
}

static void add_any(struct cx_buf *to, struct bytes *bytes)
{
        static const char answer[] = "\x88\x5f\x10"
                                     "application/grpc",
                          end[] = "\x40\x0bgrpc-status\x01"
                                  "0";
        unsigned kind = take(bytes), stream = kind & 128 ? 3 : 1;
        uint8_t four[4] = {(uint8_t)take(bytes), 0, 0, (uint8_t)(kind & 15)};
        switch (kind % 8) {
        case 0:
                add_frame(to, 1, 4, stream, answer, sizeof answer - 1);
                break;
        case 1:
        case 2:
                add_data(to, bytes, stream);
                break;
        case 3:
                add_frame(to, 1, 5, stream, end, sizeof end - 1);
                break;
        case 4:
                add_frame(to, 3, 0, stream, four, 4);
                break;
        case 5:
                add_frame(to, 7, 0, 0, (uint8_t[8]){0, 0, 0, (uint8_t)stream, 0, 0, 0, four[3]}, 8);
                break;
        case 6: // headers of one's own making
                add_frame(to, 1, take(bytes) & 5, stream, bytes->next, (size_t)(bytes->end - bytes->next) % 64);
                break;
        default:
                add_frame(to, take(bytes), take(bytes), stream, four, take(bytes) % 5);
                break;
        }
}

struct peer {
        struct cx_buf sent;
        int fd;
};

static int connect_peer(void *context, const char *host CX_UNUSED, const char *port CX_UNUSED,
                        int64_t deadline CX_UNUSED, int cancel_fd CX_UNUSED)
{
        struct peer *peer = context;
        int fds[2];
        if (peer->fd >= 0) // one connection is enough
                return -ECONNREFUSED;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                return -errno;
        (void)!send(fds[1], peer->sent.data, peer->sent.length, MSG_NOSIGNAL);
        shutdown(fds[1], SHUT_WR);
        peer->fd = fds[1];
        return fds[0];
}

static void on_start(void *context CX_UNUSED, struct cx_buf *first_message)
{
        cx_buf_add(first_message, "hello");
}

static void on_message(void *context CX_UNUSED, const void *data CX_UNUSED, size_t length)
{
        if (length > MAX_MESSAGE)
                abort();
}

static int64_t on_end(void *context CX_UNUSED, int status CX_UNUSED, const char *text CX_UNUSED)
{
        return -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static char *ca; // so that the system's many are not read each time
        const struct cx_certificate_spec spec = {.common_name = "ca", .is_ca = true, .lifetime = 3600};
        CX_CLEANUP(cx_freep) char *key = NULL;
        if (!ca) {
                cx_process_init();
                if (cx_pki_issue(&spec, NULL, NULL, &ca, &key, NULL) < 0)
                        abort();
        }
        struct bytes bytes = {data, data + size};
        struct peer peer = {.sent = CX_BUF_INIT, .fd = -1};
        add_frame(&peer.sent, 4, 0, 0, "", 0);
        if (take(&bytes) > 250)
                cx_buf_append(&peer.sent, bytes.next, (size_t)(bytes.end - bytes.next));
        while (bytes.next < bytes.end && peer.sent.length < MAX_SENT)
                add_any(&peer.sent, &bytes);
        const struct cx_grpc_options options = {.peer = "fuzz",
                                                .endpoints = (const char *const[]){"http://fuzz:1", NULL},
                                                .dial = {.ca_pem = ca, .connect = connect_peer, .context = &peer},
                                                .max_message = MAX_MESSAGE};
        struct cx_grpc *grpc = NULL;
        if (cx_grpc_new(&options, &grpc, NULL) < 0)
                abort();
        const struct cx_grpc_stream_callbacks callbacks = {on_start, on_message, on_end, NULL};
        struct cx_grpc_stream *stream = cx_grpc_stream_new(grpc, "/a/Stream", &callbacks);
        struct cx_grpc_result result = CX_GRPC_RESULT_INIT;
        cx_grpc_unary(grpc, "/a/Call", "x", 1, 20 * CX_NS_PER_MS, &result);
        if (result.message.length > MAX_MESSAGE)
                abort();
        cx_grpc_result_release(&result);
        cx_grpc_stream_free(stream);
        cx_grpc_free(grpc);
        cx_closep(&peer.fd);
        cx_buf_release(&peer.sent);
        return 0;
}
