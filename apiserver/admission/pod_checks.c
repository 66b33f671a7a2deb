// SPDX-License-Identifier: Apache-2.0
// What the checks of both levels share: whose context is bad, and how it is said.
#include "apiserver/admission/pod_checks.h"

#include "libcommon/api/pod.h"
#include "libcommon/format/json.h"

void pod_containers_with(const struct pod_subject *pod, pod_context_fn is_so, void *found, struct cx_strings *ret_names)
{
        CX_POD_FOREACH(walk, pod->spec, CX_POD_ALL)
        {
                if (is_so(json_object_get(walk.container, "securityContext"), found))
                        cx_strings_add(ret_names, walk.name);
        }
}

void pod_once(struct cx_strings *list)
{
        size_t count = 0;
        cx_strings_sort(list);
        for (size_t i = 0; i < list->count; i++) {
                if (count && strcmp(list->items[count - 1], list->items[i]) == 0)
                        free(list->items[i]);
                else
                        list->items[count++] = list->items[i];
        }
        list->count = count;
}

void pod_quote(struct cx_buf *to, const struct cx_strings *list)
{
        for (size_t i = 0; i < list->count; i++)
                cx_buf_printf(to, "%s\"%s\"", i ? ", " : "", list->items[i]);
}

void pod_containers(struct cx_buf *to, const struct cx_strings *names)
{
        cx_buf_add(to, names->count == 1 ? "container " : "containers ");
        pod_quote(to, names);
}

void pod_setters(struct cx_buf *to, bool pod, const struct cx_strings *containers)
{
        cx_buf_add(to, pod ? "pod" : "");
        cx_buf_add(to, pod && containers->count ? " and " : "");
        if (containers->count)
                pod_containers(to, containers);
}

bool pod_seccomp_is_bad(const json_t *context, void *values)
{
        const json_t *profile = json_object_get(context, "seccompProfile");
        const char *type = cx_json_string_or(profile, "type", "");
        if (!profile || strcmp(type, "RuntimeDefault") == 0 || strcmp(type, "Localhost") == 0)
                return false;
        cx_strings_add(values, type);
        return true;
}
