// SPDX-License-Identifier: Apache-2.0
// ControllerRevisions: the history of what the pods of a StatefulSet or DaemonSet are made of. A revision holds a piece
// of JSON and a number; the newest number is the one in force, so going back to an old state gives its revision a new
// number. One reconcile owns a struct revisions; nothing is shared.
#pragma once

#include "controller-manager/core/owner.h"

extern const struct owner_kind revision_kind;
#define REVISION_HASH_LABEL "controller.kubernetes.io/hash"

struct controller_revision {
        json_t *object; // owned
        const char *name, *hash;
        const json_t *data;
        int64_t number, created;
};
struct controller_revisions {
        struct controller_revision *items; // by number, then age, then name
        size_t count;
};
// Whose history.
struct revision_history {
        struct cx_rest *rest;
        struct cx_informer *informer; // revisions_informer
        const struct owner *owner;
        const struct cx_selector *selector;
        const char *hash_label; // of revisions; NULL: REVISION_HASH_LABEL
};

// The shared informer of ControllerRevisions, with its indexes.
struct cx_informer *revisions_informer(struct manager *manager);
// Those of the owner; orphans that match are adopted.
int revisions_claim(const struct revision_history *history, struct controller_revisions *ret_revisions,
                    struct cx_error *err) CX_CHECK;
void revisions_release(struct controller_revisions *revisions);

// Makes `data` the newest: finds the revision that holds it, gives it the next number when it is not the newest, or
// makes one with `labels` and `annotations` (both may be NULL) when there is none. A name that is taken by other data is a collision, which *collisions
// counts (it is the status.collisionCount of the owner, to be written by the caller). `ret_index` is its place in
// `revisions`.
struct revision_content {
        const json_t *data, *labels, *annotations;
};
int revisions_update(const struct revision_history *history, const struct revision_content *content,
                     int64_t *collisions, struct controller_revisions *revisions, size_t *ret_index,
                     struct cx_error *err) CX_CHECK;
// Deletes the oldest that are not in use, beyond `limit` of these. `in_use` holds the names of those that pods or the
// status speak of.
int revisions_truncate(const struct revision_history *history, const struct cx_strings *in_use, int64_t limit,
                       struct controller_revisions *revisions, struct cx_error *err) CX_CHECK;

// The data of a revision that holds a template of pods: a patch that puts the template back. And the template of such
// data; NULL when there is none in it. New references.
json_t *revision_data(const json_t *template);
json_t *revision_template(const json_t *data);
// The next number; -EOVERFLOW when there is none.
int revisions_next(const struct controller_revisions *revisions, int64_t *ret_number, struct cx_error *err) CX_CHECK;
// "prefix-hash", as upstream names them.
char *revision_name(const char *prefix, const json_t *data, int64_t collisions);
