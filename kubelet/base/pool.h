// SPDX-License-Identifier: Apache-2.0
// Threads for what blocks: image pulls, probes, hooks. They start when there is work and end after 10 s without.
#pragma once

#include "libcommon/base/macro.h"

struct pool;
struct pool *pool_new(int max_threads);
// Runs `run(context)` soon; when max_threads are busy, once one is free. Any thread.
void pool_run(struct pool *pool, void (*run)(void *context), void *context);
// Waits for what runs; what has not begun is run too.
void pool_free(struct pool *pool);
