// SPDX-License-Identifier: Apache-2.0
// Informers: a local, indexed, always current copy of a collection (list, then watch; resumed after a broken connection,
// listed again after 410 Gone; bookmarks keep the resume point fresh).
//
// One thread (curl_multi) does the I/O, decodes and calls handlers for all informers of a set. Handlers are called in the
// order of events, without locks held, and must only enqueue. Readers on any thread take references.
// Declare informers, indexes and handlers, then start; informers may also be added to a running set (indexes and
// handlers of one informer must come before cx_informer_start).
#pragma once

#include "libcommon/client/object.h"
#include "libcommon/client/rest.h"

struct cx_informers;
struct cx_informer;

struct cx_informer_options {
        struct cx_ref ref; // collection: group, version, resource, namespace (NULL: all); with a
                           // name, only that object is watched
        const char *label_selector, *field_selector; // may be NULL; all texts are copied
        bool metadata_only;                          // ask for PartialObjectMetadata
        bool drop_bytes;                             // keep metadata and projection only
        // While the collection is empty, list it this often (ns) instead of holding a watch open: for the many kinds that
        // a cluster may never use, each of which would cost a connection. 0: always watch.
        int64_t poll_while_empty;
        // Takes what the component needs from an object into a struct of its own; called once per version of an object,
        // on the I/O thread. Keeps nothing of the tree itself. May return NULL.
        void *(*project)(void *context, const json_t *object);
        void (*free_projection)(void *projection);
        void *context;
};

struct cx_informers *cx_informers_new(struct cx_rest *rest);
void cx_informers_free(struct cx_informers *set); // stops the thread and all informers
// Returns the informer, owned by the set. Not started yet.
struct cx_informer *cx_informers_add(struct cx_informers *set, const struct cx_informer_options *options);
// Before it starts: the options asked only for metadata, and somebody needs more. Objects come whole to `project` then;
// with `keep_bytes` they are kept whole, too.
void cx_informer_widen(struct cx_informer *informer, bool keep_bytes);
void cx_informers_start(struct cx_informers *set);       // starts all that were added
void cx_informer_start(struct cx_informer *informer);    // starts one (and the set's thread, when needed)
void cx_informer_stop(struct cx_informer *informer);     // forgets it; frees it; no handler runs after the return
void cx_informer_poll_now(struct cx_informer *informer); // ends the wait of poll_while_empty
bool cx_informer_synced(const struct cx_informer *informer);
// Waits until the first list of every started informer is in the store. -ETIMEDOUT; timeout < 0: none.
int cx_informers_wait_synced(struct cx_informers *set, int64_t timeout, struct cx_error *err) CX_CHECK;
int cx_informer_wait_synced(struct cx_informer *informer, int64_t timeout, struct cx_error *err) CX_CHECK;
// Whether the set's thread has gone round within the last `limit` ns (a second at least), or was not needed yet.
bool cx_informers_alive(struct cx_informers *set, int64_t limit);
// Ends these waits, those to come as well, with -ECANCELED: the process is about to stop. Any thread.
void cx_informers_cancel_waits(struct cx_informers *set);

// Added: old NULL. Deleted: now NULL. Borrowed for the call. A relist gives the differences only.
typedef void (*cx_informer_handler)(void *context, const struct cx_object *old, const struct cx_object *now);
void cx_informer_on_event(struct cx_informer *informer, cx_informer_handler handler, void *context);

// A named index: `keys` adds the index keys of an object to ret_keys.
void cx_informer_add_index(struct cx_informer *informer, const char *name,
                           void (*keys)(void *context, const struct cx_object *object, struct cx_strings *ret_keys),
                           void *context);
// An index by the uid of the controlling owner, and one by namespace (both use these names).
#define CX_INDEX_CONTROLLER "controller"
void cx_informer_index_controller(struct cx_informer *informer);
void cx_informer_index_namespace(struct cx_informer *informer);

// A new reference, or NULL. `namespace` NULL or "" for cluster-scoped.
const struct cx_object *cx_informer_get(const struct cx_informer *informer, const char *namespace, const char *name);
const struct cx_object *cx_informer_get_key(const struct cx_informer *informer, const char *key);
void cx_informer_list(const struct cx_informer *informer, const char *namespace, struct cx_objects *ret_list);
void cx_informer_by_index(const struct cx_informer *informer, const char *index, const char *key,
                          struct cx_objects *ret_list);
size_t cx_informer_count(const struct cx_informer *informer);
