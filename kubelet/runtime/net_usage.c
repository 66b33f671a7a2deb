// SPDX-License-Identifier: Apache-2.0
// /proc/PID/net/dev: "eth0: BYTES PACKETS ERRORS DROPPED …" received, then the same sent, eight columns each.
#include "kubelet/runtime/net_usage.h"

#include "libcommon/base/buf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool read_line(const char *line, struct net_usage *to)
{
        line += strspn(line, " ");
        size_t length = strcspn(line, ":\n");
        if (line[length] != ':' || !length || length >= sizeof to->interface)
                return false;
        memcpy(to->interface, line, length);
        to->interface[length] = '\0';
        return sscanf(line + length + 1,
                      "%" SCNu64 "%" SCNu64 "%" SCNu64 "%" SCNu64 "%*u%*u%*u%*u%" SCNu64 "%" SCNu64 "%" SCNu64
                      "%" SCNu64,
                      &to->rx_bytes, &to->rx_packets, &to->rx_errors, &to->rx_dropped, &to->tx_bytes, &to->tx_packets,
                      &to->tx_errors, &to->tx_dropped) == 8;
}

size_t net_usage_read(pid_t pid, struct net_usage to[MAX_INTERFACES])
{
        char path[64] = "/proc/self/net/dev";
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        size_t count = 0;
        if (pid)
                (void)snprintf(path, sizeof path, "/proc/%d/net/dev", (int)pid);
        if (cx_buf_read_file(&text, path) < 0)
                return 0;
        for (const char *line = text.data; line && count < MAX_INTERFACES;) {
                struct net_usage usage = {0};
                if (read_line(line, &usage) && strcmp(usage.interface, "lo") != 0)
                        to[count++] = usage;
                line = strchr(line, '\n');
                line = line ? line + 1 : NULL;
        }
        return count;
}
