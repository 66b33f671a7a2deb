// SPDX-License-Identifier: Apache-2.0
// NodeResourcesFit (and its least-allocated scoring) and NodeResourcesBalancedAllocation. Both keep the same states.
#include "libcommon/api/resources.h"
#include "libcommon/base/buf.h"
#include "libcommon/format/json.h"
#include "scheduler/plugins/plugins.h"

// Larger amounts are cut: so the sum over more pods than a node can have does not overflow, and none that is real is
// cut.
#define LARGEST (INT64_MAX >> 12)

struct wanted_resource {
        struct resource_amount amount;
        char *name;
};
struct pod_requests {
        int64_t base[RESOURCE_BASE];
        LIST(struct wanted_resource, extended);
        int64_t nonzero[2]; // cpu and memory as scoring sees them: with something for containers that ask for nothing
};
struct node_requests {
        int64_t base[RESOURCE_BASE], nonzero[2];
        LIST(struct resource_amount, extended); // in no order: there are few
};

static const char *const fields[] = {"spec.initContainers[].resources",
                                     "spec.initContainers[].restartPolicy",
                                     "spec.containers[].resources",
                                     "spec.resources",
                                     "spec.overhead",
                                     NULL};

static int64_t limited(int64_t amount)
{
        return amount < LARGEST ? amount : LARGEST;
}

static void parse(void *state, const json_t *pod)
{
        struct pod_requests *to = state;
        const json_t *spec = json_object_get(pod, "spec");
        CX_RESOURCE_LIST requests = {0}, nonzero = {0};
        cx_pod_resources(spec, NULL, &requests);
        cx_pod_resources(spec, &(struct cx_pod_resources_options){.nonzero = true}, &nonzero);
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

static void release_pod(void *state)
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

static void count(void *node_state, const void *pod_state, int sign)
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

static void release_node(void *state)
{
        free(((struct node_requests *)state)->extended.items);
}

// --- NodeResourcesFit ------------------------------------------------------------------------------------------------

static bool lacks(struct cycle *cycle, const char *reason)
{
        cycle_reject(cycle, reason);
        return true;
}

static bool lacks_extended(struct cycle *cycle, const struct node *node, const struct wanted_resource *wanted)
{
        const struct node_requests *requests = state_of_node(cycle, node);
        const struct node_info *info = node->info;
        int64_t allocatable = 0, requested = 0;
        for (size_t i = 0; i < info->extended.count; i++)
                if (info->extended.items[i].id == wanted->amount.id)
                        allocatable = info->extended.items[i].amount;
        for (size_t i = 0; i < requests->extended.count; i++)
                if (requests->extended.items[i].id == wanted->amount.id)
                        requested = requests->extended.items[i].amount;
        if (wanted->amount.amount == 0 || wanted->amount.amount <= allocatable - requested)
                return false;
        cycle->for_good |= wanted->amount.amount > allocatable;
        if (!cycle->quiet) {
                CX_BUF text = CX_BUF_INIT;
                cx_buf_printf(&text, "Insufficient %s", wanted->name);
                cycle_reject(cycle, text.data);
        }
        return true;
}

static bool filter_fit(struct cycle *cycle, const struct node *node)
{
        static const char *const texts[] = {[RESOURCE_CPU] = "Insufficient cpu",
                                            [RESOURCE_MEMORY] = "Insufficient memory",
                                            [RESOURCE_EPHEMERAL] = "Insufficient ephemeral-storage"};
        const struct pod_requests *wanted = state_of_pod(cycle);
        const struct node_requests *requested = state_of_node(cycle, node);
        const struct node_info *info = node->info;
        bool short_of = false;
        if (node->pods + 1 > info->max_pods)
                short_of = lacks(cycle, "Too many pods");
        for (int i = 0; i < RESOURCE_BASE; i++)
                if (wanted->base[i] && wanted->base[i] > info->allocatable[i] - requested->base[i]) {
                        short_of = lacks(cycle, texts[i]);
                        cycle->for_good |= wanted->base[i] > info->allocatable[i]; // too much for the empty node
                }
        for (size_t i = 0; i < wanted->extended.count; i++)
                short_of |= lacks_extended(cycle, node, &wanted->extended.items[i]);
        return !short_of;
}

// The free part of a resource after the pod has come, of 100.
static int64_t least_allocated(int64_t allocatable, int64_t requested)
{
        return requested > allocatable ? 0 : (int64_t)((__int128)(allocatable - requested) * MAX_SCORE / allocatable);
}

static int64_t score_least_allocated(struct cycle *cycle, const struct node *node)
{
        const struct pod_requests *wanted = state_of_pod(cycle);
        const struct node_requests *requested = state_of_node(cycle, node);
        int64_t sum = 0, weights = 0;
        for (int i = 0; i < 2; i++) {
                if (node->info->allocatable[i] <= 0)
                        continue;
                sum += least_allocated(node->info->allocatable[i], requested->nonzero[i] + wanted->nonzero[i]);
                weights++;
        }
        return weights ? sum / weights : 0;
}

const struct plugin node_resources_fit_plugin = {
        .name = "NodeResourcesFit",
        .events = EVENT_ON_NODE,
        .node_local = true,
        .weight = 1,
        .fields = fields,
        .pod_size = sizeof(struct pod_requests),
        .parse = parse,
        .release_pod = release_pod,
        .node_size = sizeof(struct node_requests),
        .count = count,
        .release_node = release_node,
        .filter = filter_fit,
        .score = score_least_allocated,
};

// --- NodeResourcesBalancedAllocation ---------------------------------------------------------------------------------

static bool asks_for_something(struct cycle *cycle)
{
        const struct pod_requests *requests = state_of_pod(cycle);
        for (int i = 0; i < RESOURCE_BASE; i++)
                if (requests->base[i])
                        return true;
        return requests->extended.count;
}

// Best where cpu and memory are used up alike: 100 less half the distance of the two fractions.
static int64_t score_balance(struct cycle *cycle, const struct node *node)
{
        const struct pod_requests *wanted = state_of_pod(cycle);
        const struct node_requests *requested = state_of_node(cycle, node);
        double fractions[2];
        for (int i = 0; i < 2; i++) {
                if (node->info->allocatable[i] <= 0)
                        return MAX_SCORE;
                fractions[i] = (double)(requested->base[i] + wanted->base[i]) / (double)node->info->allocatable[i];
                fractions[i] = fractions[i] > 1 ? 1 : fractions[i];
        }
        double distance = fractions[0] > fractions[1] ? fractions[0] - fractions[1] : fractions[1] - fractions[0];
        return (int64_t)((1 - distance / 2) * MAX_SCORE);
}

const struct plugin balanced_allocation_plugin = {
        .name = "NodeResourcesBalancedAllocation",
        .weight = 1,
        .fields = fields,
        .pod_size = sizeof(struct pod_requests),
        .parse = parse,
        .release_pod = release_pod,
        .node_size = sizeof(struct node_requests),
        .count = count,
        .release_node = release_node,
        .pre_score = asks_for_something,
        .score = score_balance,
};
