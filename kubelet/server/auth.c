// SPDX-License-Identifier: Apache-2.0
// Whether a request may pass: whoever may do to nodes/<name> what its method and path stand for.
#include "kubelet/server/server_internal.h"

#include "libcommon/format/json.h"

static const char *subresource_of(const char *path)
{
        static const char *const table[][2] = {
                {"/stats", "stats"}, {"/metrics", "metrics"},  {"/logs", "log"},        {"/spec", "spec"},
                {"/pods", "pods"},   {"/runningpods", "pods"}, {"/healthz", "healthz"}, {"/configz", "configz"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                size_t n = strlen(table[i][0]);
                if (strncmp(path, table[i][0], n) == 0 && (!path[n] || path[n] == '/'))
                        return table[i][1];
        }
        return "proxy";
}

static const char *verb_of(const char *method)
{
        static const char *const table[][2] = {
                {"POST", "create"}, {"PUT", "update"}, {"PATCH", "patch"}, {"DELETE", "delete"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++)
                if (strcmp(method, table[i][0]) == 0)
                        return table[i][1];
        return "get";
}

static bool may(struct kubelet_server *s, const json_t *user, const char *verb, const char *subresource)
{
        return cx_delegated_auth_may(s->auth, user, "resourceAttributes",
                                     json_pack("{s:s, s:s, s:s, s:s, s:s}", "verb", verb, "version", "v1", "resource",
                                               "nodes", "subresource", subresource, "name", s->kubelet->node_name));
}

bool server_authorize(struct kubelet_server *s, struct cx_http_request *request)
{
        json_auto_t *user = cx_delegated_auth_user(s->auth, request);
        if (!user) {
                cx_http_respond_text(request, 401, "Unauthorized");
                return false;
        }
        if (strcmp(s->settings->authorization_mode, "AlwaysAllow") == 0)
                return true;
        const char *verb = verb_of(cx_http_method(request)), *what = subresource_of(cx_http_path(request));
        static const char *const fine[] = {"pods", "healthz", "configz"};
        if (may(s, user, verb, what))
                return true;
        for (size_t i = 0; i < CX_ARRAY_SIZE(fine); i++) // these were all "proxy" before they had names of their own
                if (strcmp(what, fine[i]) == 0 && may(s, user, verb, "proxy"))
                        return true;
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("Forbidden (user=%s, verb=%s, resource=nodes, subresource(s)=[%s])",
                                cx_json_string_or(user, "username", ""), verb, what);
        cx_http_respond_text(request, 403, text);
        return false;
}
