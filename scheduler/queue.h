// SPDX-License-Identifier: Apache-2.0
// The pods that wait for a node: active (by priority, then by time), backing off after a failure, unschedulable until
// something happens that may help or five minutes have passed, and gated. Guarded by the scheduler's lock.
#pragma once

#include "scheduler/core/framework.h"

#define QUEUE_UNSCHEDULABLE_MAX (300 * CX_NS_PER_S)

enum queue_place { QUEUE_NOWHERE, QUEUE_ACTIVE, QUEUE_BACKOFF, QUEUE_UNSCHEDULABLE, QUEUE_GATED, QUEUE_PLACES };
// Why a pod came to its place. From CAUSE_EVENT on it is the event that woke it, by the number of its bit.
enum queue_cause {
        CAUSE_ADDED,
        CAUSE_UPDATED,
        CAUSE_FAILED,
        CAUSE_BACKOFF_OVER,
        CAUSE_TIMEOUT,
        CAUSE_EVENT,
        QUEUE_CAUSES = CAUSE_EVENT + EVENT_BITS
};
struct queued_pod {
        const struct cx_object *object; // a reference
        struct template *template;      // the object's
        enum queue_place place;
        size_t heap_index;
        uint64_t sequence;     // order of arrival among equals
        int64_t queued;        // monotonic: when it first came
        int64_t since;         // monotonic: when it came to its place
        int64_t backoff_until; // monotonic
        int attempts;
        unsigned failed; // plugins
        bool error;      // backs off because of an error, not for want of a node
        char *message;   // the last one reported
};

struct pod_heap {
        struct queued_pod **items;
        size_t count, capacity;
        bool (*before)(const struct queued_pod *a, const struct queued_pod *b);
};
struct queue {
        struct cx_map pods; // key -> struct queued_pod
        struct pod_heap active, backoff;
        size_t counts[QUEUE_PLACES];                // by place
        uint64_t came[QUEUE_PLACES][QUEUE_CAUSES];  // how often a pod came to a place
        size_t rejected[MAX_PROFILES][MAX_PLUGINS]; // unschedulable pods that a plugin rejected
        int64_t backoff_first, backoff_max;         // ns
        uint64_t sequence;
        unsigned missed; // events since the last pod was popped: it may be decided on without the lock
};

void queue_init(struct queue *queue, int64_t backoff_first, int64_t backoff_max);
void queue_release(struct queue *queue);
void queued_pod_free(struct queued_pod *pod);

// A pod without a node came or changed. What changed nothing that matters leaves it where it is.
void queue_set(struct queue *queue, const struct cx_object *object, int64_t now);
void queue_remove(struct queue *queue, const char *key);
bool queue_has(const struct queue *queue, const char *key);
// The pod that was popped and is still to be dealt with; NULL when it has gone, or is another by now.
struct queued_pod *queue_find_popped(const struct queue *queue, const struct cx_object *object);
// The next pod to schedule, or NULL. It stays known to the queue, in no place, until one of the following is called.
struct queued_pod *queue_pop(struct queue *queue, int64_t now);
void queue_park(struct queue *queue, struct queued_pod *pod, unsigned failed, int64_t now); // unschedulable
struct queued_pod *queue_take(struct queue *queue, struct queued_pod *pod);                 // out: the caller owns it
// Puts a taken pod back after an error, with a newer version of the object.
void queue_retry(struct queue *queue, struct queued_pod *pod_steal, const struct cx_object *object, int64_t now);
// Something happened: pods that it may help go back to the active queue (or finish backing off first).
void queue_wake(struct queue *queue, struct node_cache *cache, unsigned events, const struct node *node,
                const char *claim, int64_t now);
// Tries those again that have waited for five minutes; to be called from time to time.
void queue_flush(struct queue *queue, int64_t now);
// When queue_pop may next have something that it has not now (monotonic); INT64_MAX: not before an event.
int64_t queue_deadline(const struct queue *queue);
