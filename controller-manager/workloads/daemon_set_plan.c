// SPDX-License-Identifier: Apache-2.0
// What a DaemonSet does next, from the observed nodes and pods alone: first a pod on each node that is to have one, then the
// next step of a rolling update. Without surge the old pod goes first; with surge it goes when the new one is available.
#include "controller-manager/workloads/daemon_set.h"

#include "libcommon/api/intstr.h"

static int64_t part_of(const json_t *value, int64_t total)
{
        int64_t part;
        return value && cx_int_or_percent(value, total, true, &part) == 0 && part > 0 ? part : 0;
}

void daemon_strategy_read(const json_t *set, const struct daemon_view *view, struct daemon_strategy *ret_strategy)
{
        const json_t *rolling = cx_json_get(set, "spec.updateStrategy.rollingUpdate");
        const json_t *surge = json_object_get(rolling, "maxSurge");
        int64_t desired = daemon_count(view).desired;
        *ret_strategy = (struct daemon_strategy){
                .rolling = cx_streq(cx_json_string(set, "spec.updateStrategy.type"), "RollingUpdate")};
        if (!ret_strategy->rolling)
                return;
        ret_strategy->surges = part_of(surge, 1) > 0;
        ret_strategy->max_surge = part_of(surge, desired);
        ret_strategy->max_unavailable = part_of(json_object_get(rolling, "maxUnavailable"), desired);
        if (!ret_strategy->max_surge && !ret_strategy->max_unavailable) // there would be no way forward
                ret_strategy->max_unavailable = 1;
}

struct daemon_counts daemon_count(const struct daemon_view *view)
{
        struct daemon_counts counts = {0};
        for (size_t i = 0; i < view->n_nodes; i++) {
                const struct daemon_node *node = &view->nodes[i];
                bool has_pod = node->to > node->from;
                const struct daemon_pod *pod = has_pod ? &view->pods[node->from] : NULL; // the oldest
                counts.desired += node->start;
                counts.misscheduled += node->exists && !node->start && has_pod;
                if (!node->start || !has_pod)
                        continue;
                counts.current++;
                counts.ready += pod->ready;
                counts.available += pod->available;
                counts.updated += pod->updated;
        }
        return counts;
}

// --- pods on nodes ---------------------------------------------------------------------------------------------------

static void plan_init(const struct daemon_view *view, struct daemon_plan *ret_plan)
{
        *ret_plan = (struct daemon_plan){.create = cx_alloc_array(view->n_nodes + 1, sizeof(size_t)),
                                         .end = cx_alloc_array(view->n_pods + 1, sizeof(size_t)),
                                         .failed = cx_alloc_array(view->n_pods + 1, sizeof(size_t)),
                                         .succeeded = cx_alloc_array(view->n_pods + 1, sizeof(size_t))};
}

void daemon_plan_release(struct daemon_plan *plan)
{
        free(plan->create);
        free(plan->end);
        free(plan->failed);
        free(plan->succeeded);
        *plan = (struct daemon_plan){0};
}

static void end(struct daemon_plan *plan, size_t pod)
{
        plan->end[plan->n_end++] = pod;
}

static bool is_running(const struct daemon_pod *pod)
{
        return !pod->going && !pod->failed && !pod->succeeded;
}

// With surge there may be two: the oldest old one while it is ready, and the oldest new one, until that is available.
static void prune_surge(const struct daemon_view *view, const struct daemon_node *node, struct daemon_plan *plan)
{
        size_t fresh = SIZE_MAX, old = SIZE_MAX;
        for (size_t i = node->from; i < node->to; i++) {
                size_t *oldest = view->pods[i].updated ? &fresh : &old;
                if (!is_running(&view->pods[i]))
                        continue;
                if (*oldest == SIZE_MAX)
                        *oldest = i;
                else
                        end(plan, i);
        }
        if (fresh != SIZE_MAX && old != SIZE_MAX && (!view->pods[old].ready || view->pods[fresh].available))
                end(plan, old);
}

static void plan_node(const struct daemon_view *view, size_t index, bool surges, struct daemon_plan *plan)
{
        const struct daemon_node *node = &view->nodes[index];
        size_t running = 0;
        if (node->start && node->from == node->to)
                plan->create[plan->n_create++] = index;
        for (size_t i = node->from; i < node->to; i++) {
                const struct daemon_pod *pod = &view->pods[i];
                if (pod->going)
                        continue;
                if (!node->exists) { // who is bound there is seen to by others; the rest would wait for ever
                        if (!pod->bound)
                                end(plan, i);
                } else if (!node->stay) {
                        end(plan, i);
                } else if (pod->failed) {
                        plan->failed[plan->n_failed++] = i;
                } else if (pod->succeeded) {
                        plan->succeeded[plan->n_succeeded++] = i;
                } else if (running++ && !surges) {
                        end(plan, i);
                }
        }
        if (!surges || !node->stay)
                return;
        if (running > 1)
                prune_surge(view, node, plan);
        else if (!running && node->start && node->to > node->from)
                plan->create[plan->n_create++] = index;
}

void daemon_plan_nodes(const struct daemon_view *view, const struct daemon_strategy *strategy,
                       struct daemon_plan *ret_plan)
{
        plan_init(view, ret_plan);
        for (size_t i = 0; i < view->n_nodes; i++)
                plan_node(view, i, strategy->surges, ret_plan);
}

// --- rolling updates -------------------------------------------------------------------------------------------------

// The new and the old pod of a node; SIZE_MAX: none. False when there are several of one sort.
static bool find_pods(const struct daemon_view *view, const struct daemon_node *node, size_t *ret_new, size_t *ret_old)
{
        *ret_new = *ret_old = SIZE_MAX;
        for (size_t i = node->from; i < node->to; i++) {
                size_t *found = view->pods[i].updated ? ret_new : ret_old;
                if (view->pods[i].going)
                        continue;
                if (*found != SIZE_MAX)
                        return false;
                *found = i;
        }
        return true;
}

// Old pods that are not available are replaced at once; of the others as many as may be unavailable. Pods that end do not
// count, so that an update goes on while nodes are down; nodes without a pod do.
static void update_in_place(const struct daemon_view *view, int64_t max_unavailable, struct daemon_plan *plan)
{
        CX_CLEANUP(cx_freep) size_t *candidates = cx_alloc_array(view->n_nodes + 1, sizeof *candidates);
        size_t n_candidates = 0;
        int64_t unavailable = 0;
        for (size_t i = 0; i < view->n_nodes; i++) {
                const struct daemon_node *node = &view->nodes[i];
                size_t fresh, old;
                if (!node->start && node->from == node->to)
                        continue;
                bool several = !find_pods(view, node, &fresh, &old);
                if (several || (fresh == SIZE_MAX) == (old == SIZE_MAX)) {
                        unavailable++;
                } else if (fresh != SIZE_MAX) {
                        unavailable += !view->pods[fresh].available;
                } else if (view->pods[old].available) {
                        candidates[n_candidates++] = old;
                } else {
                        unavailable++;
                        end(plan, old);
                }
        }
        for (size_t i = 0; i < n_candidates && unavailable < max_unavailable; i++, unavailable++)
                end(plan, candidates[i]);
}

struct surge {
        const struct daemon_view *view;
        struct daemon_plan *plan;
        size_t *candidates; // nodes that may get a second pod
        size_t *misplaced;  // old pods that are available where none is to run any more
        size_t n_candidates, n_misplaced;
        int64_t surging, available;
};

static void surge_on_node(struct surge *surge, size_t index)
{
        const struct daemon_node *node = &surge->view->nodes[index];
        const struct daemon_pod *pods = surge->view->pods;
        struct daemon_plan *plan = surge->plan;
        size_t fresh, old;
        if (!find_pods(surge->view, node, &fresh, &old)) {
                surge->surging++;
                return;
        }
        size_t counted = old != SIZE_MAX ? old : fresh;
        surge->available += counted != SIZE_MAX && pods[counted].available;
        if (old == SIZE_MAX)
                return;
        if (fresh != SIZE_MAX) {
                if (pods[fresh].available)
                        end(plan, old);
                else
                        surge->surging++;
        } else if (!pods[old].available) {
                if (node->start)
                        plan->create[plan->n_create++] = index;
                else
                        end(plan, old);
        } else if (node->start) {
                surge->candidates[surge->n_candidates++] = index;
        } else {
                surge->misplaced[surge->n_misplaced++] = old;
        }
}

// Where the old pod is not available the new one starts at once, and on as many other nodes as may surge. Pods on nodes that
// are not to have any go only as far as enough others are available.
static void update_with_surge(const struct daemon_view *view, int64_t max_surge, struct daemon_plan *plan)
{
        CX_CLEANUP(cx_freep) size_t *candidates = cx_alloc_array(view->n_nodes + 1, sizeof *candidates);
        CX_CLEANUP(cx_freep) size_t *misplaced = cx_alloc_array(view->n_pods + 1, sizeof *misplaced);
        struct surge surge = {view, plan, candidates, misplaced, 0, 0, 0, 0};
        for (size_t i = 0; i < view->n_nodes; i++)
                surge_on_node(&surge, i);
        int64_t spare = surge.available - daemon_count(view).desired;
        for (size_t i = 0; i < surge.n_misplaced && (int64_t)i < spare; i++)
                end(plan, misplaced[i]);
        for (size_t i = 0; i < surge.n_candidates && surge.surging < max_surge; i++, surge.surging++)
                plan->create[plan->n_create++] = candidates[i];
}

void daemon_plan_update(const struct daemon_view *view, const struct daemon_strategy *strategy,
                        struct daemon_plan *ret_plan)
{
        plan_init(view, ret_plan);
        if (strategy->rolling && strategy->max_surge)
                update_with_surge(view, strategy->max_surge, ret_plan);
        else if (strategy->rolling)
                update_in_place(view, strategy->max_unavailable, ret_plan);
}
