// SPDX-License-Identifier: Apache-2.0
// What is used is counted file by file, so only pods that have a limit are looked at.
#include "kubelet/pod/storage_limits.h"

#include "kubelet/pod/disk_use.h"
#include "kubelet/volume/volumes.h"
#include "libcommon/api/pod.h"
#include "libcommon/api/quantity.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define PERIOD (10 * CX_NS_PER_S)

static const json_t *storage_limit(const json_t *container)
{
        return json_object_get(cx_json_get(container, "resources.limits"), "ephemeral-storage");
}

static bool has_limits(const json_t *object)
{
        size_t i;
        json_t *volume;
        json_array_foreach (cx_json_get(object, "spec.volumes"), i, volume)
                if (cx_json_get(volume, "emptyDir.sizeLimit"))
                        return true;
        CX_POD_FOREACH(walk, json_object_get(object, "spec"), CX_POD_TEMPLATE)
        if (storage_limit(walk.container))
                return true;
        return false;
}

// What the runs of a container have written: their layers and logs.
static int64_t container_use(const struct pod *pod, const char *name)
{
        CONTAINERS list = {0};
        int64_t sum = 0, logs = 0;
        runtime_containers(pod->pods->kubelet->runtime, pod->uid, &list);
        for (size_t i = 0; i < list.count; i++) {
                const struct container *c = list.items[i];
                if (strcmp(c->name, name) != 0)
                        continue;
                struct disk_use use = disk_use_of(c);
                sum += use.layer_bytes;
                logs = use.log_bytes; // of all runs
        }
        return sum + logs;
}

// The volumes' use together, and the message about the first that has more than it may.
static int64_t volumes_use(const struct pod *pod, const json_t *object, char **ret_excess)
{
        int64_t sum = 0;
        size_t i;
        json_t *volume;
        json_array_foreach (cx_json_get(object, "spec.volumes"), i, volume) {
                const json_t *limit = cx_json_get(volume, "emptyDir.sizeLimit");
                int64_t used = 0, most = limit ? cx_quantity_value_of(limit) : 0;
                CX_ERROR err = CX_ERROR_INIT;
                if (!json_object_get(volume, "emptyDir") ||
                    volumes_used(pod->pods->volumes, object, volume, &used, &err) < 0)
                        continue;
                sum += used;
                if (most > 0 && used > most && !*ret_excess)
                        *ret_excess =
                                cx_sprintf("Usage of EmptyDir volume \"%s\" exceeds the limit \"%s\". ",
                                           cx_json_string_or(volume, "name", ""), cx_str(json_string_value(limit)));
        }
        return sum;
}

static char *containers_excess(const struct pod *pod, const json_t *object, int64_t used)
{
        struct cx_quantity limits = {0}, one;
        CX_CLEANUP(cx_freep) char *excess = NULL;
        bool any = false;
        CX_POD_FOREACH(walk, json_object_get(object, "spec"), CX_POD_TEMPLATE)
        {
                const json_t *limit = storage_limit(walk.container);
                int64_t own = container_use(pod, walk.name);
                used += own;
                if (!limit || cx_quantity_from_json(limit, &one) < 0)
                        continue;
                limits.nano += one.nano;
                limits.format = one.format;
                any = true;
                if (own > cx_quantity_value(&one) && !excess)
                        excess = cx_sprintf("Container %s exceeded its local ephemeral storage limit \"%s\". ",
                                            walk.name, cx_str(json_string_value(limit)));
        }
        if (any && used > cx_quantity_value(&limits)) {
                char text[CX_QUANTITY_TEXT];
                cx_quantity_format(&limits, text);
                return cx_sprintf("Pod ephemeral local storage usage exceeds the total limit of containers %s. ", text);
        }
        return cx_steal(&excess);
}

char *pod_storage_excess(struct pod *pod, const json_t *object)
{
        int64_t now = cx_time_monotonic();
        if (!pod->was_up || !has_limits(object))
                return NULL;
        if (pod->measure_at > now) {
                pod_again(pod, pod->measure_at - now);
                return NULL;
        }
        pod->measure_at = now + PERIOD;
        pod_again(pod, PERIOD);
        char *excess = NULL;
        int64_t used = volumes_use(pod, object, &excess);
        return excess ? excess : containers_excess(pod, object, used);
}
