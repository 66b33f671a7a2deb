// SPDX-License-Identifier: Apache-2.0
// What becomes of a claim: it gets a volume that there is, or somebody is asked to make one, or it waits for its pod; and a
// bound one that has lost its volume is lost.
#include "controller-manager/storage/binder.h"
#include "controller-manager/storage/pod_claims.h"

// --- making the two each other's -------------------------------------------------------------------------------------

static int bind_volume(struct volume_binder *self, const struct bindable *claim, struct bindable *volume,
                       struct cx_error *err)
{
        json_t *spec = cx_json_object_at(volume->json, "spec"), *ref = json_object_get(spec, "claimRef");
        const struct cx_object *object = claim->object;
        if (!cx_streq(cx_json_string(ref, "uid"), object->uid)) {
                if (!ref)
                        bindable_annotate(volume, CX_BOUND_BY_CONTROLLER, "yes");
                json_object_set_new(spec, "claimRef",
                                    json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "kind", claim->kind, "apiVersion", "v1",
                                              "namespace", object->namespace, "name", object->name, "uid", object->uid,
                                              "resourceVersion", object->resource_version));
                int r = bindable_write(self, volume, false, err);
                if (r)
                        return r;
        }
        return bindable_set_phase(self, volume, "Bound", NULL, err);
}

static int bind_claim(struct volume_binder *self, struct bindable *claim, const struct bindable *volume,
                      struct cx_error *err)
{
        json_t *spec = cx_json_object_at(claim->json, "spec");
        const json_t *annotations = cx_json_get(claim->json, "metadata.annotations");
        const char *had = cx_json_string_or(spec, "volumeName", "");
        if (strcmp(had, volume->object->name) == 0 && json_object_get(annotations, CX_BIND_COMPLETED))
                return 0;
        if (!*had)
                bindable_annotate(claim, CX_BOUND_BY_CONTROLLER, "yes");
        bindable_annotate(claim, CX_BIND_COMPLETED, "yes");
        json_object_set_new(spec, "volumeName", json_string(volume->object->name));
        return bindable_write(self, claim, false, err);
}

// The capacity of a claim that is bound already grows by whoever expands it.
static int tell_claim(struct volume_binder *self, struct bindable *claim, const struct bindable *volume,
                      struct cx_error *err)
{
        json_t *status = cx_json_object_at(claim->json, "status");
        const json_t *spec = json_object_get(volume->json, "spec");
        if (cx_streq(cx_json_string(status, "phase"), "Bound") && json_object_get(status, "capacity"))
                return 0;
        json_object_set_new(status, "phase", json_string("Bound"));
        json_object_set(status, "accessModes", json_object_get(spec, "accessModes"));
        json_object_set(status, "capacity", json_object_get(spec, "capacity"));
        const char *attributes = cx_json_string_or(spec, "volumeAttributesClassName", "");
        if (*attributes)
                json_object_set_new(status, "currentVolumeAttributesClassName", json_string(attributes));
        return bindable_write(self, claim, true, err);
}

int binder_bind(struct volume_binder *self, struct bindable *claim, struct bindable *volume, struct cx_error *err)
{
        int r = bind_volume(self, claim, volume, err);
        if (r == 0)
                r = bind_claim(self, claim, volume, err);
        return r ? r : tell_claim(self, claim, volume, err);
}

// --- a claim that has no volume yet ----------------------------------------------------------------------------------

static int ask_provisioner(struct volume_binder *self, struct bindable *claim, const char *provisioner,
                           struct cx_error *err)
{
        const json_t *annotations = cx_json_get(claim->json, "metadata.annotations");
        bool asked = cx_streq(json_string_value(json_object_get(annotations, CX_STORAGE_PROVISIONER)), provisioner);
        int r = 0;
        if (!asked) {
                bindable_annotate(claim, CX_STORAGE_PROVISIONER, provisioner);
                bindable_annotate(claim, CX_STORAGE_PROVISIONER_BETA, provisioner);
                r = bindable_write(self, claim, false, err);
        }
        if (r == 0)
                bindable_event(
                        self, claim, "Normal", "ExternalProvisioning",
                        "Waiting for a volume to be created either by the external provisioner '%s' or manually by the "
                        "system administrator. If volume creation is delayed, please verify that the provisioner is "
                        "running and correctly registered.",
                        provisioner);
        return r;
}

static int provision(struct volume_binder *self, struct bindable *claim, const char *name,
                     const struct cx_object *class, struct cx_error *err)
{
        if (!class)
                bindable_event(self, claim, "Warning", "ProvisioningFailed",
                               "storageclass.storage.k8s.io \"%s\" not found", name);
        else if (cx_has_prefix(STORAGE_CLASS(class)->provisioner, "kubernetes.io/")) // none is built in
                bindable_event(self, claim, "Warning", "ProvisioningFailed", "no volume plugin matched name: %s",
                               STORAGE_CLASS(class)->provisioner);
        else
                return ask_provisioner(self, claim, STORAGE_CLASS(class)->provisioner, err);
        return 0;
}

static int assign_default(struct volume_binder *self, struct bindable *claim, const struct cx_object *class,
                          struct cx_error *err)
{
        json_object_set_new(cx_json_object_at(claim->json, "spec"), "storageClassName", json_string(class->name));
        int r = bindable_write(self, claim, false, err);
        return r ? r : 1; // it is another claim now
}

static int find(struct volume_binder *self, const struct cx_claim *facts, bool delayed, struct bindable *ret_volume)
{
        CX_OBJECTS all = CX_OBJECTS_INIT;
        cx_informer_list(self->volumes, NULL, &all);
        CX_CLEANUP(cx_freep) const struct cx_volume **volumes = cx_alloc_array(all.count + 1, sizeof *volumes);
        for (size_t i = 0; i < all.count; i++)
                volumes[i] = object_part(all.items[i], &volume_part);
        const struct cx_volume *found = cx_volume_find(volumes, all.count, facts, NULL, delayed, NULL);
        if (!found)
                return 0;
        return bindable_get(self, false, found->name, ret_volume) ? 1 : -EAGAIN;
}

static int wait_for_pod(struct volume_binder *self, struct bindable *claim, struct cx_error *err)
{
        CX_OBJECTS pods = CX_OBJECTS_INIT;
        CX_STRINGS waiting = CX_STRINGS_INIT;
        cx_informer_by_index(self->pods, POD_INDEX_CLAIM, claim->object->key, &pods);
        for (size_t i = 0; i < pods.count; i++)
                if (!POD_STATE(pods.items[i])->node && !pod_is_terminal(pods.items[i]))
                        cx_strings_add(&waiting, pods.items[i]->name);
        cx_strings_sort(&waiting);
        CX_CLEANUP(cx_freep) char *names = cx_strings_join(&waiting, ",");
        if (waiting.count)
                bindable_event(self, claim, "Normal", "WaitForPodScheduled", "waiting for pod%s %s to be scheduled",
                               waiting.count > 1 ? "s" : "", names);
        else
                bindable_event(self, claim, "Normal", "WaitForFirstConsumer",
                               "waiting for first consumer to be created before binding");
        return bindable_set_phase(self, claim, "Pending", NULL, err);
}

static int seek(struct volume_binder *self, struct bindable *claim, const struct cx_claim *facts, struct cx_error *err)
{
        CX_OBJECT *class = facts->class && *facts->class ? cx_informer_get_key(self->classes, facts->class) : NULL;
        bool delayed = class && STORAGE_CLASS(class)->delays && !*facts->selected_node;
        BINDABLE volume = {0};
        int found = find(self, facts, delayed, &volume);
        if (found == 1)
                return binder_bind(self, claim, &volume, err);
        if (found < 0)
                return 1;
        CX_OBJECT *chosen = facts->class ? NULL : default_storage_class(self->classes);
        if (chosen)
                return assign_default(self, claim, chosen, err);
        if (delayed)
                return wait_for_pod(self, claim, err);
        if (facts->class && *facts->class) {
                int r = provision(self, claim, facts->class, class, err);
                return r ? r : bindable_set_phase(self, claim, "Pending", NULL, err);
        }
        bindable_event(self, claim, "Normal", "FailedBinding",
                       "no persistent volumes available for this claim and no storage class is set");
        return bindable_set_phase(self, claim, "Pending", NULL, err);
}

// The claim names its volume.
static int bind_named(struct volume_binder *self, struct bindable *claim, const struct cx_claim *facts,
                      struct cx_error *err)
{
        BINDABLE volume = {0};
        if (!bindable_get(self, false, facts->volume, &volume))
                return bindable_set_phase(self, claim, "Pending", NULL, err);
        const struct cx_volume *named = object_part(volume.object, &volume_part);
        const char *why = named->has_claim ? NULL : cx_volume_misfit(named, facts);
        if (why)
                bindable_event(self, claim, "Warning", "VolumeMismatch", "Cannot bind to requested volume \"%s\": %s",
                               facts->volume, why);
        else if (!named->has_claim || cx_volume_is_for(named, facts))
                return binder_bind(self, claim, &volume, err);
        else
                bindable_event(self, claim, "Warning", "FailedBinding",
                               "volume \"%s\" already bound to a different claim.", facts->volume);
        return bindable_set_phase(self, claim, "Pending", NULL, err);
}

// --- a claim that had one --------------------------------------------------------------------------------------------

static int lose(struct volume_binder *self, struct bindable *claim, const char *reason, const char *message,
                struct cx_error *err)
{
        if (cx_streq(cx_json_string(claim->json, "status.phase"), "Lost"))
                return 0;
        bindable_event(self, claim, "Warning", reason, "%s", message);
        return bindable_set_phase(self, claim, "Lost", NULL, err);
}

static int sync_bound(struct volume_binder *self, struct bindable *claim, const struct cx_claim *facts,
                      struct cx_error *err)
{
        if (!*facts->volume)
                return lose(self, claim, "ClaimLost",
                            "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!", err);
        BINDABLE volume = {0};
        if (!bindable_get(self, false, facts->volume, &volume)) {
                CX_OBJECT *there = cx_informer_get_key(self->volumes, facts->volume);
                return there ? 0
                             : lose(self, claim, "ClaimLost",
                                    "Bound claim has lost its PersistentVolume. Data on the volume is lost!", err);
        }
        const struct cx_volume *bound = object_part(volume.object, &volume_part);
        if (!bound->has_claim || strcmp(bound->claim_uid, facts->uid) == 0)
                return binder_bind(self, claim, &volume, err);
        return lose(self, claim, "ClaimMisbound",
                    "Two claims are bound to the same volume, this one is bound incorrectly", err);
}

int binder_sync_claim(struct volume_binder *self, struct bindable *claim, struct cx_error *err)
{
        CX_CLEANUP(cx_claim_release) struct cx_claim facts;
        cx_claim_parse(claim->json, &facts);
        if (facts.bind_completed)
                return sync_bound(self, claim, &facts, err);
        if (facts.deleted)
                return 0;
        return *facts.volume ? bind_named(self, claim, &facts, err) : seek(self, claim, &facts, err);
}
