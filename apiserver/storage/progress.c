// SPDX-License-Identifier: Apache-2.0
// Waiters in three lists: for a revision, for the probe under way, for the next one. Whoever brings the news tells
// them.
#include "apiserver/storage/progress.h"

#include "libcommon/base/time.h"

#include <pthread.h>

#define WAIT_LIMIT (10 * CX_NS_PER_S)
#define NUDGE_AFTER (400 * CX_NS_PER_MS)

struct progress {
        struct cx_etcd *etcd;
        void (*nudge)(void *context);
        void *context;
        pthread_mutex_t lock; // guards all below; `done` is never called under it
        pthread_cond_t probe_over;
        int64_t revision;
        bool following, stopping, probing;
        bool probe_again;       // the last probe failed; the next tick tries once more
        struct waiter *waiting; // for revisions
        struct waiter *current; // for the probe under way
        struct waiter *next;    // for the one after it: a probe counts only for those who came before it started
};

static void tell(struct waiter *waiters, int result)
{
        for (struct waiter *w = waiters, *next; w; w = next) {
                next = w->next;
                w->done(w, result);
        }
}

static void push(struct waiter **list, struct waiter *waiter)
{
        waiter->next = *list;
        *list = waiter;
}

// Takes out those whose revision is reached.
static struct waiter *reached_locked(struct progress *p)
{
        struct waiter *reached = NULL;
        if (!p->following)
                return NULL;
        for (struct waiter **w = &p->waiting; *w;) {
                struct waiter *waiter = *w;
                if (waiter->revision > p->revision) {
                        w = &waiter->next;
                        continue;
                }
                *w = waiter->next;
                push(&reached, waiter);
        }
        return reached;
}

void progress_advance(struct progress *p, int64_t revision)
{
        pthread_mutex_lock(&p->lock);
        if (revision > p->revision)
                p->revision = revision;
        struct waiter *reached = reached_locked(p);
        pthread_mutex_unlock(&p->lock);
        tell(reached, 0);
}

void progress_follow(struct progress *p, bool following, int64_t revision)
{
        pthread_mutex_lock(&p->lock);
        p->following = following;
        pthread_mutex_unlock(&p->lock);
        progress_advance(p, revision);
}

bool progress_following(struct progress *p)
{
        pthread_mutex_lock(&p->lock);
        bool following = p->following;
        pthread_mutex_unlock(&p->lock);
        return following;
}

int64_t progress_revision(struct progress *p)
{
        pthread_mutex_lock(&p->lock);
        int64_t revision = p->revision;
        pthread_mutex_unlock(&p->lock);
        return revision;
}

// Takes out those who have waited too long.
static void expire_locked(struct waiter **list, int64_t now, struct waiter **late)
{
        for (struct waiter **w = list; *w;) {
                struct waiter *waiter = *w;
                if (now - waiter->started < WAIT_LIMIT) {
                        w = &waiter->next;
                        continue;
                }
                *w = waiter->next;
                push(late, waiter);
        }
}

static void on_probed(void *context, int result, int64_t revision);

void progress_tick(struct progress *p)
{
        struct waiter *late = NULL, *unanswered = NULL;
        int64_t now = cx_time_monotonic();
        bool nudge = false;
        pthread_mutex_lock(&p->lock);
        for (struct waiter *w = p->waiting; w; w = w->next)
                nudge = nudge || (p->following && now - w->started > NUDGE_AFTER);
        expire_locked(&p->waiting, now, &late);
        bool probe = p->probe_again && !p->stopping;
        if (probe)
                expire_locked(&p->current, now, &unanswered);
        p->probe_again = false;
        p->probing = p->probing || probe;
        pthread_mutex_unlock(&p->lock);
        tell(late, -ETIMEDOUT);
        tell(unanswered, -EHOSTUNREACH);
        if (nudge)
                p->nudge(p->context);
        if (probe)
                cx_etcd_revision_async(p->etcd, on_probed, p);
}

void progress_await(struct progress *p, struct waiter *waiter, int64_t revision)
{
        waiter->revision = revision;
        waiter->started = cx_time_monotonic();
        pthread_mutex_lock(&p->lock);
        bool reached = p->following && revision <= p->revision, stopping = p->stopping;
        if (!reached && !stopping)
                push(&p->waiting, waiter);
        pthread_mutex_unlock(&p->lock);
        if (reached || stopping)
                waiter->done(waiter, reached ? 0 : -ECANCELED);
}

// --- the probe ---

static void on_probed(void *context, int result, int64_t revision)
{
        struct progress *p = context;
        pthread_mutex_lock(&p->lock);
        struct waiter *answered = result < 0 ? NULL : cx_steal(&p->current);
        for (struct waiter *next; answered; answered = next) {
                next = answered->next;
                answered->revision = revision;
                push(&p->waiting, answered);
        }
        if (!p->current)
                p->current = cx_steal(&p->next);
        p->probe_again = result < 0 && !p->stopping;
        p->probing = result == 0 && p->current && !p->stopping;
        bool again = p->probing;
        if (!again)
                pthread_cond_broadcast(&p->probe_over);
        struct waiter *reached = reached_locked(p);
        pthread_mutex_unlock(&p->lock);
        if (again)
                cx_etcd_revision_async(p->etcd, on_probed, p);
        tell(reached, 0);
}

void progress_await_fresh(struct progress *p, struct waiter *waiter)
{
        waiter->started = cx_time_monotonic();
        pthread_mutex_lock(&p->lock);
        bool stopping = p->stopping, start = !p->probing && !p->probe_again && !stopping;
        if (!stopping)
                push(p->probing ? &p->next : &p->current, waiter);
        p->probing = p->probing || start;
        pthread_mutex_unlock(&p->lock);
        if (stopping)
                waiter->done(waiter, -ECANCELED);
        else if (start)
                cx_etcd_revision_async(p->etcd, on_probed, p);
}

// --- life ---

struct progress *progress_new(struct cx_etcd *etcd, void (*nudge)(void *context), void *context)
{
        struct progress *p = cx_alloc(sizeof *p);
        p->etcd = etcd;
        p->nudge = nudge;
        p->context = context;
        pthread_mutex_init(&p->lock, NULL);
        pthread_cond_init(&p->probe_over, NULL);
        return p;
}

void progress_stop(struct progress *p)
{
        pthread_mutex_lock(&p->lock);
        p->stopping = true;
        struct waiter *lists[] = {p->waiting, p->current, p->next};
        p->waiting = p->current = p->next = NULL;
        pthread_mutex_unlock(&p->lock);
        for (size_t i = 0; i < CX_ARRAY_SIZE(lists); i++)
                tell(lists[i], -ECANCELED);
}

void progress_free(struct progress *p)
{
        if (!p)
                return;
        progress_stop(p);
        pthread_mutex_lock(&p->lock);
        while (p->probing)
                pthread_cond_wait(&p->probe_over, &p->lock);
        pthread_mutex_unlock(&p->lock);
        pthread_cond_destroy(&p->probe_over);
        pthread_mutex_destroy(&p->lock);
        free(p);
}
