// SPDX-License-Identifier: Apache-2.0
// Certificates that change on disk under a server and a client that talk all the time: no call fails, and what is new is used.
// And clients that know several servers.

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/base/tree.h"
#include "libcommon/client/kubeconfig.h"
#include "libcommon/net/http_client.h"
#include "libcommon/net/http_server.h"
#include "libcommon/net/pki.h"

#include <stdatomic.h>

#define PATIENCE (60 * CX_NS_PER_S)

struct authority {
        char *cert, *key;
};

static struct world {
        char folder[32];
        char *server_cert, *server_key, *client_pair, *client_ca, *server_ca; // paths
        struct authority ca[2];
        struct cx_http_server *server;
        struct cx_http_client *client;
        atomic_int asked;
} world;

// Says whose certificate the client has.
static void handle(struct cx_http_request *request, void *context CX_UNUSED)
{
        CX_CLEANUP(cx_freep) char *name = NULL;
        CX_STRINGS groups = CX_STRINGS_INIT;
        atomic_fetch_add(&world.asked, 1);
        if (!cx_http_client_certificate(request, &name, &groups)) {
                const char *why = "none";
                (void)cx_http_client_certificate_bad(request, &why);
                cx_http_respond_text(request, 401, cx_str(why));
                return;
        }
        cx_http_respond_text(request, 200, name);
}

static void put(const char *path, const char *text)
{
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(cx_write_file(path, text, strlen(text), 0600, false, &err), 0);
}

static void make_authority(struct authority *ca, const char *name)
{
        CX_ERROR err = CX_ERROR_INIT;
        const struct cx_certificate_spec spec = {.common_name = name, .is_ca = true, .lifetime = 3600};
        assert_int_equal(cx_pki_issue(&spec, NULL, NULL, &ca->cert, &ca->key, &err), 0);
}

static void issue(const struct authority *ca, const char *name, int64_t lifetime, char **ret_cert, char **ret_key)
{
        CX_ERROR err = CX_ERROR_INIT;
        CX_STRINGS addresses = CX_STRINGS_INIT;
        cx_strings_add(&addresses, "127.0.0.1");
        const struct cx_certificate_spec spec = {
                .common_name = name, .ip_addresses = &addresses, .server = true, .client = true, .lifetime = lifetime};
        assert_int_equal(cx_pki_issue(&spec, ca->cert, ca->key, ret_cert, ret_key, &err), 0);
}

// Certificate and key in one file, as kubelets keep them.
static void put_client(const struct authority *ca, const char *name, int64_t lifetime)
{
        CX_CLEANUP(cx_freep) char *cert = NULL;
        CX_CLEANUP(cx_freep) char *key = NULL;
        issue(ca, name, lifetime, &cert, &key);
        CX_CLEANUP(cx_freep) char *both = cx_sprintf("%s%s", cert, key);
        put(world.client_pair, both);
}

static void put_bundle(const char *path, const struct authority *a, const struct authority *b)
{
        CX_CLEANUP(cx_freep) char *both = cx_sprintf("%s%s", a->cert, b ? b->cert : "");
        put(path, both);
}

static int setup(void **state CX_UNUSED)
{
        CX_ERROR err = CX_ERROR_INIT;
        (void)cx_copy_string(world.folder, sizeof world.folder, "/tmp/cx-rotation-XXXXXX");
        assert_non_null(mkdtemp(world.folder));
        char **const paths[] = {&world.server_cert, &world.server_key, &world.client_pair, &world.client_ca,
                                &world.server_ca};
        for (size_t i = 0; i < CX_ARRAY_SIZE(paths); i++)
                *paths[i] = cx_sprintf("%s/%zu.pem", world.folder, i);
        make_authority(&world.ca[0], "first");
        make_authority(&world.ca[1], "second");
        CX_CLEANUP(cx_freep) char *cert = NULL;
        CX_CLEANUP(cx_freep) char *key = NULL;
        issue(&world.ca[0], "server", 3600, &cert, &key);
        put(world.server_cert, cert);
        put(world.server_key, key);
        put_client(&world.ca[0], "one", 3600);
        put_bundle(world.client_ca, &world.ca[0], NULL);
        put_bundle(world.server_ca, &world.ca[0], NULL);
        const struct cx_http_server_options options = {.address = "127.0.0.1",
                                                       .cert_file = world.server_cert,
                                                       .key_file = world.server_key,
                                                       .client_ca_file = world.client_ca,
                                                       .io_threads = 1,
                                                       .workers = 2,
                                                       .handler = handle};
        assert_int_equal(cx_http_server_new(&options, &world.server, &err), 0);
        CX_CLEANUP(cx_freep) char *url = cx_sprintf("https://127.0.0.1:%d", cx_http_server_port(world.server));
        const struct cx_http_client_options client = {.base_url = url,
                                                      .ca_file = world.server_ca,
                                                      .cert_file = world.client_pair,
                                                      .key_file = world.client_pair};
        assert_int_equal(cx_http_client_new(&client, &world.client, &err), 0);
        return 0;
}

static int teardown(void **state CX_UNUSED)
{
        CX_ERROR err = CX_ERROR_INIT;
        cx_http_client_free(world.client);
        cx_http_server_free(world.server);
        char *const texts[] = {world.server_cert, world.server_key, world.client_pair, world.client_ca, world.server_ca,
                               world.ca[0].cert,  world.ca[0].key,  world.ca[1].cert,  world.ca[1].key};
        for (size_t i = 0; i < CX_ARRAY_SIZE(texts); i++)
                free(texts[i]);
        return cx_remove_tree(world.folder, &err);
}

// One call, which must not fail; true when the server knows the client by that name.
static bool known_as(const char *name)
{
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        int r = cx_http_do(world.client, &(struct cx_http_call){.path = "/"}, &reply, &err);
        if (r < 0)
                fail_msg("%s", cx_error_text(&err));
        if (reply.code != 200)
                fail_msg("%s", reply.body.data);
        return strcmp(reply.body.data, name) == 0;
}

static void becomes_known_as(const char *name)
{
        int64_t end = cx_time_monotonic() + PATIENCE;
        while (!known_as(name)) {
                assert_true(cx_time_monotonic() < end);
                usleep(1000);
        }
}

static void goes_on_for(int64_t time)
{
        for (int64_t end = cx_time_monotonic() + time; cx_time_monotonic() < end; usleep(1000))
                (void)known_as("");
}

static void test_client(void **state CX_UNUSED)
{
        assert_true(known_as("one"));
        put_client(&world.ca[0], "two", 3600);
        becomes_known_as("two");
}

// A connection whose certificate expires is good for nothing; a client that renews it in time does not notice.
static void test_expiry(void **state CX_UNUSED)
{
        put_client(&world.ca[0], "brief", 5);
        becomes_known_as("brief");
        put_client(&world.ca[0], "renewed", 3600);
        goes_on_for(7 * CX_NS_PER_S);
        assert_true(known_as("renewed"));
        CX_ERROR err = CX_ERROR_INIT;
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        CX_CLEANUP(cx_freep) char *cert = NULL;
        CX_CLEANUP(cx_freep) char *key = NULL;
        CX_CLEANUP(cx_http_client_freep) struct cx_http_client *client = NULL;
        issue(&world.ca[0], "brief", 3, &cert, &key);
        const struct cx_http_client_options options = {.base_url = cx_http_client_server(world.client),
                                                       .ca_file = world.server_ca,
                                                       .cert_pem = cert,
                                                       .key_pem = key};
        assert_int_equal(cx_http_client_new(&options, &client, &err), 0);
        int64_t end = cx_time_monotonic() + PATIENCE;
        do {
                assert_int_equal(cx_http_do(client, &(struct cx_http_call){.path = "/"}, &reply, &err), 0);
                usleep(1000);
        } while (reply.code == 200 && cx_time_monotonic() < end);
        assert_int_equal(reply.code, 401);
        assert_string_equal(reply.body.data, "certificate has expired");
}

// Certificate and key are two files, of which one is there first.
static void test_server_in_pieces(void **state CX_UNUSED)
{
        CX_CLEANUP(cx_freep) char *cert = NULL;
        CX_CLEANUP(cx_freep) char *key = NULL;
        issue(&world.ca[0], "server", 3600, &cert, &key);
        put(world.server_cert, cert);
        goes_on_for(1500 * CX_NS_PER_MS);
        put(world.server_key, key);
        put(world.client_ca, "-----BEGIN CERTIFICATE-----\nhalf");
        goes_on_for(1500 * CX_NS_PER_MS);
        put_bundle(world.client_ca, &world.ca[0], NULL);
}

// All from one authority to another: trusted beside the old one first, then used, then alone.
static void test_authorities(void **state CX_UNUSED)
{
        CX_CLEANUP(cx_freep) char *cert = NULL;
        CX_CLEANUP(cx_freep) char *key = NULL;
        put_bundle(world.client_ca, &world.ca[0], &world.ca[1]);
        put_bundle(world.server_ca, &world.ca[0], &world.ca[1]);
        goes_on_for(3 * CX_NS_PER_S);
        issue(&world.ca[1], "server", 3600, &cert, &key);
        put(world.server_cert, cert);
        put(world.server_key, key);
        put_client(&world.ca[1], "three", 3600);
        becomes_known_as("three");
        // Connections that the server does not know yet under its new certificate would be refused from here on.
        goes_on_for(3 * CX_NS_PER_S);
        cx_http_client_trim(world.client, -1);
        put_bundle(world.client_ca, &world.ca[1], NULL);
        put_bundle(world.server_ca, &world.ca[1], NULL);
        goes_on_for(3 * CX_NS_PER_S);
        put_client(&world.ca[1], "four", 3600);
        becomes_known_as("four");
}

static void test_other_files(void **state CX_UNUSED)
{
        CX_ERROR err = CX_ERROR_INIT;
        CX_CLEANUP(cx_freep) char *nowhere = cx_sprintf("%s/none", world.folder);
        assert_int_equal(cx_http_server_use(world.server, nowhere, nowhere, &err), -ENOENT);
        cx_error_release(&err);
        goes_on_for(100 * CX_NS_PER_MS);
        assert_int_equal(cx_http_server_use(world.server, world.client_pair, world.client_pair, &err), 0);
        cx_http_client_trim(world.client, -1);
        goes_on_for(100 * CX_NS_PER_MS);
        struct cx_http_client *client = NULL;
        const struct cx_http_client_options options = {.base_url = "https://127.0.0.1:1", .ca_file = nowhere};
        assert_int_equal(cx_http_client_new(&options, &client, &err), -ENOENT);
}

// --- several servers ---

static int post(struct cx_http_client *client, struct cx_error *err)
{
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        return cx_http_do(client, &(struct cx_http_call){.method = "POST", .path = "/", .body = "{}", .body_length = 2},
                          &reply, err);
}

static void test_several(void **state CX_UNUSED)
{
        CX_ERROR err = CX_ERROR_INIT;
        CX_STRINGS others = CX_STRINGS_INIT;
        const char *good = cx_http_client_server(world.client);
        CX_CLEANUP(cx_http_client_freep) struct cx_http_client *client = NULL;
        cx_strings_add(&others, "https://127.0.0.1:2/");
        cx_strings_add(&others, good);
        struct cx_http_client_options options = {
                .base_url = "https://127.0.0.1:1", .others = &others, .ca_file = world.server_ca};
        assert_int_equal(cx_http_client_new(&options, &client, &err), 0);
        assert_string_equal(cx_http_client_server(client), "https://127.0.0.1:1");
        int before = atomic_load(&world.asked);
        for (int i = 0; i < 3;
             i++) // of the servers that refuse nothing is seen, and the good one is asked once each time
                assert_int_equal(post(client, &err), 0);
        assert_int_equal(atomic_load(&world.asked), before + 3);
        assert_string_equal(cx_http_client_server(client), good);
        cx_http_client_free(cx_steal(&client));
        // With none of them there it ends.
        cx_strings_release(&others);
        cx_strings_add(&others, "https://127.0.0.1:2");
        assert_int_equal(cx_http_client_new(&options, &client, &err), 0);
        assert_int_equal(post(client, &err), -ECONNREFUSED);
        cx_error_release(&err);
        cx_http_client_free(cx_steal(&client));
        cx_strings_add(&others, "ftp://a");
        assert_int_equal(cx_http_client_new(&options, &client, &err), -EINVAL);
}

static void test_extension(void **state CX_UNUSED)
{
        static const struct {
                const char *extensions, *servers; // NULL: refused
        } rows[] = {
                {"[]", ""},
                {"[{name: other, extension: {servers: 7}}]", ""},
                {"[{name: coxswain/servers, extension: {servers: [\"https://b:1\", c]}}]", "https://b:1 https://c"},
                {"[{name: coxswain/servers, extension: {servers: []}}]", ""},
                {"[{name: coxswain/servers, extension: {}}]", NULL},
                {"[{name: coxswain/servers, extension: {servers: a}}]", NULL},
                {"[{name: coxswain/servers, extension: {servers: [1]}}]", NULL},
                {"[{name: coxswain/servers, extension: {servers: [\"\"]}}]", NULL},
                {"[{name: coxswain/servers, extension: {servers: [a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a]}}]", NULL},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(rows); i++) {
                CX_ERROR err = CX_ERROR_INIT;
                CX_KUBECONFIG config = CX_KUBECONFIG_INIT;
                CX_CREDENTIALS credentials = CX_CREDENTIALS_INIT;
                CX_CLEANUP(cx_freep)
                char *text = cx_sprintf("clusters: [{name: c, cluster: {server: \"https://a\", extensions: %s}}]\n"
                                        "contexts: [{name: c, context: {cluster: c}}]\ncurrent-context: c\n",
                                        rows[i].extensions);
                assert_int_equal(cx_kubeconfig_parse(text, strlen(text), &config, &err), 0);
                int r = cx_kubeconfig_resolve(&config, NULL, &credentials, &err);
                assert_int_equal(r, rows[i].servers ? 0 : -EINVAL);
                if (r < 0)
                        continue;
                CX_CLEANUP(cx_freep) char *joined = cx_strings_join(&credentials.servers, " ");
                assert_string_equal(joined, rows[i].servers);
                cx_credentials_release(&credentials);
                const struct cx_kubeconfig_overrides flags = {.server = "https://z"}; // means this one alone
                assert_int_equal(cx_kubeconfig_resolve(&config, &flags, &credentials, &err), 0);
                assert_int_equal(credentials.servers.count, 0);
        }
}

int main(void)
{
        cx_process_init();
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_client),           cmocka_unit_test(test_expiry),
                cmocka_unit_test(test_server_in_pieces), cmocka_unit_test(test_authorities),
                cmocka_unit_test(test_several),          cmocka_unit_test(test_extension),
                cmocka_unit_test(test_other_files),
        };
        return cmocka_run_group_tests(tests, setup, teardown);
}
