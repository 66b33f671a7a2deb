// SPDX-License-Identifier: Apache-2.0
#include "addons/ingress/report.h"

#include "libcommon/base/address.h"
#include "libcommon/client/workqueue.h"
#include "libcommon/format/json.h"
#include "libcommon/net/pki.h"

#include <pthread.h>

struct reporter {
        struct reporter_options options;
        struct cx_workqueue *queue;
        struct cx_workers *workers;
        struct cx_map told;   // key of an Ingress -> digest of what was told about it
        pthread_mutex_t lock; // guards what follows
        struct cx_map served; // keys of Ingresses whose status is ours
};

struct reporter *reporter_new(const struct reporter_options *options)
{
        struct reporter *self = cx_alloc(sizeof *self);
        self->options = *options;
        self->queue = cx_workqueue_new("ingress-status");
        self->told.free_value = free;
        pthread_mutex_init(&self->lock, NULL);
        return self;
}

void reporter_stop(struct reporter *self)
{
        if (self->workers)
                cx_workers_stop(self->workers);
        self->workers = NULL;
}

void reporter_free(struct reporter *self)
{
        if (!self)
                return;
        cx_workqueue_free(self->queue);
        cx_map_release(&self->told);
        cx_map_release(&self->served);
        pthread_mutex_destroy(&self->lock);
        free(self);
}

// --- statuses ---

static bool same(const struct cx_strings *a, const struct cx_strings *b)
{
        if (a->count != b->count)
                return false;
        for (size_t i = 0; i < a->count; i++)
                if (strcmp(a->items[i], b->items[i]) != 0)
                        return false;
        return true;
}

static int write_status(struct reporter *self, const struct cx_object *object, const struct cx_strings *addresses,
                        struct cx_error *err)
{
        json_t *list = json_array();
        for (size_t i = 0; i < addresses->count; i++)
                json_array_append_new(list, json_pack("{s:s}", cx_is_address(addresses->items[i]) ? "ip" : "hostname",
                                                      addresses->items[i]));
        json_auto_t *patch = json_pack("{s:{s:s}, s:{s:{s:o}}}", "metadata", "uid", object->uid, "status",
                                       "loadBalancer", "ingress", list);
        int r = cx_rest_patch(self->options.rest,
                              CX_REF("networking.k8s.io", "v1", "ingresses", object->namespace, object->name), "status",
                              CX_PATCH_MERGE, patch, NULL, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                return 0;
        }
        return r;
}

static bool is_ours(const struct reporter *self, const struct cx_object *object)
{
        CX_OBJECTS classes = CX_OBJECTS_INIT;
        cx_informer_list(self->options.classes, NULL, &classes);
        return ingress_is_ours(self->options.plan, &classes, object);
}

// Whether nobody else can be meant by an Ingress that is not ours.
static bool is_nobodys(const struct reporter *self, const struct cx_object *object)
{
        const struct ingress *ingress = INGRESS(object);
        const char *class = ingress->class ? ingress->class : ingress->legacy_class;
        CX_OBJECT *found = class ? cx_informer_get(self->options.classes, NULL, class) : NULL;
        return !found;
}

static int reconcile(void *context, const char *key, int64_t *retry_after CX_UNUSED, struct cx_error *err)
{
        struct reporter *self = context;
        static const struct cx_strings none = CX_STRINGS_INIT;
        CX_OBJECT *object = cx_informer_get_key(self->options.ingresses, key);
        if (!object || object->deleted)
                return 0;
        const struct cx_strings *wanted = self->options.addresses, *have = &INGRESS(object)->addresses;
        bool ours = is_ours(self, object);
        pthread_mutex_lock(&self->lock);
        bool was_ours = cx_map_remove(&self->served, key);
        if (ours)
                cx_map_set(&self->served, key, NULL);
        pthread_mutex_unlock(&self->lock);
        if (ours)
                return same(have, wanted) ? 0 : write_status(self, object, wanted, err);
        // What another controller has written since is not ours to remove.
        if (!same(have, wanted) || (!was_ours && !is_nobodys(self, object)))
                return 0;
        return write_status(self, object, &none, err);
}

static void on_ingress(void *context, const struct cx_object *old CX_UNUSED, const struct cx_object *now)
{
        struct reporter *self = context;
        if (now && self->options.addresses->count)
                cx_workqueue_add(self->queue, now->key);
}

// A class came, went or changed: whose its Ingresses are may be another's now.
static void on_class(void *context, const struct cx_object *old CX_UNUSED, const struct cx_object *now CX_UNUSED)
{
        struct reporter *self = context;
        CX_OBJECTS ingresses = CX_OBJECTS_INIT;
        cx_informer_list(self->options.ingresses, NULL, &ingresses);
        for (size_t i = 0; self->options.addresses->count && i < ingresses.count; i++)
                cx_workqueue_add(self->queue, ingresses.items[i]->key);
}

// Handlers come before the informers start; the workers after these have all classes.
void reporter_watch(struct reporter *self)
{
        cx_informer_on_event(self->options.ingresses, on_ingress, self);
        cx_informer_on_event(self->options.classes, on_class, self);
}

void reporter_start(struct reporter *self)
{
        self->workers = cx_workers_start(self->queue, 2, reconcile, self);
}

// --- events ---

static char *digest_of(const struct plan_ingress *ingress)
{
        CX_BUF text = CX_BUF_INIT;
        char digest[65];
        cx_buf_printf(&text, "%s %lld", ingress->object->uid, (long long)ingress->object->generation);
        for (size_t i = 0; i < ingress->n_problems; i++)
                cx_buf_printf(&text, "\n%s", ingress->problems[i].message);
        cx_sha256_hex(text.data, text.length, digest);
        return cx_strndup(digest, 16);
}

static void tell(struct reporter *self, const struct plan_ingress *ingress)
{
        CX_CLEANUP(cx_freep) char *digest = digest_of(ingress);
        const char *told = cx_map_get(&self->told, ingress->object->key);
        if (cx_streq(told, digest))
                return;
        cx_map_set(&self->told, ingress->object->key, cx_steal(&digest));
        for (size_t i = 0; i < ingress->n_problems; i++)
                cx_event_object(self->options.events, "networking.k8s.io/v1", "Ingress", ingress->object, "Warning",
                                ingress->problems[i].reason, "%s", ingress->problems[i].message);
        cx_event_object(self->options.events, "networking.k8s.io/v1", "Ingress", ingress->object, "Normal", "Sync",
                        "%zu %s in the proxy", ingress->n_routes, ingress->n_routes == 1 ? "route is" : "routes are");
}

void reporter_tell(struct reporter *self, const struct plan *plan)
{
        CX_MAP now = CX_MAP_INIT;
        CX_STRINGS gone = CX_STRINGS_INIT;
        for (size_t i = 0; i < plan->n_ingresses; i++) {
                cx_map_set(&now, plan->ingresses[i].object->key, NULL);
                tell(self, &plan->ingresses[i]);
        }
        CX_MAP_FOREACH (&self->told, entry)
                if (!cx_map_has(&now, entry->key))
                        cx_strings_add(&gone, entry->key);
        for (size_t i = 0; i < gone.count; i++)
                cx_map_remove(&self->told, gone.items[i]);
}
