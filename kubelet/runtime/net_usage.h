// SPDX-License-Identifier: Apache-2.0
// What went over the interfaces of a network namespace, as a process in it sees them. Any thread may call.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct net_usage {
        char interface[16];
        uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped, tx_bytes, tx_packets, tx_errors, tx_dropped;
};
#define MAX_INTERFACES 16
// All but the loopback, MAX_INTERFACES at most; 0 when the process is gone. pid 0: of this process.
size_t net_usage_read(pid_t pid, struct net_usage to[MAX_INTERFACES]);
