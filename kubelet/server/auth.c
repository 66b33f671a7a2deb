// SPDX-License-Identifier: Apache-2.0
// Who asks, and whether they may: client certificates, bearer tokens by TokenReview, and SubjectAccessReview on
// nodes/<name> with a subresource by path. Answers are remembered: tokens two minutes, permissions five, refusals 30 s.
#include "kubelet/server/server_internal.h"

#include "libcommon/api/status.h"
#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "libcommon/net/pki.h"

struct auth_decision {
        int64_t until; // monotonic ns
        bool good;
        json_t *user; // of a token
};

static void decision_free(void *p)
{
        struct auth_decision *d = p;
        json_decref(d->user);
        free(d);
}

static bool remembered(struct kubelet_server *s, const char *key, bool *ret_good, json_t **ret_user)
{
        pthread_mutex_lock(&s->lock);
        struct auth_decision *d = cx_map_get(&s->decisions, key);
        bool found = d && d->until > cx_time_monotonic();
        if (found) {
                *ret_good = d->good;
                if (ret_user)
                        *ret_user = d->user ? json_incref(d->user) : NULL;
        }
        pthread_mutex_unlock(&s->lock);
        return found;
}

static void remember(struct kubelet_server *s, const char *key, bool good, json_t *user, int64_t seconds)
{
        struct auth_decision *d = cx_alloc(sizeof *d);
        *d = (struct auth_decision){.until = cx_time_monotonic() + seconds * CX_NS_PER_S,
                                    .good = good,
                                    .user = user ? json_incref(user) : NULL};
        pthread_mutex_lock(&s->lock);
        s->decisions.free_value = decision_free;
        if (s->decisions.count > 4096) // tokens and users from outside must not fill the memory
                cx_map_clear(&s->decisions);
        cx_map_set(&s->decisions, key, d);
        pthread_mutex_unlock(&s->lock);
}

static json_t *user_of_certificate(struct cx_http_request *request)
{
        CX_STRINGS groups = CX_STRINGS_INIT;
        CX_CLEANUP(cx_freep) char *name = NULL;
        if (!cx_http_client_certificate(request, &name, &groups) || !name)
                return NULL;
        json_t *list = json_array();
        for (size_t i = 0; i < groups.count; i++)
                json_array_append_new(list, json_string(groups.items[i]));
        json_array_append_new(list, json_string("system:authenticated"));
        return json_pack("{s:s, s:o}", "username", name, "groups", list);
}

static json_t *user_of_token(struct kubelet_server *s, const char *token)
{
        char hash[65];
        cx_sha256_hex(token, strlen(token), hash);
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("token/%s", hash);
        bool good = false;
        json_t *user = NULL;
        if (remembered(s, key, &good, &user))
                return user;
        if (!s->kubelet->rest || !s->settings->webhook_auth)
                return NULL;
        json_auto_t *review = json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", "authentication.k8s.io/v1", "kind",
                                        "TokenReview", "spec", "token", token);
        json_auto_t *answer = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_rest_create(s->kubelet->rest,
                           CX_REF(.group = "authentication.k8s.io", .version = "v1", .resource = "tokenreviews"),
                           review, &answer, &err) < 0) {
                cx_err(&err, "Cannot review a token");
                return NULL;
        }
        good = cx_json_bool(answer, "status.authenticated", false);
        if (good)
                user = json_incref(cx_json_get(answer, "status.user"));
        remember(s, key, good, user, good ? 120 : 10);
        return user;
}

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

static bool review(struct kubelet_server *s, const json_t *user, const char *verb, const char *subresource)
{
        CX_CLEANUP(cx_freep) char *who = cx_json_text(user);
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("access/%s/%s/%s", verb, subresource, who);
        bool good = false;
        if (remembered(s, key, &good, NULL))
                return good;
        if (!s->kubelet->rest)
                return false;
        json_auto_t *body = json_pack(
                "{s:s, s:s, s:{s:O, s:O?, s:O?, s:{s:s, s:s, s:s, s:s, s:s}}}", "apiVersion", "authorization.k8s.io/v1",
                "kind", "SubjectAccessReview", "spec", "user", json_object_get(user, "username"), "groups",
                json_object_get(user, "groups"), "uid", json_object_get(user, "uid"), "resourceAttributes", "verb",
                verb, "version", "v1", "resource", "nodes", "subresource", subresource, "name", s->kubelet->node_name);
        json_auto_t *answer = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_rest_create(s->kubelet->rest,
                           CX_REF(.group = "authorization.k8s.io", .version = "v1", .resource = "subjectaccessreviews"),
                           body, &answer, &err) < 0) {
                cx_err(&err, "Cannot review an access");
                return false;
        }
        good = cx_json_bool(answer, "status.allowed", false);
        remember(s, key, good, NULL, good ? 300 : 30);
        return good;
}

bool server_authorize(struct kubelet_server *s, struct cx_http_request *request)
{
        const char *header = cx_http_header(request, "Authorization"), *why = NULL;
        json_auto_t *user = user_of_certificate(request);
        if (!user && header && strncasecmp(header, "Bearer ", 7) == 0)
                user = user_of_token(s, header + 7);
        else if (!user && !header && s->settings->anonymous_auth && !cx_http_client_certificate_bad(request, &why))
                user = json_pack("{s:s, s:[s]}", "username", "system:anonymous", "groups", "system:unauthenticated");
        if (!user) {
                cx_http_respond_text(request, 401, "Unauthorized");
                return false;
        }
        if (strcmp(s->settings->authorization_mode, "AlwaysAllow") == 0)
                return true;
        const char *verb = verb_of(cx_http_method(request)), *what = subresource_of(cx_http_path(request));
        static const char *const fine[] = {"pods", "healthz", "configz"};
        if (review(s, user, verb, what))
                return true;
        for (size_t i = 0; i < CX_ARRAY_SIZE(fine); i++) // these were all "proxy" before they had names of their own
                if (strcmp(what, fine[i]) == 0 && review(s, user, verb, "proxy"))
                        return true;
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("Forbidden (user=%s, verb=%s, resource=nodes, subresource(s)=[%s])",
                                cx_json_string_or(user, "username", ""), verb, what);
        cx_http_respond_text(request, 403, text);
        return false;
}
