// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/map.h"
#include "kubelet/server/server.h"
#include "net/http_server.h"

#include <pthread.h>

struct cx_kubelet_server {
        const struct cx_kubelet *kubelet;
        const struct cx_kubelet_settings *settings;
        struct cx_http_server *server, *healthz;
        struct cx_metrics *metrics;
        pthread_mutex_t lock;    // guards decisions
        struct cx_map decisions; // tokens and reviews that were asked about lately
};

// auth.c: answers 401 or 403 itself and returns false when the request may not pass.
bool cx_server_authorize(struct cx_kubelet_server *server, struct cx_http_request *request);
// logs.c
void cx_server_logs(struct cx_kubelet_server *server, struct cx_http_request *request, const char *namespace,
                    const char *pod, const char *container);
// stream.c
void cx_server_exec(struct cx_kubelet_server *server, struct cx_http_request *request,
                    struct cx_container *container_steal);
void cx_server_attach(struct cx_kubelet_server *server, struct cx_http_request *request,
                      struct cx_container *container_steal);
void cx_server_port_forward(struct cx_kubelet_server *server, struct cx_http_request *request, const char *pod_uid);
// The query's flag under either name ("stdin" of the API, "input" of the kubelet).
bool cx_server_flag(struct cx_http_request *request, const char *name, const char *other);
// stats.c
json_t *cx_server_stats(struct cx_kubelet_server *server);
void cx_server_metrics(struct cx_kubelet_server *server, struct cx_buf *to);
void cx_server_resource_metrics(struct cx_kubelet_server *server, struct cx_buf *to);
