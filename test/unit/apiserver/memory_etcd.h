// SPDX-License-Identifier: Apache-2.0
// An etcd in memory that takes the place of libcommon's client at link time: keys with all their versions, conditional
// writes, and watches that hear of a write before it is acknowledged. One lock orders everything.
#pragma once

#include "libcommon/base/map.h"
#include "libcommon/etcd/etcd.h"

#include <pthread.h>
#include <stdlib.h>

struct version {
        char *key, *value; // value NULL: deleted
        size_t length;
        int64_t created, revision;
};
struct cx_etcd_watch {
        struct cx_etcd_watch *next;
        struct cx_etcd *etcd;
        char *key, *end;
        struct cx_etcd_watch_callbacks callbacks;
};
struct cx_etcd {
        pthread_mutex_t lock;
        struct version **versions; // in the order of revisions
        size_t count;
        struct cx_map latest; // key → its last version
        int64_t revision;
        struct cx_etcd_watch *watches;
        int fail_at; // counts down; the write that it reaches 0 with fails, as if etcd were away
};

int cx_etcd_new(const struct cx_etcd_options *options CX_UNUSED, struct cx_etcd **ret_etcd,
                struct cx_error *err CX_UNUSED)
{
        struct cx_etcd *etcd = cx_alloc(sizeof *etcd);
        pthread_mutex_init(&etcd->lock, NULL);
        etcd->latest = (struct cx_map)CX_MAP_INIT;
        etcd->revision = 1;
        *ret_etcd = etcd;
        return 0;
}

void cx_etcd_free(struct cx_etcd *etcd)
{
        if (!etcd)
                return;
        for (size_t i = 0; i < etcd->count; i++) {
                free(etcd->versions[i]->key);
                free(etcd->versions[i]->value);
                free(etcd->versions[i]);
        }
        free(etcd->versions);
        cx_map_release(&etcd->latest);
        pthread_mutex_destroy(&etcd->lock);
        free(etcd);
}

void cx_etcd_hurry(struct cx_etcd *etcd CX_UNUSED, int64_t ns CX_UNUSED)
{
}

void cx_etcd_kv_release(struct cx_etcd_kv *kv)
{
        free(kv->key);
        free(kv->value);
        *kv = (struct cx_etcd_kv){0};
}

static struct cx_etcd_kv kv_of(const struct version *version)
{
        return (struct cx_etcd_kv){.key = cx_strdup(version->key),
                                   .key_length = strlen(version->key),
                                   .value = version->value ? cx_strndup(version->value, version->length) : NULL,
                                   .value_length = version->length,
                                   .create_revision = version->created,
                                   .mod_revision = version->revision};
}

static struct version *present(struct cx_etcd *etcd, const char *key)
{
        struct version *version = cx_map_get(&etcd->latest, key);
        return version && version->value ? version : NULL;
}

int cx_etcd_get(struct cx_etcd *etcd, const char *key, struct cx_etcd_kv *ret_kv, int64_t *ret_revision,
                struct cx_error *err)
{
        pthread_mutex_lock(&etcd->lock);
        struct version *version = present(etcd, key);
        if (version)
                *ret_kv = kv_of(version);
        if (ret_revision)
                *ret_revision = etcd->revision;
        pthread_mutex_unlock(&etcd->lock);
        return version ? 0 : cx_error_reason(err, CX_REASON_NOT_FOUND, "no key %s", key);
}

static int by_key(const void *a, const void *b)
{
        return strcmp((*(struct version *const *)a)->key, (*(struct version *const *)b)->key);
}

int cx_etcd_range(struct cx_etcd *etcd, const char *key, const char *range_end, int64_t revision, int64_t limit,
                  void (*each)(void *context, struct cx_etcd_kv *kv), void *context, int64_t *ret_revision,
                  bool *ret_more, struct cx_error *err CX_UNUSED)
{
        pthread_mutex_lock(&etcd->lock);
        CX_MAP last = CX_MAP_INIT;
        for (size_t i = 0; i < etcd->count && (!revision || etcd->versions[i]->revision <= revision); i++)
                if (strcmp(etcd->versions[i]->key, key) >= 0 && strcmp(etcd->versions[i]->key, range_end) < 0)
                        cx_map_set(&last, etcd->versions[i]->key, etcd->versions[i]);
        struct version **found = cx_alloc_array(last.count + 1, sizeof *found);
        size_t count = 0;
        CX_MAP_FOREACH (&last, entry)
                if (((struct version *)entry->value)->value)
                        found[count++] = entry->value;
        qsort(found, count, sizeof *found, by_key);
        size_t n = limit && count > (size_t)limit ? (size_t)limit : count;
        struct cx_etcd_kv *kvs = cx_alloc_array(n + 1, sizeof *kvs);
        for (size_t i = 0; i < n; i++)
                kvs[i] = kv_of(found[i]);
        if (ret_revision)
                *ret_revision = etcd->revision;
        if (ret_more)
                *ret_more = n < count;
        pthread_mutex_unlock(&etcd->lock);
        for (size_t i = 0; i < n; i++) {
                each(context, &kvs[i]);
                cx_etcd_kv_release(&kvs[i]);
        }
        free(kvs);
        free(found);
        return 0;
}

int cx_etcd_revision(struct cx_etcd *etcd, int64_t *ret_revision, struct cx_error *err CX_UNUSED)
{
        pthread_mutex_lock(&etcd->lock);
        *ret_revision = etcd->revision;
        pthread_mutex_unlock(&etcd->lock);
        return 0;
}

void cx_etcd_revision_async(struct cx_etcd *etcd, void (*done)(void *context, int result, int64_t revision),
                            void *context)
{
        int64_t revision = 0;
        int r = cx_etcd_revision(etcd, &revision, NULL);
        done(context, r, revision);
}

static void tell_watches(struct cx_etcd *etcd, const struct version *version)
{
        for (struct cx_etcd_watch *watch = etcd->watches; watch; watch = watch->next) {
                if (strcmp(version->key, watch->key) < 0 || strcmp(version->key, watch->end) >= 0)
                        continue;
                struct cx_etcd_event event = {.is_delete = !version->value, .kv = kv_of(version)};
                watch->callbacks.on_events(watch->callbacks.context, &event, 1, version->revision);
                cx_etcd_kv_release(&event.kv);
        }
}

// One of them, when all are as expected. A value NULL deletes.
static void write_version(struct cx_etcd *etcd, const struct cx_etcd_write *write, int64_t revision)
{
        struct version *before = present(etcd, write->key), *version = cx_alloc(sizeof *version);
        version->key = cx_strdup(write->key);
        version->value = write->value ? cx_strndup(write->value, write->length) : NULL;
        version->length = write->length;
        version->revision = revision;
        version->created = before ? before->created : revision;
        etcd->versions = cx_realloc_array(etcd->versions, etcd->count + 1, sizeof *etcd->versions);
        etcd->versions[etcd->count++] = version;
        cx_map_set(&etcd->latest, write->key, version);
        tell_watches(etcd, version);
}

// The first write whose key is not as expected; `count`: the guard does not hold; SIZE_MAX: all is well.
static size_t find_conflict(struct cx_etcd *etcd, const struct cx_etcd_transaction *transaction)
{
        for (size_t i = 0; i < transaction->count; i++) {
                struct version *before = present(etcd, transaction->writes[i].key);
                if ((before ? before->revision : 0) != transaction->writes[i].expected)
                        return i;
        }
        CX_MAP_FOREACH (&etcd->latest, entry) {
                const struct version *version = entry->value;
                if (transaction->guarded && cx_has_prefix(entry->key, transaction->guarded) && version->value &&
                    version->revision > transaction->newest)
                        return transaction->count;
        }
        return SIZE_MAX;
}

int cx_etcd_commit(struct cx_etcd *etcd, const struct cx_etcd_transaction *transaction, int64_t *ret_revision,
                   size_t *ret_conflict, struct cx_error *err)
{
        int r = 0;
        pthread_mutex_lock(&etcd->lock);
        size_t conflict = find_conflict(etcd, transaction);
        if (etcd->fail_at && --etcd->fail_at == 0) {
                r = cx_error_reason(err, CX_REASON_UNAVAILABLE, "etcd is away");
        } else if (conflict != SIZE_MAX) {
                r = cx_error_reason(err, CX_REASON_CONFLICT, "write %zu met something else", conflict);
                if (ret_conflict)
                        *ret_conflict = conflict;
        } else {
                int64_t revision = ++etcd->revision;
                for (size_t i = 0; i < transaction->count; i++)
                        write_version(etcd, &transaction->writes[i], revision);
                if (ret_revision)
                        *ret_revision = revision;
        }
        pthread_mutex_unlock(&etcd->lock);
        return r;
}

static int commit_one(struct cx_etcd *etcd, const struct cx_etcd_write *write, int64_t *ret_revision,
                      struct cx_error *err)
{
        return cx_etcd_commit(etcd, &(struct cx_etcd_transaction){.writes = write, .count = 1}, ret_revision, NULL,
                              err);
}

int cx_etcd_put(struct cx_etcd *etcd, const char *key, const void *value, size_t length, int64_t expected,
                int64_t lease CX_UNUSED, int64_t *ret_revision, struct cx_etcd_kv *ret_current CX_UNUSED,
                struct cx_error *err)
{
        return commit_one(etcd, &(struct cx_etcd_write){key, value, length, expected, 0}, ret_revision, err);
}

int cx_etcd_delete(struct cx_etcd *etcd, const char *key, int64_t expected, int64_t *ret_revision,
                   struct cx_etcd_kv *ret_current CX_UNUSED, struct cx_error *err)
{
        return commit_one(etcd, &(struct cx_etcd_write){key, NULL, 0, expected, 0}, ret_revision, err);
}

int cx_etcd_lease_grant(struct cx_etcd *etcd CX_UNUSED, int64_t ttl_seconds CX_UNUSED, int64_t *ret_lease,
                        struct cx_error *err CX_UNUSED)
{
        *ret_lease = 1;
        return 0;
}

int cx_etcd_compact(struct cx_etcd *etcd CX_UNUSED, int64_t revision CX_UNUSED, struct cx_error *err CX_UNUSED)
{
        return 0;
}

// Watches begin at what comes next: nobody here asks for the past.
int cx_etcd_watch_new(struct cx_etcd *etcd, const char *key, const char *range_end, int64_t revision CX_UNUSED,
                      bool prev_kv CX_UNUSED, const struct cx_etcd_watch_callbacks *callbacks,
                      struct cx_etcd_watch **ret_watch, struct cx_error *err CX_UNUSED)
{
        struct cx_etcd_watch *watch = cx_alloc(sizeof *watch);
        watch->etcd = etcd;
        watch->key = cx_strdup(key);
        watch->end = cx_strdup(range_end);
        watch->callbacks = *callbacks;
        pthread_mutex_lock(&etcd->lock);
        watch->next = etcd->watches;
        etcd->watches = watch;
        pthread_mutex_unlock(&etcd->lock);
        *ret_watch = watch;
        return 0;
}

void cx_etcd_watch_free(struct cx_etcd_watch *watch)
{
        if (!watch)
                return;
        pthread_mutex_lock(&watch->etcd->lock);
        struct cx_etcd_watch **at = &watch->etcd->watches;
        while (*at != watch)
                at = &(*at)->next;
        *at = watch->next;
        pthread_mutex_unlock(&watch->etcd->lock);
        free(watch->key);
        free(watch->end);
        free(watch);
}

void cx_etcd_watch_request_progress(struct cx_etcd_watch *watch CX_UNUSED)
{
}
