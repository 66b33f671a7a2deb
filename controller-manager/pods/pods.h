// SPDX-License-Identifier: Apache-2.0
// What the controllers need of a pod, kept in the informer instead of its JSON; creating and ranking pods.
#pragma once

#include "controller-manager/core/manager.h"
#include "libcommon/client/informer.h"

enum pod_phase { POD_PENDING, POD_RUNNING, POD_SUCCEEDED, POD_FAILED, POD_UNKNOWN };
struct pod_port {
        char *name, *protocol;
        int port;
};
struct pod_toleration {
        char *key, *value;
        bool exists;     // operator Exists
        bool no_execute; // its effect covers NoExecute
        int64_t seconds; // -1: for ever
};
struct pod_info {
        enum pod_phase phase;
        bool ready, host_network, scheduled_gone;
        int64_t ready_since; // µs
        char *node, *hostname, *subdomain;
        struct cx_strings ips;
        struct pod_port *ports;
        struct pod_toleration *tolerations;
        size_t n_ports, n_tolerations;
        int64_t restarts, deletion_cost;
};
#define POD_INFO(object) ((const struct pod_info *)(object)->projection)
#define POD_INDEX_NODE "node"
#define POD_INDEX_ORPHANS "orphans" // pods without a controller, by namespace

void *pod_project(void *context, const json_t *pod);
void pod_free_projection(void *projection);
void pod_add_indexes(struct cx_informer *pods);

bool pod_is_terminal(const struct cx_object *pod); // Succeeded or Failed
bool pod_is_active(const struct cx_object *pod);   // neither terminal nor being deleted
bool pod_is_available(const struct cx_object *pod, int64_t min_ready_seconds, int64_t now);
// Which of two pods is deleted first when a controller scales down: negative when a. `rank_*` is how many pods of the
// same owner run on its node.
int pod_compare_for_deletion(const struct cx_object *a, int rank_a, const struct cx_object *b, int rank_b, int64_t now);
// The body that creates a pod of a template. New reference.
json_t *pod_from_template(const json_t *template, const char *generate_name, json_t *owner_steal);
// Gives an orphan to, or takes a pod away from, a controller.
int pod_adopt(struct cx_rest *rest, const struct cx_ref *ref, const char *uid, json_t *owner_steal,
              struct cx_error *err) CX_CHECK;
int pod_release(struct cx_rest *rest, const struct cx_ref *ref, const char *uid, const char *owner_uid,
                struct cx_error *err) CX_CHECK;
