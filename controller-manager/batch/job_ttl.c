// SPDX-License-Identifier: Apache-2.0
// Jobs that have finished are deleted after spec.ttlSecondsAfterFinished, with their pods.
#include "controller-manager/batch/kinds.h"

#include "libcommon/base/time.h"

#define LONGEST_WAIT (365 * 86400 * CX_US_PER_S)

struct finished_jobs {
        struct cx_rest *rest;
        struct cx_informer *jobs;
};

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct finished_jobs *self = cx_alloc(sizeof *self);
        self->rest = manager->rest;
        self->jobs = manager_informer(manager, "batch", "jobs");
        manager_enqueue_all(self->jobs, queue);
        return self;
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        const struct finished_jobs *self = context;
        CX_OBJECT *job = cx_informer_get_key(self->jobs, key);
        if (!job || job->deleted)
                return 0;
        json_auto_t *json = cx_object_json(job);
        const json_t *ttl = cx_json_get(json, "spec.ttlSecondsAfterFinished"), *end = job_end(json);
        int64_t ended;
        if (!ttl || !end || cx_time_parse(cx_json_string_or(end, "lastTransitionTime", ""), &ended) < 0)
                return 0;
        int64_t left = ended + json_integer_value(ttl) * CX_US_PER_S - cx_time_now();
        if (left > 0) {
                *retry_after = (left < LONGEST_WAIT ? left : LONGEST_WAIT) * 1000;
                return 0;
        }
        // Only what was looked at: somebody may have given it more time meanwhile.
        struct cx_delete_options options = {
                .propagation = "Foreground", .grace = -1, .uid = job->uid, .resource_version = job->resource_version};
        int r = cx_rest_delete(self->rest, CX_REF("batch", "v1", "jobs", job->namespace, job->name), &options, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                return 0;
        }
        return r;
}

const struct controller job_ttl_controller = {.name = "ttl-after-finished-controller",
                                              .account = "ttl-after-finished-controller",
                                              .workers = 5,
                                              .init = init,
                                              .reconcile = reconcile,
                                              .free = free};
