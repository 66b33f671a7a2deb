// SPDX-License-Identifier: Apache-2.0
// Requests become integers when a pod is parsed; nodes add them up.
#include "scheduler/plugins/requests.h"

#include "libcommon/api/resources.h"
#include "libcommon/format/json.h"

// Larger amounts are cut: so the sum over more pods than a node can have does not overflow, and none that is real is
// cut.
#define LARGEST (INT64_MAX >> 12)

const char *const requests_fields[] = {"spec.initContainers[].resources",
                                       "spec.initContainers[].restartPolicy",
                                       "spec.containers[].resources",
                                       "spec.resources",
                                       "spec.overhead",
                                       "spec.containers[].name",
                                       "spec.initContainers[].name",
                                       "status.containerStatuses[].name",
                                       "status.containerStatuses[].resources",
                                       "status.containerStatuses[].allocatedResources",
                                       "status.initContainerStatuses[].name",
                                       "status.initContainerStatuses[].resources",
                                       "status.initContainerStatuses[].allocatedResources",
                                       "status.conditions[].type", // not their times, which are each pod's own
                                       "status.conditions[].reason",
                                       NULL};

static int64_t limited(int64_t amount)
{
        return amount < LARGEST ? amount : LARGEST;
}

void requests_parse(void *state, const json_t *pod)
{
        struct pod_requests *to = state;
        const json_t *spec = json_object_get(pod, "spec");
        CX_RESOURCE_LIST requests = {0}, nonzero = {0};
        const json_t *status = json_object_get(pod, "status");
        cx_pod_resources(spec, &(struct cx_pod_resources_options){.status = status}, &requests);
        cx_pod_resources(spec, &(struct cx_pod_resources_options){.nonzero = true, .status = status}, &nonzero);
        for (size_t i = 0; i < requests.count; i++) {
                const char *name = requests.items[i].name;
                int64_t amount = limited(cx_resource_units(name, &requests.items[i].amount));
                int base = resource_base(name);
                if (base >= 0)
                        to->base[base] = amount;
                else
                        *LIST_ADD(&to->extended) =
                                (struct wanted_resource){{resource_id(name), amount}, cx_strdup(name)};
        }
        to->nonzero[0] = limited(cx_resource_list_units(&nonzero, "cpu"));
        to->nonzero[1] = limited(cx_resource_list_units(&nonzero, "memory"));
}

void requests_release(void *state)
{
        struct pod_requests *requests = state;
        for (size_t i = 0; i < requests->extended.count; i++)
                free(requests->extended.items[i].name);
        free(requests->extended.items);
}

static void count_extended(struct node_requests *node, const struct resource_amount *amount, int sign)
{
        struct resource_amount *sum = NULL;
        for (size_t i = 0; i < node->extended.count && !sum; i++)
                if (node->extended.items[i].id == amount->id)
                        sum = &node->extended.items[i];
        if (!sum) {
                sum = LIST_ADD(&node->extended);
                sum->id = amount->id;
        }
        sum->amount += sign * amount->amount;
}

void requests_count(void *node_state, const void *pod_state, int sign)
{
        struct node_requests *node = node_state;
        const struct pod_requests *pod = pod_state;
        for (int i = 0; i < RESOURCE_BASE; i++)
                node->base[i] += sign * pod->base[i];
        for (int i = 0; i < 2; i++)
                node->nonzero[i] += sign * pod->nonzero[i];
        for (size_t i = 0; i < pod->extended.count; i++)
                count_extended(node, &pod->extended.items[i].amount, sign);
}

void requests_release_node(void *state)
{
        free(((struct node_requests *)state)->extended.items);
}

void requests_extended(const struct cycle *cycle, const struct node *node, uint64_t id, int64_t *ret_allocatable,
                       int64_t *ret_requested)
{
        const struct node_requests *requests = state_of_node(cycle, node);
        const struct node_info *info = node->info;
        *ret_allocatable = *ret_requested = 0;
        for (size_t i = 0; i < info->extended.count; i++)
                if (info->extended.items[i].id == id)
                        *ret_allocatable = info->extended.items[i].amount;
        for (size_t i = 0; i < requests->extended.count; i++)
                if (requests->extended.items[i].id == id)
                        *ret_requested = requests->extended.items[i].amount;
}

// --- what is scored --------------------------------------------------------------------------------------------------

int scored_parse(struct scored_resources *to, const json_t *resources, struct cx_error *err)
{
        size_t i;
        json_t *item;
        json_array_foreach (resources, i, item) {
                const char *name = cx_json_string_or(item, "name", "");
                if (cx_json_find(resources, "name", name) != item)
                        return cx_error_set(err, -EINVAL, "resources[%zu]: \"%s\" is there twice", i, name);
                *LIST_ADD(&to->list) = (struct scored_resource){resource_base(name), resource_id(name),
                                                                cx_json_int(item, "weight", 1)};
        }
        return 0;
}

void scored_release(struct scored_resources *resources)
{
        free(resources->list.items);
}

bool scored_amounts(const struct cycle *cycle, const struct node *node, const struct scored_resource *resource,
                    bool nonzero, int64_t *ret_allocatable, int64_t *ret_requested)
{
        const struct pod_requests *pod = state_of_pod(cycle);
        const struct node_requests *requested = state_of_node(cycle, node);
        int base = resource->base;
        if (base < 0) {
                int64_t wanted = 0;
                for (size_t i = 0; i < pod->extended.count; i++)
                        if (pod->extended.items[i].amount.id == resource->id)
                                wanted = pod->extended.items[i].amount.amount;
                requests_extended(cycle, node, resource->id, ret_allocatable, ret_requested);
                *ret_requested += wanted;
                return wanted && *ret_allocatable > 0;
        }
        nonzero = nonzero && base < 2;
        *ret_allocatable = node->info->allocatable[base];
        *ret_requested =
                nonzero ? requested->nonzero[base] + pod->nonzero[base] : requested->base[base] + pod->base[base];
        return *ret_allocatable > 0;
}
