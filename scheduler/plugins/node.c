// SPDX-License-Identifier: Apache-2.0
// Plugins that look at one node's own fields: unschedulable, taints, selector and affinity.
#include "libcommon/base/buf.h"
#include "libcommon/format/json.h"
#include "scheduler/plugins/plugins.h"
#include "scheduler/plugins/terms.h"

static const char *const toleration_fields[] = {"spec.tolerations", NULL};

static void parse_tolerations(void *state, const json_t *pod)
{
        cx_tolerations_parse(cx_json_get(pod, "spec.tolerations"), state);
}

static void release_tolerations(void *state)
{
        cx_tolerations_release(state);
}

// --- NodeUnschedulable -----------------------------------------------------------------------------------------------

static bool filter_unschedulable(struct cycle *cycle, const struct node *node)
{
        static const struct cx_taint cordon = {(char *)"node.kubernetes.io/unschedulable", (char *)"",
                                               CX_EFFECT_NO_SCHEDULE};
        if (!node->info->unschedulable || cx_tolerations_find(state_of_pod(cycle), &cordon))
                return true;
        cycle_reject_for_good(cycle, "node(s) were unschedulable");
        return false;
}

const struct plugin node_unschedulable_plugin = {
        .name = "NodeUnschedulable",
        .events = EVENT_ON_NODE,
        .node_local = true,
        .fields = toleration_fields,
        .pod_size = sizeof(struct cx_tolerations),
        .parse = parse_tolerations,
        .release_pod = release_tolerations,
        .filter = filter_unschedulable,
};

// --- TaintToleration -------------------------------------------------------------------------------------------------

static bool filter_taints(struct cycle *cycle, const struct node *node)
{
        const struct cx_taint *taint = cx_taints_untolerated(&node->info->taints, state_of_pod(cycle),
                                                             1U << CX_EFFECT_NO_SCHEDULE | 1U << CX_EFFECT_NO_EXECUTE);
        if (!taint)
                return true;
        cycle->for_good = true;
        if (!cycle->quiet) {
                CX_BUF text = CX_BUF_INIT;
                cx_buf_printf(&text, "node(s) had untolerated taint {%s: %s}", taint->key, taint->value);
                cycle_reject_for_good(cycle, text.data);
        }
        return false;
}

static bool any_preference(struct cycle *cycle)
{
        for (size_t i = 0; i < cycle->n_feasible; i++)
                if (cycle->feasible[i]->info->taints.count)
                        return true;
        return false;
}

static int64_t score_taints(struct cycle *cycle, const struct node *node)
{
        const struct cx_taints *taints = &node->info->taints;
        int64_t count = 0;
        for (size_t i = 0; i < taints->count; i++)
                count += taints->items[i].effect == CX_EFFECT_PREFER_NO_SCHEDULE &&
                         !cx_tolerations_find(state_of_pod(cycle), &taints->items[i]);
        return count;
}

static void normalize_taints(struct cycle *cycle, int64_t *scores)
{
        normalize_by_maximum(cycle, scores, true);
}

const struct plugin taint_toleration_plugin = {
        .name = "TaintToleration",
        .events = EVENT_ON_NODE,
        .node_local = true,
        .weight = 3,
        .fields = toleration_fields,
        .pod_size = sizeof(struct cx_tolerations),
        .parse = parse_tolerations,
        .release_pod = release_tolerations,
        .filter = filter_taints,
        .pre_score = any_preference,
        .score = score_taints,
        .normalize = normalize_taints,
};

// --- NodeAffinity ----------------------------------------------------------------------------------------------------

static const char *const affinity_fields[] = {"spec.nodeSelector", "spec.affinity.nodeAffinity", NULL};

// What a profile asks of every node, beside the pod's own.
static int parse_added_affinity(void *args, const json_t *json, struct cx_error *err CX_UNUSED)
{
        const json_t *added = json_object_get(json, "addedAffinity");
        json_auto_t *spec = json_pack("{s:{s:O?}}", "affinity", "nodeAffinity", added);
        cx_node_affinity_parse(spec, args);
        return 0;
}

static void parse_affinity(void *state, const json_t *pod)
{
        cx_node_affinity_parse(json_object_get(pod, "spec"), state);
}

static void release_affinity(void *state)
{
        cx_node_affinity_release(state);
}

static bool has_affinity(struct cycle *cycle)
{
        const struct cx_node_affinity *affinity = state_of_pod(cycle), *added = args_of_plugin(cycle);
        return affinity->selector.count || affinity->has_required || added->has_required;
}

static bool filter_affinity(struct cycle *cycle, const struct node *node)
{
        const struct cx_node_facts facts = terms_node_facts(node);
        if (!cx_node_affinity_matches(args_of_plugin(cycle), &facts)) {
                cycle_reject_for_good(cycle, "node(s) didn't match scheduler-enforced node affinity");
                return false;
        }
        if (cx_node_affinity_matches(state_of_pod(cycle), &facts))
                return true;
        cycle_reject_for_good(cycle, "node(s) didn't match Pod's node affinity/selector");
        return false;
}

static bool prefers_nodes(struct cycle *cycle)
{
        const struct cx_node_affinity *affinity = state_of_pod(cycle), *added = args_of_plugin(cycle);
        return affinity->preferred.count || added->preferred.count;
}

static int64_t weigh(const struct cx_node_affinity *affinity, const struct cx_node_facts *facts)
{
        const struct cx_node_terms *preferred = &affinity->preferred;
        int64_t score = 0;
        for (size_t i = 0; i < preferred->count; i++)
                if (cx_node_term_matches(&preferred->items[i], facts))
                        score += preferred->items[i].weight;
        return score;
}

static int64_t score_affinity(struct cycle *cycle, const struct node *node)
{
        const struct cx_node_facts facts = terms_node_facts(node);
        return weigh(state_of_pod(cycle), &facts) + weigh(args_of_plugin(cycle), &facts);
}

static void normalize_affinity(struct cycle *cycle, int64_t *scores)
{
        normalize_by_maximum(cycle, scores, false);
}

const struct plugin node_affinity_plugin = {
        .name = "NodeAffinity",
        .events = EVENT_ON_NODE,
        .node_local = true,
        .weight = 2,
        .args_size = sizeof(struct cx_node_affinity),
        .parse_args = parse_added_affinity,
        .release_args = release_affinity,
        .fields = affinity_fields,
        .pod_size = sizeof(struct cx_node_affinity),
        .parse = parse_affinity,
        .release_pod = release_affinity,
        .pre_filter = has_affinity,
        .filter = filter_affinity,
        .pre_score = prefers_nodes,
        .score = score_affinity,
        .normalize = normalize_affinity,
};
