// SPDX-License-Identifier: Apache-2.0
// The bytes of a TZif file.
#include "libcommon/base/timezone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const int64_t moments[] = {INT64_MIN, -1, 0, INT64_C(1795235340), INT64_C(1) << 40, INT64_MAX};
        CX_CLEANUP(cx_timezone_freep) struct cx_timezone *zone = NULL;
        if (cx_timezone_parse(data, size, &zone) < 0)
                return 0;
        for (size_t i = 0; i < CX_ARRAY_SIZE(moments); i++) {
                struct cx_wall_clock clock = cx_wall_clock_at(zone, moments[i]);
                cx_wall_clock_moment(zone, &clock);
        }
        return 0;
}
