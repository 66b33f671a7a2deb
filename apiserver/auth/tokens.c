// SPDX-License-Identifier: Apache-2.0
// JSON web tokens with the claims that Kubernetes puts into them. Checking a signature costs more than all the rest, so
// what was verified is remembered for a minute; the objects that a token names are looked at each time.
#include "apiserver/auth/tokens.h"

#include "apiserver/auth/legacy_tokens.h"
#include "libcommon/base/map.h"
#include "libcommon/base/random.h"
#include "libcommon/base/time.h"
#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"
#include "libcommon/net/jwt.h"
#include "libcommon/net/pki.h"

#include <openssl/core_names.h>
#include <stdatomic.h>

#define MAX_KEYS 16
#define MAX_REMEMBERED 4096
#define DELETION_LEEWAY (60 * CX_US_PER_S)
#define REMEMBER_FOR 60 // seconds: the limit for a removed object to go unnoticed is the check at each use, not this

// The claims of a token that was verified, shared by the threads that check it: never changed, and held by this and not
// by their own count of references.
struct remembered {
        atomic_int references;
        json_t *claims;
        int64_t until;
};

struct token_service {
        struct apiserver *api;
        EVP_PKEY *signing;
        EVP_PKEY *keys[MAX_KEYS];
        size_t n_keys;
        pthread_mutex_t lock;   // guards verified
        struct cx_map verified; // token's digest → struct remembered
};

static void unref_remembered(void *value)
{
        struct remembered *remembered = value;
        if (!remembered || atomic_fetch_sub(&remembered->references, 1) != 1)
                return;
        json_decref(remembered->claims);
        free(remembered);
}

static void unref_rememberedp(struct remembered **remembered)
{
        unref_remembered(*remembered);
}

static int load_keys(struct token_service *service, struct cx_error *err)
{
        const struct apiserver_options *o = &service->api->options;
        for (size_t i = 0; i < o->service_account_key_files.count && service->n_keys < MAX_KEYS; i++) {
                CX_BUF pem = CX_BUF_INIT_MAX(65536);
                const char *path = o->service_account_key_files.items[i];
                int r = cx_buf_read_file(&pem, path);
                if (r < 0)
                        return cx_error_set(err, r, "--service-account-key-file: cannot read %s: %s", path,
                                            strerror(-r));
                r = cx_pki_load_public_key(pem.data, &service->keys[service->n_keys], err);
                if (r < 0)
                        return cx_error_wrap(err, "--service-account-key-file: %s", path);
                service->n_keys++;
        }
        CX_BUF pem = CX_BUF_INIT_MAX(65536);
        const char *path = o->service_account_signing_key_file;
        if (!path)
                return cx_error_set(err, -EINVAL, "--service-account-signing-key-file is needed");
        int r = cx_buf_read_file(&pem, path);
        if (r < 0)
                return cx_error_set(err, r, "--service-account-signing-key-file: cannot read %s: %s", path,
                                    strerror(-r));
        r = cx_pki_load_private_key(pem.data, &service->signing, err);
        return r < 0 ? cx_error_wrap(err, "--service-account-signing-key-file: %s", path) : 0;
}

int token_service_new(struct apiserver *api, struct token_service **ret_service, struct cx_error *err)
{
        struct token_service *service = cx_alloc(sizeof *service);
        service->api = api;
        service->verified = (struct cx_map)CX_MAP_INIT_FREE(unref_remembered);
        pthread_mutex_init(&service->lock, NULL);
        int r = load_keys(service, err);
        if (r < 0) {
                token_service_free(service);
                return r;
        }
        *ret_service = service;
        return 0;
}

void token_service_free(struct token_service *service)
{
        if (!service)
                return;
        EVP_PKEY_free(service->signing);
        for (size_t i = 0; i < service->n_keys; i++)
                EVP_PKEY_free(service->keys[i]);
        cx_map_release(&service->verified);
        pthread_mutex_destroy(&service->lock);
        free(service);
}

// --- issuing ---

static json_t *kubernetes_claims(const struct token_request *q)
{
        json_t *claims = json_pack("{s:s,s:{s:s,s:s}}", "namespace", q->namespace, "serviceaccount", "name",
                                   q->service_account, "uid", q->uid);
        if (q->bound_kind) {
                const char *key = cx_streq(q->bound_kind, "Pod")      ? "pod"
                                  : cx_streq(q->bound_kind, "Secret") ? "secret"
                                                                      : "node";
                json_object_set_new(claims, key, json_pack("{s:s,s:s}", "name", q->bound_name, "uid", q->bound_uid));
        }
        if (q->node_name)
                json_object_set_new(claims, "node", json_pack("{s:s,s:s*}", "name", q->node_name, "uid", q->node_uid));
        return claims;
}

int token_issue(struct token_service *service, const struct token_request *q, char **ret_token, int64_t *ret_expires,
                struct cx_error *err)
{
        int64_t now = cx_time_now() / CX_US_PER_S;
        char id[CX_UID_TEXT];
        cx_random_uid(id);
        json_t *audiences = json_array();
        for (size_t i = 0; i < q->audiences->count; i++)
                json_array_append_new(audiences, json_string(q->audiences->items[i]));
        CX_CLEANUP(cx_freep)
        char *subject = cx_sprintf("system:serviceaccount:%s:%s", q->namespace, q->service_account);
        json_auto_t *claims =
                json_pack("{s:o,s:I,s:I,s:s,s:s,s:o,s:I,s:s}", "aud", audiences, "exp", (json_int_t)(now + q->seconds),
                          "iat", (json_int_t)now, "iss", service->api->options.service_account_issuer, "jti", id,
                          "kubernetes.io", kubernetes_claims(q), "nbf", (json_int_t)now, "sub", subject);
        *ret_expires = now + q->seconds;
        return cx_jwt_sign(claims, service->signing, ret_token, err);
}

// --- checking ---

static struct remembered *recall(struct token_service *service, const char *digest, int64_t now)
{
        pthread_mutex_lock(&service->lock);
        struct remembered *remembered = cx_map_get(&service->verified, digest);
        if (remembered && remembered->until > now)
                atomic_fetch_add(&remembered->references, 1);
        else
                remembered = NULL;
        pthread_mutex_unlock(&service->lock);
        return remembered;
}

static struct remembered *remember(struct token_service *service, const char *digest, json_t *claims_steal, int64_t now)
{
        struct remembered *remembered = cx_alloc(sizeof *remembered);
        int64_t expires = cx_json_int(claims_steal, "exp", INT64_MAX); // tokens in Secrets have no end
        atomic_init(&remembered->references, 2);                       // the map's and the caller's
        remembered->claims = claims_steal;
        remembered->until = expires < now + REMEMBER_FOR ? expires : now + REMEMBER_FOR;
        pthread_mutex_lock(&service->lock);
        if (service->verified.count >= MAX_REMEMBERED)
                cx_map_clear(&service->verified);
        cx_map_set(&service->verified, digest, remembered);
        pthread_mutex_unlock(&service->lock);
        return remembered;
}

static int verify(struct token_service *service, const char *token, struct remembered **ret_verified,
                  struct cx_error *err)
{
        char digest[65];
        int64_t now = cx_time_now() / CX_US_PER_S;
        cx_sha256_hex(token, strlen(token), digest);
        *ret_verified = recall(service, digest, now);
        if (*ret_verified)
                return 0;
        json_t *claims = NULL;
        int r = cx_jwt_verify(token, service->keys, service->n_keys, now, &claims, err);
        if (r == 0)
                *ret_verified = remember(service, digest, claims, now);
        return r;
}

// Is the object the one that the token was made for, and not deleted for longer than it takes to see that?
static bool is_alive(struct apiserver *api, const char *resource, const char *namespace, const json_t *ref)
{
        json_auto_t *object =
                cache_find_json(builtin(api, "", "v1", resource)->cache, namespace, cx_json_string_or(ref, "name", ""));
        const char *deleted = cx_json_string(object, "metadata.deletionTimestamp");
        int64_t when;
        return object && cx_streq(cx_json_string(object, "metadata.uid"), cx_json_string(ref, "uid")) &&
               (!deleted || (cx_time_parse(deleted, &when) == 0 && when > cx_time_now() - DELETION_LEEWAY));
}

// The objects that the token names must still be the ones it was made for. Of a pod's token the node says where it runs;
// without a pod it is what the token is bound to.
static int check_objects(struct apiserver *api, const json_t *claims, struct cx_error *err)
{
        static const struct {
                const char *claim, *resource;
                bool namespaced;
        } bound[] = {{"pod", "pods", true}, {"secret", "secrets", true}, {"node", "nodes", false}};
        const json_t *mine = json_object_get(claims, "kubernetes.io");
        const char *namespace = cx_json_string_or(mine, "namespace", "");
        if (!*namespace || !is_alive(api, "serviceaccounts", namespace, json_object_get(mine, "serviceaccount")))
                return cx_error_reason(err, CX_REASON_UNAUTHORIZED, "service account has been deleted");
        for (size_t i = 0; i < CX_ARRAY_SIZE(bound); i++) {
                const json_t *ref = json_object_get(mine, bound[i].claim);
                bool tells = !bound[i].namespaced && json_object_get(mine, "pod");
                if (ref && !tells && !is_alive(api, bound[i].resource, bound[i].namespaced ? namespace : NULL, ref))
                        return cx_error_reason(err, CX_REASON_UNAUTHORIZED, "the %s that the token is bound to is gone",
                                               bound[i].claim);
        }
        return 0;
}

static bool share_one(const json_t *audience, const struct cx_strings *accepted, struct cx_strings *ret_shared)
{
        const char *text = json_string_value(audience);
        bool shared = text && cx_strings_has(accepted, text);
        if (shared && ret_shared)
                cx_strings_add(ret_shared, text);
        return shared;
}

static bool share_audience(const json_t *aud, const struct cx_strings *accepted, struct cx_strings *ret_shared)
{
        bool shared = share_one(aud, accepted, ret_shared);
        for (size_t i = 0; i < json_array_size(aud); i++)
                shared |= share_one(json_array_get(aud, i), accepted, ret_shared);
        return shared;
}

int token_own_audience(const struct apiserver *api, const struct cx_strings *accepted, struct cx_strings *ret_audiences,
                       struct cx_error *err)
{
        const struct cx_strings *own = &api->options.api_audiences;
        bool shared = accepted == own;
        for (size_t i = 0; i < own->count; i++) {
                if (!cx_strings_has(accepted, own->items[i]))
                        continue;
                shared = true;
                if (ret_audiences)
                        cx_strings_add(ret_audiences, own->items[i]);
        }
        return shared ? 0 : cx_error_reason(err, CX_REASON_UNAUTHORIZED, "token is for other audiences");
}

static void add_extra(struct user *user, const char *key, const char *value)
{
        if (!value)
                return;
        if (!user->extra)
                user->extra = json_object();
        json_object_set_new(user->extra, key, json_pack("[s]", value));
}

static void fill_user(const json_t *claims, struct user *user)
{
        const json_t *mine = json_object_get(claims, "kubernetes.io");
        const char *namespace = cx_json_string(mine, "namespace"), *name = cx_json_string(mine, "serviceaccount.name");
        user->name = cx_sprintf("system:serviceaccount:%s:%s", namespace, name);
        user->uid = cx_strdup(cx_json_string(mine, "serviceaccount.uid"));
        CX_CLEANUP(cx_freep) char *group = cx_sprintf("system:serviceaccounts:%s", namespace);
        cx_strings_add(&user->groups, "system:serviceaccounts");
        cx_strings_add(&user->groups, group);
        CX_CLEANUP(cx_freep) char *id = cx_sprintf("JTI=%s", cx_json_string_or(claims, "jti", ""));
        add_extra(user, "authentication.kubernetes.io/credential-id", id);
        add_extra(user, "authentication.kubernetes.io/pod-name", cx_json_string(mine, "pod.name"));
        add_extra(user, "authentication.kubernetes.io/pod-uid", cx_json_string(mine, "pod.uid"));
        add_extra(user, "authentication.kubernetes.io/node-name", cx_json_string(mine, "node.name"));
        add_extra(user, "authentication.kubernetes.io/node-uid", cx_json_string(mine, "node.uid"));
}

int token_check(struct token_service *service, const char *token, const struct cx_strings *audiences,
                struct user *ret_user, struct cx_strings *ret_audiences, struct cx_error *err)
{
        CX_CLEANUP(unref_rememberedp) struct remembered *verified = NULL;
        int r = verify(service, token, &verified, err);
        if (r < 0)
                return r;
        const json_t *claims = verified->claims;
        if (legacy_token_is(claims)) {
                r = token_own_audience(service->api, audiences, ret_audiences, err);
                return r < 0 ? r : legacy_token_check(service->api, claims, token, ret_user, err);
        }
        if (!cx_streq(cx_json_string(claims, "iss"), service->api->options.service_account_issuer))
                return cx_error_reason(err, CX_REASON_UNAUTHORIZED, "token was issued by someone else");
        if (!share_audience(json_object_get(claims, "aud"), audiences, ret_audiences))
                return cx_error_reason(err, CX_REASON_UNAUTHORIZED, "token is for other audiences");
        r = check_objects(service->api, claims, err);
        if (r == 0)
                fill_user(claims, ret_user);
        return r;
}

// --- OpenID discovery ---

json_t *token_openid_configuration(struct token_service *service)
{
        const char *issuer = service->api->options.service_account_issuer;
        const char *algorithm = EVP_PKEY_is_a(service->signing, "RSA") ? "RS256" : "ES256";
        json_t *uri = json_sprintf("%s/openid/v1/jwks", issuer);
        return json_pack("{s:s,s:o,s:[s],s:[s],s:[s]}", "issuer", issuer, "jwks_uri", uri, "response_types_supported",
                         "id_token", "subject_types_supported", "public", "id_token_signing_alg_values_supported",
                         algorithm);
}

static void add_number(json_t *to, const char *name, EVP_PKEY *key, const char *parameter, int pad)
{
        BIGNUM *number = NULL;
        unsigned char bytes[1024];
        if (!EVP_PKEY_get_bn_param(key, parameter, &number))
                return;
        int length = pad                            ? BN_bn2binpad(number, bytes, pad)
                     : BN_num_bytes(number) <= 1024 ? BN_bn2bin(number, bytes)
                                                    : 0;
        BN_free(number);
        CX_BUF text = CX_BUF_INIT;
        cx_base64url_encode(bytes, length > 0 ? (size_t)length : 0, &text);
        json_object_set_new(to, name, json_string(text.data));
}

json_t *token_key_set(struct token_service *service)
{
        json_t *keys = json_array();
        for (size_t i = 0; i < service->n_keys; i++) {
                EVP_PKEY *key = service->keys[i];
                CX_CLEANUP(cx_freep) char *id = cx_jwt_key_id(key);
                bool rsa = EVP_PKEY_is_a(key, "RSA");
                json_t *entry = json_pack("{s:s,s:s,s:s,s:s}", "use", "sig", "kty", rsa ? "RSA" : "EC", "kid", id,
                                          "alg", rsa ? "RS256" : "ES256");
                if (rsa) {
                        add_number(entry, "n", key, OSSL_PKEY_PARAM_RSA_N, 0);
                        add_number(entry, "e", key, OSSL_PKEY_PARAM_RSA_E, 0);
                } else {
                        json_object_set_new(entry, "crv", json_string("P-256"));
                        add_number(entry, "x", key, OSSL_PKEY_PARAM_EC_PUB_X, 32);
                        add_number(entry, "y", key, OSSL_PKEY_PARAM_EC_PUB_Y, 32);
                }
                json_array_append_new(keys, entry);
        }
        return json_pack("{s:o}", "keys", keys);
}
