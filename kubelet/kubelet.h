// SPDX-License-Identifier: Apache-2.0
// What every part of the kubelet shares: made by main before any thread starts, immutable afterwards but for what the parts
// themselves guard.
#pragma once

#include "base/flags.h"
#include "client/events.h"
#include "client/informer.h"
#include "client/rest.h"
#include "kubelet/image/pull.h"
#include "kubelet/network/cni.h"
#include "kubelet/runtime/runtime.h"

#define CX_KUBELET_VERSION "v1.35.0"

struct cx_pool;
struct cx_pods;
struct cx_refs;
struct cx_volumes;
struct cx_probes;

struct cx_kubelet {
        // settings
        const char *node_name, *root, *state, *log_root, *cgroup_root, *cluster_domain, *resolv_conf, *registry_config;
        struct cx_strings cluster_dns, node_ips, unsafe_sysctls;
        int64_t max_pods, pids_limit, node_memory, node_cpus;
        bool register_node;
        // parts; the first three are NULL without an apiserver
        struct cx_rest *rest;
        struct cx_informers *informers;
        struct cx_events *events;
        struct cx_informer *services; // for environment variables; may be NULL
        struct cx_informer *nodes;    // may be NULL, and know nothing yet
        struct cx_image_store *images;
        struct cx_cni *cni;
        struct cx_runtime *runtime;
        struct cx_pool *pool;
        struct cx_refs *refs;
        struct cx_volumes *volumes;
        struct cx_probes *probes;
        struct cx_pods *pods;
};

// Records an event about a pod (or, with `container`, about one of its containers). Nothing without an apiserver but a line
// in the log.
void cx_pod_event(const struct cx_kubelet *kubelet, const json_t *pod, const char *container, const char *type,
                  const char *reason, const char *format, ...) CX_PRINTF(6, 7);
// "name_namespace(uid)", as upstream writes pods; owned by the caller.
char *cx_pod_text(const json_t *pod);
// The container of that name and the list it is in ("spec.containers" or "spec.initContainers"); borrowed or NULL.
const json_t *cx_pod_container(const json_t *pod, const char *name, bool *ret_init);
