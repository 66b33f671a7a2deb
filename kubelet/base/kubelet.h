// SPDX-License-Identifier: Apache-2.0
// What the layers of the kubelet see of it: its settings, the way to the apiserver, and the parts at the bottom. main fills
// it in before any thread starts; it is immutable afterwards but for what the parts themselves guard. What lies higher
// (volumes, probes, pods) is not in here: who needs it is given it.
#pragma once

#include "libcommon/base/flags.h"
#include "libcommon/base/version.h"
#include "libcommon/client/events.h"
#include "libcommon/client/informer.h"
#include "libcommon/client/rest.h"

#define KUBELET_VERSION CX_VERSION_API

struct cni;
struct image_store;
struct pool;
struct runtime;

struct kubelet {
        // settings; state: the folder of what means nothing after a reboot
        const char *node_name, *root, *state, *log_root, *cluster_domain, *resolv_conf, *registry_config;
        struct cx_strings cluster_dns, node_ips, unsafe_sysctls;
        int64_t max_pods, pids_limit, node_memory, node_cpus; // node_memory: bytes
        int64_t allocatable_memory, allocatable_cpu;          // what pods may have of these: bytes, thousandths
        int64_t pods_memory; // what all of them together can have: what is not reserved, thresholds of eviction included
        int64_t sync_frequency; // ns
        // the way to the apiserver; all NULL without one
        struct cx_rest *rest;
        struct cx_informers *informers;
        struct cx_events *events;
        struct cx_informer *services; // for environment variables
        struct cx_informer *nodes;    // may know nothing yet
        // parts
        struct image_store *images;
        struct cni *cni;
        struct runtime *runtime;
        struct pool *pool; // for what blocks
};

// Records an event about a pod (or, with `container`, about one of its containers). Without an apiserver it is a line in
// the log.
void pod_event(const struct kubelet *kubelet, const json_t *pod, const char *container, const char *type,
               const char *reason, const char *format, ...) CX_PRINTF(6, 7);
// "name_namespace(uid)", as upstream writes pods; owned by the caller.
char *pod_text(const json_t *pod);
