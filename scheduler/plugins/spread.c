// SPDX-License-Identifier: Apache-2.0
// PodTopologySpread: required constraints keep the difference between the fullest and the emptiest domain small; the others
// (and, for pods with a controller that ask for none, the system's own by host name and zone) only say where it is better.
//
// Pods are counted by template: a constraint marks the templates that it counts, and a node's count is the sum over its
// groups.
#include "scheduler/framework.h"

#include <math.h>

#define HOSTNAME "kubernetes.io/hostname"

static uint8_t *match_groups(struct cycle *cycle, const struct spread_constraint *constraint)
{
        if (!constraint->by_owner)
                return cycle_match_groups(cycle, cycle->template->namespace, &constraint->selector);
        const struct cache *cache = cycle->cache;
        uint8_t *match = cx_alloc(cache->groups.count + 1);
        for (size_t i = 0; i < cache->groups.count; i++)
                match[i] = cache->groups.items[i].template &&
                           strcmp(cache->groups.items[i].template->owner_uid, cycle->template->owner_uid) == 0;
        return match;
}

static int64_t matching_pods(const struct node *node, const uint8_t *match)
{
        int64_t count = 0;
        for (size_t i = 0; i < node->groups.count; i++)
                if (match[node->groups.items[i].group])
                        count += node->groups.items[i].count - node->groups.items[i].terminating;
        return count;
}

static bool counts_node(const struct cycle *cycle, const struct spread_constraint *constraint, const struct node *node)
{
        return (!constraint->honor_affinity || node_matches_affinity(cycle->template, node)) &&
               (!constraint->honor_taints || !untolerated_taint(cycle->template, node));
}

static bool has_all_topologies(const struct spread_state *states, size_t count, const struct node *node)
{
        for (size_t i = 0; i < count; i++)
                if (column_value(states[i].column, node) < 0)
                        return false;
        return true;
}

static void add_state(struct cycle *cycle, const struct spread_constraint *constraint, struct spread_state *to)
{
        to->constraint = constraint;
        to->column = cache_column(cycle->cache, constraint->topology);
        to->match = match_groups(cycle, constraint);
        to->counts = cx_alloc_array((size_t)to->column->n_values + 1, sizeof *to->counts);
}

static void release_states(struct spread_state *states, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                free(states[i].match);
                free(states[i].counts);
        }
        free(states);
}

// --- filter ---

static bool pre_filter(struct cycle *cycle)
{
        for (size_t i = 0; i < cycle->template->spread.count; i++)
                if (cycle->template->spread.items[i].required) {
                        struct spread_state *state = LIST_ADD(&cycle->spread);
                        add_state(cycle, &cycle->template->spread.items[i], state);
                        for (int v = 0; v < state->column->n_values; v++)
                                state->counts[v] = -1; // no node of this domain counts
                }
        const struct cache *cache = cycle->cache;
        for (size_t i = 0; i < cache->n_nodes && cycle->spread.count; i++) {
                const struct node *node = cache->nodes[i];
                if (!has_all_topologies(cycle->spread.items, cycle->spread.count, node))
                        continue;
                for (size_t j = 0; j < cycle->spread.count; j++) {
                        struct spread_state *state = &cycle->spread.items[j];
                        if (!counts_node(cycle, state->constraint, node))
                                continue;
                        int64_t *count = &state->counts[column_value(state->column, node)];
                        *count = (*count < 0 ? 0 : *count) + matching_pods(node, state->match);
                }
        }
        for (size_t j = 0; j < cycle->spread.count; j++) {
                struct spread_state *state = &cycle->spread.items[j];
                int domains = 0;
                state->minimum = INT64_MAX;
                for (int v = 0; v < state->column->n_values; v++) {
                        if (state->counts[v] < 0)
                                continue;
                        domains++;
                        state->minimum = state->counts[v] < state->minimum ? state->counts[v] : state->minimum;
                }
                if (domains < state->constraint->min_domains || domains == 0)
                        state->minimum = 0;
        }
        return cycle->spread.count;
}

static bool filter(struct cycle *cycle, const struct node *node)
{
        for (size_t i = 0; i < cycle->spread.count; i++) {
                const struct spread_state *state = &cycle->spread.items[i];
                int value = column_value(state->column, node);
                if (value < 0) {
                        cycle_reject_for_good(cycle, "node(s) didn't match pod topology spread constraints (missing "
                                                     "required label)");
                        return false;
                }
                int64_t count = state->counts[value] < 0 ? 0 : state->counts[value];
                if (count + state->constraint->self_match - state->minimum > state->constraint->max_skew) {
                        cycle_reject(cycle, "node(s) didn't match pod topology spread constraints");
                        return false;
                }
        }
        return true;
}

// --- scoring ---

static bool is_hostname(const struct spread_state *state)
{
        return strcmp(state->constraint->topology, HOSTNAME) == 0;
}

// Nodes without a constraint's label have no part in it, unless the constraints are the system's own.
static bool takes_part(const struct cycle *cycle, const struct node *node)
{
        return cycle->template->default_spread ||
               has_all_topologies(cycle->spread_score.items, cycle->spread_score.count, node);
}

static void weigh(struct cycle *cycle, struct spread_state *state)
{
        int64_t domains = 0;
        CX_CLEANUP(cx_freep) uint8_t *seen = cx_alloc((size_t)state->column->n_values + 1);
        for (size_t i = 0; i < cycle->n_feasible; i++) {
                int value = column_value(state->column, cycle->feasible[i]);
                if (!takes_part(cycle, cycle->feasible[i]))
                        continue;
                if (is_hostname(state)) {
                        domains++;
                } else if (value >= 0 && !seen[value]) {
                        seen[value] = 1;
                        domains++;
                }
        }
        state->weight = log((double)domains + 2);
}

static bool pre_score(struct cycle *cycle)
{
        const struct cache *cache = cycle->cache;
        for (size_t i = 0; i < cycle->template->spread.count; i++)
                if (!cycle->template->spread.items[i].required)
                        add_state(cycle, &cycle->template->spread.items[i], LIST_ADD(&cycle->spread_score));
        for (size_t j = 0; j < cycle->spread_score.count; j++) {
                struct spread_state *state = &cycle->spread_score.items[j];
                weigh(cycle, state);
                for (size_t i = 0; i < cache->n_nodes && !is_hostname(state); i++) {
                        const struct node *node = cache->nodes[i];
                        int value = column_value(state->column, node);
                        if (value >= 0 && takes_part(cycle, node) && counts_node(cycle, state->constraint, node))
                                state->counts[value] += matching_pods(node, state->match);
                }
        }
        return cycle->spread_score.count;
}

// Lower is better here; -1: the node takes no part.
static int64_t score(struct cycle *cycle, const struct node *node)
{
        if (!takes_part(cycle, node))
                return -1;
        double sum = 0;
        for (size_t i = 0; i < cycle->spread_score.count; i++) {
                const struct spread_state *state = &cycle->spread_score.items[i];
                int value = column_value(state->column, node);
                if (value < 0)
                        continue;
                int64_t count = is_hostname(state) ? matching_pods(node, state->match) : state->counts[value];
                sum += (double)count * state->weight + (state->constraint->max_skew - 1);
        }
        return (int64_t)round(sum);
}

static void normalize(struct cycle *cycle, int64_t *scores)
{
        int64_t minimum = INT64_MAX, maximum = 0;
        for (size_t i = 0; i < cycle->n_feasible; i++) {
                if (scores[i] < 0)
                        continue;
                minimum = scores[i] < minimum ? scores[i] : minimum;
                maximum = scores[i] > maximum ? scores[i] : maximum;
        }
        for (size_t i = 0; i < cycle->n_feasible; i++) {
                if (scores[i] < 0)
                        scores[i] = 0;
                else
                        scores[i] = maximum ? MAX_SCORE * (maximum + minimum - scores[i]) / maximum : MAX_SCORE;
        }
}

static void release(struct cycle *cycle)
{
        release_states(cycle->spread.items, cycle->spread.count);
        release_states(cycle->spread_score.items, cycle->spread_score.count);
}

const struct plugin pod_topology_spread_plugin = {
        .name = "PodTopologySpread",
        .events = EVENT_ON_NODE | EVENT_POD_ADDED | EVENT_POD_LABELS,
        .pre_filter = pre_filter,
        .filter = filter,
        .pre_score = pre_score,
        .score = score,
        .normalize = normalize,
        .weight = 2,
        .release = release,
};
