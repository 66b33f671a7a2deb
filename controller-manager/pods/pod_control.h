// SPDX-License-Identifier: Apache-2.0
// How a controller creates and deletes the pods that it owns: a handler for the events of pods, expectations, creation
// in batches that double, deletion in parallel, events about both. Each controller has one; any of its workers may
// call.
#pragma once

#include "controller-manager/core/owner.h"
#include "controller-manager/pods/expectations.h"
#include "controller-manager/pods/pods.h"

extern const struct owner_kind pod_kind;

#define POD_BURST 500 // pods created or deleted in one go, so that one owner does not hold up the others

enum pod_verb { POD_CREATE, POD_DELETE };
struct pod_control;
// Says in an event about the owner what became of a pod: `failure` NULL: it worked. `pod` is its name, "" when it has none
// yet. Any thread.
typedef void (*pod_teller)(struct pod_control *self, const struct owner *owner, enum pod_verb verb, const char *pod,
                           const struct cx_error *failure);

struct pod_control {
        const struct owner_kind *type; // of the owners
        pod_teller tell;               // the words of most controllers, unless it is set to others
        bool (*fits)(const struct owner *owner, const struct cx_object *pod); // of claims; NULL unless it is set
        struct cx_rest *rest;
        struct cx_events *events;
        struct cx_workqueue *queue;
        struct cx_informer *owners, *pods;
        struct expectations expectations;
        // What init leaves empty and an owner may set before the informers start:
        const char *finalizer; // put on pods that are adopted, taken off those that are released; NULL: none
        int64_t gather;        // ns that the events of pods are gathered before their owner is looked at
};
// Declares the informers of the owners (whole objects, indexed by controller and by namespace) and of pods, whose
// events enqueue owners. `events` is the name that the controller has in events.
void pod_control_init(struct pod_control *self, struct manager *manager, struct cx_workqueue *queue,
                      const struct owner_kind *type, const char *events);
void pod_control_release(struct pod_control *self);

// The owner's pods: claim_dependents for pods. `considers` as there.
int pod_control_claim(struct pod_control *self, const struct owner *owner, const struct cx_selector *selector,
                      bool (*considers)(const struct cx_object *pod), struct cx_objects *ret_pods, struct cx_error *err)
        CX_CHECK;

// Creates `count` pods; `body` writes the JSON of the i-th (on any thread, several at once). They go out in batches of
// 1, 2, 4, …, and a batch with a failure is the last, so pods that the server refuses cost one call and not thousands.
// Returns the first failure. A namespace that is being deleted is not one. A body that fails has told why by itself.
struct pod_batch {
        size_t count;
        int (*body)(void *context, size_t i, struct cx_buf *to, struct cx_error *err);
        void *context;
};
int pod_control_create(struct pod_control *self, const struct owner *owner, const struct pod_batch *batch,
                       struct cx_error *err) CX_CHECK;
// Deletes the first `count` pods of the list. A pod that is gone already is not a failure.
int pod_control_delete(struct pod_control *self, const struct owner *owner, const struct cx_objects *pods, size_t count,
                       struct cx_error *err) CX_CHECK;

// The body that creates a pod of a template: its labels, annotations, finalizers and spec. Without `generate_name` (NULL),
// the caller gives it a name. New reference.
json_t *pod_from_template(const json_t *template, const char *generate_name, json_t *owner_steal);
