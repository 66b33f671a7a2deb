// SPDX-License-Identifier: Apache-2.0
// Tokens by pod, audience and life. One that is due is asked for by whoever comes first; while the apiserver does not
// answer, the old one is given as long as it is good.
#include "kubelet/volume/tokens.h"

#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/random.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <pthread.h>

struct token {
        char *text, *uid;
        int64_t expires; // µs
        int64_t renew;   // monotonic ns
};
struct tokens {
        const struct kubelet *kubelet;
        pthread_mutex_t lock; // guards the map
        struct cx_map map;    // "uid/audience/seconds" → struct token
};

static void token_free(void *p)
{
        struct token *token = p;
        free(token->text);
        free(token->uid);
        free(token);
}

struct tokens *tokens_new(const struct kubelet *kubelet)
{
        struct tokens *t = cx_alloc(sizeof *t);
        t->kubelet = kubelet;
        t->map = (struct cx_map)CX_MAP_INIT_FREE(token_free);
        pthread_mutex_init(&t->lock, NULL);
        return t;
}

void tokens_free(struct tokens *t)
{
        if (!t)
                return;
        cx_map_release(&t->map);
        pthread_mutex_destroy(&t->lock);
        free(t);
}

void tokens_forget(struct tokens *t, const char *pod_uid)
{
        pthread_mutex_lock(&t->lock);
        CX_MAP_FOREACH (&t->map, entry) {
                if (strcmp(((struct token *)entry->value)->uid, pod_uid) == 0)
                        cx_map_remove(&t->map, entry->key);
        }
        pthread_mutex_unlock(&t->lock);
}

static int request_token(const struct tokens *t, const struct token_wish *wish, char **ret_token, int64_t *ret_life,
                         struct cx_error *err)
{
        const json_t *pod = wish->pod;
        const char *account = cx_json_string_or(pod, "spec.serviceAccountName", "default");
        json_auto_t *body = json_pack("{s:s, s:s, s:{s:I, s:{s:s, s:s, s:s, s:s}}}", "apiVersion",
                                      "authentication.k8s.io/v1", "kind", "TokenRequest", "spec", "expirationSeconds",
                                      (json_int_t)wish->seconds, "boundObjectRef", "apiVersion", "v1", "kind", "Pod",
                                      "name", cx_json_string_or(pod, "metadata.name", ""), "uid",
                                      cx_json_string_or(pod, "metadata.uid", ""));
        if (*wish->audience)
                json_object_set_new(json_object_get(body, "spec"), "audiences", json_pack("[s]", wish->audience));
        json_auto_t *answer = NULL;
        int r = cx_rest_create_sub(t->kubelet->rest,
                                   CX_REF(.version = "v1", .resource = "serviceaccounts",
                                          .namespace = cx_json_string_or(pod, "metadata.namespace", ""),
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

int tokens_get(struct tokens *t, const struct token_wish *wish, char **ret_token, int64_t *ret_again,
               int64_t *ret_expires, struct cx_error *err)
{
        if (!t->kubelet->rest)
                return cx_error_set(err, -EHOSTUNREACH, "failed to fetch token: no apiserver");
        const char *uid = cx_json_string_or(wish->pod, "metadata.uid", "");
        CX_CLEANUP(cx_freep)
        char *key = cx_sprintf("%s/%s/%lld", uid, wish->audience, (long long)wish->seconds);
        int64_t now = cx_time_monotonic();
        pthread_mutex_lock(&t->lock);
        struct token *token = cx_map_get(&t->map, key);
        CX_CLEANUP(cx_freep) char *cached = token ? cx_strdup(token->text) : NULL;
        int64_t renew = token ? token->renew : 0;
        if (ret_expires)
                *ret_expires = token ? token->expires : 0;
        pthread_mutex_unlock(&t->lock);
        if (cached && renew > now) {
                *ret_token = cx_steal(&cached);
                *ret_again = renew - now;
                return 0;
        }
        char *fresh = NULL;
        int64_t life = 0;
        CX_ERROR failure = CX_ERROR_INIT;
        int r = request_token(t, wish, &fresh, &life, &failure);
        if (r < 0 && cached) { // the old one is good for another fifth of its life
                cx_err(&failure, "Cannot renew a service account token", "pod",
                       cx_json_string_or(wish->pod, "metadata.name", ""));
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
        int64_t expires = cx_time_now() + life / 1000;
        *token = (struct token){
                .text = cx_strdup(fresh), .uid = cx_strdup(uid), .renew = now + after, .expires = expires};
        if (ret_expires)
                *ret_expires = expires;
        pthread_mutex_lock(&t->lock);
        cx_map_set(&t->map, key, token);
        pthread_mutex_unlock(&t->lock);
        *ret_token = fresh;
        *ret_again = after;
        return 0;
}
