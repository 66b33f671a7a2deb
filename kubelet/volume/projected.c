// SPDX-License-Identifier: Apache-2.0
// The files of projected volumes, and the service account tokens among them.
#include "kubelet/volume/volumes_internal.h"

#include "kubelet/volume/atomic_writer.h"
#include "kubelet/volume/refs.h"
#include "libcommon/base/log.h"
#include "libcommon/base/random.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <assert.h>

struct token {
        char *text, *uid;
        int64_t renew; // monotonic ns
};

void token_free(void *p)
{
        struct token *token = p;
        free(token->text);
        free(token->uid);
        free(token);
}

void tokens_forget(struct volumes *v, const char *pod_uid)
{
        pthread_mutex_lock(&v->lock);
        CX_MAP_FOREACH (&v->tokens, entry) {
                if (strcmp(((struct token *)entry->value)->uid, pod_uid) == 0)
                        cx_map_remove(&v->tokens, entry->key);
        }
        pthread_mutex_unlock(&v->lock);
}

static int request_token(struct volumes *v, const json_t *pod, const char *audience, int64_t seconds, char **ret_token,
                         int64_t *ret_life, struct cx_error *err)
{
        const char *account = cx_json_string_or(pod, "spec.serviceAccountName", "default");
        json_auto_t *body =
                json_pack("{s:s, s:s, s:{s:I, s:{s:s, s:s, s:s, s:s}}}", "apiVersion", "authentication.k8s.io/v1",
                          "kind", "TokenRequest", "spec", "expirationSeconds", (json_int_t)seconds, "boundObjectRef",
                          "apiVersion", "v1", "kind", "Pod", "name", cx_json_string_or(pod, "metadata.name", ""), "uid",
                          cx_json_string_or(pod, "metadata.uid", ""));
        if (*audience)
                json_object_set_new(json_object_get(body, "spec"), "audiences", json_pack("[s]", audience));
        json_auto_t *answer = NULL;
        int r = cx_rest_create_sub(v->kubelet->rest,
                                   CX_REF(.version = "v1", .resource = "serviceaccounts",
                                          .namespace = cx_json_string_or(pod, "metadata.namespace", "default"),
                                          .name = account),
                                   "token", body, &answer, err);
        if (r < 0)
                return cx_error_wrap(err, "failed to fetch token");
        const char *token = cx_json_string(answer, "status.token");
        const char *expires = cx_json_string(answer, "status.expirationTimestamp");
        int64_t end;
        if (!token || !expires || cx_time_parse(expires, &end) < 0)
                return cx_error_set(err, -EPROTO, "failed to fetch token: the apiserver's answer holds none");
        int64_t life = (end - cx_time_now()) * 1000;
        *ret_life = life > CX_NS_PER_S ? life : CX_NS_PER_S;
        *ret_token = cx_strdup(token);
        return 0;
}

int token_get(struct volumes *v, const json_t *pod, const char *audience, int64_t seconds, char **ret_token,
              int64_t *ret_again, struct cx_error *err)
{
        if (!v->kubelet->rest)
                return cx_error_set(err, -EHOSTUNREACH, "failed to fetch token: no apiserver");
        const char *uid = cx_json_string_or(pod, "metadata.uid", "");
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s/%s/%lld", uid, audience, (long long)seconds);
        int64_t now = cx_time_monotonic();
        pthread_mutex_lock(&v->lock);
        struct token *token = cx_map_get(&v->tokens, key);
        CX_CLEANUP(cx_freep) char *cached = token ? cx_strdup(token->text) : NULL;
        int64_t renew = token ? token->renew : 0;
        pthread_mutex_unlock(&v->lock);
        if (cached && renew > now) {
                *ret_token = cx_steal(&cached);
                *ret_again = renew - now;
                return 0;
        }
        char *fresh = NULL;
        int64_t life = 0;
        CX_ERROR failure = CX_ERROR_INIT;
        int r = request_token(v, pod, audience, seconds, &fresh, &life, &failure);
        if (r < 0 && cached) { // the old one is good for another fifth of its life
                cx_err(&failure, "Cannot renew a service account token", "pod",
                       cx_json_string_or(pod, "metadata.name", ""));
                *ret_token = cx_steal(&cached);
                *ret_again = 30 * CX_NS_PER_S;
                return 0;
        }
        if (r < 0)
                return cx_error_move(err, &failure);
        // 80 % of its life (at most 24 hours), a little apart from other pods.
        int64_t after = life / 5 * 4 - (int64_t)cx_random_below((uint64_t)(life / 50 + 1));
        if (after > 24 * 3600 * CX_NS_PER_S)
                after = 24 * 3600 * CX_NS_PER_S;
        token = cx_alloc(sizeof *token);
        *token = (struct token){.text = cx_strdup(fresh), .uid = cx_strdup(uid), .renew = now + after};
        pthread_mutex_lock(&v->lock);
        cx_map_set(&v->tokens, key, token);
        pthread_mutex_unlock(&v->lock);
        *ret_token = fresh;
        *ret_again = after;
        return 0;
}

struct source {
        struct volume_job *job;
        const json_t *spec; // the configMap, secret, … member
        unsigned mode;
        struct cx_map *payload;
};

static unsigned mode_or(const json_t *object, const char *key, unsigned fallback)
{
        const json_t *mode = json_object_get(object, key);
        return json_is_integer(mode) ? (unsigned)json_integer_value(mode) & 0777 : fallback;
}

// Adds one key of an object; 1 when the object lacks it.
static int add_value(const struct source *s, bool secret, const json_t *object, const char *key, const char *path,
                     unsigned mode, struct cx_error *err)
{
        const char *plain = json_string_value(json_object_get(json_object_get(object, "data"), key));
        const char *binary = json_string_value(json_object_get(json_object_get(object, "binaryData"), key));
        if (plain && !secret)
                return payload_add(s->payload, path, plain, strlen(plain), mode, err);
        const char *encoded = secret ? plain : binary;
        if (!encoded)
                return 1;
        CX_CLEANUP(cx_freep) char *data = NULL;
        size_t length = 0;
        if (decode_bytes(encoded, &data, &length) < 0)
                return cx_error_set(err, -EINVAL, "key \"%s\" is not valid base64", key);
        return payload_add(s->payload, path, data, length, mode, err);
}

static int add_object(const struct source *s, bool secret, const char *name, struct cx_error *err)
{
        const struct volume_job *job = s->job;
        bool optional = cx_json_bool(s->spec, "optional", false);
        const char *namespace = cx_json_string_or(job->pod, "metadata.namespace", "default");
        json_auto_t *object = NULL;
        CX_ERROR failure = CX_ERROR_INIT;
        int r = refs_get(job->volumes->refs, cx_json_string_or(job->pod, "metadata.uid", ""),
                         secret ? "secrets" : "configmaps", namespace, name, &object, &failure);
        if (r < 0)
                return optional && failure.reason == CX_REASON_NOT_FOUND ? 0 : cx_error_move(err, &failure);
        const json_t *items = json_object_get(s->spec, "items");
        size_t i;
        json_t *item;
        json_array_foreach ((json_t *)items, i, item) {
                const char *key = cx_json_string_or(item, "key", "");
                r = add_value(s, secret, object, key, cx_json_string_or(item, "path", key),
                              mode_or(item, "mode", s->mode), err);
                if (r == 1 && !optional)
                        return cx_error_set(err, -ENOENT, "references non-existent %s key: %s",
                                            secret ? "secret" : "config", key);
                if (r < 0)
                        return r;
        }
        if (json_array_size(items))
                return 0;
        static const char *const members[] = {"data", "binaryData"};
        for (size_t m = 0; m < CX_ARRAY_SIZE(members); m++) {
                const char *key;
                json_t *value;
                json_object_foreach (json_object_get(object, members[m]), key, value) {
                        r = add_value(s, secret, object, key, key, s->mode, err);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

static int add_downward(const struct source *s, struct cx_error *err)
{
        size_t i;
        json_t *item;
        json_array_foreach (json_object_get(s->spec, "items"), i, item) {
                CX_CLEANUP(cx_freep) char *text = NULL;
                const char *field = cx_json_string(item, "fieldRef.fieldPath");
                if (field) {
                        text = downward_field(s->job->pod, field);
                        if (!text)
                                return cx_error_set(err, -EINVAL, "unsupported fieldPath: %s", field);
                } else {
                        int r = downward_resource(s->job->volumes->kubelet, s->job->pod,
                                                  json_object_get(item, "resourceFieldRef"), NULL, &text, err);
                        if (r < 0)
                                return r;
                }
                int r = payload_add(s->payload, cx_json_string_or(item, "path", ""), text, strlen(text),
                                    mode_or(item, "mode", s->mode), err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_token(const struct source *s, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *token = NULL;
        int64_t again = INT64_MAX;
        int r = token_get(s->job->volumes, s->job->pod, cx_json_string_or(s->spec, "audience", ""),
                          cx_json_int(s->spec, "expirationSeconds", 3600), &token, &again, err);
        if (r < 0)
                return r;
        assert(token);
        if (again < s->job->again)
                s->job->again = again;
        // For its reader alone where that one is known: the group (fsGroup adds its bit), or the one user.
        unsigned mode = s->job->gid >= 0 || s->job->uid >= 0 ? 0600 : s->mode;
        const char *path = cx_json_string_or(s->spec, "path", "token");
        r = payload_add(s->payload, path, token, strlen(token), mode, err);
        if (r == 0)
                ((struct payload_file *)cx_map_get(s->payload, path))->uid = s->job->uid;
        return r;
}

static int add_source(struct volume_job *job, const json_t *source, const char *name_key, unsigned mode,
                      struct cx_map *payload, struct cx_error *err)
{
        struct source s = {.job = job, .mode = mode, .payload = payload};
        if ((s.spec = json_object_get(source, "configMap")))
                return add_object(&s, false, cx_json_string_or(s.spec, "name", ""), err);
        if ((s.spec = json_object_get(source, "secret")))
                return add_object(&s, true, cx_json_string_or(s.spec, name_key, ""), err);
        if ((s.spec = json_object_get(source, "downwardAPI")))
                return add_downward(&s, err);
        if ((s.spec = json_object_get(source, "serviceAccountToken")))
                return add_token(&s, err);
        return cx_error_set(err, -ENOTSUP, "projected volume has a source of an unknown kind");
}

int volume_payload(struct volume_job *job, struct cx_map *payload, struct cx_error *err)
{
        const json_t *projected = json_object_get(job->volume, "projected");
        if (!projected) {
                static const char *const members[] = {"configMap", "secret", "downwardAPI"};
                unsigned mode = 0644;
                for (size_t i = 0; i < CX_ARRAY_SIZE(members); i++)
                        mode = mode_or(json_object_get(job->volume, members[i]), "defaultMode", mode);
                return add_source(job, job->volume, "secretName", mode, payload, err);
        }
        size_t i;
        json_t *source;
        json_array_foreach (json_object_get(projected, "sources"), i, source) {
                int r = add_source(job, source, "name", mode_or(projected, "defaultMode", 0644), payload, err);
                if (r < 0)
                        return r;
        }
        return 0;
}
