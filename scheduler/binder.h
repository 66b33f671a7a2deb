// SPDX-License-Identifier: Apache-2.0
// Writes what was decided, so that scheduling never waits for the network: tasks are worked off by threads that start
// when there is work and end when there is none for a while. Any thread may add.
#pragma once

#include "libcommon/base/alloc.h"

struct binder;
typedef void (*binder_run)(void *context, void *task); // owns the task
struct binder *binder_new(int max_threads, binder_run run, void *context);
void binder_add(struct binder *binder, void *task);
void binder_free(struct binder *binder); // works off what is queued, joins
