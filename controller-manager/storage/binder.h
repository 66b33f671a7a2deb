// SPDX-License-Identifier: Apache-2.0
// What the files of the binder share: the objects that it brings together, and how it writes them.
#pragma once

#include "controller-manager/core/own_writes.h"
#include "controller-manager/storage/classes.h"
#include "libcommon/api/storage.h"

struct volume_binder {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_events *events;
        struct cx_informer *claims, *volumes, *classes, *pods; // pods: by claim
        struct cx_map said;                                    // key -> what was last said of the object in an event
        struct own_writes claim_writes, volume_writes;
};

// An object that is looked at, and changed through `json`.
struct bindable {
        const struct cx_object *object; // a reference
        const char *resource, *kind;
        struct own_writes *writes;
        json_t *json; // owned; after a write what the server answered
};
// False when there is none, or the informer has not shown our last write of it yet (its event brings the key back).
bool bindable_get(struct volume_binder *self, bool is_claim, const char *key, struct bindable *ret_item);
void bindable_release(struct bindable *item);
#define BINDABLE CX_CLEANUP(bindable_release) struct bindable
// Writes the object or its status. 1 when it has changed or gone meanwhile, which is no error: its event comes.
int bindable_write(struct volume_binder *self, struct bindable *item, bool status, struct cx_error *err) CX_CHECK;
int bindable_set_phase(struct volume_binder *self, struct bindable *item, const char *phase, const char *message,
                       struct cx_error *err) CX_CHECK;
// The same is said again after a while only, however often the object is looked at.
void bindable_event(struct volume_binder *self, const struct bindable *item, const char *type, const char *reason,
                    const char *format, ...) CX_PRINTF(5, 6);
void bindable_annotate(struct bindable *item, const char *name, const char *value); // NULL removes

// The part of a volume: struct cx_volume.
extern const struct object_part volume_part;

// binder_claim.c, binder_volume.c: bring one claim or volume to where it should be. `bind` makes the two each other's.
int binder_bind(struct volume_binder *self, struct bindable *claim, struct bindable *volume, struct cx_error *err)
        CX_CHECK;
int binder_sync_claim(struct volume_binder *self, struct bindable *claim, struct cx_error *err) CX_CHECK;
int binder_sync_volume(struct volume_binder *self, struct bindable *volume, struct cx_error *err) CX_CHECK;
