// SPDX-License-Identifier: Apache-2.0
// JSON in C strings of tests: single quotes stand for double ones.
#pragma once

#include "libcommon/base/alloc.h"
#include "libcommon/base/macro.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

// A new reference to what the text says; the test fails when it is not JSON.
static inline json_t *quoted_json(const char *text)
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
