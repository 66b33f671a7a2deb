// SPDX-License-Identifier: Apache-2.0
// Startup, liveness and readiness probes: one thread keeps the time, probes run on the pool, a changed result enqueues the
// pod. Also the handlers that probes and lifecycle hooks share. Any thread may call.
#pragma once

#include "kubelet/kubelet.h"

enum cx_probe_kind { CX_PROBE_STARTUP, CX_PROBE_LIVENESS, CX_PROBE_READINESS, CX_PROBE_KINDS };
enum cx_probe_result { CX_PROBE_UNKNOWN, CX_PROBE_SUCCESS, CX_PROBE_FAILURE };

struct cx_probes;
struct cx_probes *cx_probes_new(const struct cx_kubelet *kubelet, void (*changed)(void *context, const char *pod_uid),
                                void *context);
void cx_probes_free(struct cx_probes *probes);
// The probes of a container that runs (since `started`, µs); those of an earlier run of the same name end. Cheap when
// nothing changed.
void cx_probes_sync(struct cx_probes *probes, const json_t *pod, const json_t *container,
                    const struct cx_container *running, int64_t started, const char *ip);
// Ends the probes of a container; all of the pod's when the name is NULL.
void cx_probes_remove(struct cx_probes *probes, const char *pod_uid, const char *container);
// UNKNOWN when there is no such probe, or (startup, readiness) it has not succeeded or failed yet.
enum cx_probe_result cx_probes_result(struct cx_probes *probes, const char *container_id, enum cx_probe_kind kind);

// Runs a handler ({"exec"|"httpGet"|"tcpSocket"|"grpc"|"sleep"}) once: 0 when it succeeded, 1 when it failed (ret_output says
// why), negative when it could not be tried.
int cx_handler_run(const struct cx_kubelet *kubelet, const json_t *handler, const json_t *container,
                   const struct cx_container *running, const char *ip, int64_t timeout, struct cx_buf *ret_output,
                   struct cx_error *err) CX_CHECK;
