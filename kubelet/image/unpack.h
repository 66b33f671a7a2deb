// SPDX-License-Identifier: Apache-2.0
// Unpacks one image layer (tar, plain or compressed by gzip, zstd, …) into a folder that becomes an overlayfs lower
// folder: OCI whiteouts become overlayfs' own. The archive is hostile: nothing is created, linked or followed outside
// the folder; sizes and counts are capped.
#pragma once

#include "libcommon/base/error.h"

#include <stdint.h>

struct unpack_limits {
        int64_t max_bytes;   // of file contents, and of the layer when it is not compressed; 0: 64 GiB
        int64_t max_entries; // 0: 4,000,000
};
struct layer_content {
        int64_t bytes;    // of file contents
        char diff_id[72]; // "sha256:…" of the layer as it is when it is not compressed
};
// `fd` is read from its current position to its end; `root` must exist.
int unpack_layer(int fd, const char *root, const struct unpack_limits *limits, struct layer_content *ret_content,
                 struct cx_error *err) CX_CHECK;
