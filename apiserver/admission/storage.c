// SPDX-License-Identifier: Apache-2.0
// What admission does to claims and volumes: StorageObjectInUseProtection holds both with a finalizer while they are in use, and
// PersistentVolumeClaimResize lets only those grow whose class allows it.
#include "apiserver/admission/plugin.h"

#include "libcommon/api/quantity.h"
#include "libcommon/format/json.h"

static struct cache *classes_of(const struct admission_request *request)
{
        return builtin(request->scope->api, "storage.k8s.io", "v1", "storageclasses")->cache;
}

// --- StorageObjectInUseProtection ------------------------------------------------------------------------------------

static int add_finalizer(const struct admission_request *request, struct cx_error *err CX_UNUSED)
{
        const char *finalizer = strcmp(request->scope->resource->resource, "persistentvolumes") == 0
                                        ? "kubernetes.io/pv-protection"
                                        : "kubernetes.io/pvc-protection";
        json_t *list = cx_json_array_at(cx_json_object_at(request->object, "metadata"), "finalizers");
        for (size_t i = 0; i < json_array_size(list); i++)
                if (cx_streq(json_string_value(json_array_get(list, i)), finalizer))
                        return 0;
        json_array_append_new(list, json_string(finalizer));
        return 0;
}

static const struct admission_want new_objects[] = {
        {ADMIT_CREATE, "", "persistentvolumeclaims", ""}, {ADMIT_CREATE, "", "persistentvolumes", ""}, {0}};
const struct admission_plugin admission_storage_protection = {
        .name = "StorageObjectInUseProtection", .wants = new_objects, .mutate = add_finalizer};

// --- PersistentVolumeClaimResize -------------------------------------------------------------------------------------

static int64_t asked(const json_t *claim)
{
        const json_t *storage = cx_json_get(claim, "spec.resources.requests.storage");
        return storage ? cx_quantity_value_of(storage) : 0;
}

static int check_growth(const struct admission_request *request, struct cx_error *err)
{
        if (asked(request->object) <= asked(request->old))
                return 0;
        if (!cx_streq(cx_json_string(request->old, "status.phase"), "Bound"))
                return admission_forbid(request, "Only bound persistent volume claims can be expanded", err);
        const char *name = cx_json_string_or(request->object, "spec.storageClassName", "");
        json_auto_t *class = *name ? cache_find_json(classes_of(request), NULL, name) : NULL;
        if (class && cx_json_bool(class, "allowVolumeExpansion", false))
                return 0;
        return admission_forbid(
                request,
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the "
                "pvc must support resize",
                err);
}

static const struct admission_want changed_claims[] = {{ADMIT_UPDATE, "", "persistentvolumeclaims", ""}, {0}};
const struct admission_plugin admission_claim_resize = {
        .name = "PersistentVolumeClaimResize", .wants = changed_claims, .validate = check_growth};
