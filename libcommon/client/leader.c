// SPDX-License-Identifier: Apache-2.0
// The clocks of different machines are never compared: a lease counts as expired when its record has not changed for its
// duration by our own monotonic clock.
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

// Waits; true when the election was stopped meanwhile.
static bool wait_or_stop(struct cx_leader *leader, int64_t ns)
{
        int64_t deadline = cx_time_monotonic() + ns;
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

// Gets, takes or renews the lease, within `limit`: 0 when it is ours now, -EBUSY when another has it.
static int try_once(struct cx_leader *leader, int64_t limit, struct cx_error *err)
{
        cx_rest_set_timeout(leader->rest, limit / 2 > CX_NS_PER_MS ? limit / 2 : CX_NS_PER_MS, 0); // two calls
        const struct cx_ref *ref = CX_REF("coordination.k8s.io", "v1", "leases", leader->namespace, leader->name);
        json_auto_t *lease = NULL;
        int r = cx_rest_get(leader->rest, ref, &lease, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                json_auto_t *fresh = json_pack("{s:s, s:s, s:{s:s, s:s}, s:o}", "apiVersion", "coordination.k8s.io/v1",
                                               "kind", "Lease", "metadata", "name", leader->name, "namespace",
                                               leader->namespace, "spec", make_spec(leader, NULL));
                r = cx_rest_create(leader->rest, ref, fresh, NULL, err);
                if (r == 0)
                        observe(leader, json_object_get(fresh, "spec"));
                return r;
        }
        if (r < 0)
                return r;
        const json_t *old = json_object_get(lease, "spec");
        observe(leader, old);
        if (held_by_other(leader, old))
                return -EBUSY;
        json_t *spec = make_spec(leader, old);
        json_object_set_new(lease, "spec", spec);
        r = cx_rest_update(leader->rest, ref, lease, NULL, err);
        if (r == 0)
                observe(leader, spec);
        return r;
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

static void *renew(void *argument)
{
        struct cx_leader *leader = argument;
        int64_t renewed = cx_time_monotonic();
        while (!wait_or_stop(leader, leader->retry_period)) {
                CX_ERROR err = CX_ERROR_INIT;
                int64_t began = cx_time_monotonic();
                if (try_once(leader, renewed + leader->renew_deadline - began, &err) == 0) {
                        renewed = began; // no later than what the others see
                        continue;
                }
                cx_debug(1, "Lease not renewed", "lease", leader->name, "err", cx_error_text(&err));
                if (cx_time_monotonic() + leader->retry_period - renewed < leader->renew_deadline)
                        continue; // there is time for another try
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
                int r = try_once(leader, leader->renew_deadline, &err);
                if (r == 0)
                        break;
                if (err.code)
                        cx_debug(1, "Lease not acquired", "lease", leader->name, "err", cx_error_text(&err));
                // Jitter, or candidates that started together stay in step.
                int64_t period = leader->retry_period;
                if (wait_or_stop(leader, period + (int64_t)cx_random_below((uint64_t)(period + 1))))
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
        free(leader->observed);
        free(leader->announced);
        free(leader->namespace);
        free(leader->name);
        free(leader->identity);
        pthread_cond_destroy(&leader->wake);
        pthread_mutex_destroy(&leader->lock);
        free(leader);
}
