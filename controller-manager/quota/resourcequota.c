// SPDX-License-Identifier: Apache-2.0
// Counts what quotas limit: when a quota is new or its limits change, when something that it counts goes or shrinks, and
// now and then. What is made is charged by the API server as it is made.
//
// A count is as exact as the charges: the objects are listed after the quota was seen, and the count is written over that
// version of the quota. A charge in between makes a newer one, and the count is done again. While nothing is known about
// a quota that many are busy below, it is said first that nothing is known, which makes them wait.
//
// Most kinds are watched by their metadata, and only while there are any: a quota whose kind was watched by nobody when
// it was charged is looked at again until the watch shows the object. Kinds beyond the schema are watched as long as a
// quota names them.
#include "controller-manager/core/discovery.h"
#include "controller-manager/core/options.h"
#include "controller-manager/pods/pods.h"
#include "libcommon/api/quota.h"
#include "libcommon/base/map.h"

#include <pthread.h>

#define GATHER (CX_NS_PER_S / 5)   // what goes together is counted together
#define CATCH_UP (3 * CX_NS_PER_S) // until a watch that had nothing to see shows what there is
#define BUSY (CX_NS_PER_S / 2)     // between rounds against those who charge
#define ROUND 6                    // tries of one round
#define PATIENCE 3                 // tries before who charges a quota without a count must wait
#define SYNC "sync"                // the key under which kinds beyond the schema are looked at
#define SYNC_PERIOD (30 * CX_NS_PER_S)

struct quotas;
struct counted_kind {
        struct quotas *quotas;
        struct cx_quota_kind kind;
        char *version;
        bool builtin;
        struct cx_informer *informer;
};
struct quotas {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_informer *quotas;
        pthread_rwlock_t lock; // guards the list; what is builtin stays
        struct counted_kind **kinds;
        size_t n_kinds;
};

// --- quotas as events tell of them -----------------------------------------------------------------------------------

struct quota_part {
        uint64_t spec, used;     // hashes
        bool settled;            // the limits in force are those that are asked for
        struct cx_strings names; // that it limits
};

static uint64_t hash_of(const json_t *value)
{
        CX_BUF text = CX_BUF_INIT;
        if (value)
                cx_json_dump(value, &text);
        return cx_hash(text.data, text.length);
}

static void take_quota(void *part, const json_t *quota)
{
        struct quota_part *to = part;
        json_t *hard = cx_json_get(quota, "spec.hard"), *value;
        const char *name;
        to->spec = hash_of(json_object_get(quota, "spec"));
        to->used = hash_of(cx_json_get(quota, "status.used"));
        to->settled = json_equal(hard, cx_json_get(quota, "status.hard"));
        json_object_foreach (hard, name, value)
                cx_strings_add(&to->names, name);
}

static void release_quota(void *part)
{
        cx_strings_release(&((struct quota_part *)part)->names);
}

static const struct object_part quota_part = {sizeof(struct quota_part), take_quota, release_quota};

static bool quota_concerns(const struct cx_object *quota, const struct cx_quota_kind *kind)
{
        const struct quota_part *part = object_part(quota, &quota_part);
        for (size_t i = 0; i < part->names.count; i++)
                if (cx_quota_concerns(kind, part->names.items[i]))
                        return true;
        return false;
}

// Something was charged; is there a kind among them of which nobody would see an object go?
static bool misses_objects(struct quotas *self, const struct cx_object *quota)
{
        bool misses = false;
        pthread_rwlock_rdlock(&self->lock);
        for (size_t i = 0; i < self->n_kinds && !misses; i++)
                misses = cx_informer_count(self->kinds[i]->informer) == 0 &&
                         quota_concerns(quota, &self->kinds[i]->kind);
        pthread_rwlock_unlock(&self->lock);
        return misses;
}

static void on_quota(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct quotas *self = context;
        if (!now)
                return;
        const struct quota_part *was = old ? object_part(old, &quota_part) : NULL, *is = object_part(now, &quota_part);
        if (!was || was->spec != is->spec || !is->settled)
                cx_workqueue_add(self->queue, now->key);
        else if (was->used != is->used && misses_objects(self, now))
                cx_workqueue_add_after(self->queue, now->key, CATCH_UP);
}

// --- the kinds that are counted --------------------------------------------------------------------------------------

static void on_object(void *context, const struct cx_object *old, const struct cx_object *now)
{
        const struct counted_kind *kind = context;
        struct quotas *self = kind->quotas;
        CX_OBJECTS quotas = CX_OBJECTS_INIT;
        if (!old || (now && !cx_quota_kind_changes(&kind->kind)))
                return;
        cx_informer_by_index(self->quotas, CX_INDEX_NAMESPACE, old->namespace, &quotas);
        for (size_t i = 0; i < quotas.count; i++)
                if (quota_concerns(quotas.items[i], &kind->kind))
                        cx_workqueue_add_after(self->queue, quotas.items[i]->key, GATHER);
}

// Of all that happens to a pod, its end counts.
static void on_pod(void *context, const struct cx_object *old, const struct cx_object *now)
{
        if (old && (!now || (pod_is_terminal(now) && !pod_is_terminal(old))))
                on_object(context, old, now);
}

static struct counted_kind *find_kind(const struct quotas *self, const struct cx_quota_kind *kind)
{
        for (size_t i = 0; i < self->n_kinds; i++)
                if (strcmp(self->kinds[i]->kind.resource, kind->resource) == 0 &&
                    strcmp(self->kinds[i]->kind.group, kind->group) == 0)
                        return self->kinds[i];
        return NULL;
}

static void add_kind(struct quotas *self, const struct cx_quota_kind *kind, const char *version, bool builtin,
                     struct cx_informer *informer)
{
        struct counted_kind *added = cx_alloc(sizeof *added);
        *added = (struct counted_kind){self, *kind, cx_strdup(version), builtin, informer};
        bool is_pods = strcmp(kind->resource, "pods") == 0 && !*kind->group;
        cx_informer_on_event(informer, is_pods ? on_pod : on_object, added);
        pthread_rwlock_wrlock(&self->lock);
        self->kinds = cx_realloc_array(self->kinds, self->n_kinds + 1, sizeof *self->kinds);
        self->kinds[self->n_kinds++] = added;
        pthread_rwlock_unlock(&self->lock);
}

static void free_kind(struct counted_kind *kind)
{
        free(kind->version);
        free(kind);
}

static bool is_counted(bool namespaced, const char *resource, unsigned verbs)
{
        const unsigned needed = CX_VERB_LIST | CX_VERB_WATCH | CX_VERB_DELETE;
        return namespaced && (verbs & needed) == needed && strcmp(resource, "events") != 0;
}

static bool is_wanted(struct quotas *self, const struct cx_quota_kind *kind)
{
        CX_OBJECTS quotas = CX_OBJECTS_INIT;
        cx_informer_list(self->quotas, NULL, &quotas);
        for (size_t i = 0; i < quotas.count; i++)
                if (quota_concerns(quotas.items[i], kind))
                        return true;
        return false;
}

static bool has_kinds_beyond(const struct quotas *self)
{
        for (size_t i = 0; i < self->n_kinds; i++)
                if (!self->kinds[i]->builtin)
                        return true;
        return false;
}

static void remove_unwanted(struct quotas *self, const struct discovered_list *served)
{
        for (size_t i = self->n_kinds; i-- > 0;) {
                struct counted_kind *kind = self->kinds[i];
                bool is_served = discovery_find(served, kind->kind.group, kind->kind.resource) ||
                                 !discovery_knows(served, kind->kind.group);
                if (kind->builtin || (is_served && is_wanted(self, &kind->kind)))
                        continue;
                pthread_rwlock_wrlock(&self->lock);
                self->kinds[i] = self->kinds[--self->n_kinds];
                pthread_rwlock_unlock(&self->lock);
                cx_informer_stop(kind->informer); // its handler takes the lock, too
                free_kind(kind);
        }
}

// Kinds beyond the schema that quotas name: what is served is watched, and quotas that waited for it are counted.
static int follow_kinds(struct quotas *self, struct cx_error *err)
{
        DISCOVERY served = {0};
        CX_OBJECTS quotas = CX_OBJECTS_INIT;
        cx_informer_list(self->quotas, NULL, &quotas);
        for (size_t i = 0; i < quotas.count; i++) {
                const struct quota_part *part = object_part(quotas.items[i], &quota_part);
                for (size_t j = 0; j < part->names.count; j++) {
                        struct cx_quota_kind kind;
                        const struct counted_kind *known;
                        if (!cx_quota_kind_of(part->names.items[j], &kind) ||
                            ((known = find_kind(self, &kind)) && known->builtin))
                                continue;
                        int r = served.items ? 0 : discovery_fetch(self->manager->rest, &served, err);
                        if (r < 0)
                                return r;
                        const struct discovered *found = discovery_find(&served, kind.group, kind.resource);
                        if (known || !found || !is_counted(found->namespaced, found->resource, found->verbs))
                                continue;
                        struct cx_informer *informer = manager_kind_informer(
                                self->manager, CX_REF(found->group, found->version, found->resource));
                        add_kind(self, &kind, found->version, false, informer);
                        cx_informer_start(informer);
                        cx_workqueue_add(self->queue, quotas.items[i]->key);
                }
        }
        int r = served.items || !has_kinds_beyond(self) ? 0 : discovery_fetch(self->manager->rest, &served, err);
        if (r == 0)
                remove_unwanted(self, &served);
        return r;
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct quotas *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->queue = queue;
        pthread_rwlock_init(&self->lock, NULL);
        self->quotas = manager_informer(manager, "", "resourcequotas");
        (void)manager_part_informer(manager, "", "resourcequotas", &quota_part);
        cx_informer_index_namespace(self->quotas);
        size_t n;
        const struct cx_resource *resources = cx_schema_resources(&n);
        for (size_t i = 0; i < n; i++) {
                const struct cx_resource *r = &resources[i];
                struct cx_quota_kind kind = cx_quota_kind_make(r->group, r->resource);
                if (!is_counted(r->namespaced, r->resource, r->verbs) || find_kind(self, &kind))
                        continue;
                bool is_pods = strcmp(r->resource, "pods") == 0 && !*r->group;
                add_kind(self, &kind, r->version, true,
                         is_pods ? pods_informer(manager) : manager_metadata_informer(manager, r));
        }
        cx_informer_on_event(self->quotas, on_quota, self);
        cx_workqueue_add(queue, SYNC);
        return self;
}

static void release(void *context)
{
        struct quotas *self = context;
        for (size_t i = 0; i < self->n_kinds; i++)
                free_kind(self->kinds[i]);
        free(self->kinds);
        pthread_rwlock_destroy(&self->lock);
        free(self);
}

// --- counting --------------------------------------------------------------------------------------------------------

struct count {
        struct quotas *self;
        const char *namespace;
        const json_t *spec;
        struct cx_quota_kind kind; // that is being counted
        int64_t now;
        struct cx_resource_list usage;
        bool unseen; // there are objects that the watch does not show yet
};

static int add_object(void *context, const json_t *object)
{
        struct count *count = context;
        if (cx_quota_takes(&count->kind, count->spec, object))
                cx_quota_usage(&count->kind, object, count->now, &count->usage);
        return 0;
}

// Objects that are all alike to a quota: how many there are is in the first page.
static int count_alike(struct count *count, const struct cx_ref *ref, struct cx_error *err)
{
        json_auto_t *page = NULL;
        int r = cx_rest_list(count->self->manager->rest, ref, &(struct cx_list_options){.limit = 1}, &page, err);
        json_auto_t *alike = json_object();
        if (r < 0 || !cx_quota_takes(&count->kind, count->spec, alike))
                return r;
        int64_t number = (int64_t)cx_json_count(page, "items") + cx_json_int(page, "metadata.remainingItemCount", 0);
        CX_RESOURCE_LIST one = {0};
        cx_quota_usage(&count->kind, alike, count->now, &one);
        for (size_t i = 0; i < one.count; i++)
                one.items[i].amount.nano *= number;
        cx_resource_list_add(&count->usage, &one);
        return 0;
}

static int count_kind(struct count *count, struct cx_error *err)
{
        struct quotas *self = count->self;
        CX_CLEANUP(cx_freep) char *version = NULL;
        pthread_rwlock_rdlock(&self->lock);
        const struct counted_kind *kind = find_kind(self, &count->kind);
        if (kind)
                version = cx_strdup(kind->version);
        pthread_rwlock_unlock(&self->lock);
        if (!version) { // nothing of that kind is served
                cx_workqueue_add(self->queue, SYNC);
                return 0;
        }
        const struct cx_ref *ref = CX_REF(count->kind.group, version, count->kind.resource, count->namespace);
        size_t before = count->usage.count;
        int r = cx_quota_kind_changes(&count->kind)
                        ? cx_rest_list_each(self->manager->rest, ref, &(struct cx_list_options){.limit = 500},
                                            add_object, count, err)
                        : count_alike(count, ref, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err); // no longer served
                r = 0;
        }
        pthread_rwlock_rdlock(&self->lock);
        kind = find_kind(self, &count->kind);
        if (kind && count->usage.count > before && cx_informer_count(kind->informer) == 0) {
                count->unseen = true;
                cx_informer_poll_now(kind->informer);
        }
        pthread_rwlock_unlock(&self->lock);
        return r;
}

// What is used of everything that the quota limits.
static int count_all(struct count *count, json_t **ret_used, struct cx_error *err)
{
        json_auto_t *kinds = json_object(), *used = json_object();
        const json_t *hard = json_object_get(count->spec, "hard");
        const char *name;
        json_t *value;
        json_object_foreach ((json_t *)hard, name, value) {
                if (!cx_quota_kind_of(name, &count->kind))
                        continue;
                CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s.%s", count->kind.resource, count->kind.group);
                if (json_object_get(kinds, key))
                        continue;
                json_object_set_new(kinds, key, json_true());
                int r = count_kind(count, err);
                if (r < 0)
                        return r;
        }
        json_object_foreach ((json_t *)hard, name, value) {
                const struct cx_quantity zero = {0}, *amount = cx_resource_list_get(&count->usage, name);
                struct cx_quota_kind kind;
                char text[CX_QUANTITY_TEXT];
                cx_quantity_format(amount ? amount : &zero, text);
                if (cx_quota_kind_of(name, &kind))
                        json_object_set_new(used, name, json_string(text));
        }
        *ret_used = cx_steal(&used);
        return 0;
}

// Only over the version that was read.
static int write_status(struct quotas *self, const struct cx_object *object, json_t *quota, json_t *used_steal,
                        struct cx_error *err)
{
        json_t *hard = cx_json_get(quota, "spec.hard");
        json_auto_t *status = json_pack("{s:O, s:o}", "hard", hard, "used", used_steal);
        if (json_equal(status, json_object_get(quota, "status")))
                return 0;
        json_object_set(quota, "status", status);
        json_object_set_new(quota, "apiVersion", json_string("v1"));
        json_object_set_new(quota, "kind", json_string("ResourceQuota"));
        return cx_rest_update_status(self->manager->rest,
                                     CX_REF("", "v1", "resourcequotas", object->namespace, object->name), quota, NULL,
                                     err);
}

static bool is_uncounted(const json_t *quota)
{
        const json_t *used = cx_json_get(quota, "status.used");
        const char *name;
        json_t *value;
        struct cx_quota_kind kind;
        json_object_foreach (cx_json_get(quota, "spec.hard"), name, value)
                if (cx_quota_kind_of(name, &kind) && !json_object_get(used, name))
                        return true;
        return false;
}

// Makes those who charge wait until there is a count: what was used of the limits that stay is still known.
static int make_them_wait(struct quotas *self, const struct cx_object *object, json_t *quota, struct cx_error *err)
{
        const json_t *used = cx_json_get(quota, "status.used");
        json_t *known = json_object();
        const char *name;
        json_t *value;
        json_object_foreach ((json_t *)used, name, value)
                if (json_object_get(cx_json_get(quota, "spec.hard"), name))
                        json_object_set(known, name, value);
        return write_status(self, object, quota, known, err);
}

static int reconcile_quota(struct quotas *self, const struct cx_object *object, int64_t *retry_after,
                           struct cx_error *err)
{
        json_auto_t *quota = cx_object_json(object);
        int failures = cx_workqueue_failures(self->queue, object->key);
        if (!json_object_size(cx_json_get(quota, "spec.hard")))
                return 0;
        if (failures >= PATIENCE && is_uncounted(quota) &&
            !json_equal(cx_json_get(quota, "status.hard"), cx_json_get(quota, "spec.hard"))) {
                int r = make_them_wait(self, object, quota, err);
                return r < 0 ? r : cx_error_set(err, -EAGAIN, "%s is counted now", object->key);
        }
        struct count count = {.self = self,
                              .namespace = object->namespace,
                              .spec = json_object_get(quota, "spec"),
                              .now = cx_time_now()};
        json_t *used = NULL;
        int r = count_all(&count, &used, err);
        cx_resource_list_release(&count.usage);
        if (r == 0)
                r = write_status(self, object, quota, used, err);
        *retry_after = count.unseen ? CATCH_UP : options_of(self->manager)->quota_sync_period;
        if (r < 0 && cx_error_is(err, CX_REASON_CONFLICT) && failures >= ROUND) {
                cx_error_release(err);
                *retry_after = BUSY;
                r = 0;
        }
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                r = 0;
        }
        return r;
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct quotas *self = context;
        if (strcmp(key, SYNC) == 0) {
                *retry_after = SYNC_PERIOD;
                return follow_kinds(self, err);
        }
        CX_OBJECT *object = cx_informer_get_key(self->quotas, key);
        return object && !object->deleted ? reconcile_quota(self, object, retry_after, err) : 0;
}

const struct controller resourcequota_controller = {.name = "resourcequota-controller",
                                                    .account = "resourcequota-controller",
                                                    .workers = 5,
                                                    .init = init,
                                                    .reconcile = reconcile,
                                                    .free = release};
