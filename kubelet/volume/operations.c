// SPDX-License-Identifier: Apache-2.0
#include "kubelet/volume/operations.h"

#include "kubelet/base/pool.h"
#include "libcommon/base/map.h"
#include "libcommon/base/time.h"

#include <pthread.h>

#define FIRST_DELAY (CX_NS_PER_S / 2)
#define LAST_DELAY (122 * CX_NS_PER_S)
#define SOON (100 * CX_NS_PER_MS)
#define LESS_SOON (2 * CX_NS_PER_S)
#define PATIENCE (120 * CX_NS_PER_S)

enum phase { IDLE, RUNNING, ENDED };
// A key's present or last run. Kept while it runs, has a result that nobody took, or fails.
struct volume_run {
        struct operations *operations;
        char *key, *owner;
        int (*run)(void *, struct cx_error *);
        void (*free_context)(void *);
        void *context;
        enum phase phase;
        int result;
        struct cx_error error;
        int64_t not_before; // monotonic ns
        int64_t waits;      // monotonic ns: since when it has only waited; 0: it does not
        int64_t soon;       // the next wait, ns
        int64_t delay;      // the next one's, ns
};
struct operations {
        struct pool *pool;
        void (*ended)(void *, const char *);
        void *context;
        pthread_mutex_t lock;  // guards the map and the entries' phases and results
        struct cx_map entries; // key → struct volume_run
};

static void entry_free(void *p)
{
        struct volume_run *e = p;
        cx_error_release(&e->error);
        free(e->key);
        free(e->owner);
        free(e);
}

struct operations *operations_new(int threads, void (*ended)(void *, const char *), void *context)
{
        struct operations *o = cx_alloc(sizeof *o);
        o->pool = threads ? pool_new(threads) : NULL;
        o->ended = ended;
        o->context = context;
        o->entries = (struct cx_map)CX_MAP_INIT_FREE(entry_free);
        pthread_mutex_init(&o->lock, NULL);
        return o;
}

void operations_free(struct operations *o)
{
        if (!o)
                return;
        pool_free(o->pool);
        cx_map_release(&o->entries);
        pthread_mutex_destroy(&o->lock);
        free(o);
}

static void run_entry(void *context)
{
        struct volume_run *e = context;
        struct operations *o = e->operations;
        CX_ERROR err = CX_ERROR_INIT;
        int r = e->run(e->context, &err);
        e->free_context(e->context);
        CX_CLEANUP(cx_freep) char *owner = cx_strdup(e->owner);
        pthread_mutex_lock(&o->lock);
        e->phase = ENDED;
        e->result = r;
        (void)cx_error_move(&e->error, &err);
        pthread_mutex_unlock(&o->lock);
        if (o->ended)
                o->ended(o->context, owner);
}

// Under the lock: an entry that has ended gives its result, and what follows from it for the next try.
static int take_result(struct operations *o, struct volume_run *e, int64_t *ret_again, struct cx_error *err)
{
        int r = e->result;
        int64_t now = cx_time_monotonic();
        if (r == 0) {
                cx_map_remove(&o->entries, e->key);
                return 0;
        }
        e->phase = IDLE;
        if (r == -EAGAIN && !e->waits) {
                e->waits = now;
                e->soon = SOON;
        }
        if (r == -EAGAIN && now - e->waits < PATIENCE) {
                cx_error_release(&e->error);
                e->not_before = now + e->soon;
                *ret_again = e->soon;
                e->soon = e->soon * 2 > LESS_SOON ? LESS_SOON : e->soon * 2;
                return -EINPROGRESS;
        }
        e->waits = 0;
        if (!e->error.code)
                (void)cx_error_set(&e->error, r, "timed out waiting for the condition");
        e->not_before = now + e->delay;
        *ret_again = e->delay;
        e->delay = e->delay * 2 > LAST_DELAY ? LAST_DELAY : e->delay * 2;
        return cx_error_move(err, &e->error);
}

int operations_do(struct operations *o, const struct volume_operation *of, int64_t *ret_again, struct cx_error *err)
{
        *ret_again = INT64_MAX;
        int r = -EINPROGRESS;
        bool start = false;
        int64_t now = cx_time_monotonic();
        pthread_mutex_lock(&o->lock);
        struct volume_run *e = cx_map_get(&o->entries, of->key);
        if (!e) {
                e = cx_alloc(sizeof *e);
                *e = (struct volume_run){.operations = o,
                                         .key = cx_strdup(of->key),
                                         .owner = cx_strdup(of->owner),
                                         .delay = FIRST_DELAY};
                cx_map_set(&o->entries, of->key, e);
        }
        if (e->phase == ENDED) {
                r = take_result(o, e, ret_again, err);
        } else if (e->phase == IDLE && e->not_before > now) {
                *ret_again = e->not_before - now;
        } else if (e->phase == IDLE) {
                e->run = of->run;
                e->free_context = of->free_context;
                e->context = of->context;
                e->phase = RUNNING;
                start = true;
        }
        pthread_mutex_unlock(&o->lock);
        if (!start) {
                of->free_context(of->context);
                return r;
        }
        if (o->pool) {
                pool_run(o->pool, run_entry, e);
                return -EINPROGRESS;
        }
        run_entry(e);
        pthread_mutex_lock(&o->lock);
        r = take_result(o, e, ret_again, err);
        pthread_mutex_unlock(&o->lock);
        return r;
}

bool operations_forget(struct operations *o, const char *prefix)
{
        bool idle = true;
        pthread_mutex_lock(&o->lock);
        CX_MAP_FOREACH (&o->entries, item) {
                struct volume_run *e = item->value;
                if (!cx_has_prefix(e->key, prefix))
                        continue;
                if (e->phase == RUNNING)
                        idle = false;
                else
                        cx_map_remove(&o->entries, item->key);
        }
        pthread_mutex_unlock(&o->lock);
        return idle;
}
