// SPDX-License-Identifier: Apache-2.0
// Creations and deletions that a controller has made and its informer has not shown yet, so that nothing is done twice.
// Any thread.
#pragma once

#include "libcommon/base/map.h"

#include <pthread.h>

struct expectations {
        pthread_mutex_t lock; // guards the map
        struct cx_map by_key;
};
void expectations_init(struct expectations *self);
void expectations_release(struct expectations *self);
// True when everything that was announced has been seen, or five minutes have passed.
bool expectations_met(struct expectations *self, const char *key);
void expectations_expect_creations(struct expectations *self, const char *key, int count);
void expectations_expect_deletion(struct expectations *self, const char *key, const char *uid);
void expectations_created(struct expectations *self, const char *key, int count); // seen, or it failed
void expectations_deleted(struct expectations *self, const char *key, const char *uid);
void expectations_forget(struct expectations *self, const char *key);
