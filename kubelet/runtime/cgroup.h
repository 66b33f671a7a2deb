// SPDX-License-Identifier: Apache-2.0
// Control groups by plain files: v1 hierarchies (also hybrid machines) or the v2 tree. A path is relative to the
// hierarchies' roots: "/kubepods/burstable/pod<uid>". Any thread may call.
#pragma once

#include "libcommon/base/error.h"

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

struct cgroup_limits {
        int64_t cpu_shares;   // 0: leave
        int64_t cpu_quota_us; // per 100 ms; 0: leave; -1: none
        int64_t memory;       // bytes; 0: leave; -1: none
        int64_t pids;         // 0: leave
};
struct cgroup_usage {
        uint64_t cpu_ns, cpu_user_ns, cpu_system_ns, memory_usage, memory_working_set, memory_rss, memory_cache;
        uint64_t page_faults, major_page_faults, pids;
        uint64_t periods, throttled_periods, throttled_ns; // of the CPU quota
};

bool cgroup_is_v2(void);
// Another folder (kept by the caller) than /sys/fs/cgroup, for tests; v2: taken for a v2 tree whatever it is.
void cgroup_use(const char *folder, bool v2);
int cgroup_apply(const char *path, const struct cgroup_limits *limits, struct cx_error *err) CX_CHECK;
// Kills what still runs below and removes the group with everything under it. Absent is success.
int cgroup_remove(const char *path, struct cx_error *err) CX_CHECK;
// Moves a process into the group, which is made, wherever a hierarchy takes it.
void cgroup_take_in(const char *path, pid_t pid);
int cgroup_usage(const char *path, struct cgroup_usage *ret_usage) CX_CHECK;
// The group's folder in the hierarchy of a controller (of v1; in v2 there is one for all). Owned by the caller.
char *cgroup_folder(const char *controller, const char *path);
// Sends a signal to every process below.
void cgroup_kill(const char *path, int signal);
// Names of the groups directly below (folders), added to an array of strings. New reference.
json_t *cgroup_children(const char *path);

int64_t cgroup_shares(int64_t milli_cpu); // upstream's conversion, at least 2
int64_t cgroup_quota(int64_t milli_cpu);  // µs per 100 ms, at least 1000
uint64_t cgroup_v2_weight(int64_t shares);
