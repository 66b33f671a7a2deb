// SPDX-License-Identifier: Apache-2.0
// What the files of `kubectl apply` and `kubectl diff` share.
#pragma once

#include "kubectl/cmd/commands.h"

struct apply_run {
        struct ctl *ctl;
        struct builder builder;
        struct output output;
        const char *dry_run, *manager, *validate, *subresource;
        bool server_side, force_conflicts, force, prune, overwrite;
        struct cx_strings prune_allowlist;
        struct deletion deletion;
        int mode;
        json_t *printed;                    // for -o: all objects
        struct cx_strings namespaces, uids; // that were applied
};
#define SERVER_SIDE_FLAGS(run)                                                                                         \
        {"server-side", 0, CX_FLAG_BOOL, &(run)->server_side, "Let the server merge."},                                \
                {"force-conflicts", 0, CX_FLAG_BOOL, &(run)->force_conflicts,                                          \
                 "Take fields over from other managers."},                                                             \
        {                                                                                                              \
                "field-manager", 0, CX_FLAG_STRING, &(run)->manager, "Name of the manager of the fields."              \
        }
#define PRUNE_FLAGS(run)                                                                                               \
        {"prune", 0, CX_FLAG_BOOL, &(run)->prune, "Delete what was applied before and is not in the files."},          \
        {                                                                                                              \
                "prune-allowlist", 0, CX_FLAG_LIST, &(run)->prune_allowlist,                                           \
                        "GROUP/VERSION/KIND that --prune looks at instead of the default kinds; may be repeated."      \
        }
void apply_release(struct apply_run *apply);

// --- apply.c
// Sends a body to the object (by_name) or its collection; the answer becomes info->object.
int apply_send(struct apply_run *apply, const char *method, struct info *info, const json_t *body,
               const char *content_type, bool by_name, struct cx_error *err) CX_CHECK;
// What a live object says was applied last; NULL when it says nothing.
int last_applied(const json_t *current, json_t **ret_original, struct cx_error *err) CX_CHECK;
// Sends the patch that makes the live info->object as `modified` says; *ret_unchanged: nothing is to be done.
int apply_merge(struct apply_run *apply, struct info *info, json_t *modified, bool *ret_unchanged, struct cx_error *err)
        CX_CHECK;

// --- apply_server.c
// Server-side apply of info->object, which becomes the answer. What `kubectl apply` without --server-side had applied
// before is moved to this manager.
int apply_on_server(struct apply_run *apply, struct info *info, struct cx_error *err) CX_CHECK;

// --- apply_prune.c
// Reads --prune-allowlist, before anything is applied.
int prune_parse(struct apply_run *apply, struct infos *ret_kinds, struct cx_error *err) CX_CHECK;
// The objects of those kinds that were applied once and are not in the files any more.
int prune_find(struct apply_run *apply, const struct infos *kinds, struct infos *ret_infos, struct cx_error *err)
        CX_CHECK;
