// SPDX-License-Identifier: Apache-2.0
// A cron expression, and after a zero byte the file of the time zone that it is in.
#include "libcommon/api/cron.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const int64_t moments[] = {INT64_MIN, 0, INT64_C(1795235340), INT64_C(1) << 40, INT64_MAX - 1};
        CX_CLEANUP(cx_freep) char *text = cx_strndup((const char *)data, size);
        size_t length = strlen(text) + (strlen(text) < size);
        CX_CLEANUP(cx_timezone_freep) struct cx_timezone *zone = NULL;
        struct cx_cron cron;
        if (cx_timezone_parse(data + length, size - length, &zone) < 0 && cx_timezone_load("UTC", &zone) < 0)
                return 0;
        if (cx_cron_parse(text, &cron, NULL) < 0)
                return 0;
        for (size_t i = 0; i < CX_ARRAY_SIZE(moments); i++) {
                int64_t next;
                (void)cx_cron_next(&cron, zone, moments[i], &next);
        }
        return 0;
}
