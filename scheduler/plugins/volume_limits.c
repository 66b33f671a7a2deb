// SPDX-License-Identifier: Apache-2.0
// NodeVolumeLimits: a node takes no more volumes of a CSI driver than the driver says there (CSINode). A volume that several
// pods use counts once; so does one that is attached, whoever uses it.
#include "scheduler/plugins/claims.h"
#include "scheduler/plugins/plugins.h"

struct wanted_volumes {
        struct cx_strings ids; // "driver^handle"
};

// The volume of a claim; the claim itself stands for one that is not there yet. NULL when it is not of a CSI driver.
static char *id_of(const struct cycle *cycle, const struct template *template, const struct wanted_claim *wanted)
{
        struct volume_cache *volumes = &cycle->cache->volumes;
        CX_CLEANUP(cx_freep) char *key = claims_key(template, wanted);
        CX_OBJECT *claim = volumes_get(volumes, STORAGE_CLAIM, key);
        if (!claim)
                return NULL;
        const struct cx_claim *facts = CLAIM_OF(claim);
        if (*facts->volume) {
                CX_OBJECT *volume = volumes_get(volumes, STORAGE_VOLUME, facts->volume);
                return volume && *VOLUME_OF(volume)->driver
                               ? cx_sprintf("%s^%s", VOLUME_OF(volume)->driver, VOLUME_OF(volume)->handle)
                               : NULL;
        }
        CX_OBJECT *class = facts->class && *facts->class ? volumes_get(volumes, STORAGE_CLASS, facts->class) : NULL;
        return class ? cx_sprintf("%s^%s", CLASS_OF(class)->provisioner, key) : NULL;
}

static void add_ids(const struct cycle *cycle, const struct template *template, struct cx_strings *to)
{
        const struct wanted_claims *wanted = state_of_template(cycle, template);
        for (size_t i = 0; i < wanted->list.count; i++) {
                CX_CLEANUP(cx_freep) char *id = id_of(cycle, template, &wanted->list.items[i]);
                if (id && !cx_strings_has(to, id))
                        cx_strings_add(to, id);
        }
}

static bool pre_filter(struct cycle *cycle)
{
        struct wanted_volumes *state = state_of_cycle(cycle);
        if (claims_any(state_of_pod(cycle)))
                add_ids(cycle, cycle->template, &state->ids);
        return state->ids.count;
}

static void release_cycle(void *cycle_state)
{
        cx_strings_release(&((struct wanted_volumes *)cycle_state)->ids);
}

static bool is_of(const char *id, const char *driver)
{
        size_t length = strlen(driver);
        return strncmp(id, driver, length) == 0 && id[length] == '^';
}

static int64_t count_of(const struct cx_strings *ids, const char *driver, const struct cx_strings *but)
{
        int64_t count = 0;
        for (size_t i = 0; i < ids->count; i++)
                count += is_of(ids->items[i], driver) && !(but && cx_strings_has(but, ids->items[i]));
        return count;
}

static bool filter(struct cycle *cycle, const struct node *node)
{
        const struct wanted_volumes *state = state_of_cycle(cycle);
        CX_OBJECT *limits = volumes_get(&cycle->cache->volumes, STORAGE_CSI_NODE, node->name);
        if (!limits || !CSI_NODE_OF(limits)->count)
                return true;
        CX_STRINGS there = CX_STRINGS_INIT;
        for (size_t i = 0; i < node->groups.count; i++)
                add_ids(cycle, cycle->cache->groups.items[node->groups.items[i].group].template, &there);
        volumes_attached(&cycle->cache->volumes, node->name, &there);
        for (size_t i = 0; i < CSI_NODE_OF(limits)->count; i++) {
                const struct csi_limit *limit = &CSI_NODE_OF(limits)->items[i];
                int64_t more = count_of(&state->ids, limit->driver, &there);
                if (more && count_of(&there, limit->driver, NULL) + more > limit->count) {
                        cycle_reject(cycle, "node(s) exceed max volume count");
                        return false;
                }
        }
        return true;
}

const struct plugin node_volume_limits_plugin = {
        .name = "NodeVolumeLimits",
        .events = EVENT_ON_NODE | EVENT_CLAIM | EVENT_CSI_NODE | EVENT_ATTACHMENT,
        .fields = claims_fields,
        .pod_size = sizeof(struct wanted_claims),
        .parse = claims_parse,
        .release_pod = claims_release,
        .concerns = claims_concern,
        .cycle_size = sizeof(struct wanted_volumes),
        .release_cycle = release_cycle,
        .pre_filter = pre_filter,
        .filter = filter,
};
