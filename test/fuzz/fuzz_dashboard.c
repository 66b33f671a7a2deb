// SPDX-License-Identifier: Apache-2.0
// What anybody may send the dashboard: hosts, paths and logins.
#include "addons/dashboard/guard.h"
#include "addons/dashboard/login.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const struct cx_strings none = CX_STRINGS_INIT;
        CX_CLEANUP(cx_freep) char *text = cx_alloc(size + 1);
        CX_BUF path = CX_BUF_INIT_MAX(16384);
        LOGIN login = {0}, other = {0};
        memcpy(text, data, size);
        (void)guard_host_is_ours(text, &none);
        if (guard_path(text, &path, NULL) == 0 && (strstr(path.data, "/../") || strstr(path.data, "//")))
                abort();
        (void)!login_read(NULL, text, size, &login, NULL);
        (void)!login_from_kubeconfig(text, &other, NULL);
        return 0;
}
