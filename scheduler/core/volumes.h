// SPDX-License-Identifier: Apache-2.0
// The scheduler's picture of storage: claims, volumes, classes and what CSI drivers say, as the informers show them; and what
// was promised to pods that are not bound yet. Objects have the projections below and are kept by reference.
//
// It has a lock of its own, below the scheduler's, so that a pod that is about to be bound can wait here for its claims.
#pragma once

#include "libcommon/api/storage.h"
#include "libcommon/base/map.h"
#include "libcommon/client/object.h"

#include <pthread.h>

enum storage_kind {
        STORAGE_CLAIM,
        STORAGE_VOLUME,
        STORAGE_CLASS,
        STORAGE_CSI_NODE,
        STORAGE_CSI_DRIVER,
        STORAGE_CSI_CAPACITY,
        STORAGE_ATTACHMENT,
        STORAGE_KINDS
};
#define CLAIM_OF(object) ((const struct cx_claim *)(object)->projection)
#define VOLUME_OF(object) ((const struct cx_volume *)(object)->projection)
#define CLASS_OF(object) ((const struct cx_storage_class *)(object)->projection)

// How many volumes of a driver a node may have.
struct csi_limit {
        char *driver;
        int64_t count;
};
struct csi_node { // the projection of CSINodes
        struct csi_limit *items;
        size_t count;
};
#define CSI_NODE_OF(object) ((const struct csi_node *)(object)->projection)

// The projection of kind `context` (an enum storage_kind), for informers.
void *storage_project(void *context, const json_t *object);
typedef void (*storage_free_projection)(void *projection);
storage_free_projection storage_release_of(enum storage_kind kind);

struct promise { // to a pod on its way to a node
        char *claim, *node;
        char *volume; // NULL: one is to be made
};
struct volume_cache {
        pthread_mutex_t lock; // guards what follows
        pthread_cond_t changed;
        struct cx_map objects[STORAGE_KINDS]; // key -> const struct cx_object *
        struct promise **promises;
        size_t n_promises;
        struct binding_wait **waits;
        size_t n_waits;
        bool stopped;
};
void volumes_init(struct volume_cache *volumes);
void volumes_release(struct volume_cache *volumes);
void volumes_set(struct volume_cache *volumes, enum storage_kind kind, const char *key,
                 const struct cx_object *object); // NULL removes

// New references, NULL when there is none.
const struct cx_object *volumes_get(struct volume_cache *volumes, enum storage_kind kind, const char *key);
// All volumes of a class ("" too) but those that are bound.
void volumes_of_class(struct volume_cache *volumes, const char *class, struct cx_objects *ret_list);
// Whether the driver of the class wants to be asked where it has room, and whether it has it for a node.
bool volumes_have_room(struct volume_cache *volumes, const char *provisioner, const char *class, int64_t bytes,
                       const struct cx_node_facts *node);
// Attachments of a node as "driver^handle" or, while that is not known, by the volume's name.
void volumes_attached(struct volume_cache *volumes, const char *node, struct cx_strings *ret_handles);

// What another pod was promised about a claim: copies in *ret_node and *ret_volume (NULL: to be made). False: nothing.
bool volumes_promised(struct volume_cache *volumes, const char *claim, char **ret_node, char **ret_volume);
// The names of all volumes that are promised for other claims.
void volumes_taken(struct volume_cache *volumes, struct cx_strings *ret_names);
struct promise *volumes_promise(struct volume_cache *volumes, const char *claim, const char *node, const char *volume);
void volumes_unpromise(struct volume_cache *volumes, struct promise *promise); // frees it

// Waits until `done` returns other than 0, which is the answer: it is asked under the lock, at first and whenever something
// changed, and looks with volumes_peek. -ETIMEDOUT at the deadline (monotonic), -ECANCELED when the pod has gone or the
// scheduler stops.
int volumes_wait(struct volume_cache *volumes, const char *pod_uid, int64_t deadline,
                 int (*done)(struct volume_cache *volumes, void *context), void *context);
const struct cx_object *volumes_peek(const struct volume_cache *volumes, enum storage_kind kind, const char *key);
void volumes_pod_gone(struct volume_cache *volumes, const char *pod_uid); // ends its waits
void volumes_stop(struct volume_cache *volumes);                          // ends all, those to come as well
