// SPDX-License-Identifier: Apache-2.0
// What is known of the pods of this node and of their containers, and how it is looked at. Everything else in this folder
// stands on it: status, image, hook and kill; on them start, sync, and at the top pods.
//
// One worker at a time looks at a pod. What tasks on the pool, the sources and the status writer touch as well is guarded
// by the pods' lock, which is never held over a call that blocks or calls back.
#pragma once

#include "kubelet/base/kubelet.h"
#include "kubelet/probe/probe.h"
#include "kubelet/runtime/runtime.h"
#include "libcommon/base/map.h"
#include "libcommon/client/workqueue.h"

#include <pthread.h>

struct refs;
struct volumes;

enum pull_phase { PULL_NONE, PULL_RUNNING, PULL_FAILED };
enum hook_phase { HOOK_NONE, HOOK_RUNNING, HOOK_DONE, HOOK_FAILED };
enum kill_phase { KILL_NONE, KILL_HOOK, KILL_TERM, KILL_KILL };

// A container by its name, across its runs. Owned by the pod.
struct slot {
        char *name;
        // guarded by the lock: the image
        enum pull_phase pull;
        json_t *image; // the pulled record, until the container is made
        char *pull_error;
        int64_t pull_retry, pull_delay; // monotonic ns; ns
        bool pull_told;                 // the failure was shown once: from now on it is a back-off
        // guarded by the lock: the hooks of the run `run_id`
        char *run_id;
        enum hook_phase post_start;
        bool pre_stop_done;
        // the worker's: why it is not running
        const char *reason; // constant; NULL: no special one
        char *message;
        // the worker's: restarts
        int64_t delay;     // ns, 0: none yet
        int64_t delay_set; // µs
        int restarts;      // at least this many (from the status before the records were lost)
        bool rerun;        // killed by us to be started again (liveness, another definition)
        // the worker's: its end
        struct ending {
                enum kill_phase phase;
                int64_t started, stopped; // monotonic ns: when its end began, when it got its stop signal (0: not yet)
                int64_t grace;            // ns from when its end began; only ever less
        } kill;
};

struct pod {
        struct pods *pods;
        char *uid, *key; // key: "namespace/name"
        bool is_static;
        // guarded by the lock
        unsigned refs;
        struct cx_map slots; // by name; they stay as long as the pod
        json_t *object;      // newest from the source
        json_t *status;      // what we last computed
        json_t *allocated;   // what of this node each container has been given; NULL: not decided yet (allocation.h)
        char *mirror_uid;    // of a static pod: the mirror pod that has its status
        bool gone;           // no longer in its source
        bool admitted;       // it takes a share of this node
        bool torn_down;      // nothing of it is left but its ended containers
        bool status_dirty;
        // the worker's
        bool was_up, terminating, end_told;   // end_told: that its volumes cannot be ended
        bool rejected;                        // this node does not take it: failed_reason says why
        int64_t again;                        // ns until the next look; INT64_MAX: only on events
        int64_t measure_at;                   // monotonic ns: its use of local storage is looked at
        int failures;                         // of set-up, for its back-off
        char *failed_reason, *failed_message; // of a pod that the kubelet gave up (DeadlineExceeded, …)
        int64_t kill_began;
        const char *resize_reason; // why a resize waits (a constant); NULL: none does
        char *resize_message;
        char *resize_error; // of the last try to give containers what was allocated
        char *resize_told;  // the error that the last event was about
        bool resize_begun;  // what was allocated is not given yet, or not said to be
        bool cgroup_due;    // the pod's own group has to follow
};

struct pods {
        const struct kubelet *kubelet;
        struct refs *refs;
        struct volumes *volumes;
        struct probes *probes;
        pthread_mutex_t admission; // held while a pod is admitted: what one takes, the next finds taken; before lock
        pthread_mutex_t tiers; // held while the tiers are weighed: the newest sum is the last one written; before lock
        pthread_mutex_t lock;  // guards the maps and what is said above
        struct cx_map map;     // uid → struct pod
        struct cx_map mirrors; // "namespace/name" → mirror pod in the apiserver (mirror.c)
        bool sources_ready;
        struct cx_workqueue *queue, *status_queue;
        struct cx_workers *workers, *status_workers;
};

// --- pods ------------------------------------------------------------------------------------------------------------
// A pod that is not in the map yet; steals the object.
struct pod *pod_new(struct pods *pods, const char *uid, json_t *object_steal);
struct pod *pod_find(struct pods *pods, const char *uid); // a new reference or NULL
void pod_ref(struct pod *pod);
void pod_unref(struct pod *pod);
CX_DEFINE_CLEANUP(struct pod, pod_unrefp, pod_unref)
void pod_enqueue(struct pod *pod);           // the worker looks at it; any thread
void pod_again(struct pod *pod, int64_t ns); // look again after at most that
// The folder of its containers' logs; owned by the caller.
char *pod_log_folder(const struct kubelet *kubelet, const json_t *object);
// Where its handlers find it: the first address of its sandbox, or the node's.
const char *pod_address(const struct kubelet *kubelet, const struct sandbox *sandbox);

// --- containers by name ----------------------------------------------------------------------------------------------
struct slot *pod_slot(struct pod *pod, const char *name); // made when there is none
// Says why it does not run. The reason is a constant.
void slot_waits(struct slot *slot, const char *reason, const char *format, ...) CX_PRINTF(3, 4);
void slot_ok(struct slot *slot);
// A run begins (or is found again): hooks that end tell this slot, those of other runs no longer do.
void slot_set_run(struct pod *pod, struct slot *slot, const char *run_id, enum hook_phase post_start);
// How far the postStart hook of a run is. False when the slot knows of no such run.
bool slot_hook(struct pod *pod, const struct slot *slot, const char *run_id, enum hook_phase *ret_phase);
// A run's end begins: its preStop hook has not ended yet, whatever ended before.
void slot_begin_end(struct pod *pod, struct slot *slot, const char *run_id);
bool slot_pre_stop_done(struct pod *pod, const struct slot *slot);

// The newest container of a name and the one before it.
struct pod_run {
        struct container *now, *before; // borrowed from the list; NULL
        struct container_state state, before_state;
};
struct pod_run run_of(const struct pod *pod, const struct containers *list, const char *name);
// Whether it runs, its postStart hook has ended and its startup probe has succeeded.
bool run_started(struct pod *pod, const json_t *object, const json_t *container, const struct pod_run *run);
// Whether it is started, and its readiness probe has succeeded last. What the kubelet said before it was started anew holds until a
// probe has decided (KEP-4781).
bool run_ready(struct pod *pod, const json_t *object, const json_t *container, const struct pod_run *run);
// Whether a run that has ended is to be started again under the pod's policy.
bool should_restart(const json_t *object, const json_t *container, const struct container_state *state);
