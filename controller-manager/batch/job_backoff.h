// SPDX-License-Identifier: Apache-2.0
// How long a Job waits before it replaces failed pods: 10 s after the first failure, twice as long after each that
// follows without a success in between, six minutes at most. Pure.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct job_backoff {
        int64_t failures; // since the last success
        int64_t last;     // when the last of them came; µs
};
// Adds the pods that have finished since the last time: when each did, µs, in any order (sorted here).
void job_backoff_add(struct job_backoff *self, const int64_t *succeeded, size_t n_succeeded, int64_t *failed,
                     size_t n_failed);
// ns until a pod may be made again; 0: now.
int64_t job_backoff_left(const struct job_backoff *self, int64_t now);
