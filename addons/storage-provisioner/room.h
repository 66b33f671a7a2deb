// SPDX-License-Identifier: Apache-2.0
// How much of its file system a node may promise to volumes. Without I/O.
//
// Where the file system holds volumes to their sizes, what is promised has to be there: what is free, and what volumes have
// of it already. Where it does not, a size is a wish that most volumes never come near, and what others have on the file
// system is not known from what volumes have: all of it may be promised, more than once. In neither case does one volume get
// more than what is free now.
#pragma once

#include "libcommon/base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct room {
        int64_t size, free; // bytes of the file system
        int64_t used;       // by volumes; only where they are held to their sizes
        bool enforced;      // they are
};
// How much may be promised in all; `percent` 0: by default.
int64_t room_for_volumes(const struct room *room, int64_t percent);
// -ENOSPC unless `more` bytes can be promised on the node, after `promised`. The error has the figures.
int room_check(const struct room *room, int64_t percent, const char *node, int64_t promised, int64_t more,
               struct cx_error *err) CX_CHECK;
int64_t room_add(int64_t a, int64_t b); // what would not fit is INT64_MAX; what is below zero counts as nothing
