// SPDX-License-Identifier: Apache-2.0
// The client, tunnels and WebSockets against our own server, over TLS.

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/net/http_client.h"
#include "libcommon/net/http_client_internal.h"
#include "libcommon/net/http_server.h"
#include "libcommon/net/pki.h"
#include "libcommon/net/websocket.h"

#include <pthread.h>
#include <stdatomic.h>

static atomic_bool hanging; // a request to /hang is being kept waiting

struct fixture {
        struct cx_http_server *server;
        struct cx_http_client *client;
        char *ca_cert, *ca_key, *cert, *key, *url;
};

static void echo(struct cx_wire *wire, void *context)
{
        (void)context;
        struct cx_websocket *ws = cx_websocket_server(wire);
        CX_BUF message = CX_BUF_INIT;
        int opcode;
        while (cx_websocket_recv(ws, 5 * CX_NS_PER_S, &opcode, &message) == 1) {
                if (message.length == 3 && memcmp(message.data, "bye", 3) == 0)
                        break;
                if (cx_websocket_send(ws, opcode, message.data, message.length) < 0)
                        break;
        }
        cx_websocket_close(ws, 1000, "done");
        cx_websocket_free(ws);
}

static const char *get_header(void *context, const char *name)
{
        return cx_http_header(context, name);
}

static void handle(struct cx_http_request *request, void *context)
{
        (void)context;
        const char *path = cx_http_path(request);
        if (cx_streq(path, "/ws")) {
                const char *key = NULL;
                static const char *const supported[] = {"v2.test", "v1.test", NULL};
                const char *why = cx_websocket_check(get_header, request, &key);
                if (why) {
                        cx_http_respond_text(request, 400, why);
                        return;
                }
                char accept[29];
                cx_websocket_accept(key, accept);
                cx_http_add_header(request, "Sec-WebSocket-Accept", accept);
                cx_http_add_header(request, "Upgrade", "websocket");
                cx_http_add_header(request, "Sec-WebSocket-Protocol",
                                   cx_websocket_protocol(cx_http_header(request, "Sec-WebSocket-Protocol"), supported));
                cx_http_respond_upgrade(request, &(struct cx_http_upgrade_plan){.run = echo});
        } else if (cx_streq(path, "/big")) {
                char *text = malloc(1000000);
                memset(text, 'x', 1000000);
                cx_http_respond(request, 200, "text/plain", text, 1000000);
                free(text);
        } else if (cx_streq(path, "/hang")) {
                bool left = false;
                cx_http_notice_leaving(request, &left);
                atomic_store(&hanging, true);
                for (int i = 0; i < 30000 && !__atomic_load_n(&left, __ATOMIC_ACQUIRE); i++)
                        usleep(1000);
                cx_http_notice_leaving(request, NULL);
                cx_http_respond_text(request, 200, "late");
        } else {
                size_t length;
                const char *body = cx_http_body(request, &length);
                CX_BUF text = CX_BUF_INIT;
                cx_buf_printf(&text, "%s %s auth=%s type=%s body=%.*s", cx_http_method(request), path,
                              cx_str(cx_http_header(request, "Authorization")),
                              cx_str(cx_http_header(request, "Content-Type")), (int)length, body);
                cx_http_respond(request, 200, "text/plain", text.data, text.length);
        }
}

static int setup(void **state)
{
        struct fixture *f = cx_alloc(sizeof *f);
        CX_ERROR err = CX_ERROR_INIT;
        struct cx_certificate_spec ca = {.common_name = "ca", .is_ca = true, .lifetime = 3600};
        assert_int_equal(cx_pki_issue(&ca, NULL, NULL, &f->ca_cert, &f->ca_key, &err), 0);
        CX_STRINGS names = CX_STRINGS_INIT;
        cx_strings_add(&names, "api.test");
        struct cx_certificate_spec spec = {
                .common_name = "server", .dns_names = &names, .server = true, .lifetime = 3600};
        assert_int_equal(cx_pki_issue(&spec, f->ca_cert, f->ca_key, &f->cert, &f->key, &err), 0);
        struct cx_http_server_options options = {
                .address = "127.0.0.1", .cert_pem = f->cert, .key_pem = f->key, .handler = handle, .workers = 4};
        assert_int_equal(cx_http_server_new(&options, &f->server, &err), 0);
        f->url = cx_sprintf("https://127.0.0.1:%d/", cx_http_server_port(f->server));
        struct cx_http_client_options client = {
                .base_url = f->url, .ca_pem = f->ca_cert, .server_name = "api.test", .bearer_token = "t0ken"};
        assert_int_equal(cx_http_client_new(&client, &f->client, &err), 0);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;
        cx_http_client_free(f->client);
        cx_http_server_free(f->server);
        free(f->ca_cert);
        free(f->ca_key);
        free(f->cert);
        free(f->key);
        free(f->url);
        free(f);
        return 0;
}

static void test_methods(void **state)
{
        struct fixture *f = *state;
        static const struct {
                const char *method, *body, *want;
        } cases[] = {
                {NULL, NULL, "GET /x auth=Bearer t0ken type= body="},
                {"POST", "{}", "POST /x auth=Bearer t0ken type=application/json body={}"},
                {"PUT", "abc", "PUT /x auth=Bearer t0ken type=application/json body=abc"},
                {"PATCH", "p", "PATCH /x auth=Bearer t0ken type=application/json body=p"},
                {"DELETE", NULL, "DELETE /x auth=Bearer t0ken type= body="},
        };
        for (size_t round = 0; round < 2; round++) {
                for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
                        CX_ERROR err = CX_ERROR_INIT;
                        struct cx_http_call call = {.method = cases[i].method,
                                                    .path = "/x",
                                                    .body = cases[i].body,
                                                    .body_length = cases[i].body ? strlen(cases[i].body) : 0};
                        assert_int_equal(cx_http_do(f->client, &call, &reply, &err), 0);
                        assert_int_equal(reply.code, 200);
                        assert_string_equal(reply.body.data, cases[i].want);
                        CX_CLEANUP(cx_freep) char *type = cx_http_reply_header(&reply, "content-TYPE");
                        assert_string_equal(type, "text/plain");
                }
        }
}

static void test_failures(void **state)
{
        struct fixture *f = *state;
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(cx_http_do(f->client, &(struct cx_http_call){.path = "/big", .max_reply = 1000}, &reply, &err),
                         -EMSGSIZE);
        cx_error_release(&err);
        assert_int_equal(cx_http_do(f->client, &(struct cx_http_call){.path = "/hang", .timeout = CX_NS_PER_S / 10},
                                    &reply, &err),
                         -ETIMEDOUT);
        cx_error_release(&err);
        assert_int_equal(cx_http_do(f->client, &(struct cx_http_call){.path = "http://127.0.0.1:1/"}, &reply, &err),
                         -ECONNREFUSED);
        cx_error_release(&err);
        // The certificate is good for api.test only.
        CX_CLEANUP(cx_http_client_freep) struct cx_http_client *other = NULL;
        struct cx_http_client_options options = {.base_url = f->url, .ca_pem = f->ca_cert};
        assert_int_equal(cx_http_client_new(&options, &other, &err), 0);
        assert_int_equal(cx_http_do(other, &(struct cx_http_call){.path = "/x"}, &reply, &err), -EPROTO);
}

static int answer_with(const struct fixture *f, struct cx_http_client_options options)
{
        CX_CLEANUP(cx_http_client_freep) struct cx_http_client *client = NULL;
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        options.base_url = f->url;
        options.server_name = "api.test";
        assert_int_equal(cx_http_client_new(&options, &client, &err), 0);
        int r = cx_http_do(client, &(struct cx_http_call){.path = "/x"}, &reply, &err);
        return r < 0 ? r : cx_http_do(client, &(struct cx_http_call){.path = "/x"}, &reply, &err);
}

static void test_trust(void **state)
{
        struct fixture *f = *state;
        CX_ERROR err = CX_ERROR_INIT;
        CX_CLEANUP(cx_freep) char *other = NULL, *other_key = NULL, *cert = NULL, *key = NULL, *third = NULL;
        struct cx_certificate_spec ca = {.common_name = "other", .is_ca = true, .lifetime = 3600};
        struct cx_certificate_spec user = {.common_name = "jane", .client = true, .lifetime = 3600};
        assert_int_equal(cx_pki_issue(&ca, NULL, NULL, &other, &other_key, &err), 0);
        assert_int_equal(cx_pki_issue(&user, f->ca_cert, f->ca_key, &cert, &key, &err), 0);
        assert_int_equal(cx_pki_new_key(&third, &err), 0);
        CX_CLEANUP(cx_freep)
        char *both = cx_sprintf("%s%s", other, f->ca_cert), *chain = cx_sprintf("%s%s", cert, f->ca_cert);
        typedef struct cx_http_client_options o;
        assert_int_equal(answer_with(f, (o){.ca_pem = f->ca_cert}), 0);
        assert_int_equal(answer_with(f, (o){.ca_pem = both}), 0);
        assert_int_equal(answer_with(f, (o){.ca_pem = other}), -EPROTO);
        assert_int_equal(answer_with(f, (o){.ca_pem = "nonsense"}), -EPROTO);
        assert_int_equal(answer_with(f, (o){.insecure = true}), 0);
        assert_int_equal(answer_with(f, (o){.ca_pem = f->ca_cert, .cert_pem = cert, .key_pem = key}), 0);
        assert_int_equal(answer_with(f, (o){.ca_pem = f->ca_cert, .cert_pem = chain, .key_pem = key}), 0);
        assert_int_equal(answer_with(f, (o){.ca_pem = f->ca_cert, .cert_pem = cert, .key_pem = third}), -EPROTO);
        assert_int_equal(answer_with(f, (o){.ca_pem = f->ca_cert, .cert_pem = cert, .key_pem = "nonsense"}), -EPROTO);
        assert_int_equal(answer_with(f, (o){.ca_pem = other, .cert_pem = cert, .key_pem = key}), -EPROTO);
}

// Once the server has the request.
static void *cancel_hanging(void *flag)
{
        while (!atomic_load(&hanging))
                usleep(1000);
        __atomic_store_n((bool *)flag, true, __ATOMIC_RELAXED);
        return NULL;
}

static void test_cancel(void **state)
{
        struct fixture *f = *state;
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        bool cancel = false;
        pthread_t thread;
        atomic_store(&hanging, false);
        pthread_create(&thread, NULL, cancel_hanging, &cancel);
        int64_t started = cx_time_monotonic();
        assert_int_equal(
                cx_http_do(f->client, &(struct cx_http_call){.path = "/hang", .cancel = &cancel}, &reply, &err),
                -ECANCELED);
        assert_true(cx_time_monotonic() - started < CX_NS_PER_S);
        pthread_join(thread, NULL);
}

static void *many(void *argument)
{
        struct fixture *f = argument;
        for (int i = 0; i < 50; i++) {
                CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
                if (cx_http_do(f->client, &(struct cx_http_call){.path = "/x"}, &reply, NULL) < 0 || reply.code != 200)
                        return argument;
        }
        return NULL;
}

static void test_threads(void **state)
{
        pthread_t threads[6];
        for (size_t i = 0; i < CX_ARRAY_SIZE(threads); i++)
                pthread_create(&threads[i], NULL, many, *state);
        for (size_t i = 0; i < CX_ARRAY_SIZE(threads); i++) {
                void *bad;
                pthread_join(threads[i], &bad);
                assert_null(bad);
        }
}

static void test_websocket(void **state)
{
        struct fixture *f = *state;
        static const char *const protocols[] = {"v2.test", "v1.test", NULL};
        CX_ERROR err = CX_ERROR_INIT;
        CX_CLEANUP(cx_websocket_freep) struct cx_websocket *ws = NULL;
        CX_CLEANUP(cx_freep) char *protocol = NULL;
        int r = cx_websocket_connect(f->client, &(struct cx_http_call){.path = "/ws"}, protocols, &ws, &protocol, NULL,
                                     &err);
        if (r < 0)
                fail_msg("%s", cx_error_text(&err));
        assert_string_equal(protocol, "v2.test");
        CX_BUF message = CX_BUF_INIT;
        CX_CLEANUP(cx_freep) char *big = malloc(300000);
        memset(big, 'y', 300000);
        static const size_t sizes[] = {0, 1, 125, 126, 65535, 65536, 300000};
        for (size_t i = 0; i < CX_ARRAY_SIZE(sizes); i++) {
                int opcode = -1;
                assert_int_equal(cx_websocket_send(ws, CX_WS_BINARY, big, sizes[i]), 0);
                assert_int_equal(cx_websocket_recv(ws, 5 * CX_NS_PER_S, &opcode, &message), 1);
                assert_int_equal(opcode, CX_WS_BINARY);
                assert_int_equal(message.length, sizes[i]);
                assert_memory_equal(message.data, big, sizes[i]);
        }
        assert_int_equal(cx_websocket_ping(ws), 0);
        int opcode;
        assert_int_equal(cx_websocket_recv(ws, CX_NS_PER_MS, &opcode, &message), -ETIMEDOUT);
        assert_int_equal(cx_websocket_send(ws, CX_WS_BINARY, "bye", 3), 0);
        assert_int_equal(cx_websocket_recv(ws, 5 * CX_NS_PER_S, &opcode, &message), 0);
        assert_int_equal(cx_websocket_close_code(ws), 1000);
}

#define BOTH_WAYS 64
#define BLOCK ((size_t)128 << 10)

static void *send_blocks(void *context)
{
        CX_CLEANUP(cx_freep) char *block = calloc(1, BLOCK);
        for (int i = 0; i < BOTH_WAYS; i++)
                if (cx_websocket_send(context, CX_WS_BINARY, block, BLOCK) < 0)
                        return context;
        return NULL;
}

// One thread sends what TLS cannot take at once while another receives: neither disturbs the other.
static void test_both_ways(void **state)
{
        struct fixture *f = *state;
        static const char *const protocols[] = {"v2.test", NULL};
        CX_ERROR err = CX_ERROR_INIT;
        CX_CLEANUP(cx_websocket_freep) struct cx_websocket *ws = NULL;
        assert_int_equal(cx_websocket_connect(f->client, &(struct cx_http_call){.path = "/ws", .timeout = -1},
                                              protocols, &ws, NULL, NULL, &err),
                         0);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, send_blocks, ws), 0);
        CX_BUF message = CX_BUF_INIT;
        for (int i = 0; i < BOTH_WAYS; i++) {
                int opcode;
                assert_int_equal(cx_websocket_recv(ws, 20 * CX_NS_PER_S, &opcode, &message), 1);
                assert_int_equal(message.length, BLOCK);
        }
        void *failed = NULL;
        pthread_join(thread, &failed);
        assert_null(failed);
}

static void test_refused_upgrade(void **state)
{
        struct fixture *f = *state;
        CX_ERROR err = CX_ERROR_INIT;
        CX_HTTP_REPLY refusal = CX_HTTP_REPLY_INIT;
        struct cx_wire *wire = NULL;
        struct cx_http_call call = {.path = "/ws"};
        assert_true(cx_http_upgrade(f->client, &call, &wire, NULL, &refusal, &err) < 0);
        assert_int_equal(refusal.code, 400);
        assert_string_equal(refusal.body.data, "the request does not ask for a WebSocket");
}

static void test_pieces(void **state)
{
        (void)state;
        char accept[29];
        cx_websocket_accept("dGhlIHNhbXBsZSBub25jZQ==", accept); // RFC 6455, section 1.3
        assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        static const char *const supported[] = {"v5.test", "v4.test", NULL};
        assert_string_equal(cx_websocket_protocol(" v4.test ,v5.test", supported), "v4.test");
        assert_null(cx_websocket_protocol("test", supported));
        assert_null(cx_websocket_protocol(NULL, supported));
        CX_BUF text = CX_BUF_INIT;
        cx_url_encode(&text, "a b/c~d,\xc3\xa4=");
        assert_string_equal(text.data, "a%20b%2Fc~d%2C%C3%A4%3D");
}

// What was not used for a while is closed; the next call connects again.
static void test_trim(void **state)
{
        struct fixture *f = *state;
        CX_ERROR err = CX_ERROR_INIT;
        for (int round = 0; round < 2; round++) {
                CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
                assert_int_equal(cx_http_do(f->client, &(struct cx_http_call){.path = "/x"}, &reply, &err), 0);
                cx_http_client_trim(f->client, 3600 * CX_NS_PER_S);
                assert_true(f->client->n_idle > 0);
                cx_http_client_trim(f->client, -1);
                assert_int_equal(f->client->n_idle, 0);
                assert_null(f->client->idle);
        }
}

int main(void)
{
        cx_process_init();
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_methods),   cmocka_unit_test(test_failures),
                cmocka_unit_test(test_cancel),    cmocka_unit_test(test_threads),
                cmocka_unit_test(test_websocket), cmocka_unit_test(test_both_ways),
                cmocka_unit_test(test_pieces),    cmocka_unit_test(test_refused_upgrade),
                cmocka_unit_test(test_trim),      cmocka_unit_test(test_trust),
        };
        return cmocka_run_group_tests(tests, setup, teardown);
}
