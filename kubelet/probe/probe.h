// SPDX-License-Identifier: Apache-2.0
// Startup, liveness and readiness probes: one thread keeps the time, probes run on the pool, a changed result is told. Any
// thread may call.
#pragma once

#include "kubelet/base/kubelet.h"

struct container;

enum probe_kind { PROBE_STARTUP, PROBE_LIVENESS, PROBE_READINESS, PROBE_KINDS };
enum probe_result { PROBE_UNKNOWN, PROBE_SUCCESS, PROBE_FAILURE };

struct probes;
// `changed` is called on a thread of the pool, without locks.
struct probes *probes_new(const struct kubelet *kubelet, void (*changed)(void *context, const char *pod_uid),
                          void *context);
void probes_free(struct probes *probes);
struct probe_subject {
        const json_t *pod, *container;
        struct container *running;
        int64_t since; // when it was started, µs
        bool started;  // its startup probe has succeeded before, and is not run again
        const char *ip;
};
// The probes of a container that runs; those of an earlier run of the same name end. Cheap when nothing changed.
void probes_sync(struct probes *probes, const struct probe_subject *subject);
// The container is being ended with its pod: its readiness goes on being probed, as whoever still sends to it wants to know;
// the others keep their last result.
void probes_stand_down(struct probes *probes, const char *pod_uid, const char *container);
// Ends the probes of a container; all of the pod's when the name is NULL.
void probes_remove(struct probes *probes, const char *pod_uid, const char *container);
// How often each has succeeded and failed, in Prometheus' text format (/metrics/probes).
void probes_write_metrics(struct probes *probes, struct cx_buf *to);
// UNKNOWN when there is no such probe, or it has not succeeded or failed often enough yet.
enum probe_result probes_result(struct probes *probes, const char *container_id, enum probe_kind kind);
