// SPDX-License-Identifier: Apache-2.0
// Follows claims, volumes, classes and what CSI drivers say, for the cache's picture of storage.
#pragma once

#include "libcommon/client/informer.h"
#include "scheduler/core/plugin.h"
#include "scheduler/core/volumes.h"

struct storage_feed;
// `wake` hears, on the informers' thread, what may help pods that wait; `claim` is the key of one, or NULL.
struct storage_feed *storage_feed_new(struct cx_informers *informers, struct volume_cache *volumes,
                                      void (*wake)(void *context, unsigned events, const char *claim), void *context);
void storage_feed_free(struct storage_feed *feed); // after the informers
