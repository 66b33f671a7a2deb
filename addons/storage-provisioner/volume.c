// SPDX-License-Identifier: Apache-2.0
// What would be ignored is refused.
#include "addons/storage-provisioner/volume.h"

#include "libcommon/api/storage.h"
#include "libcommon/format/json.h"

#include <errno.h>
#include <string.h>

static int check_class(const json_t *class, struct cx_error *err)
{
        const char *name;
        json_t *value;
        json_object_foreach (json_object_get(class, "parameters"), name, value)
                return cx_error_set(err, -EINVAL, "the class has the parameter \"%s\", which is not known: remove it",
                                    name);
        if (json_array_size(json_object_get(class, "mountOptions")))
                return cx_error_set(err, -EINVAL,
                                    "the class has mountOptions, which a folder does not have: remove them");
        return 0;
}

static int check_claim(const json_t *claim, struct cx_error *err)
{
        const json_t *spec = json_object_get(claim, "spec");
        if (cx_streq(cx_json_string(spec, "volumeMode"), "Block"))
                return cx_error_set(err, -EINVAL, "volumeMode Block is not made of folders: use Filesystem");
        if (json_object_get(spec, "selector"))
                return cx_error_set(err, -EINVAL, "claim Selector is not supported");
        if (json_object_get(spec, "dataSource") || json_object_get(spec, "dataSourceRef"))
                return cx_error_set(err, -EINVAL, "dataSource is not supported: a new folder is empty");
        return 0;
}

static json_t *affinity_to(const char *hostname)
{
        return json_pack("{s:{s:[{s:[{s:s, s:s, s:[s]}]}]}}", "required", "nodeSelectorTerms", "matchExpressions",
                         "key", "kubernetes.io/hostname", "operator", "In", "values", hostname);
}

int volume_make(const struct new_volume *wanted, const json_t *claim, const json_t *class, json_t **ret_volume,
                struct cx_error *err)
{
        int r = check_class(class, err);
        if (r == 0)
                r = check_claim(claim, err);
        if (r < 0)
                return r;
        const json_t *spec = json_object_get(claim, "spec");
        const char *reclaim = cx_json_string_or(class, "reclaimPolicy", "Delete");
        json_t *volume = json_pack(
                "{s:s, s:s, s:{s:s, s:{s:s, s:s}}, s:{s:{s:O}, s:O, s:s, s:s, s:s, s:{s:s}, s:o, s:{s:s, s:s, s:s, "
                "s:s, s:s, s:s}}}",
                "apiVersion", "v1", "kind", "PersistentVolume", "metadata", "name", wanted->name, "annotations",
                CX_PROVISIONED_BY, wanted->provisioner, QUOTA_ANNOTATION, wanted->quota ? "project" : "none", "spec",
                "capacity", "storage", cx_json_get(spec, "resources.requests.storage"), "accessModes",
                json_object_get(spec, "accessModes"), "persistentVolumeReclaimPolicy", reclaim, "storageClassName",
                cx_json_string_or(spec, "storageClassName", ""), "volumeMode", "Filesystem", "local", "path",
                wanted->path, "nodeAffinity", affinity_to(wanted->hostname), "claimRef", "apiVersion", "v1", "kind",
                "PersistentVolumeClaim", "namespace", cx_json_string_or(claim, "metadata.namespace", ""), "name",
                cx_json_string_or(claim, "metadata.name", ""), "uid", cx_json_string_or(claim, "metadata.uid", ""),
                "resourceVersion", cx_json_string_or(claim, "metadata.resourceVersion", ""));
        if (strcmp(reclaim, "Delete") == 0) // the folder goes before the volume does
                json_object_set_new(json_object_get(volume, "metadata"), "finalizers",
                                    json_pack("[s]", PROVISIONER_FINALIZER));
        *ret_volume = volume;
        return 0;
}
