// SPDX-License-Identifier: Apache-2.0
// Creates and deletes pods in batches. A call that fails is taken back from the expectations at once; one that worked
// counts until the informer shows its result.
#include "controller-manager/pods/pod_control.h"

#include "libcommon/format/scan.h"

#define PARALLEL 16

const struct owner_kind pod_kind = {"", "v1", "pods", "Pod"};

// --- following -------------------------------------------------------------------------------------------------------

static void enqueue_owner(struct pod_control *self, const char *key)
{
        if (self->gather)
                cx_workqueue_add_after(self->queue, key, self->gather);
        else
                cx_workqueue_add(self->queue, key);
}

static void enqueue_matching(struct pod_control *self, const struct cx_object *pod)
{
        CX_OBJECTS owners = CX_OBJECTS_INIT;
        cx_informer_list(self->owners, pod->namespace, &owners);
        for (size_t i = 0; i < owners.count; i++) {
                json_auto_t *owner = cx_object_json(owners.items[i]);
                CX_SELECTOR selector = CX_SELECTOR_INIT;
                if (owner_selector(self->type, owner, &selector, NULL) == 0 && cx_object_matches(pod, &selector))
                        enqueue_owner(self, owners.items[i]->key);
        }
}

static void on_pod(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct pod_control *self = context;
        const struct cx_object *pod = now ? now : old;
        char key[512], before[512];
        if (!pod)
                return; // an event has at least one of the two
        bool owned = controller_key(pod, self->type, key);
        if (owned) {
                if (!old)
                        expectations_created(&self->expectations, key, 1);
                if (!now || now->deleted)
                        expectations_deleted(&self->expectations, key, pod->uid);
                enqueue_owner(self, key);
        } else if (now && !now->deleted && !cx_object_controller(now) &&
                   (!old || cx_object_controller(old) || !cx_object_same_labels(old, now))) {
                enqueue_matching(self, now);
        }
        if (old && now && controller_key(old, self->type, before) && (!owned || strcmp(key, before) != 0))
                enqueue_owner(self, before);
}

static void tell(struct pod_control *self, const struct owner *owner, enum pod_verb verb, const char *pod,
                 const struct cx_error *failure)
{
        static const struct {
                const char *done, *said, *failed, *error;
        } words[] = {[POD_CREATE] = {"SuccessfulCreate", "Created pod", "FailedCreate", "Error creating"},
                     [POD_DELETE] = {"SuccessfulDelete", "Deleted pod", "FailedDelete", "Error deleting"}};
        if (failure)
                owner_event(self->events, owner, "Warning", words[verb].failed, "%s: %s", words[verb].error,
                            cx_error_text(failure));
        else
                owner_event(self->events, owner, "Normal", words[verb].done, "%s: %s", words[verb].said, pod);
}

void pod_control_init(struct pod_control *self, struct manager *manager, struct cx_workqueue *queue,
                      const struct owner_kind *type, const char *events)
{
        *self = (struct pod_control){.type = type,
                                     .tell = tell,
                                     .rest = manager->rest,
                                     .events = manager_recorder(manager, events),
                                     .queue = queue,
                                     .owners = manager_informer(manager, type->group, type->resource),
                                     .pods = pods_informer(manager)};
        expectations_init(&self->expectations);
        cx_informer_index_controller(self->owners);
        cx_informer_index_namespace(self->owners);
        manager_enqueue_all(self->owners, queue);
        cx_informer_on_event(self->pods, on_pod, self);
}

void pod_control_release(struct pod_control *self)
{
        expectations_release(&self->expectations);
}

int pod_control_claim(struct pod_control *self, const struct owner *owner, const struct cx_selector *selector,
                      bool (*considers)(const struct cx_object *pod), struct cx_objects *ret_pods, struct cx_error *err)
{
        return claim_dependents(&(struct claim){.rest = self->rest,
                                                .owner = owner,
                                                .selector = selector,
                                                .dependents = &pod_kind,
                                                .informer = self->pods,
                                                .considers = considers,
                                                .fits = self->fits,
                                                .finalizer = self->finalizer},
                                ret_pods, err);
}

// --- creating and deleting -------------------------------------------------------------------------------------------

// What the threads of one batch share.
struct batch_job {
        struct pod_control *self;
        const struct owner *owner;
        const struct pod_batch *batch; // of a creation
        size_t done;                   // pods of it that earlier calls took
        const char *path;              // of the pods
        const struct cx_objects *pods; // of a deletion
        pthread_mutex_t lock;          // guards what follows
        struct cx_error err;           // the first
        bool failed, namespace_goes;
};

static void job_failed(struct batch_job *job, struct cx_error *err)
{
        pthread_mutex_lock(&job->lock);
        job->failed = true;
        if (!job->err.code)
                cx_error_move(&job->err, err);
        pthread_mutex_unlock(&job->lock);
}

static int job_end(struct batch_job *job, struct cx_error *err)
{
        pthread_mutex_destroy(&job->lock);
        return job->err.code ? cx_error_move(err, &job->err) : 0;
}

static char *name_of(const struct cx_buf *pod)
{
        char *name = cx_scan_string(cx_scan_path((struct cx_slice){pod->data, pod->length}, "metadata.name"));
        return name ? name : cx_strdup("");
}

static void create_one(void *context, size_t i)
{
        struct batch_job *job = context;
        struct pod_control *self = job->self;
        CX_ERROR err = CX_ERROR_INIT;
        CX_BUF body = CX_BUF_INIT;
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        int r = job->batch->body(job->batch->context, job->done + i, &body, &err);
        bool has_body = r == 0;
        if (has_body)
                r = cx_rest_do(
                        self->rest,
                        &(struct cx_rest_call){
                                .method = "POST", .path = job->path, .body = body.data, .body_length = body.length},
                        &reply, &err);
        CX_CLEANUP(cx_freep) char *name = name_of(r == 0 ? &reply.body : &body);
        if (r == 0) {
                self->tell(self, job->owner, POD_CREATE, name, NULL);
                return;
        }
        expectations_created(&self->expectations, job->owner->object->key, 1);
        if (is_namespace_terminating(&err)) { // nothing can be created there, and that is not a failure
                pthread_mutex_lock(&job->lock);
                job->namespace_goes = true;
                pthread_mutex_unlock(&job->lock);
                return;
        }
        if (has_body)
                self->tell(self, job->owner, POD_CREATE, name, &err);
        job_failed(job, &err);
}

int pod_control_create(struct pod_control *self, const struct owner *owner, const struct pod_batch *batch,
                       struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        cx_rest_path(&path, CX_REF("", "v1", "pods", owner->object->namespace), NULL);
        struct batch_job job = {
                .self = self, .owner = owner, .batch = batch, .path = path.data, .lock = PTHREAD_MUTEX_INITIALIZER};
        expectations_expect_creations(&self->expectations, owner->object->key, (int)batch->count);
        for (size_t n = 1; job.done < batch->count && !job.failed && !job.namespace_goes; n *= 2) {
                n = n < batch->count - job.done ? n : batch->count - job.done;
                cx_parallel(n, PARALLEL, create_one, &job);
                job.done += n;
        }
        expectations_created(&self->expectations, owner->object->key, (int)(batch->count - job.done)); // not tried
        return job_end(&job, err);
}

static void delete_one(void *context, size_t i)
{
        struct batch_job *job = context;
        struct pod_control *self = job->self;
        const struct cx_object *pod = job->pods->items[i];
        CX_ERROR err = CX_ERROR_INIT;
        struct cx_delete_options options = {.grace = -1, .uid = pod->uid};
        if (cx_rest_delete(self->rest, CX_REF("", "v1", "pods", pod->namespace, pod->name), &options, &err) == 0) {
                self->tell(self, job->owner, POD_DELETE, pod->name, NULL);
                return;
        }
        expectations_deleted(&self->expectations, job->owner->object->key, pod->uid);
        if (cx_error_is(&err, CX_REASON_NOT_FOUND))
                return;
        self->tell(self, job->owner, POD_DELETE, pod->name, &err);
        job_failed(job, &err);
}

int pod_control_delete(struct pod_control *self, const struct owner *owner, const struct cx_objects *pods, size_t count,
                       struct cx_error *err)
{
        struct batch_job job = {.self = self, .owner = owner, .pods = pods, .lock = PTHREAD_MUTEX_INITIALIZER};
        for (size_t i = 0; i < count; i++) // all before the first, whose event may come at once
                expectations_expect_deletion(&self->expectations, owner->object->key, pods->items[i]->uid);
        cx_parallel(count, PARALLEL, delete_one, &job);
        return job_end(&job, err);
}

json_t *pod_from_template(const json_t *template, const char *generate_name, json_t *owner_steal)
{
        json_t *metadata = metadata_of_template(template);
        if (generate_name)
                json_object_set_new(metadata, "generateName", json_string(generate_name));
        json_object_set_new(metadata, "ownerReferences", json_pack("[o]", owner_steal));
        return json_pack("{s:s, s:s, s:o, s:o}", "apiVersion", "v1", "kind", "Pod", "metadata", metadata, "spec",
                         json_deep_copy(json_object_get(template, "spec")));
}
