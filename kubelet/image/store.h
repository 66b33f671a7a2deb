// SPDX-License-Identifier: Apache-2.0
// The node's images: unpacked layers and a record for each image, under one folder.
//
//     layers/<n>/fs, layers/<n>/digest     an unpacked layer (its digest as it came, its bytes, its diff ID); <n> keeps
//                                          overlayfs' option string short
//     layers/tmp-*                         being unpacked; removed at the next start
//     images/<config digest>.json          a record
//
// A record is an immutable json_t: {"id","repoTags","repoDigests","layers","diffIDs","size","config"}; `config` is the image
// configuration's own (Env, Entrypoint, Cmd, WorkingDir, User, StopSignal), `diffIDs` its rootfs.diff_ids. The id is the digest
// of the configuration, and the configuration says by diffIDs what the layers hold: so an id stands for one content, whatever
// a manifest says. Any thread may call.
#pragma once

#include "kubelet/image/unpack.h"
#include "libcommon/base/error.h"
#include "libcommon/base/flags.h"

#include <jansson.h>
#include <stdint.h>

struct image_store;

int image_store_open(const char *root, struct image_store **ret_store, struct cx_error *err) CX_CHECK;
void image_store_free(struct image_store *store);
CX_DEFINE_CLEANUP(struct image_store, image_store_freep, image_store_free)

// By id ("sha256:…"), normalized tag or normalized digest reference. New reference; NULL when absent. Counts as a use.
json_t *image_store_find(struct image_store *store, const char *reference);
// All records (new array) for node status.
json_t *image_store_list(struct image_store *store);
// Adds or replaces a record; a tag that another image had moves to this one. -EBADMSG when the layers are not those that its
// diffIDs name, one for each.
int image_store_put(struct image_store *store, json_t *record_steal, struct cx_error *err) CX_CHECK;

// From before the first layer of an image is asked for until its record is put, the store is to be held: as long as somebody
// holds it, no layer that was asked for meanwhile goes away, though no image has it (yet).
void image_store_hold(struct image_store *store);
void image_store_let_go(struct image_store *store);

// Gives an image one more name, a normalized tag; another image that had it loses it. -ENOENT when there is no such image.
int image_store_tag(struct image_store *store, const char *reference, const char *tag, struct cx_error *err) CX_CHECK;
// Takes a name away, or all of them when `reference` is an id. An image without names goes at the next collection, unless it
// is in use. -ENOENT when there is no such image.
int image_store_untag(struct image_store *store, const char *reference, struct cx_error *err) CX_CHECK;
// Where a layer is unpacked, owned by the caller; NULL when it is not there. As long as the store is held it stays.
char *image_store_layer_folder(struct image_store *store, const char *digest);

// The repository digest of an image under the name that it was asked for; its id when it was never pulled by that name.
// Borrowed from the record.
const char *image_record_digest(const json_t *record, const char *image);

// Layers. begin: returns 1 when the layer is there already, else 0 and a new empty folder to unpack into, after waiting
// for another thread that is unpacking the same one. Follow 0 with commit or abort.
int image_store_layer_begin(struct image_store *store, const char *digest, char **ret_folder, struct cx_error *err)
        CX_CHECK;
int image_store_layer_commit(struct image_store *store, const char *digest, const char *folder,
                             const struct layer_content *content, struct cx_error *err) CX_CHECK;
void image_store_layer_abort(struct image_store *store, const char *digest, const char *folder);

// Mounts an image read-write at `target`; `upper` and `work` are empty folders on one file system. token: with the folder
// that service account tokens are mounted at. Without `upper` what is mounted is the image alone, read-only and for no
// program to be run from.
struct image_mount {
        const char *upper, *work, *target;
        bool token;
};
int image_store_mount(struct image_store *store, const json_t *record, const struct image_mount *mount,
                      struct cx_error *err) CX_CHECK;

// Removes images that have no name and are not in use, and frees at least `bytes_to_free`, if it can: removes layers that no image has, then images that are not in `in_use` (ids),
// least recently used first, none that was in use less than min_age (ns) ago. To be called now and then with 0, too, so
// that it knows what is in use. ret_freed (may be NULL).
int image_store_collect(struct image_store *store, const struct cx_strings *in_use, int64_t bytes_to_free,
                        int64_t min_age, int64_t *ret_freed, struct cx_error *err) CX_CHECK;
