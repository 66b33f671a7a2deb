// SPDX-License-Identifier: Apache-2.0
// InterPodAffinity: pods that want to be near or far from others, in both directions: what the pod asks for, and what
// those that run already ask of it. A term becomes a count for every value of its topology label.
#include "libcommon/format/json.h"
#include "scheduler/plugins/plugins.h"
#include "scheduler/plugins/terms.h"

struct inter_pod_args {
        int64_t hard_weight;  // what a required term of a running pod adds to the score of a pod that it matches
        bool ignores_running; // what those that run prefer does not count
};
struct pod_term {
        char *topology;
        struct cx_selector selector, namespace_selector;
        struct cx_strings namespaces;
        bool has_namespace_selector;
        int64_t weight; // negative in preferred anti-affinity
};
struct pod_rules { // of a pod
        LIST(struct pod_term, affinity);
        LIST(struct pod_term, anti_affinity);
        LIST(struct pod_term, preferred);
};
struct topology_count { // a number for every value of a node label
        const struct column *column;
        int64_t *counts;
};
struct inter_pod_cycle {
        LIST(struct topology_count, forbidden); // by existing pods' anti-affinity, then by the pod's own
        size_t n_existing;
        LIST(struct topology_count, wanted); // by the pod's affinity
        bool first_of_kind;                  // nothing matches yet but the pod itself
        LIST(struct topology_count, preferred);
};

static int parse_args(void *state, const json_t *json, struct cx_error *err CX_UNUSED)
{
        struct inter_pod_args *args = state;
        args->hard_weight = cx_json_int(json, "hardPodAffinityWeight", 1);
        args->ignores_running = cx_json_bool(json, "ignorePreferredTermsOfExistingPods", false);
        return 0;
}

// --- of the pod ------------------------------------------------------------------------------------------------------

static const char *const fields[] = {"metadata.labels", "metadata.namespace", "spec.affinity.podAffinity",
                                     "spec.affinity.podAntiAffinity", NULL};

static void parse_term(const json_t *from, const json_t *pod, struct pod_term *to)
{
        const json_t *labels = cx_json_get(pod, "metadata.labels");
        size_t i;
        json_t *name;
        to->topology = cx_strdup(cx_json_string_or(from, "topologyKey", ""));
        terms_parse_selector(json_object_get(from, "labelSelector"), &to->selector);
        terms_add_label_keys(json_object_get(from, "matchLabelKeys"), labels, CX_OP_IN, &to->selector);
        terms_add_label_keys(json_object_get(from, "mismatchLabelKeys"), labels, CX_OP_NOT_IN, &to->selector);
        json_array_foreach (json_object_get(from, "namespaces"), i, name)
                cx_strings_add(&to->namespaces, cx_str(json_string_value(name)));
        const json_t *selector = json_object_get(from, "namespaceSelector");
        to->has_namespace_selector = json_is_object(selector);
        if (to->has_namespace_selector)
                terms_parse_selector(selector, &to->namespace_selector);
        else if (!to->namespaces.count)
                cx_strings_add(&to->namespaces, cx_json_string_or(pod, "metadata.namespace", ""));
}

static void parse_rules(const json_t *pod, bool anti, struct pod_rules *to)
{
        const json_t *rules = cx_json_get(pod, anti ? "spec.affinity.podAntiAffinity" : "spec.affinity.podAffinity");
        size_t i;
        json_t *from;
        json_array_foreach (json_object_get(rules, "requiredDuringSchedulingIgnoredDuringExecution"), i, from)
                parse_term(from, pod, anti ? LIST_ADD(&to->anti_affinity) : LIST_ADD(&to->affinity));
        json_array_foreach (json_object_get(rules, "preferredDuringSchedulingIgnoredDuringExecution"), i, from) {
                struct pod_term *term = LIST_ADD(&to->preferred);
                parse_term(json_object_get(from, "podAffinityTerm"), pod, term);
                term->weight = cx_json_int(from, "weight", 0) * (anti ? -1 : 1);
        }
}

static void parse(void *state, const json_t *pod)
{
        parse_rules(pod, false, state);
        parse_rules(pod, true, state);
}

static void release_term(struct pod_term *term)
{
        free(term->topology);
        cx_selector_release(&term->selector);
        cx_selector_release(&term->namespace_selector);
        cx_strings_release(&term->namespaces);
}

static void release_pod(void *state)
{
        struct pod_rules *rules = state;
        LIST_RELEASE(&rules->affinity, release_term);
        LIST_RELEASE(&rules->anti_affinity, release_term);
        LIST_RELEASE(&rules->preferred, release_term);
}

static bool reaches_out(const void *state)
{
        const struct pod_rules *rules = state;
        return rules->affinity.count || rules->anti_affinity.count || rules->preferred.count;
}

// --- counting --------------------------------------------------------------------------------------------------------

static bool term_matches(const struct node_cache *cache, const struct pod_term *term, const struct template *template)
{
        bool in_namespace = cx_strings_has(&term->namespaces, template->namespace);
        if (!in_namespace && term->has_namespace_selector) {
                const struct cx_object *namespace = cx_map_get(&cache->namespaces, template->namespace);
                in_namespace = namespace ? cx_object_matches(namespace, &term->namespace_selector)
                                         : !term->namespace_selector.count && !term->namespace_selector.nothing;
        }
        return in_namespace && template_matches(template, &term->selector);
}

static struct topology_count make_counts(struct cycle *cycle, const char *topology)
{
        const struct column *column = cache_column(cycle->cache, topology);
        return (struct topology_count){column, cx_alloc_array((size_t)column->n_values + 1, sizeof(int64_t))};
}

// Adds `weight` for each pod of the marked groups to its node's topology value.
static void count_pods(const struct cycle *cycle, const uint8_t *match, int64_t weight, struct topology_count *to)
{
        const struct node_cache *cache = cycle->cache;
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
        const struct node_cache *cache = cycle->cache;
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

// --- filter ---------------------------------------------------------------------------------------------------------

static void forbid_by_existing(struct cycle *cycle)
{
        const struct node_cache *cache = cycle->cache;
        struct inter_pod_cycle *kept = state_of_cycle(cycle);
        for (size_t i = 0; i < cache->groups.count && cycle_has_outreach(cycle); i++) {
                const struct template *other = cache->groups.items[i].template;
                const struct pod_rules *rules = other ? state_of_template(cycle, other) : NULL;
                for (size_t j = 0; rules && j < rules->anti_affinity.count; j++) {
                        const struct pod_term *term = &rules->anti_affinity.items[j];
                        if (!term_matches(cache, term, cycle->template))
                                continue;
                        CX_CLEANUP(cx_freep) uint8_t *match = one_group(cycle, i);
                        struct topology_count counts = make_counts(cycle, term->topology);
                        count_pods(cycle, match, 1, &counts);
                        *LIST_ADD(&kept->forbidden) = counts;
                }
        }
        kept->n_existing = kept->forbidden.count;
}

static void forbid_by_own(struct cycle *cycle)
{
        const struct pod_rules *own = state_of_pod(cycle);
        struct inter_pod_cycle *kept = state_of_cycle(cycle);
        for (size_t i = 0; i < own->anti_affinity.count; i++) {
                const struct pod_term *term = &own->anti_affinity.items[i];
                CX_CLEANUP(cx_freep) uint8_t *match = groups_of_term(cycle, term);
                struct topology_count counts = make_counts(cycle, term->topology);
                count_pods(cycle, match, 1, &counts);
                *LIST_ADD(&kept->forbidden) = counts;
        }
}

// Only pods that match all terms at once count. When there is none anywhere, a pod that matches its own terms may be
// the first.
static void want(struct cycle *cycle)
{
        const struct pod_rules *own = state_of_pod(cycle);
        struct inter_pod_cycle *kept = state_of_cycle(cycle);
        const struct node_cache *cache = cycle->cache;
        CX_CLEANUP(cx_freep) uint8_t *match = cx_alloc(cache->groups.count + 1);
        memset(match, 1, cache->groups.count);
        bool matches_self = true, any = false;
        for (size_t i = 0; i < own->affinity.count; i++) {
                CX_CLEANUP(cx_freep) uint8_t *one = groups_of_term(cycle, &own->affinity.items[i]);
                for (size_t j = 0; j < cache->groups.count; j++)
                        match[j] &= one[j];
                matches_self = matches_self && term_matches(cache, &own->affinity.items[i], cycle->template);
        }
        for (size_t i = 0; i < own->affinity.count; i++) {
                struct topology_count counts = make_counts(cycle, own->affinity.items[i].topology);
                count_pods(cycle, match, 1, &counts);
                for (int v = 0; v < counts.column->n_values; v++)
                        any |= counts.counts[v] > 0;
                *LIST_ADD(&kept->wanted) = counts;
        }
        kept->first_of_kind = !any && matches_self;
}

static bool pre_filter(struct cycle *cycle)
{
        const struct pod_rules *own = state_of_pod(cycle);
        const struct inter_pod_cycle *kept = state_of_cycle(cycle);
        forbid_by_existing(cycle);
        forbid_by_own(cycle);
        if (own->affinity.count)
                want(cycle);
        return kept->forbidden.count || kept->wanted.count;
}

static bool filter(struct cycle *cycle, const struct node *node)
{
        const struct inter_pod_cycle *kept = state_of_cycle(cycle);
        for (size_t i = 0; i < kept->wanted.count; i++) {
                int value = column_value(kept->wanted.items[i].column, node);
                if (value < 0 || (!kept->first_of_kind && kept->wanted.items[i].counts[value] <= 0)) {
                        cycle_reject_for_good(cycle, "node(s) didn't match pod affinity rules");
                        return false;
                }
        }
        // The pod's own rules are named before those of others.
        for (size_t n = kept->forbidden.count; n > 0; n--) {
                const struct topology_count *counts = &kept->forbidden.items[n - 1];
                int value = column_value(counts->column, node);
                if (value >= 0 && counts->counts[value] > 0) {
                        cycle_reject(cycle, n > kept->n_existing
                                                    ? "node(s) didn't match pod anti-affinity rules"
                                                    : "node(s) didn't satisfy existing pods anti-affinity rules");
                        return false;
                }
        }
        return true;
}

// --- scoring --------------------------------------------------------------------------------------------------------

static void add_preference(struct cycle *cycle, const char *topology, const uint8_t *match, int64_t weight)
{
        struct inter_pod_cycle *kept = state_of_cycle(cycle);
        const struct column *column = cache_column(cycle->cache, topology);
        for (size_t i = 0; i < kept->preferred.count; i++)
                if (kept->preferred.items[i].column == column) {
                        count_pods(cycle, match, weight, &kept->preferred.items[i]);
                        return;
                }
        struct topology_count counts = make_counts(cycle, topology);
        count_pods(cycle, match, weight, &counts);
        *LIST_ADD(&kept->preferred) = counts;
}

static void add_preferences_of(struct cycle *cycle, size_t group)
{
        const struct template *other = cycle->cache->groups.items[group].template;
        if (!other)
                return;
        const struct pod_rules *rules = state_of_template(cycle, other);
        const struct inter_pod_args *args = args_of_plugin(cycle);
        bool prefers = rules->preferred.count && !args->ignores_running;
        if (!prefers && (!rules->affinity.count || !args->hard_weight))
                return;
        CX_CLEANUP(cx_freep) uint8_t *match = one_group(cycle, group);
        for (size_t i = 0; prefers && i < rules->preferred.count; i++)
                if (term_matches(cycle->cache, &rules->preferred.items[i], cycle->template))
                        add_preference(cycle, rules->preferred.items[i].topology, match,
                                       rules->preferred.items[i].weight);
        for (size_t i = 0; args->hard_weight && i < rules->affinity.count; i++)
                if (term_matches(cycle->cache, &rules->affinity.items[i], cycle->template))
                        add_preference(cycle, rules->affinity.items[i].topology, match, args->hard_weight);
}

static bool pre_score(struct cycle *cycle)
{
        const struct pod_rules *own = state_of_pod(cycle);
        for (size_t i = 0; i < own->preferred.count; i++) {
                const struct pod_term *term = &own->preferred.items[i];
                CX_CLEANUP(cx_freep) uint8_t *match = groups_of_term(cycle, term);
                add_preference(cycle, term->topology, match, term->weight);
        }
        for (size_t i = 0; i < cycle->cache->groups.count && cycle_has_outreach(cycle); i++)
                add_preferences_of(cycle, i);
        return ((const struct inter_pod_cycle *)state_of_cycle(cycle))->preferred.count;
}

static int64_t score(struct cycle *cycle, const struct node *node)
{
        const struct inter_pod_cycle *kept = state_of_cycle(cycle);
        int64_t sum = 0;
        for (size_t i = 0; i < kept->preferred.count; i++) {
                int value = column_value(kept->preferred.items[i].column, node);
                if (value >= 0)
                        sum += kept->preferred.items[i].counts[value];
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

static void release_cycle(void *state)
{
        struct inter_pod_cycle *kept = state;
        release_counts(kept->forbidden.items, kept->forbidden.count);
        release_counts(kept->wanted.items, kept->wanted.count);
        release_counts(kept->preferred.items, kept->preferred.count);
}

const struct plugin inter_pod_affinity_plugin = {
        .name = "InterPodAffinity",
        .events = EVENT_ON_NODE | EVENT_POD_ADDED | EVENT_POD_LABELS | EVENT_NAMESPACE,
        .weight = 2,
        .args_size = sizeof(struct inter_pod_args),
        .parse_args = parse_args,
        .fields = fields,
        .pod_size = sizeof(struct pod_rules),
        .parse = parse,
        .release_pod = release_pod,
        .reaches_out = reaches_out,
        .cycle_size = sizeof(struct inter_pod_cycle),
        .release_cycle = release_cycle,
        .pre_filter = pre_filter,
        .filter = filter,
        .pre_score = pre_score,
        .score = score,
        .normalize = normalize,
};
