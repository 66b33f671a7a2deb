// SPDX-License-Identifier: Apache-2.0
// How much disk containers take: what they have written into their layer, and their logs. It is counted file by file.
#pragma once

#include "kubelet/runtime/runtime.h"

struct disk_use {
        int64_t layer_bytes, layer_inodes, log_bytes, log_inodes; // logs: of all runs of the container
        int64_t taken;                                            // µs, wall clock
};
// Counts now; blocks.
struct disk_use disk_use_of(const struct container *container);

// Counts all containers once a minute on a thread of its own, as long as somebody asks, and rests for at least twenty times
// as long as the counting took.
struct disk_uses;
struct disk_uses *disk_uses_new(struct runtime *runtime);
void disk_uses_free(struct disk_uses *uses);
// What was counted last of a container; false when it was not yet. Any thread.
bool disk_uses_get(struct disk_uses *uses, const char *id, struct disk_use *ret_use);
