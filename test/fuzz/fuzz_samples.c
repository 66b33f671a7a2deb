// SPDX-License-Identifier: Apache-2.0
// What a kubelet says of its use, as metrics-server reads it, over any bytes.
#include "addons/metrics-server/samples.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CX_CLEANUP(cx_freep) char *text = cx_strndup((const char *)data, size);
        struct samples samples;
        samples_init(&samples);
        (void)!samples_parse(text, size, 1, &samples, NULL);
        samples_release(&samples);
        return 0;
}
