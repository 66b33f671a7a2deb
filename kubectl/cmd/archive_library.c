// SPDX-License-Identifier: Apache-2.0
#define ARCHIVE_LIBRARY_ITSELF
#include "kubectl/cmd/archive_library.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#define LIBRARY "libarchive.so.13"

struct archive_library archive_library;

int archive_library_load(struct cx_error *err)
{
        static void *library; // for as long as the process lives
        if (library)
                return 0;
        void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
        if (!handle)
                return cx_error_set(err, -ENOENT, "cp needs libarchive: %s", dlerror());
        const char *missing = NULL;
#define X(name)                                                                                                        \
        {                                                                                                              \
                void *found = dlsym(handle, #name);                                                                    \
                memcpy(&archive_library.name, &found, sizeof found);                                                   \
                missing = found ? missing : #name;                                                                     \
        }
        ARCHIVE_FUNCTIONS(X)
#undef X
        if (missing)
                return cx_error_set(err, -ENOENT, "cp needs libarchive, and " LIBRARY " has no %s", missing);
        library = handle;
        return 0;
}
