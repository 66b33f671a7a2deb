// SPDX-License-Identifier: Apache-2.0
// Claims and volumes stay while they are in use: a finalizer holds a claim until no pod that has a node uses it, and a volume
// until it is no longer bound. Admission puts it on; here it comes off, and on where it is missing.
#include "controller-manager/storage/binder.h"
#include "controller-manager/storage/pod_claims.h"

struct protection {
        const char *resource, *finalizer;
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_informer *objects, *pods; // pods: of claims
};

static bool has_node(const json_t *pod)
{
        return *cx_json_string_or(pod, "spec.nodeName", "");
}

// Whether a pod of the list keeps the claim. One without a node has not begun to use it.
static bool is_kept(const struct cx_objects *pods)
{
        for (size_t i = 0; i < pods->count; i++)
                if (POD_STATE(pods->items[i])->node)
                        return true;
        return false;
}

static int names_claim(void *context, const json_t *pod)
{
        const struct cx_object *claim = context;
        size_t i;
        json_t *volume;
        json_array_foreach (cx_json_get(pod, "spec.volumes"), i, volume) {
                CX_CLEANUP(cx_freep)
                char *made = cx_ephemeral_claim_name(cx_json_string_or(pod, "metadata.name", ""),
                                                     cx_json_string_or(volume, "name", ""));
                const char *name = json_object_get(volume, "ephemeral")
                                           ? made
                                           : cx_json_string_or(volume, "persistentVolumeClaim.claimName", "");
                if (has_node(pod) && strcmp(name, claim->name) == 0)
                        return 1;
        }
        return 0;
}

// 1: it is in use. The informer may be behind, so before a claim is let go the server is asked for the pods there are.
static int is_in_use(struct protection *self, const struct cx_object *object, struct cx_error *err)
{
        if (!self->pods)
                return strcmp(((const struct cx_volume *)object_part(object, &volume_part))->phase, "Bound") == 0;
        CX_OBJECTS pods = CX_OBJECTS_INIT;
        cx_informer_by_index(self->pods, POD_INDEX_CLAIM, object->key, &pods);
        if (is_kept(&pods))
                return 1;
        return cx_rest_list_each(self->manager->rest, CX_REF("", "v1", "pods", object->namespace),
                                 &(struct cx_list_options){.limit = 500}, names_claim, (void *)object, err);
}

static int write_finalizer(struct protection *self, const struct cx_object *object, bool wanted, struct cx_error *err)
{
        json_auto_t *json = cx_object_json(object), *list = json_array();
        json_t *metadata = json_object_get(json, "metadata");
        for (size_t i = 0; i < object->n_finalizers; i++)
                if (strcmp(object->finalizers[i], self->finalizer) != 0)
                        json_array_append_new(list, json_string(object->finalizers[i]));
        if (wanted)
                json_array_append_new(list, json_string(self->finalizer));
        json_object_set(metadata, "finalizers", list);
        int r = cx_rest_update(self->manager->rest, CX_REF("", "v1", self->resource, object->namespace, object->name),
                               json, NULL, err);
        if (r < 0 && (cx_error_is(err, CX_REASON_NOT_FOUND) || cx_error_is(err, CX_REASON_CONFLICT))) {
                cx_error_release(err);
                return 0;
        }
        return r;
}

static int reconcile(void *context, const char *key, int64_t *retry_after CX_UNUSED, struct cx_error *err)
{
        struct protection *self = context;
        CX_OBJECT *object = cx_informer_get_key(self->objects, key);
        if (!object)
                return 0;
        bool has = cx_object_has_finalizer(object, self->finalizer);
        if (!object->deleted)
                return has ? 0 : write_finalizer(self, object, true, err);
        int used = has ? is_in_use(self, object, err) : 1;
        return used < 0 ? used : used ? 0 : write_finalizer(self, object, false, err);
}

static void on_pod(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct protection *self = context;
        const struct cx_object *pod = now ? now : old;
        const struct cx_strings *claims = pod_claims(pod);
        for (size_t i = 0; i < claims->count; i++) {
                CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s/%s", pod->namespace, claims->items[i]);
                cx_workqueue_add(self->queue, key);
        }
}

static struct protection *start(struct manager *manager, struct cx_workqueue *queue, const char *resource,
                                const char *finalizer)
{
        struct protection *self = cx_alloc(sizeof *self);
        *self = (struct protection){.resource = resource,
                                    .finalizer = finalizer,
                                    .manager = manager,
                                    .queue = queue,
                                    .objects = manager_informer(manager, "", resource)};
        manager_enqueue_all(self->objects, queue);
        return self;
}

static void *init_claims(struct manager *manager, struct cx_workqueue *queue)
{
        struct protection *self = start(manager, queue, "persistentvolumeclaims", "kubernetes.io/pvc-protection");
        self->pods = pods_by_claim(manager);
        cx_informer_on_event(self->pods, on_pod, self);
        return self;
}

static void *init_volumes(struct manager *manager, struct cx_workqueue *queue)
{
        struct protection *self = start(manager, queue, "persistentvolumes", "kubernetes.io/pv-protection");
        (void)manager_part_informer(manager, "", "persistentvolumes", &volume_part);
        return self;
}

const struct controller pvc_protection_controller = {.name = "persistentvolumeclaim-protection-controller",
                                                     .account = "pvc-protection-controller",
                                                     .workers = 2,
                                                     .init = init_claims,
                                                     .reconcile = reconcile,
                                                     .free = free};
const struct controller pv_protection_controller = {.name = "persistentvolume-protection-controller",
                                                    .account = "pv-protection-controller",
                                                    .workers = 2,
                                                    .init = init_volumes,
                                                    .reconcile = reconcile,
                                                    .free = free};
