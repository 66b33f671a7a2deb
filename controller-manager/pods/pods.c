// SPDX-License-Identifier: Apache-2.0
// The state of pods, taken from their JSON once, and the order in which they are given up.
#include "controller-manager/pods/pods.h"

#include "libcommon/api/pod.h"
#include "libcommon/base/map.h"

#include <math.h>

static enum pod_phase phase_of(const char *text)
{
        static const char *const names[] = {"Pending", "Running", "Succeeded", "Failed", "Unknown"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++)
                if (strcmp(text, names[i]) == 0)
                        return (enum pod_phase)i;
        return POD_PENDING;
}

static void take_state(void *part, const json_t *pod)
{
        struct pod_state *state = part;
        state->phase = phase_of(cx_pod_phase(pod));
        state->ready = cx_pod_is_ready(pod);
        const char *since = cx_json_string(cx_pod_condition(pod, "Ready"), "lastTransitionTime");
        if (!since || cx_time_parse(since, &state->ready_since) < 0)
                state->ready_since = 0;
        const char *node = cx_json_string(pod, "spec.nodeName");
        state->node = node && *node ? cx_strdup(node) : NULL;
        size_t i;
        json_t *status;
        json_array_foreach (cx_json_get(pod, "status.containerStatuses"), i, status) {
                int64_t restarts = cx_json_int(status, "restartCount", 0);
                state->restarts = restarts > state->restarts ? restarts : state->restarts;
        }
        const char *cost = json_string_value(cx_json_at(
                pod, (const char *const[]){"metadata", "annotations", "controller.kubernetes.io/pod-deletion-cost"},
                3));
        if (!cost || cx_parse_int(cost, INT32_MIN, INT32_MAX, &state->deletion_cost) < 0)
                state->deletion_cost = 0;
}

static void release_state(void *part)
{
        free(((struct pod_state *)part)->node);
}

const struct object_part pod_state_part = {sizeof(struct pod_state), take_state, release_state};

static void node_keys(void *context CX_UNUSED, const struct cx_object *pod, struct cx_strings *ret_keys)
{
        if (POD_STATE(pod)->node)
                cx_strings_add(ret_keys, POD_STATE(pod)->node);
}

struct cx_informer *pods_informer(struct manager *manager)
{
        struct cx_informer *pods = manager_part_informer(manager, "", "pods", &pod_state_part);
        owner_index_dependents(pods);
        cx_informer_index_namespace(pods);
        cx_informer_add_index(pods, POD_INDEX_NODE, node_keys, NULL);
        return pods;
}

bool pod_is_terminal(const struct cx_object *pod)
{
        return POD_STATE(pod)->phase == POD_SUCCEEDED || POD_STATE(pod)->phase == POD_FAILED;
}

bool pod_is_active(const struct cx_object *pod)
{
        return !pod_is_terminal(pod) && !pod->deleted;
}

bool pod_is_available(const struct cx_object *pod, int64_t min_ready_seconds, int64_t now)
{
        const struct pod_state *state = POD_STATE(pod);
        if (!state->ready)
                return false;
        return !min_ready_seconds ||
               (state->ready_since && state->ready_since + min_ready_seconds * CX_US_PER_S <= now);
}

int64_t pods_wait(const struct cx_objects *pods, int64_t min_ready_seconds, int64_t now)
{
        int64_t wait = 0;
        for (size_t i = 0; i < pods->count; i++) {
                const struct pod_state *state = POD_STATE(pods->items[i]);
                if (!state->ready || !state->ready_since || pod_is_available(pods->items[i], min_ready_seconds, now))
                        continue;
                int64_t whole = min_ready_seconds * CX_US_PER_S, left = state->ready_since - now + whole;
                left = left < whole ? left : whole; // whatever time the status claims
                wait = !wait || left < wait ? left : wait;
        }
        return wait ? wait * 1000 + CX_NS_PER_S / 100 : 0;
}

void pods_filter(const struct cx_objects *pods, bool (*keep)(const struct cx_object *pod), struct cx_objects *ret_kept)
{
        for (size_t i = 0; i < pods->count; i++)
                if (keep(pods->items[i]))
                        cx_objects_add(ret_kept, pods->items[i]);
}

// --- the order of deletion -------------------------------------------------------------------------------------------

// Ages are compared by their logarithm, so that pods of about the same age count as equal and the choice among them
// spreads.
static int compare_ages(int64_t a, int64_t b, int64_t now)
{
        if (!a || !b)
                return !a && b ? -1 : a && !b ? 1 : 0;
        int bucket_a = now > a ? (int)log2((double)(now - a) * 1000) : -1,
            bucket_b = now > b ? (int)log2((double)(now - b) * 1000) : -1;
        return bucket_a < bucket_b ? -1 : bucket_a > bucket_b; // younger first
}

int pod_compare_for_deletion(const struct cx_object *a, int rank_a, const struct cx_object *b, int rank_b, int64_t now)
{
        static const int phase_order[] = {
                [POD_PENDING] = 0, [POD_UNKNOWN] = 1, [POD_RUNNING] = 2, [POD_SUCCEEDED] = 0, [POD_FAILED] = 0};
        const struct pod_state *x = POD_STATE(a), *y = POD_STATE(b);
        if (!x->node != !y->node)
                return x->node ? 1 : -1;
        if (phase_order[x->phase] != phase_order[y->phase])
                return phase_order[x->phase] - phase_order[y->phase];
        if (x->ready != y->ready)
                return x->ready ? 1 : -1;
        if (x->deletion_cost != y->deletion_cost)
                return x->deletion_cost < y->deletion_cost ? -1 : 1;
        if (rank_a != rank_b)
                return rank_b - rank_a;
        if (x->ready && x->ready_since != y->ready_since) {
                int order = compare_ages(x->ready_since, y->ready_since, now);
                return order ? order : strcmp(a->uid, b->uid);
        }
        if (x->restarts != y->restarts)
                return x->restarts > y->restarts ? -1 : 1;
        int order = compare_ages(a->created, b->created, now);
        return order ? order : strcmp(a->uid, b->uid);
}

struct ranked_pod {
        const struct cx_object *pod;
        int rank;
        int64_t now;
};

static int compare_ranked(const void *a, const void *b)
{
        const struct ranked_pod *x = a, *y = b;
        return pod_compare_for_deletion(x->pod, x->rank, y->pod, y->rank, x->now);
}

void pods_rank_for_deletion(struct cx_objects *pods, const struct cx_objects *siblings)
{
        CX_MAP by_node = CX_MAP_INIT;
        for (size_t i = 0; i < siblings->count; i++) {
                const char *node = POD_STATE(siblings->items[i])->node;
                if (node)
                        cx_map_set(&by_node, node, (void *)((uintptr_t)cx_map_get(&by_node, node) + 1));
        }
        CX_CLEANUP(cx_freep) struct ranked_pod *ranked = cx_alloc_array(pods->count + 1, sizeof *ranked);
        int64_t now = cx_time_now();
        for (size_t i = 0; i < pods->count; i++) {
                const char *node = POD_STATE(pods->items[i])->node;
                int rank = node ? (int)(uintptr_t)cx_map_get(&by_node, node) : 0;
                ranked[i] = (struct ranked_pod){pods->items[i], rank, now};
        }
        qsort(ranked, pods->count, sizeof *ranked, compare_ranked);
        for (size_t i = 0; i < pods->count; i++)
                pods->items[i] = ranked[i].pod;
}
