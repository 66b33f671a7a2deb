// SPDX-License-Identifier: Apache-2.0
#include "controller-manager/batch/job_records.h"

struct job_record {
        char *uid;               // of the Job
        struct cx_map releasing; // uids of pods
        struct job_backoff backoff;
        bool has_backoff;
};

static void free_record(void *value)
{
        struct job_record *record = value;
        cx_map_release(&record->releasing);
        free(record->uid);
        free(record);
}

void job_records_init(struct job_records *self)
{
        self->by_key = (struct cx_map)CX_MAP_INIT_FREE(free_record);
        pthread_mutex_init(&self->lock, NULL);
}

void job_records_release(struct job_records *self)
{
        cx_map_release(&self->by_key);
        pthread_mutex_destroy(&self->lock);
}

void job_records_forget(struct job_records *self, const char *key)
{
        pthread_mutex_lock(&self->lock);
        cx_map_remove(&self->by_key, key);
        pthread_mutex_unlock(&self->lock);
}

// The Job's record, with the lock held; NULL: none. Give it back with unlock.
static struct job_record *lock(struct job_records *self, const struct cx_object *job, bool make)
{
        pthread_mutex_lock(&self->lock);
        struct job_record *record = cx_map_get(&self->by_key, job->key);
        if (record && strcmp(record->uid, job->uid) == 0)
                return record;
        if (!make)
                return NULL;
        record = cx_alloc(sizeof *record);
        record->uid = cx_strdup(job->uid);
        cx_map_set(&self->by_key, job->key, record);
        return record;
}

static void unlock(struct job_records *self)
{
        pthread_mutex_unlock(&self->lock);
}

void job_records_releasing(struct job_records *self, const struct cx_object *job, const char *pod_uid)
{
        cx_map_set(&lock(self, job, true)->releasing, pod_uid, self);
        unlock(self);
}

void job_records_released(struct job_records *self, const char *key, const char *pod_uid)
{
        pthread_mutex_lock(&self->lock);
        struct job_record *record = cx_map_get(&self->by_key, key);
        if (record)
                cx_map_remove(&record->releasing, pod_uid);
        unlock(self);
}

void job_records_awaited(struct job_records *self, const struct cx_object *job, struct cx_map *ret_uids)
{
        const struct job_record *record = lock(self, job, false);
        if (record)
                CX_MAP_FOREACH (&record->releasing, entry)
                        cx_map_set(ret_uids, entry->key, ret_uids);
        unlock(self);
}

bool job_records_backoff(struct job_records *self, const struct cx_object *job, struct job_backoff *ret_backoff)
{
        const struct job_record *record = lock(self, job, false);
        bool known = record && record->has_backoff;
        if (known)
                *ret_backoff = record->backoff;
        unlock(self);
        return known;
}

void job_records_set_backoff(struct job_records *self, const struct cx_object *job, const struct job_backoff *backoff)
{
        struct job_record *record = lock(self, job, true);
        record->backoff = *backoff;
        record->has_backoff = true;
        unlock(self);
}
