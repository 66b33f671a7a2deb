// SPDX-License-Identifier: Apache-2.0
// One map remembers both kinds of answers, by digests of what was asked: strangers ask with tokens and paths of any length.
#include "libcommon/client/delegated_auth.h"

#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/time.h"
#include "libcommon/client/object.h"
#include "libcommon/format/json.h"
#include "libcommon/net/pki.h"

#include <pthread.h>
#include <strings.h>

#define MAX_REMEMBERED 4096 // tokens and users from outside must not fill the memory
#define TOKEN_KNOWN 120     // seconds
#define TOKEN_UNKNOWN 10
#define ALLOWED 300
#define REFUSED 30

struct auth_decision {
        int64_t until; // monotonic ns
        bool good;
        json_t *user; // of a token
};

struct cx_delegated_auth {
        struct cx_delegated_auth_options options;
        pthread_mutex_t lock; // guards decisions
        struct cx_map decisions;
};

static void auth_decision_free(void *value)
{
        struct auth_decision *decision = value;
        json_decref(decision->user);
        free(decision);
}

struct cx_delegated_auth *cx_delegated_auth_new(const struct cx_delegated_auth_options *options)
{
        struct cx_delegated_auth *self = cx_alloc(sizeof *self);
        self->options = *options;
        self->decisions.free_value = auth_decision_free;
        pthread_mutex_init(&self->lock, NULL);
        return self;
}

void cx_delegated_auth_free(struct cx_delegated_auth *self)
{
        if (!self)
                return;
        cx_map_release(&self->decisions);
        pthread_mutex_destroy(&self->lock);
        free(self);
}

static char *key_of(const char *kind, const char *question)
{
        char digest[65];
        cx_sha256_hex(question, strlen(question), digest);
        return cx_sprintf("%s/%s", kind, digest);
}

static bool remembered(struct cx_delegated_auth *self, const char *key, bool *ret_good, json_t **ret_user)
{
        pthread_mutex_lock(&self->lock);
        struct auth_decision *decision = cx_map_get(&self->decisions, key);
        bool found = decision && decision->until > cx_time_monotonic();
        if (found) {
                *ret_good = decision->good;
                if (ret_user)
                        *ret_user = decision->user ? json_incref(decision->user) : NULL;
        }
        pthread_mutex_unlock(&self->lock);
        return found;
}

static void remember(struct cx_delegated_auth *self, const char *key, bool good, json_t *user, int64_t seconds)
{
        struct auth_decision *decision = cx_alloc(sizeof *decision);
        *decision = (struct auth_decision){.until = cx_time_monotonic() + seconds * CX_NS_PER_S,
                                           .good = good,
                                           .user = user ? json_incref(user) : NULL};
        pthread_mutex_lock(&self->lock);
        if (self->decisions.count > MAX_REMEMBERED)
                cx_map_clear(&self->decisions);
        cx_map_set(&self->decisions, key, decision);
        pthread_mutex_unlock(&self->lock);
}

// Sends a review of this kind; NULL, and said, when it cannot be asked. Steals the spec.
static json_t *review(struct cx_rest *rest, const char *group, const char *kind, const char *resource,
                      json_t *spec_steal)
{
        CX_CLEANUP(cx_freep) char *version = cx_sprintf("%s/v1", group);
        json_auto_t *question = json_pack("{s:s, s:s, s:o}", "apiVersion", version, "kind", kind, "spec", spec_steal);
        json_t *answer = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_rest_create(rest, CX_REF(.group = group, .version = "v1", .resource = resource), question, &answer,
                           &err) == 0)
                return answer;
        cx_err(&err, "Cannot ask the API server who may", "review", kind);
        return NULL;
}

static json_t *user_of_certificate(const struct cx_http_request *request)
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

static json_t *user_of_token(struct cx_delegated_auth *self, const char *token)
{
        CX_CLEANUP(cx_freep) char *key = key_of("token", token);
        bool good = false;
        json_t *user = NULL;
        if (!self->options.tokens || remembered(self, key, &good, &user))
                return user;
        json_auto_t *answer = review(self->options.tokens, "authentication.k8s.io", "TokenReview", "tokenreviews",
                                     json_pack("{s:s}", "token", token));
        if (!answer)
                return NULL;
        good = cx_json_bool(answer, "status.authenticated", false);
        if (good && json_is_object(cx_json_get(answer, "status.user")))
                user = json_incref(cx_json_get(answer, "status.user"));
        remember(self, key, good, user, good ? TOKEN_KNOWN : TOKEN_UNKNOWN);
        return user;
}

json_t *cx_delegated_auth_user(struct cx_delegated_auth *self, const struct cx_http_request *request)
{
        const char *header = cx_http_header(request, "Authorization"), *why = NULL;
        json_t *user = user_of_certificate(request);
        if (user)
                return user;
        if (header && strncasecmp(header, "Bearer ", 7) == 0)
                return user_of_token(self, header + 7);
        if (header || !self->options.anonymous || cx_http_client_certificate_bad(request, &why))
                return NULL;
        return json_pack("{s:s, s:[s]}", "username", "system:anonymous", "groups", "system:unauthenticated");
}

bool cx_delegated_auth_may(struct cx_delegated_auth *self, const json_t *user, const char *member,
                           json_t *attributes_steal)
{
        json_auto_t *spec = json_pack("{s:O?, s:O?, s:O?, s:O?}", "user", json_object_get(user, "username"), "groups",
                                      json_object_get(user, "groups"), "uid", json_object_get(user, "uid"), "extra",
                                      json_object_get(user, "extra"));
        json_object_set_new(spec, member, attributes_steal);
        CX_CLEANUP(cx_freep) char *question = cx_json_text(spec), *key = key_of("access", question);
        bool good = false;
        if (!self->options.permissions || remembered(self, key, &good, NULL))
                return good;
        json_auto_t *answer = review(self->options.permissions, "authorization.k8s.io", "SubjectAccessReview",
                                     "subjectaccessreviews", json_incref(spec));
        if (!answer)
                return false;
        good = cx_json_bool(answer, "status.allowed", false) && !cx_json_bool(answer, "status.denied", false);
        remember(self, key, good, NULL, good ? ALLOWED : REFUSED);
        return good;
}
