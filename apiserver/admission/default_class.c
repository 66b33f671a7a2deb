// SPDX-License-Identifier: Apache-2.0
// What names no class gets the default one when it is made: DefaultStorageClass for claims, DefaultIngressClass for Ingresses.
#include "apiserver/admission/plugin.h"

#include "libcommon/format/json.h"

static bool is_newer(const json_t *a, const json_t *b)
{
        const char *x = cx_json_string_or(a, "metadata.creationTimestamp", ""),
                   *y = cx_json_string_or(b, "metadata.creationTimestamp", "");
        int order = strcmp(x, y);
        return order ? order > 0
                     : strcmp(cx_json_string_or(a, "metadata.name", ""), cx_json_string_or(b, "metadata.name", "")) < 0;
}

// Of those with the annotation the newest; then by name. New reference or NULL.
static json_t *default_class(struct cache *classes, const char *annotation)
{
        STORED_LIST list = {0};
        json_t *best = NULL;
        cache_list(classes, &(struct filter){0}, &list);
        for (size_t i = 0; i < list.count; i++) {
                json_t *class = stored_parse(list.items[i]);
                const json_t *annotations = cx_json_get(class, "metadata.annotations");
                bool better = cx_streq(json_string_value(json_object_get(annotations, annotation)), "true") &&
                              (!best || is_newer(class, best));
                json_decref(better ? best : class);
                best = better ? class : best;
        }
        return best;
}

static void set_default(const struct admission_request *request, const char *group, const char *resource,
                        const char *annotation, const char *field)
{
        json_t *spec = json_object_get(request->object, "spec");
        if (json_object_get(spec, field))
                return;
        json_auto_t *class = default_class(builtin(request->scope->api, group, "v1", resource)->cache, annotation);
        if (class)
                json_object_set_new(spec, field, json_string(cx_json_string_or(class, "metadata.name", "")));
}

static int set_storage_class(const struct admission_request *request, struct cx_error *err CX_UNUSED)
{
        set_default(request, "storage.k8s.io", "storageclasses", "storageclass.kubernetes.io/is-default-class",
                    "storageClassName");
        return 0;
}

static const struct admission_want new_claims[] = {{ADMIT_CREATE, "", "persistentvolumeclaims", ""}, {0}};
const struct admission_plugin admission_default_storage_class = {
        .name = "DefaultStorageClass", .wants = new_claims, .mutate = set_storage_class};

// The old annotation names a class, too.
static int set_ingress_class(const struct admission_request *request, struct cx_error *err CX_UNUSED)
{
        const json_t *annotations = cx_json_get(request->object, "metadata.annotations");
        if (!json_object_get(annotations, "kubernetes.io/ingress.class"))
                set_default(request, "networking.k8s.io", "ingressclasses",
                            "ingressclass.kubernetes.io/is-default-class", "ingressClassName");
        return 0;
}

static const struct admission_want new_ingresses[] = {{ADMIT_CREATE, "networking.k8s.io", "ingresses", ""}, {0}};
const struct admission_plugin admission_default_ingress_class = {
        .name = "DefaultIngressClass", .wants = new_ingresses, .mutate = set_ingress_class};
