// SPDX-License-Identifier: Apache-2.0
// The page's files, compressed and in the executable. The build makes the table (dashboard.mk).
#pragma once

#include <stddef.h>

struct asset {
        const char *path, *type, *tag; // tag: an ETag of the content, with its quotes
        const unsigned char *data, *end;
};
extern const struct asset assets[];
extern const size_t n_assets;

// By the path of a request; NULL when there is none.
const struct asset *asset_find(const char *path);
