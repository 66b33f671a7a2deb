// SPDX-License-Identifier: Apache-2.0
// Startup, liveness and readiness probes: one thread keeps the time, probes run on the pool, a changed result enqueues the
// pod. Also the handlers that probes and lifecycle hooks share. Any thread may call.
#pragma once

#include "kubelet/kubelet.h"

enum probe_kind { PROBE_STARTUP, PROBE_LIVENESS, PROBE_READINESS, PROBE_KINDS };
enum probe_result { PROBE_UNKNOWN, PROBE_SUCCESS, PROBE_FAILURE };

struct probes;
struct probes *probes_new(const struct kubelet *kubelet, void (*changed)(void *context, const char *pod_uid),
                          void *context);
void probes_free(struct probes *probes);
// The probes of a container that runs (since `started`, µs); those of an earlier run of the same name end. Cheap when
// nothing changed.
void probes_sync(struct probes *probes, const json_t *pod, const json_t *container, const struct container *running,
                 int64_t started, const char *ip);
// Ends the probes of a container; all of the pod's when the name is NULL.
void probes_remove(struct probes *probes, const char *pod_uid, const char *container);
// UNKNOWN when there is no such probe, or (startup, readiness) it has not succeeded or failed yet.
enum probe_result probes_result(struct probes *probes, const char *container_id, enum probe_kind kind);

// Runs a handler ({"exec"|"httpGet"|"tcpSocket"|"grpc"|"sleep"}) once: 0 when it succeeded, 1 when it failed (ret_output says
// why), negative when it could not be tried.
int handler_run(const struct kubelet *kubelet, const json_t *handler, const json_t *container,
                const struct container *running, const char *ip, int64_t timeout, struct cx_buf *ret_output,
                struct cx_error *err) CX_CHECK;
