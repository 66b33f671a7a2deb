// SPDX-License-Identifier: Apache-2.0
// What every part of the kubelet shares: made by main before any thread starts, immutable afterwards but for what the parts
// themselves guard.
#pragma once

#include "kubelet/image/pull.h"
#include "kubelet/network/cni.h"
#include "kubelet/runtime/runtime.h"
#include "libcommon/base/flags.h"
#include "libcommon/client/events.h"
#include "libcommon/client/informer.h"
#include "libcommon/client/rest.h"

#define KUBELET_VERSION "v1.35.0"

struct pool;
struct pods;
struct refs;
struct volumes;
struct probes;

struct kubelet {
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
        struct image_store *images;
        struct cni *cni;
        struct runtime *runtime;
        struct pool *pool;
        struct refs *refs;
        struct volumes *volumes;
        struct probes *probes;
        struct pods *pods;
};

// Records an event about a pod (or, with `container`, about one of its containers). Nothing without an apiserver but a line
// in the log.
void pod_event(const struct kubelet *kubelet, const json_t *pod, const char *container, const char *type,
               const char *reason, const char *format, ...) CX_PRINTF(6, 7);
// "name_namespace(uid)", as upstream writes pods; owned by the caller.
char *pod_text(const json_t *pod);
// The container of that name and the list it is in ("spec.containers" or "spec.initContainers"); borrowed or NULL.
const json_t *pod_container(const json_t *pod, const char *name, bool *ret_init);
