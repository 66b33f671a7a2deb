// SPDX-License-Identifier: Apache-2.0
// kubectl proxy: what its filter takes, and where HTTP messages end.
#include "kubectl/proxy/filter.h"
#include "kubectl/proxy/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void patterns(void **state)
{
        (void)state;
        static const struct {
                const char *pattern, *text;
                int verdict; // 1, 0, or -1: refused
        } cases[] = {
                {"^localhost$,^127\\.0\\.0\\.1$", "127.0.0.1", 1},
                {"^localhost$,^127\\.0\\.0\\.1$", "127a0.0.1", 0},
                {"^\\[::1\\]$", "[::1]", 1},
                {"", "x", 0},
                {"^\\d+$", "123", 1},
                {"^\\d+$", "dd", 0},
                {"^[\\d-]+$", "1-2", 1},
                {"^(?:a|b)+?$", "abab", 1},
                {"(?i)^ABC$", "abc", 1},
                {"^a{2}$", "aa", 1},
                {"\\Aa\\z", "a", 1},
                {"(?P<x>a)", "a", -1},
                {"\\pL", "a", -1},
                {"(a", "a", -1},
                {"[a", "a", -1},
                {"a\\", "a", -1},
                {"(a)\\1", "aa", -1},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                static struct patterns list;
                CX_ERROR err = CX_ERROR_INIT;
                int r = patterns_parse(cases[i].pattern, &list, &err);
                if ((r < 0 ? -1 : patterns_match(&list, cases[i].text)) != cases[i].verdict)
                        fail_msg("%s against %s: %d %s", cases[i].pattern, cases[i].text, r, cx_error_text(&err));
                patterns_release(&list);
        }
}

static void hosts(void **state)
{
        (void)state;
        static struct request_filter filter;
        static const struct {
                const char *host;
                bool good;
        } cases[] = {{"localhost", true},
                     {"localhost:8001", true},
                     {"127.0.0.1:1", true},
                     {"[::1]:8001", true},
                     {"[::1]", true},
                     {"evil.example", false},
                     {"", false},
                     {"localhost:1:2", false},
                     {"localhost.evil:1", false},
                     {"[::1]x", false},
                     {"[::1", false},
                     {"::1", false},
                     {"127.0.0.1.nip.io", false},
                     {"localhost@evil", false}};
        assert_int_equal(patterns_parse("^localhost$,^127\\.0\\.0\\.1$,^\\[::1\\]$", &filter.accept_hosts, NULL), 0);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
                if (filter_accepts_host(&filter, cases[i].host) != cases[i].good)
                        fail_msg("host %s", cases[i].host);
        filter_release(&filter);
}

static void paths(void **state)
{
        (void)state;
        static const struct {
                const char *target, *path, *clean;
        } cases[] = {
                {"/", "/", "/"},
                {"/api/v1?x=/../y", "/api/v1", "/api/v1"},
                {"/a//b/./c/", "/a//b/./c/", "/a/b/c/"},
                {"/a/../../b", "/a/../../b", "/b"},
                {"/a/..", "/a/..", "/"},
                {"/a/.", "/a/.", "/a"},
                {"/pods/x/%65xec", "/pods/x/exec", "/pods/x/exec"},
                {"/pods/x%2fexec", "/pods/x/exec", "/pods/x/exec"},
                {"/a/%2e%2e/b", "/a/../b", "/b"},
                {"/a...b/..c", "/a...b/..c", "/a...b/..c"},
                {"/a%00b", NULL, NULL},
                {"/a%0", NULL, NULL},
                {"/a%zz", NULL, NULL},
                {"http://x/", NULL, NULL},
                {"*", NULL, NULL},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                CX_BUF path = CX_BUF_INIT, clean = CX_BUF_INIT;
                int r = target_path(cases[i].target, &path);
                assert_int_equal(r, cases[i].path ? 0 : -EINVAL);
                if (r < 0)
                        continue;
                path_clean(path.data, &clean);
                assert_string_equal(path.data, cases[i].path);
                assert_string_equal(clean.data, cases[i].clean);
        }
        CX_BUF encoded = CX_BUF_INIT;
        path_encode("/a b%/\xc3\xa4?#\r\n", &encoded);
        assert_string_equal(encoded.data, "/a%20b%25/%C3%A4%3F%23%0D%0A");
}

static void requests(void **state)
{
        (void)state;
        static const struct {
                const char *head;
                int kind; // of the body; -1: refused
                bool close, upgrade;
        } cases[] = {
                {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", BODY_NONE, false, false},
                {"GET / HTTP/1.0\r\n\r\n", BODY_NONE, true, false},
                {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", BODY_NONE, false, false},
                {"PUT / HTTP/1.1\r\nContent-Length: 3\r\nConnection: close\r\n\r\n", BODY_LENGTH, true, false},
                {"PUT / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", BODY_NONE, false, false},
                {"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", BODY_CHUNKED, false, false},
                {"GET / HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n", BODY_NONE, false,
                 true},
                {"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", BODY_NONE, false, false},
                // What two readers could take differently.
                {"PUT / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", -1, false, false},
                {"PUT / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", -1, false, false},
                {"PUT / HTTP/1.1\r\nContent-Length: +3\r\n\r\n", -1, false, false},
                {"PUT / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", -1, false, false},
                {"PUT / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", -1, false, false},
                {"PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", -1, false, false},
                {"GET / HTTP/1.1\r\nContent-Length : 3\r\n\r\n", -1, false, false},
                {"GET / HTTP/1.1\r\nA: b\r\n folded: c\r\n\r\n", -1, false, false},
                {"GET / HTTP/1.1\r\nA: b\nContent-Length: 3\r\n\r\n", -1, false, false},
                {"GET / HTTP/1.1\r\nno colon\r\n\r\n", -1, false, false},
                {"GET  / HTTP/1.1\r\n\r\n", -1, false, false},
                {"GET / HTTP/2\r\n\r\n", -1, false, false},
                {"GET /\r\n\r\n", -1, false, false},
                {"\r\n\r\n", -1, false, false},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                static struct message message;
                CX_ERROR err = CX_ERROR_INIT;
                size_t length = message_head_length(cases[i].head, strlen(cases[i].head));
                assert_int_equal(length, strlen(cases[i].head));
                int r = message_parse_request(cases[i].head, length, &message, &err);
                if ((r < 0 ? -1 : (int)message.body.kind) != cases[i].kind)
                        fail_msg("%s: %d", cases[i].head, r);
                if (r == 0) {
                        assert_int_equal(message.close, cases[i].close);
                        assert_int_equal(message.upgrade, cases[i].upgrade);
                }
                message_release(&message);
        }
        assert_int_equal(message_head_length("GET / HTTP/1.1\r\nA: b\r\n", 22), 0);
}

static void hop_headers(void **state)
{
        (void)state;
        static struct message m;
        const char head[] = "GET / HTTP/1.1\r\nConnection: x-mine, close, content-length\r\nX-Mine: 1\r\n\r\n";
        assert_int_equal(message_parse_request(head, sizeof head - 1, &m, NULL), 0);
        assert_true(message_is_hop(&m, "X-Mine") && message_is_hop(&m, "connection") && message_is_hop(&m, "TE"));
        assert_false(message_is_hop(&m, "Content-Length") || message_is_hop(&m, "X-Mi") ||
                     message_is_hop(&m, "Accept"));
        message_release(&m);
}

static void answers(void **state)
{
        (void)state;
        static const struct {
                const char *head, *method;
                int code, kind;
                bool close;
        } cases[] = {
                {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "GET", 200, BODY_LENGTH, false},
                {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HEAD", 200, BODY_NONE, false},
                {"HTTP/1.1 200 OK\r\n\r\n", "GET", 200, BODY_REST, true},
                {"HTTP/1.1 204\r\n\r\n", "GET", 204, BODY_NONE, false},
                {"HTTP/1.1 304 Not Modified\r\n\r\n", "GET", 304, BODY_NONE, false},
                {"HTTP/1.1 100 Continue\r\n\r\n", "PUT", 100, BODY_NONE, false},
                {"HTTP/1.1 2xx OK\r\n\r\n", "GET", -1, 0, false},
                {"HTTP/1.1 2000 OK\r\n\r\n", "GET", -1, 0, false},
                {"ICY 200 OK\r\n\r\n", "GET", -1, 0, false},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                static struct message m;
                CX_ERROR err = CX_ERROR_INIT;
                int r = message_parse_answer(cases[i].head, strlen(cases[i].head), cases[i].method, &m, &err);
                assert_int_equal(r < 0 ? -1 : m.code, cases[i].code);
                if (r == 0) {
                        assert_int_equal(m.body.kind, cases[i].kind);
                        assert_int_equal(m.close, cases[i].close);
                        assert_int_equal(m.body.ended, cases[i].kind == BODY_NONE);
                }
                message_release(&m);
        }
}

static void bodies(void **state)
{
        (void)state;
        static const struct {
                struct body body;
                const char *bytes, *content;
                int taken; // of the bytes; -1: malformed
                bool ended;
        } cases[] = {
                {{.kind = BODY_LENGTH, .left = 3}, "abcGET", "abc", 3, true},
                {{.kind = BODY_LENGTH, .left = 9}, "abc", "abc", 3, false},
                {{.kind = BODY_REST}, "abc", "abc", 3, false},
                {{.kind = BODY_CHUNKED}, "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\nGET", "abcde", 24, true},
                {{.kind = BODY_CHUNKED}, "3\r\nabc\r\n0\r\nA: b\r\nC: d\r\n\r\nGET", "abc", 25, true},
                {{.kind = BODY_CHUNKED}, "A\r\n0123456789\r\n", "0123456789", 15, false},
                {{.kind = BODY_CHUNKED}, "3\r\nabcd", NULL, -1, false},
                {{.kind = BODY_CHUNKED}, "0\r\nA: b\n\r\n", NULL, -1, false},
                {{.kind = BODY_CHUNKED}, "1;x\ny\r\n", NULL, -1, false},
                {{.kind = BODY_CHUNKED}, "1;x\ry\r\n", NULL, -1, false},
                {{.kind = BODY_CHUNKED}, "x\r\n", NULL, -1, false},
                {{.kind = BODY_CHUNKED}, "\r\n", NULL, -1, false},
                {{.kind = BODY_CHUNKED}, "fffffffffffffffff\r\n", NULL, -1, false},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
                for (size_t step = 1; step <= 64; step *= 8) { // however it is cut
                        struct body body = cases[i].body;
                        CX_BUF content = CX_BUF_INIT;
                        size_t length = strlen(cases[i].bytes), at = 0;
                        ssize_t n = 0;
                        while (at < length && !body.ended && n >= 0) {
                                size_t some = length - at < step ? length - at : step;
                                n = body_take(&body, cases[i].bytes + at, some, &content);
                                at += n > 0 ? (size_t)n : 0;
                        }
                        if ((n < 0 ? -1 : (int)at) != cases[i].taken)
                                fail_msg("%s: %zu in steps of %zu", cases[i].bytes, at, step);
                        if (n < 0)
                                continue;
                        assert_int_equal(body.ended, cases[i].ended);
                        assert_string_equal(content.data, cases[i].content);
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(patterns), cmocka_unit_test(hosts),       cmocka_unit_test(paths),
                cmocka_unit_test(requests), cmocka_unit_test(hop_headers), cmocka_unit_test(answers),
                cmocka_unit_test(bodies),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
