// SPDX-License-Identifier: Apache-2.0
// Threads for what blocks: image pulls, probes, hooks. They start when there is work and end after 10 s without.
#pragma once

#include "base/macro.h"

struct cx_pool;
struct cx_pool *cx_pool_new(int max_threads);
// Runs `run(context)` soon; when max_threads are busy, once one is free. Any thread.
void cx_pool_run(struct cx_pool *pool, void (*run)(void *context), void *context);
// Waits for what runs; what has not begun is run too.
void cx_pool_free(struct cx_pool *pool);
