// SPDX-License-Identifier: Apache-2.0
// The walk over the nodes, and the pods that count on a node before they run there.
#include "scheduler/core/framework.h"

#include "libcommon/base/time.h"
#include "scheduler/core/preemption.h"

#define MIN_FEASIBLE 100 // nodes; below, all are looked at

// How many nodes are enough to choose from: all of a small cluster, down to 5 % of a huge one unless the profile says how
// many, never less than 100.
static size_t enough(const struct scheduler_profile *profile, size_t nodes)
{
        if (nodes < MIN_FEASIBLE)
                return nodes;
        size_t percent = profile->percentage ? (size_t)profile->percentage : nodes / 125 < 45 ? 50 - nodes / 125 : 5;
        size_t wanted = nodes * percent / 100;
        return wanted < MIN_FEASIBLE ? MIN_FEASIBLE : wanted;
}

static bool is_spared(const struct cycle *cycle, const struct node *node)
{
        const struct node_verdict *verdict = cycle->verdicts ? cx_map_get(&cycle->verdicts->by_node, node->name) : NULL;
        return verdict && verdict->spared;
}

static void find_feasible(struct framework *framework, struct cycle *cycle)
{
        struct node_cache *cache = framework->cache;
        size_t wanted = cycle->verdicts ? cache->n_nodes : enough(cycle->profile, cache->n_nodes), seen = 0;
        cycle->feasible = cx_alloc_array(wanted, sizeof *cycle->feasible);
        cycle->hopeful = cx_alloc_array(cache->n_nodes, sizeof *cycle->hopeful);
        // What another pod left for this one.
        const char *nominated = cycle->key ? framework_nominated(framework, cycle->key) : NULL;
        struct node *kept = nominated ? cache_node(cache, nominated) : NULL;
        if (kept && cycle_passes(cycle, kept)) {
                cycle->feasible[cycle->n_feasible++] = kept;
                return;
        }
        reasons_release(&cycle->reasons); // it is looked at again, in its turn
        if (framework->next_start >= cache->n_nodes)
                framework->next_start = 0;
        size_t at = framework->next_start;
        while (seen < cache->n_nodes && cycle->n_feasible < wanted) {
                struct node *node = cache->nodes[at];
                if (cycle_passes(cycle, node))
                        cycle->feasible[cycle->n_feasible++] = node;
                else if (!cycle->for_good && !is_spared(cycle, node))
                        cycle->hopeful[cycle->n_hopeful++] = node;
                at = at + 1 == cache->n_nodes ? 0 : at + 1;
                seen++;
        }
        framework->next_start = at;
}

// --- nominations -----------------------------------------------------------------------------------------------------

struct nomination {
        struct templates *templates;
        struct template *template;
        char *node;
};

static void free_nomination(void *value)
{
        struct nomination *nomination = value;
        template_unref(nomination->templates, nomination->template);
        free(nomination->node);
        free(nomination);
}

void framework_init(struct framework *framework, struct node_cache *cache)
{
        *framework = (struct framework){.cache = cache, .nominations = CX_MAP_INIT_FREE(free_nomination)};
}

void framework_release(struct framework *framework)
{
        cx_map_release(&framework->nominations);
}

void framework_nominate(struct framework *framework, const char *key, struct template *template, const char *node)
{
        if (!node) {
                cx_map_remove(&framework->nominations, key);
                return;
        }
        struct templates *templates = framework->cache->templates;
        struct nomination *nomination = cx_alloc(sizeof *nomination);
        *nomination = (struct nomination){templates, template_ref(templates, template), cx_strdup(node)};
        cx_map_set(&framework->nominations, key, nomination);
}

const char *framework_nominated(const struct framework *framework, const char *key)
{
        const struct nomination *nomination = cx_map_get(&framework->nominations, key);
        return nomination ? nomination->node : NULL;
}

// Counts the nominated pods that are at least as important as if they ran already (sign 1), or takes them away again.
static void count_nominated(struct framework *framework, const char *key, const struct template *template, int sign)
{
        CX_MAP_FOREACH (&framework->nominations, entry) {
                const struct nomination *nomination = entry->value;
                struct node *node = cache_node(framework->cache, nomination->node);
                if (!node || nomination->template->priority < template->priority || strcmp(entry->key, key) == 0)
                        continue;
                struct cached_pod ghost = {.template = nomination->template, .node = node};
                if (sign > 0)
                        cache_show(framework->cache, &ghost);
                else
                        cache_hide(framework->cache, &ghost);
        }
}

// --- decisions -------------------------------------------------------------------------------------------------------

static void preempt(struct framework *framework, const char *key, struct template *template, struct cycle *cycle,
                    struct decision *decision)
{
        struct preemption preemption;
        CX_OBJECTS budgets = CX_OBJECTS_INIT;
        if (framework->budgets)
                cx_informer_list(framework->budgets, NULL, &budgets);
        decision->message =
                cycle->refusal ? cx_sprintf("0/%zu nodes are available: %s.", framework->cache->n_nodes, cycle->refusal)
                               : reasons_explain(&cycle->reasons, framework->cache->n_nodes);
        if (!cycle->profile->preempts)
                return;
        preemption_find(&(struct preemption_search){.cache = framework->cache,
                                                    .budgets = &budgets,
                                                    .template = template,
                                                    .hopeful = cycle->hopeful,
                                                    .n_hopeful = cycle->n_hopeful,
                                                    .nominated = framework_nominated(framework, key)},
                        &preemption);
        decision->nominated = preemption.node;
        decision->waits = preemption.waits;
        for (size_t i = 0; i < preemption.victims.count; i++)
                cx_strings_add(&decision->victims, preemption.victims.items[i]);
        if (preemption.message) {
                char *both = cx_sprintf("%s %s", decision->message, preemption.message);
                free(decision->message);
                decision->message = both;
        }
        preemption_release(&preemption);
}

// Since the last call, which `at` remembers.
static int64_t lap(int64_t *at)
{
        int64_t now = cx_time_monotonic(), passed = now - *at;
        *at = now;
        return passed ? passed : 1;
}

static void place(struct framework *framework, struct cycle *cycle, struct decision *decision)
{
        int64_t at = cx_time_monotonic();
        struct node *node = cycle_choose(cycle, &framework->random);
        CX_ERROR err = CX_ERROR_INIT;
        decision->times[POINT_SCORE] = lap(&at);
        if (reservation_make(cycle, node, &decision->reservation, &err) == 0)
                decision->node = node;
        else
                decision->message = cx_strdup(cx_error_text(&err));
        decision->times[POINT_RESERVE] = lap(&at);
}

void framework_candidates(struct framework *framework, const char *key, struct template *template,
                          struct cx_strings *ret_nodes)
{
        CX_CLEANUP(cycle_release) struct cycle cycle;
        cycle_init(&cycle, framework->cache, template);
        cycle.key = key;
        cycle.quiet = true;
        count_nominated(framework, key, template, 1);
        framework->cache->cycle++;
        cycle_pre_filter(&cycle);
        find_feasible(framework, &cycle);
        for (size_t i = 0; i < cycle.n_feasible; i++)
                cx_strings_add(ret_nodes, cycle.feasible[i]->name);
        count_nominated(framework, key, template, -1);
}

void framework_schedule(struct framework *framework, const char *key, struct template *template,
                        const struct verdicts *verdicts, struct decision *ret_decision)
{
        *ret_decision = (struct decision){0};
        if (framework->cache->n_nodes == 0) {
                ret_decision->message = cx_strdup("no nodes available to schedule pods");
                ret_decision->failed = ~0U;
                return;
        }
        CX_CLEANUP(cycle_release) struct cycle cycle;
        cycle_init(&cycle, framework->cache, template);
        cycle.key = key;
        cycle.verdicts = verdicts;
        count_nominated(framework, key, template, 1);
        framework->cache->cycle++;
        int64_t at = cx_time_monotonic();
        cycle_pre_filter(&cycle);
        ret_decision->times[POINT_PRE_FILTER] = lap(&at);
        find_feasible(framework, &cycle);
        ret_decision->times[POINT_FILTER] = lap(&at);
        if (cycle.n_feasible) {
                place(framework, &cycle, ret_decision);
        } else {
                preempt(framework, key, template, &cycle, ret_decision);
                ret_decision->times[POINT_POST_FILTER] = lap(&at);
        }
        ret_decision->failed = cycle.failed;
        count_nominated(framework, key, template, -1);
}

void decision_release(struct decision *decision)
{
        reservation_undo(&decision->reservation);
        free(decision->message);
        cx_strings_release(&decision->victims);
}
