// SPDX-License-Identifier: Apache-2.0
// Events about pods, and how messages name them.
#include "kubelet/base/kubelet.h"

#include "libcommon/api/pod.h"
#include "libcommon/base/log.h"
#include "libcommon/format/json.h"

void pod_event(const struct kubelet *k, const json_t *pod, const char *container, const char *type, const char *reason,
               const char *format, ...)
{
        CX_BUF text = CX_BUF_INIT_MAX(8192);
        va_list args;
        va_start(args, format);
        cx_buf_vprintf(&text, format, args);
        va_end(args);
        const char *namespace = cx_json_string_or(pod, "metadata.namespace", "");
        const char *name = cx_json_string_or(pod, "metadata.name", "");
        cx_debug(2, "Event", "pod", name, "namespace", namespace, "type", type, "reason", reason, "message", text.data);
        if (!k->events)
                return;
        enum cx_pod_list list = CX_POD_MAIN;
        if (container)
                (void)cx_pod_container(json_object_get(pod, "spec"), container, CX_POD_ALL, &list);
        CX_CLEANUP(cx_freep)
        char *path = container ? cx_sprintf("spec.%s{%s}", cx_pod_list_name(list), container) : NULL;
        cx_event(k->events,
                 &(struct cx_event_about){.api_version = "v1",
                                          .kind = "Pod",
                                          .namespace = namespace,
                                          .name = name,
                                          .uid = cx_json_string(pod, "metadata.uid"),
                                          .resource_version = cx_json_string(pod, "metadata.resourceVersion"),
                                          .field_path = path},
                 type, reason, "%s", text.data);
}

char *pod_text(const json_t *pod)
{
        return cx_sprintf("%s_%s(%s)", cx_json_string_or(pod, "metadata.name", ""),
                          cx_json_string_or(pod, "metadata.namespace", ""), cx_json_string_or(pod, "metadata.uid", ""));
}
