// SPDX-License-Identifier: Apache-2.0
// What becomes of a volume: available, bound, released when its claim has gone, and then kept, or left to the provisioner that
// made it, or failed when nobody can do what its policy asks for.
#include "controller-manager/storage/binder.h"

// The claim of a volume by name, whichever it is now. The informer may be behind with a claim that was made a moment ago, so
// the server is asked before a volume is taken for released. 1 with it, 0 when there is none.
static int claim_of(struct volume_binder *self, const struct cx_volume *facts, json_t **ret_claim, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s/%s", facts->claim_namespace, facts->claim_name);
        CX_OBJECT *object = cx_informer_get_key(self->claims, key);
        if (object && strcmp(object->uid, facts->claim_uid) == 0) {
                *ret_claim = cx_object_json(object);
                return 1;
        }
        int r = cx_rest_get(self->manager->rest,
                            CX_REF("", "v1", "persistentvolumeclaims", facts->claim_namespace, facts->claim_name),
                            ret_claim, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                return 0;
        }
        if (r < 0)
                return r;
        if (cx_streq(cx_json_string(*ret_claim, "metadata.uid"), facts->claim_uid))
                return 1;
        json_decref(*ret_claim);
        *ret_claim = NULL;
        return 0;
}

static int fail(struct volume_binder *self, struct bindable *volume, const char *reason, const char *message,
                struct cx_error *err)
{
        if (cx_streq(cx_json_string(volume->json, "status.phase"), "Failed"))
                return 0;
        bindable_event(self, volume, "Warning", reason, "%s", message);
        return bindable_set_phase(self, volume, "Failed", message, err);
}

// Its claim has gone. What a provisioner made it also deletes, once it sees the volume released.
static int reclaim(struct volume_binder *self, struct bindable *volume, const struct cx_volume *facts,
                   struct cx_error *err)
{
        bool failed = strcmp(facts->phase, "Failed") == 0;
        int r = failed ? 0 : bindable_set_phase(self, volume, "Released", NULL, err);
        if (r)
                return r;
        if (strcmp(facts->reclaim, "Recycle") == 0)
                return fail(self, volume, "VolumeFailedRecycle", "No recycler plugin found for the volume!", err);
        if (strcmp(facts->reclaim, "Delete") == 0 && !*facts->provisioned_by) {
                CX_CLEANUP(cx_freep)
                char *message = cx_sprintf("error getting deleter volume plugin for volume \"%s\": no deletable volume "
                                           "plugin matched",
                                           facts->name);
                return fail(self, volume, "VolumeFailedDelete", message, err);
        }
        return 0;
}

// Takes back what the binder gave away itself; what an administrator keeps for a claim stays kept for its name.
static int unbind(struct volume_binder *self, struct bindable *volume, const struct cx_volume *facts,
                  struct cx_error *err)
{
        json_t *spec = cx_json_object_at(volume->json, "spec");
        if (facts->bound_by_controller) {
                json_object_del(spec, "claimRef");
                bindable_annotate(volume, CX_BOUND_BY_CONTROLLER, NULL);
        } else {
                json_object_set_new(cx_json_object_at(spec, "claimRef"), "uid", json_string(""));
        }
        int r = bindable_write(self, volume, false, err);
        return r ? r : bindable_set_phase(self, volume, "Available", NULL, err);
}

int binder_sync_volume(struct volume_binder *self, struct bindable *volume, struct cx_error *err)
{
        const struct cx_volume *facts = object_part(volume->object, &volume_part);
        if (!facts->has_claim || !*facts->claim_uid)
                return bindable_set_phase(self, volume, "Available", NULL, err);
        json_auto_t *claim = NULL;
        int there = claim_of(self, facts, &claim, err);
        if (there < 0)
                return there;
        if (!there)
                return reclaim(self, volume, facts, err);
        const char *has = cx_json_string_or(claim, "spec.volumeName", "");
        if (!*has) {
                CX_CLEANUP(cx_claim_release) struct cx_claim wants;
                cx_claim_parse(claim, &wants);
                if (wants.block != facts->block)
                        bindable_event(self, volume, "Warning", "VolumeMismatch",
                                       "Cannot bind PersistentVolume to requested PersistentVolumeClaim \"%s\" due to "
                                       "incompatible volumeMode.",
                                       wants.name);
                return 0; // the claim's own turn comes
        }
        if (strcmp(has, facts->name) == 0)
                return bindable_set_phase(self, volume, "Bound", NULL, err);
        if (*facts->provisioned_by && strcmp(facts->reclaim, "Delete") == 0)
                return reclaim(self, volume, facts, err); // made for a claim that took another one
        return unbind(self, volume, facts, err);
}
