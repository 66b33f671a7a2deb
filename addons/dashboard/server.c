// SPDX-License-Identifier: Apache-2.0
// Routes, in the order in which a request has to earn its answer: the right host, the right origin, a session.
#include "addons/dashboard/server.h"

#include "addons/dashboard/assets.h"
#include "addons/dashboard/guard.h"
#include "libcommon/base/log.h"
#include "libcommon/format/json.h"
#include "libcommon/format/yaml.h"

#include <strings.h>

// With this prefix a browser takes the cookie from HTTPS only, for this host only, whatever a neighbour may set.
#define COOKIE "__Host-dashboard"
#define LOGIN_MAX ((size_t)256 << 10)
#define YAML_MAX ((size_t)3 << 20)

void dashboard_init(struct dashboard *dashboard)
{
        static const char *const labels[] = {"kind", NULL};
        pthread_mutex_init(&dashboard->logins.lock, NULL);
        dashboard->metrics = cx_metrics_new();
        dashboard->requests =
                cx_metrics_counter(dashboard->metrics, "dashboard_requests_total",
                                   "Requests by kind: page, session, yaml, forward, api, stream, refused.", labels);
        dashboard->open_sessions =
                cx_metrics_gauge(dashboard->metrics, "dashboard_sessions", "Sessions that are open.", NULL);
}

// --- the page --------------------------------------------------------------------------------------------------------

static void serve_asset(struct cx_http_request *request, const struct asset *asset)
{
        const char *known = cx_http_header(request, "If-None-Match");
        guard_add_headers(request, true);
        cx_http_add_header(request, "ETag", asset->tag);
        cx_http_add_header(request, "Cache-Control", "no-cache");
        if (known && strcmp(known, asset->tag) == 0) {
                cx_http_respond(request, 304, asset->type, "", 0);
                return;
        }
        cx_http_add_header(request, "Content-Encoding", "gzip");
        cx_http_respond(request, 200, asset->type, asset->data, (size_t)(asset->end - asset->data));
}

// --- sessions --------------------------------------------------------------------------------------------------------

// What follows the prefix in a list; nothing when that is not there, or too long.
static void find_part(const char *list, char separator, const char *prefix, char to[SESSION_ID_TEXT])
{
        CX_STRINGS parts = CX_STRINGS_INIT;
        cx_strings_split(&parts, cx_str(list), separator);
        for (size_t i = 0; i < parts.count; i++) {
                const char *text = parts.items[i] + strspn(parts.items[i], " ");
                if (!cx_has_prefix(text, prefix))
                        continue;
                if (!cx_copy_string(to, SESSION_ID_TEXT, text + strlen(prefix)))
                        *to = '\0';
                return;
        }
}

static void read_key(const struct cx_http_request *request, struct session_key *ret_key)
{
        *ret_key = (struct session_key){0};
        find_part(cx_http_header(request, "Cookie"), ';', COOKIE "=", ret_key->id);
        if (cx_http_header(request, "Upgrade"))
                find_part(cx_http_header(request, "Sec-WebSocket-Protocol"), ',', GUARD_PROOF, ret_key->proof);
        else if (!cx_copy_string(ret_key->proof, SESSION_ID_TEXT, cx_str(cx_http_header(request, GUARD_HEADER))))
                *ret_key->proof = '\0';
}

static int find_session(struct dashboard *dashboard, struct cx_http_request *request, struct user_session **ret_session,
                        struct cx_error *err)
{
        struct session_key key;
        read_key(request, &key);
        return user_session_get(dashboard->sessions, &key, ret_session, err);
}

// A NULL proof is known already.
static void tell_session(struct dashboard *dashboard, struct cx_http_request *request,
                         const struct user_session *session, const char *proof)
{
        int64_t idle, lifetime;
        user_session_times(dashboard->sessions, session, &idle, &lifetime);
        cx_http_respond_json(request, 200,
                             json_pack("{s:s,s:I,s:I,s:s*}", "user", session->user, "idleSeconds", (json_int_t)idle,
                                       "lifetimeSeconds", (json_int_t)lifetime, "proof", proof));
}

static int log_in(struct dashboard *dashboard, struct cx_http_request *request, struct cx_error *err)
{
        size_t length;
        const char *body = cx_http_body(request, &length);
        struct session_key key;
        LOGIN login = {0};
        CX_CLEANUP(user_session_unrefp) struct user_session *session = NULL, *before = NULL;
        if (length > LOGIN_MAX)
                return cx_error_reason(err, CX_REASON_TOO_LARGE, "a login is larger than %zu bytes", LOGIN_MAX);
        int r = login_read(dashboard->codes, body, length, &login, err);
        if (r == 0)
                r = user_session_open(dashboard->sessions, &login, &key, &session, err);
        if (r < 0)
                return r;
        if (find_session(dashboard, request, &before, NULL) == 0)
                user_session_end(dashboard->sessions, before);
        CX_CLEANUP(cx_freep)
        char *cookie = cx_sprintf(COOKIE "=%s; Path=/; Secure; HttpOnly; SameSite=Strict", key.id);
        cx_http_add_header(request, "Set-Cookie", cookie);
        cx_info("Logged in", "user", session->user, "from", cx_http_remote_address(request));
        tell_session(dashboard, request, session, key.proof);
        return 0;
}

// A slot for a login from this address; -1: there is none.
static int take_login_slot(struct dashboard *dashboard, const char *address)
{
        int taken = 0, free_slot = -1;
        pthread_mutex_lock(&dashboard->logins.lock);
        for (int i = 0; i < LOGINS_MAX; i++) {
                taken += strcmp(dashboard->logins.addresses[i], address) == 0;
                if (!*dashboard->logins.addresses[i])
                        free_slot = i;
        }
        if (free_slot >= 0 && taken >= LOGINS_OF_ADDRESS_MAX)
                free_slot = -1;
        if (free_slot >= 0 && !cx_copy_string(dashboard->logins.addresses[free_slot], CX_ADDRESS_TEXT, address))
                free_slot = -1; // no address is as long
        pthread_mutex_unlock(&dashboard->logins.lock);
        return free_slot;
}

static void leave_login_slot(struct dashboard *dashboard, int slot)
{
        pthread_mutex_lock(&dashboard->logins.lock);
        *dashboard->logins.addresses[slot] = '\0';
        pthread_mutex_unlock(&dashboard->logins.lock);
}

static int serve_session(struct dashboard *dashboard, struct cx_http_request *request, struct cx_error *err)
{
        const char *method = cx_http_method(request);
        CX_CLEANUP(user_session_unrefp) struct user_session *session = NULL;
        if (strcmp(method, "POST") == 0) {
                int slot = take_login_slot(dashboard, cx_http_remote_address(request));
                if (slot < 0)
                        return cx_error_reason(err, CX_REASON_TOO_MANY_REQUESTS,
                                               "too many log in at once, please try again");
                int done = log_in(dashboard, request, err);
                leave_login_slot(dashboard, slot);
                return done;
        }
        if (strcmp(method, "GET") != 0 && strcmp(method, "DELETE") != 0)
                return cx_error_reason(err, CX_REASON_METHOD_NOT_ALLOWED, "GET, POST and DELETE are known here");
        bool get = strcmp(method, "GET") == 0;
        int r = find_session(dashboard, request, &session, get ? NULL : err);
        if (r < 0 && !get)
                return r;
        if (get) {
                if (session)
                        tell_session(dashboard, request, session, NULL);
                else
                        cx_http_respond_json(request, 200, json_pack("{s:n}", "user"));
                return 0;
        }
        user_session_end(dashboard->sessions, session);
        cx_http_add_header(request, "Set-Cookie", COOKIE "=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
        cx_http_respond_json(request, 200, json_object());
        return 0;
}

// --- the rest --------------------------------------------------------------------------------------------------------

static int serve_yaml(struct dashboard *dashboard, struct cx_http_request *request, struct cx_error *err)
{
        size_t length;
        const char *body = cx_http_body(request, &length);
        json_auto_t *documents = NULL;
        CX_CLEANUP(user_session_unrefp) struct user_session *session = NULL;
        int r = find_session(dashboard, request, &session, err);
        if (r == 0 && strcmp(cx_http_method(request), "POST") != 0)
                return cx_error_reason(err, CX_REASON_METHOD_NOT_ALLOWED, "POST is known here");
        if (r == 0 && length > YAML_MAX)
                return cx_error_reason(err, CX_REASON_TOO_LARGE, "the text is larger than %zu bytes", YAML_MAX);
        if (r == 0 && cx_yaml_parse(body, length, &documents, err) < 0) {
                CX_ERROR why = CX_ERROR_INIT;
                cx_error_move(&why, err);
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "%s", cx_error_text(&why));
        }
        if (r == 0)
                cx_http_respond_json(request, 200, cx_steal(&documents));
        return r;
}

static int serve_api(struct dashboard *dashboard, struct cx_http_request *request, bool upgrade, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT_MAX(16384);
        struct user_session *session;
        int r = guard_path(cx_http_path(request), &path, err);
        if (r == 0)
                r = find_session(dashboard, request, &session, err);
        if (r < 0)
                return r;
        if (upgrade)
                pass_stream(dashboard->hangups, session, request, path.data);
        else
                pass_plain(dashboard->passes, session, request, path.data);
        return 0;
}

static int serve_forwards(struct dashboard *dashboard, struct cx_http_request *request, struct cx_error *err)
{
        struct user_session *session;
        int r = find_session(dashboard, request, &session, err);
        if (r == 0)
                port_forwards_serve(dashboard->forwards, session, request);
        return r;
}

static void serve_metrics(struct dashboard *dashboard, struct cx_http_request *request)
{
        CX_BUF text = CX_BUF_INIT;
        cx_metric_set(dashboard->open_sessions, (double)sessions_count(dashboard->sessions));
        cx_metrics_write(dashboard->metrics, &text);
        cx_http_respond_buf(request, 200, CX_METRICS_CONTENT_TYPE, &text);
}

// What anybody may see.
static bool serve_public(struct dashboard *dashboard, struct cx_http_request *request)
{
        const char *path = cx_http_path(request);
        const struct asset *asset = asset_find(path);
        bool get = strcmp(cx_http_method(request), "GET") == 0 || strcmp(cx_http_method(request), "HEAD") == 0;
        if (!get)
                return false;
        if (asset) {
                cx_metric_add(dashboard->requests, 1, "page");
                serve_asset(request, asset);
                return true;
        }
        bool health = strcmp(path, "/healthz") == 0 || strcmp(path, "/livez") == 0;
        if (!health && strcmp(path, "/metrics") != 0)
                return false;
        guard_add_headers(request, false);
        if (health)
                cx_http_respond_text(request, 200, "ok");
        else
                serve_metrics(dashboard, request);
        return true;
}

// What needs our own page, and mostly a session.
static int serve_private(struct dashboard *dashboard, struct cx_http_request *request, struct cx_error *err)
{
        const char *path = cx_http_path(request);
        bool upgrade = cx_http_header(request, "Upgrade") != NULL;
        bool session = strcmp(path, "/session") == 0, yaml = strcmp(path, "/yaml") == 0;
        bool forwards = strcmp(path, "/forwards") == 0;
        int r = guard_same_origin(request, upgrade, err);
        if (r < 0)
                return r;
        cx_metric_add(dashboard->requests, 1,
                      session    ? "session"
                      : yaml     ? "yaml"
                      : forwards ? "forward"
                      : upgrade  ? "stream"
                                 : "api");
        if (session)
                return serve_session(dashboard, request, err);
        if (forwards)
                return serve_forwards(dashboard, request, err);
        return yaml ? serve_yaml(dashboard, request, err) : serve_api(dashboard, request, upgrade, err);
}

size_t dashboard_body_limit(const struct cx_http_request *request, void *context)
{
        struct dashboard *dashboard = context;
        struct session_key key;
        if (!cx_http_header(request, "Content-Length") && !cx_http_header(request, "Transfer-Encoding"))
                return LOGIN_MAX;
        read_key(request, &key);
        return user_session_known(dashboard->sessions, &key) ? SIZE_MAX : LOGIN_MAX;
}

bool dashboard_handle_inline(struct cx_http_request *request, void *context)
{
        struct dashboard *dashboard = context;
        return guard_host_is_ours(cx_http_header(request, "Host"), dashboard->hosts) &&
               serve_public(dashboard, request);
}

void dashboard_handle(struct cx_http_request *request, void *context)
{
        struct dashboard *dashboard = context;
        CX_ERROR err = CX_ERROR_INIT;
        int r = 0;
        if (!guard_host_is_ours(cx_http_header(request, "Host"), dashboard->hosts))
                r = cx_error_reason(&err, CX_REASON_FORBIDDEN,
                                    "the dashboard is not known by this name; use its address, or start it with "
                                    "--allowed-host");
        guard_add_headers(request, false);
        if (r == 0)
                r = serve_private(dashboard, request, &err);
        if (r < 0) {
                cx_metric_add(dashboard->requests, 1, "refused");
                cx_http_respond_error(request, &err);
        }
}
