// SPDX-License-Identifier: Apache-2.0
// Probers in one list; the time-keeping thread hands those that are due to the pool.
#include "kubelet/probe/probe.h"

#include "kubelet/base/pool.h"
#include "kubelet/probe/handler.h"
#include "kubelet/runtime/runtime.h"
#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <pthread.h>

static const char *const names[] = {"startupProbe", "livenessProbe", "readinessProbe"};
static const char *const words[] = {"Startup", "Liveness", "Readiness"};

struct prober {
        struct prober *next;
        unsigned refs; // list and running probe
        struct probes *probes;
        enum probe_kind kind;
        json_t *pod, *container, *spec;
        struct container *running;
        char *ip;
        int64_t due;                 // monotonic ns
        bool busy, removed, resting; // resting: not run any more
        int64_t period, timeout;
        int success_threshold, failure_threshold, streak;
        bool last_ok, first;
        int64_t early; // ns between the silent looks before a readiness probe first succeeds; 0: over
        uint64_t succeeded, failed;
        enum probe_result result;
};
struct probes {
        const struct kubelet *kubelet;
        void (*changed)(void *, const char *);
        void *context;
        pthread_mutex_t lock; // guards the list and everything that changes in a prober
        pthread_cond_t wake;
        struct prober *list;
        pthread_t thread;
        bool stopping;
};

static void prober_unref(struct prober *p) // under the lock, or alone
{
        if (--p->refs)
                return;
        json_decref(p->pod);
        json_decref(p->container);
        container_unref(p->running);
        free(p->ip);
        free(p);
}

static enum probe_result result_of(const struct probes *probes, const char *id, enum probe_kind kind)
{
        for (const struct prober *p = probes->list; p; p = p->next)
                if (p->kind == kind && strcmp(p->running->id, id) == 0)
                        return p->result;
        return PROBE_UNKNOWN;
}

static bool has(const struct probes *probes, const char *id, enum probe_kind kind)
{
        for (const struct prober *p = probes->list; p; p = p->next)
                if (p->kind == kind && strcmp(p->running->id, id) == 0)
                        return true;
        return false;
}

enum probe_result probes_result(struct probes *probes, const char *id, enum probe_kind kind)
{
        pthread_mutex_lock(&probes->lock);
        enum probe_result result = result_of(probes, id, kind);
        pthread_mutex_unlock(&probes->lock);
        return result;
}

// Takes the outcome of one probe; true when the result changed.
static bool count(struct prober *p, bool ok)
{
        p->streak = !p->first && p->last_ok == ok ? p->streak + 1 : 1;
        p->first = false;
        p->last_ok = ok;
        if (p->streak < (ok ? p->success_threshold : p->failure_threshold))
                return false;
        enum probe_result result = ok ? PROBE_SUCCESS : PROBE_FAILURE;
        bool changed = p->result != result;
        p->result = result;
        return changed;
}

static void run_probe(void *context)
{
        struct prober *p = context;
        struct probes *probes = p->probes;
        CX_BUF output = CX_BUF_INIT_MAX(BUFSIZ + 4096);
        CX_ERROR err = CX_ERROR_INIT;
        int r = handler_run(probes->kubelet,
                            &(struct handler_call){.handler = p->spec,
                                                   .container = p->container,
                                                   .running = p->running,
                                                   .ip = p->ip,
                                                   .timeout = p->timeout},
                            &output, &err);
        struct container_state state;
        container_state(probes->kubelet->runtime, p->running, &state);
        pthread_mutex_lock(&probes->lock);
        bool live = !p->removed && state.status == CONTAINER_RUNNING;
        // A container that has just started is often ready a moment later: within its first period it is looked at more
        // often, and what fails is not counted.
        if (live && r != 0 && p->early && p->early < p->period) {
                p->early *= 2;
                p->busy = false;
                p->due = cx_time_monotonic() + p->early / 2;
                pthread_cond_signal(&probes->wake);
                prober_unref(p);
                pthread_mutex_unlock(&probes->lock);
                return;
        }
        p->early = 0;
        bool changed = live && count(p, r == 0);
        *(r == 0 ? &p->succeeded : &p->failed) += live;
        bool report = live && r != 0;
        // Nothing more to learn: startup after success, liveness after failure (the container will be killed).
        bool over = changed && ((p->kind == PROBE_STARTUP) || (p->kind == PROBE_LIVENESS && r != 0));
        p->busy = false;
        p->due = over ? INT64_MAX : p->due + p->period;
        int64_t now = cx_time_monotonic();
        if (p->due < now)
                p->due = now + p->period;
        pthread_cond_signal(&probes->wake);
        pthread_mutex_unlock(&probes->lock);
        const char *name = cx_json_string_or(p->container, "name", "");
        if (report && r > 0)
                pod_event(probes->kubelet, p->pod, name, "Warning", "Unhealthy", "%s probe failed: %.*s",
                          words[p->kind], 1024, output.data);
        else if (report)
                pod_event(probes->kubelet, p->pod, name, "Warning", "Unhealthy", "%s probe errored: %s", words[p->kind],
                          cx_error_text(&err));
        if (changed)
                probes->changed(probes->context, p->running->pod_uid);
        pthread_mutex_lock(&probes->lock);
        prober_unref(p);
        pthread_mutex_unlock(&probes->lock);
}

// Liveness and readiness wait until the startup probe has succeeded.
static bool held_back(const struct probes *probes, const struct prober *p)
{
        return p->kind != PROBE_STARTUP && has(probes, p->running->id, PROBE_STARTUP) &&
               result_of(probes, p->running->id, PROBE_STARTUP) != PROBE_SUCCESS;
}

static void *keep_time(void *context)
{
        struct probes *probes = context;
        pthread_mutex_lock(&probes->lock);
        while (!probes->stopping) {
                int64_t now = cx_time_monotonic(), next = now + 3600 * CX_NS_PER_S;
                for (struct prober *p = probes->list; p; p = p->next) {
                        if (p->busy || p->resting || p->due == INT64_MAX)
                                continue;
                        if (p->due <= now && held_back(probes, p)) {
                                p->due = now + 100 * CX_NS_PER_MS;
                        } else if (p->due <= now) {
                                p->busy = true;
                                p->refs++;
                                pool_run(probes->kubelet->pool, run_probe, p);
                                continue;
                        }
                        if (p->due < next)
                                next = p->due;
                }
                struct timespec until = {.tv_sec = next / CX_NS_PER_S, .tv_nsec = next % CX_NS_PER_S};
                pthread_cond_timedwait(&probes->wake, &probes->lock, &until);
        }
        pthread_mutex_unlock(&probes->lock);
        return NULL;
}

struct probes *probes_new(const struct kubelet *kubelet, void (*changed)(void *, const char *), void *context)
{
        struct probes *probes = cx_alloc(sizeof *probes);
        probes->kubelet = kubelet;
        probes->changed = changed;
        probes->context = context;
        pthread_mutex_init(&probes->lock, NULL);
        pthread_condattr_t attributes;
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&probes->wake, &attributes);
        pthread_condattr_destroy(&attributes);
        pthread_create(&probes->thread, NULL, keep_time, probes);
        return probes;
}

static void remove_matching(struct probes *probes, const char *pod_uid, const char *container, const char *keep_id)
{
        for (struct prober **at = &probes->list; *at;) {
                struct prober *p = *at;
                if ((pod_uid && strcmp(p->running->pod_uid, pod_uid) != 0) ||
                    (container && strcmp(p->running->name, container) != 0) ||
                    (keep_id && strcmp(p->running->id, keep_id) == 0)) {
                        at = &p->next;
                        continue;
                }
                *at = p->next;
                p->removed = true;
                prober_unref(p);
        }
}

void probes_remove(struct probes *probes, const char *pod_uid, const char *container)
{
        pthread_mutex_lock(&probes->lock);
        remove_matching(probes, pod_uid, container, NULL);
        pthread_mutex_unlock(&probes->lock);
}

void probes_stand_down(struct probes *probes, const char *pod_uid, const char *container)
{
        pthread_mutex_lock(&probes->lock);
        for (struct prober *p = probes->list; p; p = p->next)
                if (p->kind != PROBE_READINESS && strcmp(p->running->pod_uid, pod_uid) == 0 &&
                    strcmp(p->running->name, container) == 0)
                        p->resting = true;
        pthread_mutex_unlock(&probes->lock);
}

void probes_write_metrics(struct probes *probes, struct cx_buf *to)
{
        cx_buf_add(to,
                   "# HELP prober_probe_total [BETA] Cumulative number of a liveness, readiness or startup probe for a "
                   "container by result.\n# TYPE prober_probe_total counter\n");
        pthread_mutex_lock(&probes->lock);
        for (const struct prober *p = probes->list; p; p = p->next) {
                const struct container *c = p->running;
                CX_CLEANUP(cx_freep)
                char *labels =
                        cx_sprintf("container=\"%s\",namespace=\"%s\",pod=\"%s\",pod_uid=\"%s\",probe_type=\"%s\"",
                                   c->name, c->pod_namespace, c->pod_name, c->pod_uid, words[p->kind]);
                cx_buf_printf(to, "prober_probe_total{%s,result=\"successful\"} %llu\n", labels,
                              (unsigned long long)p->succeeded);
                cx_buf_printf(to, "prober_probe_total{%s,result=\"failed\"} %llu\n", labels,
                              (unsigned long long)p->failed);
        }
        pthread_mutex_unlock(&probes->lock);
}

void probes_free(struct probes *probes)
{
        if (!probes)
                return;
        pthread_mutex_lock(&probes->lock);
        probes->stopping = true;
        remove_matching(probes, NULL, NULL, NULL);
        pthread_cond_signal(&probes->wake);
        pthread_mutex_unlock(&probes->lock);
        pthread_join(probes->thread, NULL);
        pthread_mutex_destroy(&probes->lock);
        pthread_cond_destroy(&probes->wake);
        free(probes);
}

void probes_sync(struct probes *probes, const struct probe_subject *subject)
{
        struct container *running = subject->running;
        pthread_mutex_lock(&probes->lock);
        remove_matching(probes, running->pod_uid, running->name, running->id);
        for (int kind = 0; kind < PROBE_KINDS; kind++) {
                json_t *spec = json_object_get(subject->container, names[kind]);
                if (!json_is_object(spec) || has(probes, running->id, (enum probe_kind)kind))
                        continue;
                struct prober *p = cx_alloc(sizeof *p);
                p->refs = 1;
                p->probes = probes;
                p->kind = (enum probe_kind)kind;
                p->pod = json_incref((json_t *)subject->pod);
                p->container = json_incref((json_t *)subject->container);
                p->spec = spec;
                p->running = container_ref(running);
                p->ip = cx_strdup(subject->ip);
                p->period = cx_json_int(spec, "periodSeconds", 0) * CX_NS_PER_S;
                p->timeout = cx_json_int(spec, "timeoutSeconds", 0) * CX_NS_PER_S;
                p->success_threshold = (int)cx_json_int(spec, "successThreshold", 0);
                p->failure_threshold = (int)cx_json_int(spec, "failureThreshold", 0);
                p->first = true;
                p->early = kind == PROBE_READINESS ? 25 * CX_NS_PER_MS : 0;
                int64_t age = (cx_time_now() - subject->since) * 1000;
                int64_t wait = cx_json_int(spec, "initialDelaySeconds", 0) * CX_NS_PER_S - age;
                p->due = cx_time_monotonic() + (wait > 0 ? wait : 0);
                if (kind == PROBE_STARTUP && subject->started) {
                        p->result = PROBE_SUCCESS;
                        p->due = INT64_MAX;
                }
                p->next = probes->list;
                probes->list = p;
                pthread_cond_signal(&probes->wake);
        }
        pthread_mutex_unlock(&probes->lock);
}
