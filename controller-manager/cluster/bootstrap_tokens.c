// SPDX-License-Identifier: Apache-2.0
// Bootstrap tokens (kubeadm's, Secrets in kube-system): the cleaner deletes those that have expired, and the signer signs
// the kubeconfig in the ConfigMap kube-public/cluster-info with each that is meant for it, so that whoever has a token
// can tell that the authority in there is the cluster's.
#include "controller-manager/cluster/bootstrap_tokens.h"

#include "libcommon/format/base64.h"
#include "libcontroller/manager.h"

#include <openssl/hmac.h>

#define TYPE "bootstrap.kubernetes.io/token"
#define NAME_PREFIX "bootstrap-token-"
#define MAP "cluster-info"
#define SIGNATURE "jws-kubeconfig-"
#define SIGN "sign" // the only key of the signer

struct bootstrap_tokens {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_informer *secrets, *map;
};

// --- what a token says ---

static char *datum(const json_t *secret, const char *name)
{
        const char *encoded = json_string_value(json_object_get(json_object_get(secret, "data"), name));
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        if (!encoded || cx_base64_decode(encoded, strlen(encoded), &text) < 0 || strlen(text.data) != text.length)
                return NULL;
        return cx_buf_detach(&text);
}

int64_t bootstrap_token_expires(const json_t *secret)
{
        CX_CLEANUP(cx_freep) char *text = datum(secret, "expiration");
        int64_t expires;
        if (!text || !*text)
                return INT64_MAX;
        return cx_time_parse(text, &expires) == 0 ? expires : 0; // what nobody can read is over
}

static bool is_token_part(const char *text, size_t length)
{
        return text && strlen(text) == length && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789") == length;
}

char *bootstrap_token_sign(const char *content, const char *id, const char *secret)
{
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s.%s", id, secret);
        CX_CLEANUP(cx_freep) char *header = cx_sprintf("{\"alg\":\"HS256\",\"kid\":\"%s\"}", id);
        CX_BUF text = CX_BUF_INIT, head = CX_BUF_INIT, signature = CX_BUF_INIT;
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned length = 0;
        cx_base64url_encode(header, strlen(header), &head);
        cx_buf_printf(&text, "%s.", head.data);
        cx_base64url_encode(content, strlen(content), &text);
        HMAC(EVP_sha256(), key, (int)strlen(key), (const unsigned char *)text.data, text.length, digest, &length);
        cx_base64url_encode(digest, length, &signature);
        explicit_bzero(key, strlen(key));
        return cx_sprintf("%s..%s", head.data, signature.data); // the content is beside it
}

// --- cleaning ---

static struct cx_informer *token_informer(struct manager *manager)
{
        return manager_selected_informer(manager, CX_REF("", "v1", "secrets", "kube-system"), "type=" TYPE);
}

static void *init_cleaner(struct manager *manager, struct cx_workqueue *queue)
{
        struct bootstrap_tokens *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->secrets = token_informer(manager);
        manager_enqueue_all(self->secrets, queue);
        return self;
}

static int reconcile_cleaner(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct bootstrap_tokens *self = context;
        CX_OBJECT *object = cx_informer_get_key(self->secrets, key);
        if (!object)
                return 0;
        json_auto_t *secret = cx_object_json(object);
        int64_t expires = bootstrap_token_expires(secret), now = cx_time_now();
        if (expires == INT64_MAX)
                return 0;
        if (expires > now) {
                *retry_after = (expires - now) * 1000;
                return 0;
        }
        struct cx_delete_options options = {.grace = -1, .uid = object->uid};
        int r = cx_rest_delete(self->manager->rest, CX_REF("", "v1", "secrets", object->namespace, object->name),
                               &options, err);
        if (r < 0 && (cx_error_is(err, CX_REASON_NOT_FOUND) || cx_error_is(err, CX_REASON_CONFLICT))) {
                cx_error_release(err);
                return 0;
        }
        return r;
}

// --- signing ---

static void on_any(void *context, const struct cx_object *old CX_UNUSED, const struct cx_object *now CX_UNUSED)
{
        cx_workqueue_add(context, SIGN);
}

static void *init_signer(struct manager *manager, struct cx_workqueue *queue)
{
        struct bootstrap_tokens *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->secrets = token_informer(manager);
        self->map = manager_selected_informer(manager, CX_REF("", "v1", "configmaps", "kube-public", MAP), NULL);
        cx_informer_on_event(self->secrets, on_any, queue);
        cx_informer_on_event(self->map, on_any, queue);
        return self;
}

// Adds the signature of a token that is meant for it, and counts until when that holds.
static void add_signature(const struct cx_object *object, const char *content, json_t *data, int64_t *next)
{
        json_auto_t *secret = cx_object_json(object);
        CX_CLEANUP(cx_freep) char *id = datum(secret, "token-id"), *key = datum(secret, "token-secret");
        CX_CLEANUP(cx_freep) char *usage = datum(secret, "usage-bootstrap-signing");
        int64_t expires = bootstrap_token_expires(secret);
        if (object->deleted || !is_token_part(id, 6) || !is_token_part(key, 16) || !cx_streq(usage, "true") ||
            strcmp(object->name + strlen(NAME_PREFIX), id) != 0 || expires <= cx_time_now())
                return;
        CX_CLEANUP(cx_freep) char *name = cx_sprintf(SIGNATURE "%s", id);
        CX_CLEANUP(cx_freep) char *signature = bootstrap_token_sign(content, id, key);
        json_object_set_new(data, name, json_string(signature));
        *next = expires < *next ? expires : *next;
}

static int reconcile_signer(void *context, const char *key CX_UNUSED, int64_t *retry_after, struct cx_error *err)
{
        struct bootstrap_tokens *self = context;
        CX_OBJECT *object = cx_informer_get(self->map, "kube-public", MAP);
        CX_OBJECTS tokens = CX_OBJECTS_INIT;
        json_auto_t *map = object ? cx_object_json(object) : NULL;
        json_t *before = json_object_get(map, "data");
        const char *content = json_string_value(json_object_get(before, "kubeconfig"));
        if (!content)
                return 0;
        json_auto_t *data = json_object();
        int64_t next = INT64_MAX;
        const char *name;
        json_t *value;
        json_object_foreach (before, name, value)
                if (!cx_has_prefix(name, SIGNATURE))
                        json_object_set(data, name, value);
        cx_informer_list(self->secrets, NULL, &tokens);
        for (size_t i = 0; i < tokens.count; i++)
                if (cx_has_prefix(tokens.items[i]->name, NAME_PREFIX))
                        add_signature(tokens.items[i], content, data, &next);
        if (next < INT64_MAX)
                *retry_after = (next - cx_time_now()) * 1000 + CX_NS_PER_S;
        if (json_equal(data, before))
                return 0;
        json_object_set(map, "data", data);
        json_object_set_new(map, "apiVersion", json_string("v1"));
        json_object_set_new(map, "kind", json_string("ConfigMap"));
        return cx_rest_update(self->manager->rest, CX_REF("", "v1", "configmaps", "kube-public", MAP), map, NULL, err);
}

const struct controller token_cleaner_controller = {.name = "token-cleaner-controller",
                                                    .account = "token-cleaner",
                                                    .off_by_default = true,
                                                    .workers = 1,
                                                    .init = init_cleaner,
                                                    .reconcile = reconcile_cleaner,
                                                    .free = free};
const struct controller bootstrap_signer_controller = {.name = "bootstrap-signer-controller",
                                                       .account = "bootstrap-signer",
                                                       .off_by_default = true,
                                                       .workers = 1,
                                                       .init = init_signer,
                                                       .reconcile = reconcile_signer,
                                                       .free = free};
