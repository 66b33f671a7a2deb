// SPDX-License-Identifier: Apache-2.0
#include "kubectl/ctl/plugin.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/strings.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static char *find(const char *name)
{
        CX_STRINGS folders = CX_STRINGS_INIT;
        const char *path = getenv("PATH");
        cx_strings_split(&folders, path ? path : "", ':');
        for (size_t i = 0; i < folders.count; i++) {
                CX_CLEANUP(cx_freep) char *file = cx_sprintf("%s/%s", folders.items[i], name);
                struct stat st;
                if (*folders.items[i] && stat(file, &st) == 0 && S_ISREG(st.st_mode) && access(file, X_OK) == 0)
                        return cx_steal(&file);
        }
        return NULL;
}

void plugin_exec(int argc, char **argv)
{
        int words = 1;
        while (words < argc && *argv[words] != '-')
                words++;
        for (int n = words - 1; n > 0; n--) {
                CX_BUF name = CX_BUF_INIT;
                cx_buf_add(&name, "kubectl");
                for (int i = 1; i <= n; i++) {
                        cx_buf_add_char(&name, '-');
                        for (const char *p = argv[i]; *p; p++)
                                cx_buf_add_char(&name, *p == '-' ? '_' : *p);
                }
                CX_CLEANUP(cx_freep) char *file = strchr(name.data, '/') ? NULL : find(name.data);
                if (!file)
                        continue;
                argv[n] = file;
                execv(file, &argv[n]);
                fprintf(stderr, "error: cannot run %s: %s\n", file, strerror(errno));
                _exit(1);
        }
}
