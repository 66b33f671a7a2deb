// SPDX-License-Identifier: Apache-2.0
// Generic ephemeral volumes: each gets a claim of its own, which the pod owns and takes along when it goes.
#include "controller-manager/storage/pod_claims.h"

#include "libcommon/api/storage.h"

static const struct owner_kind owning_pod = {"", "v1", "pods", "Pod"};

struct ephemeral {
        struct manager *manager;
        struct cx_events *events;
        struct cx_informer *pods, *claims;
        struct cx_workqueue *queue;
};

static void take(void *part, const json_t *pod)
{
        size_t i;
        json_t *volume;
        json_array_foreach (cx_json_get(pod, "spec.volumes"), i, volume)
                *(bool *)part |= json_object_get(volume, "ephemeral") != NULL;
}

static const struct object_part ephemeral_part = {sizeof(bool), take, NULL};

static void on_pod(void *context, const struct cx_object *old CX_UNUSED, const struct cx_object *now)
{
        struct ephemeral *self = context;
        if (now && !now->deleted && *(const bool *)object_part(now, &ephemeral_part))
                cx_workqueue_add(self->queue, now->key);
}

// A claim that went is made again while its pod is there.
static void on_claim(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct ephemeral *self = context;
        char key[512];
        if (old && !now && controller_key(old, &owning_pod, key))
                cx_workqueue_add(self->queue, key);
}

static json_t *claim_of(const struct owner *pod, const json_t *template, const char *name)
{
        const json_t *metadata = json_object_get(template, "metadata");
        json_t *claim = json_pack("{s:s, s:s, s:{s:s, s:[o]}, s:O}", "apiVersion", "v1", "kind",
                                  "PersistentVolumeClaim", "metadata", "name", name, "ownerReferences",
                                  owner_reference(pod), "spec", json_object_get(template, "spec"));
        static const char *const kept[] = {"labels", "annotations"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(kept); i++)
                if (json_object_get(metadata, kept[i]))
                        json_object_set(json_object_get(claim, "metadata"), kept[i],
                                        json_object_get(metadata, kept[i]));
        return claim;
}

static int make_claim(struct ephemeral *self, const struct owner *pod, const json_t *volume, struct cx_error *err)
{
        CX_CLEANUP(cx_freep)
        char *name = cx_ephemeral_claim_name(pod->object->name, cx_json_string_or(volume, "name", ""));
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s/%s", pod->object->namespace, name);
        CX_OBJECT *there = cx_informer_get_key(self->claims, key);
        const struct cx_object_owner *owner = there ? cx_object_controller(there) : NULL;
        if (there && owner && strcmp(owner->uid, pod->object->uid) == 0)
                return 0;
        if (there)
                return cx_error_reason(err, CX_REASON_CONFLICT,
                                       "PVC \"%s\" was not created for pod \"%s\" (pod is not owner)", key,
                                       pod->object->key);
        json_auto_t *claim = claim_of(pod, cx_json_get(volume, "ephemeral.volumeClaimTemplate"), name);
        int r = cx_rest_create(self->manager->rest, CX_REF("", "v1", "persistentvolumeclaims", pod->object->namespace),
                               claim, NULL, err);
        if (r < 0 && (is_namespace_terminating(err) || cx_error_is(err, CX_REASON_ALREADY_EXISTS))) {
                cx_error_release(err); // the informer will show it, whosever it is
                return 0;
        }
        return r;
}

static int reconcile(void *context, const char *key, int64_t *retry_after CX_UNUSED, struct cx_error *err)
{
        struct ephemeral *self = context;
        CX_OBJECT *object = cx_informer_get_key(self->pods, key);
        if (!object || object->deleted)
                return 0;
        json_auto_t *pod = NULL;
        int r = cx_rest_get(self->manager->rest, CX_REF("", "v1", "pods", object->namespace, object->name), &pod, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                return 0;
        }
        if (r < 0 || !cx_streq(cx_json_string(pod, "metadata.uid"), object->uid))
                return r;
        const struct owner owner = {&owning_pod, object};
        size_t i;
        json_t *volume;
        json_array_foreach (cx_json_get(pod, "spec.volumes"), i, volume) {
                if (r == 0 && json_object_get(volume, "ephemeral"))
                        r = make_claim(self, &owner, volume, err);
        }
        if (r < 0)
                owner_event(self->events, &owner, "Warning", "FailedCreate", "ephemeral volume claims: %s",
                            cx_error_text(err));
        return r;
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct ephemeral *self = cx_alloc(sizeof *self);
        *self = (struct ephemeral){.manager = manager,
                                   .events = manager_recorder(manager, "ephemeral_volume"),
                                   .pods = pods_by_claim(manager),
                                   .claims = manager_informer(manager, "", "persistentvolumeclaims"),
                                   .queue = queue};
        (void)manager_part_informer(manager, "", "pods", &ephemeral_part);
        cx_informer_on_event(self->pods, on_pod, self);
        cx_informer_on_event(self->claims, on_claim, self);
        return self;
}

const struct controller ephemeral_volume_controller = {.name = "ephemeral-volume-controller",
                                                       .account = "ephemeral-volume-controller",
                                                       .workers = 2,
                                                       .init = init,
                                                       .reconcile = reconcile,
                                                       .free = free};
