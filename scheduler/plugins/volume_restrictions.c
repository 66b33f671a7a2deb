// SPDX-License-Identifier: Apache-2.0
// VolumeRestrictions: a claim that may be used by one pod of the cluster only (ReadWriteOncePod) is.
#include "scheduler/plugins/claims.h"
#include "scheduler/plugins/plugins.h"

struct restrictions {
        bool in_use;
};

static bool is_used(const struct cycle *cycle, const char *key)
{
        const struct node_cache *cache = cycle->cache;
        for (size_t i = 0; i < cache->groups.count; i++) {
                const struct template *template = cache->groups.items[i].template;
                if (template && claims_concern(template, state_of_template(cycle, template), key))
                        return true;
        }
        return false;
}

static bool pre_filter(struct cycle *cycle)
{
        const struct wanted_claims *wanted = state_of_pod(cycle);
        struct restrictions *state = state_of_cycle(cycle);
        bool any = false;
        for (size_t i = 0; i < wanted->list.count; i++) {
                CX_OBJECT *claim = claims_get(cycle, &wanted->list.items[i]);
                if (!claim || !(CLAIM_OF(claim)->access & CX_READ_WRITE_ONCE_POD))
                        continue;
                any = true;
                state->in_use = state->in_use || (cycle_has_outreach(cycle) && is_used(cycle, claim->key));
        }
        return any;
}

static bool filter(struct cycle *cycle, const struct node *node CX_UNUSED)
{
        if (!((const struct restrictions *)state_of_cycle(cycle))->in_use)
                return true;
        cycle_reject(cycle, "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access "
                            "mode");
        return false;
}

const struct plugin volume_restrictions_plugin = {
        .name = "VolumeRestrictions",
        .events = EVENT_ON_NODE | EVENT_CLAIM,
        .fields = claims_fields,
        .pod_size = sizeof(struct wanted_claims),
        .parse = claims_parse,
        .release_pod = claims_release,
        .reaches_out = claims_any,
        .concerns = claims_concern,
        .cycle_size = sizeof(struct restrictions),
        .pre_filter = pre_filter,
        .filter = filter,
};
