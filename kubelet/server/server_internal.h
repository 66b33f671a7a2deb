// SPDX-License-Identifier: Apache-2.0
// What the files of the server share.
#pragma once

#include "kubelet/pod/disk_use.h"
#include "kubelet/runtime/runtime.h"
#include "kubelet/server/server.h"
#include "libcommon/client/delegated_auth.h"

struct kubelet_server {
        const struct kubelet *kubelet;
        const struct kubelet_settings *settings;
        struct pods *pods;
        struct volumes *volumes;
        struct probes *probes;
        struct cx_http_server *server, *healthz;
        struct cx_metrics *metrics;
        struct cx_delegated_auth *auth;
        struct disk_uses *disk_uses;
};

// server.c: the query's flag under either name ("stdin" of the API, "input" of the kubelet; NULL: only one).
bool server_flag(struct cx_http_request *request, const char *name, const char *other);
// auth.c: answers 401 or 403 itself and returns false when the request may not pass.
bool server_authorize(struct kubelet_server *server, struct cx_http_request *request);
// logs.c
void server_logs(struct kubelet_server *server, struct cx_http_request *request, const char *namespace, const char *pod,
                 const char *container);
// stream.c: exec, attach and port-forward, which answer the request themselves
void server_exec(struct kubelet_server *server, struct cx_http_request *request, struct container *container_steal);
void server_attach(struct kubelet_server *server, struct cx_http_request *request, struct container *container_steal);
void server_port_forward(struct kubelet_server *server, struct cx_http_request *request, const char *pod_uid);
// stats.c
json_t *server_stats(struct kubelet_server *server);
void server_metrics(struct kubelet_server *server, struct cx_buf *to);
void server_cadvisor_metrics(struct kubelet_server *server, struct cx_buf *to); // cadvisor.c
void server_resource_metrics(struct kubelet_server *server, struct cx_buf *to);
