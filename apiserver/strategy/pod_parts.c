// SPDX-License-Identifier: Apache-2.0
// pods/ephemeralcontainers and pods/resize: whole pods are sent and answered, of which only that part counts.
#include "apiserver/strategy/pod_parts.h"

#include "format/json.h"

static const char *const lists[] = {"containers", "initContainers"};

bool cx_is_pod_part(const char *subresource)
{
        return cx_streq(subresource, "ephemeralcontainers") || cx_streq(subresource, "resize");
}

static void take(json_t *to, const json_t *from, const char *key)
{
        if (json_object_get(from, key))
                json_object_set(to, key, json_object_get(from, key));
        else
                json_object_del(to, key);
}

static void take_resources(json_t *containers, const json_t *asked)
{
        for (size_t i = 0; i < json_array_size(containers); i++) {
                json_t *container = json_array_get(containers, i);
                const json_t *from = cx_json_find(asked, "name", cx_json_string_or(container, "name", ""));
                if (!from)
                        continue;
                take(container, from, "resources");
                take(container, from, "resizePolicy");
        }
}

void cx_pod_take_part(json_t *object, const json_t *old, const char *subresource)
{
        json_auto_t *asked = json_incref(json_object_get(object, "spec"));
        json_auto_t *asked_metadata = json_incref(json_object_get(object, "metadata"));
        const json_t *old_spec = json_object_get(old, "spec");
        json_t *spec = json_deep_copy(old_spec), *metadata = json_deep_copy(json_object_get(old, "metadata"));
        json_object_clear(object);
        json_object_update(object, (json_t *)old);
        json_object_set_new(object, "spec", spec);
        json_object_set_new(object, "metadata", metadata);
        take(metadata, asked_metadata, "resourceVersion");
        take(metadata, asked_metadata, "managedFields");
        if (strcmp(subresource, "ephemeralcontainers") == 0) {
                take(spec, asked, "ephemeralContainers");
        } else {
                for (size_t l = 0; l < CX_ARRAY_SIZE(lists); l++)
                        take_resources(json_object_get(spec, lists[l]), json_object_get(asked, lists[l]));
                take(spec, asked, "resources");
        }
        if (!json_equal(spec, old_spec))
                json_object_set_new(metadata, "generation", json_integer(cx_json_int(metadata, "generation", 0) + 1));
}

// They come, and never change or go.
static void check_ephemeral(const json_t *object, const json_t *old, struct cx_error *causes)
{
        const json_t *now = cx_json_get(object, "spec.ephemeralContainers"),
                     *before = cx_json_get(old, "spec.ephemeralContainers");
        for (size_t i = 0; i < json_array_size(before); i++) {
                const json_t *had = json_array_get(before, i);
                const char *name = cx_json_string_or(had, "name", "");
                const json_t *has = cx_json_find(now, "name", name);
                if (!has || !json_equal(has, had))
                        cx_error_cause(causes, "FieldValueForbidden", "spec.ephemeralContainers",
                                       "Forbidden: existing ephemeral containers \"%s\" may not be %s\n", name,
                                       has ? "changed" : "removed");
        }
        for (size_t i = 0; i < json_array_size(now); i++) {
                const char *name = cx_json_string_or(json_array_get(now, i), "name", "");
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("spec.ephemeralContainers[%zu].name", i);
                for (size_t l = 0; l < CX_ARRAY_SIZE(lists); l++)
                        if (cx_json_find(json_object_get(json_object_get(object, "spec"), lists[l]), "name", name))
                                cx_error_cause(causes, "FieldValueDuplicate", field, "Duplicate value: \"%s\"", name);
        }
}

static json_t *without_cpu_and_memory(const json_t *container)
{
        static const char *const parts[] = {"requests", "limits"};
        json_t *resources = json_deep_copy(json_object_get(container, "resources"));
        for (size_t p = 0; p < CX_ARRAY_SIZE(parts); p++) {
                json_t *amounts = json_object_get(resources, parts[p]);
                json_object_del(amounts, "cpu");
                json_object_del(amounts, "memory");
                if (amounts && !json_object_size(amounts))
                        json_object_del(resources, parts[p]);
        }
        return resources ? resources : json_object();
}

static void check_resize(const json_t *object, const json_t *old, struct cx_error *causes)
{
        const char *class = cx_pod_quality_of_service(object);
        if (strcmp(class, cx_pod_quality_of_service(old)) != 0)
                cx_error_cause(causes, "FieldValueInvalid", "spec",
                               "Invalid value: \"%s\": Pod QOS Class may not change as a result of resizing", class);
        for (size_t l = 0; l < CX_ARRAY_SIZE(lists); l++) {
                const json_t *now = json_object_get(json_object_get(object, "spec"), lists[l]);
                const json_t *before = json_object_get(json_object_get(old, "spec"), lists[l]);
                for (size_t i = 0; i < json_array_size(now); i++) {
                        json_auto_t *a = without_cpu_and_memory(json_array_get(now, i));
                        json_auto_t *b = without_cpu_and_memory(json_array_get(before, i));
                        CX_CLEANUP(cx_freep) char *field = cx_sprintf("spec.%s[%zu].resources", lists[l], i);
                        if (!json_equal(a, b))
                                cx_error_cause(causes, "FieldValueForbidden", field,
                                               "Forbidden: only cpu and memory resources are mutable");
                }
        }
}

void cx_check_pod_part(const json_t *object, const json_t *old, const char *subresource, struct cx_error *causes)
{
        (strcmp(subresource, "resize") == 0 ? check_resize : check_ephemeral)(object, old, causes);
}
