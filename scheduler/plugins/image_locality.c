// SPDX-License-Identifier: Apache-2.0
// ImageLocality: nodes that have the pod's images are better, by their size. An image counts the more the more nodes have it,
// so that the first node that has one does not get all the pods.
#include "scheduler/plugins/plugins.h"

#include "libcommon/api/pod.h"
#include "libcommon/format/json.h"

#define MIB ((int64_t)1024 * 1024)
#define LEAST (23 * MIB)               // images that are quickly there do not matter
#define MOST_OF_CONTAINER (1000 * MIB) // and beyond this, more does not count

struct images { // of a pod
        LIST(uint64_t, ids);
};

static const char *const fields[] = {"spec.containers[].image", "spec.initContainers[].image", NULL};

static void parse(void *state, const json_t *pod)
{
        struct images *images = state;
        CX_POD_FOREACH(walk, json_object_get(pod, "spec"), CX_POD_TEMPLATE)
        *LIST_ADD(&images->ids) = image_id(cx_json_string_or(walk.container, "image", ""));
}

static void release_pod(void *state)
{
        free(((struct images *)state)->ids.items);
}

static bool any_image(struct cycle *cycle)
{
        const struct images *wanted = state_of_pod(cycle);
        for (size_t i = 0; i < wanted->ids.count; i++)
                if (cache_image_nodes(cycle->cache, wanted->ids.items[i]))
                        return true;
        return false;
}

static int64_t size_on(const struct node *node, uint64_t id)
{
        for (size_t i = 0; i < node->info->images.count; i++)
                if (node->info->images.items[i].id == id)
                        return node->info->images.items[i].amount;
        return 0;
}

static int64_t score(struct cycle *cycle, const struct node *node)
{
        const struct images *wanted = state_of_pod(cycle);
        double nodes = (double)cycle->cache->n_nodes;
        int64_t sum = 0, most = MOST_OF_CONTAINER * (int64_t)wanted->ids.count;
        for (size_t i = 0; i < wanted->ids.count; i++) {
                int64_t size = size_on(node, wanted->ids.items[i]);
                if (size > 0)
                        sum += (int64_t)((double)size * cache_image_nodes(cycle->cache, wanted->ids.items[i]) / nodes);
        }
        sum = sum < LEAST ? LEAST : sum > most ? most : sum;
        return MAX_SCORE * (sum - LEAST) / (most - LEAST);
}

const struct plugin image_locality_plugin = {
        .name = "ImageLocality",
        .weight = 1,
        .fields = fields,
        .pod_size = sizeof(struct images),
        .parse = parse,
        .release_pod = release_pod,
        .pre_score = any_image,
        .score = score,
};
