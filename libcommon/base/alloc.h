// SPDX-License-Identifier: Apache-2.0
// Memory and strings. Running out of memory aborts the process with a message: no caller has a sensible answer to it,
// and every size that comes from outside is capped before it reaches an allocation. Any thread may call.
#pragma once

#include "libcommon/base/macro.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

void *cx_alloc(size_t size);                     // zeroed; owned by the caller (free)
void *cx_alloc_array(size_t count, size_t size); // zeroed, overflow-checked
void *cx_realloc_array(void *p, size_t count, size_t size);
char *cx_strdup(const char *text); // NULL gives NULL
char *cx_strndup(const char *text, size_t length);
char *cx_sprintf(const char *format, ...) CX_PRINTF(1, 2); // a new string, owned by the caller

// Copies into a fixed array, always terminated; false when it had to be cut.
bool cx_copy_string(char *to, size_t size, const char *from);

static inline bool cx_streq(const char *a, const char *b)
{
        return a == b || (a && b && strcmp(a, b) == 0);
}
bool cx_has_prefix(const char *text, const char *prefix);
bool cx_has_suffix(const char *text, const char *suffix);

// NULL as "".
static inline const char *cx_str(const char *text)
{
        return text ? text : "";
}

// Parses a whole decimal number within [min, max]; no blanks, no trailing bytes. 0, -EINVAL or -ERANGE.
int cx_parse_int(const char *text, int64_t min, int64_t max, int64_t *ret_value) CX_CHECK;

// Compares without leaking where the first difference is. Lengths are not secret.
bool cx_equal_constant_time(const void *a, size_t a_len, const void *b, size_t b_len);

// An integer as text for a log value or a message: CX_INT(n) lives until the end of the enclosing block.
const char *cx_int_text(char *to, int64_t value);
#define CX_INT(n) cx_int_text((char[24]){0}, (n))
