// SPDX-License-Identifier: Apache-2.0
// As many pods as a Job is to have: which are too many, and how many are missing. Decides only; job_manage.c does it.
#include "controller-manager/batch/job_sync.h"

// --- too many --------------------------------------------------------------------------------------------------------

// Of pods of one index all but the last in the order of deletion.
static void split_twins(struct cx_objects *twins, struct cx_objects *surplus, struct cx_objects *rest)
{
        const struct cx_objects none = CX_OBJECTS_INIT;
        pods_rank_for_deletion(twins, &none);
        for (size_t i = 0; i < twins->count; i++)
                cx_objects_add(i + 1 < twins->count ? surplus : rest, twins->items[i]);
        cx_objects_release(twins);
}

// Active pods that are of no use, whatever their number: of no index, or of one that another has, and those that cannot
// be counted any more, which were about to be deleted.
static void split_active(const struct job_sync *s, struct cx_objects *surplus, struct cx_objects *rest)
{
        CX_OBJECTS tracked = CX_OBJECTS_INIT, twins = CX_OBJECTS_INIT;
        for (size_t i = 0; i < s->active.count; i++) {
                const struct cx_object *pod = s->active.items[i];
                bool useless = !job_pod_tracked(s, pod) || (s->spec.indexed && job_pod_index(s, pod) < 0);
                cx_objects_add(useless ? surplus : s->spec.indexed ? &tracked : rest, pod);
        }
        job_pods_sort(&tracked);
        for (size_t i = 0; i < tracked.count; i++) {
                if (twins.count && JOB_POD(tracked.items[i])->index != JOB_POD(twins.items[0])->index)
                        split_twins(&twins, surplus, rest);
                cx_objects_add(&twins, tracked.items[i]);
        }
        split_twins(&twins, surplus, rest);
}

// Those that go, `least` of them or more; useless ones and those that have come least far first.
static void choose_surplus(const struct job_sync *s, size_t least, struct cx_objects *ret_pods)
{
        CX_OBJECTS rest = CX_OBJECTS_INIT;
        const struct cx_objects none = CX_OBJECTS_INIT;
        split_active(s, ret_pods, &rest);
        pods_rank_for_deletion(&rest, &none);
        for (size_t i = 0; i < rest.count && ret_pods->count < least; i++)
                cx_objects_add(ret_pods, rest.items[i]);
}

// --- too few ---------------------------------------------------------------------------------------------------------

// Leaves those indexes whose last failure is long enough ago, and comes back for the others.
static size_t drop_early_indexes(struct job_sync *s, int64_t *indexes, size_t count)
{
        size_t kept = 0;
        for (size_t i = 0; i < count; i++) {
                const struct cx_object *before = job_delayed_pod(s, indexes[i]);
                struct job_backoff backoff = {0};
                if (before)
                        backoff =
                                (struct job_backoff){(int64_t)JOB_POD(before)->failures + JOB_POD(before)->ignored + 1,
                                                     job_pod_finished(before)};
                int64_t left = job_backoff_left(&backoff, s->now);
                if (left)
                        job_sync_later(s, left);
                else
                        indexes[kept++] = indexes[i];
        }
        return kept;
}

// The first indexes that nobody has finished, given up or works on.
static void choose_indexes(struct job_sync *s, struct job_plan *plan)
{
        CX_INDEXES taken = CX_INDEXES_INIT;
        plan->indexes = cx_alloc_array(s->pods.count + plan->missing + 1, sizeof *plan->indexes);
        size_t n = 0;
        for (size_t i = 0; i < s->pods.count; i++) {
                const struct cx_object *pod = s->pods.items[i];
                if (job_pod_index(s, pod) >= 0 && !pod_is_terminal(pod) && (!pod->deleted || s->spec.replaces_failed))
                        plan->indexes[n++] = job_pod_index(s, pod);
        }
        cx_indexes_add(&taken, plan->indexes, n);
        cx_indexes_unite(&taken, &s->done);
        cx_indexes_unite(&taken, &s->failed_indexes);
        plan->missing = cx_indexes_missing(&taken, s->spec.completions, plan->missing, plan->indexes);
        if (s->spec.per_index >= 0)
                plan->missing = drop_early_indexes(s, plan->indexes, plan->missing);
}

static void plan_missing(struct job_sync *s, int64_t missing, struct job_plan *plan)
{
        int64_t left = s->spec.per_index < 0 ? job_backoff_left(&s->backoff, s->now) : 0;
        if (left) {
                job_sync_later(s, left);
                return;
        }
        plan->missing = (size_t)(missing < POD_BURST ? missing : POD_BURST);
        if (s->spec.indexed)
                choose_indexes(s, plan);
}

// --- how many --------------------------------------------------------------------------------------------------------

static int64_t wanted_active(const struct job_sync *s)
{
        if (s->spec.suspended)
                return 0;
        if (s->spec.completions < 0) // once one has succeeded, those that run are waited for
                return s->succeeded > 0 ? (int64_t)s->active.count : s->spec.parallelism;
        int64_t left = s->spec.completions - s->succeeded;
        left = left < s->spec.parallelism ? left : s->spec.parallelism;
        return left > 0 ? left : 0;
}

void job_plan(struct job_sync *s, struct job_plan *ret_plan)
{
        int64_t active = (int64_t)s->active.count, wanted = wanted_active(s);
        choose_surplus(s, (size_t)(active > wanted ? active - wanted : 0), &ret_plan->surplus);
        while (ret_plan->surplus.count > POD_BURST)
                cx_object_unref(ret_plan->surplus.items[--ret_plan->surplus.count]);
        int64_t missing = wanted - active - (s->spec.replaces_failed ? s->terminating : 0);
        if (!ret_plan->surplus.count && missing > 0)
                plan_missing(s, missing, ret_plan);
}

void job_plan_release(struct job_plan *plan)
{
        cx_objects_release(&plan->surplus);
        free(plan->indexes);
}
