// SPDX-License-Identifier: Apache-2.0
// What admission does to claims and volumes: DefaultStorageClass gives a claim that names no class the default one,
// StorageObjectInUseProtection holds both with a finalizer while they are in use, and PersistentVolumeClaimResize lets only
// those grow whose class allows it.
#include "apiserver/admission/plugin.h"

#include "libcommon/api/quantity.h"
#include "libcommon/format/json.h"

#define IS_DEFAULT "storageclass.kubernetes.io/is-default-class"

static struct cache *classes_of(const struct admission_request *request)
{
        return builtin(request->scope->api, "storage.k8s.io", "v1", "storageclasses")->cache;
}

// --- DefaultStorageClass ---------------------------------------------------------------------------------------------

static bool is_newer(const json_t *a, const json_t *b)
{
        const char *x = cx_json_string_or(a, "metadata.creationTimestamp", ""),
                   *y = cx_json_string_or(b, "metadata.creationTimestamp", "");
        int order = strcmp(x, y);
        return order ? order > 0
                     : strcmp(cx_json_string_or(a, "metadata.name", ""), cx_json_string_or(b, "metadata.name", "")) < 0;
}

// Of several the newest; then by name. New reference or NULL.
static json_t *default_class(const struct admission_request *request)
{
        STORED_LIST list = {0};
        json_t *best = NULL;
        cache_list(classes_of(request), &(struct filter){0}, &list);
        for (size_t i = 0; i < list.count; i++) {
                json_t *class = stored_parse(list.items[i]);
                const json_t *annotations = cx_json_get(class, "metadata.annotations");
                bool better = cx_streq(json_string_value(json_object_get(annotations, IS_DEFAULT)), "true") &&
                              (!best || is_newer(class, best));
                json_decref(better ? best : class);
                best = better ? class : best;
        }
        return best;
}

static int set_default_class(const struct admission_request *request, struct cx_error *err CX_UNUSED)
{
        json_t *spec = json_object_get(request->object, "spec");
        if (json_object_get(spec, "storageClassName"))
                return 0;
        json_auto_t *class = default_class(request);
        if (class)
                json_object_set_new(spec, "storageClassName",
                                    json_string(cx_json_string_or(class, "metadata.name", "")));
        return 0;
}

static const struct admission_want new_claims[] = {{ADMIT_CREATE, "", "persistentvolumeclaims", ""}, {0}};
const struct admission_plugin admission_default_storage_class = {
        .name = "DefaultStorageClass", .wants = new_claims, .mutate = set_default_class};

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
