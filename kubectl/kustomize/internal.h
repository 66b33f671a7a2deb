// SPDX-License-Identifier: Apache-2.0
// What the files of this folder share: the objects of a build and the ways through them.
#pragma once

#include "kubectl/kustomize/kustomize.h"
#include "libcommon/base/buf.h"
#include "libcommon/format/json.h"
#include "libcommon/schema/schema.h"

struct kustom {
        json_t *object;
        struct cx_strings names; // that it had before, the first of them first
        char *namespace;         // that it had at first; NULL: none
        char *affixes;           // prefixes and suffixes that it was given, or would have been
        bool hashed;             // its name gets a hash of what it holds at the end
};
struct kustoms {
        struct kustom *list;
        size_t count;
};
#define ITEMS CX_CLEANUP(items_release) struct kustoms
void items_release(struct kustoms *items);
void item_release(struct kustom *item);
void items_remove(struct kustoms *items, size_t at);
struct kustom *items_add(struct kustoms *items, json_t *object_steal);
// Appends all of `from`; an object that is there already is an error.
int items_merge(struct kustoms *items, struct kustoms *from_steal, struct cx_error *err) CX_CHECK;
const char *item_kind(const struct kustom *item);
const char *item_name(const struct kustom *item);
void item_group(const struct kustom *item, char group[64], char version[32]);
bool item_was_called(const struct kustom *item, const char *name); // now or before
bool item_is_cluster_scoped(const struct kustom *item);
void item_rename(struct kustom *item, const char *name);

// Calls `each` for every place at a path: "spec/ports[]/name" enters lists; "POD/" begins at the spec of the pod (template)
// that the object has. `create`: objects on the way are made. `parent` is the object that has (or gets) the member `key`.
void places_visit(json_t *object, const char *path, bool create,
                  void (*each)(void *context, json_t *parent, const char *key), void *context);

// Which objects a patch or a replacement is for: regular expressions, which match as a whole, and selectors.
bool item_selected(const struct kustom *item, const json_t *selector);

struct kustomization {
        const char *root; // absolute path of the directory
        const json_t *fields;
        const struct kustomize_options *options;
        int depth;
};
// Reads a file that the kustomization names.
int kustomization_read(const struct kustomization *k, const char *name, struct cx_buf *to, struct cx_error *err)
        CX_CHECK;
// The documents of YAML or JSON.
int kustomization_parse(const char *text, const char *source, json_t **ret_documents, struct cx_error *err) CX_CHECK;

int generate(const struct kustomization *k, struct kustoms *items, struct cx_error *err) CX_CHECK;    // generators.c
void hash_names(struct kustoms *items);                                                               // generators.c
int patch_items(const struct kustomization *k, struct kustoms *items, struct cx_error *err) CX_CHECK; // patches.c
int patch_items_json(const struct kustomization *k, struct kustoms *items, struct cx_error *err) CX_CHECK; // patches.c
int transform(const struct kustomization *k, struct kustoms *items, struct cx_error *err) CX_CHECK;  // transform.c
int set_counts(const struct kustomization *k, struct kustoms *items, struct cx_error *err) CX_CHECK; // transform.c
int set_images(const struct kustomization *k, struct kustoms *items, struct cx_error *err) CX_CHECK; // images.c
int replace_values(const struct kustomization *k, struct kustoms *items, struct cx_error *err)
        CX_CHECK;                           // replacements.c
void fix_references(struct kustoms *items); // references.c
// A strategic merge as kustomize does it: what the patch names of a list by merge keys comes first. New reference; NULL:
// the object is deleted.
json_t *kustomize_merge(const struct cx_type *type, const json_t *object, const json_t *patch);
