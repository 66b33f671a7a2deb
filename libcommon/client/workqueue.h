// SPDX-License-Identifier: Apache-2.0
// A work queue of keys: a key waits at most once, is worked on by one thread at a time, and comes back after a delay or,
// after failures, with growing delays (5 ms doubling up to 1,000 s). And the pool of threads that works it off.
// Any thread may call anything.
#pragma once

#include "libcommon/base/alloc.h"
#include "libcommon/base/error.h"

struct cx_workqueue;
struct cx_workqueue *cx_workqueue_new(const char *name);
void cx_workqueue_free(struct cx_workqueue *queue);
void cx_workqueue_add(struct cx_workqueue *queue, const char *key);
void cx_workqueue_add_after(struct cx_workqueue *queue, const char *key, int64_t delay_ns); // the earlier one counts
void cx_workqueue_add_rate_limited(struct cx_workqueue *queue, const char *key);
void cx_workqueue_forget(struct cx_workqueue *queue, const char *key); // resets its failures
int cx_workqueue_failures(struct cx_workqueue *queue, const char *key);
// The next key, owned by the caller, who gives it back with cx_workqueue_done. NULL after shutdown, or after waiting for
// `timeout` ns (negative: for ever).
char *cx_workqueue_get(struct cx_workqueue *queue, int64_t timeout);
void cx_workqueue_done(struct cx_workqueue *queue, char *key_steal);
size_t cx_workqueue_length(struct cx_workqueue *queue);
void cx_workqueue_shutdown(struct cx_workqueue *queue);

// Runs reconcile for every key on up to max_threads threads, which are started when there is work for them and end
// after 10 s without. 0: the key is done (its failures are forgotten); negative: it is logged and comes back rate limited;
// -EAGAIN (a conflict) comes back the same way but is not logged as an error. `retry_after` may be set (ns) to come back
// later after success.
typedef int (*cx_reconcile)(void *context, const char *key, int64_t *retry_after, struct cx_error *err);
struct cx_workers;
struct cx_workers *cx_workers_start(struct cx_workqueue *queue, int max_threads, cx_reconcile reconcile, void *context);
void cx_workers_stop(struct cx_workers *workers); // shuts the queue down, waits for running reconciles, frees

// Runs work(context, i) for i in [0, count) on up to `parallel` threads, the caller's included, and waits for all.
void cx_parallel(size_t count, int parallel, void (*work)(void *context, size_t i), void *context);
