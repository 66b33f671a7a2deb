// SPDX-License-Identifier: Apache-2.0
// For each key, how many creations and which deletions have not been seen yet.
#include "controller-manager/pods/expectations.h"

#include "libcommon/base/time.h"

#define PATIENCE (300 * CX_NS_PER_S)

struct expected {
        int creations;
        struct cx_map deletions; // by uid
        int64_t since;
};

static void free_expected(void *value)
{
        struct expected *expected = value;
        cx_map_release(&expected->deletions);
        free(expected);
}

void expectations_init(struct expectations *self)
{
        self->by_key = (struct cx_map)CX_MAP_INIT_FREE(free_expected);
        pthread_mutex_init(&self->lock, NULL);
}

void expectations_release(struct expectations *self)
{
        cx_map_release(&self->by_key);
        pthread_mutex_destroy(&self->lock);
}

bool expectations_met(struct expectations *self, const char *key)
{
        pthread_mutex_lock(&self->lock);
        const struct expected *expected = cx_map_get(&self->by_key, key);
        bool met = !expected || (expected->creations <= 0 && !expected->deletions.count) ||
                   cx_time_monotonic() - expected->since > PATIENCE;
        pthread_mutex_unlock(&self->lock);
        return met;
}

static struct expected *get(struct expectations *self, const char *key)
{
        struct expected *expected = cx_map_get(&self->by_key, key);
        if (!expected) {
                expected = cx_alloc(sizeof *expected);
                cx_map_set(&self->by_key, key, expected);
        }
        if (expected->creations <= 0 && !expected->deletions.count)
                expected->creations = 0;
        expected->since = cx_time_monotonic();
        return expected;
}

void expectations_expect_creations(struct expectations *self, const char *key, int count)
{
        pthread_mutex_lock(&self->lock);
        get(self, key)->creations += count;
        pthread_mutex_unlock(&self->lock);
}

void expectations_expect_deletion(struct expectations *self, const char *key, const char *uid)
{
        pthread_mutex_lock(&self->lock);
        struct expected *expected = get(self, key);
        cx_map_set(&expected->deletions, uid, expected);
        pthread_mutex_unlock(&self->lock);
}

void expectations_created(struct expectations *self, const char *key, int count)
{
        pthread_mutex_lock(&self->lock);
        struct expected *expected = cx_map_get(&self->by_key, key);
        if (expected && expected->creations > 0)
                expected->creations -= count;
        pthread_mutex_unlock(&self->lock);
}

void expectations_deleted(struct expectations *self, const char *key, const char *uid)
{
        pthread_mutex_lock(&self->lock);
        struct expected *expected = cx_map_get(&self->by_key, key);
        if (expected)
                cx_map_remove(&expected->deletions, uid);
        pthread_mutex_unlock(&self->lock);
}

void expectations_forget(struct expectations *self, const char *key)
{
        pthread_mutex_lock(&self->lock);
        cx_map_remove(&self->by_key, key);
        pthread_mutex_unlock(&self->lock);
}
