// SPDX-License-Identifier: Apache-2.0
// Writes an image of the store as an archive: an OCI layout in a tar. The store keeps layers unpacked, so that they are packed
// anew: what they hold is the same, but their digests, and with them the image's id, are those of what is written.
#pragma once

#include "kubelet/image/store.h"

// `reference` as image_store_find takes it. Blocks; any thread. `path` appears whole or not at all.
int image_export(struct image_store *store, const char *reference, const char *path, struct cx_error *err) CX_CHECK;
