// SPDX-License-Identifier: Apache-2.0
// WebSockets: joined ones, and those that carry a plain answer that goes on (pass.h).
#include "addons/dashboard/guard.h"
#include "addons/dashboard/pass.h"
#include "libcommon/base/time.h"
#include "libcommon/net/websocket.h"

#include <strings.h>

#define GOODBYES_MAX 16
#define TUNNEL_TIMEOUT (30 * CX_NS_PER_S)

struct stream {
        struct hangups *hangups;
        struct user_session *session;
        struct session_stream entry;
        const char *accept; // of a plain answer; NULL: joined
        char accept_key[29];
        const char *protocol;
        char *url;
        bool hung_up; // atomic
        struct cx_strings headers;
        const char **lines;
        struct cx_wire *backend; // of a joined one, once it is connected
        struct cx_websocket *ws; // of the other
};

// What a page can ask for by a subprotocol, since it cannot set headers.
static const struct {
        const char *protocol, *accept;
} forms[] = {
        {"table.dashboard", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"},
        {"object.dashboard", "application/json"},
        {"metadata.dashboard", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json"},
        {"text.dashboard", "text/plain, */*"},
};

static void release_stream(void *context)
{
        struct stream *stream = context;
        cx_wire_free(stream->backend);
        cx_strings_release(&stream->headers);
        free(stream->lines);
        free(stream->url);
        user_session_unref(stream->session);
        free(stream);
}

static void refuse(struct cx_http_request *request, enum cx_reason reason, const char *why)
{
        CX_ERROR err = CX_ERROR_INIT;
        (void)cx_error_reason(&err, reason, "%s", why);
        cx_http_respond_error(request, &err);
}

// --- answers that go on ----------------------------------------------------------------------------------------------

static void tell_code(void *context, const struct cx_http_reply *reply)
{
        struct stream *stream = context;
        const char *text = CX_INT(reply->code);
        (void)!cx_websocket_send(stream->ws, CX_WS_TEXT, text, strlen(text));
}

static int send_block(void *context, const struct cx_http_reply *reply CX_UNUSED, const char *data, size_t length)
{
        struct stream *stream = context;
        return cx_websocket_send(stream->ws, CX_WS_BINARY, data, length);
}

// Takes what the client said when it hung up: a connection that is closed over it would end with a reset, and our own goodbye
// might not arrive.
static void take_goodbye(struct cx_websocket *ws)
{
        CX_BUF message = CX_BUF_INIT_MAX(CX_WS_MAX_MESSAGE);
        int opcode;
        for (int i = 0; i < GOODBYES_MAX && cx_websocket_recv(ws, 0, &opcode, &message) > 0; i++)
                ;
}

static void run_answer(struct cx_wire *wire, void *context)
{
        struct stream *stream = context;
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        stream->ws = cx_websocket_server(wire);
        if (!user_session_stream_add(stream->session, &stream->entry, wire->fd)) {
                cx_websocket_close(stream->ws, 1013, "too many streams of this session or user");
                cx_websocket_free(stream->ws);
                return;
        }
        const struct cx_http_call call = {.path = stream->url,
                                          .accept = stream->accept,
                                          .timeout = -1,
                                          .on_headers = tell_code,
                                          .on_data = send_block,
                                          .context = stream,
                                          .cancel = &stream->hung_up};
        unsigned watch = hangups_watch(stream->hangups, wire->fd, &stream->hung_up);
        int r = cx_http_do(stream->session->client, &call, &reply, &err);
        if (__atomic_load_n(&stream->hung_up, __ATOMIC_ACQUIRE))
                take_goodbye(stream->ws);
        cx_websocket_close(stream->ws, r < 0 ? 1011 : 1000, r < 0 ? "the API server does not answer" : "");
        hangups_leave(stream->hangups, watch, wire->fd);
        user_session_stream_remove(stream->session, &stream->entry);
        cx_websocket_free(stream->ws);
}

static bool accept_answer(struct cx_http_request *request, const bool *cancel CX_UNUSED, void *context)
{
        struct stream *stream = context;
        cx_http_add_header(request, "Upgrade", "websocket");
        cx_http_add_header(request, "Sec-WebSocket-Accept", stream->accept_key);
        cx_http_add_header(request, "Sec-WebSocket-Protocol", stream->protocol);
        return true;
}

// --- joined ones -----------------------------------------------------------------------------------------------------

static bool connect_backend(struct cx_http_request *request, const bool *cancel, void *context)
{
        static const char *const answered[] = {"Upgrade", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol"};
        struct stream *stream = context;
        CX_HTTP_REPLY headers = CX_HTTP_REPLY_INIT, refusal = CX_HTTP_REPLY_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        const struct cx_http_call call = {
                .path = stream->url, .headers = stream->lines, .timeout = TUNNEL_TIMEOUT, .cancel = cancel};
        if (cx_http_upgrade(stream->session->client, &call, &stream->backend, &headers, &refusal, &err) < 0) {
                if (refusal.code >= 300)
                        cx_http_respond(request, refusal.code, NULL, refusal.body.data, refusal.body.length);
                else
                        refuse(request, CX_REASON_UNAVAILABLE, cx_error_text(&err));
                return false;
        }
        for (size_t i = 0; i < CX_ARRAY_SIZE(answered); i++) {
                CX_CLEANUP(cx_freep) char *value = cx_http_reply_header(&headers, answered[i]);
                if (value)
                        cx_http_add_header(request, answered[i], value);
        }
        return true;
}

static void run_join(struct cx_wire *client, void *context)
{
        struct stream *stream = context;
        if (!user_session_stream_add(stream->session, &stream->entry, client->fd))
                return;
        cx_wire_join(client, stream->backend);
        user_session_stream_remove(stream->session, &stream->entry);
}

// The protocols that are offered, but for the proof of the session.
static void take_protocols(struct cx_strings *headers, const char *offered)
{
        CX_STRINGS all = CX_STRINGS_INIT, kept = CX_STRINGS_INIT;
        cx_strings_split(&all, offered, ',');
        for (size_t i = 0; i < all.count; i++) {
                const char *text = all.items[i] + strspn(all.items[i], " ");
                if (!cx_has_prefix(text, GUARD_PROOF))
                        cx_strings_add(&kept, text);
        }
        CX_CLEANUP(cx_freep) char *joined = cx_strings_join(&kept, ", ");
        CX_CLEANUP(cx_freep) char *line = cx_sprintf("Sec-WebSocket-Protocol: %s", joined);
        cx_strings_add(headers, line);
}

static void take_header(void *context, const char *name, const char *value)
{
        static const char *const passed[] = {"Upgrade", "Sec-WebSocket-Key", "Sec-WebSocket-Version"};
        if (strcasecmp(name, "Sec-WebSocket-Protocol") == 0)
                take_protocols(context, value);
        for (size_t i = 0; i < CX_ARRAY_SIZE(passed); i++)
                if (strcasecmp(name, passed[i]) == 0) {
                        CX_CLEANUP(cx_freep) char *line = cx_sprintf("%s: %s", name, value);
                        cx_strings_add(context, line);
                }
}

// --- either ----------------------------------------------------------------------------------------------------------

static const char *get_header(void *context, const char *name)
{
        return cx_http_header(context, name);
}

static bool is_session_of_channels(const char *path)
{
        return cx_has_suffix(path, "/exec") || cx_has_suffix(path, "/attach") || cx_has_suffix(path, "/portforward");
}

// The form of an answer that the page offers as a subprotocol; false when it is none of ours.
static bool choose_form(struct stream *stream, const char *offered)
{
        const char *names[CX_ARRAY_SIZE(forms) + 1] = {NULL};
        for (size_t i = 0; i < CX_ARRAY_SIZE(forms); i++)
                names[i] = forms[i].protocol;
        stream->protocol = offered ? cx_websocket_protocol(offered, names) : NULL;
        for (size_t i = 0; stream->protocol && i < CX_ARRAY_SIZE(forms); i++)
                if (strcmp(forms[i].protocol, stream->protocol) == 0)
                        stream->accept = forms[i].accept;
        return stream->protocol != NULL;
}

void pass_stream(struct hangups *hangups, struct user_session *session, struct cx_http_request *request,
                 const char *path)
{
        const char *query = cx_http_raw_query(request), *key = NULL;
        const char *why = cx_websocket_check(get_header, request, &key);
        struct stream *stream = cx_alloc(sizeof *stream);
        stream->hangups = hangups;
        stream->session = session;
        stream->url = cx_sprintf("%s%s%s", path, *query ? "?" : "", query);
        bool joined = is_session_of_channels(path);
        if (!why && !joined && !choose_form(stream, cx_http_header(request, "Sec-WebSocket-Protocol")))
                why = "Sec-WebSocket-Protocol: has to be table.dashboard, object.dashboard, metadata.dashboard or "
                      "text.dashboard";
        if (why) {
                release_stream(stream);
                refuse(request, CX_REASON_BAD_REQUEST, why);
                return;
        }
        cx_websocket_accept(key, stream->accept_key);
        cx_http_headers(request, take_header, &stream->headers);
        cx_strings_add(&stream->headers, "Connection: Upgrade");
        stream->lines = cx_alloc_array(stream->headers.count + 1, sizeof *stream->lines);
        for (size_t i = 0; i < stream->headers.count; i++)
                stream->lines[i] = stream->headers.items[i];
        cx_http_respond_upgrade(request,
                                &(struct cx_http_upgrade_plan){.prepare = joined ? connect_backend : accept_answer,
                                                               .run = joined ? run_join : run_answer,
                                                               .release = release_stream,
                                                               .context = stream});
}
