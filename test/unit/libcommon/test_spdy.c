// SPDX-License-Identifier: Apache-2.0
// SPDY over a pair of sockets: header blocks, frames good and bad, floods, and the channels of exec and port-forward on top.
#include "libcommon/net/spdy.h"

#include "libcommon/base/flags.h"
#include "libcommon/base/random.h"
#include "libcommon/net/streams_internal.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct ends {
        struct cx_wire *client_wire, *server_wire;
        struct cx_spdy *client, *server;
};

static void make_wires(struct ends *e)
{
        int fds[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        e->client_wire = cx_wire_socket(fds[0], true);
        e->server_wire = cx_wire_socket(fds[1], true);
}

static void start(struct ends *e)
{
        make_wires(e);
        e->client = cx_spdy_new(e->client_wire, false);
        e->server = cx_spdy_new(e->server_wire, true);
}

static void finish(struct ends *e)
{
        cx_spdy_free(e->client);
        cx_spdy_free(e->server);
        cx_wire_free(e->client_wire);
        cx_wire_free(e->server_wire);
}

// --- headers ---------------------------------------------------------------------------------------------------------

static void headers_there_and_back(void **state)
{
        (void)state;
        struct cx_spdy_codec *writer = cx_spdy_codec_new(), *reader = cx_spdy_codec_new();
        for (int i = 0; i < 100; i++) {
                CX_BUF block = CX_BUF_INIT;
                CX_BUF read = CX_BUF_INIT;
                CX_CLEANUP(cx_freep) char *number = cx_strdup(CX_INT(i));
                const char *const headers[] = {"streamtype", i % 2 ? "data" : "error", "requestid", number, "empty", "",
                                               NULL};
                cx_spdy_headers_write(writer, headers, &block);
                assert_int_equal(cx_spdy_headers_read(reader, block.data, block.length, &read), 0);
                assert_string_equal(cx_spdy_header(&read, "streamtype"), i % 2 ? "data" : "error");
                assert_string_equal(cx_spdy_header(&read, "requestid"), number);
                assert_string_equal(cx_spdy_header(&read, "empty"), "");
                assert_null(cx_spdy_header(&read, "data"));
                // The state goes on: what was said before is short.
                if (i > 1)
                        assert_true(block.length < 60);
        }
        cx_spdy_codec_free(writer);
        cx_spdy_codec_free(reader);
}

static void headers_that_are_too_large(void **state)
{
        (void)state;
        struct cx_spdy_codec *writer = cx_spdy_codec_new(), *reader = cx_spdy_codec_new();
        CX_BUF value = CX_BUF_INIT;
        CX_BUF block = CX_BUF_INIT;
        CX_BUF read = CX_BUF_INIT;
        for (int i = 0; i < 16000; i++)
                cx_buf_add_char(&value, 'a');
        const char *const headers[] = {"a", value.data, NULL};
        cx_spdy_headers_write(writer, headers, &block);
        assert_true(block.length < 500); // it says little
        assert_int_equal(cx_spdy_headers_read(reader, block.data, block.length, &read), 0);
        CX_BUF both = CX_BUF_INIT;
        cx_spdy_headers_write(writer, headers, &both);
        cx_spdy_headers_write(writer, headers, &both); // two blocks as one: more than a block may be
        assert_int_equal(cx_spdy_headers_read(reader, both.data, both.length, &read), -EPROTO);
        cx_spdy_codec_free(writer);
        cx_spdy_codec_free(reader);
}

// --- frames ----------------------------------------------------------------------------------------------------------

static void expect(struct cx_spdy *spdy, enum cx_spdy_kind kind, uint32_t stream, bool ended, const char *text)
{
        struct cx_spdy_event event;
        CX_BUF data = CX_BUF_INIT;
        assert_int_equal(cx_spdy_receive(spdy, &event, &data), 1);
        assert_int_equal(event.kind, kind);
        assert_int_equal(event.stream, stream);
        assert_int_equal(event.ended, ended);
        if (text)
                assert_string_equal(data.data, text);
}

static void frames(void **state)
{
        (void)state;
        struct ends e;
        start(&e);
        static const char *const headers[] = {"port", "80", NULL};
        uint32_t first, second;
        assert_int_equal(cx_spdy_open(e.client, headers, false, &first), 0);
        assert_int_equal(cx_spdy_open(e.client, headers, true, &second), 0);
        assert_int_equal(first, 1);
        assert_int_equal(second, 3);
        expect(e.server, CX_SPDY_OPENED, 1, false, "port");
        expect(e.server, CX_SPDY_OPENED, 3, true, "port");
        assert_int_equal(cx_spdy_reply(e.server, 1), 0);
        assert_int_equal(cx_spdy_reset(e.server, 3, CX_SPDY_REFUSED_STREAM), 0);
        expect(e.client, CX_SPDY_REPLIED, 1, false, NULL);
        expect(e.client, CX_SPDY_RESET, 3, false, NULL);
        assert_int_equal(cx_spdy_ping(e.client), 0); // answered on the way, and nobody's event
        assert_int_equal(cx_spdy_send(e.client, 1, "hello", 5, false), 0);
        assert_int_equal(cx_spdy_send(e.client, 1, NULL, 0, true), 0);
        expect(e.server, CX_SPDY_DATA, 1, false, "hello");
        expect(e.server, CX_SPDY_DATA, 1, true, "");
        assert_int_equal(cx_spdy_send(e.server, 1, "bye", 3, true), 0);
        expect(e.client, CX_SPDY_DATA, 1, true, "bye");
        cx_spdy_close(e.server);
        assert_int_equal(cx_spdy_send(e.server, 1, "no", 2, false), -EPIPE);
        (void)shutdown(e.client_wire->fd, SHUT_WR);
        struct cx_spdy_event event;
        CX_BUF data = CX_BUF_INIT;
        assert_int_equal(cx_spdy_receive(e.server, &event, &data), 0);
        finish(&e);
}

static void bad_frames(void **state)
{
        (void)state;
        static const struct {
                const char *bytes;
                size_t length;
                int result;
        } cases[] = {
                {"\x80\x03\x00\x01\x00\x00\x00\x04\x00\x00\x00\x01", 12, -EPROTO},         // short SYN_STREAM
                {"\x80\x02\x00\x06\x00\x00\x00\x04\x00\x00\x00\x01", 12, -EPROTO},         // version 2
                {"\x80\x03\x00\x06\x00\x01\x00\x00\x00\x00\x00\x01", 12, -EPROTO},         // 64 KiB of PING
                {"\x80\x03\x00\x05\x00\x00\x00\x04\x00\x00\x00\x01", 12, -EPROTO},         // no such type
                {"\x80\x03\x00\x03\x00\x00\x00\x03\x00\x00\x00", 11, -EPROTO},             // short RST_STREAM
                {"\x80\x03\x00\x02\x00\x00\x00\x06\x00\x00\x00\x01\xff\xff", 14, -EPROTO}, // no zlib
                {"\x80\x03\x00\x01\x00\x00\x00\x0a\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00", 18,
                 -EPROTO}, // a server's number
                {"\x80\x03\x00\x04\x00\x00\x00\x00\x80\x03\x00\x09\x00\x00\x00\x08\x00\x00\x00\x01\x00\x00\x00\x01", 24,
                 0},                                // SETTINGS, WINDOW_UPDATE, the end
                {"\x80\x03\x00\x01\x00\x00", 6, 0}, // the end within a frame
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct ends e;
                start(&e);
                assert_int_equal(cx_wire_write_all(e.client_wire, cases[i].bytes, cases[i].length, 1000000000), 0);
                (void)shutdown(e.client_wire->fd, SHUT_WR);
                struct cx_spdy_event event;
                CX_BUF data = CX_BUF_INIT;
                int r = cx_spdy_receive(e.server, &event, &data);
                if (r != cases[i].result)
                        fail_msg("case %zu: %d", i, r);
                finish(&e);
        }
}

// Frames that arrive byte by byte are the same; a little data comes in one piece.
static void slow_frames(void **state)
{
        (void)state;
        struct ends e;
        start(&e);
        static const char *const headers[] = {"streamtype", "resize", NULL};
        uint32_t stream;
        assert_int_equal(cx_spdy_open(e.client, headers, false, &stream), 0);
        assert_int_equal(cx_spdy_send(e.client, stream, "{\"Width\":1}", 11, true), 0);
        char bytes[1024];
        ssize_t n = cx_wire_read(e.server_wire, bytes, sizeof bytes);
        struct ends slow;
        start(&slow);
        struct cx_spdy_event event = {0};
        CX_BUF data = CX_BUF_INIT;
        assert_true(n > 30);
        for (ssize_t i = 0; i < n; i++)
                assert_int_equal(cx_wire_write_all(slow.client_wire, bytes + i, 1, 1000000000), 0);
        assert_int_equal(cx_spdy_receive(slow.server, &event, &data), 1);
        assert_string_equal(cx_spdy_header(&data, "streamtype"), "resize");
        expect(slow.server, CX_SPDY_DATA, stream, true, "{\"Width\":1}");
        finish(&slow);
        finish(&e);
}

// A number that was there before is refused, and the session goes on.
static void numbers_that_go_back(void **state)
{
        (void)state;
        struct ends e, other;
        start(&e);
        start(&other);
        static const char *const none[] = {NULL};
        uint32_t stream;
        char bytes[256];
        for (int i = 0; i < 3; i++)
                assert_int_equal(cx_spdy_open(other.client, none, false, &stream), 0);
        ssize_t n = cx_wire_read(other.server_wire, bytes, sizeof bytes);
        assert_true(n > 60);
        ssize_t frame = 8 + (unsigned char)bytes[7];
        bytes[11] = 9; // the first is 9, and so 3 goes back
        assert_int_equal(cx_wire_write_all(e.client_wire, bytes, (size_t)n, 1000000000), 0);
        expect(e.server, CX_SPDY_OPENED, 9, false, NULL);
        assert_int_equal(cx_spdy_send(e.client, 1, "x", 1, false), 0);
        expect(e.server, CX_SPDY_DATA, 1, false, "x");
        expect(e.client, CX_SPDY_RESET, 3, false, NULL);
        expect(e.client, CX_SPDY_RESET, 5, false, NULL);
        assert_true(frame > 18);
        finish(&e);
        finish(&other);
}

// A peer that asks and does not listen to the answers is cut off; what is kept for it is bounded.
static void ping_flood(void **state)
{
        (void)state;
        struct ends e;
        start(&e);
        struct cx_spdy_event event;
        CX_BUF data = CX_BUF_INIT;
        static const char ping[] = "\x80\x03\x00\x06\x00\x00\x00\x04\x00\x00\x00\x01";
        int r = 1;
        for (int i = 0; i < 10000 && r > 0; i++) {
                char many[1200];
                for (int j = 0; j < 100; j++)
                        memcpy(many + 12 * j, ping, 12);
                assert_int_equal(cx_wire_write_all(e.client_wire, many, sizeof many, 10000000000), 0);
                // A frame of data ends a turn.
                assert_int_equal(cx_wire_write_all(e.client_wire, "\x00\x00\x00\x01\x00\x00\x00\x01x", 9, 10000000000),
                                 0);
                r = cx_spdy_receive(e.server, &event, &data);
        }
        assert_int_equal(r, -ENOBUFS);
        assert_int_equal(cx_spdy_send(e.server, 1, "x", 1, false), -ENOBUFS);
        finish(&e);
}

struct half {
        struct cx_spdy *spdy;
        size_t size;
        bool good;
};

static void *send_half(void *context)
{
        struct half *h = context;
        char block[50000];
        for (size_t i = 0; i < sizeof block; i++)
                block[i] = (char)(i * 7);
        h->good = true;
        for (size_t done = 0; done < h->size && h->good; done += sizeof block)
                h->good = cx_spdy_send(h->spdy, 1, block, sizeof block, done + sizeof block >= h->size) == 0;
        return NULL;
}

static void *receive_half(void *context)
{
        struct half *h = context;
        struct cx_spdy_event event = {0};
        CX_BUF data = CX_BUF_INIT;
        size_t got = 0;
        h->good = true;
        while (!event.ended && cx_spdy_receive(h->spdy, &event, &data) == 1)
                for (size_t i = 0; i < data.length; i++, got++)
                        h->good &= data.data[i] == (char)(got % 50000 * 7);
        h->good &= got == h->size;
        return NULL;
}

static void both_ways_at_once(void **state)
{
        (void)state;
        struct ends e;
        start(&e);
        struct half halves[4] = {{e.client, 20000000, false},
                                 {e.server, 20000000, false},
                                 {e.client, 20000000, false},
                                 {e.server, 20000000, false}};
        pthread_t threads[4];
        for (int i = 0; i < 4; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, i < 2 ? send_half : receive_half, &halves[i]), 0);
        for (int i = 0; i < 4; i++) {
                pthread_join(threads[i], NULL);
                assert_true(halves[i].good);
        }
        finish(&e);
}

// --- channels --------------------------------------------------------------------------------------------------------

static struct cx_streams *server_streams(struct ends *e, const char *protocol)
{
        make_wires(e);
        e->client = cx_spdy_new(e->client_wire, false);
        e->server = NULL;
        return cx_streams_spdy(e->server_wire, true, protocol);
}

static uint32_t open_type(struct ends *e, const char *type, const char *port, const char *request)
{
        const char *headers[7] = {"streamtype", type};
        size_t n = 2;
        uint32_t stream = 0;
        if (port) {
                headers[n++] = "port";
                headers[n++] = port;
        }
        if (request) {
                headers[n++] = "requestid";
                headers[n++] = request;
        }
        assert_int_equal(cx_spdy_open(e->client, headers, false, &stream), 0);
        return stream;
}

static void expect_event(struct cx_streams *streams, enum cx_stream_event_kind kind, int channel, int port,
                         const char *text)
{
        struct cx_stream_event event;
        CX_BUF data = CX_BUF_INIT;
        assert_int_equal(cx_streams_receive(streams, &event, &data), 1);
        assert_int_equal(event.kind, kind);
        assert_int_equal(event.channel, channel);
        assert_int_equal(event.port, port);
        if (text)
                assert_string_equal(data.data, text);
}

static void *send_output(void *context)
{
        static int result;
        result = cx_streams_send(context, CX_STREAM_STDOUT, "out", 3);
        return &result;
}

static void exec_channels(void **state)
{
        (void)state;
        struct ends e;
        struct cx_streams *streams = server_streams(&e, "v4.channel.k8s.io");
        pthread_t thread;
        void *result;
        // What is sent before the client has opened its streams waits for them.
        assert_int_equal(pthread_create(&thread, NULL, send_output, streams), 0);
        uint32_t error = open_type(&e, "error", NULL, NULL), in = open_type(&e, "stdin", NULL, NULL);
        assert_int_equal(cx_spdy_send(e.client, in, "in", 2, true), 0);
        expect_event(streams, CX_STREAM_DATA, CX_STREAM_STDIN, 0, "in");
        expect_event(streams, CX_STREAM_ENDED, CX_STREAM_STDIN, 0, NULL);
        uint32_t out = open_type(&e, "stdout", NULL, NULL), twice = open_type(&e, "stdout", NULL, NULL);
        uint32_t odd = open_type(&e, "elsewhere", NULL, NULL), size = open_type(&e, "resize", NULL, NULL);
        assert_int_equal(cx_spdy_send(e.client, size, "{}", 2, false), 0);
        expect_event(streams, CX_STREAM_DATA, CX_STREAM_RESIZE, 0, "{}");
        pthread_join(thread, &result);
        assert_int_equal(*(int *)result, 0);
        assert_int_equal(cx_streams_send_status(streams, 3, NULL), 0);
        cx_streams_close(streams);
        expect(e.client, CX_SPDY_REPLIED, error, false, NULL);
        expect(e.client, CX_SPDY_REPLIED, in, false, NULL);
        expect(e.client, CX_SPDY_REPLIED, out, false, NULL);
        // The refusals and the output may come in either order; each stream ends.
        bool ended[16] = {0};
        int refused = 0;
        CX_BUF status = CX_BUF_INIT;
        struct cx_spdy_event event;
        CX_BUF data = CX_BUF_INIT;
        for (int ends = 0; ends < 4;) {
                assert_int_equal(cx_spdy_receive(e.client, &event, &data), 1);
                refused += event.kind == CX_SPDY_RESET && (event.stream == twice || event.stream == odd);
                if (event.kind != CX_SPDY_DATA)
                        continue;
                if (event.stream == error)
                        cx_buf_append(&status, data.data, data.length);
                assert_false(ended[event.stream]);
                ended[event.stream] = event.ended;
                ends += event.ended;
        }
        assert_int_equal(refused, 2);
        int code = 0;
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(cx_stream_status_parse(&status, &code, &err), 0);
        assert_int_equal(code, 3);
        cx_streams_free(streams);
        finish(&e);
}

static void forward_channels(void **state)
{
        (void)state;
        struct ends e;
        struct cx_streams *streams = server_streams(&e, "portforward.k8s.io");
        // By the number of the request, in either order, and by the streams' own when there is none.
        (void)open_type(&e, "error", "80", "7");
        (void)open_type(&e, "data", "81", "x");
        uint32_t first = open_type(&e, "data", "80", "7");
        (void)open_type(&e, "error", "81", "x");
        (void)open_type(&e, "error", "82", NULL);
        (void)open_type(&e, "data", "82", NULL);
        expect_event(streams, CX_STREAM_OPENED, CX_FORWARD_DATA(0), 80, NULL);
        expect_event(streams, CX_STREAM_OPENED, CX_FORWARD_DATA(1), 81, NULL);
        expect_event(streams, CX_STREAM_OPENED, CX_FORWARD_DATA(2), 82, NULL);
        // Refused: no port, ports that are none, no such type, a request's number that is too long.
        (void)open_type(&e, "data", NULL, "8");
        (void)open_type(&e, "data", "0", "8");
        (void)open_type(&e, "data", "65536", "8");
        (void)open_type(&e, "neither", "80", "8");
        (void)open_type(&e, "data", "80", "123456789012345678901234567890123");
        assert_int_equal(cx_spdy_send(e.client, first, "x", 1, true), 0);
        expect_event(streams, CX_STREAM_DATA, CX_FORWARD_DATA(0), 0, "x");
        expect_event(streams, CX_STREAM_ENDED, CX_FORWARD_DATA(0), 0, NULL);
        int replies = 0, refusals = 0;
        struct cx_spdy_event event;
        CX_BUF data = CX_BUF_INIT;
        while (replies + refusals < 11) {
                assert_int_equal(cx_spdy_receive(e.client, &event, &data), 1);
                replies += event.kind == CX_SPDY_REPLIED;
                refusals += event.kind == CX_SPDY_RESET;
        }
        assert_int_equal(replies, 6);
        assert_int_equal(refusals, 5);
        // Over in both directions, a stream is forgotten; others are not touched by that.
        assert_true(cx_streams_end(streams, CX_FORWARD_DATA(0)));
        assert_int_equal(cx_streams_send(streams, CX_FORWARD_DATA(0), "x", 1), -EPIPE);
        assert_int_equal(cx_streams_send(streams, CX_FORWARD_DATA(1), "y", 1), 0);
        cx_streams_cut(streams, CX_FORWARD_DATA(2));
        expect(e.client, CX_SPDY_DATA, first, true, "");
        expect(e.client, CX_SPDY_DATA, 3, false, "y");
        expect(e.client, CX_SPDY_RESET, 11, false, NULL);
        assert_int_equal(cx_spdy_reset(e.client, 3, CX_SPDY_CANCEL), 0);
        expect_event(streams, CX_STREAM_CUT, CX_FORWARD_DATA(1), 0, NULL);
        assert_int_equal(cx_streams_send(streams, CX_FORWARD_DATA(1), "y", 1), -EPIPE);
        cx_streams_free(streams);
        finish(&e);
}

static void too_many_streams(void **state)
{
        (void)state;
        struct ends e;
        struct cx_streams *streams = server_streams(&e, "portforward.k8s.io");
        CX_BUF data = CX_BUF_INIT;
        struct cx_spdy_event answer;
        int refused = 0;
        for (int i = 0; i <= CX_FORWARDS_MAX; i++) {
                CX_CLEANUP(cx_freep) char *request = cx_strdup(CX_INT(i));
                (void)open_type(&e, "error", "80", request);
                (void)open_type(&e, "data", "80", request);
                // The last two are no event: data on a stream of errors, which has no other meaning, ends the wait.
                bool last = i == CX_FORWARDS_MAX;
                if (last)
                        assert_int_equal(cx_spdy_send(e.client, 1, "x", 1, false), 0);
                expect_event(streams, last ? CX_STREAM_DATA : CX_STREAM_OPENED,
                             last ? CX_FORWARD_ERROR(0) : CX_FORWARD_DATA(i), last ? 0 : 80, NULL);
                for (int j = 0; j < 2; j++) {
                        assert_int_equal(cx_spdy_receive(e.client, &answer, &data), 1);
                        refused += answer.kind == CX_SPDY_RESET;
                }
        }
        assert_int_equal(refused, 2);
        cx_streams_free(streams);
        finish(&e);
}

static void client_forwards(void **state)
{
        (void)state;
        struct ends e;
        make_wires(&e);
        e.client = e.server = NULL;
        struct cx_streams *server = cx_streams_spdy(e.server_wire, true, "portforward.k8s.io");
        struct cx_streams *client = cx_streams_spdy(e.client_wire, false, "portforward.k8s.io");
        e.client_wire = NULL; // the client's
        int n = -1;
        assert_int_equal(cx_streams_open(client, 8080, &n), 0);
        expect_event(server, CX_STREAM_OPENED, CX_FORWARD_DATA(0), 8080, NULL);
        expect_event(client, CX_STREAM_OPENED, CX_FORWARD_DATA(n), 0, NULL);
        assert_int_equal(cx_streams_send(client, CX_FORWARD_DATA(n), "to", 2), 0);
        expect_event(server, CX_STREAM_DATA, CX_FORWARD_DATA(0), 0, "to");
        assert_int_equal(cx_streams_send(server, CX_FORWARD_ERROR(0), "no", 2), 0);
        assert_true(cx_streams_end(server, CX_FORWARD_ERROR(0)));
        expect_event(client, CX_STREAM_DATA, CX_FORWARD_ERROR(n), 0, "no");
        expect_event(client, CX_STREAM_ENDED, CX_FORWARD_ERROR(n), 0, NULL);
        cx_streams_free(server);
        cx_streams_free(client);
        finish(&e);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(headers_there_and_back),
                cmocka_unit_test(headers_that_are_too_large),
                cmocka_unit_test(frames),
                cmocka_unit_test(bad_frames),
                cmocka_unit_test(slow_frames),
                cmocka_unit_test(numbers_that_go_back),
                cmocka_unit_test(ping_flood),
                cmocka_unit_test(both_ways_at_once),
                cmocka_unit_test(exec_channels),
                cmocka_unit_test(forward_channels),
                cmocka_unit_test(too_many_streams),
                cmocka_unit_test(client_forwards),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
