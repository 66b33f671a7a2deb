// SPDX-License-Identifier: Apache-2.0
// One pod and its containers as the pod worker sees them.
#pragma once

#include "base/map.h"
#include "client/workqueue.h"
#include "kubelet/pod/pods.h"
#include "kubelet/pod/probe.h"

#include <pthread.h>

enum cx_pull_phase { CX_PULL_NONE, CX_PULL_RUNNING, CX_PULL_FAILED };
enum cx_hook_phase { CX_HOOK_NONE, CX_HOOK_RUNNING, CX_HOOK_DONE, CX_HOOK_FAILED };
enum cx_kill_phase { CX_KILL_NONE, CX_KILL_HOOK, CX_KILL_TERM, CX_KILL_KILL };

// What is known of a container by name, across its runs. Owned by the pod; the worker's, but for what tasks on the pool
// write (pull, post_start, kill.hook_done), which the pods' lock guards.
struct cx_slot {
        char *name;
        // image
        enum cx_pull_phase pull;
        json_t *image; // the pulled record, until the container is made
        char *pull_error;
        bool pull_invalid_name;
        int64_t pull_retry, pull_delay; // monotonic ns; ns
        // why it is not running
        const char *reason; // constant; NULL: no special one
        char *message;
        bool told_backoff;
        // restarts
        int64_t delay;     // ns, 0: none yet
        int64_t delay_set; // µs
        int restarts;      // at least this many (from the status before the records were lost)
        bool rerun;        // killed by us to be started again (liveness, new image)
        char *seen_exit;   // id of the container whose end was taken note of
        // life cycle of the run `run_id`
        char *run_id;
        enum cx_hook_phase post_start;
        struct {
                enum cx_kill_phase phase;
                int64_t started, deadline; // monotonic ns
                bool hook_done;
        } kill;
};

struct cx_pod {
        unsigned refs; // guarded by the lock
        struct cx_pods *pods;
        char *uid, *key; // key: "namespace/name"
        // guarded by the lock
        json_t *object;   // newest from the source
        json_t *status;   // what we last computed
        char *mirror_uid; // of a static pod: the mirror pod that has its status
        bool gone;        // no longer in its source
        bool admitted;    // it takes a share of this node
        bool is_static, torn_down, status_dirty;
        // the worker's
        struct cx_map slots;
        bool was_up, terminating;
        bool rejected;                        // this node does not take it: failed_reason says why
        int64_t again;                        // ns until the next look; INT64_MAX: only on events
        int failures;                         // of set-up, for its back-off
        char *failed_reason, *failed_message; // of a pod that the kubelet gave up (DeadlineExceeded, …)
        int64_t kill_began;
};

struct cx_pods {
        struct cx_kubelet *kubelet;
        pthread_mutex_t admission; // held while a pod is admitted: what one takes, the next finds taken; before lock
        pthread_mutex_t lock;      // guards map and what is said above
        struct cx_map map;         // uid → struct cx_pod
        struct cx_map mirrors;     // "namespace/name" → mirror pod in the apiserver (mirror.c)
        struct cx_workqueue *queue, *status_queue;
        struct cx_workers *workers, *status_workers;
        bool sources_ready;
};

struct cx_slot *cx_pod_slot(struct cx_pod *pod, const char *name);
void cx_pod_again(struct cx_pod *pod, int64_t ns); // look again after at most that
void cx_slot_waits(struct cx_slot *slot, const char *reason, const char *format, ...) CX_PRINTF(3, 4);
void cx_slot_ok(struct cx_slot *slot);
struct cx_pod *cx_pod_ref(struct cx_pods *pods, const char *uid);
void cx_pod_unref(struct cx_pod *pod);
CX_DEFINE_CLEANUP(struct cx_pod, cx_pod_unrefp, cx_pod_unref)

// The newest container of each name and the one before it.
struct cx_run {
        struct cx_container *now, *before; // borrowed from the list; NULL
        struct cx_container_state state, before_state;
};
struct cx_run cx_run_of(struct cx_pod *pod, const struct cx_containers *list, const char *name);
bool cx_is_sidecar(const json_t *container);
// Whether a run that has ended is to be started again under the pod's policy.
bool cx_should_restart(const json_t *object, const json_t *container, const struct cx_container_state *state);
bool cx_slot_started(struct cx_pod *pod, const struct cx_slot *slot, const json_t *container, const struct cx_run *run);

// sync.c
// The objects of the pods that take a share of this node, but for one; a new array.
json_t *cx_pods_others(struct cx_pods *pods, const char *uid);
int cx_pod_sync(struct cx_pod *pod, const json_t *object, struct cx_error *err) CX_CHECK;
// start.c: starts a run of a container; sets the slot's reason when it cannot.
void cx_pod_start_container(struct cx_pod *pod, const json_t *object, const json_t *container,
                            struct cx_sandbox *sandbox, const struct cx_run *run);
// image.c: the image's record (new reference), or NULL with the slot's reason set.
json_t *cx_pod_image(struct cx_pod *pod, const json_t *object, const json_t *container);
// kill.c: one step of ending a container; true when it has ended.
bool cx_pod_kill(struct cx_pod *pod, const json_t *object, struct cx_container *container, int64_t grace,
                 const char *why);
// One step of ending all; true when nothing runs any more.
bool cx_pod_kill_all(struct cx_pod *pod, const json_t *object, int64_t grace);
// Removes the sandbox, volumes and cgroups of a pod whose containers have ended.
int cx_pod_tear_down(struct cx_pod *pod, struct cx_error *err) CX_CHECK;
// Removes the containers of a pod whose end is complete.
int cx_pod_forget_containers(struct cx_pod *pod, struct cx_error *err) CX_CHECK;
// hook.c
const char *cx_pod_address(const struct cx_kubelet *kubelet, const struct cx_sandbox *sandbox); // NULL: the node's
// Runs the postStart or (stopping) preStop hook of a run; its end is told to the slot and enqueues the pod.
void cx_pod_start_hook(struct cx_pod *pod, const json_t *object, const json_t *container, struct cx_container *running,
                       bool stopping, int64_t timeout);
// status.c
json_t *cx_pod_make_status(struct cx_pod *pod, const json_t *object, struct cx_sandbox *sandbox);
// status_writer.c
void cx_pod_publish(struct cx_pod *pod, const json_t *object, struct cx_sandbox *sandbox);
int cx_pod_write_status(void *pods, const char *uid, int64_t *retry_after, struct cx_error *err);
int cx_pod_patch_status(const struct cx_kubelet *kubelet, const json_t *object, const char *uid, const json_t *status,
                        struct cx_error *err) CX_CHECK;
// Deletes "namespace/name" at once if it (still) has that uid.
int cx_pod_delete_object(const struct cx_kubelet *kubelet, const char *key, const char *uid, struct cx_error *err)
        CX_CHECK;
// mirror.c
#define CX_MIRROR_PREFIX "mirror:" // of the keys in the status queue that are mirror pods' "namespace/name"
void cx_pod_mirror_changed(struct cx_pod *pod);
void cx_pods_mirror_all(struct cx_pods *pods);
int cx_mirror_sync(struct cx_pods *pods, const char *key, struct cx_error *err) CX_CHECK;
void cx_mirror_free(void *mirror);
// resolv.c
char *cx_pod_resolv_conf(const struct cx_kubelet *kubelet, const json_t *object);
char *cx_pod_cgroup(const struct cx_kubelet *kubelet, const json_t *object);
char *cx_pod_log_folder(const struct cx_kubelet *kubelet, const json_t *object);
