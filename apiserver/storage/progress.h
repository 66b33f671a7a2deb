// SPDX-License-Identifier: Apache-2.0
// How far the caches have come: a revision that grows with etcd's watch, the readers that wait for one, and the probe
// that consistent readers share: etcd is asked for its revision once for all that wait. Any thread may call.
#pragma once

#include "libcommon/etcd/etcd.h"

struct progress;
// `nudge` is called, now and then, while a revision is awaited that no event has brought: it asks the watch for news.
struct progress *progress_new(struct cx_etcd *etcd, void (*nudge)(void *context), void *context);
// Readers that wait, and those to come, are told -ECANCELED.
void progress_stop(struct progress *progress);
void progress_free(struct progress *progress);

// The caches show everything up to `revision`.
void progress_advance(struct progress *progress, int64_t revision);
// Not following: nobody is told that a revision has been reached until following again.
void progress_follow(struct progress *progress, bool following, int64_t revision);
bool progress_following(struct progress *progress);
int64_t progress_revision(struct progress *progress);
// To be called about twice a second: ends waits that take too long and nudges for the others.
void progress_tick(struct progress *progress);

// A wait that blocks nobody: `done` runs once, on the thread that brought the news or in the call itself; result is 0,
// -ETIMEDOUT, -EHOSTUNREACH (etcd does not answer) or -ECANCELED. The waiter belongs to the caller and must last until
// then; the caller sets done.
struct waiter {
        void (*done)(struct waiter *waiter, int result);
        struct waiter *next;       // the rest is the progress's own
        int64_t revision, started; // awaited; monotonic ns
};
void progress_await(struct progress *progress, struct waiter *waiter, int64_t revision);
// Until everything that was acknowledged before the call is shown.
void progress_await_fresh(struct progress *progress, struct waiter *waiter);
