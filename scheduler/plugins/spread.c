// SPDX-License-Identifier: Apache-2.0
// PodTopologySpread: required constraints keep the difference between the fullest and the emptiest domain small; the
// others only say where it is better. A pod with a controller that has no constraints of its own is given the profile's:
// those that it lists, or the system's by host name and zone.
//
// Pods are counted by template: a constraint marks the templates that it counts, and a node's count is the sum over its
// groups.
#include "libcommon/format/json.h"
#include "scheduler/plugins/plugins.h"
#include "scheduler/plugins/terms.h"

#include <math.h>

#define HOSTNAME "kubernetes.io/hostname"
#define MAX_NUMBER 1000000

struct spread_constraint {
        char *topology;
        int max_skew, min_domains;
        bool required; // DoNotSchedule
        bool honor_affinity, honor_taints;
        bool self_match, by_owner; // by_owner: counts the pods of the same controller, not those of the selector
        struct cx_selector selector;
};
struct spread_args {
        LIST(struct spread_constraint, constraints); // of pods that have none
        bool is_system;                              // they are not anybody's wish
};
struct spreading { // of a pod
        LIST(struct spread_constraint, constraints);
        char *owner_uid; // "" when no controller spreads it
        // What decides which nodes count.
        struct cx_node_affinity affinity;
        struct cx_tolerations tolerations;
};

struct spread_state { // of one constraint in a cycle
        const struct spread_constraint *constraint;
        const struct column *column;
        uint8_t *match; // by group
        int64_t *counts;
        int64_t minimum;
        double weight;
};
struct spread_cycle {
        LIST(struct spread_state, filter);
        LIST(struct spread_state, score);
};

// --- of the pod ------------------------------------------------------------------------------------------------------

static const char *const fields[] = {"metadata.labels",
                                     "metadata.ownerReferences",
                                     "spec.topologySpreadConstraints",
                                     "spec.nodeSelector",
                                     "spec.affinity.nodeAffinity",
                                     "spec.tolerations",
                                     NULL};

// The uid of the controller whose pods the system spreads; "" for others (Jobs and DaemonSets are not spread).
static const char *spreading_owner(const json_t *pod)
{
        static const char *const kinds[] = {"ReplicaSet", "StatefulSet", "ReplicationController"};
        size_t i;
        json_t *owner;
        json_array_foreach (cx_json_get(pod, "metadata.ownerReferences"), i, owner) {
                if (!json_is_true(json_object_get(owner, "controller")))
                        continue;
                for (size_t k = 0; k < CX_ARRAY_SIZE(kinds); k++)
                        if (cx_streq(cx_json_string(owner, "kind"), kinds[k]))
                                return cx_json_string_or(owner, "uid", "");
        }
        return "";
}

static int limited(const json_t *from, const char *field, int fallback)
{
        int64_t value = cx_json_int(from, field, fallback);
        return value < 0 ? fallback : value > MAX_NUMBER ? MAX_NUMBER : (int)value;
}

static void parse_constraint(const json_t *from, const json_t *labels, struct spread_constraint *to)
{
        to->topology = cx_strdup(cx_json_string_or(from, "topologyKey", ""));
        to->max_skew = limited(from, "maxSkew", 1);
        to->min_domains = limited(from, "minDomains", 1);
        to->required = !cx_streq(cx_json_string(from, "whenUnsatisfiable"), "ScheduleAnyway");
        to->honor_affinity = !cx_streq(cx_json_string(from, "nodeAffinityPolicy"), "Ignore");
        to->honor_taints = cx_streq(cx_json_string(from, "nodeTaintsPolicy"), "Honor");
        terms_parse_selector(json_object_get(from, "labelSelector"), &to->selector);
        terms_add_label_keys(json_object_get(from, "matchLabelKeys"), labels, CX_OP_IN, &to->selector);
        to->self_match = cx_selector_matches(&to->selector, labels);
}

static void parse(void *state, const json_t *pod)
{
        struct spreading *to = state;
        const json_t *spec = json_object_get(pod, "spec"), *labels = cx_json_get(pod, "metadata.labels");
        size_t i;
        json_t *from;
        to->owner_uid = cx_strdup(spreading_owner(pod));
        json_array_foreach (json_object_get(spec, "topologySpreadConstraints"), i, from)
                parse_constraint(from, labels, LIST_ADD(&to->constraints));
        cx_node_affinity_parse(spec, &to->affinity);
        cx_tolerations_parse(json_object_get(spec, "tolerations"), &to->tolerations);
}

static void release_constraint(struct spread_constraint *constraint)
{
        free(constraint->topology);
        cx_selector_release(&constraint->selector);
}

static void release_pod(void *state)
{
        struct spreading *spreading = state;
        LIST_RELEASE(&spreading->constraints, release_constraint);
        cx_node_affinity_release(&spreading->affinity);
        cx_tolerations_release(&spreading->tolerations);
        free(spreading->owner_uid);
}

// --- the profile's ---------------------------------------------------------------------------------------------------

static const char system_constraints[] =
        "[{\"topologyKey\": \"topology.kubernetes.io/zone\", \"maxSkew\": 5, \"whenUnsatisfiable\": "
        "\"ScheduleAnyway\"},"
        " {\"topologyKey\": \"" HOSTNAME "\", \"maxSkew\": 3, \"whenUnsatisfiable\": \"ScheduleAnyway\"}]";

static int parse_args(void *state, const json_t *json, struct cx_error *err)
{
        struct spread_args *args = state;
        const json_t *given = json_object_get(json, "defaultConstraints");
        args->is_system = cx_streq(cx_json_string(json, "defaultingType"), "System");
        if (args->is_system && json_array_size(given))
                return cx_error_set(err, -EINVAL, "defaultConstraints: must be empty when defaultingType is System");
        json_auto_t *list = args->is_system ? json_loads(system_constraints, 0, NULL) : json_incref((json_t *)given);
        size_t i;
        json_t *from;
        json_array_foreach (list, i, from) {
                if (json_object_get(from, "labelSelector") || json_object_get(from, "matchLabelKeys"))
                        return cx_error_set(
                                err, -EINVAL,
                                "defaultConstraints[%zu].labelSelector: constraints of a profile have none, "
                                "it follows from each pod's controller",
                                i);
                if (!*cx_json_string_or(from, "topologyKey", "") || cx_json_int(from, "maxSkew", 0) < 1)
                        return cx_error_set(err, -EINVAL,
                                            "defaultConstraints[%zu]: topologyKey and a maxSkew above 0 are required",
                                            i);
                struct spread_constraint *constraint = LIST_ADD(&args->constraints);
                parse_constraint(from, NULL, constraint);
                constraint->by_owner = constraint->self_match = true;
        }
        return 0;
}

static void release_args(void *state)
{
        struct spread_args *args = state;
        LIST_RELEASE(&args->constraints, release_constraint);
}

static bool is_defaulted(const struct cycle *cycle)
{
        return !((const struct spreading *)state_of_pod(cycle))->constraints.count;
}

// Those that hold for the pod; the profile's only where it has a controller.
static const struct spread_constraint *constraints_of(const struct cycle *cycle, size_t *ret_count)
{
        const struct spreading *own = state_of_pod(cycle);
        const struct spread_args *args = args_of_plugin(cycle);
        *ret_count = own->constraints.count ? own->constraints.count : *own->owner_uid ? args->constraints.count : 0;
        return own->constraints.count ? own->constraints.items : args->constraints.items;
}

// --- counting --------------------------------------------------------------------------------------------------------

// Marks the groups whose pods the constraint counts.
static uint8_t *match_groups(struct cycle *cycle, const struct spread_constraint *constraint)
{
        const struct spreading *own = state_of_pod(cycle);
        const struct node_cache *cache = cycle->cache;
        uint8_t *match = cx_alloc(cache->groups.count + 1);
        for (size_t i = 0; i < cache->groups.count; i++) {
                const struct template *other = cache->groups.items[i].template;
                if (!other)
                        continue;
                const struct spreading *theirs = state_of_template(cycle, other);
                match[i] = constraint->by_owner ? strcmp(theirs->owner_uid, own->owner_uid) == 0
                                                : strcmp(other->namespace, cycle->template->namespace) == 0 &&
                                                          template_matches(other, &constraint->selector);
        }
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
        const struct spreading *own = state_of_pod(cycle);
        const struct cx_node_facts facts = terms_node_facts(node);
        return (!constraint->honor_affinity || cx_node_affinity_matches(&own->affinity, &facts)) &&
               (!constraint->honor_taints ||
                !cx_taints_untolerated(&node->info->taints, &own->tolerations,
                                       1U << CX_EFFECT_NO_SCHEDULE | 1U << CX_EFFECT_NO_EXECUTE));
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

// --- filter ---------------------------------------------------------------------------------------------------------

static bool pre_filter(struct cycle *cycle)
{
        struct spread_cycle *kept = state_of_cycle(cycle);
        size_t count;
        const struct spread_constraint *constraints = constraints_of(cycle, &count);
        for (size_t i = 0; i < count; i++)
                if (constraints[i].required) {
                        struct spread_state *state = LIST_ADD(&kept->filter);
                        add_state(cycle, &constraints[i], state);
                        for (int v = 0; v < state->column->n_values; v++)
                                state->counts[v] = -1; // no node of this domain counts
                }
        const struct node_cache *cache = cycle->cache;
        for (size_t i = 0; i < cache->n_nodes && kept->filter.count; i++) {
                const struct node *node = cache->nodes[i];
                if (!has_all_topologies(kept->filter.items, kept->filter.count, node))
                        continue;
                for (size_t j = 0; j < kept->filter.count; j++) {
                        struct spread_state *state = &kept->filter.items[j];
                        if (!counts_node(cycle, state->constraint, node))
                                continue;
                        int64_t *sum = &state->counts[column_value(state->column, node)];
                        *sum = (*sum < 0 ? 0 : *sum) + matching_pods(node, state->match);
                }
        }
        for (size_t j = 0; j < kept->filter.count; j++) {
                struct spread_state *state = &kept->filter.items[j];
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
        return kept->filter.count;
}

static bool filter(struct cycle *cycle, const struct node *node)
{
        const struct spread_cycle *kept = state_of_cycle(cycle);
        for (size_t i = 0; i < kept->filter.count; i++) {
                const struct spread_state *state = &kept->filter.items[i];
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

// --- scoring --------------------------------------------------------------------------------------------------------

static bool is_hostname(const struct spread_state *state)
{
        return strcmp(state->constraint->topology, HOSTNAME) == 0;
}

// Nodes without a constraint's label have no part in it, unless the constraints are the system's own.
static bool takes_part(const struct cycle *cycle, const struct node *node)
{
        const struct spread_cycle *kept = state_of_cycle(cycle);
        return (is_defaulted(cycle) && ((const struct spread_args *)args_of_plugin(cycle))->is_system) ||
               has_all_topologies(kept->score.items, kept->score.count, node);
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
        struct spread_cycle *kept = state_of_cycle(cycle);
        const struct node_cache *cache = cycle->cache;
        size_t count;
        const struct spread_constraint *constraints = constraints_of(cycle, &count);
        for (size_t i = 0; i < count; i++)
                if (!constraints[i].required)
                        add_state(cycle, &constraints[i], LIST_ADD(&kept->score));
        for (size_t j = 0; j < kept->score.count; j++) {
                struct spread_state *state = &kept->score.items[j];
                weigh(cycle, state);
                for (size_t i = 0; i < cache->n_nodes && !is_hostname(state); i++) {
                        const struct node *node = cache->nodes[i];
                        int value = column_value(state->column, node);
                        if (value >= 0 && takes_part(cycle, node) && counts_node(cycle, state->constraint, node))
                                state->counts[value] += matching_pods(node, state->match);
                }
        }
        return kept->score.count;
}

// Lower is better here; -1: the node takes no part.
static int64_t score(struct cycle *cycle, const struct node *node)
{
        const struct spread_cycle *kept = state_of_cycle(cycle);
        if (!takes_part(cycle, node))
                return -1;
        double sum = 0;
        for (size_t i = 0; i < kept->score.count; i++) {
                const struct spread_state *state = &kept->score.items[i];
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

static void release_cycle(void *state)
{
        struct spread_cycle *kept = state;
        release_states(kept->filter.items, kept->filter.count);
        release_states(kept->score.items, kept->score.count);
}

const struct plugin pod_topology_spread_plugin = {
        .name = "PodTopologySpread",
        .events = EVENT_ON_NODE | EVENT_POD_ADDED | EVENT_POD_LABELS,
        .weight = 2,
        .args_size = sizeof(struct spread_args),
        .parse_args = parse_args,
        .release_args = release_args,
        .fields = fields,
        .pod_size = sizeof(struct spreading),
        .parse = parse,
        .release_pod = release_pod,
        .cycle_size = sizeof(struct spread_cycle),
        .release_cycle = release_cycle,
        .pre_filter = pre_filter,
        .filter = filter,
        .pre_score = pre_score,
        .score = score,
        .normalize = normalize,
};
