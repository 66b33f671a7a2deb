// SPDX-License-Identifier: Apache-2.0
// Sessions of channels over WebSocket: data both ways, half-closes, sizes, statuses, forwarded ports, refusals, and a peer
// that sends faster than it is listened to.
#include "libcommon/net/streams.h"

#include "libcommon/base/flags.h"
#include "libcommon/net/websocket.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define MOST 3 // streams at once

struct place {
        struct cx_http_server *server;
        struct cx_http_client *client;
        int released;
};

static void release(void *context)
{
        __atomic_add_fetch(&((struct place *)context)->released, 1, __ATOMIC_RELEASE);
}

static void drain(struct cx_streams *streams)
{
        struct cx_stream_event event;
        CX_BUF data = CX_BUF_INIT;
        while (cx_streams_receive(streams, &event, &data) == 1)
                ;
}

// A command that writes what it reads, the size of its terminal to standard error, and ends with its input.
static void command(struct cx_streams *streams, void *context)
{
        struct cx_stream_event event;
        CX_BUF data = CX_BUF_INIT_MAX(CX_STREAM_DATA_MAX);
        (void)context;
        int width, height;
        while (cx_streams_receive(streams, &event, &data) == 1 && event.kind != CX_STREAM_ENDED) {
                if (event.channel == CX_STREAM_STDIN) {
                        (void)!cx_streams_send(streams, CX_STREAM_STDOUT, data.data, data.length);
                } else if (event.channel == CX_STREAM_RESIZE && cx_stream_size_parse(&data, &width, &height)) {
                        char text[32];
                        int n = snprintf(text, sizeof text, "%dx%d", width, height);
                        (void)!cx_streams_send(streams, CX_STREAM_STDERR, text, (size_t)n);
                }
        }
        (void)!cx_streams_send_status(streams, event.kind == CX_STREAM_ENDED ? 3 : 0, NULL);
        cx_streams_close(streams);
        drain(streams);
}

static void failing(struct cx_streams *streams, void *context)
{
        (void)context;
        (void)!cx_streams_send_status(streams, 0, "no such thing");
}

// Answers every forwarded connection with its port.
static void forward(struct cx_streams *streams, void *context)
{
        struct cx_stream_event event;
        CX_BUF data = CX_BUF_INIT;
        (void)context;
        while (cx_streams_receive(streams, &event, &data) == 1) {
                if (event.kind == CX_STREAM_OPENED && event.port == 99) {
                        (void)!cx_streams_send(streams, event.channel + 1, "refused", 7);
                } else if (event.kind == CX_STREAM_OPENED) {
                        (void)!cx_streams_send(streams, event.channel, CX_INT(event.port), strlen(CX_INT(event.port)));
                } else if (event.kind == CX_STREAM_DATA) {
                        (void)!cx_streams_send(streams, event.channel, data.data, data.length);
                } else {
                        (void)cx_streams_end(streams, event.channel);
                }
        }
}

// Takes nothing of what is sent; ends when the peer has gone.
static void deaf(struct cx_streams *streams, void *context)
{
        (void)context;
        while (cx_streams_ping(streams) == 0)
                (void)poll(NULL, 0, 20);
}

// Sends back what comes through the messages of a WebSocket, byte by byte as it were.
static void echo_tunnel(struct cx_wire *wire, void *context)
{
        (void)context;
        CX_CLEANUP(cx_websocket_freep) struct cx_websocket *ws = cx_websocket_server(wire);
        CX_CLEANUP(cx_wire_freep) struct cx_wire *tunnel = cx_websocket_wire(ws);
        char block[7000];
        for (;;) {
                ssize_t n = cx_wire_read(tunnel, block, sizeof block);
                struct pollfd p = {tunnel->fd, POLLIN, 0};
                if (n == -EAGAIN && poll(&p, 1, 60000) == 1)
                        continue;
                if (n <= 0 || cx_wire_write_all(tunnel, block, (size_t)n, 60000000000) < 0)
                        return;
        }
}

static const char *get_header(void *context, const char *name)
{
        return cx_http_header(context, name);
}

static void upgrade_to_tunnel(struct cx_http_request *request, void *context)
{
        const char *key = NULL, *why = cx_websocket_check(get_header, request, &key);
        char accept[29];
        if (why) {
                cx_http_respond_text(request, 400, why);
                release(context);
                return;
        }
        cx_websocket_accept(key, accept);
        cx_http_add_header(request, "Upgrade", "websocket");
        cx_http_add_header(request, "Sec-WebSocket-Accept", accept);
        cx_http_respond_upgrade(
                request, &(struct cx_http_upgrade_plan){.run = echo_tunnel, .release = release, .context = context});
}

static void handle(struct cx_http_request *request, void *context)
{
        static const int ports[] = {80, 99, 8080};
        const char *path = cx_http_path(request);
        if (strcmp(path, "/tunnel") == 0) {
                upgrade_to_tunnel(request, context);
                return;
        }
        bool forwards = strcmp(path, "/forward") == 0;
        cx_streams_upgrade(request, &(struct cx_streams_session){.forwards = forwards,
                                                                 .ports = ports,
                                                                 .n_ports = forwards ? 3 : 0,
                                                                 .run = forwards                        ? forward
                                                                        : strcmp(path, "/command") == 0 ? command
                                                                        : strcmp(path, "/deaf") == 0    ? deaf
                                                                                                        : failing,
                                                                 .release = release,
                                                                 .context = context});
}

static int set_up(void **state)
{
        struct place *p = cx_alloc(sizeof *p);
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_http_server_new(&(struct cx_http_server_options){.address = "127.0.0.1",
                                                                .handler = handle,
                                                                .context = p,
                                                                .workers = 2,
                                                                .max_upgrades = MOST},
                               &p->server, &err) < 0)
                return -1;
        CX_CLEANUP(cx_freep) char *url = cx_sprintf("http://127.0.0.1:%d", cx_http_server_port(p->server));
        *state = p;
        return cx_http_client_new(&(struct cx_http_client_options){.base_url = url}, &p->client, &err);
}

static int tear_down(void **state)
{
        struct place *p = *state;
        cx_http_client_free(p->client);
        cx_http_server_free(p->server);
        free(p);
        return 0;
}

static struct cx_streams *connect_to(struct place *p, const char *path)
{
        struct cx_streams *streams = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_streams_connect(p->client, &(struct cx_http_call){.path = path, .timeout = -1}, &streams, NULL, &err) <
            0)
                fail_msg("%s", cx_error_text(&err));
        return streams;
}

static void expect(struct cx_streams *streams, int channel, const void *data, size_t length)
{
        struct cx_stream_event event;
        CX_BUF got = CX_BUF_INIT_MAX(CX_STREAM_DATA_MAX);
        assert_int_equal(cx_streams_receive(streams, &event, &got), 1);
        assert_int_equal(event.kind, CX_STREAM_DATA);
        assert_int_equal(event.channel, channel);
        assert_int_equal(got.length, length);
        assert_memory_equal(got.data, data, length);
}

static void commands(void **state)
{
        struct place *p = *state;
        CX_CLEANUP(cx_streams_freep) struct cx_streams *streams = connect_to(p, "/command");
        CX_CLEANUP(cx_freep) char *big = malloc(1 << 20);
        memset(big, 'b', 1 << 20);
        assert_int_equal(cx_streams_send(streams, CX_STREAM_STDIN, "abc", 3), 0);
        expect(streams, CX_STREAM_STDOUT, "abc", 3);
        assert_int_equal(cx_streams_send(streams, CX_STREAM_STDIN, big, 1 << 20), 0);
        expect(streams, CX_STREAM_STDOUT, big, 1 << 20);
        assert_int_equal(cx_streams_send_size(streams, 100, 40), 0);
        expect(streams, CX_STREAM_STDERR, "100x40", 6);
        assert_int_equal(cx_streams_send_size(streams, 0, 40), 0); // is not one, and is passed over
        // The end of input is told, and output goes on.
        assert_true(cx_streams_end(streams, CX_STREAM_STDIN));
        struct cx_stream_event event;
        CX_BUF data = CX_BUF_INIT;
        assert_int_equal(cx_streams_receive(streams, &event, &data), 1);
        assert_int_equal(event.channel, CX_STREAM_ERROR);
        int code = 0;
        assert_int_equal(cx_stream_status_parse(&data, &code, NULL), 0);
        assert_int_equal(code, 3);
        assert_int_equal(cx_streams_receive(streams, &event, &data), 0);
}

static void failures(void **state)
{
        struct place *p = *state;
        CX_CLEANUP(cx_streams_freep) struct cx_streams *streams = connect_to(p, "/failing");
        struct cx_stream_event event;
        CX_BUF data = CX_BUF_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        int code = 0;
        assert_int_equal(cx_streams_receive(streams, &event, &data), 1);
        assert_true(cx_stream_status_parse(&data, &code, &err) < 0);
        assert_string_equal(cx_error_text(&err), "Internal error occurred: no such thing");
        CX_HTTP_REPLY refusal = CX_HTTP_REPLY_INIT;
        CX_ERROR other = CX_ERROR_INIT;
        assert_int_equal(cx_http_do(p->client, &(struct cx_http_call){.path = "/command"}, &refusal, &other), 0);
        assert_int_equal(refusal.code, 400);
        assert_string_equal(refusal.body.data, "the request does not ask for a WebSocket");
}

static void forwards(void **state)
{
        struct place *p = *state;
        static const char *const protocols[] = {"v4.channel.k8s.io", NULL};
        CX_CLEANUP(cx_websocket_freep) struct cx_websocket *ws = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        CX_BUF data = CX_BUF_INIT;
        int opcode;
        assert_int_equal(cx_websocket_connect(p->client, &(struct cx_http_call){.path = "/forward", .timeout = -1},
                                              protocols, &ws, NULL, NULL, &err),
                         0);
        // Both channels of every port begin with its number; then come the answers, in order.
        static const struct {
                char channel;
                const char *data;
                size_t length;
        } wanted[] = {{0, "\x50\0", 2},   {1, "\x50\0", 2}, {2, "\x63\0", 2},  {3, "\x63\0", 2}, {4, "\x90\x1f", 2},
                      {5, "\x90\x1f", 2}, {0, "80", 2},     {3, "refused", 7}, {4, "8080", 4}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(wanted); i++) {
                assert_int_equal(cx_websocket_recv(ws, -1, &opcode, &data), 1);
                assert_int_equal(data.data[0], wanted[i].channel);
                assert_int_equal(data.length, wanted[i].length + 1);
                assert_memory_equal(data.data + 1, wanted[i].data, wanted[i].length);
        }
        // In the fourth protocol 255 is a channel as any other, and nobody's.
        assert_int_equal(cx_websocket_send(ws, CX_WS_BINARY, "\xff\0", 2), 0);
        assert_int_equal(cx_websocket_send(ws, CX_WS_BINARY, "\4hello", 6), 0);
        assert_int_equal(cx_websocket_recv(ws, -1, &opcode, &data), 1);
        assert_int_equal((unsigned char)data.data[0], 255);
        assert_int_equal(cx_websocket_recv(ws, -1, &opcode, &data), 1);
        assert_string_equal(data.data, "\4hello");
        cx_websocket_close(ws, 1000, "");
        assert_int_equal(cx_websocket_recv(ws, -1, &opcode, &data), 0);
}

// A peer that floods: what is not received yet stays in the socket, so that it has to wait.
static void floods(void **state)
{
        (void)state;
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        CX_CLEANUP(cx_wire_freep) struct cx_wire *wire = cx_wire_socket(pair[0], true);
        CX_CLEANUP(cx_websocket_freep) struct cx_websocket *ws = cx_websocket_server(wire);
        char frame[8 + 1024] = {(char)0x82, (char)(0x80 | 126), 4, 0}; // binary, masked by zeros, 1024 bytes
        size_t before = 0, after = 0;
        while (send(pair[1], frame, sizeof frame, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof frame)
                before++;
        assert_true(before > 20);
        CX_BUF data = CX_BUF_INIT;
        int opcode;
        assert_int_equal(cx_websocket_recv(ws, -1, &opcode, &data), 1);
        assert_int_equal(data.length, 1024);
        while (send(pair[1], frame, sizeof frame, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
                after++;
        assert_true(after < before / 2);
        for (size_t i = 0; i < before; i++) // all of it arrives
                if (i)
                        assert_int_equal(cx_websocket_recv(ws, -1, &opcode, &data), 1);
        close(pair[1]);
}

// Of a client that is killed in a flood that nobody takes only its kernel is left, with the end behind the flood.
static void killed_in_a_flood(void **state)
{
        struct place *p = *state;
        static const char request[] =
                "GET /deaf HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)cx_http_server_port(p->server)),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        char answer[1024], block[65536] = {0};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
            released = __atomic_load_n(&p->released, __ATOMIC_ACQUIRE);
        assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
        assert_int_equal(send(fd, request, sizeof request - 1, 0), sizeof request - 1);
        ssize_t n = recv(fd, answer, sizeof answer, 0);
        assert_true(n > 12 && memcmp(answer, "HTTP/1.1 101", 12) == 0);
        while (send(fd, block, sizeof block, MSG_DONTWAIT) > 0)
                ;
        (void)shutdown(fd, SHUT_RD); // what it did not read must not count: that alone would be a reset
        while (recv(fd, answer, sizeof answer, MSG_DONTWAIT) > 0)
                ;
        close(fd);
        for (int i = 0; i < 60000 && __atomic_load_n(&p->released, __ATOMIC_ACQUIRE) == released; i++)
                (void)poll(NULL, 0, 1);
        assert_int_equal(__atomic_load_n(&p->released, __ATOMIC_ACQUIRE), released + 1);
}

// Streams that others had here end when the server has seen that their peers left.
static struct cx_streams *connect_soon(struct place *p, const struct cx_http_call *call)
{
        struct cx_streams *streams = NULL;
        for (int i = 0; i < 60000 && !streams; i++) {
                CX_ERROR again = CX_ERROR_INIT;
                if (cx_streams_connect(p->client, call, &streams, NULL, &again) < 0)
                        (void)poll(NULL, 0, 1);
        }
        assert_non_null(streams);
        return streams;
}

static void too_many(void **state)
{
        struct place *p = *state;
        struct cx_streams *streams[MOST], *one_more = NULL;
        const struct cx_http_call call = {.path = "/command", .timeout = -1};
        CX_HTTP_REPLY refusal = CX_HTTP_REPLY_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        for (size_t i = 0; i < MOST; i++)
                streams[i] = connect_soon(p, &call);
        assert_true(cx_streams_connect(p->client, &call, &one_more, &refusal, &err) < 0);
        assert_int_equal(refusal.code, 429);
        assert_non_null(strstr(refusal.body.data, "too many streams at once"));
        for (size_t i = 0; i < MOST; i++)
                cx_streams_free(streams[i]);
        cx_streams_free(connect_soon(p, &call));
}

static void sizes(void **state)
{
        (void)state;
        static const struct {
                const char *text;
                bool good;
        } cases[] = {{"{\"Width\":80,\"Height\":24}", true},
                     {"{\"Width\":80}", false},
                     {"{\"Width\":-1,\"Height\":24}", false},
                     {"{\"Width\":65536,\"Height\":24}", false},
                     {"80x24", false},
                     {"", false}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_BUF data = CX_BUF_INIT;
                int width, height;
                cx_buf_add(&data, cases[i].text);
                assert_int_equal(cx_stream_size_parse(&data, &width, &height), cases[i].good);
        }
}

struct tunnel_sender {
        struct cx_wire *wire;
        int result;
};

static void *send_through(void *context)
{
        struct tunnel_sender *sender = context;
        char block[30000];
        for (size_t i = 0; i < sizeof block; i++)
                block[i] = (char)(i * 13 / 7);
        for (int i = 0; i < 100 && sender->result == 0; i++)
                sender->result = cx_wire_write_all(sender->wire, block, sizeof block, 60000000000);
        return NULL;
}

// A wire over a WebSocket keeps no boundaries of messages, and ends when it is closed.
static void tunnels(void **state)
{
        struct place *p = *state;
        CX_CLEANUP(cx_websocket_freep) struct cx_websocket *ws = NULL;
        for (int i = 0; i < 60000 && !ws; i++) { // streams of before may still be leaving
                CX_ERROR again = CX_ERROR_INIT;
                if (cx_websocket_connect(p->client, &(struct cx_http_call){.path = "/tunnel"}, NULL, &ws, NULL, NULL,
                                         &again) < 0)
                        (void)poll(NULL, 0, 1);
        }
        assert_non_null(ws);
        struct tunnel_sender sender = {.wire = cx_websocket_wire(ws)};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, send_through, &sender), 0);
        char block[5001];
        for (size_t got = 0; got < 3000000;) {
                ssize_t n = cx_wire_read(sender.wire, block, sizeof block);
                struct pollfd e = {sender.wire->fd, POLLIN, 0};
                if (n == -EAGAIN && poll(&e, 1, 60000) == 1)
                        continue;
                assert_true(n > 0);
                for (ssize_t i = 0; i < n; i++, got++)
                        assert_int_equal(block[i], (char)(got % 30000 * 13 / 7));
        }
        pthread_join(thread, NULL);
        assert_int_equal(sender.result, 0);
        cx_wire_free(sender.wire);
        int opcode;
        CX_BUF data = CX_BUF_INIT;
        assert_int_equal(cx_websocket_recv(ws, 60000000000, &opcode, &data), 0);
        assert_int_equal(cx_websocket_close_code(ws), 1000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(commands), cmocka_unit_test(failures),
                                           cmocka_unit_test(forwards), cmocka_unit_test(killed_in_a_flood),
                                           cmocka_unit_test(floods),   cmocka_unit_test(too_many),
                                           cmocka_unit_test(sizes),    cmocka_unit_test(tunnels)};
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
