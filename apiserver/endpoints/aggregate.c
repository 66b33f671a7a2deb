// SPDX-License-Identifier: Apache-2.0
// Requests that another API server answers, passed on in the name of who asks: that server believes the headers, since they
// come with our front-proxy certificate (upstream's authenticating proxy). Its own authorization follows ours.
#include "apiserver/endpoints/api_services.h"
#include "apiserver/endpoints/endpoints.h"
#include "apiserver/request/errors.h"
#include "apiserver/request/respond.h"
#include "libcommon/format/json.h"

#include <ctype.h>
#include <strings.h>

// A value that would end its header, and begin another one, is not passed on; nor one that would lose the blanks around it,
// and be somebody else's name then.
static bool is_header_value(const char *text)
{
        if (*text == ' ' || (*text && text[strlen(text) - 1] == ' '))
                return false;
        for (; *text; text++)
                if ((unsigned char)*text < ' ' || *text == 127)
                        return false;
        return true;
}

static int add(struct cx_strings *headers, const char *name, const char *value, struct cx_error *err)
{
        if (!is_header_value(value))
                return cx_error_reason(
                        err, CX_REASON_FORBIDDEN,
                        "the user's name, groups or extra values hold control characters, or blanks at their "
                        "ends: they cannot be passed on to an aggregated API server");
        CX_CLEANUP(cx_freep) char *line = *value ? cx_sprintf("%s: %s", name, value) : cx_sprintf("%s;", name);
        cx_strings_add(headers, line);
        return 0;
}

// The key of an extra value as a part of a header's name: what a name may not have (RFC 9110, 5.6.2), and "%", is written
// as %XX.
static void escape_key(const char *key, struct cx_buf *to)
{
        for (; *key; key++) {
                unsigned char c = (unsigned char)*key;
                if (isalnum(c) || (c != '%' && strchr("!#$&'*+-.^_`|~", c)))
                        cx_buf_append(to, key, 1);
                else
                        cx_buf_printf(to, "%%%02X", c);
        }
}

static int add_extra(const struct user *user, struct cx_strings *headers, struct cx_error *err)
{
        const char *key;
        json_t *values;
        json_object_foreach (user->extra, key, values) {
                CX_BUF name = CX_BUF_INIT;
                cx_buf_add(&name, "X-Remote-Extra-");
                escape_key(key, &name);
                size_t i;
                const json_t *value;
                json_array_foreach (values, i, value) {
                        int r = add(headers, name.data, cx_str(json_string_value(value)), err);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

static int add_identity(const struct user *user, struct cx_strings *headers, struct cx_error *err)
{
        int r = add(headers, "X-Remote-User", cx_str(user->name), err);
        if (r == 0 && user->uid && *user->uid)
                r = add(headers, "X-Remote-Uid", user->uid, err);
        for (size_t i = 0; i < user->groups.count && r == 0; i++)
                r = add(headers, "X-Remote-Group", user->groups.items[i], err);
        return r < 0 ? r : add_extra(user, headers, err);
}

// In upstream's words, which clients turn into sentences of their own.
static void refuse(struct call *call)
{
        cx_http_respond_text(call->request, 503, "service unavailable\n");
}

// A path is authorized as it stands. What the other server, or somebody before it, could shorten to another one goes no
// further.
static int check_path(const char *path, struct cx_error *err)
{
        for (const char *part = path; *part;) {
                size_t length = strcspn(part, "/");
                if ((length == 1 && *part == '.') || (length == 2 && strncmp(part, "..", 2) == 0))
                        return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                               "the path has a part \"%.*s\": it cannot be passed on to an aggregated "
                                               "API server",
                                               (int)length, part);
                part += length + (part[length] == '/');
        }
        return 0;
}

// Another protocol could ask more than one question on the connection, in the name of anybody: whoever is at its other end
// trusts our certificate.
static int check_upgrade(const char *protocol, struct cx_error *err)
{
        if (strcasecmp(protocol, "websocket") == 0 || strcasecmp(protocol, "SPDY/3.1") == 0)
                return 0;
        return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                               "an aggregated API server may be asked for an upgrade to websocket or SPDY/3.1 only");
}

static int find_backend(struct call *call, struct backend *backend, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        add_url_path(&path, call->info.path);
        add_raw_query(call, &path);
        backend->path = cx_buf_detach(&path);
        return add_identity(&call->user, &backend->headers, err);
}

void serve_aggregated(struct call *call)
{
        struct backend backend = {.headers = CX_STRINGS_INIT};
        CX_ERROR err = CX_ERROR_INIT;
        const char *upgrade = cx_http_header(call->request, "Upgrade");
        backend.base_url =
                api_service_is_available(call->api_service) ? api_service_url(call->api, call->api_service) : NULL;
        if (!backend.base_url) {
                refuse(call);
                return;
        }
        int r = check_path(call->info.path, &err);
        if (r == 0 && upgrade)
                r = check_upgrade(upgrade, &err);
        if (r == 0)
                r = api_service_client(call->api, call->api_service, &backend.client, &err);
        if (r == 0)
                r = find_backend(call, &backend, &err);
        if (r == 0)
                r = upgrade ? join_upgraded(call, &backend, &err) : relay(call, &backend, &err);
        backend_release(&backend);
        if (r < 0)
                respond_error(call, &err);
}

bool serve_if_aggregated(struct call *call, const char *group_version)
{
        const char *slash = strchr(group_version, '/');
        if (!slash)
                return false;
        CX_CLEANUP(cx_freep) char *group = cx_strndup(group_version, (size_t)(slash - group_version));
        CX_CLEANUP(cx_freep) char *version = cx_strndup(slash + 1, strcspn(slash + 1, "/"));
        call->api_service = api_services_find(call->api->api_services, group, version);
        if (!call->api_service)
                return false;
        serve_aggregated(call);
        return true;
}
