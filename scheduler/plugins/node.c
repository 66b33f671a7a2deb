// SPDX-License-Identifier: Apache-2.0
// Plugins that look at one node's own fields: unschedulable, taints, selector and affinity, host ports.
#include "scheduler/framework.h"

#include "libcommon/base/buf.h"

// --- NodeUnschedulable ---

static bool filter_unschedulable(struct cycle *cycle, const struct node *node)
{
        static const struct taint cordon = {(char *)"node.kubernetes.io/unschedulable", (char *)"", EFFECT_NO_SCHEDULE};
        if (!node->info->unschedulable)
                return true;
        for (size_t i = 0; i < cycle->template->tolerations.count; i++)
                if (tolerates(&cycle->template->tolerations.items[i], &cordon))
                        return true;
        cycle_reject_for_good(cycle, "node(s) were unschedulable");
        return false;
}

const struct plugin node_unschedulable_plugin = {
        .name = "NodeUnschedulable",
        .events = EVENT_ON_NODE,
        .node_local = true,
        .filter = filter_unschedulable,
};

// --- TaintToleration ---

static bool is_tolerated(const struct template *template, const struct taint *taint, bool preferences)
{
        for (size_t i = 0; i < template->tolerations.count; i++) {
                const struct toleration *toleration = &template->tolerations.items[i];
                if (preferences && toleration->effect != EFFECT_ALL && toleration->effect != EFFECT_PREFER_NO_SCHEDULE)
                        continue;
                if (tolerates(toleration, taint))
                        return true;
        }
        return false;
}

const struct taint *untolerated_taint(const struct template *template, const struct node *node)
{
        for (size_t i = 0; i < node->info->taints.count; i++) {
                const struct taint *taint = &node->info->taints.items[i];
                if ((taint->effect == EFFECT_NO_SCHEDULE || taint->effect == EFFECT_NO_EXECUTE) &&
                    !is_tolerated(template, taint, false))
                        return taint;
        }
        return NULL;
}

static bool filter_taints(struct cycle *cycle, const struct node *node)
{
        const struct taint *taint = untolerated_taint(cycle->template, node);
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
        int64_t count = 0;
        for (size_t i = 0; i < node->info->taints.count; i++)
                count += node->info->taints.items[i].effect == EFFECT_PREFER_NO_SCHEDULE &&
                         !is_tolerated(cycle->template, &node->info->taints.items[i], true);
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
        .filter = filter_taints,
        .pre_score = any_preference,
        .score = score_taints,
        .normalize = normalize_taints,
        .weight = 3,
};

// --- NodeAffinity ---

static const char *get_label(void *node, const char *key)
{
        return node_label(node, key);
}

static const char *get_field(void *context, const char *key)
{
        const struct node *node = context;
        return strcmp(key, "metadata.name") == 0 ? node->name : NULL;
}

static bool node_term_matches(const struct node_term *term, const struct node *node)
{
        return cx_selector_matches_with(&term->labels, get_label, (void *)node) &&
               cx_selector_matches_with(&term->fields, get_field, (void *)node);
}

bool node_matches_affinity(const struct template *template, const struct node *node)
{
        if (!cx_selector_matches_with(&template->node_selector, get_label, (void *)node))
                return false;
        if (!template->has_node_terms)
                return true;
        for (size_t i = 0; i < template->node_terms.count; i++)
                if (node_term_matches(&template->node_terms.items[i], node))
                        return true;
        return false;
}

static bool has_affinity(struct cycle *cycle)
{
        return cycle->template->node_selector.count || cycle->template->has_node_terms;
}

static bool filter_affinity(struct cycle *cycle, const struct node *node)
{
        if (node_matches_affinity(cycle->template, node))
                return true;
        cycle_reject_for_good(cycle, "node(s) didn't match Pod's node affinity/selector");
        return false;
}

static bool prefers_nodes(struct cycle *cycle)
{
        return cycle->template->preferred_nodes.count;
}

static int64_t score_affinity(struct cycle *cycle, const struct node *node)
{
        int64_t score = 0;
        for (size_t i = 0; i < cycle->template->preferred_nodes.count; i++)
                if (node_term_matches(&cycle->template->preferred_nodes.items[i], node))
                        score += cycle->template->preferred_nodes.items[i].weight;
        return score;
}

static void normalize_affinity(struct cycle *cycle, int64_t *scores)
{
        normalize_by_maximum(cycle, scores, false);
}

const struct plugin node_affinity_plugin = {
        .name = "NodeAffinity",
        .events = EVENT_ON_NODE,
        .node_local = true,
        .pre_filter = has_affinity,
        .filter = filter_affinity,
        .pre_score = prefers_nodes,
        .score = score_affinity,
        .normalize = normalize_affinity,
        .weight = 2,
};

// --- NodePorts ---

static bool has_ports(struct cycle *cycle)
{
        return cycle->template->ports.count;
}

static bool ports_collide(const struct host_port *a, const struct host_port *b)
{
        return a->port == b->port && a->protocol == b->protocol && (!a->ip || !b->ip || a->ip == b->ip);
}

static bool filter_ports(struct cycle *cycle, const struct node *node)
{
        for (size_t i = 0; i < cycle->template->ports.count; i++)
                for (size_t j = 0; j < node->ports.count; j++)
                        if (ports_collide(&cycle->template->ports.items[i], &node->ports.items[j].port)) {
                                cycle_reject(cycle, "node(s) didn't have free ports for the requested pod ports");
                                return false;
                        }
        return true;
}

const struct plugin node_ports_plugin = {
        .name = "NodePorts",
        .events = EVENT_ON_NODE,
        .node_local = true,
        .pre_filter = has_ports,
        .filter = filter_ports,
};
