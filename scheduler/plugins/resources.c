// SPDX-License-Identifier: Apache-2.0
// NodeResourcesFit (and its least-allocated scoring) and NodeResourcesBalancedAllocation.
#include "scheduler/framework.h"

#include "libcommon/base/buf.h"

static bool lacks(struct cycle *cycle, const char *reason)
{
        cycle_reject(cycle, reason);
        return true;
}

static bool lacks_extended(struct cycle *cycle, const struct node *node, const struct resource_amount *wanted)
{
        if (wanted->amount == 0)
                return false;
        int64_t allocatable = 0;
        for (size_t i = 0; i < node->extended.count; i++) {
                if (node->extended.items[i].id != wanted->id)
                        continue;
                allocatable = node->extended.items[i].allocatable;
                if (wanted->amount <= allocatable - node->extended.items[i].requested)
                        return false;
        }
        cycle->for_good |= wanted->amount > allocatable;
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
        const struct resources *wanted = &cycle->template->requests;
        const struct node_info *info = node->info;
        bool short_of = false;
        if (node->pods + 1 > node->info->max_pods)
                short_of = lacks(cycle, "Too many pods");
        for (int i = 0; i < RESOURCE_BASE; i++)
                if (wanted->base[i] && wanted->base[i] > info->allocatable[i] - node->requested[i]) {
                        short_of = lacks(cycle, texts[i]);
                        cycle->for_good |= wanted->base[i] > info->allocatable[i]; // too much for the empty node
                }
        for (size_t i = 0; i < wanted->n_extended; i++)
                short_of |= lacks_extended(cycle, node, &wanted->extended[i]);
        return !short_of;
}

// The free part of a resource after the pod has come, of 100.
static int64_t least_allocated(int64_t allocatable, int64_t requested)
{
        return requested > allocatable ? 0 : (int64_t)((__int128)(allocatable - requested) * MAX_SCORE / allocatable);
}

static int64_t score_least_allocated(struct cycle *cycle, const struct node *node)
{
        int64_t sum = 0, weights = 0;
        for (int i = 0; i < 2; i++) {
                if (node->info->allocatable[i] <= 0)
                        continue;
                sum += least_allocated(node->info->allocatable[i], node->nonzero[i] + cycle->template->nonzero[i]);
                weights++;
        }
        return weights ? sum / weights : 0;
}

const struct plugin node_resources_fit_plugin = {
        .name = "NodeResourcesFit",
        .events = EVENT_ON_NODE,
        .node_local = true,
        .filter = filter_fit,
        .score = score_least_allocated,
        .weight = 1,
};

static bool asks_for_something(struct cycle *cycle)
{
        return !cycle->template->best_effort;
}

// Best where cpu and memory are used up alike: 100 less half the distance of the two fractions.
static int64_t score_balance(struct cycle *cycle, const struct node *node)
{
        double fractions[2];
        for (int i = 0; i < 2; i++) {
                if (node->info->allocatable[i] <= 0)
                        return MAX_SCORE;
                fractions[i] = (double)(node->requested[i] + cycle->template->requests.base[i]) /
                               (double)node->info->allocatable[i];
                fractions[i] = fractions[i] > 1 ? 1 : fractions[i];
        }
        double distance = fractions[0] > fractions[1] ? fractions[0] - fractions[1] : fractions[1] - fractions[0];
        return (int64_t)((1 - distance / 2) * MAX_SCORE);
}

const struct plugin balanced_allocation_plugin = {
        .name = "NodeResourcesBalancedAllocation",
        .pre_score = asks_for_something,
        .score = score_balance,
        .weight = 1,
};
