// SPDX-License-Identifier: Apache-2.0
// What the controllers of a controller manager share: the client, one informer a resource, and the small helpers around
// them. A controller is a row of a table (controllers.h runs it): `init` declares what it watches and enqueues keys,
// `reconcile` brings one key's world to where it should be, straight-line, on a worker of the pool.
#pragma once

#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/client/component.h"
#include "libcommon/client/informer.h"
#include "libcommon/client/workqueue.h"
#include "libcommon/format/json.h"
#include "libcontroller/parts.h"

struct manager;
struct shared_informer;
struct cx_resource;
struct controller {
        const char *name;    // upstream's, for --controllers
        const char *account; // the service account that it acts as with --use-service-account-credentials; NULL: none
        bool off_by_default; // runs only when --controllers names it
        int workers;
        // Returns the controller's state, or NULL when the flags leave it nothing to do.
        void *(*init)(struct manager *manager, struct cx_workqueue *queue);
        int (*reconcile)(void *self, const char *key, int64_t *retry_after, struct cx_error *err);
        void (*free)(void *self);
};

// A controller gets one of its own, which differs from the whole in the client; what is declared goes into the whole.
struct manager {
        struct manager *whole; // NULL: this is it
        struct cx_rest *rest;
        struct cx_informers *informers;
        struct cx_events *events;
        const void *options;           // the executable's, whose controllers know what they are
        struct identities *identities; // of the accounts that controllers act as; NULL: all act as the process
        struct shared_informer *shared;
        size_t n_shared;
        struct cx_events **recorders;
        size_t n_recorders;
};

void manager_release(struct manager *manager); // after the informers and the controllers; not the client and events

// The client of an account, where every controller has one of its own; otherwise that of the process.
struct cx_rest *manager_rest_of(struct manager *manager, const char *account);

// The shared informer of a resource: all that anybody asked for is kept, in whatever order they ask. Only in `init`.
// These keep whole objects; a part of each object (parts.h; the rest is dropped unless somebody asks for the
// whole); the metadata alone, for kinds that may not be used at all.
struct cx_informer *manager_informer(struct manager *manager, const char *group, const char *resource);
struct cx_informer *manager_part_informer(struct manager *manager, const char *group, const char *resource,
                                          const struct object_part *part);
struct cx_informer *manager_metadata_informer(struct manager *manager, const struct cx_resource *resource);
// An informer of the objects of one name in all namespaces; not shared.
struct cx_informer *manager_named_informer(struct manager *manager, const char *group, const char *resource,
                                           const char *name);
// An informer of whole objects that the reference and the field selector (NULL: none) select; not shared.
struct cx_informer *manager_selected_informer(struct manager *manager, const struct cx_ref *ref, const char *selector);
// An informer of the metadata of a kind that the schema does not have; not shared. The caller starts it.
struct cx_informer *manager_kind_informer(struct manager *manager, const struct cx_ref *ref);
// A recorder, freed with the manager.
struct cx_events *manager_recorder(struct manager *manager, const char *component);
// Every event of the informer enqueues its object's key.
void manager_enqueue_all(struct cx_informer *informer, struct cx_workqueue *queue);

// An ownerReference that makes `object` (with metadata) the controller of something.
json_t *make_controller_ref(const char *api_version, const char *kind, const char *name, const char *uid);
// Now, as metav1.Time.
json_t *json_now(void);
// The condition of a type in status.conditions; borrowed or NULL.
json_t *find_condition(const json_t *object, const char *type);
bool condition_is(const json_t *object, const char *type, const char *status);
// Why a creation was refused: the namespace is being deleted, nothing can be made there any more.
bool is_namespace_terminating(const struct cx_error *err);
int read_whole_file(const char *path, char **ret_text, struct cx_error *err) CX_CHECK;
