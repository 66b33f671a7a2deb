// SPDX-License-Identifier: Apache-2.0
// What a controller wrote last of each object, so that it does not act on an informer's object that is older than that.
// The event that shows the write is bound to come. Lost when the process ends: the informers begin with what was written.
// Any thread.
#pragma once

#include "libcommon/base/map.h"
#include "libcommon/client/object.h"

#include <pthread.h>

struct own_writes {
        pthread_mutex_t lock; // guards the map
        struct cx_map by_key;
};
void own_writes_init(struct own_writes *self);
void own_writes_release(struct own_writes *self);
void own_writes_note(struct own_writes *self, const struct cx_object *object, const json_t *written); // what came back
bool own_writes_behind(struct own_writes *self, const struct cx_object *object);                      // it is older
void own_writes_forget(struct own_writes *self, const char *key);
