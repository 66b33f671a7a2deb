// SPDX-License-Identifier: Apache-2.0
// Helpers of the schema's tests: JSON written with single quotes, compared as values.
#pragma once

#include "base/alloc.h"
#include "schema/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static inline json_t *parse(const char *text)
{
        CX_CLEANUP(cx_freep) char *copy = cx_strdup(text);
        for (char *c = copy; *c; c++)
                if (*c == '\'')
                        *c = '"';
        json_error_t error;
        json_t *json = json_loads(copy, JSON_DECODE_ANY, &error);
        if (!json)
                fail_msg("%s in %s", error.text, text);
        return json;
}

static inline void assert_json(const json_t *got, const char *wanted)
{
        json_auto_t *want = parse(wanted);
        if (json_equal(got, want))
                return;
        char *text = json_dumps(got, JSON_COMPACT | JSON_ENCODE_ANY);
        print_error("got  %s\nwant %s\n", text, wanted);
        free(text);
        fail();
}
