// SPDX-License-Identifier: Apache-2.0
// What a kubelet says of its node's use at one moment (/metrics/resource), and what follows from two of them. Not for
// sharing between threads.
#pragma once

#include "libcommon/base/error.h"
#include "libcommon/base/map.h"

struct sample {
        int64_t at;      // ns since the epoch
        int64_t start;   // of the container, ns since the epoch; 0: not told
        uint64_t cpu_ns; // used since then
        uint64_t memory; // working set, bytes
        unsigned has;    // SAMPLE_…
};
enum { SAMPLE_CPU = 1, SAMPLE_MEMORY = 2, SAMPLE_WHOLE = 3 };

struct pod_samples {
        struct container_sample {
                char *name;
                struct sample sample;
        } * items;
        size_t count;
};
struct samples {
        struct sample node;
        struct cx_map pods; // "namespace/name" -> struct pod_samples
};
void samples_init(struct samples *samples);
void samples_release(struct samples *samples);

// Reads the text (Prometheus' format). Samples without a time of their own are of `now`. -EINVAL when a line that matters is
// malformed, or there is more than a node can hold.
int samples_parse(const char *text, size_t length, int64_t now, struct samples *ret_samples, struct cx_error *err)
        CX_CHECK;

struct usage {
        int64_t at, window; // ns; the later sample's time, and how long before it the other was taken
        uint64_t cpu_nano;  // cores
        uint64_t memory;    // bytes
};
// Between two samples of the same container or node. False when they say nothing: one is missing, it was started anew, or
// they are not in order.
bool usage_between(const struct sample *before, const struct sample *after, struct usage *ret_usage);
// The sample that `after` is compared with: `before`, or the container's start, when it started within `resolution` (ns) but
// at least ten seconds ago. NULL: none yet. `scratch` is room for it.
const struct sample *sample_before(const struct sample *before, const struct sample *after, int64_t resolution,
                                   struct sample *scratch);
const struct sample *pod_sample(const struct pod_samples *pod, const char *container); // NULL: none
