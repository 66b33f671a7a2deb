// SPDX-License-Identifier: Apache-2.0
#include "apiserver/strategy/pods_resize.h"

#include "libcommon/api/pod.h"
#include "libcommon/api/resources.h"
#include "libcommon/format/json.h"

#include <string.h>

static const char *const resized[] = {"resources", "resizePolicy"};

static void take_member(json_t *to, const json_t *from, const char *name)
{
        json_t *value = json_object_get(from, name);
        if (value)
                json_object_set(to, name, value);
        else
                json_object_del(to, name);
}

void pods_resize_prepare(json_t *object, const json_t *old)
{
        static const char *const metadata[] = {"resourceVersion", "managedFields"};
        json_auto_t *result = json_deep_copy(old);
        const json_t *spec = json_object_get(object, "spec");
        for (size_t i = 0; i < CX_ARRAY_SIZE(metadata); i++)
                take_member(cx_json_object_at(result, "metadata"), json_object_get(object, "metadata"), metadata[i]);
        CX_POD_FOREACH(walk, json_object_get(result, "spec"), CX_POD_TEMPLATE)
        {
                const json_t *asked = cx_pod_container(spec, walk.name, CX_POD_TEMPLATE, NULL);
                for (size_t i = 0; asked && i < CX_ARRAY_SIZE(resized); i++)
                        take_member(walk.container, asked, resized[i]);
        }
        json_object_clear(object);
        json_object_update(object, result);
}

// cpu and memory may be changed, and requests and limits may be added, but not taken away.
static void check_list(const json_t *now, const json_t *old, const char *list, const char *field,
                       struct cx_error *causes)
{
        const char *name;
        json_t *value;
        bool removed = false;
        json_object_foreach (json_object_get(old, list), name, value)
                removed = removed || !json_object_get(json_object_get(now, list), name);
        if (!removed)
                return;
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s.%s", field, list);
        cx_error_cause(causes, "FieldValueForbidden", path, "Forbidden: resource %s cannot be removed", list);
}

static json_t *without_cpu_and_memory(const json_t *resources)
{
        static const char *const lists[] = {"requests", "limits"};
        json_t *copy = json_is_object(resources) ? json_deep_copy(resources) : json_object();
        for (size_t i = 0; i < CX_ARRAY_SIZE(lists); i++) {
                json_t *list = json_object_get(copy, lists[i]);
                json_object_del(list, "cpu");
                json_object_del(list, "memory");
                if (!json_object_size(list))
                        json_object_del(copy, lists[i]);
        }
        return copy;
}

static bool others_equal(const json_t *a, const json_t *b)
{
        json_auto_t *left = without_cpu_and_memory(a);
        json_auto_t *right = without_cpu_and_memory(b);
        return json_equal(left, right);
}

void pods_resize_validate(const json_t *object, const json_t *old, struct cx_error *causes)
{
        const json_t *spec = json_object_get(object, "spec"), *before = json_object_get(old, "spec");
        bool others = true;
        if (cx_pod_is_mirror(old)) {
                cx_error_cause(causes, "FieldValueForbidden", "", "Forbidden: static pods cannot be resized");
                return;
        }
        const char *qos = cx_json_string_or(old, "status.qosClass", cx_pod_qos(before));
        if (strcmp(qos, cx_pod_qos(spec)) != 0)
                cx_error_cause(causes, "FieldValueInvalid", "spec",
                               "Invalid value: \"%s\": Pod QOS Class may not change as a result of resizing",
                               cx_pod_qos(spec));
        CX_POD_FOREACH(walk, before, CX_POD_TEMPLATE)
        {
                enum cx_pod_list list;
                const json_t *now = cx_pod_container(spec, walk.name, CX_POD_TEMPLATE, &list);
                const json_t *resources = json_object_get(now, "resources");
                const json_t *was = json_object_get(walk.container, "resources");
                bool sidecar = cx_container_is_sidecar(walk.container);
                CX_CLEANUP(cx_freep)
                char *field = cx_sprintf("spec.%s[%zu].resources",
                                         list == CX_POD_INIT ? "initContainers" : "containers", walk.index);
                others = others && others_equal(resources, was);
                if (list == CX_POD_INIT && !sidecar) { // it has run, or will be gone before the change counts
                        others = others && json_equal(resources, was);
                        continue;
                }
                check_list(resources, was, "requests", field, causes);
                check_list(resources, was, "limits", field, causes);
        }
        if (!others)
                cx_error_cause(causes, "FieldValueForbidden", "spec",
                               "Forbidden: only cpu and memory resources are mutable");
}
