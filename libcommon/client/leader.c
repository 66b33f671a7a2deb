// SPDX-License-Identifier: Apache-2.0
// The clocks of different machines are never compared: a lease counts as expired when its record has not changed for its
// duration by our own monotonic clock.
//
// Who holds the lease writes it anew as it last saw it, in one call, and waits for the answer as long as it can: on a machine
// that is slow the next call would be slower still, since a call that was given up takes its connection with it.
#include "libcommon/client/leader.h"

#include "libcommon/base/log.h"
#include "libcommon/base/random.h"
#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <pthread.h>
#include <unistd.h>

struct cx_leader {
        struct cx_rest *rest; // its own: what it waits for ends in time
        struct cx_events *events;
        char *namespace, *name, *identity;
        int64_t lease_duration, renew_deadline, retry_period;
        char *observed;      // the record as last seen
        int64_t observed_at; // monotonic
        char *announced;     // the other holder that was last logged
        int64_t taken_at;    // monotonic: when the call began that made it ours
        json_t *held;        // the object as we last wrote it; NULL: it has to be read first

        pthread_mutex_t lock; // guards what follows
        pthread_cond_t wake;
        bool stop, leading, running, seen;
        pthread_t thread;
        void (*lost)(void *context);
        void *context;
};

struct cx_leader *cx_leader_new(struct cx_rest *rest, struct cx_events *events, const struct cx_leader_options *options)
{
        struct cx_leader *leader = cx_alloc(sizeof *leader);
        leader->rest = cx_rest_derive(rest, NULL);
        leader->events = events;
        leader->namespace = cx_strdup(options->namespace && *options->namespace ? options->namespace : "kube-system");
        leader->name = cx_strdup(options->name);
        if (options->identity) {
                leader->identity = cx_strdup(options->identity);
        } else {
                char host[256] = "", uid[CX_UID_TEXT];
                gethostname(host, sizeof host - 1);
                cx_random_uid(uid);
                leader->identity = cx_sprintf("%s_%s", host, uid);
        }
        leader->lease_duration = options->lease_duration ? options->lease_duration : 15 * CX_NS_PER_S;
        leader->renew_deadline = options->renew_deadline ? options->renew_deadline : 10 * CX_NS_PER_S;
        leader->retry_period = options->retry_period ? options->retry_period : 2 * CX_NS_PER_S;
        pthread_mutex_init(&leader->lock, NULL);
        cx_cond_init(&leader->wake);
        return leader;
}

// Waits until then (monotonic); true when the election was stopped meanwhile.
static bool wait_or_stop(struct cx_leader *leader, int64_t deadline)
{
        pthread_mutex_lock(&leader->lock);
        while (!leader->stop && !cx_cond_wait_until(&leader->wake, &leader->lock, deadline))
                ;
        bool stop = leader->stop;
        pthread_mutex_unlock(&leader->lock);
        return stop;
}

static json_t *make_spec(const struct cx_leader *leader, const json_t *old)
{
        char now[CX_TIME_TEXT];
        cx_time_format_micro(cx_time_now(), now);
        const char *holder = cx_json_string_or(old, "holderIdentity", "");
        bool ours = strcmp(holder, leader->identity) == 0;
        json_t *spec = old ? json_deep_copy(old) : json_object();
        json_object_set_new(spec, "holderIdentity", json_string(leader->identity));
        json_object_set_new(spec, "leaseDurationSeconds", json_integer(leader->lease_duration / CX_NS_PER_S));
        json_object_set_new(spec, "renewTime", json_string(now));
        if (!ours || !json_object_get(spec, "acquireTime"))
                json_object_set_new(spec, "acquireTime", json_string(now));
        int64_t transitions = cx_json_int(old, "leaseTransitions", 0);
        json_object_set_new(spec, "leaseTransitions", json_integer(old && !ours ? transitions + 1 : transitions));
        return spec;
}

static void observe(struct cx_leader *leader, const json_t *spec)
{
        CX_CLEANUP(cx_freep) char *text = cx_json_text(spec);
        if (cx_streq(text, leader->observed))
                return;
        free(leader->observed);
        leader->observed = cx_steal(&text);
        leader->observed_at = cx_time_monotonic();
        pthread_mutex_lock(&leader->lock);
        leader->seen = true;
        pthread_mutex_unlock(&leader->lock);
}

static bool held_by_other(struct cx_leader *leader, const json_t *spec)
{
        const char *holder = cx_json_string_or(spec, "holderIdentity", "");
        if (!*holder || strcmp(holder, leader->identity) == 0)
                return false;
        if (!cx_streq(holder, leader->announced)) {
                free(leader->announced);
                leader->announced = cx_strdup(holder);
                cx_info("The lease is held by another", "lease", leader->name, "holder", holder);
        }
        int64_t duration =
                cx_json_int(spec, "leaseDurationSeconds", leader->lease_duration / CX_NS_PER_S) * CX_NS_PER_S;
        return cx_time_monotonic() < leader->observed_at + duration;
}

static void limit_call(struct cx_leader *leader, int64_t limit)
{
        cx_rest_set_timeout(leader->rest, limit > CX_NS_PER_MS ? limit : CX_NS_PER_MS, 0);
}

// Writes ours into the lease; `lease` is stolen. The answer is what the next one is made of.
static int write_lease(struct cx_leader *leader, const struct cx_ref *ref, json_t *lease, struct cx_error *err)
{
        json_auto_t *next = lease, *written = NULL;
        json_t *spec = make_spec(leader, json_object_get(next, "spec"));
        json_object_set_new(next, "spec", spec);
        int r = cx_rest_update(leader->rest, ref, next, &written, err);
        if (r < 0)
                return r;
        observe(leader, spec);
        json_decref(leader->held);
        leader->held = cx_steal(&written);
        return 0;
}

// Gets and takes the lease, within `limit`: 0 when it is ours now, -EBUSY when another has it.
static int take(struct cx_leader *leader, int64_t limit, struct cx_error *err)
{
        const struct cx_ref *ref = CX_REF("coordination.k8s.io", "v1", "leases", leader->namespace, leader->name);
        json_auto_t *lease = NULL;
        limit_call(leader, limit / 2); // two calls
        int r = cx_rest_get(leader->rest, ref, &lease, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                json_auto_t *fresh = json_pack("{s:s, s:s, s:{s:s, s:s}, s:o}", "apiVersion", "coordination.k8s.io/v1",
                                               "kind", "Lease", "metadata", "name", leader->name, "namespace",
                                               leader->namespace, "spec", make_spec(leader, NULL));
                r = cx_rest_create(leader->rest, ref, fresh, &leader->held, err);
                if (r == 0)
                        observe(leader, json_object_get(fresh, "spec"));
                return r;
        }
        if (r < 0)
                return r;
        const json_t *old = json_object_get(lease, "spec");
        observe(leader, old);
        return held_by_other(leader, old) ? -EBUSY : write_lease(leader, ref, cx_steal(&lease), err);
}

// Renews the lease, which is ours, within `limit`. A call on a connection that leads nowhere leaves time for one on another.
static int renew_once(struct cx_leader *leader, int64_t limit, struct cx_error *err)
{
        const struct cx_ref *ref = CX_REF("coordination.k8s.io", "v1", "leases", leader->namespace, leader->name);
        int64_t began = cx_time_monotonic();
        if (leader->held) {
                limit_call(leader, limit - leader->retry_period > limit / 2 ? limit - leader->retry_period : limit);
                int r = write_lease(leader, ref, json_deep_copy(leader->held), err);
                if (r == 0 || (!cx_error_is(err, CX_REASON_CONFLICT) && !cx_error_is(err, CX_REASON_NOT_FOUND)))
                        return r;
                // It was changed: by others, or by a call of ours whose answer did not come.
                cx_error_release(err);
                json_decref(cx_steal(&leader->held));
        }
        int r = take(leader, began + limit - cx_time_monotonic(), err);
        return r == -EBUSY ? cx_error_set(err, r, "another has taken it") : r;
}

static void announce(struct cx_leader *leader)
{
        cx_info("Became leader", "lease", leader->name, "identity", leader->identity);
        cx_event(leader->events,
                 &(struct cx_event_about){.api_version = "coordination.k8s.io/v1",
                                          .kind = "Lease",
                                          .namespace = leader->namespace,
                                          .name = leader->name},
                 "Normal", "LeaderElection", "%s became leader", leader->identity);
}

// Until when a lease is to be renewed that was written by a call which began then and has just ended. Others saw it written no
// earlier than that, and wait for its whole duration from there on: a call that took long has used up part of it.
static int64_t end_of(const struct cx_leader *leader, int64_t began)
{
        int64_t margin = (leader->lease_duration - leader->renew_deadline) / 2;
        int64_t theirs = began + leader->lease_duration - margin, ours = cx_time_monotonic() + leader->renew_deadline;
        return theirs < ours ? theirs : ours;
}

static void *renew(void *argument)
{
        struct cx_leader *leader = argument;
        int64_t next = leader->taken_at + leader->retry_period, end = end_of(leader, leader->taken_at);
        while (!wait_or_stop(leader, next)) {
                CX_ERROR err = CX_ERROR_INIT;
                int64_t began = cx_time_monotonic();
                next = began + leader->retry_period; // or at once, when the call takes longer
                int r = renew_once(leader, end - began, &err);
                if (r == 0) {
                        end = end_of(leader, began);
                        continue;
                }
                cx_debug(1, "Lease not renewed", "lease", leader->name, "err", cx_error_text(&err));
                if (r != -EBUSY && next < end && cx_time_monotonic() < end)
                        continue; // nobody else has it, and there is time for another try
                pthread_mutex_lock(&leader->lock);
                leader->leading = false;
                pthread_mutex_unlock(&leader->lock);
                cx_err(&err, "Leader election lost", "lease", leader->name);
                leader->lost(leader->context);
                return NULL;
        }
        return NULL;
}

int cx_leader_acquire(struct cx_leader *leader, void (*lost)(void *context), void *context)
{
        leader->lost = lost;
        leader->context = context;
        for (;;) {
                pthread_mutex_lock(&leader->lock);
                bool stop = leader->stop;
                pthread_mutex_unlock(&leader->lock);
                if (stop)
                        return -ECANCELED;
                CX_ERROR err = CX_ERROR_INIT;
                leader->taken_at = cx_time_monotonic();
                int r = take(leader, leader->renew_deadline, &err);
                if (r == 0)
                        break;
                if (err.code)
                        cx_debug(1, "Lease not acquired", "lease", leader->name, "err", cx_error_text(&err));
                // Jitter, or candidates that started together stay in step.
                int64_t period = leader->retry_period;
                if (wait_or_stop(leader,
                                 cx_time_monotonic() + period + (int64_t)cx_random_below((uint64_t)(period + 1))))
                        return -ECANCELED;
        }
        announce(leader);
        pthread_mutex_lock(&leader->lock);
        leader->leading = true;
        leader->running = pthread_create(&leader->thread, NULL, renew, leader) == 0;
        bool running = leader->running;
        pthread_mutex_unlock(&leader->lock);
        if (!running)
                abort();
        return 0;
}

bool cx_leader_is(const struct cx_leader *leader)
{
        pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&leader->lock;
        pthread_mutex_lock(lock);
        bool leading = leader->leading;
        pthread_mutex_unlock(lock);
        return leading;
}

bool cx_leader_observed(const struct cx_leader *leader)
{
        pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&leader->lock;
        pthread_mutex_lock(lock);
        bool seen = leader->seen;
        pthread_mutex_unlock(lock);
        return seen;
}

void cx_leader_stop(struct cx_leader *leader)
{
        pthread_mutex_lock(&leader->lock);
        leader->stop = true;
        pthread_cond_broadcast(&leader->wake);
        pthread_mutex_unlock(&leader->lock);
}

// An empty holder lets the next candidate take over at once.
static void release_lease(struct cx_leader *leader)
{
        CX_ERROR err = CX_ERROR_INIT;
        const struct cx_ref *ref = CX_REF("coordination.k8s.io", "v1", "leases", leader->namespace, leader->name);
        json_auto_t *lease = NULL;
        cx_rest_set_timeout(leader->rest, leader->retry_period, 0);
        if (cx_rest_get(leader->rest, ref, &lease, &err) < 0 ||
            !cx_streq(cx_json_string(lease, "spec.holderIdentity"), leader->identity))
                return;
        json_t *spec = json_object_get(lease, "spec");
        json_object_set_new(spec, "holderIdentity", json_string(""));
        json_object_set_new(spec, "leaseDurationSeconds", json_integer(1));
        if (cx_rest_update(leader->rest, ref, lease, NULL, &err) < 0)
                cx_debug(1, "Lease not released", "lease", leader->name, "err", cx_error_text(&err));
}

void cx_leader_free(struct cx_leader *leader)
{
        if (!leader)
                return;
        cx_leader_stop(leader);
        if (leader->running)
                pthread_join(leader->thread, NULL);
        if (leader->leading)
                release_lease(leader);
        cx_rest_free(leader->rest);
        json_decref(leader->held);
        free(leader->observed);
        free(leader->announced);
        free(leader->namespace);
        free(leader->name);
        free(leader->identity);
        pthread_cond_destroy(&leader->wake);
        pthread_mutex_destroy(&leader->lock);
        free(leader);
}
