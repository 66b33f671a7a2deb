// SPDX-License-Identifier: Apache-2.0
// Upgraded connections of a client and of a backend, joined byte by byte, so that WebSocket and SPDY pass alike. Only SPDY
// in the messages of a WebSocket, which clients use to get port-forwards through proxies, is unwrapped here: kubelets are
// spoken to in SPDY.
#include "apiserver/endpoints/backend.h"

#include "libcommon/base/time.h"
#include "libcommon/net/websocket.h"

#include <linux/sockios.h>
#include <poll.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define HANGUP_PATIENCE (3 * CX_NS_PER_S)
#define TUNNEL "SPDY/3.1+portforward.k8s.io"

struct join {
        struct backend_client *client;
        struct cx_http_call http; // with the next two
        char *url;
        struct cx_strings headers;
        bool tunnel;             // a WebSocket whose messages carry SPDY
        char accept_key[29];     // of a tunnel
        struct cx_wire *backend; // once it is connected
};

static void run_join(struct cx_wire *client, void *context)
{
        struct join *join = context;
        if (!join->tunnel) {
                cx_wire_join(client, join->backend);
                return;
        }
        CX_CLEANUP(cx_websocket_freep) struct cx_websocket *ws = cx_websocket_server(client);
        CX_CLEANUP(cx_wire_freep) struct cx_wire *tunnel = cx_websocket_wire(ws);
        cx_wire_join(tunnel, join->backend);
}

// A backend that does not take what it was sent never hears that the client has left: the end would come behind that. It is
// given a while, and then told at once.
static void hang_up(const struct cx_wire *backend)
{
        int fd = backend->fd, unsent = 0;
        int64_t deadline = cx_time_monotonic() + HANGUP_PATIENCE;
        while (ioctl(fd, SIOCOUTQ, &unsent) == 0 && unsent > 0 && cx_time_monotonic() < deadline)
                (void)poll(NULL, 0, 50);
        const struct linger at_once = {.l_onoff = 1};
        if (unsent > 0)
                (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

static void release_join(void *context)
{
        struct join *join = context;
        if (join->backend)
                hang_up(join->backend);
        cx_wire_free(join->backend);
        backend_client_unref(join->client);
        cx_strings_release(&join->headers);
        free((void *)join->http.headers);
        free(join->url);
        free(join);
}

// --- the request -----------------------------------------------------------------------------------------------------

static void add_upgrade_header(void *context, const char *name, const char *value)
{
        struct cx_strings *headers = context;
        static const char *const passed[] = {"Upgrade",
                                             "Sec-WebSocket-Key",
                                             "Sec-WebSocket-Version",
                                             "Sec-WebSocket-Protocol",
                                             "Sec-WebSocket-Extensions",
                                             "X-Stream-Protocol-Version",
                                             "Origin"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(passed); i++)
                if (strcasecmp(name, passed[i]) == 0) {
                        CX_CLEANUP(cx_freep) char *line = cx_sprintf("%s: %s", name, value);
                        cx_strings_add(headers, line);
                }
}

static void relay_refusal(struct cx_http_request *request, const struct cx_http_reply *refusal, struct cx_error *why)
{
        if (refusal->code >= 300) {
                CX_CLEANUP(cx_freep) char *type = cx_http_reply_header(refusal, "Content-Type");
                cx_http_respond(request, refusal->code, type ? type : "text/plain", refusal->body.data,
                                refusal->body.length);
                return;
        }
        CX_ERROR err = CX_ERROR_INIT;
        (void)cx_error_reason(&err, CX_REASON_INTERNAL, "error dialing backend: %s", cx_error_text(why));
        cx_http_respond_error(request, &err);
}

static bool connect_backend(struct cx_http_request *request, const bool *cancel, void *context)
{
        static const char *const answered[] = {"Upgrade", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol",
                                               "X-Stream-Protocol-Version"};
        struct join *join = context;
        CX_HTTP_REPLY headers = CX_HTTP_REPLY_INIT, refusal = CX_HTTP_REPLY_INIT;
        CX_ERROR why = CX_ERROR_INIT;
        join->http.cancel = cancel;
        if (cx_http_upgrade(join->client->http, &join->http, &join->backend, &headers, &refusal, &why) < 0) {
                relay_refusal(request, &refusal, &why);
                return false;
        }
        if (join->tunnel) {
                cx_http_add_header(request, "Upgrade", "websocket");
                cx_http_add_header(request, "Sec-WebSocket-Accept", join->accept_key);
                cx_http_add_header(request, "Sec-WebSocket-Protocol", TUNNEL);
        }
        for (size_t i = 0; !join->tunnel && i < CX_ARRAY_SIZE(answered); i++) {
                CX_CLEANUP(cx_freep) char *value = cx_http_reply_header(&headers, answered[i]);
                if (value)
                        cx_http_add_header(request, answered[i], value);
        }
        return true;
}

static const char *get_header(void *context, const char *name)
{
        return cx_http_header(context, name);
}

// What the backend is asked for: what the client asks for, or SPDY out of its tunnel.
static int choose_protocol(struct join *join, struct call *call, struct cx_error *err)
{
        static const char *const tunnels[] = {TUNNEL, NULL};
        join->tunnel = cx_streq(call->info.subresource, "portforward") &&
                       cx_websocket_protocol(cx_http_header(call->request, "Sec-WebSocket-Protocol"), tunnels);
        if (!join->tunnel) {
                cx_http_headers(call->request, add_upgrade_header, &join->headers);
                cx_strings_add(&join->headers,
                               "Connection: Upgrade"); // whatever else the client wants dropped on the way
                return 0;
        }
        const char *key = NULL, *why = cx_websocket_check(get_header, call->request, &key);
        if (why)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "%s", why);
        cx_websocket_accept(key, join->accept_key);
        cx_strings_add(&join->headers, "Connection: Upgrade");
        cx_strings_add(&join->headers, "Upgrade: SPDY/3.1");
        cx_strings_add(&join->headers, "X-Stream-Protocol-Version: portforward.k8s.io");
        return 0;
}

int join_upgraded(struct call *call, const struct backend *backend, struct cx_error *err)
{
        struct join *join = cx_alloc(sizeof *join);
        int r = choose_protocol(join, call, err);
        if (r == 0)
                r = backend_client(call, backend, &join->client, err);
        if (r < 0) {
                cx_strings_release(&join->headers);
                free(join);
                return r;
        }
        for (size_t i = 0; i < backend->headers.count; i++)
                cx_strings_add(&join->headers, backend->headers.items[i]);
        const char **lines = cx_alloc_array(join->headers.count + 1, sizeof(char *));
        for (size_t i = 0; i < join->headers.count; i++)
                lines[i] = join->headers.items[i];
        join->url = backend_url(backend);
        join->http = (struct cx_http_call){
                .method = join->tunnel ? "POST" : cx_http_method(call->request), .path = join->url, .headers = lines};
        cx_http_respond_upgrade(call->request, &(struct cx_http_upgrade_plan){.prepare = connect_backend,
                                                                              .run = run_join,
                                                                              .release = release_join,
                                                                              .context = join});
        return 0;
}
