// SPDX-License-Identifier: Apache-2.0
// How containers and processes are told apart from others that were here before.
#include "kubelet/runtime/identity.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/random.h"

void runtime_new_id(char to[65])
{
        unsigned char raw[32];
        cx_random_bytes(raw, sizeof raw);
        for (size_t i = 0; i < sizeof raw; i++)
                snprintf(to + 2 * i, 3, "%02x", raw[i]);
}

uint64_t pid_start(pid_t pid)
{
        if (pid <= 0)
                return 0;
        char path[40];
        snprintf(path, sizeof path, "/proc/%d/stat", pid);
        CX_BUF text = CX_BUF_INIT_MAX(4096);
        if (cx_buf_read_file(&text, path) < 0)
                return 0;
        const char *p = strrchr(text.data, ')'); // the name before may hold anything
        char state = 0;
        unsigned long long start = 0;
        if (!p || sscanf(p + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                         &state, &start) != 2)
                return 0;
        return state == 'Z' || state == 'X' ? 0 : start;
}
