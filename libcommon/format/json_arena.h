// SPDX-License-Identifier: Apache-2.0
// Memory for trees that live for a moment: while an arena is open on a thread, jansson takes what it needs there from one
// block, and freeing costs nothing. For the reader of a watch, who parses an object, takes a few things from it and drops
// it, thousands of times a second.
//
// What was made while the arena was open must be dropped before it is closed; nobody else may keep a reference.
#pragma once

#include "libcommon/base/alloc.h"

struct cx_json_arena {
        char *block; // made at the first use
        size_t used;
};
void cx_json_arena_open(struct cx_json_arena *arena);
void cx_json_arena_close(struct cx_json_arena *arena);
void cx_json_arena_release(struct cx_json_arena *arena);
