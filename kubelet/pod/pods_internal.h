// SPDX-License-Identifier: Apache-2.0
// One pod and its containers as the pod worker sees them.
#pragma once

#include "kubelet/pod/pods.h"
#include "kubelet/pod/probe.h"
#include "libcommon/base/map.h"
#include "libcommon/client/workqueue.h"

#include <pthread.h>

enum pull_phase { PULL_NONE, PULL_RUNNING, PULL_FAILED };
enum hook_phase { HOOK_NONE, HOOK_RUNNING, HOOK_DONE, HOOK_FAILED };
enum kill_phase { KILL_NONE, KILL_HOOK, KILL_TERM, KILL_KILL };

// What is known of a container by name, across its runs. Owned by the pod; the worker's, but for what tasks on the pool
// write (pull, post_start, kill.hook_done), which the pods' lock guards.
struct slot {
        char *name;
        // image
        enum pull_phase pull;
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
        enum hook_phase post_start;
        struct {
                enum kill_phase phase;
                int64_t started, deadline; // monotonic ns
                bool hook_done;
        } kill;
};

struct pod {
        unsigned refs; // guarded by the lock
        struct pods *pods;
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

struct pods {
        struct kubelet *kubelet;
        pthread_mutex_t admission; // held while a pod is admitted: what one takes, the next finds taken; before lock
        pthread_mutex_t lock;      // guards map and what is said above
        struct cx_map map;         // uid → struct pod
        struct cx_map mirrors;     // "namespace/name" → mirror pod in the apiserver (mirror.c)
        struct cx_workqueue *queue, *status_queue;
        struct cx_workers *workers, *status_workers;
        bool sources_ready;
};

struct slot *pod_slot(struct pod *pod, const char *name);
void pod_again(struct pod *pod, int64_t ns); // look again after at most that
void slot_waits(struct slot *slot, const char *reason, const char *format, ...) CX_PRINTF(3, 4);
void slot_ok(struct slot *slot);
struct pod *pod_ref(struct pods *pods, const char *uid);
void pod_unref(struct pod *pod);
CX_DEFINE_CLEANUP(struct pod, pod_unrefp, pod_unref)

// The newest container of each name and the one before it.
struct run {
        struct container *now, *before; // borrowed from the list; NULL
        struct container_state state, before_state;
};
struct run run_of(struct pod *pod, const struct containers *list, const char *name);
bool is_sidecar(const json_t *container);
// Whether a run that has ended is to be started again under the pod's policy.
bool should_restart(const json_t *object, const json_t *container, const struct container_state *state);
bool slot_started(struct pod *pod, const struct slot *slot, const json_t *container, const struct run *run);

// sync.c
// The objects of the pods that take a share of this node, but for one; a new array.
json_t *pods_others(struct pods *pods, const char *uid);
int pod_sync(struct pod *pod, const json_t *object, struct cx_error *err) CX_CHECK;
// start.c: starts a run of a container; sets the slot's reason when it cannot.
void pod_start_container(struct pod *pod, const json_t *object, const json_t *container, struct sandbox *sandbox,
                         const struct run *run);
// image.c: the image's record (new reference), or NULL with the slot's reason set.
json_t *pod_image(struct pod *pod, const json_t *object, const json_t *container);
// kill.c: one step of ending a container; true when it has ended.
bool pod_kill(struct pod *pod, const json_t *object, struct container *container, int64_t grace, const char *why);
// One step of ending all; true when nothing runs any more.
bool pod_kill_all(struct pod *pod, const json_t *object, int64_t grace);
// Removes the sandbox, volumes and cgroups of a pod whose containers have ended.
int pod_tear_down(struct pod *pod, struct cx_error *err) CX_CHECK;
// Removes the containers of a pod whose end is complete.
int pod_forget_containers(struct pod *pod, struct cx_error *err) CX_CHECK;
// hook.c
const char *pod_address(const struct kubelet *kubelet, const struct sandbox *sandbox); // NULL: the node's
// Runs the postStart or (stopping) preStop hook of a run; its end is told to the slot and enqueues the pod.
void pod_start_hook(struct pod *pod, const json_t *object, const json_t *container, struct container *running,
                    bool stopping, int64_t timeout);
// status.c
json_t *pod_make_status(struct pod *pod, const json_t *object, struct sandbox *sandbox);
// status_writer.c
void pod_publish(struct pod *pod, const json_t *object, struct sandbox *sandbox);
int pod_write_status(void *pods, const char *uid, int64_t *retry_after, struct cx_error *err);
int pod_patch_status(const struct kubelet *kubelet, const json_t *object, const char *uid, const json_t *status,
                     struct cx_error *err) CX_CHECK;
// Deletes "namespace/name" at once if it (still) has that uid.
int pod_delete_object(const struct kubelet *kubelet, const char *key, const char *uid, struct cx_error *err) CX_CHECK;
// mirror.c
#define MIRROR_PREFIX "mirror:" // of the keys in the status queue that are mirror pods' "namespace/name"
void pod_mirror_changed(struct pod *pod);
void pods_mirror_all(struct pods *pods);
int mirror_sync(struct pods *pods, const char *key, struct cx_error *err) CX_CHECK;
void mirror_free(void *mirror);
// resolv.c
char *pod_resolv_conf(const struct kubelet *kubelet, const json_t *object);
char *pod_cgroup(const struct kubelet *kubelet, const json_t *object);
char *pod_log_folder(const struct kubelet *kubelet, const json_t *object);
