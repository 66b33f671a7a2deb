// SPDX-License-Identifier: Apache-2.0
// InterPodAffinity: pods that want to be near or far from others, in both directions: what the pod asks for, and what those
// that run already ask of it. A term becomes a count for every value of its topology label.
#include "scheduler/framework.h"

#define HARD_AFFINITY_WEIGHT 1 // what a required term of a running pod adds to the score of a pod that it matches

static struct topology_count make_counts(struct cycle *cycle, const char *topology)
{
        const struct column *column = cache_column(cycle->cache, topology);
        return (struct topology_count){column, cx_alloc_array((size_t)column->n_values + 1, sizeof(int64_t))};
}

// Adds `weight` for each pod of the marked groups to its node's topology value.
static void count_pods(const struct cycle *cycle, const uint8_t *match, int64_t weight, struct topology_count *to)
{
        const struct cache *cache = cycle->cache;
        for (size_t i = 0; i < cache->n_nodes; i++) {
                const struct node *node = cache->nodes[i];
                int value = column_value(to->column, node);
                if (value < 0)
                        continue;
                for (size_t j = 0; j < node->groups.count; j++)
                        if (match[node->groups.items[j].group])
                                to->counts[value] += weight * node->groups.items[j].count;
        }
}

static uint8_t *groups_of_term(const struct cycle *cycle, const struct pod_term *term)
{
        const struct cache *cache = cycle->cache;
        uint8_t *match = cx_alloc(cache->groups.count + 1);
        for (size_t i = 0; i < cache->groups.count; i++)
                match[i] =
                        cache->groups.items[i].template && term_matches(cache, term, cache->groups.items[i].template);
        return match;
}

static uint8_t *one_group(const struct cycle *cycle, size_t group)
{
        uint8_t *match = cx_alloc(cycle->cache->groups.count + 1);
        match[group] = 1;
        return match;
}

// --- filter ---

static void forbid_by_existing(struct cycle *cycle)
{
        const struct cache *cache = cycle->cache;
        for (size_t i = 0; i < cache->groups.count && cache->affinity_groups; i++) {
                const struct template *other = cache->groups.items[i].template;
                for (size_t j = 0; other && j < other->anti_affinity.count; j++) {
                        const struct pod_term *term = &other->anti_affinity.items[j];
                        if (!term_matches(cache, term, cycle->template))
                                continue;
                        CX_CLEANUP(cx_freep) uint8_t *match = one_group(cycle, i);
                        struct topology_count counts = make_counts(cycle, term->topology);
                        count_pods(cycle, match, 1, &counts);
                        *LIST_ADD(&cycle->forbidden) = counts;
                }
        }
        cycle->n_existing = cycle->forbidden.count;
}

static void forbid_by_own(struct cycle *cycle)
{
        for (size_t i = 0; i < cycle->template->anti_affinity.count; i++) {
                const struct pod_term *term = &cycle->template->anti_affinity.items[i];
                CX_CLEANUP(cx_freep) uint8_t *match = groups_of_term(cycle, term);
                struct topology_count counts = make_counts(cycle, term->topology);
                count_pods(cycle, match, 1, &counts);
                *LIST_ADD(&cycle->forbidden) = counts;
        }
}

// Only pods that match all terms at once count. When there is none anywhere, a pod that matches its own terms may be the
// first.
static void want(struct cycle *cycle)
{
        const struct template *template = cycle->template;
        const struct cache *cache = cycle->cache;
        CX_CLEANUP(cx_freep) uint8_t *match = cx_alloc(cache->groups.count + 1);
        memset(match, 1, cache->groups.count);
        bool matches_self = true, any = false;
        for (size_t i = 0; i < template->affinity.count; i++) {
                CX_CLEANUP(cx_freep) uint8_t *one = groups_of_term(cycle, &template->affinity.items[i]);
                for (size_t j = 0; j < cache->groups.count; j++)
                        match[j] &= one[j];
                matches_self = matches_self && term_matches(cache, &template->affinity.items[i], template);
        }
        for (size_t i = 0; i < template->affinity.count; i++) {
                struct topology_count counts = make_counts(cycle, template->affinity.items[i].topology);
                count_pods(cycle, match, 1, &counts);
                for (int v = 0; v < counts.column->n_values; v++)
                        any |= counts.counts[v] > 0;
                *LIST_ADD(&cycle->wanted) = counts;
        }
        cycle->first_of_kind = !any && matches_self;
}

static bool pre_filter(struct cycle *cycle)
{
        forbid_by_existing(cycle);
        forbid_by_own(cycle);
        if (cycle->template->affinity.count)
                want(cycle);
        return cycle->forbidden.count || cycle->wanted.count;
}

static bool filter(struct cycle *cycle, const struct node *node)
{
        for (size_t i = 0; i < cycle->wanted.count; i++) {
                int value = column_value(cycle->wanted.items[i].column, node);
                if (value < 0 || (!cycle->first_of_kind && cycle->wanted.items[i].counts[value] <= 0)) {
                        cycle_reject_for_good(cycle, "node(s) didn't match pod affinity rules");
                        return false;
                }
        }
        // The pod's own rules are named before those of others.
        for (size_t n = cycle->forbidden.count; n > 0; n--) {
                const struct topology_count *counts = &cycle->forbidden.items[n - 1];
                int value = column_value(counts->column, node);
                if (value >= 0 && counts->counts[value] > 0) {
                        cycle_reject(cycle, n > cycle->n_existing
                                                    ? "node(s) didn't match pod anti-affinity rules"
                                                    : "node(s) didn't satisfy existing pods anti-affinity rules");
                        return false;
                }
        }
        return true;
}

// --- scoring ---

static void add_preference(struct cycle *cycle, const char *topology, const uint8_t *match, int64_t weight)
{
        const struct column *column = cache_column(cycle->cache, topology);
        for (size_t i = 0; i < cycle->preferred.count; i++)
                if (cycle->preferred.items[i].column == column) {
                        count_pods(cycle, match, weight, &cycle->preferred.items[i]);
                        return;
                }
        struct topology_count counts = make_counts(cycle, topology);
        count_pods(cycle, match, weight, &counts);
        *LIST_ADD(&cycle->preferred) = counts;
}

static void add_preferences_of(struct cycle *cycle, size_t group)
{
        const struct template *other = cycle->cache->groups.items[group].template;
        if (!other)
                return;
        CX_CLEANUP(cx_freep) uint8_t *match = one_group(cycle, group);
        for (size_t i = 0; i < other->preferred_pods.count; i++)
                if (term_matches(cycle->cache, &other->preferred_pods.items[i], cycle->template))
                        add_preference(cycle, other->preferred_pods.items[i].topology, match,
                                       other->preferred_pods.items[i].weight);
        for (size_t i = 0; i < other->affinity.count; i++)
                if (term_matches(cycle->cache, &other->affinity.items[i], cycle->template))
                        add_preference(cycle, other->affinity.items[i].topology, match, HARD_AFFINITY_WEIGHT);
}

static bool pre_score(struct cycle *cycle)
{
        for (size_t i = 0; i < cycle->template->preferred_pods.count; i++) {
                const struct pod_term *term = &cycle->template->preferred_pods.items[i];
                CX_CLEANUP(cx_freep) uint8_t *match = groups_of_term(cycle, term);
                add_preference(cycle, term->topology, match, term->weight);
        }
        for (size_t i = 0; i < cycle->cache->groups.count && cycle->cache->affinity_groups; i++)
                add_preferences_of(cycle, i);
        return cycle->preferred.count;
}

static int64_t score(struct cycle *cycle, const struct node *node)
{
        int64_t sum = 0;
        for (size_t i = 0; i < cycle->preferred.count; i++) {
                int value = column_value(cycle->preferred.items[i].column, node);
                if (value >= 0)
                        sum += cycle->preferred.items[i].counts[value];
        }
        return sum;
}

static void normalize(struct cycle *cycle, int64_t *scores)
{
        int64_t minimum = INT64_MAX, maximum = INT64_MIN;
        for (size_t i = 0; i < cycle->n_feasible; i++) {
                minimum = scores[i] < minimum ? scores[i] : minimum;
                maximum = scores[i] > maximum ? scores[i] : maximum;
        }
        for (size_t i = 0; i < cycle->n_feasible; i++)
                scores[i] = maximum > minimum ? (scores[i] - minimum) * MAX_SCORE / (maximum - minimum) : 0;
}

static void release_counts(struct topology_count *items, size_t count)
{
        for (size_t i = 0; i < count; i++)
                free(items[i].counts);
        free(items);
}

static void release(struct cycle *cycle)
{
        release_counts(cycle->forbidden.items, cycle->forbidden.count);
        release_counts(cycle->wanted.items, cycle->wanted.count);
        release_counts(cycle->preferred.items, cycle->preferred.count);
}

const struct plugin inter_pod_affinity_plugin = {
        .name = "InterPodAffinity",
        .events = EVENT_ON_NODE | EVENT_POD_ADDED | EVENT_POD_LABELS | EVENT_NAMESPACE,
        .pre_filter = pre_filter,
        .filter = filter,
        .pre_score = pre_score,
        .score = score,
        .normalize = normalize,
        .weight = 2,
        .release = release,
};
