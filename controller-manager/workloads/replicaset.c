// SPDX-License-Identifier: Apache-2.0
// ReplicaSets: as many pods as asked for. Creations run in parallel in batches that double while all goes well, so that a
// template that no pod can be made of costs one failed call and not thousands.
#include "controller-manager/pods/expectations.h"
#include "controller-manager/pods/pods.h"
#include "libcommon/schema/schema.h"

#include "libcommon/api/selector.h"
#include "libcommon/format/scan.h"

#define BURST 500
#define PARALLEL 16

struct replicasets {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_informer *sets, *pods;
        struct cx_events *events;
        struct expectations expectations;
};

// The key of the ReplicaSet that controls the pod; false when there is none. `to` takes 512 bytes.
static bool owner_key(const struct cx_object *pod, char to[512])
{
        const struct cx_object_owner *owner = cx_object_controller(pod);
        if (!owner || !cx_streq(owner->kind, "ReplicaSet"))
                return false;
        snprintf(to, 512, "%s/%s", pod->namespace, owner->name);
        return true;
}

static void enqueue_matching(struct replicasets *self, const struct cx_object *pod)
{
        CX_OBJECTS sets = CX_OBJECTS_INIT;
        cx_informer_list(self->sets, pod->namespace, &sets);
        for (size_t i = 0; i < sets.count; i++) {
                json_auto_t *set = cx_object_json(sets.items[i]);
                CX_SELECTOR selector = CX_SELECTOR_INIT;
                if (cx_selector_from_json(cx_json_get(set, "spec.selector"), &selector, NULL) == 0 &&
                    cx_object_matches(pod, &selector))
                        cx_workqueue_add(self->queue, sets.items[i]->key);
        }
}

static void on_pod(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct replicasets *self = context;
        const struct cx_object *pod = now ? now : old;
        char key[512];
        if (owner_key(pod, key)) {
                if (!old)
                        expectations_created(&self->expectations, key, 1);
                if (!now || now->deleted)
                        expectations_deleted(&self->expectations, key, pod->uid);
                cx_workqueue_add(self->queue, key);
        } else if (now && !now->deleted && !cx_object_controller(now) &&
                   (!old || cx_object_controller(old) || !cx_object_same_labels(old, now))) {
                enqueue_matching(self, now);
        }
        char before[512];
        if (old && now && owner_key(old, before) && (!owner_key(now, key) || strcmp(key, before) != 0))
                cx_workqueue_add(self->queue, before);
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct replicasets *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->queue = queue;
        self->sets = manager_informer(manager, "apps", "replicasets");
        self->pods = manager_informer(manager, "", "pods");
        self->events = manager_recorder(manager, "replicaset-controller");
        expectations_init(&self->expectations);
        cx_informer_index_controller(self->sets);
        cx_informer_index_namespace(self->sets);
        manager_enqueue_all(self->sets, queue);
        cx_informer_on_event(self->pods, on_pod, self);
        return self;
}

static void release(void *context)
{
        struct replicasets *self = context;
        expectations_release(&self->expectations);
        free(self);
}

// The pods that are this set's: those it controls and that match, and orphans that match and are adopted now.
static int claim_pods(struct replicasets *self, const struct cx_object *set, const struct cx_selector *selector,
                      struct cx_objects *ret_pods, struct cx_error *err)
{
        CX_OBJECTS owned = CX_OBJECTS_INIT, orphans = CX_OBJECTS_INIT;
        cx_informer_by_index(self->pods, CX_INDEX_CONTROLLER, set->uid, &owned);
        for (size_t i = 0; i < owned.count; i++) {
                const struct cx_object *pod = owned.items[i];
                if (cx_object_matches(pod, selector)) {
                        cx_objects_add(ret_pods, pod);
                } else if (!set->deleted && !pod->deleted) {
                        int r = pod_release(self->manager->rest, CX_REF("", "v1", "pods", pod->namespace, pod->name),
                                            pod->uid, set->uid, err);
                        if (r < 0)
                                return r;
                }
        }
        if (set->deleted)
                return 0;
        cx_informer_by_index(self->pods, POD_INDEX_ORPHANS, set->namespace, &orphans);
        for (size_t i = 0; i < orphans.count; i++) {
                const struct cx_object *pod = orphans.items[i];
                if (pod->deleted || pod_is_terminal(pod) || !cx_object_matches(pod, selector))
                        continue;
                int r = pod_adopt(self->manager->rest, CX_REF("", "v1", "pods", pod->namespace, pod->name), pod->uid,
                                  make_controller_ref("apps/v1", "ReplicaSet", set->name, set->uid), err);
                if (r < 0 && !cx_error_is(err, CX_REASON_NOT_FOUND))
                        return r;
                cx_error_release(err);
                if (r == 0)
                        cx_objects_add(ret_pods, pod);
        }
        return 0;
}

struct creation {
        struct replicasets *self;
        const struct cx_object *set;
        const char *path;
        const struct cx_buf *body;
        int failed;           // atomic
        pthread_mutex_t lock; // guards err
        struct cx_error err;
};

// Nothing can be made there any more, and that is nobody's failure.
static bool namespace_goes(const struct cx_error *err)
{
        return cx_error_is(err, CX_REASON_FORBIDDEN) && strstr(cx_error_text(err), "being terminated");
}

static void create_one(void *context, size_t i CX_UNUSED)
{
        struct creation *job = context;
        CX_ERROR err = CX_ERROR_INIT;
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        int r = cx_rest_do(
                job->self->manager->rest,
                &(struct cx_rest_call){
                        .method = "POST", .path = job->path, .body = job->body->data, .body_length = job->body->length},
                &reply, &err);
        if (r == 0) {
                CX_CLEANUP(cx_freep)
                char *name = cx_scan_string(
                        cx_scan_path((struct cx_slice){reply.body.data, reply.body.length}, "metadata.name"));
                if (name)
                        cx_event_object(job->self->events, "apps/v1", "ReplicaSet", job->set, "Normal",
                                        "SuccessfulCreate", "Created pod: %s", name);
                return;
        }
        __atomic_fetch_add(&job->failed, 1, __ATOMIC_RELAXED);
        expectations_created(&job->self->expectations, job->set->key, 1);
        if (!namespace_goes(&err))
                cx_event_object(job->self->events, "apps/v1", "ReplicaSet", job->set, "Warning", "FailedCreate",
                                "Error creating: %s", cx_error_text(&err));
        pthread_mutex_lock(&job->lock);
        if (!job->err.code)
                cx_error_move(&job->err, &err);
        pthread_mutex_unlock(&job->lock);
}

static int create_pods(struct replicasets *self, const struct cx_object *set, const json_t *json, int count,
                       struct cx_error *err)
{
        if (count > BURST)
                count = BURST;
        CX_CLEANUP(cx_freep) char *prefix = cx_sprintf("%.200s-", set->name);
        json_auto_t *pod = pod_from_template(cx_json_get(json, "spec.template"), prefix,
                                             make_controller_ref("apps/v1", "ReplicaSet", set->name, set->uid));
        CX_BUF body = CX_BUF_INIT, path = CX_BUF_INIT;
        cx_json_dump(pod, &body);
        cx_rest_path(&path, CX_REF("", "v1", "pods", set->namespace), NULL);
        struct creation job = {
                .self = self, .set = set, .path = path.data, .body = &body, .lock = PTHREAD_MUTEX_INITIALIZER};
        expectations_expect_creations(&self->expectations, set->key, count);
        int left = count;
        for (int batch = 1; left > 0 && !job.failed; batch *= 2) {
                int n = batch < left ? batch : left;
                cx_parallel((size_t)n, PARALLEL, create_one, &job);
                left -= n;
        }
        expectations_created(&self->expectations, set->key, left); // not tried
        if (!job.failed)
                return 0;
        if (namespace_goes(&job.err)) {
                cx_error_release(&job.err);
                return 0;
        }
        return cx_error_move(err, &job.err);
}

struct ranked {
        const struct cx_object *pod;
        int rank;
        int64_t now;
};

static int compare_ranked(const void *a, const void *b)
{
        const struct ranked *x = a, *y = b;
        return pod_compare_for_deletion(x->pod, x->rank, y->pod, y->rank, x->now);
}

// How many active pods of the same workload run on each node: doubled-up nodes lose pods first.
static void count_related(struct replicasets *self, const struct cx_object *set, struct cx_map *ret_by_node)
{
        CX_OBJECTS sets = CX_OBJECTS_INIT;
        const struct cx_object_owner *owner = cx_object_controller(set);
        if (owner)
                cx_informer_by_index(self->sets, CX_INDEX_CONTROLLER, owner->uid, &sets);
        else
                cx_objects_add(&sets, set);
        for (size_t i = 0; i < sets.count; i++) {
                CX_OBJECTS pods = CX_OBJECTS_INIT;
                cx_informer_by_index(self->pods, CX_INDEX_CONTROLLER, sets.items[i]->uid, &pods);
                for (size_t j = 0; j < pods.count; j++) {
                        const char *node = POD_INFO(pods.items[j])->node;
                        if (node && pod_is_active(pods.items[j]))
                                cx_map_set(ret_by_node, node, (void *)((uintptr_t)cx_map_get(ret_by_node, node) + 1));
                }
        }
}

struct deletion {
        struct replicasets *self;
        const struct cx_object *set;
        const struct ranked *pods;
        pthread_mutex_t lock; // guards err
        struct cx_error err;
};

static void delete_one(void *context, size_t i)
{
        struct deletion *job = context;
        const struct cx_object *pod = job->pods[i].pod;
        CX_ERROR err = CX_ERROR_INIT;
        struct cx_delete_options options = {.grace = -1, .uid = pod->uid};
        int r = cx_rest_delete(job->self->manager->rest, CX_REF("", "v1", "pods", pod->namespace, pod->name), &options,
                               &err);
        if (r == 0) {
                cx_event_object(job->self->events, "apps/v1", "ReplicaSet", job->set, "Normal", "SuccessfulDelete",
                                "Deleted pod: %s", pod->name);
                return;
        }
        expectations_deleted(&job->self->expectations, job->set->key, pod->uid);
        if (cx_error_is(&err, CX_REASON_NOT_FOUND))
                return;
        cx_event_object(job->self->events, "apps/v1", "ReplicaSet", job->set, "Warning", "FailedDelete",
                        "Error deleting: %s", cx_error_text(&err));
        pthread_mutex_lock(&job->lock);
        if (!job->err.code)
                cx_error_move(&job->err, &err);
        pthread_mutex_unlock(&job->lock);
}

static int delete_pods(struct replicasets *self, const struct cx_object *set, const struct cx_objects *active,
                       int count, struct cx_error *err)
{
        if (count > BURST)
                count = BURST;
        CX_MAP by_node = CX_MAP_INIT;
        count_related(self, set, &by_node);
        CX_CLEANUP(cx_freep) struct ranked *ranked = cx_alloc_array(active->count, sizeof *ranked);
        int64_t now = cx_time_now();
        for (size_t i = 0; i < active->count; i++) {
                const char *node = POD_INFO(active->items[i])->node;
                int rank = node ? (int)(uintptr_t)cx_map_get(&by_node, node) : 0;
                ranked[i] = (struct ranked){active->items[i], rank, now};
        }
        qsort(ranked, active->count, sizeof *ranked, compare_ranked);
        for (int i = 0; i < count; i++)
                expectations_expect_deletion(&self->expectations, set->key, ranked[i].pod->uid);
        struct deletion job = {.self = self, .set = set, .pods = ranked, .lock = PTHREAD_MUTEX_INITIALIZER};
        cx_parallel((size_t)count, PARALLEL, delete_one, &job);
        return job.err.code ? cx_error_move(err, &job.err) : 0;
}

struct tally {
        int64_t replicas, labeled, ready, available, terminating;
        int64_t waiting; // ready, not yet for min_ready seconds
};

static struct tally count_pods(const struct cx_objects *active, const json_t *json)
{
        struct tally tally = {.replicas = (int64_t)active->count};
        int64_t min_ready = cx_json_int(json, "spec.minReadySeconds", 0), now = cx_time_now();
        CX_SELECTOR labels = CX_SELECTOR_INIT;
        json_t *wanted = cx_json_get(json, "spec.template.metadata.labels");
        if (json_object_size(wanted))
                cx_selector_from_map(wanted, &labels);
        for (size_t i = 0; i < active->count; i++) {
                const struct cx_object *pod = active->items[i];
                tally.labeled += !json_object_size(wanted) || cx_object_matches(pod, &labels);
                tally.ready += POD_INFO(pod)->ready;
                bool available = pod_is_available(pod, min_ready, now);
                tally.available += available;
                tally.waiting += POD_INFO(pod)->ready && !available;
        }
        return tally;
}

static void set_failure(json_t *status, const json_t *old, const char *reason, const char *message)
{
        json_t *conditions = json_array();
        size_t i;
        json_t *condition;
        const json_t *before = NULL;
        json_array_foreach (json_object_get(old, "conditions"), i, condition) {
                if (cx_streq(cx_json_string(condition, "type"), "ReplicaFailure"))
                        before = condition;
                else
                        json_array_append(conditions, condition);
        }
        if (reason) {
                bool same = before && cx_streq(cx_json_string(before, "reason"), reason);
                json_array_append_new(conditions,
                                      same ? json_deep_copy(before)
                                           : json_pack("{s:s, s:s, s:o, s:s, s:s}", "type", "ReplicaFailure", "status",
                                                       "True", "lastTransitionTime", json_now(), "reason", reason,
                                                       "message", message));
        }
        if (json_array_size(conditions))
                json_object_set_new(status, "conditions", conditions);
        else
                json_decref(conditions);
}

static int update_status(struct replicasets *self, const struct cx_object *set, json_t *json, const struct tally *tally,
                         const char *failure_reason, const char *failure, struct cx_error *err)
{
        const json_t *old = json_object_get(json, "status");
        json_auto_t *status = json_pack("{s:I}", "replicas", (json_int_t)tally->replicas);
        const struct {
                const char *name;
                int64_t value;
        } counts[] = {{"fullyLabeledReplicas", tally->labeled},
                      {"readyReplicas", tally->ready},
                      {"availableReplicas", tally->available},
                      {"observedGeneration", set->generation}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(counts); i++)
                if (counts[i].value)
                        json_object_set_new(status, counts[i].name, json_integer(counts[i].value));
        json_object_set_new(status, "terminatingReplicas", json_integer(tally->terminating));
        set_failure(status, old, failure_reason, failure);
        if (json_equal(status, old))
                return 0;
        json_object_set(json, "status", status);
        json_object_set_new(json, "apiVersion", json_string("apps/v1"));
        json_object_set_new(json, "kind", json_string("ReplicaSet"));
        return cx_rest_update_status(self->manager->rest,
                                     CX_REF("apps", "v1", "replicasets", set->namespace, set->name), json, NULL, err);
}

static int manage(struct replicasets *self, const struct cx_object *set, const json_t *json,
                  const struct cx_objects *active, const char **ret_reason, struct cx_error *err)
{
        int64_t wanted = cx_json_int(json, "spec.replicas", 1);
        int64_t missing = wanted - (int64_t)active->count;
        if (missing > 0) {
                *ret_reason = "FailedCreate";
                return create_pods(self, set, json, (int)(missing < BURST ? missing : BURST), err);
        }
        if (missing < 0) {
                *ret_reason = "FailedDelete";
                return delete_pods(self, set, active, (int)(-missing < BURST ? -missing : BURST), err);
        }
        return 0;
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct replicasets *self = context;
        CX_OBJECT *set = cx_informer_get_key(self->sets, key);
        if (!set) {
                expectations_forget(&self->expectations, key);
                return 0;
        }
        bool act = expectations_met(&self->expectations, key);
        json_auto_t *json = cx_object_json(set);
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        int r = cx_selector_from_json(cx_json_get(json, "spec.selector"), &selector, err);
        if (r < 0)
                return r;
        CX_OBJECTS pods = CX_OBJECTS_INIT, active = CX_OBJECTS_INIT;
        r = claim_pods(self, set, &selector, &pods, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < pods.count; i++)
                if (pod_is_active(pods.items[i]))
                        cx_objects_add(&active, pods.items[i]);
        CX_ERROR failure = CX_ERROR_INIT;
        const char *reason = NULL;
        if (act && !set->deleted && manage(self, set, json, &active, &reason, &failure) == 0)
                reason = NULL;
        const json_t *before = find_condition(json, "ReplicaFailure");
        if (!act && before) // not tried this time: what was said stays
                reason = cx_json_string(before, "reason");
        struct tally tally = count_pods(&active, json);
        for (size_t i = 0; i < pods.count; i++)
                tally.terminating += pods.items[i]->deleted && !pod_is_terminal(pods.items[i]);
        r = update_status(self, set, json, &tally, reason, cx_error_text(&failure), err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) { // it has just gone
                cx_error_release(err);
                r = 0;
        }
        if (failure.code) {
                cx_error_release(err);
                return cx_error_move(err, &failure);
        }
        if (tally.waiting)
                *retry_after = CX_NS_PER_S;
        return r;
}

const struct controller replicaset_controller = {.name = "replicaset-controller",
                                                 .account = "replicaset-controller",
                                                 .workers = 5,
                                                 .init = init,
                                                 .reconcile = reconcile,
                                                 .free = release};
