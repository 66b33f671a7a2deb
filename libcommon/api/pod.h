// SPDX-License-Identifier: Apache-2.0
// What every component asks of a pod's JSON: its containers, their statuses, ports, conditions, and where its life stands.
// Everything borrows from the object that was passed in. Any thread may call, as long as nobody changes the object.
#pragma once

#include "libcommon/base/macro.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

// --- containers ------------------------------------------------------------------------------------------------------
enum cx_pod_list {
        CX_POD_INIT = 1,      // spec.initContainers
        CX_POD_MAIN = 2,      // spec.containers
        CX_POD_EPHEMERAL = 4, // spec.ephemeralContainers
        CX_POD_TEMPLATE = CX_POD_INIT | CX_POD_MAIN,
        CX_POD_ALL = CX_POD_TEMPLATE | CX_POD_EPHEMERAL
};
// "initContainers", "initContainerStatuses" and so on, of one list.
const char *cx_pod_list_name(enum cx_pod_list list);
const char *cx_pod_list_statuses(enum cx_pod_list list);

// A walk over the containers of the lists that are asked for: init containers, containers, ephemeral ones.
struct cx_pod_walk {
        const json_t *spec;
        unsigned lists;
        enum cx_pod_list list; // of the current container
        size_t index;          // in its list
        const char *name;      // of the container; "" when it has none
        json_t *container;     // NULL at the end
};
struct cx_pod_walk cx_pod_walk_begin(const json_t *spec, unsigned lists);
void cx_pod_walk_next(struct cx_pod_walk *walk);
// `walk` is declared by the loop; `spec` is a PodSpec (also a template's).
#define CX_POD_FOREACH(walk, spec, lists)                                                                              \
        for (struct cx_pod_walk walk = cx_pod_walk_begin(spec, lists); (walk).container; cx_pod_walk_next(&(walk)))

// The container of that name in the lists; NULL when there is none. `ret_list` may be NULL.
json_t *cx_pod_container(const json_t *spec, const char *name, unsigned lists, enum cx_pod_list *ret_list);
// The status of that container, whichever list it is in; NULL when the pod has none yet.
json_t *cx_pod_container_status(const json_t *pod, const char *name);
// An init container that runs as long as the pod does (KEP-753: restartPolicy Always).
bool cx_container_is_sidecar(const json_t *container);

// --- ports -----------------------------------------------------------------------------------------------------------
// The number of a named port of the containers and sidecars; 0 when there is none. `protocol` NULL: any.
int cx_pod_named_port(const json_t *spec, const char *name, const char *protocol);

// --- where it stands -------------------------------------------------------------------------------------------------
json_t *cx_pod_condition(const json_t *pod, const char *type); // of status.conditions; NULL when absent
bool cx_pod_condition_is(const json_t *pod, const char *type, const char *status);
bool cx_pod_is_ready(const json_t *pod);
const char *cx_pod_phase(const json_t *pod);   // "" when it has none
bool cx_pod_is_terminal(const json_t *pod);    // Succeeded or Failed
bool cx_pod_is_terminating(const json_t *pod); // has a deletionTimestamp
// Made by a kubelet for a static pod (annotation kubernetes.io/config.mirror).
bool cx_pod_is_mirror(const json_t *pod);
