// SPDX-License-Identifier: Apache-2.0
#include "minikube/tools.h"

#include "libcommon/base/strings.h"

static bool is_in_path(const char *program)
{
        CX_STRINGS folders = CX_STRINGS_INIT;
        cx_strings_split(&folders, cx_str(getenv("PATH")), ':');
        for (size_t i = 0; i < folders.count; i++) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folders.items[i], program);
                if (access(path, X_OK) == 0)
                        return true;
        }
        return false;
}

int tool_check(const char *program, const char *package, struct cx_error *err)
{
        if (is_in_path(program))
                return 0;
        return cx_error_set(err, -ENOPKG, "PROVIDER_NOT_FOUND: %s is missing: apt-get install %s", program, package);
}
