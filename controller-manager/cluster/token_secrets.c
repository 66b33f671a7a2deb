// SPDX-License-Identifier: Apache-2.0
// Secrets of type kubernetes.io/service-account-token: each gets a token of the ServiceAccount that it names, the
// authority and the namespace, and goes with the account. The token does not expire; it holds as long as the Secret has
// it.
#include "controller-manager/core/options.h"
#include "libcommon/format/base64.h"
#include "libcommon/net/jwt.h"
#include "libcommon/net/pki.h"
#include "libcontroller/manager.h"

#define TYPE "kubernetes.io/service-account-token"
#define NAME "kubernetes.io/service-account.name"
#define UID "kubernetes.io/service-account.uid"
#define CLAIM "kubernetes.io/serviceaccount/"

struct token_secrets {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_informer *accounts, *secrets;
        EVP_PKEY *key;
        char *ca; // base64; NULL: none is given
};

static const char *annotation_of(const json_t *secret, const char *name)
{
        const char *const path[] = {"metadata", "annotations", name};
        return json_string_value(cx_json_at(secret, path, CX_ARRAY_SIZE(path)));
}

static void on_account(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct token_secrets *self = context;
        CX_OBJECTS secrets = CX_OBJECTS_INIT;
        if (now && old)
                return;
        cx_informer_by_index(self->secrets, CX_INDEX_NAMESPACE, (now ? now : old)->namespace, &secrets);
        for (size_t i = 0; i < secrets.count; i++)
                cx_workqueue_add(self->queue, secrets.items[i]->key);
}

static char *encode(const char *text)
{
        CX_BUF encoded = CX_BUF_INIT;
        cx_base64_encode(text, strlen(text), &encoded);
        return cx_buf_detach(&encoded);
}

static int load(struct token_secrets *self, struct cx_error *err)
{
        const struct manager_options *options = options_of(self->manager);
        CX_CLEANUP(cx_freep) char *key = NULL, *ca = NULL;
        int r = read_whole_file(options->account_key_file, &key, err);
        if (r == 0)
                r = cx_pki_load_private_key(key, &self->key, err);
        if (key)
                explicit_bzero(key, strlen(key));
        if (r == 0 && options->root_ca_file)
                r = read_whole_file(options->root_ca_file, &ca, err);
        self->ca = ca ? encode(ca) : NULL;
        return r;
}

static void release(void *context)
{
        struct token_secrets *self = context;
        EVP_PKEY_free(self->key);
        free(self->ca);
        free(self);
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        CX_ERROR err = CX_ERROR_INIT;
        if (!options_of(manager)->account_key_file)
                return NULL;
        struct token_secrets *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->queue = queue;
        if (load(self, &err) < 0) {
                cx_err(&err, "Secrets get no tokens");
                release(self);
                return NULL;
        }
        self->accounts = manager_informer(manager, "", "serviceaccounts");
        self->secrets = manager_selected_informer(manager, CX_REF("", "v1", "secrets"), "type=" TYPE);
        cx_informer_index_namespace(self->secrets);
        manager_enqueue_all(self->secrets, queue);
        cx_informer_on_event(self->accounts, on_account, self);
        return self;
}

// Whether the account that the Secret speaks of is there. The informer may be behind: the API server is asked before
// anything is deleted.
static int find_account(struct token_secrets *self, const json_t *secret, const char *namespace, char **ret_uid,
                        struct cx_error *err)
{
        const char *name = cx_str(annotation_of(secret, NAME)), *wanted = cx_str(annotation_of(secret, UID));
        CX_OBJECT *account = cx_informer_get(self->accounts, namespace, name);
        *ret_uid = NULL;
        if (account && (!*wanted || strcmp(account->uid, wanted) == 0)) {
                *ret_uid = cx_strdup(account->uid);
                return 0;
        }
        json_auto_t *live = NULL;
        int r = *name ? cx_rest_get(self->manager->rest, CX_REF("", "v1", "serviceaccounts", namespace, name), &live,
                                    err)
                      : 0;
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                return 0;
        }
        const char *uid = cx_json_string_or(live, "metadata.uid", "");
        if (r == 0 && *uid && (!*wanted || strcmp(uid, wanted) == 0))
                *ret_uid = cx_strdup(uid);
        return r;
}

static int make_token(struct token_secrets *self, const json_t *secret, const char *uid, char **ret_token,
                      struct cx_error *err)
{
        const char *namespace = cx_json_string(secret, "metadata.namespace"), *account = annotation_of(secret, NAME);
        CX_CLEANUP(cx_freep) char *subject = cx_sprintf("system:serviceaccount:%s:%s", namespace, account);
        json_auto_t *claims =
                json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "iss", "kubernetes/serviceaccount", CLAIM "namespace",
                          namespace, CLAIM "secret.name", cx_json_string(secret, "metadata.name"),
                          CLAIM "service-account.name", account, CLAIM "service-account.uid", uid, "sub", subject);
        return cx_jwt_sign(claims, self->key, ret_token, err);
}

// Fills in what is missing. 1: something was.
static int complete(struct token_secrets *self, json_t *secret, const char *uid, struct cx_error *err)
{
        json_t *data = cx_json_object_at(secret, "data");
        json_t *annotations = cx_json_object_at(json_object_get(secret, "metadata"), "annotations");
        json_auto_t *before = json_deep_copy(secret);
        if (!*cx_str(json_string_value(json_object_get(data, "token")))) {
                CX_CLEANUP(cx_freep) char *token = NULL;
                int r = make_token(self, secret, uid, &token, err);
                if (r < 0)
                        return r;
                CX_CLEANUP(cx_freep) char *encoded = encode(token);
                json_object_set_new(data, "token", json_string(encoded));
        }
        if (self->ca && !cx_streq(json_string_value(json_object_get(data, "ca.crt")), self->ca))
                json_object_set_new(data, "ca.crt", json_string(self->ca));
        if (!*cx_str(json_string_value(json_object_get(data, "namespace")))) {
                CX_CLEANUP(cx_freep) char *encoded = encode(cx_json_string(secret, "metadata.namespace"));
                json_object_set_new(data, "namespace", json_string(encoded));
        }
        json_object_set_new(annotations, UID, json_string(uid));
        return !json_equal(before, secret);
}

static int settle(int r, struct cx_error *err)
{
        if (r < 0 && (cx_error_is(err, CX_REASON_NOT_FOUND) || cx_error_is(err, CX_REASON_CONFLICT))) {
                cx_error_release(err); // it is gone, or another: that event brings it back
                return 0;
        }
        return r;
}

static int reconcile(void *context, const char *key, int64_t *retry_after CX_UNUSED, struct cx_error *err)
{
        struct token_secrets *self = context;
        CX_OBJECT *object = cx_informer_get_key(self->secrets, key);
        CX_CLEANUP(cx_freep) char *uid = NULL;
        if (!object || object->deleted)
                return 0;
        json_auto_t *secret = cx_object_json(object);
        const struct cx_ref *ref = CX_REF("", "v1", "secrets", object->namespace, object->name);
        int r = find_account(self, secret, object->namespace, &uid, err);
        if (r < 0)
                return r;
        if (!uid) {
                struct cx_delete_options options = {
                        .grace = -1, .uid = object->uid, .resource_version = object->resource_version};
                return settle(cx_rest_delete(self->manager->rest, ref, &options, err), err);
        }
        r = complete(self, secret, uid, err);
        if (r <= 0)
                return r;
        json_object_set_new(secret, "apiVersion", json_string("v1"));
        json_object_set_new(secret, "kind", json_string("Secret"));
        return settle(cx_rest_update(self->manager->rest, ref, secret, NULL, err), err);
}

const struct controller token_secret_controller = {
        .name = "serviceaccount-token-controller", .workers = 5, .init = init, .reconcile = reconcile, .free = release};
