// SPDX-License-Identifier: Apache-2.0
// Reading a pod: the one place that knows in which lists its containers are and how its conditions are kept.
#include "libcommon/api/pod.h"

#include "libcommon/base/strings.h"
#include "libcommon/format/json.h"

#include <string.h>

static const struct {
        enum cx_pod_list list;
        const char *name, *statuses;
} lists_of_pod[] = {
        {CX_POD_INIT, "initContainers", "initContainerStatuses"},
        {CX_POD_MAIN, "containers", "containerStatuses"},
        {CX_POD_EPHEMERAL, "ephemeralContainers", "ephemeralContainerStatuses"},
};

static size_t index_of(enum cx_pod_list list)
{
        size_t i = 0;
        while (i + 1 < CX_ARRAY_SIZE(lists_of_pod) && lists_of_pod[i].list != list)
                i++;
        return i;
}

const char *cx_pod_list_name(enum cx_pod_list list)
{
        return lists_of_pod[index_of(list)].name;
}

const char *cx_pod_list_statuses(enum cx_pod_list list)
{
        return lists_of_pod[index_of(list)].statuses;
}

// Moves on to the next list that has a container at walk->index.
static void settle(struct cx_pod_walk *walk)
{
        for (size_t i = index_of(walk->list); i < CX_ARRAY_SIZE(lists_of_pod); i++) {
                walk->list = lists_of_pod[i].list;
                walk->container =
                        walk->lists & walk->list
                                ? json_array_get(json_object_get(walk->spec, lists_of_pod[i].name), walk->index)
                                : NULL;
                if (walk->container) {
                        walk->name = cx_json_string_or(walk->container, "name", "");
                        return;
                }
                walk->index = 0;
        }
}

struct cx_pod_walk cx_pod_walk_begin(const json_t *spec, unsigned lists)
{
        struct cx_pod_walk walk = {.spec = spec, .lists = lists, .list = lists_of_pod[0].list};
        settle(&walk);
        return walk;
}

void cx_pod_walk_next(struct cx_pod_walk *walk)
{
        walk->index++;
        settle(walk);
}

json_t *cx_pod_container(const json_t *spec, const char *name, unsigned lists, enum cx_pod_list *ret_list)
{
        CX_POD_FOREACH(walk, spec, lists)
        {
                if (!cx_streq(walk.name, name))
                        continue;
                if (ret_list)
                        *ret_list = walk.list;
                return walk.container;
        }
        return NULL;
}

json_t *cx_pod_container_status(const json_t *pod, const char *name)
{
        const json_t *status = json_object_get(pod, "status");
        for (size_t i = 0; name && i < CX_ARRAY_SIZE(lists_of_pod); i++) {
                json_t *found = cx_json_find(json_object_get(status, lists_of_pod[i].statuses), "name", name);
                if (found)
                        return found;
        }
        return NULL;
}

bool cx_container_is_sidecar(const json_t *container)
{
        return cx_streq(json_string_value(json_object_get(container, "restartPolicy")), "Always");
}

int cx_pod_named_port(const json_t *spec, const char *name, const char *protocol)
{
        CX_POD_FOREACH(walk, spec, CX_POD_TEMPLATE)
        {
                if (walk.list == CX_POD_INIT && !cx_container_is_sidecar(walk.container))
                        continue;
                size_t i;
                json_t *port;
                json_array_foreach (json_object_get(walk.container, "ports"), i, port) {
                        if (cx_streq(cx_json_string(port, "name"), name) &&
                            (!protocol || cx_streq(cx_json_string_or(port, "protocol", "TCP"), protocol)))
                                return (int)cx_json_int(port, "containerPort", 0);
                }
        }
        return 0;
}

json_t *cx_pod_condition(const json_t *pod, const char *type)
{
        return cx_json_find(cx_json_get(pod, "status.conditions"), "type", type);
}

bool cx_pod_condition_is(const json_t *pod, const char *type, const char *status)
{
        return cx_streq(cx_json_string(cx_pod_condition(pod, type), "status"), status);
}

bool cx_pod_is_ready(const json_t *pod)
{
        return cx_pod_condition_is(pod, "Ready", "True");
}

const char *cx_pod_phase(const json_t *pod)
{
        return cx_json_string_or(pod, "status.phase", "");
}

bool cx_pod_is_terminal(const json_t *pod)
{
        const char *phase = cx_pod_phase(pod);
        return strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
}

bool cx_pod_is_terminating(const json_t *pod)
{
        return cx_json_string(pod, "metadata.deletionTimestamp");
}

bool cx_pod_is_mirror(const json_t *pod)
{
        return json_object_get(cx_json_get(pod, "metadata.annotations"), "kubernetes.io/config.mirror");
}
