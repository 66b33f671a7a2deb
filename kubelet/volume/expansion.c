// SPDX-License-Identifier: Apache-2.0
// Growing a volume on the node: whoever made it larger has said so in the PersistentVolume; when the file system has followed,
// the claim says so too.
#include "kubelet/volume/volumes_internal.h"
#include "libcommon/api/quantity.h"
#include "libcommon/format/json.h"

static int64_t size_of(const json_t *object, const char *path)
{
        const json_t *quantity = cx_json_get(object, path);
        return quantity ? cx_quantity_value_of(quantity) : 0;
}

static bool is_due(const struct found_volume *f)
{
        int64_t have = size_of(f->job.claim, "status.capacity.storage");
        return have > 0 && size_of(f->job.persistent, "spec.capacity.storage") > have;
}

// Takes the conditions of the growth away, and the capacity on.
static int report(const struct found_volume *f, struct cx_error *err)
{
        const struct kubelet *k = f->volumes->kubelet;
        json_auto_t *patch = json_pack("{s:{s:{s:O}, s:{s:n}, s:[{s:s, s:s}, {s:s, s:s}]}}", "status", "capacity",
                                       "storage", cx_json_get(f->job.persistent, "spec.capacity.storage"),
                                       "allocatedResourceStatuses", "storage", "conditions", "$patch", "delete", "type",
                                       "FileSystemResizePending", "$patch", "delete", "type", "Resizing");
        if (!json_object_size(cx_json_get(f->job.claim, "status.allocatedResourceStatuses")))
                cx_json_remove(patch, "status.allocatedResourceStatuses");
        return cx_rest_patch(k->rest,
                             CX_REF(.version = "v1", .resource = "persistentvolumeclaims",
                                    .namespace = cx_json_string(f->job.claim, "metadata.namespace"),
                                    .name = cx_json_string(f->job.claim, "metadata.name")),
                             "status", CX_PATCH_STRATEGIC, patch, NULL, err);
}

static void tell(const struct found_volume *f, const char *type, const char *reason, const char *text)
{
        const struct kubelet *k = f->volumes->kubelet;
        pod_event(k, f->pod, NULL, type, reason, "%s", text);
        if (k->events)
                cx_event(k->events,
                         &(struct cx_event_about){.api_version = "v1",
                                                  .kind = "PersistentVolumeClaim",
                                                  .namespace = cx_json_string(f->job.claim, "metadata.namespace"),
                                                  .name = cx_json_string(f->job.claim, "metadata.name"),
                                                  .uid = cx_json_string(f->job.claim, "metadata.uid")},
                         type, reason, "%s", text);
}

static int run_growth(void *context, struct cx_error *err)
{
        struct found_volume *f = context;
        int r = f->plugin->expand(&f->job, size_of(f->job.persistent, "spec.capacity.storage"), err);
        if (r == 0)
                r = report(f, err);
        if (r == -EAGAIN) // a conflict, or a driver that has enough to do
                return r;
        if (r < 0) {
                (void)found_wrap(f, "NodeExpandVolume.NodeExpandVolume failed", err);
                tell(f, "Warning", "VolumeResizeFailed", cx_error_text(err));
                return r;
        }
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("MountVolume.NodeExpandVolume succeeded for volume \"%s\" %s", f->name,
                                f->volumes->kubelet->node_name);
        tell(f, "Normal", "FileSystemResizeSuccessful", text);
        claims_outdated(f->volumes->claims, cx_json_string_or(f->pod, "metadata.uid", ""));
        return 0;
}

void found_grow(const struct found_volume *f, int64_t *again)
{
        const char *uid = cx_json_string_or(f->pod, "metadata.uid", "");
        struct volumes *v = f->volumes;
        if (!f->job.persistent || !f->plugin->expand || f->job.read_only || !v->kubelet->rest)
                return;
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("grow/%s/%s", uid, f->name);
        if (!is_due(f)) {
                (void)operations_forget(v->operations, key);
                return;
        }
        FOUND *own = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        if (found_describe(v, f->pod, f->job.volume, true, &own, &err) < 0)
                return;
        int64_t due = INT64_MAX;
        const struct volume_operation growth = {
                .key = key, .owner = uid, .run = run_growth, .free_context = found_free, .context = cx_steal(&own)};
        // A failure has been told; the back-off says when it is tried again.
        if (operations_do(v->operations, &growth, &due, &err) < 0 && due < *again)
                *again = due;
}
