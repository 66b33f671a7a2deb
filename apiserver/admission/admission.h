// SPDX-License-Identifier: Apache-2.0
// Admission: plugins that may complete or refuse what somebody wants to do, as a table. Each says which operations on
// which resources and subresources it wants. First all that mutate are asked, then, when the object has its defaults
// and is valid, all that validate. They run on workers and may block.
//
// An object may come to a plugin twice: it is tried again when somebody else was faster, and when a plugin from
// outside the server (`outside`) has changed it, the server's own are asked once more. A plugin leaves alone what it
// has done.
#pragma once

#include "apiserver/request/write.h"

#include <pthread.h>

enum admission_operation { ADMIT_CREATE = 1, ADMIT_UPDATE = 2, ADMIT_DELETE = 4, ADMIT_CONNECT = 8 };
#define ADMIT_ALL (ADMIT_CREATE | ADMIT_UPDATE | ADMIT_DELETE | ADMIT_CONNECT)

struct admission_request {
        const struct scope *scope; // who, where, the subresource, dry run
        enum admission_operation operation;
        json_t *object;                        // new object; of CONNECT its options; NULL for deletions
        const json_t *old;                     // NULL for creations and CONNECT
        const struct delete_options *deletion; // of deletions
};

// "*": any. subresource "": the object itself.
struct admission_want {
        unsigned operations;
        const char *group, *resource, *subresource;
};
// What else is written in the transaction that writes the object (quotas that it uses).
struct admission_charge {
        struct store_write write;
        json_t *object; // write.object, owned
        json_t *before; // what it replaces, owned
        const struct served_kind *kind;
};
struct admission_charges {
        struct admission_charge items[STORE_MAX_WRITES - 1];
        size_t count;
        // The accounts that there are, of the request's namespace: it is written only if none is newer than `newest`.
        struct cache *accounts; // NULL: there are none to charge
        int64_t newest;
        pthread_mutex_t *held; // who charges the same waits meanwhile; NULL: nothing is held
};
#define ADMISSION_CHARGES CX_CLEANUP(admission_charges_release) struct admission_charges
void admission_charges_release(struct admission_charges *charges); // leaves none
// For a plugin that charges accounts of the scope's namespace: who does the same waits from here until the release, so
// that they do not meet in etcd. Once held, it stays so.
void admission_charges_hold(struct admission_charges *charges, const struct scope *scope);

struct admission_plugin {
        const char *name;
        const struct admission_want *wants;                                           // ended by one without operations
        int (*mutate)(const struct admission_request *request, struct cx_error *err); // may be NULL
        int (*validate)(const struct admission_request *request, struct cx_error *err); // may be NULL
        // Refuses, or adds what the object costs; after all that validate, again when the charges met something newer:
        // `fresh`, the cache has caught up then. May be NULL; one plugin has it.
        int (*charge)(const struct admission_request *request, bool fresh, struct admission_charges *charges,
                      struct cx_error *err);
        // Before the first request: takes its settings, NULL when there are none. May be NULL: it can have none.
        int (*configure)(struct apiserver *api, const json_t *settings, struct cx_error *err);
        bool off_by_default;
        bool only_refuses; // its mutate hook changes nothing
        bool outside;      // changes what the server's own plugins may have to look at again
};
// The server's own in upstream's order, ended by NULL.
extern const struct admission_plugin *const admission_plugins[];

// The plugins of the list that are on. Neither the list nor the names are copied.
struct admission_chain *admission_chain_new(const struct admission_plugin *const *plugins,
                                            const struct cx_strings *enabled, const struct cx_strings *disabled);
// Whether all names are of the list; -EINVAL names the flag and the one that is not.
int admission_check_names(const struct admission_plugin *const *plugins, const char *flag,
                          const struct cx_strings *names, struct cx_error *err) CX_CHECK;
// Gives the plugins of the list what the file says (an AdmissionConfiguration; NULL: there is none). Messages name the flag.
int admission_configure(struct apiserver *api, const struct admission_plugin *const *plugins, const char *path,
                        struct cx_error *err) CX_CHECK;
void admission_chain_free(struct admission_chain *chain);

// ret_touched (may be NULL): a plugin was asked that may have changed the object.
int admit_mutating(const struct admission_request *request, bool *ret_touched, struct cx_error *err) CX_CHECK;
int admit_validating(const struct admission_request *request, struct cx_error *err) CX_CHECK;
int admit_charge(const struct admission_request *request, bool fresh, struct admission_charges *ret_charges,
                 struct cx_error *err) CX_CHECK;
// The first two, for what is not stored as it comes (Binding, Scale, reviews, deletions, connections).
int admit(const struct admission_request *request, struct cx_error *err) CX_CHECK;
