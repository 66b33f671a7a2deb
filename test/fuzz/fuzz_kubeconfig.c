// SPDX-License-Identifier: Apache-2.0
#include "libcommon/client/kubeconfig.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CX_KUBECONFIG config = CX_KUBECONFIG_INIT;
        CX_CREDENTIALS credentials = CX_CREDENTIALS_INIT;
        if (cx_kubeconfig_parse((const char *)data, size, &config, NULL) == 0)
                (void)!cx_kubeconfig_resolve(&config, &(struct cx_kubeconfig_overrides){.client_key = "/dev/null"},
                                             &credentials, NULL);
        return 0;
}
