// SPDX-License-Identifier: Apache-2.0
// NodeResourcesBalancedAllocation: best where the resources that a profile names are used up alike.
#include "scheduler/plugins/requests.h"

#include "libcommon/format/json.h"

#include <math.h>

#define MOST 16 // resources that are compared

static int parse_args(void *args, const json_t *json, struct cx_error *err)
{
        struct scored_resources *resources = args;
        int r = scored_parse(resources, json_object_get(json, "resources"), err);
        return r == 0 && resources->list.count > MOST ? cx_error_set(err, -E2BIG, "resources: at most %d", MOST) : r;
}

static void release_args(void *args)
{
        scored_release(args);
}

// A pod that asks for none of them balances nothing.
static bool asks_for_one(struct cycle *cycle)
{
        const struct scored_resources *resources = args_of_plugin(cycle);
        const struct pod_requests *pod = state_of_pod(cycle);
        for (size_t i = 0; i < resources->list.count; i++) {
                const struct scored_resource *resource = &resources->list.items[i];
                if (resource->base >= 0 && pod->base[resource->base])
                        return true;
                for (size_t j = 0; resource->base < 0 && j < pod->extended.count; j++)
                        if (pod->extended.items[j].amount.id == resource->id && pod->extended.items[j].amount.amount)
                                return true;
        }
        return false;
}

// 100 less the standard deviation of the parts that are used.
static int64_t score(struct cycle *cycle, const struct node *node)
{
        const struct scored_resources *resources = args_of_plugin(cycle);
        double parts[MOST], mean = 0, sum = 0;
        int n = 0;
        for (size_t i = 0; i < resources->list.count; i++) {
                int64_t allocatable, requested;
                if (!scored_amounts(cycle, node, &resources->list.items[i], false, &allocatable, &requested))
                        continue;
                parts[n] = requested >= allocatable ? 1 : (double)requested / (double)allocatable;
                mean += parts[n++];
        }
        if (n == 2)
                return (int64_t)((1 - fabs(parts[0] - parts[1]) / 2) * MAX_SCORE);
        if (n < 2)
                return MAX_SCORE;
        mean /= n;
        for (int i = 0; i < n; i++)
                sum += (parts[i] - mean) * (parts[i] - mean);
        return (int64_t)((1 - sqrt(sum / n)) * MAX_SCORE);
}

const struct plugin balanced_allocation_plugin = {
        .name = "NodeResourcesBalancedAllocation",
        .weight = 1,
        .args_size = sizeof(struct scored_resources),
        .parse_args = parse_args,
        .release_args = release_args,
        .fields = requests_fields,
        .pod_size = sizeof(struct pod_requests),
        .parse = requests_parse,
        .release_pod = requests_release,
        .node_size = sizeof(struct node_requests),
        .count = requests_count,
        .release_node = requests_release_node,
        .pre_score = asks_for_one,
        .score = score,
};
