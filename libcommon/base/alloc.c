// SPDX-License-Identifier: Apache-2.0
// Memory that is there or the process ends.
#include "libcommon/base/alloc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static void *checked(void *p)
{
        if (!p) {
                static const char message[] = "out of memory\n";
                if (write(STDERR_FILENO, message, sizeof message - 1) < 0)
                        abort();
                abort();
        }
        return p;
}

void *cx_alloc(size_t size)
{
        return checked(calloc(1, size ? size : 1));
}

void *cx_alloc_array(size_t count, size_t size)
{
        return checked(calloc(count ? count : 1, size ? size : 1));
}

void *cx_realloc_array(void *p, size_t count, size_t size)
{
        return checked(reallocarray(p, count ? count : 1, size ? size : 1));
}

char *cx_strdup(const char *text)
{
        return text ? checked(strdup(text)) : NULL;
}

char *cx_strndup(const char *text, size_t length)
{
        return checked(strndup(text, length));
}

char *cx_sprintf(const char *format, ...)
{
        va_list args;
        char *text = NULL;
        va_start(args, format);
        int n = vasprintf(&text, format, args);
        va_end(args);
        return checked(n < 0 ? NULL : text);
}

bool cx_copy_string(char *to, size_t size, const char *from)
{
        size_t length = strlen(from);
        bool fits = length < size;
        if (!fits)
                length = size - 1;
        memcpy(to, from, length);
        to[length] = '\0';
        return fits;
}

bool cx_has_prefix(const char *text, const char *prefix)
{
        return text && strncmp(text, prefix, strlen(prefix)) == 0;
}

bool cx_has_suffix(const char *text, const char *suffix)
{
        if (!text)
                return false;
        size_t n = strlen(text), m = strlen(suffix);
        return n >= m && memcmp(text + n - m, suffix, m) == 0;
}

int cx_parse_int(const char *text, int64_t min, int64_t max, int64_t *ret_value)
{
        if (!text || !*text || !((*text >= '0' && *text <= '9') || *text == '-'))
                return -EINVAL;
        char *end = NULL;
        errno = 0;
        long long value = strtoll(text, &end, 10);
        if (errno == ERANGE)
                return -ERANGE;
        if (*end || end == text)
                return -EINVAL;
        if (value < min || value > max)
                return -ERANGE;
        *ret_value = value;
        return 0;
}

bool cx_equal_constant_time(const void *a, size_t a_len, const void *b, size_t b_len)
{
        if (a_len != b_len)
                return false;
        const volatile unsigned char *x = a, *y = b;
        unsigned char difference = 0;
        for (size_t i = 0; i < a_len; i++)
                difference |= (unsigned char)(x[i] ^ y[i]);
        return difference == 0;
}

const char *cx_int_text(char *to, int64_t value)
{
        (void)snprintf(to, 24, "%" PRId64, value);
        return to;
}
