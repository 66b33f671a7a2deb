// SPDX-License-Identifier: Apache-2.0
// Sets of completion indexes, as Jobs write them: "1,3-5,7". A set is a list of intervals, in order and apart from each
// other, so that a hundred thousand indexes that follow one another are one. Not for sharing between threads.
#pragma once

#include "libcommon/base/alloc.h"

struct cx_interval {
        int64_t first, last; // both belong to it
};
struct cx_indexes {
        struct cx_interval *items; // owned
        size_t count, capacity;
};
#define CX_INDEXES_INIT                                                                                                \
        {                                                                                                              \
                0                                                                                                      \
        }
#define CX_INDEXES CX_CLEANUP(cx_indexes_release) struct cx_indexes
void cx_indexes_release(struct cx_indexes *self); // leaves an empty set

// Adds what the text says, as far as it lies in [0, limit); what makes no sense is left out. NULL is "".
void cx_indexes_parse(struct cx_indexes *self, const char *text, int64_t limit);
// "1,3-5,7"; two that follow one another are "3,4". Owned by the caller.
char *cx_indexes_text(const struct cx_indexes *self);
void cx_indexes_add(struct cx_indexes *self, const int64_t *indexes, size_t count); // in any order, none negative
void cx_indexes_unite(struct cx_indexes *self, const struct cx_indexes *other);
bool cx_indexes_has(const struct cx_indexes *self, int64_t index);
int64_t cx_indexes_total(const struct cx_indexes *self);
int64_t cx_indexes_common(const struct cx_indexes *a, const struct cx_indexes *b); // how many are in both
// The first `most` of [0, limit) that are not in the set go to `to`; returns how many there are.
size_t cx_indexes_missing(const struct cx_indexes *self, int64_t limit, size_t most, int64_t *to);

// Whether a text says a set below `limit` as it should, in order. When not, returns why (owned by the caller); else
// NULL and how many indexes there are.
char *cx_indexes_check(const char *text, int64_t limit, int64_t *ret_total);
