// SPDX-License-Identifier: Apache-2.0
// Delays that double each time that something goes wrong with the same key, up to a longest; a key that has been quiet for
// twice the longest is forgotten. Any thread.
#pragma once

#include "libcommon/base/map.h"

#include <pthread.h>

struct backoff {
        int64_t first, longest; // ns
        int64_t swept;
        pthread_mutex_t lock; // guards what follows, and `swept`
        struct cx_map by_key;
};
void backoff_init(struct backoff *self, int64_t first, int64_t longest);
void backoff_release(struct backoff *self);
// ns of the delay that are left at `now` (monotonic); 0: it is over.
int64_t backoff_left(struct backoff *self, const char *key, int64_t now);
// It went wrong (again): the next delay begins.
void backoff_next(struct backoff *self, const char *key, int64_t now);
