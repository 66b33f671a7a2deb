// SPDX-License-Identifier: Apache-2.0
// The generic registry: create, read, update, patch and delete for every resource of the schema. What a kind does beyond
// that is a strategy (apiserver/strategy); what a cluster adds is admission (apiserver/admission).
// Functions that write block; they run on workers.
#pragma once

#include "apiserver/apiserver.h"

// --- decode.c ---
// The request's body as JSON (from JSON or YAML by its content type), checked against `kind`'s type.
int decode_body(struct call *call, const struct cx_kind *kind, json_t **ret_object, struct cx_error *err) CX_CHECK;
// The same without any schema: for patches.
int decode_any(struct call *call, json_t **ret_json, struct cx_error *err) CX_CHECK;

// --- check.c ---
// Validation of an object that is to be stored; `old` NULL for a new one, `subresource` NULL for the object itself.
int registry_check(struct call *call, const char *name, const json_t *object, const json_t *old,
                   const char *subresource, struct cx_error *err) CX_CHECK;

// --- create.c ---
// Runs the whole way of a new object in the call's resource and namespace. Steals `object`.
int registry_create(struct call *call, json_t *object_steal, struct stored **ret_stored, struct cx_error *err) CX_CHECK;

// --- update.c ---
// How the new object is made from the present one (both in the call's version). `current` NULL: create on update.
typedef int (*update_compute)(void *context, struct call *call, const json_t *current, json_t **ret_object,
                              struct cx_error *err);
struct update {
        update_compute compute;
        void *context;
        const char *name;
        const char *subresource; // "status": only status changes; other names: all but what the strategy keeps
        bool create_if_absent;
        bool internal; // the server's own write: no admission
};
int registry_update(struct call *call, const struct update *update, struct stored **ret_stored, bool *ret_created,
                    struct cx_error *err) CX_CHECK;

// --- delete.c ---
struct delete_options {
        int64_t grace_period;         // seconds; -1: the default
        const char *propagation;      // "Background", "Foreground", "Orphan"; NULL: the default
        char *uid, *resource_version; // preconditions; owned; NULL: none
        char *propagation_text;
        bool dry_run;
};
void delete_options_release(struct delete_options *options);
// From DeleteOptions in JSON that fit their schema (NULL: none given).
int delete_options_from(const json_t *json, struct delete_options *ret_options, struct cx_error *err) CX_CHECK;
int delete_options(struct call *call, struct delete_options *ret_options, struct cx_error *err) CX_CHECK;
// Deletes or begins to delete. ret_stored: the object as it is now, when it lives on (finalizers, grace).
int registry_delete(struct call *call, const char *name, const struct delete_options *options,
                    struct stored **ret_stored, char **ret_uid, struct cx_error *err) CX_CHECK;

// --- handlers, by verb: each answers the call ---
void handle_create(struct call *call);
void handle_get(struct call *call);
void handle_list(struct call *call);
void handle_update(struct call *call);
void handle_patch(struct call *call);
void handle_apply(struct call *call); // the patch that is server-side apply
void handle_delete(struct call *call);
void handle_delete_collection(struct call *call);
void handle_watch(struct call *call);
// Gets, and lists and watches that need no consistent read: answered without a worker. False: hand it to one.
bool handle_read_inline(struct call *call);

// The selection that a list or a watch asks for. Selectors are owned by the caller.
struct list_options {
        struct cx_selector labels, fields;
        struct filter filter;       // points into the above
        int64_t limit;              // 0: no limit
        int64_t revision;           // -1: not given
        bool exact, not_older_than; // resourceVersionMatch
        char *after;                // from a continue token; owned
        int64_t continue_revision;
};
// Waits until the cache shows at least `revision` (negative: all there is). TIMEOUT when no server has come so far.
int wait_for_revision(struct call *call, int64_t revision, struct cx_error *err) CX_CHECK;
int list_options(struct call *call, struct list_options *ret_options, struct cx_error *err) CX_CHECK;
void list_options_release(struct list_options *options);
