// SPDX-License-Identifier: Apache-2.0
// Control groups of pods: their place among the tiers, and their limits from those of the containers.
#include "kubelet/pod/cgroups.h"

#include "kubelet/pod/model.h"
#include "kubelet/runtime/cgroup.h"
#include "libcommon/api/quantity.h"
#include "libcommon/base/log.h"
#include "libcommon/format/json.h"

static const struct {
        const char *qos, *folder;
} tiers[] = {{"Guaranteed", ""}, {"Burstable", "/burstable"}, {"BestEffort", "/besteffort"}};

char *pod_cgroup(const struct kubelet *k, const json_t *object)
{
        const char *qos = pod_qos(object);
        size_t t = 0;
        while (strcmp(tiers[t].qos, qos) != 0)
                t++;
        return cx_sprintf("%s/kubepods%s/pod%s", runtime_cgroup_root(k->runtime), tiers[t].folder,
                          cx_json_string_or(object, "metadata.uid", "none"));
}

static struct cgroup_limits pod_limits(const struct kubelet *k, const json_t *object)
{
        int64_t cpu = 0, cpu_limit = 0, memory = 0;
        bool all_cpu = true, all_memory = true;
        size_t i;
        json_t *container;
        json_array_foreach (cx_json_get(object, "spec.containers"), i, container) {
                const json_t *limits = cx_json_get(container, "resources.limits");
                const json_t *asked = cx_json_get(container, "resources.requests.cpu");
                int64_t limit = cx_quantity_milli_of(json_object_get(limits, "cpu"));
                int64_t bytes = cx_quantity_value_of(json_object_get(limits, "memory"));
                cpu += asked ? cx_quantity_milli_of(asked) : limit;
                cpu_limit += limit;
                memory += bytes;
                all_cpu = all_cpu && limit > 0;
                all_memory = all_memory && bytes > 0;
        }
        json_array_foreach (cx_json_get(object, "spec.initContainers"), i, container) {
                const json_t *limits = cx_json_get(container, "resources.limits");
                int64_t limit = cx_quantity_milli_of(json_object_get(limits, "cpu"));
                int64_t bytes = cx_quantity_value_of(json_object_get(limits, "memory"));
                all_cpu = all_cpu && limit > 0;
                all_memory = all_memory && bytes > 0;
                cpu_limit = is_sidecar(container) ? cpu_limit + limit : limit > cpu_limit ? limit : cpu_limit;
                memory = is_sidecar(container) ? memory + bytes : bytes > memory ? bytes : memory;
        }
        return (struct cgroup_limits){.cpu_shares = cgroup_shares(cpu),
                                      .cpu_quota_us = all_cpu && cpu_limit > 0 ? cgroup_quota(cpu_limit) : 0,
                                      .memory = all_memory && memory > 0 ? memory : 0,
                                      .pids = k->pids_limit > 0 ? k->pids_limit : 0};
}

int pod_cgroup_make(const struct kubelet *k, const json_t *object, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = pod_cgroup(k, object);
        struct cgroup_limits limits = pod_limits(k, object);
        return cgroup_apply(path, &limits, err);
}

int pod_cgroup_remove(const struct kubelet *k, const char *uid, struct cx_error *err)
{
        for (size_t t = 0; t < CX_ARRAY_SIZE(tiers); t++) {
                CX_CLEANUP(cx_freep)
                char *path = cx_sprintf("%s/kubepods%s/pod%s", runtime_cgroup_root(k->runtime), tiers[t].folder, uid);
                int r = cgroup_remove(path, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

void pod_cgroups_remove_orphans(const struct kubelet *k, bool (*known)(void *, const char *), void *context)
{
        for (size_t t = 0; t < CX_ARRAY_SIZE(tiers); t++) {
                CX_CLEANUP(cx_freep)
                char *tier = cx_sprintf("%s/kubepods%s", runtime_cgroup_root(k->runtime), tiers[t].folder);
                json_auto_t *children = cgroup_children(tier);
                size_t i;
                json_t *child;
                json_array_foreach (children, i, child) {
                        const char *name = json_string_value(child);
                        if (!cx_has_prefix(name, "pod") || known(context, name + strlen("pod")))
                                continue;
                        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", tier, name);
                        CX_ERROR err = CX_ERROR_INIT;
                        if (cgroup_remove(path, &err) < 0)
                                cx_err(&err, "Cannot remove an orphaned control group");
                }
        }
}
