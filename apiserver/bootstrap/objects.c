// SPDX-License-Identifier: Apache-2.0
// The system's namespaces and priority classes.
#include "apiserver/bootstrap/bootstrap.h"
#include "apiserver/bootstrap/ensure.h"
#include "libcommon/format/json.h"

int bootstrap_objects(struct apiserver *api, struct cx_error *err)
{
        static const char *const namespaces[] = {"default", "kube-node-lease", "kube-public", "kube-system"};
        static const struct {
                const char *name, *description;
                int value;
        } classes[] = {
                {"system-cluster-critical",
                 "Used for system critical pods that must run in the cluster, but can be moved to another node if "
                 "necessary.",
                 2000000000},
                {"system-node-critical",
                 "Used for system critical pods that must not be moved from their current node.", 2000001000}};
        int r = 0;
        for (size_t i = 0; r == 0 && i < CX_ARRAY_SIZE(namespaces); i++)
                r = ensure_object(api, builtin(api, "", "v1", "namespaces"),
                                  json_pack("{s:{s:s}}", "metadata", "name", namespaces[i]), err);
        for (size_t i = 0; r == 0 && i < CX_ARRAY_SIZE(classes); i++)
                r = ensure_object(api, builtin(api, "scheduling.k8s.io", "v1", "priorityclasses"),
                                  json_pack("{s:{s:s},s:i,s:s}", "metadata", "name", classes[i].name, "value",
                                            classes[i].value, "description", classes[i].description),
                                  err);
        return r;
}
