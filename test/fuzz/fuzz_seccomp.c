// SPDX-License-Identifier: Apache-2.0
// Seccomp profiles of a node. One that is taken stays one when it is written and read again.
#include "kubelet/runtime/seccomp.h"
#include "libcommon/format/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        json_auto_t *profile = NULL, *again = NULL;
        if (seccomp_parse((const char *)data, size, &profile, NULL) < 0)
                return 0;
        CX_CLEANUP(cx_freep) char *text = cx_json_text(profile);
        if (seccomp_parse(text, strlen(text), &again, NULL) < 0)
                abort();
        return 0;
}
