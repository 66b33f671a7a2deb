// SPDX-License-Identifier: Apache-2.0
// Whether a server's own port answers, found out by asking it. The question has an expectation that nobody can meet: the I/O
// thread refuses it by its head, so workers that wait for others do not count. A connection that is closed at once was seen,
// too: strangers who take all connections do not make the server look dead.
#include "libcommon/net/http_client.h"
#include "libcommon/net/http_server_internal.h"

static char *own_url(const struct cx_http_server *server)
{
        struct cx_address address = server->bound;
        char text[CX_ENDPOINT_TEXT];
        if (cx_address_is_unspecified(&address))
                (void)!cx_address_parse(address.family == CX_IPV6 ? "::1" : "127.0.0.1", &address);
        return cx_sprintf("http%s://%s", server->tls ? "s" : "", cx_address_format_port(&address, server->port, text));
}

bool cx_http_server_alive(const struct cx_http_server *server, int64_t limit)
{
        CX_CLEANUP(cx_freep) char *url = own_url(server);
        CX_CLEANUP(cx_http_client_freep) struct cx_http_client *client = NULL;
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        static const char *const headers[] = {"Expect: life", "Connection: close", NULL};
        struct cx_http_client_options options = {
                .base_url = url, .insecure = true, .connect_timeout = limit, .max_idle = 1};
        struct cx_http_call call = {.path = "/livez", .headers = headers, .timeout = limit, .max_reply = 65536};
        if (cx_http_client_new(&options, &client, NULL) < 0)
                return true; // nothing was learnt
        int r = cx_http_do(client, &call, &reply, NULL);
        return r != -ETIMEDOUT && r != -ECONNREFUSED;
}
