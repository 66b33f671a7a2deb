// SPDX-License-Identifier: Apache-2.0
// pod_sync: straight-line code that looks at what a pod should be and what is there, and does what is missing. It runs again
// after every event about the pod, so it never waits for anything but short calls.
#include "kubelet/pod/sync.h"

#include "kubelet/pod/admit.h"
#include "kubelet/pod/allocation.h"
#include "kubelet/pod/cgroups.h"
#include "kubelet/pod/definition.h"
#include "kubelet/pod/kill.h"
#include "kubelet/pod/publish.h"
#include "kubelet/pod/resolv.h"
#include "kubelet/pod/start.h"
#include "kubelet/pod/storage_limits.h"
#include "kubelet/volume/volumes.h"
#include "libcommon/api/pod.h"
#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <assert.h>

#define UPDATE_RETRY (20 * CX_NS_PER_S)
#define EVICTION_GRACE 1 // s

// --- preparing -------------------------------------------------------------------------------------------------------

// Pods came, went, or were resized: their tiers follow. That it failed is no reason to keep a pod from running.
static void weigh_tiers(struct pods *pods)
{
        CX_ERROR err = CX_ERROR_INIT;
        pthread_mutex_lock(&pods->tiers);
        json_auto_t *all = allocation_all(pods);
        if (pod_tiers_weigh(pods->kubelet, all, &err) < 0)
                cx_err(&err, "Cannot weigh the control groups of pods");
        pthread_mutex_unlock(&pods->tiers);
}

// -EINPROGRESS: it waits for its volumes. ret_reason: of the event about an error.
static int prepare(struct pod *pod, const json_t *object, const char **ret_reason, struct cx_error *err)
{
        const struct kubelet *k = pod->pods->kubelet;
        struct volumes_progress progress;
        int r = volumes_set_up(pod->pods->volumes, object, &progress, err);
        pod_again(pod, progress.again);
        *ret_reason = progress.reason;
        if (r < 0)
                return r;
        if (pod->was_up)
                return 0;
        r = pod_cgroup_make(k, object, err);
        if (r == 0)
                weigh_tiers(pod->pods);
        return r;
}

static int make_sandbox(struct pod *pod, const json_t *object, int attempt, struct sandbox **ret_sandbox,
                        struct cx_error *err)
{
        const struct kubelet *k = pod->pods->kubelet;
        CX_CLEANUP(cx_freep) char *resolv = pod_resolv_conf(k, object);
        CX_CLEANUP(cx_freep)
        char *hostname = cx_strndup(
                cx_json_string_or(object, "spec.hostname", cx_json_string_or(object, "metadata.name", "")), 63);
        for (size_t n = strlen(hostname); n && (hostname[n - 1] == '-' || hostname[n - 1] == '.');)
                hostname[--n] = '\0'; // cut names must stay names
        const char *subdomain = cx_json_string(object, "spec.subdomain");
        CX_CLEANUP(cx_freep)
        char *fqdn = subdomain && *subdomain
                             ? cx_sprintf("%s.%s.%s.svc.%s", hostname, subdomain,
                                          cx_json_string_or(object, "metadata.namespace", ""), k->cluster_domain)
                             : NULL;
        bool as_fqdn = fqdn && cx_json_bool(object, "spec.setHostnameAsFQDN", false) && strlen(fqdn) < 64;
        CX_BUF hosts = CX_BUF_INIT_MAX(1 << 20);
        if (cx_json_bool(object, "spec.hostNetwork", false) && cx_buf_read_file(&hosts, "/etc/hosts") < 0)
                cx_buf_clear(&hosts);
        struct sandbox_config config = {.pod = object,
                                        .hostname = as_fqdn ? fqdn : hostname,
                                        .fqdn = fqdn,
                                        .resolv_conf = resolv,
                                        .host_hosts = hosts.data,
                                        .attempt = attempt};
        return sandbox_create(k->runtime, &config, ret_sandbox, err);
}

// The pod's sandbox, made when there is none or it was lost (a reboot); with a lost one its containers are over too.
static int ensure_sandbox(struct pod *pod, const json_t *object, struct sandbox **ret_sandbox, struct cx_error *err)
{
        const struct kubelet *k = pod->pods->kubelet;
        struct sandbox *sandbox = runtime_sandbox(k->runtime, pod->uid);
        int attempt = 0;
        if (sandbox && sandbox_intact(sandbox)) {
                *ret_sandbox = sandbox;
                return 0;
        }
        if (sandbox) {
                attempt = sandbox->attempt + 1;
                pod_event(k, object, NULL, "Normal", "SandboxChanged",
                          "Pod sandbox changed, it will be killed and re-created.");
                int r = pod_kill_all(pod, object, 0)
                                ? sandbox_remove(k->runtime, sandbox, err)
                                : cx_error_set(err, -EAGAIN, "containers of the old sandbox are ending");
                sandbox_unref(sandbox);
                if (r < 0)
                        return r;
        }
        int r = make_sandbox(pod, object, attempt, ret_sandbox, err);
        if (r < 0)
                pod_event(k, object, NULL, "Warning", "FailedCreatePodSandBox", "Failed to create pod sandbox: %s",
                          cx_error_text(err));
        return r;
}

// --- containers ------------------------------------------------------------------------------------------------------

static void kill_for(struct pod *pod, const json_t *object, const json_t *container, const struct pod_run *run,
                     const char *probe, const char *why)
{
        struct slot *slot = pod_slot(pod, run->now->name);
        slot->rerun = true;
        int64_t grace = cx_json_int(object, "spec.terminationGracePeriodSeconds", 0);
        const json_t *own =
                probe ? json_object_get(json_object_get(container, probe), "terminationGracePeriodSeconds") : NULL;
        if (json_is_integer(own))
                grace = json_integer_value(own);
        (void)pod_kill(pod, object, run->now, grace, why);
}

// A container that runs: its probes, and the reasons to end it.
static void watch_running(struct pod *pod, const json_t *object, const json_t *container, const struct pod_run *run,
                          const char *ip)
{
        const char *name = run->now->name;
        struct slot *slot = pod_slot(pod, name);
        CX_CLEANUP(cx_freep) char *why = NULL;
        const char *probe = NULL;
        if (slot->kill.phase != KILL_NONE) {
                kill_for(pod, object, container, run, NULL, "");
                return;
        }
        enum hook_phase hook;
        if (!slot_hook(pod, slot, run->now->id, &hook)) { // found again after our restart
                hook = HOOK_DONE;
                slot_set_run(pod, slot, run->now->id, hook);
        }
        if (definition_changed(pod->pods->kubelet, object, container, run->now))
                why = cx_sprintf("Container %s definition changed, will be restarted", name);
        else if (allocation_is_due(pod, container, run->now) && allocation_resize(pod, object, container, run->now))
                why = cx_sprintf("Container %s resize requires restart", name);
        else if (hook == HOOK_FAILED)
                why = cx_strdup("FailedPostStartHook");
        else if (hook != HOOK_RUNNING) {
                probes_sync(pod->pods->probes,
                            &(struct probe_subject){.pod = object,
                                                    .container = container,
                                                    .running = run->now,
                                                    .since = run->state.started,
                                                    .started = run_started(pod, object, container, run),
                                                    .ip = ip});
                if (probes_result(pod->pods->probes, run->now->id, PROBE_STARTUP) == PROBE_FAILURE) {
                        probe = "startupProbe";
                        why = cx_sprintf("Container %s failed startup probe, will be restarted", name);
                } else if (probes_result(pod->pods->probes, run->now->id, PROBE_LIVENESS) == PROBE_FAILURE) {
                        probe = "livenessProbe";
                        why = cx_sprintf("Container %s failed liveness probe, will be restarted", name);
                }
        }
        if (why)
                kill_for(pod, object, container, run, probe, why);
}

// Brings one container to where it should be. True when it has ended for good (or runs, for init: see the caller).
static void sync_container(struct pod *pod, const json_t *object, const json_t *container, struct sandbox *sandbox,
                           const struct pod_run *run, const char *ip)
{
        struct slot *slot = pod_slot(pod, cx_json_string_or(container, "name", ""));
        if (run->now && run->state.status != CONTAINER_EXITED) {
                watch_running(pod, object, container, run, ip);
                return;
        }
        if (run->now && !slot->rerun && !should_restart(object, container, &run->state))
                return;
        if (run->now)
                probes_remove(pod->pods->probes, pod->uid, slot->name);
        slot->kill.phase = KILL_NONE;
        pod_start_container(pod, object, container, sandbox, run);
}

// Init containers in order. True when all are through and the others may start.
static bool sync_init(struct pod *pod, const json_t *object, struct sandbox *sandbox, const struct containers *list,
                      bool mains_began, const char *ip)
{
        size_t i;
        json_t *container;
        json_array_foreach (cx_json_get(object, "spec.initContainers"), i, container) {
                const char *name = cx_json_string_or(container, "name", "");
                struct pod_run run = run_of(pod, list, name);
                bool sidecar = cx_container_is_sidecar(container);
                if (!sidecar && (mains_began || (run.now && run.state.status == CONTAINER_EXITED &&
                                                 run.state.exit_code == 0 && !pod_slot(pod, name)->rerun)))
                        continue;
                sync_container(pod, object, container, sandbox, &run, ip);
                if (!sidecar)
                        return false;
                if (!mains_began && !run_started(pod, object, container, &run)) {
                        CONTAINERS fresh = {0}; // it may have been started just now
                        runtime_containers(pod->pods->kubelet->runtime, pod->uid, &fresh);
                        struct pod_run now = run_of(pod, &fresh, name);
                        if (!run_started(pod, object, container, &now))
                                return false;
                }
        }
        return true;
}

// Ephemeral containers run once, whatever the others do.
static void sync_ephemeral(struct pod *pod, const json_t *object, struct sandbox *sandbox,
                           const struct containers *list)
{
        CX_POD_FOREACH(walk, json_object_get(object, "spec"), CX_POD_EPHEMERAL)
        {
                struct pod_run run = run_of(pod, list, walk.name);
                if (!run.now)
                        pod_start_container(pod, object, walk.container, sandbox, &run);
        }
}

static bool mains_began(const json_t *object, const struct containers *list)
{
        for (size_t i = 0; i < list->count; i++)
                if (cx_pod_container(json_object_get(object, "spec"), list->items[i]->name, CX_POD_MAIN, NULL))
                        return true;
        return false;
}

// Whether nothing will ever run again: every container has ended and none is to be restarted, or an init container
// failed for good.
static bool finished(struct pod *pod, const json_t *object, const struct containers *list)
{
        size_t i;
        json_t *container;
        bool all = json_array_size(cx_json_get(object, "spec.containers")) > 0;
        json_array_foreach (cx_json_get(object, "spec.containers"), i, container) {
                struct pod_run run = run_of(pod, list, cx_json_string_or(container, "name", ""));
                struct slot *slot = pod_slot(pod, cx_json_string_or(container, "name", ""));
                all = all && run.now && run.state.status == CONTAINER_EXITED && !slot->rerun &&
                      !should_restart(object, container, &run.state);
        }
        if (all)
                return true;
        json_array_foreach (cx_json_get(object, "spec.initContainers"), i, container) {
                struct pod_run run = run_of(pod, list, cx_json_string_or(container, "name", ""));
                if (!cx_container_is_sidecar(container) && run.now && run.state.status == CONTAINER_EXITED &&
                    run.state.exit_code != 0 && !should_restart(object, container, &run.state) &&
                    !mains_began(object, list))
                        return true;
        }
        return false;
}

static bool past_deadline(struct pod *pod, const json_t *object)
{
        int64_t seconds = cx_json_int(object, "spec.activeDeadlineSeconds", 0), start;
        const char *text = cx_json_string(object, "status.startTime");
        if (seconds <= 0 || !text || cx_time_parse(text, &start) < 0)
                return false;
        int64_t left = (start + seconds * CX_US_PER_S - cx_time_now()) * 1000;
        if (left > 0)
                pod_again(pod, left);
        return left <= 0;
}

static int end_pod(struct pod *pod, const json_t *object, int64_t grace, struct cx_error *err)
{
        pod->terminating = true;
        bool ended = pod_kill_all(pod, object, grace);
        CX_CLEANUP(sandbox_unrefp)
        struct sandbox *sandbox = runtime_sandbox(pod->pods->kubelet->runtime, pod->uid);
        pod_publish(pod, object, sandbox);
        if (!ended)
                return 0;
        CX_ERROR failure = CX_ERROR_INIT;
        int r = pod_tear_down(pod, &failure);
        if (r == -EINPROGRESS)
                return 0; // its end will be told
        if (r < 0 && !pod->end_told)
                pod_event(pod->pods->kubelet, object, NULL, "Warning", "FailedUnMount", "%s", cx_error_text(&failure));
        pod->end_told = r < 0;
        if (r < 0)
                return cx_error_move(err, &failure);
        pthread_mutex_lock(&pod->pods->lock);
        pod->torn_down = true;
        pthread_mutex_unlock(&pod->pods->lock);
        weigh_tiers(pod->pods);
        pod_publish(pod, object, NULL);
        return 0;
}

static int64_t grace_of(const json_t *object)
{
        int64_t spec = cx_json_int(object, "spec.terminationGracePeriodSeconds", 0);
        return cx_json_int(object, "metadata.deletionGracePeriodSeconds", spec);
}

// A set-up that failed is tried again after 0.5 s, doubling up to two minutes; events that matter come sooner.
static int set_up_failed(struct pod *pod, const json_t *object, const char *reason, const struct cx_error *err)
{
        const struct kubelet *k = pod->pods->kubelet;
        if (reason)
                pod_event(k, object, NULL, "Warning", reason, "%s", cx_error_text(err));
        cx_debug(1, "Pod cannot be set up yet", "pod", pod->key, "err", cx_error_text(err));
        int64_t delay = CX_NS_PER_S / 2;
        for (int i = 0; i < pod->failures && delay < 122 * CX_NS_PER_S; i++)
                delay *= 2;
        pod->failures++;
        pod_again(pod, delay);
        CX_CLEANUP(sandbox_unrefp) struct sandbox *sandbox = runtime_sandbox(k->runtime, pod->uid);
        pod_publish(pod, object, sandbox);
        return 0;
}

// Its volumes are being set up: whoever does that brings the worker back.
static int set_up_waits(struct pod *pod, const json_t *object)
{
        CX_CLEANUP(sandbox_unrefp) struct sandbox *sandbox = runtime_sandbox(pod->pods->kubelet->runtime, pod->uid);
        pod_publish(pod, object, sandbox);
        return 0;
}

static int sync_active(struct pod *pod, const json_t *object, struct cx_error *err CX_UNUSED)
{
        const struct kubelet *k = pod->pods->kubelet;
        CX_ERROR failure = CX_ERROR_INIT;
        const char *reason = NULL;
        int prepared = prepare(pod, object, &reason, &failure);
        if (prepared == -EINPROGRESS && !pod->was_up)
                return set_up_waits(pod, object);
        if (prepared < 0 && prepared != -EINPROGRESS && !pod->was_up)
                return set_up_failed(pod, object, reason, &failure);
        if (prepared < 0 && prepared != -EINPROGRESS) { // what runs has what it needs, and is looked after
                pod_event(k, object, NULL, "Warning", reason, "%s", cx_error_text(&failure));
                pod_again(pod, UPDATE_RETRY);
                cx_error_release(&failure);
        }
        CX_CLEANUP(sandbox_unrefp) struct sandbox *sandbox = NULL;
        if (!pod->was_up && !cx_json_get(object, "status.startTime"))
                pod_publish(pod, object, NULL); // acknowledged: Pending, ContainerCreating
        if (ensure_sandbox(pod, object, &sandbox, &failure) < 0)
                return set_up_failed(pod, object, NULL, &failure);
        assert(sandbox);
        pod->failures = 0;
        pod->was_up = true;
        const char *ip = pod_address(k, sandbox);
        free(cx_steal(&pod->resize_error));
        CONTAINERS list = {0};
        runtime_containers(k->runtime, pod->uid, &list);
        sync_ephemeral(pod, object, sandbox, &list);
        if (sync_init(pod, object, sandbox, &list, mains_began(object, &list), ip)) {
                size_t i;
                json_t *container;
                json_array_foreach (cx_json_get(object, "spec.containers"), i, container) {
                        struct pod_run run = run_of(pod, &list, cx_json_string_or(container, "name", ""));
                        sync_container(pod, object, container, sandbox, &run, ip);
                }
        }
        // What was started just now gets its probes at once.
        CONTAINERS fresh = {0};
        runtime_containers(k->runtime, pod->uid, &fresh);
        for (size_t i = 0; i < fresh.count; i++) {
                const json_t *container =
                        cx_pod_container(json_object_get(object, "spec"), fresh.items[i]->name, CX_POD_TEMPLATE, NULL);
                struct pod_run run = run_of(pod, &fresh, fresh.items[i]->name);
                struct slot *slot = pod_slot(pod, fresh.items[i]->name);
                if (container && run.now == fresh.items[i] && run.state.status == CONTAINER_RUNNING &&
                    slot->kill.phase == KILL_NONE)
                        watch_running(pod, object, container, &run, ip);
        }
        allocation_finish(pod, object, &fresh);
        if (pod->cgroup_due && pod_cgroup_make(k, object, &failure) < 0) {
                cx_debug(1, "The group of a pod cannot follow yet", "pod", pod->key, "err", cx_error_text(&failure));
        } else if (pod->cgroup_due) {
                weigh_tiers(pod->pods);
                pod->cgroup_due = false;
        }
        pod_publish(pod, object, sandbox);
        return 0;
}

// Asks whether this node takes the pod; NULL when it does.
static const char *refusal(struct pod *pod, const json_t *object, struct cx_buf *ret_message)
{
        const struct kubelet *k = pod->pods->kubelet;
        CX_CLEANUP(sandbox_unrefp) struct sandbox *sandbox = runtime_sandbox(k->runtime, pod->uid);
        if (sandbox || cx_json_get(object, "status.startTime"))
                return NULL; // it was here before this kubelet started
        json_auto_t *taken = allocation_others(pod);
        CX_OBJECT *node = k->nodes ? cx_informer_get(k->nodes, NULL, k->node_name) : NULL;
        json_auto_t *node_json = node ? cx_object_json(node) : NULL;
        return admission_refusal(&(struct admission){.pod = object,
                                                     .node = node_json,
                                                     .others = taken,
                                                     .milli_cpu = k->allocatable_cpu,
                                                     .memory = k->allocatable_memory,
                                                     .pods = k->max_pods,
                                                     .unsafe_sysctls = &k->unsafe_sysctls,
                                                     .is_static = pod->is_static},
                                 ret_message);
}

static bool admit(struct pod *pod, const json_t *object)
{
        struct pods *pods = pod->pods;
        pthread_mutex_lock(&pods->lock);
        bool admitted = pod->admitted;
        pthread_mutex_unlock(&pods->lock);
        if (admitted)
                return true;
        CX_BUF message = CX_BUF_INIT_MAX(4096);
        pthread_mutex_lock(&pods->admission);
        const char *reason = refusal(pod, object, &message);
        pthread_mutex_lock(&pods->lock);
        pod->admitted = !reason;
        pthread_mutex_unlock(&pods->lock);
        pthread_mutex_unlock(&pods->admission);
        if (!reason)
                return true;
        pod->rejected = true;
        pod->failed_reason = cx_strdup(reason);
        pod->failed_message = cx_sprintf("Pod was rejected: %s", message.data);
        pod_event(pods->kubelet, object, NULL, "Warning", reason, "%s", message.data);
        return false;
}

static int sync_allocated(struct pod *pod, const json_t *object, struct cx_error *err)
{
        if (past_deadline(pod, object)) {
                pod->failed_reason = cx_strdup("DeadlineExceeded");
                pod->failed_message = cx_strdup("Pod was active on the node longer than the specified deadline");
                pod_event(pod->pods->kubelet, object, NULL, "Normal", "DeadlineExceeded", "%s", pod->failed_message);
                return end_pod(pod, object, grace_of(object), err);
        }
        pod->failed_message = pod_storage_excess(pod, object);
        if (pod->failed_message) {
                pod->failed_reason = cx_strdup("Evicted");
                pod_event(pod->pods->kubelet, object, NULL, "Warning", "Evicted", "%s", pod->failed_message);
                return end_pod(pod, object, EVICTION_GRACE, err);
        }
        CONTAINERS list = {0};
        runtime_containers(pod->pods->kubelet->runtime, pod->uid, &list);
        if (finished(pod, object, &list))
                return end_pod(pod, object, grace_of(object), err);
        return sync_active(pod, object, err);
}

int pod_sync(struct pod *pod, const json_t *object, struct cx_error *err)
{
        pthread_mutex_lock(&pod->pods->lock);
        bool gone = pod->gone;
        pthread_mutex_unlock(&pod->pods->lock);
        json_auto_t *before = allocation_apply(pod, object);
        if (gone || cx_pod_is_terminating(object) || pod->failed_reason || cx_pod_is_terminal(object))
                return end_pod(pod, before, grace_of(object), err);
        if (!admit(pod, object))
                return end_pod(pod, object, 0, err);
        allocation_decide(pod, object);
        json_auto_t *allocated = allocation_apply(pod, object);
        return sync_allocated(pod, allocated, err);
}
