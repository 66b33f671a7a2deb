// SPDX-License-Identifier: Apache-2.0
// A queue of jobs; threads come with the work and go when there is none for ten seconds.
#include "kubelet/base/pool.h"

#include "libcommon/base/alloc.h"
#include "libcommon/base/thread.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#define STACK_SIZE ((size_t)512 << 10)

struct pool_job {
        struct pool_job *next;
        void (*run)(void *);
        void *context;
};
struct pool {
        pthread_mutex_t lock; // guards all below
        pthread_cond_t work, idle;
        struct pool_job *first, **last;
        int max_threads, threads, waiting;
        bool stopping;
};

struct pool *pool_new(int max_threads)
{
        struct pool *pool = cx_alloc(sizeof *pool);
        pthread_mutex_init(&pool->lock, NULL);
        pthread_condattr_t attributes;
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&pool->work, &attributes);
        pthread_cond_init(&pool->idle, NULL);
        pthread_condattr_destroy(&attributes);
        pool->last = &pool->first;
        pool->max_threads = max_threads;
        return pool;
}

static void *work(void *context)
{
        struct pool *pool = context;
        pthread_mutex_lock(&pool->lock);
        for (;;) {
                struct timespec until;
                clock_gettime(CLOCK_MONOTONIC, &until);
                until.tv_sec += 10;
                int r = 0;
                pool->waiting++;
                while (!pool->first && !pool->stopping && r != ETIMEDOUT)
                        r = pthread_cond_timedwait(&pool->work, &pool->lock, &until);
                pool->waiting--;
                struct pool_job *job = pool->first;
                if (!job)
                        break;
                pool->first = job->next;
                if (!pool->first)
                        pool->last = &pool->first;
                pthread_mutex_unlock(&pool->lock);
                job->run(job->context);
                free(job);
                pthread_mutex_lock(&pool->lock);
        }
        if (--pool->threads == 0)
                pthread_cond_broadcast(&pool->idle);
        pthread_mutex_unlock(&pool->lock);
        return NULL;
}

void pool_run(struct pool *pool, void (*run)(void *), void *context)
{
        struct pool_job *job = cx_alloc(sizeof *job);
        job->run = run;
        job->context = context;
        pthread_mutex_lock(&pool->lock);
        *pool->last = job;
        pool->last = &job->next;
        bool start = pool->waiting == 0 && pool->threads < pool->max_threads;
        if (start)
                pool->threads++;
        else
                pthread_cond_signal(&pool->work);
        pthread_mutex_unlock(&pool->lock);
        if (!start)
                return;
        while (!cx_thread_detach(work, pool, STACK_SIZE)) // out of threads for the moment
                nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
}

void pool_free(struct pool *pool)
{
        if (!pool)
                return;
        pthread_mutex_lock(&pool->lock);
        pool->stopping = true;
        pthread_cond_broadcast(&pool->work);
        while (pool->threads)
                pthread_cond_wait(&pool->idle, &pool->lock);
        pthread_mutex_unlock(&pool->lock);
        pthread_mutex_destroy(&pool->lock);
        pthread_cond_destroy(&pool->work);
        pthread_cond_destroy(&pool->idle);
        free(pool);
}
