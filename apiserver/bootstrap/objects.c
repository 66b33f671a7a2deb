// SPDX-License-Identifier: Apache-2.0
// The system's namespaces and priority classes.
#include "apiserver/bootstrap/bootstrap.h"
#include "apiserver/bootstrap/ensure.h"
#include "libcommon/api/priority.h"
#include "libcommon/format/json.h"

int bootstrap_objects(struct apiserver *api, struct cx_error *err)
{
        static const char *const namespaces[] = {"default", "kube-node-lease", "kube-public", "kube-system"};
        int r = 0;
        for (size_t i = 0; r == 0 && i < CX_ARRAY_SIZE(namespaces); i++)
                r = ensure_object(api, builtin(api, "", "v1", "namespaces"),
                                  json_pack("{s:{s:s}}", "metadata", "name", namespaces[i]), err);
        for (size_t i = 0; r == 0 && i < CX_ARRAY_SIZE(cx_system_priority_classes); i++) {
                const struct cx_priority_class *class = &cx_system_priority_classes[i];
                r = ensure_object(api, builtin(api, "scheduling.k8s.io", "v1", "priorityclasses"),
                                  json_pack("{s:{s:s},s:I,s:s}", "metadata", "name", class->name, "value",
                                            (json_int_t) class->value, "description", class->description),
                                  err);
        }
        return r;
}
