// SPDX-License-Identifier: Apache-2.0
// intstr.IntOrString.
#include "libcommon/api/intstr.h"

#include "libcommon/base/alloc.h"

#include <errno.h>
#include <string.h>

int cx_int_or_percent(const json_t *value, int64_t total, bool round_up, int64_t *ret_value)
{
        if (json_is_integer(value)) {
                *ret_value = json_integer_value(value);
                return 0;
        }
        const char *text = json_string_value(value);
        if (!cx_has_suffix(text, "%") || strlen(text) > 10)
                return -EINVAL;
        CX_CLEANUP(cx_freep) char *number = cx_strndup(text, strlen(text) - 1);
        int64_t percent;
        if (cx_parse_int(number, 0, 1000000, &percent) < 0)
                return -EINVAL;
        *ret_value = (percent * total + (round_up ? 99 : 0)) / 100;
        return 0;
}
