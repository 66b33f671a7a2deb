// SPDX-License-Identifier: Apache-2.0
// Objects that own others: who they are, as events and references name them, and taking over what is theirs. A
// dependent is claimed when its controller reference has the owner's uid; one that no longer fits is released, and one
// without a controller that fits is adopted. The API server is asked before whether the owner still exists.
#pragma once

#include "libcommon/api/selector.h"
#include "libcontroller/manager.h"

struct owner_kind {
        const char *group, *version, *resource, *kind;
        bool plain_selector; // spec.selector is a map of labels, not a LabelSelector
};
struct owner {
        const struct owner_kind *type;
        const struct cx_object *object;
};

// Whether the object's controller is of this kind (of its group, in any version); then its key "namespace/name" goes to
// `to`, which takes 512 bytes.
bool controller_key(const struct cx_object *object, const struct owner_kind *type, char to[512]);
// What the owner selects its dependents by: its spec.selector.
int owner_selector(const struct owner_kind *type, const json_t *owner, struct cx_selector *ret_selector,
                   struct cx_error *err) CX_CHECK;
// The reference that makes the owner the controller of something. New.
json_t *owner_reference(const struct owner *owner);
// The metadata of what is made from a template of it: its labels, annotations and finalizers. New.
json_t *metadata_of_template(const json_t *template);
// An event about the owner.
void owner_event(struct cx_events *events, const struct owner *owner, const char *type, const char *reason,
                 const char *format, ...) CX_PRINTF(5, 6);

// A number of a status; zero is left out unless `always`.
struct status_count {
        const char *name;
        int64_t value;
        bool always;
};
json_t *status_of_counts(const struct status_count *counts, size_t count);
// Writes the status of the owner, whose whole object is `json`, unless it is the same. An owner that has just gone is not
// an error.
int owner_write_status(struct cx_rest *rest, const struct owner *owner, json_t *json, json_t *status_steal,
                       struct cx_error *err) CX_CHECK;

// Gives the informer of dependents what claiming needs: indexes by controller, and of those without one by namespace.
void owner_index_dependents(struct cx_informer *informer);

struct claim {
        struct cx_rest *rest;
        const struct owner *owner;
        const struct cx_selector *selector;
        const struct owner_kind *dependents;
        struct cx_informer *informer; // of the dependents, with their indexes
        // Dependents that this refuses are left as they are (NULL: none is).
        bool (*considers)(const struct cx_object *object);
        // Beyond the selector: what it refuses is released, and not adopted (NULL: the selector decides).
        bool (*fits)(const struct owner *owner, const struct cx_object *object);
        const char *finalizer; // put on what is adopted, taken off what is released; NULL: none
};
// The owner's dependents. While the owner is being deleted nothing is adopted or released, and no dependent that is
// being deleted itself is. An adopted one is returned as the informer has it: without the reference.
int claim_dependents(const struct claim *claim, struct cx_objects *ret_dependents, struct cx_error *err) CX_CHECK;
