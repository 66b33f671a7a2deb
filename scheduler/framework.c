// SPDX-License-Identifier: Apache-2.0
// The table of plugins, and the cycle that runs a pod through them.
#include "scheduler/framework.h"

#include "libcommon/base/random.h"
#include "scheduler/preemption.h"

// In the order in which filters run: the cheap ones and those that reject most go first.
static const struct plugin *const plugins[] = {
        &node_unschedulable_plugin,  &taint_toleration_plugin,   &node_affinity_plugin,
        &node_ports_plugin,          &node_resources_fit_plugin, &balanced_allocation_plugin,
        &pod_topology_spread_plugin, &inter_pod_affinity_plugin,
};
#define N_PLUGINS CX_ARRAY_SIZE(plugins)
_Static_assert(N_PLUGINS <= MAX_PLUGINS, "one bit a plugin");

#define MIN_FEASIBLE 100 // nodes; below, all are looked at

void reasons_add(struct reasons *reasons, const char *text)
{
        for (size_t i = 0; i < reasons->count; i++)
                if (strcmp(reasons->items[i].text, text) == 0) {
                        reasons->items[i].count++;
                        return;
                }
        *LIST_ADD(reasons) = (struct reason){cx_strdup(text), 1};
}

char *reasons_explain(const struct reasons *reasons, size_t nodes)
{
        CX_STRINGS parts = CX_STRINGS_INIT;
        for (size_t i = 0; i < reasons->count; i++) {
                CX_CLEANUP(cx_freep)
                char *part = cx_sprintf("%d %s", reasons->items[i].count, reasons->items[i].text);
                cx_strings_add(&parts, part);
        }
        cx_strings_sort(&parts);
        CX_CLEANUP(cx_freep) char *list = cx_strings_join(&parts, ", ");
        return cx_sprintf("0/%zu nodes are available: %s.", nodes, list);
}

void reasons_release(struct reasons *reasons)
{
        for (size_t i = 0; i < reasons->count; i++)
                free(reasons->items[i].text);
        free(reasons->items);
        *reasons = (struct reasons){0};
}

void cycle_reject(struct cycle *cycle, const char *text)
{
        if (!cycle->quiet)
                reasons_add(&cycle->reasons, text);
}

void cycle_reject_for_good(struct cycle *cycle, const char *text)
{
        cycle->for_good = true;
        cycle_reject(cycle, text);
}

uint8_t *cycle_match_groups(const struct cycle *cycle, const char *namespace, const struct cx_selector *selector)
{
        const struct cache *cache = cycle->cache;
        uint8_t *match = cx_alloc(cache->groups.count + 1);
        for (size_t i = 0; i < cache->groups.count; i++) {
                const struct template *template = cache->groups.items[i].template;
                match[i] =
                        template && strcmp(template->namespace, namespace) == 0 && template_matches(template, selector);
        }
        return match;
}

bool term_matches(const struct cache *cache, const struct pod_term *term, const struct template *template)
{
        bool in_namespace = cx_strings_has(&term->namespaces, template->namespace);
        if (!in_namespace && term->has_namespace_selector) {
                const struct cx_object *namespace = cx_map_get(&cache->namespaces, template->namespace);
                in_namespace = namespace ? cx_object_matches(namespace, &term->namespace_selector)
                                         : !term->namespace_selector.count && !term->namespace_selector.nothing;
        }
        return in_namespace && template_matches(template, &term->selector);
}

void normalize_by_maximum(struct cycle *cycle, int64_t *scores, bool reverse)
{
        int64_t maximum = 0;
        for (size_t i = 0; i < cycle->n_feasible; i++)
                maximum = scores[i] > maximum ? scores[i] : maximum;
        for (size_t i = 0; i < cycle->n_feasible; i++) {
                int64_t score = maximum ? scores[i] * MAX_SCORE / maximum : 0;
                scores[i] = reverse ? MAX_SCORE - score : score;
        }
}

static unsigned run_pre_filters(struct cycle *cycle)
{
        unsigned active = 0;
        for (size_t i = 0; i < N_PLUGINS; i++)
                if (plugins[i]->filter && (!plugins[i]->pre_filter || plugins[i]->pre_filter(cycle)))
                        active |= 1U << i;
        return active;
}

static bool passes(struct cycle *cycle, unsigned active, const struct node *node)
{
        cycle->for_good = false;
        for (size_t i = 0; i < N_PLUGINS; i++)
                if (active & (1U << i) && !plugins[i]->filter(cycle, node)) {
                        cycle->failed |= 1U << i;
                        return false;
                }
        return true;
}

// How many nodes are enough to choose from: all of a small cluster, down to 5 % of a huge one, never less than 100.
static size_t enough(size_t nodes)
{
        if (nodes < MIN_FEASIBLE)
                return nodes;
        size_t percent = nodes / 125 < 45 ? 50 - nodes / 125 : 5;
        size_t wanted = nodes * percent / 100;
        return wanted < MIN_FEASIBLE ? MIN_FEASIBLE : wanted;
}

static void find_feasible(struct framework *framework, struct cycle *cycle, unsigned active)
{
        struct cache *cache = framework->cache;
        size_t wanted = enough(cache->n_nodes), seen = 0;
        cycle->feasible = cx_alloc_array(wanted, sizeof *cycle->feasible);
        cycle->hopeful = cx_alloc_array(cache->n_nodes, sizeof *cycle->hopeful);
        if (framework->next_start >= cache->n_nodes)
                framework->next_start = 0;
        size_t at = framework->next_start;
        while (seen < cache->n_nodes && cycle->n_feasible < wanted) {
                struct node *node = cache->nodes[at];
                if (passes(cycle, active, node))
                        cycle->feasible[cycle->n_feasible++] = node;
                else if (!cycle->for_good)
                        cycle->hopeful[cycle->n_hopeful++] = node;
                at = at + 1 == cache->n_nodes ? 0 : at + 1;
                seen++;
        }
        framework->next_start = at;
}

static void add_scores(struct cycle *cycle, int64_t *totals)
{
        CX_CLEANUP(cx_freep) int64_t *scores = cx_alloc_array(cycle->n_feasible, sizeof *scores);
        for (size_t i = 0; i < N_PLUGINS; i++) {
                const struct plugin *plugin = plugins[i];
                if (!plugin->score || (plugin->pre_score && !plugin->pre_score(cycle)))
                        continue;
                for (size_t j = 0; j < cycle->n_feasible; j++)
                        scores[j] = plugin->score(cycle, cycle->feasible[j]);
                if (plugin->normalize)
                        plugin->normalize(cycle, scores);
                for (size_t j = 0; j < cycle->n_feasible; j++)
                        totals[j] += scores[j] * plugin->weight;
        }
}

static uint64_t next_random(struct framework *framework)
{
        if (!framework->random)
                cx_random_bytes(&framework->random, sizeof framework->random);
        framework->random |= !framework->random;
        framework->random ^= framework->random << 13;
        framework->random ^= framework->random >> 7;
        framework->random ^= framework->random << 17;
        return framework->random;
}

// The best node; one of the best at random when there are several.
static struct node *choose(struct framework *framework, struct cycle *cycle)
{
        if (cycle->n_feasible == 1)
                return cycle->feasible[0];
        CX_CLEANUP(cx_freep) int64_t *totals = cx_alloc_array(cycle->n_feasible, sizeof *totals);
        add_scores(cycle, totals);
        size_t best = 0, ties = 1;
        for (size_t i = 1; i < cycle->n_feasible; i++) {
                if (totals[i] > totals[best]) {
                        best = i;
                        ties = 1;
                } else if (totals[i] == totals[best] && next_random(framework) % ++ties == 0) {
                        best = i;
                }
        }
        return cycle->feasible[best];
}

static void cycle_release(struct cycle *cycle)
{
        for (size_t i = 0; i < N_PLUGINS; i++)
                if (plugins[i]->release)
                        plugins[i]->release(cycle);
        reasons_release(&cycle->reasons);
        free(cycle->feasible);
        free(cycle->hopeful);
}

// --- nominations ---

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

void framework_init(struct framework *framework, struct cache *cache)
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

bool framework_fits(struct framework *framework, struct template *template, const struct node *node,
                    struct reasons *reasons)
{
        CX_CLEANUP(cycle_release)
        struct cycle cycle = {.cache = framework->cache, .template = template, .quiet = !reasons};
        framework->cache->cycle++;
        bool fit = passes(&cycle, run_pre_filters(&cycle), node);
        for (size_t i = 0; reasons && i < cycle.reasons.count; i++)
                reasons_add(reasons, cycle.reasons.items[i].text);
        return fit;
}

static void preempt(struct framework *framework, const char *key, struct template *template, struct cycle *cycle,
                    struct decision *decision)
{
        struct preemption preemption;
        decision->message = reasons_explain(&cycle->reasons, framework->cache->n_nodes);
        preemption_find(framework, template, cycle->hopeful, cycle->n_hopeful, framework_nominated(framework, key),
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

void framework_schedule(struct framework *framework, const char *key, struct template *template,
                        struct decision *ret_decision)
{
        *ret_decision = (struct decision){0};
        if (framework->cache->n_nodes == 0) {
                ret_decision->message = cx_strdup("no nodes available to schedule pods");
                ret_decision->failed = ~0U;
                return;
        }
        CX_CLEANUP(cycle_release) struct cycle cycle = {.cache = framework->cache, .template = template};
        count_nominated(framework, key, template, 1);
        framework->cache->cycle++;
        find_feasible(framework, &cycle, run_pre_filters(&cycle));
        ret_decision->failed = cycle.failed;
        if (cycle.n_feasible)
                ret_decision->node = choose(framework, &cycle);
        else
                preempt(framework, key, template, &cycle, ret_decision);
        count_nominated(framework, key, template, -1);
}

void decision_release(struct decision *decision)
{
        free(decision->message);
        cx_strings_release(&decision->victims);
}

// Plugins that look only at the node are asked whether it would do now; so a pod that wants a GPU does not wake up for
// every pod that ends elsewhere.
static bool passes_locally(struct framework *framework, struct template *template, const struct node *node)
{
        CX_CLEANUP(cycle_release) struct cycle cycle = {.cache = framework->cache, .template = template, .quiet = true};
        for (size_t i = 0; i < N_PLUGINS; i++)
                if (plugins[i]->node_local && plugins[i]->filter &&
                    (!plugins[i]->pre_filter || plugins[i]->pre_filter(&cycle)) && !plugins[i]->filter(&cycle, node))
                        return false;
        return true;
}

bool framework_helps(struct framework *framework, struct template *template, unsigned failed, unsigned events,
                     const struct node *node)
{
        bool local_only = true, interested = false;
        for (size_t i = 0; i < N_PLUGINS; i++) {
                if (!(failed & (1U << i)))
                        continue;
                interested |= plugins[i]->events & events;
                local_only &= plugins[i]->node_local;
        }
        if (!interested || !local_only || !node)
                return interested;
        return passes_locally(framework, template, node);
}
