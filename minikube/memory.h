// SPDX-License-Identifier: Apache-2.0
// How much memory there is for a cluster.
#pragma once

#include <stdint.h>

// In bytes: the machine's, or less when this process' control group may have less. `group`: the path of a file like
// /proc/self/cgroup; `root`: where control groups are mounted.
int64_t memory_of_machine(const char *group, const char *root);
