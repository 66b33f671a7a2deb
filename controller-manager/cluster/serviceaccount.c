// SPDX-License-Identifier: Apache-2.0
// In every namespace: the ServiceAccount "default", and the ConfigMap kube-root-ca.crt with the cluster's authority.
#include "controller-manager/core/options.h"
#include "libcontroller/manager.h"

#define CA_MAP "kube-root-ca.crt"

struct per_namespace {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_informer *namespaces, *objects;
        char *ca;
};

static void on_object(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct per_namespace *self = context;
        const struct cx_object *object = now ? now : old;
        if (!now || cx_streq(object->name, CA_MAP))
                cx_workqueue_add(self->queue, object->namespace);
}

static struct per_namespace *start(struct manager *manager, struct cx_workqueue *queue, struct cx_informer *objects)
{
        struct per_namespace *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->queue = queue;
        self->namespaces = manager_informer(manager, "", "namespaces");
        self->objects = objects;
        manager_enqueue_all(self->namespaces, queue);
        cx_informer_on_event(self->objects, on_object, self);
        return self;
}

static void *init_accounts(struct manager *manager, struct cx_workqueue *queue)
{
        return start(manager, queue, manager_informer(manager, "", "serviceaccounts"));
}

static void *init_ca(struct manager *manager, struct cx_workqueue *queue)
{
        CX_ERROR err = CX_ERROR_INIT;
        char *ca = NULL;
        if (!options_of(manager)->root_ca_file)
                return NULL;
        if (read_whole_file(options_of(manager)->root_ca_file, &ca, &err) < 0) {
                cx_err(&err, "The root CA is not published");
                return NULL;
        }
        struct per_namespace *self = start(manager, queue, manager_named_informer(manager, "", "configmaps", CA_MAP));
        self->ca = ca;
        return self;
}

static void release(void *context)
{
        struct per_namespace *self = context;
        free(self->ca);
        free(self);
}

static bool is_active(struct per_namespace *self, const char *key)
{
        CX_OBJECT *namespace = cx_informer_get_key(self->namespaces, key);
        return namespace && !namespace->deleted;
}

// Losing a race, with another writer or with the end of the namespace, is not a failure.
static int settle(int r, struct cx_error *err)
{
        if (r < 0 && (cx_error_is(err, CX_REASON_ALREADY_EXISTS) || cx_error_is(err, CX_REASON_NOT_FOUND) ||
                      is_namespace_terminating(err))) {
                cx_error_release(err);
                return 0;
        }
        return r;
}

static int reconcile_account(void *context, const char *key, int64_t *retry_after CX_UNUSED, struct cx_error *err)
{
        struct per_namespace *self = context;
        CX_OBJECT *have = cx_informer_get(self->objects, key, "default");
        if (have || !is_active(self, key))
                return 0;
        json_auto_t *account = json_pack("{s:s, s:s, s:{s:s, s:s}}", "apiVersion", "v1", "kind", "ServiceAccount",
                                         "metadata", "name", "default", "namespace", key);
        return settle(cx_rest_create(self->manager->rest, CX_REF("", "v1", "serviceaccounts", key), account, NULL, err),
                      err);
}

static int reconcile_ca(void *context, const char *key, int64_t *retry_after CX_UNUSED, struct cx_error *err)
{
        struct per_namespace *self = context;
        if (!is_active(self, key))
                return 0;
        CX_OBJECT *have = cx_informer_get(self->objects, key, CA_MAP);
        json_auto_t *map = have ? cx_object_json(have) : NULL;
        const json_t *data = json_object_get(map, "data");
        if (map && json_object_size(data) == 1 &&
            cx_streq(json_string_value(json_object_get(data, "ca.crt")), self->ca))
                return 0;
        json_auto_t *wanted =
                map ? json_incref(map)
                    : json_pack(
                              "{s:{s:s, s:s, s:{s:s}}}", "metadata", "name", CA_MAP, "namespace", key, "annotations",
                              "kubernetes.io/description",
                              "The authority that signs the API server's certificate, for clients inside the cluster.");
        json_object_set_new(wanted, "apiVersion", json_string("v1"));
        json_object_set_new(wanted, "kind", json_string("ConfigMap"));
        json_object_set_new(wanted, "data", json_pack("{s:s}", "ca.crt", self->ca));
        const struct cx_ref *ref = CX_REF("", "v1", "configmaps", key, CA_MAP);
        int r = map ? cx_rest_update(self->manager->rest, ref, wanted, NULL, err)
                    : cx_rest_create(self->manager->rest, ref, wanted, NULL, err);
        return settle(r, err);
}

const struct controller serviceaccount_controller = {.name = "serviceaccount-controller",
                                                     .account = "service-account-controller",
                                                     .workers = 1,
                                                     .init = init_accounts,
                                                     .reconcile = reconcile_account,
                                                     .free = release};
const struct controller root_ca_controller = {.name = "root-ca-certificate-publisher-controller",
                                              .account = "root-ca-cert-publisher",
                                              .workers = 1,
                                              .init = init_ca,
                                              .reconcile = reconcile_ca,
                                              .free = release};
