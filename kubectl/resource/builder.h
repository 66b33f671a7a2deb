// SPDX-License-Identifier: Apache-2.0
// Finds the objects that a command is about: from files, folders, URLs and standard input, or from words on the command
// line (TYPE NAME…, TYPE/NAME…, TYPE,TYPE with a selector or --all).
#pragma once

#include "kubectl/resource/mapping.h"

struct cx_info {
        const struct cx_mapping *mapping;
        char *namespace, *name; // namespace NULL when cluster-scoped; name NULL: a whole collection
        char *source;           // file or URL; NULL when named by words
        json_t *object;         // NULL until fetched
};
struct cx_infos {
        struct cx_info **items;
        size_t count;
};
#define CX_INFOS_INIT                                                                                                  \
        {                                                                                                              \
                0                                                                                                      \
        }
#define CX_INFOS CX_CLEANUP(cx_infos_release) struct cx_infos
void cx_infos_release(struct cx_infos *infos);
struct cx_info *cx_infos_add(struct cx_infos *infos, const struct cx_mapping *mapping, const char *namespace,
                             const char *name);

struct cx_builder {
        struct cx_strings files;
        const char *kustomize, *selector, *field_selector;
        bool recursive, all, all_namespaces, ignore_not_found;
        // What the command does.
        bool local;               // files are not looked up on the server
        bool may_list;            // a type without a name is its whole collection
        bool ignore_unnamed;      // objects of files may lack a name (create)
        bool applies;             // for apply, which has its own words for that
        const char *verb;         // "replacing", for errors
        const char *default_type; // a single word is a name of this type ("pod"); NULL: none
        int64_t chunk;            // limit of a page; 0: 500
};
#define CX_BUILDER CX_CLEANUP(cx_builder_release) struct cx_builder
void cx_builder_release(struct cx_builder *builder);
#define CX_FILE_FLAGS(b)                                                                                               \
        {"filename", 'f', CX_FLAG_CSV, &(b)->files, "Filename, directory or URL of the resources; - is stdin."},       \
                {"kustomize", 'k', CX_FLAG_STRING, &(b)->kustomize, "Kustomization directories are not supported."},   \
        {                                                                                                              \
                "recursive", 'R', CX_FLAG_BOOL, &(b)->recursive, "Go through the directory used in -f recursively."    \
        }
#define CX_SELECTOR_FLAGS(b)                                                                                           \
        {"selector", 'l', CX_FLAG_STRING, &(b)->selector, "Selector (label query) to filter on."},                     \
        {                                                                                                              \
                "field-selector", 0, CX_FLAG_STRING, &(b)->field_selector, "Selector (field query) to filter on."      \
        }

// Whether the command was given any objects at all.
bool cx_builder_empty(const struct cx_builder *builder, const struct cx_strings *args);
// Named infos, and infos of whole collections (name NULL): nothing is fetched. Files are read and decoded.
int cx_builder_targets(struct cx_ctl *ctl, struct cx_builder *builder, const struct cx_strings *args,
                       struct cx_infos *ret_infos, struct cx_error *err) CX_CHECK;
// The same with collections replaced by their objects, and every object fetched (unless `local`). Objects that cannot be
// fetched are reported and left out.
int cx_builder_objects(struct cx_ctl *ctl, struct cx_builder *builder, const struct cx_strings *args,
                       struct cx_infos *ret_infos, struct cx_error *err) CX_CHECK;
// Lists the collections among the targets; named infos are moved as they are.
int cx_builder_expand(struct cx_ctl *ctl, const struct cx_builder *builder, struct cx_infos *targets,
                      struct cx_infos *ret_infos, struct cx_error *err) CX_CHECK;

// Says in upstream's words which collection could not be listed. Returns r.
int cx_builder_list_failure(const struct cx_builder *builder, const struct cx_info *target, int r,
                            struct cx_error *err);

// The documents of -f, in order; for each `source` is added. New array.
int cx_files_read(struct cx_ctl *ctl, const struct cx_builder *builder, json_t **ret_documents,
                  struct cx_strings *ret_sources, struct cx_error *err) CX_CHECK;
int cx_file_read_text(struct cx_ctl *ctl, const char *name, struct cx_buf *to, struct cx_error *err) CX_CHECK;

// Path of an info's object (or collection), with a subresource.
void cx_info_path(const struct cx_info *info, const char *subresource, struct cx_buf *to);
int cx_info_fetch(struct cx_ctl *ctl, struct cx_info *info, struct cx_error *err) CX_CHECK; // into info->object
// Sends a patch; on success info->object is the answer.
int cx_info_patch(struct cx_ctl *ctl, struct cx_info *info, const char *subresource, enum cx_patch_type type,
                  const json_t *patch, int dry_run, const char *manager, struct cx_error *err) CX_CHECK;
// The patch (of cx_info_patch_type) that makes info->object into `wanted`; {} when they are equal. New reference.
int cx_info_diff(const struct cx_info *info, const json_t *wanted, json_t **ret_patch, struct cx_error *err) CX_CHECK;
// Strategic for kinds of the API's own, merge for custom ones.
enum cx_patch_type cx_info_patch_type(const struct cx_info *info);
// Puts `when "source": ` before a server's message.
int cx_info_wrap(const struct cx_info *info, const char *verb, struct cx_error *err);
// "deployment.apps/web". `to` takes 512 bytes.
const char *cx_info_label(const struct cx_info *info, char *to);
