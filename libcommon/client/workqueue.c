// SPDX-License-Identifier: Apache-2.0
// Every key that is anywhere in the queue is one item: dirty (to be worked on), running (a worker has it), both (came
// again meanwhile). Delayed keys sit in a heap that the waiting workers themselves watch: no timer thread.
#include "libcommon/client/workqueue.h"

#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"

#include <pthread.h>

#define MAX_BACKOFF (1000 * CX_NS_PER_S)
#define BASE_BACKOFF (5 * CX_NS_PER_MS)
#define IDLE_END (10 * CX_NS_PER_S)
#define STACK_SIZE ((size_t)512 << 10)

struct item {
        char *key;
        bool dirty, running;
        struct item *next; // in the ready list
};

struct delayed {
        int64_t due;
        char *key; // the key in `delays` is another copy
};

struct cx_workqueue {
        const char *name;
        pthread_mutex_t lock; // guards all
        pthread_cond_t wake;
        struct cx_map items;    // key -> struct item
        struct cx_map failures; // key -> count
        struct cx_map delays;   // key -> struct delayed, the earliest due
        struct item *first, **last;
        size_t length, waiting;
        struct delayed **heap;
        size_t heap_count, heap_capacity;
        bool shutdown;
        struct cx_workers *workers; // the pool that works it off; NULL when there is none
};

struct cx_workers {
        struct cx_workqueue *queue;
        int max, threads; // threads is guarded by the queue's lock
        pthread_cond_t ended;
        cx_reconcile reconcile;
        void *context;
};
static void grow(struct cx_workers *workers);

struct cx_workqueue *cx_workqueue_new(const char *name)
{
        struct cx_workqueue *queue = cx_alloc(sizeof *queue);
        queue->name = name;
        queue->last = &queue->first;
        pthread_mutex_init(&queue->lock, NULL);
        cx_cond_init(&queue->wake);
        return queue;
}

void cx_workqueue_free(struct cx_workqueue *queue)
{
        if (!queue)
                return;
        CX_MAP_FOREACH (&queue->items, entry) {
                struct item *item = entry->value;
                free(item->key);
                free(item);
        }
        cx_map_release(&queue->items);
        cx_map_release(&queue->failures);
        for (size_t i = 0; i < queue->heap_count; i++) {
                free(queue->heap[i]->key);
                free(queue->heap[i]);
        }
        free(queue->heap);
        cx_map_release(&queue->delays);
        pthread_cond_destroy(&queue->wake);
        pthread_mutex_destroy(&queue->lock);
        free(queue);
}

static void push_ready(struct cx_workqueue *queue, struct item *item)
{
        item->next = NULL;
        *queue->last = item;
        queue->last = &item->next;
        queue->length++;
        if (queue->waiting)
                pthread_cond_signal(&queue->wake);
        if (queue->length > queue->waiting && queue->workers)
                grow(queue->workers);
}

static void add_locked(struct cx_workqueue *queue, const char *key)
{
        if (queue->shutdown)
                return;
        struct item *item = cx_map_get(&queue->items, key);
        if (!item) {
                item = cx_alloc(sizeof *item);
                item->key = cx_strdup(key);
                cx_map_set(&queue->items, key, item);
        }
        if (item->dirty)
                return;
        item->dirty = true;
        if (!item->running)
                push_ready(queue, item);
}

void cx_workqueue_add(struct cx_workqueue *queue, const char *key)
{
        pthread_mutex_lock(&queue->lock);
        add_locked(queue, key);
        pthread_mutex_unlock(&queue->lock);
}

static void heap_up(struct delayed **heap, size_t i)
{
        while (i && heap[i]->due < heap[(i - 1) / 2]->due) {
                struct delayed *swap = heap[i];
                heap[i] = heap[(i - 1) / 2];
                heap[(i - 1) / 2] = swap;
                i = (i - 1) / 2;
        }
}

static void heap_down(struct delayed **heap, size_t count, size_t i)
{
        for (;;) {
                size_t least = i, left = 2 * i + 1, right = left + 1;
                if (left < count && heap[left]->due < heap[least]->due)
                        least = left;
                if (right < count && heap[right]->due < heap[least]->due)
                        least = right;
                if (least == i)
                        return;
                struct delayed *swap = heap[i];
                heap[i] = heap[least];
                heap[least] = swap;
                i = least;
        }
}

static void add_after_locked(struct cx_workqueue *queue, const char *key, int64_t delay)
{
        if (queue->shutdown)
                return;
        int64_t due = cx_time_monotonic() + delay;
        const struct delayed *have = cx_map_get(&queue->delays, key);
        if (have && have->due <= due)
                return;
        // A later one that is there already stays in the heap and does nothing when its time comes.
        struct delayed *entry = cx_alloc(sizeof *entry);
        entry->due = due;
        entry->key = cx_strdup(key);
        cx_map_set(&queue->delays, key, entry);
        if (queue->heap_count == queue->heap_capacity) {
                queue->heap_capacity = queue->heap_capacity ? queue->heap_capacity * 2 : 16;
                queue->heap = cx_realloc_array(queue->heap, queue->heap_capacity, sizeof(struct delayed *));
        }
        queue->heap[queue->heap_count++] = entry;
        heap_up(queue->heap, queue->heap_count - 1);
        if (queue->heap[0] == entry && queue->waiting)
                pthread_cond_signal(&queue->wake);
}

// Moves what is due to the ready list; returns when the next will be, 0 when there is none.
static int64_t take_due(struct cx_workqueue *queue)
{
        int64_t now = cx_time_monotonic();
        while (queue->heap_count && queue->heap[0]->due <= now) {
                struct delayed *entry = queue->heap[0];
                queue->heap[0] = queue->heap[--queue->heap_count];
                heap_down(queue->heap, queue->heap_count, 0);
                if (cx_map_get(&queue->delays, entry->key) == entry) {
                        cx_map_remove(&queue->delays, entry->key);
                        add_locked(queue, entry->key);
                }
                free(entry->key);
                free(entry);
        }
        return queue->heap_count ? queue->heap[0]->due : 0;
}

void cx_workqueue_add_after(struct cx_workqueue *queue, const char *key, int64_t delay_ns)
{
        if (delay_ns <= 0) {
                cx_workqueue_add(queue, key);
                return;
        }
        pthread_mutex_lock(&queue->lock);
        add_after_locked(queue, key, delay_ns);
        pthread_mutex_unlock(&queue->lock);
}

void cx_workqueue_add_rate_limited(struct cx_workqueue *queue, const char *key)
{
        pthread_mutex_lock(&queue->lock);
        uintptr_t failures = (uintptr_t)cx_map_get(&queue->failures, key);
        cx_map_set(&queue->failures, key, (void *)(failures + 1));
        pthread_mutex_unlock(&queue->lock);
        int64_t delay = failures < 18 ? BASE_BACKOFF << failures : MAX_BACKOFF;
        cx_workqueue_add_after(queue, key, delay < MAX_BACKOFF ? delay : MAX_BACKOFF);
}

void cx_workqueue_forget(struct cx_workqueue *queue, const char *key)
{
        pthread_mutex_lock(&queue->lock);
        cx_map_remove(&queue->failures, key);
        pthread_mutex_unlock(&queue->lock);
}

int cx_workqueue_failures(struct cx_workqueue *queue, const char *key)
{
        pthread_mutex_lock(&queue->lock);
        int failures = (int)(uintptr_t)cx_map_get(&queue->failures, key);
        pthread_mutex_unlock(&queue->lock);
        return failures;
}

static void wait_until(struct cx_workqueue *queue, int64_t moment)
{
        queue->waiting++;
        (void)cx_cond_wait_until(&queue->wake, &queue->lock, moment ? moment : INT64_MAX);
        queue->waiting--;
}

char *cx_workqueue_get(struct cx_workqueue *queue, int64_t timeout)
{
        int64_t deadline = timeout < 0 ? 0 : cx_time_monotonic() + timeout;
        char *key = NULL;
        pthread_mutex_lock(&queue->lock);
        for (;;) {
                int64_t next = take_due(queue);
                struct item *item = queue->first;
                if (item) {
                        queue->first = item->next;
                        if (!queue->first)
                                queue->last = &queue->first;
                        queue->length--;
                        item->dirty = false;
                        item->running = true;
                        key = cx_strdup(item->key);
                        break;
                }
                if (queue->shutdown || (deadline && cx_time_monotonic() >= deadline))
                        break;
                wait_until(queue, next && (!deadline || next < deadline) ? next : deadline);
        }
        pthread_mutex_unlock(&queue->lock);
        return key;
}

void cx_workqueue_done(struct cx_workqueue *queue, char *key_steal)
{
        pthread_mutex_lock(&queue->lock);
        struct item *item = cx_map_get(&queue->items, key_steal);
        if (item) {
                item->running = false;
                if (item->dirty) {
                        push_ready(queue, item);
                } else {
                        cx_map_remove(&queue->items, key_steal);
                        free(item->key);
                        free(item);
                }
        }
        pthread_mutex_unlock(&queue->lock);
        free(key_steal);
}

size_t cx_workqueue_length(struct cx_workqueue *queue)
{
        pthread_mutex_lock(&queue->lock);
        size_t length = queue->length;
        pthread_mutex_unlock(&queue->lock);
        return length;
}

void cx_workqueue_shutdown(struct cx_workqueue *queue)
{
        pthread_mutex_lock(&queue->lock);
        queue->shutdown = true;
        // What is ready stays undone: a worker finishes the key that it has and sees the end.
        while (queue->first) {
                struct item *item = queue->first;
                queue->first = item->next;
                queue->length--;
                item->dirty = false;
        }
        queue->last = &queue->first;
        pthread_cond_broadcast(&queue->wake);
        pthread_mutex_unlock(&queue->lock);
}

static void reconcile_one(struct cx_workers *workers, char *key_steal)
{
        struct cx_workqueue *queue = workers->queue;
        CX_ERROR err = CX_ERROR_INIT;
        int64_t again = 0;
        int r = workers->reconcile(workers->context, key_steal, &again, &err);
        if (r < 0) {
                // A conflict only means that the cache is a moment behind.
                if (r != -EAGAIN)
                        cx_err(&err, "Reconciling failed", "queue", queue->name, "key", key_steal);
                else
                        cx_debug(4, "Conflict, will try again", "queue", queue->name, "key", key_steal);
                cx_workqueue_add_rate_limited(queue, key_steal);
        } else {
                cx_workqueue_forget(queue, key_steal);
                if (again > 0)
                        cx_workqueue_add_after(queue, key_steal, again);
        }
        cx_workqueue_done(queue, key_steal);
}

static void *worker(void *argument)
{
        struct cx_workers *workers = argument;
        struct cx_workqueue *queue = workers->queue;
        bool last = false;
        for (;;) {
                char *key = cx_workqueue_get(queue, last ? -1 : IDLE_END);
                if (key) {
                        last = false;
                        reconcile_one(workers, key);
                        continue;
                }
                pthread_mutex_lock(&queue->lock);
                if (queue->shutdown || (workers->threads > 1 && !queue->length))
                        break;
                last = workers->threads == 1; // one thread always stays, to watch the delays
                pthread_mutex_unlock(&queue->lock);
        }
        workers->threads--;
        pthread_cond_signal(&workers->ended);
        pthread_mutex_unlock(&queue->lock);
        return NULL;
}

// One more thread, if the limit allows it. With the queue's lock.
static void grow(struct cx_workers *workers)
{
        if (workers->threads >= workers->max || workers->queue->shutdown)
                return;
        if (cx_thread_detach(worker, workers, STACK_SIZE))
                workers->threads++;
}

struct cx_workers *cx_workers_start(struct cx_workqueue *queue, int max_threads, cx_reconcile reconcile, void *context)
{
        struct cx_workers *workers = cx_alloc(sizeof *workers);
        workers->queue = queue;
        workers->max = max_threads > 0 ? max_threads : 1;
        workers->reconcile = reconcile;
        workers->context = context;
        pthread_cond_init(&workers->ended, NULL);
        pthread_mutex_lock(&queue->lock);
        queue->workers = workers;
        grow(workers);
        pthread_mutex_unlock(&queue->lock);
        return workers;
}

void cx_workers_stop(struct cx_workers *workers)
{
        if (!workers)
                return;
        cx_workqueue_shutdown(workers->queue);
        pthread_mutex_lock(&workers->queue->lock);
        workers->queue->workers = NULL;
        while (workers->threads)
                pthread_cond_wait(&workers->ended, &workers->queue->lock);
        pthread_mutex_unlock(&workers->queue->lock);
        pthread_cond_destroy(&workers->ended);
        free(workers);
}

struct parallel {
        void (*work)(void *context, size_t i);
        void *context;
        size_t count, next;
};

static void *parallel_thread(void *argument)
{
        struct parallel *job = argument;
        for (;;) {
                size_t i = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED);
                if (i >= job->count)
                        return NULL;
                job->work(job->context, i);
        }
}

void cx_parallel(size_t count, int parallel, void (*work)(void *context, size_t i), void *context)
{
        struct parallel job = {work, context, count, 0};
        pthread_t threads[64];
        size_t n = 0;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, STACK_SIZE);
        while (n + 1 < (size_t)parallel && n + 1 < count && n < CX_ARRAY_SIZE(threads)) {
                if (pthread_create(&threads[n], &attributes, parallel_thread, &job))
                        break;
                n++;
        }
        pthread_attr_destroy(&attributes);
        parallel_thread(&job);
        while (n)
                pthread_join(threads[--n], NULL);
}
