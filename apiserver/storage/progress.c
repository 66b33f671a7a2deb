// SPDX-License-Identifier: Apache-2.0
#include "apiserver/storage/progress.h"

#include "base/time.h"

#include <pthread.h>

#define WAIT_LIMIT (10 * CX_NS_PER_S)
#define NUDGE_AFTER (400 * CX_NS_PER_MS)

struct cx_progress {
        struct cx_etcd *etcd;
        void (*nudge)(void *context);
        void *context;
        pthread_mutex_t lock; // guards all below; `done` is never called under it
        pthread_cond_t probe_over;
        int64_t revision;
        bool following, stopping, probing;
        bool probe_again;          // the last probe failed; the next tick tries once more
        struct cx_waiter *waiting; // for revisions
        struct cx_waiter *current; // for the probe under way
        struct cx_waiter *next;    // for the one after it: a probe counts only for those who came before it started
};

static void tell(struct cx_waiter *waiters, int result)
{
        for (struct cx_waiter *w = waiters, *next; w; w = next) {
                next = w->next;
                w->done(w, result);
        }
}

static void push(struct cx_waiter **list, struct cx_waiter *waiter)
{
        waiter->next = *list;
        *list = waiter;
}

// Takes out those whose revision is reached.
static struct cx_waiter *reached_locked(struct cx_progress *p)
{
        struct cx_waiter *reached = NULL;
        if (!p->following)
                return NULL;
        for (struct cx_waiter **w = &p->waiting; *w;) {
                struct cx_waiter *waiter = *w;
                if (waiter->revision > p->revision) {
                        w = &waiter->next;
                        continue;
                }
                *w = waiter->next;
                push(&reached, waiter);
        }
        return reached;
}

void cx_progress_advance(struct cx_progress *p, int64_t revision)
{
        pthread_mutex_lock(&p->lock);
        if (revision > p->revision)
                p->revision = revision;
        struct cx_waiter *reached = reached_locked(p);
        pthread_mutex_unlock(&p->lock);
        tell(reached, 0);
}

void cx_progress_follow(struct cx_progress *p, bool following, int64_t revision)
{
        pthread_mutex_lock(&p->lock);
        p->following = following;
        pthread_mutex_unlock(&p->lock);
        cx_progress_advance(p, revision);
}

bool cx_progress_following(struct cx_progress *p)
{
        pthread_mutex_lock(&p->lock);
        bool following = p->following;
        pthread_mutex_unlock(&p->lock);
        return following;
}

int64_t cx_progress_revision(struct cx_progress *p)
{
        pthread_mutex_lock(&p->lock);
        int64_t revision = p->revision;
        pthread_mutex_unlock(&p->lock);
        return revision;
}

// Takes out those who have waited too long.
static void expire_locked(struct cx_waiter **list, int64_t now, struct cx_waiter **late)
{
        for (struct cx_waiter **w = list; *w;) {
                struct cx_waiter *waiter = *w;
                if (now - waiter->started < WAIT_LIMIT) {
                        w = &waiter->next;
                        continue;
                }
                *w = waiter->next;
                push(late, waiter);
        }
}

static void on_probed(void *context, int result, int64_t revision);

void cx_progress_tick(struct cx_progress *p)
{
        struct cx_waiter *late = NULL, *unanswered = NULL;
        int64_t now = cx_time_monotonic();
        bool nudge = false;
        pthread_mutex_lock(&p->lock);
        for (struct cx_waiter *w = p->waiting; w; w = w->next)
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

void cx_progress_await(struct cx_progress *p, struct cx_waiter *waiter, int64_t revision)
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
        struct cx_progress *p = context;
        pthread_mutex_lock(&p->lock);
        struct cx_waiter *answered = result < 0 ? NULL : cx_steal(&p->current);
        for (struct cx_waiter *next; answered; answered = next) {
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
        struct cx_waiter *reached = reached_locked(p);
        pthread_mutex_unlock(&p->lock);
        if (again)
                cx_etcd_revision_async(p->etcd, on_probed, p);
        tell(reached, 0);
}

void cx_progress_await_fresh(struct cx_progress *p, struct cx_waiter *waiter)
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

struct cx_progress *cx_progress_new(struct cx_etcd *etcd, void (*nudge)(void *context), void *context)
{
        struct cx_progress *p = cx_alloc(sizeof *p);
        p->etcd = etcd;
        p->nudge = nudge;
        p->context = context;
        pthread_mutex_init(&p->lock, NULL);
        pthread_cond_init(&p->probe_over, NULL);
        return p;
}

void cx_progress_stop(struct cx_progress *p)
{
        pthread_mutex_lock(&p->lock);
        p->stopping = true;
        struct cx_waiter *lists[] = {p->waiting, p->current, p->next};
        p->waiting = p->current = p->next = NULL;
        pthread_mutex_unlock(&p->lock);
        for (size_t i = 0; i < CX_ARRAY_SIZE(lists); i++)
                tell(lists[i], -ECANCELED);
}

void cx_progress_free(struct cx_progress *p)
{
        if (!p)
                return;
        cx_progress_stop(p);
        pthread_mutex_lock(&p->lock);
        while (p->probing)
                pthread_cond_wait(&p->probe_over, &p->lock);
        pthread_mutex_unlock(&p->lock);
        pthread_cond_destroy(&p->probe_over);
        pthread_mutex_destroy(&p->lock);
        free(p);
}
