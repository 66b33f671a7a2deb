// SPDX-License-Identifier: Apache-2.0
// Finds the objects that a command is about: from files, folders, URLs and standard input, or from words on the command
// line (TYPE NAME…, TYPE/NAME…, TYPE,TYPE with a selector or --all).
#pragma once

#include "kubectl/resource/mapping.h"

struct info {
        const struct mapping *mapping;
        char *namespace, *name; // namespace NULL when cluster-scoped; name NULL: a whole collection
        char *source;           // file or URL; NULL when named by words
        json_t *object;         // NULL until fetched
        int64_t position;       // of its document in the files
};
struct infos {
        struct info **items;
        size_t count;
};
#define INFOS_INIT                                                                                                     \
        {                                                                                                              \
                0                                                                                                      \
        }
#define INFOS CX_CLEANUP(infos_release) struct infos
void infos_release(struct infos *infos);
struct info *infos_add(struct infos *infos, const struct mapping *mapping, const char *namespace, const char *name);

struct builder {
        struct cx_strings files;
        const char *kustomize, *selector, *field_selector;
        bool recursive, all, all_namespaces, ignore_not_found;
        // What the command does.
        bool local;               // files are not looked up on the server
        bool may_list;            // a type without a name is its whole collection
        bool validates;           // a file is checked and ends at what is wrong; else it is only decoded
        bool ignore_unnamed;      // objects of files may lack a name (create)
        bool stops;               // the first document that is wrong ends it
        bool applies;             // for apply, which has its own words for that
        const char *verb;         // "replacing", for errors
        const char *default_type; // a single word is a name of this type ("pod"); NULL: none
        int64_t chunk;            // limit of a page; 0: 500
};
#define BUILDER CX_CLEANUP(builder_release) struct builder
void builder_release(struct builder *builder);
#define FILE_FLAGS(b)                                                                                                  \
        {"filename", 'f', CX_FLAG_CSV, &(b)->files, "Filename, directory or URL of the resources; - is stdin."},       \
                {"kustomize", 'k', CX_FLAG_STRING, &(b)->kustomize, "A kustomization directory."},                     \
        {                                                                                                              \
                "recursive", 'R', CX_FLAG_BOOL, &(b)->recursive, "Go through the directory used in -f recursively."    \
        }
#define SELECTOR_FLAGS(b)                                                                                              \
        {"selector", 'l', CX_FLAG_STRING, &(b)->selector, "Selector (label query) to filter on."},                     \
        {                                                                                                              \
                "field-selector", 0, CX_FLAG_STRING, &(b)->field_selector, "Selector (field query) to filter on."      \
        }

// Whether the command was given any objects at all.
bool builder_empty(const struct builder *builder, const struct cx_strings *args);
// Named infos, and infos of whole collections (name NULL): nothing is fetched. Files are read and decoded.
int builder_targets(struct ctl *ctl, struct builder *builder, const struct cx_strings *args, struct infos *ret_infos,
                    struct cx_error *err) CX_CHECK;
// The same with collections replaced by their objects, and every object fetched (unless `local`). Objects that cannot be
// fetched are reported and left out.
int builder_objects(struct ctl *ctl, struct builder *builder, const struct cx_strings *args, struct infos *ret_infos,
                    struct cx_error *err) CX_CHECK;
// Lists the collections among the targets; named infos are moved as they are.
int builder_expand(struct ctl *ctl, const struct builder *builder, struct infos *targets, struct infos *ret_infos,
                   struct cx_error *err) CX_CHECK;

// Says in upstream's words which collection could not be listed. Returns r.
int builder_list_failure(const struct builder *builder, const struct info *target, int r, struct cx_error *err);

// The documents of -f, in order. One that cannot be read is there as its failure, the last of its file.
struct input_document {
        json_t *object;
        char *source;
        struct cx_error failure;
};
struct input_documents {
        struct input_document *items;
        size_t count;
};
#define DOCUMENTS CX_CLEANUP(documents_release) struct input_documents
void documents_release(struct input_documents *documents);
int files_read(struct ctl *ctl, const struct builder *builder, struct input_documents *ret_documents,
               struct cx_error *err) CX_CHECK;
int file_read_text(struct ctl *ctl, const char *name, struct cx_buf *to, struct cx_error *err) CX_CHECK;

// Path of an info's object (or collection), with a subresource.
void info_path(const struct info *info, const char *subresource, struct cx_buf *to);
// Into info->object, of a subresource when that is not NULL.
int info_fetch_from(struct ctl *ctl, struct info *info, const char *subresource, struct cx_error *err) CX_CHECK;
int info_fetch(struct ctl *ctl, struct info *info, struct cx_error *err) CX_CHECK;
// Sends a patch; on success info->object is the answer.
int info_patch(struct ctl *ctl, struct info *info, const char *subresource, enum cx_patch_type type,
               const json_t *patch, int dry_run, const char *manager, struct cx_error *err) CX_CHECK;
// The patch (of info_patch_type) that makes info->object into `wanted`; {} when they are equal. New reference.
int info_diff(const struct info *info, const json_t *wanted, json_t **ret_patch, struct cx_error *err) CX_CHECK;
// Strategic for kinds of the API's own, merge for custom ones.
enum cx_patch_type info_patch_type(const struct info *info);
// Puts `when "source": ` before a server's message.
int info_wrap(const struct info *info, const char *verb, struct cx_error *err);
// "deployment.apps/web". `to` takes 512 bytes.
const char *info_label(const struct info *info, char *to);
