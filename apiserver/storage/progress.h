// SPDX-License-Identifier: Apache-2.0
// How far the caches have come: a revision that grows with etcd's watch, the readers that wait for one, and the probe
// that consistent readers share: etcd is asked for its revision once for all that wait. Any thread may call.
#pragma once

#include "etcd/etcd.h"

struct cx_progress;
// `nudge` is called, now and then, while a revision is awaited that no event has brought: it asks the watch for news.
struct cx_progress *cx_progress_new(struct cx_etcd *etcd, void (*nudge)(void *context), void *context);
// Readers that wait, and those to come, are told -ECANCELED.
void cx_progress_stop(struct cx_progress *progress);
void cx_progress_free(struct cx_progress *progress);

// The caches show everything up to `revision`.
void cx_progress_advance(struct cx_progress *progress, int64_t revision);
// Not following: nobody is told that a revision has been reached until following again.
void cx_progress_follow(struct cx_progress *progress, bool following, int64_t revision);
bool cx_progress_following(struct cx_progress *progress);
int64_t cx_progress_revision(struct cx_progress *progress);
// To be called about twice a second: ends waits that take too long and nudges for the others.
void cx_progress_tick(struct cx_progress *progress);

// A wait that blocks nobody: `done` runs once, on the thread that brought the news or in the call itself; result is 0,
// -ETIMEDOUT, -EHOSTUNREACH (etcd does not answer) or -ECANCELED. The waiter belongs to the caller and must last until
// then; the caller sets done.
struct cx_waiter {
        void (*done)(struct cx_waiter *waiter, int result);
        struct cx_waiter *next;    // the rest is the progress's own
        int64_t revision, started; // awaited; monotonic ns
};
void cx_progress_await(struct cx_progress *progress, struct cx_waiter *waiter, int64_t revision);
// Until everything that was acknowledged before the call is shown.
void cx_progress_await_fresh(struct cx_progress *progress, struct cx_waiter *waiter);
