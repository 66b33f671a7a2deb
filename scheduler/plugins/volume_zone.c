// SPDX-License-Identifier: Apache-2.0
// VolumeZone: a volume with the label of a zone or a region is reached from there only.
#include "scheduler/plugins/claims.h"
#include "scheduler/plugins/plugins.h"

static const char *const topologies[] = {"topology.kubernetes.io/zone", "topology.kubernetes.io/region",
                                         "failure-domain.beta.kubernetes.io/zone",
                                         "failure-domain.beta.kubernetes.io/region"};

struct zones {
        LIST(
                struct volume_label {
                        const char *label;
                        char *values; // with "__" between them
                },
                list);
};

// A label of before or after the renaming stands for the other as well.
static const char *label_of_node(const struct node *node, size_t topology)
{
        const char *value = node_label(node, topologies[topology]);
        return value ? value : node_label(node, topologies[(topology + 2) % CX_ARRAY_SIZE(topologies)]);
}

static void add_zones(struct zones *state, const struct cx_object *volume)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(topologies); i++) {
                const char *value = cx_object_label(volume, topologies[i]);
                if (value)
                        *LIST_ADD(&state->list) = (struct volume_label){topologies[i], cx_strdup(value)};
        }
}

static bool pre_filter(struct cycle *cycle)
{
        const struct wanted_claims *wanted = state_of_pod(cycle);
        struct zones *state = state_of_cycle(cycle);
        for (size_t i = 0; i < wanted->list.count; i++) {
                CX_OBJECT *claim = claims_get(cycle, &wanted->list.items[i]);
                if (!claim || !*CLAIM_OF(claim)->volume) // VolumeBinding speaks of it
                        continue;
                CX_OBJECT *volume = volumes_get(&cycle->cache->volumes, STORAGE_VOLUME, CLAIM_OF(claim)->volume);
                if (!volume) {
                        cycle_refuse(cycle, "persistentvolume \"%s\" not found", CLAIM_OF(claim)->volume);
                        return true;
                }
                add_zones(state, volume);
        }
        return state->list.count;
}

static void release_cycle(void *cycle_state)
{
        struct zones *state = cycle_state;
        for (size_t i = 0; i < state->list.count; i++)
                free(state->list.items[i].values);
        free(state->list.items);
}

static bool is_among(const char *value, const char *values)
{
        size_t length = strlen(value);
        for (;;) {
                const char *end = strstr(values, "__");
                if ((end ? (size_t)(end - values) : strlen(values)) == length && strncmp(values, value, length) == 0)
                        return true;
                if (!end)
                        return false;
                values = end + 2;
        }
}

static bool is_zoned(const struct node *node)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(topologies); i++)
                if (node_label(node, topologies[i]))
                        return true;
        return false;
}

static bool filter(struct cycle *cycle, const struct node *node)
{
        const struct zones *state = state_of_cycle(cycle);
        if (!is_zoned(node)) // a cluster without zones
                return true;
        for (size_t i = 0; i < state->list.count; i++) {
                size_t topology = 0;
                while (strcmp(topologies[topology], state->list.items[i].label) != 0)
                        topology++;
                const char *value = label_of_node(node, topology);
                if (!value || !is_among(value, state->list.items[i].values)) {
                        cycle_reject_for_good(cycle, "node(s) had no available volume zone");
                        return false;
                }
        }
        return true;
}

const struct plugin volume_zone_plugin = {
        .name = "VolumeZone",
        .events = EVENT_NODE | EVENT_NODE_LABELS | EVENT_NODE_TAINTS | EVENT_CLAIM | EVENT_VOLUME | EVENT_CLASS,
        .fields = claims_fields,
        .pod_size = sizeof(struct wanted_claims),
        .parse = claims_parse,
        .release_pod = claims_release,
        .concerns = claims_concern,
        .cycle_size = sizeof(struct zones),
        .release_cycle = release_cycle,
        .pre_filter = pre_filter,
        .filter = filter,
};
