// SPDX-License-Identifier: Apache-2.0
// What the controller needs of Ingresses, IngressClasses, Services and EndpointSlices: the informers' projections. Texts are
// checked here against the grammar of what they are (grammar.h): what does not fit is kept as invalid, and never as text.
#pragma once

#include "libcommon/base/address.h"
#include "libcommon/client/informer.h"

#define ANNOTATION_PREFIX "nginx.ingress.kubernetes.io/"

enum path_type { PATH_EXACT, PATH_PREFIX, PATH_ANY }; // PATH_ANY: ImplementationSpecific

struct backend_ref {
        char *service;   // NULL: there is no backend, or one that is no Service
        char *port_name; // NULL: by number
        int port;
        bool resource; // a backend of another kind
};
struct ingress_path {
        char *path; // begins with "/"; as written; NULL: not a path
        enum path_type type;
        struct backend_ref backend;
};
struct ingress_rule {
        char *host; // lower case; "*": all hosts; NULL: not a host
        struct ingress_path *paths;
        size_t n_paths;
};
struct ingress_tls {
        char *secret; // NULL: none, or not a name
        struct cx_strings hosts;
};
struct annotation {
        char *name; // without the prefix
        char *value;
};
struct ingress {
        char *class, *legacy_class; // spec.ingressClassName, and the old annotation; NULL: none
        struct backend_ref default_backend;
        struct ingress_rule *rules;
        struct ingress_tls *tls;
        struct annotation *annotations; // those with ANNOTATION_PREFIX
        size_t n_rules, n_tls, n_annotations;
        struct cx_strings addresses; // of the status, sorted
};
#define INGRESS(object) ((const struct ingress *)(object)->projection)

struct ingress_class {
        char *controller;
        bool is_default;
};
#define INGRESS_CLASS(object) ((const struct ingress_class *)(object)->projection)

struct target_port {
        char *name; // "" when it has none
        int port;
};
struct target_service { // of a Service
        bool external_name;
        struct target_port *ports;
        size_t n_ports;
};
#define TARGET(object) ((const struct target_service *)(object)->projection)

struct target_endpoint {
        struct cx_address address;
        bool ready, serving;
};
struct target_slice {
        char *service; // "namespace/name"; NULL: of none
        struct target_port *ports;
        struct target_endpoint *endpoints;
        size_t n_ports, n_endpoints;
};
#define TARGET_SLICE(object) ((const struct target_slice *)(object)->projection)

void *ingress_project(void *context, const json_t *ingress);
void ingress_free(void *projection);
bool ingress_same_annotations(const struct ingress *a, const struct ingress *b); // those that matter here
void *ingress_class_project(void *context, const json_t *class);
void ingress_class_free(void *projection);
void *target_project(void *context, const json_t *service);
void target_free(void *projection);
void *target_slice_project(void *context, const json_t *slice);
void target_slice_free(void *projection);
