// SPDX-License-Identifier: Apache-2.0
// The fixture's apiserver behind a port: the whole chain, without TLS, and everybody may do everything.
#pragma once

#include "apiserver/endpoints/api_services.h"
#include "apiserver/endpoints/documents.h"
#include "apiserver/endpoints/relays.h"
#include "apiserver/endpoints/watch.h"
#include "apiserver/server.h"
#include "libcommon/base/metrics.h"
#include "libcommon/net/http_client.h"
#include "test/unit/apiserver/fixture.h"

struct served {
        struct fixture fixture;
        struct cx_http_server *server;
        struct cx_http_client *client;
};

static void served_start(struct served *served, const struct admission_plugin *const *plugins)
{
        struct apiserver *api = &served->fixture.api;
        char url[64];
        fixture_start(&served->fixture, plugins);
        cx_strings_add(&api->options.authorization_modes, "AlwaysAllow");
        api->options.anonymous_auth = true;
        api->relays = relays_new();
        api->api_services = api_services_new(api);
        api->documents = documents_new(api);
        server_counters(api);
        assert_int_equal(watch_reaper_new(&api->watches, NULL), 0);
        struct cx_http_server_options options = {.address = "127.0.0.1",
                                                 .io_threads = 2,
                                                 .workers = 8,
                                                 .handler_inline = serve_inline,
                                                 .handler = serve,
                                                 .context = api};
        assert_int_equal(cx_http_server_new(&options, &served->server, NULL), 0);
        (void)snprintf(url, sizeof url, "http://127.0.0.1:%d", cx_http_server_port(served->server));
        struct cx_http_client_options client = {.base_url = url};
        assert_int_equal(cx_http_client_new(&client, &served->client, NULL), 0);
}

static void served_end(struct served *served)
{
        struct apiserver *api = &served->fixture.api;
        cx_http_client_free(served->client);
        store_stop(api->store);
        cx_http_server_free(served->server);
        watch_reaper_free(api->watches);
        relays_free(api->relays);
        documents_free(api->documents);
        api_services_free(api->api_services);
        cx_metrics_free(api->metrics);
        fixture_end(&served->fixture);
}

// The status of one request; the body as JSON (NULL when it is not) in *ret_body, which may be NULL.
static int ask(struct served *served, const char *method, const char *path, const char *type, const char *body,
               json_t **ret_body)
{
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *sent = body ? parse(body) : NULL;
        CX_CLEANUP(cx_freep) char *text = sent ? cx_json_text(sent) : NULL;
        struct cx_http_call call = {.method = method,
                                    .path = path,
                                    .content_type = type,
                                    .body = text,
                                    .body_length = text ? strlen(text) : 0};
        if (cx_http_do(served->client, &call, &reply, &err) < 0)
                fail_msg("%s %s: %s", method, path, cx_error_text(&err));
        if (ret_body)
                *ret_body = json_loadb(reply.body.data, reply.body.length, JSON_DECODE_ANY, NULL);
        return reply.code;
}
