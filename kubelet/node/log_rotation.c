// SPDX-License-Identifier: Apache-2.0
// Rotation of container logs by rename.
#include "kubelet/node/log_rotation.h"

#include "kubelet/runtime/runtime.h"
#include "libcommon/base/log.h"

#include <dirent.h>
#include <sys/stat.h>

static void remove_old(const char *path, int max_files)
{
        const char *slash = strrchr(path, '/');
        CX_CLEANUP(cx_freep) char *folder = cx_strndup(path, (size_t)(slash - path));
        CX_CLEANUP(cx_freep) char *prefix = cx_sprintf("%s.", slash + 1);
        CX_STRINGS names = CX_STRINGS_INIT;
        DIR *dir = opendir(folder);
        struct dirent *entry;
        while (dir && (entry = readdir(dir)))
                if (cx_has_prefix(entry->d_name, prefix))
                        cx_strings_add(&names, entry->d_name);
        cx_strings_sort(&names); // stamps sort as the times do
        for (size_t i = 0; dir && i + (size_t)max_files - 1 < names.count; i++)
                (void)unlinkat(dirfd(dir), names.items[i], 0);
        if (dir)
                closedir(dir);
}

void logs_rotate(const struct kubelet *k, int64_t max_bytes, int max_files)
{
        CONTAINERS list = {0};
        runtime_containers(k->runtime, NULL, &list);
        for (size_t i = 0; i < list.count; i++) {
                const struct container *c = list.items[i];
                struct container_state state;
                struct stat st;
                container_state(k->runtime, c, &state);
                if (state.status != CONTAINER_RUNNING || stat(c->log_path, &st) < 0 || st.st_size < max_bytes)
                        continue;
                char stamp[32];
                struct tm tm;
                time_t now = time(NULL);
                gmtime_r(&now, &tm);
                strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &tm);
                CX_CLEANUP(cx_freep) char *to = cx_sprintf("%s.%s", c->log_path, stamp);
                if (rename(c->log_path, to) < 0)
                        continue;
                int r = container_reopen_log(c);
                if (r < 0) { // its monitor cannot be told: the old file stays the current one
                        cx_warn("Cannot rotate a container's log", "container", c->name, "err", strerror(-r));
                        (void)!rename(to, c->log_path);
                        continue;
                }
                remove_old(c->log_path, max_files);
        }
}
