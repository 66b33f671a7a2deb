// SPDX-License-Identifier: Apache-2.0
// What of the machine is not for pods: systemReserved and kubeReserved, and the thresholds of evictionHard, below which the node
// reports pressure. Pods may have what is left (the node's allocatable).
#pragma once

#include "libcommon/base/flags.h"

struct node_reserved {
        int64_t milli_cpu, memory, storage, pids; // both reservations together; bytes
        struct threshold {
                int64_t amount; // bytes, inodes or processes
                double share;   // of what the machine has, where it is given in percent
        } memory_available, disk_available, inodes_free, pids_available;
        bool evicts; // evictionHard was given: its thresholds are taken off what pods may have
};
// From lists of "name=quantity" and of "signal<quantity or percent"; what is not known is refused by its name. Without
// `eviction` the thresholds are upstream's: 100 MiB of memory, 10 % of the disk, 5 % of its inodes.
int reserved_parse(const struct cx_strings *for_system, const struct cx_strings *for_kube,
                   const struct cx_strings *eviction, struct node_reserved *ret_reserved, struct cx_error *err)
        CX_CHECK;
int64_t threshold_of(const struct threshold *threshold, int64_t capacity);
// What is left for pods; 0 when all of it is reserved.
int64_t reserved_leave_memory(const struct node_reserved *reserved, int64_t capacity);
int64_t reserved_leave_storage(const struct node_reserved *reserved, int64_t capacity);
int64_t reserved_leave_cpu(const struct node_reserved *reserved, int64_t milli);
