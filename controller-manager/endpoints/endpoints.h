// SPDX-License-Identifier: Apache-2.0
// What Endpoints and EndpointSlices share: which pods back a Service, on which ports.
#pragma once

#include "controller-manager/pods/pods.h"

// What endpoints show of a pod.
struct named_port {
        char *name, *protocol;
        int port;
};
struct pod_address {
        char *hostname, *subdomain; // may be NULL
        struct cx_strings ips;
        struct named_port *ports; // those with a name; one that is addressed by its number needs no look-up
        size_t n_ports;
};
extern const struct object_part pod_address_part;
#define POD_ADDRESS(pod) ((const struct pod_address *)object_part(pod, &pod_address_part))
struct cx_informer *endpoints_pods(struct manager *manager); // the informer of pods, with this part

struct pod_backend {
        const struct cx_object *pod;
        const char *ip; // of the family asked for; borrowed from the pod
        bool ready, serving, terminating;
        char *ports; // the resolved ports as JSON text, sorted: what groups backends; owned
};
struct pod_backends {
        struct pod_backend *items; // sorted by ports, then address
        size_t count;
        struct cx_objects pods; // keeps the pods
};
// Backends of a Service in one address family ("IPv4", "IPv6"). A Service without a selector has none: check before.
void backends_find(const struct cx_informer *pods, const json_t *service, const char *family, struct pod_backends *ret);
void backends_release(struct pod_backends *backends);
json_t *service_families(const json_t *service); // new array of "IPv4"/"IPv6"
bool service_is_selecting(const json_t *service);
bool service_is_headless(const json_t *service);
// Enqueues the Services that a pod's change concerns.
struct endpoints_watch {
        struct cx_workqueue *queue;
        struct cx_informer *services;
};
void endpoints_on_pod(void *context, const struct cx_object *old, const struct cx_object *now);
// An ObjectReference to the pod, as endpoints carry it in targetRef. New reference.
json_t *pod_target_ref(const struct cx_object *pod);
