// SPDX-License-Identifier: Apache-2.0
// Helpers of the schema's tests: JSON written with single quotes, compared as values.
#pragma once

#include "libcommon/schema/engine.h"
#include "test/unit/quoted_json.h"

static inline void assert_json(const json_t *got, const char *wanted)
{
        json_auto_t *want = quoted_json(wanted);
        if (json_equal(got, want))
                return;
        char *text = json_dumps(got, JSON_COMPACT | JSON_ENCODE_ANY);
        print_error("got  %s\nwant %s\n", text, wanted);
        free(text);
        fail();
}
