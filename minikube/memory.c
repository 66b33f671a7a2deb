// SPDX-License-Identifier: Apache-2.0
// A limit may be set on the control group of this process or on one above it. v1 says what follows from all of them, and has no
// group of v2 with a controller of memory; v2 says it group by group.
#include "minikube/memory.h"

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/flags.h"

#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

// The number behind `key` in a file; that of a file without keys for "". Anything else, as "max", is no limit.
static int64_t limit_in(const char *path, const char *key)
{
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        CX_STRINGS lines = CX_STRINGS_INIT;
        size_t length = strlen(key);
        int64_t value;
        if (cx_buf_read_file(&text, path) < 0)
                return INT64_MAX;
        cx_strings_split(&lines, text.data, '\n');
        for (size_t i = 0; i < lines.count; i++)
                if (strncmp(lines.items[i], key, length) == 0 &&
                    cx_parse_int(lines.items[i] + length, 0, INT64_MAX, &value) == 0)
                        return value;
        return INT64_MAX;
}

static int64_t least(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

static int64_t limit_v1(const char *root, const char *group)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/memory%s/memory.stat", root, group);
        return limit_in(path, "hierarchical_memory_limit ");
}

static int64_t limit_v2(const char *root, const char *group)
{
        CX_CLEANUP(cx_freep) char *above = cx_strdup(group);
        int64_t limit = INT64_MAX;
        for (char *slash; (slash = strrchr(above, '/')); *slash = '\0') {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s%s/memory.max", root, above);
                limit = least(limit, limit_in(path, ""));
        }
        return limit;
}

int64_t memory_of_machine(const char *group, const char *root)
{
        struct sysinfo info;
        int64_t memory = sysinfo(&info) == 0 ? (int64_t)info.totalram * info.mem_unit : INT64_MAX;
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        CX_STRINGS lines = CX_STRINGS_INIT;
        if (cx_buf_read_file(&text, group) < 0)
                return memory;
        cx_strings_split(&lines, text.data, '\n');
        for (size_t i = 0; i < lines.count; i++) { // "4:memory:/group", "0::/group"
                char *controllers = strchr(lines.items[i], ':');
                char *path = controllers ? strchr(controllers + 1, ':') : NULL;
                if (!path || path[1] != '/')
                        continue;
                *path++ = '\0';
                if (strcmp(controllers, ":memory") == 0)
                        memory = least(memory, limit_v1(root, path));
                else if (strcmp(controllers, ":") == 0)
                        memory = least(memory, limit_v2(root, path));
        }
        return memory;
}
