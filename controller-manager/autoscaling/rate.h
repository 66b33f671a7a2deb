// SPDX-License-Identifier: Apache-2.0
// How fast an autoscaler may go where its metrics point: recent recommendations hold it back (stabilization), rules limit
// its steps (behavior), and its bounds end them. Without I/O. One autoscaler's memory, for one thread at a time.
#pragma once

#include "libcommon/base/alloc.h"

#include <jansson.h>

struct rate_note {
        int64_t at; // µs
        int64_t value;
};
struct rate_notes {
        struct rate_note *items;
        size_t count;
};
// What is remembered of an autoscaler. Zeroed: nothing.
struct rate_memory {
        struct rate_notes recommendations, added, removed;
};
void rate_memory_release(struct rate_memory *memory);
// Replicas went from `before` to `after`.
void rate_note_scaling(struct rate_memory *memory, int64_t now, int64_t before, int64_t after);
// What the metrics said before the first look at them: the size that was found.
void rate_note_first(struct rate_memory *memory, int64_t now, int64_t current);

struct rate_question {
        int64_t now, current, wanted, min, max;
        const json_t *behavior;     // of the autoscaler's spec, with its defaults; NULL: none
        int64_t down_stabilization; // µs, where the behavior says none
};
struct rate_answer {
        int64_t replicas;
        const char *able_reason, *able_message; // of the condition AbleToScale
        bool limited;                           // the condition ScalingLimited
        const char *limited_reason, *limited_message;
};
// Remembers the recommendation, and says how many replicas there may be now.
void rate_apply(struct rate_memory *memory, const struct rate_question *question, struct rate_answer *ret_answer);
