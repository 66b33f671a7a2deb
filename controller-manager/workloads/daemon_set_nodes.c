// SPDX-License-Identifier: Apache-2.0
// Which nodes a DaemonSet's pods belong on, and which pods are there. A pod that the scheduler has not bound yet says by its
// node affinity which node it is meant for.
#include "controller-manager/workloads/daemon_set.h"

// --- parts of nodes and pods -----------------------------------------------------------------------------------------

static void take_taints(void *part, const json_t *node)
{
        cx_taints_parse(cx_json_get(node, "spec.taints"), part);
}

static void release_taints(void *part)
{
        cx_taints_release(part);
}

const struct object_part daemon_node_part = {sizeof(struct cx_taints), take_taints, release_taints};

static const json_t *terms_of(const json_t *spec)
{
        return cx_json_get(spec,
                           "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");
}

static void take_target(void *part, const json_t *pod)
{
        const json_t *spec = json_object_get(pod, "spec");
        char **target = part;
        size_t i, j;
        json_t *term, *field;
        if (*cx_json_string_or(spec, "nodeName", ""))
                return;
        json_array_foreach (terms_of(spec), i, term)
                json_array_foreach (json_object_get(term, "matchFields"), j, field) {
                        const json_t *values = json_object_get(field, "values");
                        if (!cx_streq(cx_json_string(field, "key"), "metadata.name") ||
                            !cx_streq(cx_json_string(field, "operator"), "In"))
                                continue;
                        if (json_array_size(values) == 1 && json_string_value(json_array_get(values, 0)))
                                *target = cx_strdup(json_string_value(json_array_get(values, 0)));
                        return;
                }
}

static void release_target(void *part)
{
        free(*(char **)part);
}

const struct object_part daemon_pod_part = {sizeof(char *), take_target, release_target};

// --- where pods belong -----------------------------------------------------------------------------------------------

// What a node may have without its daemons leaving or staying away.
static const struct {
        const char *key, *effect;
        bool host_network; // only for pods of the node's network
} tolerated[] = {{"node.kubernetes.io/not-ready", "NoExecute"},
                 {"node.kubernetes.io/unreachable", "NoExecute"},
                 {"node.kubernetes.io/disk-pressure", "NoSchedule"},
                 {"node.kubernetes.io/memory-pressure", "NoSchedule"},
                 {"node.kubernetes.io/pid-pressure", "NoSchedule"},
                 {"node.kubernetes.io/unschedulable", "NoSchedule"},
                 {"node.kubernetes.io/network-unavailable", "NoSchedule", true}};

void daemon_add_tolerations(json_t *spec)
{
        bool host_network = cx_json_bool(spec, "hostNetwork", false);
        json_t *tolerations = cx_json_array_at(spec, "tolerations");
        for (size_t i = 0; i < CX_ARRAY_SIZE(tolerated); i++) {
                size_t j;
                json_t *have;
                if (tolerated[i].host_network && !host_network)
                        continue;
                json_array_foreach (tolerations, j, have) // one that is alike, but for a while only, gives way
                        if (cx_streq(cx_json_string(have, "key"), tolerated[i].key) &&
                            cx_streq(cx_json_string(have, "operator"), "Exists") &&
                            cx_streq(cx_json_string(have, "effect"), tolerated[i].effect))
                                break;
                json_t *wanted = json_pack("{s:s, s:s, s:s}", "key", tolerated[i].key, "operator", "Exists", "effect",
                                           tolerated[i].effect);
                if (j < json_array_size(tolerations))
                        json_array_set_new(tolerations, j, wanted);
                else
                        json_array_append_new(tolerations, wanted);
        }
}

void daemon_aim(json_t *spec, const char *node)
{
        json_t *affinity = cx_json_object_at(cx_json_object_at(spec, "affinity"), "nodeAffinity");
        json_t *required = cx_json_object_at(affinity, "requiredDuringSchedulingIgnoredDuringExecution");
        json_object_set_new(required, "nodeSelectorTerms",
                            json_pack("[{s:[{s:s, s:s, s:[s]}]}]", "matchFields", "key", "metadata.name", "operator",
                                      "In", "values", node));
}

void daemon_placement_parse(const json_t *template, struct daemon_placement *ret_placement)
{
        json_auto_t *spec = json_deep_copy(json_object_get(template, "spec"));
        const char *node = cx_json_string_or(json_object_get(template, "spec"), "nodeName", "");
        daemon_add_tolerations(spec);
        *ret_placement = (struct daemon_placement){.node = *node ? node : NULL};
        cx_node_affinity_parse(spec, &ret_placement->affinity);
        cx_tolerations_parse(json_object_get(spec, "tolerations"), &ret_placement->tolerations);
}

void daemon_placement_release(struct daemon_placement *placement)
{
        cx_node_affinity_release(&placement->affinity);
        cx_tolerations_release(&placement->tolerations);
}

static const char *label_of(void *node, const char *key)
{
        return cx_object_label(node, key);
}

void daemon_placement_check(const struct daemon_placement *placement, const struct cx_object *node, bool *ret_start,
                            bool *ret_continue)
{
        const struct cx_taints *taints = object_part(node, &daemon_node_part);
        const struct cx_node_facts facts = {node->name, label_of, (void *)(uintptr_t)node};
        const unsigned execute = 1u << CX_EFFECT_NO_EXECUTE, schedule = 1u << CX_EFFECT_NO_SCHEDULE;
        bool fits = (!placement->node || strcmp(placement->node, node->name) == 0) &&
                    cx_node_affinity_matches(&placement->affinity, &facts);
        *ret_start = fits && !cx_taints_untolerated(taints, &placement->tolerations, execute | schedule);
        *ret_continue = fits && !cx_taints_untolerated(taints, &placement->tolerations, execute);
}

// --- what is there ---------------------------------------------------------------------------------------------------

static int compare_nodes(const void *a, const void *b)
{
        return strcmp(((const struct daemon_node *)a)->name, ((const struct daemon_node *)b)->name);
}

static const char *node_of(const struct cx_object *pod)
{
        const char *target = *(char *const *)object_part(pod, &daemon_pod_part);
        return POD_STATE(pod)->node ? POD_STATE(pod)->node : target;
}

static int compare_pods(const void *a, const void *b)
{
        const struct daemon_pod *x = a, *y = b;
        int order = strcmp(node_of(x->pod), node_of(y->pod));
        if (order)
                return order;
        if (x->bound != y->bound)
                return x->bound ? -1 : 1;
        if (x->pod->created != y->pod->created)
                return x->pod->created < y->pod->created ? -1 : 1;
        return strcmp(x->pod->name, y->pod->name);
}

static bool is_updated(const struct cx_object *pod, const struct cx_strings *hashes)
{
        const char *hash = cx_object_label(pod, DAEMON_HASH);
        return hash && *hash && cx_strings_has(hashes, hash);
}

static void add_pod(struct daemon_view *view, const struct cx_object *pod, const struct daemon_pods *pods)
{
        const struct pod_state *state = POD_STATE(pod);
        if ((pod_is_terminal(pod) && pod->deleted) || !node_of(pod))
                return; // it only has to be removed; or it is meant for nowhere
        view->pods[view->n_pods++] = (struct daemon_pod){.pod = pod,
                                                         .going = pod->deleted != 0,
                                                         .bound = state->node != NULL,
                                                         .failed = state->phase == POD_FAILED,
                                                         .succeeded = state->phase == POD_SUCCEEDED,
                                                         .ready = state->ready,
                                                         .available = pod_is_available(pod, pods->min_ready, pods->now),
                                                         .updated = is_updated(pod, pods->hashes)};
}

// Merges both orders. Pods of nodes that do not exist get a node of their own.
static void assign_pods(struct daemon_view *view)
{
        size_t existing = view->n_nodes, at = 0;
        for (size_t i = 0; i < view->n_pods;) {
                const char *name = node_of(view->pods[i].pod);
                size_t from = i;
                while (i < view->n_pods && strcmp(node_of(view->pods[i].pod), name) == 0)
                        i++;
                while (at < existing && strcmp(view->nodes[at].name, name) < 0)
                        at++;
                struct daemon_node *node = &view->nodes[at];
                if (at == existing || strcmp(node->name, name) != 0) {
                        node = &view->nodes[view->n_nodes++];
                        *node = (struct daemon_node){.name = name};
                }
                node->from = from;
                node->to = i;
        }
}

void daemon_view_make(const struct daemon_placement *placement, const struct cx_objects *nodes,
                      const struct daemon_pods *pods, struct daemon_view *ret_view)
{
        *ret_view = (struct daemon_view){
                .nodes = cx_alloc_array(nodes->count + pods->pods->count + 1, sizeof *ret_view->nodes),
                .pods = cx_alloc_array(pods->pods->count + 1, sizeof *ret_view->pods)};
        for (size_t i = 0; i < nodes->count; i++) {
                struct daemon_node *node = &ret_view->nodes[ret_view->n_nodes++];
                *node = (struct daemon_node){.name = nodes->items[i]->name, .exists = true};
                daemon_placement_check(placement, nodes->items[i], &node->start, &node->stay);
        }
        for (size_t i = 0; i < pods->pods->count; i++)
                add_pod(ret_view, pods->pods->items[i], pods);
        qsort(ret_view->nodes, ret_view->n_nodes, sizeof *ret_view->nodes, compare_nodes);
        qsort(ret_view->pods, ret_view->n_pods, sizeof *ret_view->pods, compare_pods);
        assign_pods(ret_view);
}

void daemon_view_release(struct daemon_view *view)
{
        free(view->nodes);
        free(view->pods);
        *view = (struct daemon_view){0};
}
