// SPDX-License-Identifier: Apache-2.0
// Control groups of pods: their place among the tiers, and their limits from those of the containers.
#include "kubelet/pod/cgroups.h"

#include "kubelet/runtime/cgroup.h"
#include "kubelet/runtime/runtime.h"
#include "libcommon/api/pod.h"
#include "libcommon/api/resources.h"
#include "libcommon/base/log.h"
#include "libcommon/format/json.h"

static const struct {
        const char *qos, *folder;
} tiers[] = {{"Guaranteed", ""}, {"Burstable", "/burstable"}, {"BestEffort", "/besteffort"}};

char *pod_cgroup(const struct kubelet *k, const json_t *object)
{
        const char *qos = cx_pod_qos(json_object_get(object, "spec"));
        size_t t = 0;
        while (strcmp(tiers[t].qos, qos) != 0)
                t++;
        return cx_sprintf("%s/kubepods%s/pod%s", runtime_cgroup_root(k->runtime), tiers[t].folder,
                          cx_json_string_or(object, "metadata.uid", ""));
}

// Whether the pod as a whole has a limit: its own, or one of every container.
static bool is_limited(const json_t *spec, const char *resource)
{
        const json_t *own = cx_json_get(spec, "resources.limits");
        if (cx_quantity_milli_of(json_object_get(own, resource)) > 0)
                return true;
        CX_POD_FOREACH(walk, spec, CX_POD_TEMPLATE)
        {
                const json_t *limits = cx_json_get(walk.container, "resources.limits");
                if (cx_quantity_milli_of(json_object_get(limits, resource)) <= 0)
                        return false;
        }
        return true;
}

static struct cgroup_limits pod_limits(const struct kubelet *k, const json_t *spec)
{
        CX_RESOURCE_LIST requests = {0};
        CX_RESOURCE_LIST limits = {0};
        cx_pod_resources(spec, NULL, &requests);
        cx_pod_resources(spec, &(struct cx_pod_resources_options){.limits = true}, &limits);
        int64_t cpu = cx_resource_list_units(&limits, "cpu"), memory = cx_resource_list_units(&limits, "memory");
        return (struct cgroup_limits){.cpu_shares = cgroup_shares(cx_resource_list_units(&requests, "cpu")),
                                      .cpu_quota_us = cpu > 0 && is_limited(spec, "cpu") ? cgroup_quota(cpu) : 0,
                                      .memory = is_limited(spec, "memory") ? memory : 0,
                                      .pids = k->pids_limit > 0 ? k->pids_limit : 0};
}

int pod_tiers_weigh(const struct kubelet *k, const json_t *pods, struct cx_error *err)
{
        int64_t burstable = 0;
        size_t i;
        json_t *pod;
        json_array_foreach ((json_t *)pods, i, pod) {
                const json_t *spec = json_object_get(pod, "spec");
                CX_RESOURCE_LIST requests = {0};
                if (strcmp(cx_pod_qos(spec), "Burstable") != 0)
                        continue;
                cx_pod_resources(spec, NULL, &requests);
                burstable += cx_resource_list_units(&requests, "cpu");
        }
        // Guaranteed pods are in the first group itself; it has a limit as well, which keeps pods from what is reserved.
        const struct cgroup_limits limits[] = {
                {.cpu_shares = cgroup_shares(k->allocatable_cpu), .memory = k->pods_memory},
                {.cpu_shares = cgroup_shares(burstable)},
                {.cpu_shares = cgroup_shares(0)}};
        int r = 0;
        for (size_t t = 0; r == 0 && t < CX_ARRAY_SIZE(tiers); t++) {
                CX_CLEANUP(cx_freep)
                char *path = cx_sprintf("%s/kubepods%s", runtime_cgroup_root(k->runtime), tiers[t].folder);
                r = cgroup_apply(path, &limits[t], err);
        }
        return r;
}

int pod_cgroup_make(const struct kubelet *k, const json_t *object, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = pod_cgroup(k, object);
        struct cgroup_limits limits = pod_limits(k, json_object_get(object, "spec"));
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
