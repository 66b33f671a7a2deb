// SPDX-License-Identifier: Apache-2.0
#include "controller-manager/batch/job_backoff.h"

#include "libcommon/base/time.h"

#include <stdlib.h>

#define FIRST_DELAY (10 * CX_NS_PER_S)
#define LONGEST_DELAY (360 * CX_NS_PER_S)

static int compare_moments(const void *a, const void *b)
{
        const int64_t *x = a, *y = b;
        return *x < *y ? -1 : *x > *y;
}

void job_backoff_add(struct job_backoff *self, const int64_t *succeeded, size_t n_succeeded, int64_t *failed,
                     size_t n_failed)
{
        int64_t last_success = INT64_MIN;
        for (size_t i = 0; i < n_succeeded; i++)
                last_success = succeeded[i] > last_success ? succeeded[i] : last_success;
        if (n_succeeded)
                *self = (struct job_backoff){0};
        qsort(failed, n_failed, sizeof *failed, compare_moments);
        for (size_t i = n_failed; i > 0 && failed[i - 1] > last_success; i--) {
                if (i == n_failed)
                        self->last = failed[i - 1];
                self->failures++;
        }
}

int64_t job_backoff_left(const struct job_backoff *self, int64_t now)
{
        if (!self->failures)
                return 0;
        int64_t delay = FIRST_DELAY;
        for (int64_t i = 1; i < self->failures && delay < LONGEST_DELAY; i++)
                delay = delay * 2 < LONGEST_DELAY ? delay * 2 : LONGEST_DELAY;
        int64_t since = now - self->last; // µs; a clock that went back counts as no time
        since = since < 0 ? 0 : since < LONGEST_DELAY / 1000 ? since * 1000 : LONGEST_DELAY;
        return since < delay ? delay - since : 0;
}
