// SPDX-License-Identifier: Apache-2.0
// Makes and deletes the pods of a Job.
#include "controller-manager/batch/job_sync.h"

#include "libcommon/api/pod.h"

#define MAX_PREFIX 58 // of a generated name: the server adds five characters

// --- deleting --------------------------------------------------------------------------------------------------------

// Counts pods that have just been deleted as terminating.
static void count_deleted(struct job_sync *s, const struct cx_objects *pods)
{
        s->n_active -= (int64_t)pods->count;
        s->terminating += (int64_t)pods->count;
        for (size_t i = 0; i < pods->count; i++)
                s->ready -= POD_STATE(pods->items[i])->ready;
}

// These do not count as failures: their finalizer goes first.
static int delete_surplus(struct job_sync *s, const struct cx_objects *pods, struct cx_error *err)
{
        int r = job_release_pods(s->jobs, s->owner->object, pods, NULL, err);
        if (r == 0)
                r = pod_control_delete(&s->jobs->control, s->owner, pods, pods->count, err);
        if (r == 0)
                count_deleted(s, pods);
        return r;
}

int job_delete_active(struct job_sync *s, struct cx_error *err)
{
        int r = pod_control_delete(&s->jobs->control, s->owner, &s->active, s->active.count, err);
        if (r == 0)
                count_deleted(s, &s->active);
        return r;
}

// --- making ----------------------------------------------------------------------------------------------------------

static char *name_prefix(const struct job_sync *s, int64_t index)
{
        const char *name = s->owner->object->name;
        if (index < 0)
                return cx_sprintf("%.200s-", name);
        CX_CLEANUP(cx_freep) char *suffix = cx_sprintf("-%lld-", (long long)index);
        size_t length = strlen(name), most = MAX_PREFIX - strlen(suffix);
        return cx_sprintf("%.*s%s", (int)(length < most ? length : most), name, suffix);
}

static void add_index_variable(json_t *container)
{
        json_t *env = cx_json_array_at(container, "env");
        if (!cx_json_find(env, "name", "JOB_COMPLETION_INDEX"))
                json_array_append_new(env, json_pack("{s:s, s:{s:{s:s}}}", "name", "JOB_COMPLETION_INDEX", "valueFrom",
                                                     "fieldRef", "fieldPath", "metadata.labels['" JOB_INDEX "']"));
}

// How often the index has failed, from the pod that the new one takes the place of.
static void add_failures(const struct job_sync *s, json_t *annotations, int64_t index)
{
        const struct cx_object *before = job_delayed_pod(s, index);
        int64_t failures = 0, ignored = 0;
        if (before) {
                bool ignore = job_failure_action(s->spec.failure_policy, before, NULL) == FAILURE_IGNORE;
                failures = (int64_t)JOB_POD(before)->failures + !ignore;
                ignored = (int64_t)JOB_POD(before)->ignored + ignore;
        }
        json_object_set_new(annotations, JOB_INDEX_FAILURES, json_string(CX_INT(failures)));
        if (ignored)
                json_object_set_new(annotations, JOB_INDEX_IGNORED, json_string(CX_INT(ignored)));
}

json_t *job_make_pod(const struct job_sync *s, int64_t index)
{
        CX_CLEANUP(cx_freep) char *prefix = name_prefix(s, index);
        json_t *pod = pod_from_template(cx_json_get(s->json, "spec.template"), prefix, owner_reference(s->owner));
        json_t *metadata = json_object_get(pod, "metadata"), *spec = json_object_get(pod, "spec");
        json_t *finalizers = cx_json_array_at(metadata, "finalizers");
        bool has = false;
        for (size_t i = 0; i < json_array_size(finalizers); i++)
                has = has || cx_streq(json_string_value(json_array_get(finalizers, i)), JOB_FINALIZER);
        if (!has)
                json_array_append_new(finalizers, json_string(JOB_FINALIZER));
        if (index < 0)
                return pod;
        json_object_set_new(cx_json_object_at(metadata, "annotations"), JOB_INDEX, json_string(CX_INT(index)));
        json_object_set_new(cx_json_object_at(metadata, "labels"), JOB_INDEX, json_string(CX_INT(index)));
        if (s->spec.per_index >= 0)
                add_failures(s, json_object_get(metadata, "annotations"), index);
        CX_CLEANUP(cx_freep) char *host = cx_sprintf("%s-%lld", s->owner->object->name, (long long)index);
        json_object_set_new(spec, "hostname", json_string(host));
        CX_POD_FOREACH(walk, spec, CX_POD_TEMPLATE)
        add_index_variable(walk.container);
        return pod;
}

struct missing_pods {
        const struct job_sync *sync;
        const int64_t *indexes;    // of an indexed Job
        const struct cx_buf *body; // of the others, which are all alike
};

static int write_body(void *context, size_t i, struct cx_buf *to, struct cx_error *err CX_UNUSED)
{
        const struct missing_pods *missing = context;
        if (!missing->indexes) {
                cx_buf_append(to, missing->body->data, missing->body->length);
                return 0;
        }
        json_auto_t *pod = job_make_pod(missing->sync, missing->indexes[i]);
        cx_json_dump(pod, to);
        return 0;
}

static int create_pods(struct job_sync *s, const struct job_plan *plan, struct cx_error *err)
{
        CX_BUF body = CX_BUF_INIT;
        if (!plan->indexes) {
                json_auto_t *pod = job_make_pod(s, -1);
                cx_json_dump(pod, &body);
        }
        struct missing_pods missing = {s, plan->indexes, &body};
        struct pod_batch batch = {plan->missing, write_body, &missing};
        int r = pod_control_create(&s->jobs->control, s->owner, &batch, err);
        if (r == 0)
                s->n_active += (int64_t)plan->missing;
        return r;
}

int job_manage(struct job_sync *s, struct cx_error *err)
{
        struct job_plan plan = {0};
        job_plan(s, &plan);
        int r = 0;
        if (plan.surplus.count)
                r = delete_surplus(s, &plan.surplus, err);
        else if (plan.missing)
                r = create_pods(s, &plan, err);
        job_plan_release(&plan);
        return r;
}
