// SPDX-License-Identifier: Apache-2.0
// The queue of tasks, and the threads that work them off.
#include "scheduler/binder.h"

#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"

#include <pthread.h>
#include <time.h>

#define IDLE_SECONDS 10
#define STACK_SIZE ((size_t)512 * 1024)

struct entry {
        struct entry *next;
        void *task;
};
struct binder {
        binder_run run;
        void *context;
        pthread_mutex_t lock; // guards what follows
        pthread_cond_t work, ended;
        struct entry *first, **last;
        int threads, idle, max_threads;
        bool stop;
};

struct binder *binder_new(int max_threads, binder_run run, void *context)
{
        struct binder *self = cx_alloc(sizeof *self);
        *self = (struct binder){.run = run, .context = context, .max_threads = max_threads, .last = &self->first};
        pthread_mutex_init(&self->lock, NULL);
        cx_cond_init(&self->work);
        pthread_cond_init(&self->ended, NULL);
        return self;
}

// False when the thread should end. Under the lock.
static bool wait_for_work(struct binder *self)
{
        int64_t deadline = cx_time_monotonic() + IDLE_SECONDS * CX_NS_PER_S;
        self->idle++;
        while (!self->first && !self->stop && !cx_cond_wait_until(&self->work, &self->lock, deadline))
                ;
        self->idle--;
        return self->first;
}

static void *work(void *argument)
{
        struct binder *self = argument;
        pthread_mutex_lock(&self->lock);
        while (self->first || wait_for_work(self)) {
                struct entry *entry = self->first;
                self->first = entry->next;
                if (!self->first)
                        self->last = &self->first;
                pthread_mutex_unlock(&self->lock);
                self->run(self->context, entry->task);
                free(entry);
                pthread_mutex_lock(&self->lock);
        }
        self->threads--;
        pthread_cond_signal(&self->ended);
        pthread_mutex_unlock(&self->lock);
        return NULL;
}

static bool start_thread(struct binder *self)
{
        bool started = cx_thread_detach(work, self, STACK_SIZE);
        self->threads += started;
        return started;
}

void binder_add(struct binder *self, void *task)
{
        struct entry *entry = cx_alloc(sizeof *entry);
        entry->task = task;
        pthread_mutex_lock(&self->lock);
        *self->last = entry;
        self->last = &entry->next;
        if (self->idle)
                pthread_cond_signal(&self->work);
        else if (self->threads < self->max_threads)
                (void)start_thread(self); // when none can start, those that run will come to it
        pthread_mutex_unlock(&self->lock);
}

void binder_free(struct binder *self)
{
        if (!self)
                return;
        pthread_mutex_lock(&self->lock);
        self->stop = true;
        pthread_cond_broadcast(&self->work);
        while (self->threads)
                pthread_cond_wait(&self->ended, &self->lock);
        pthread_mutex_unlock(&self->lock);
        pthread_cond_destroy(&self->work);
        pthread_cond_destroy(&self->ended);
        pthread_mutex_destroy(&self->lock);
        free(self);
}
