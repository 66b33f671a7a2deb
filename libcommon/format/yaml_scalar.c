// SPDX-License-Identifier: Apache-2.0
// What a plain scalar of YAML 1.1 means, by the rules of go-yaml v2, and which texts need quotes to stay texts.
#include "libcommon/format/yaml_scalar.h"

#include "libcommon/base/alloc.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#define MAX_NUMBER 400 // bytes; what is longer is text

static const struct {
        const char *text;
        struct cx_yaml_scalar is;
} words[] = {
        {"", {.kind = CX_YAML_NULL}},
        {"~", {.kind = CX_YAML_NULL}},
        {"null", {.kind = CX_YAML_NULL}},
        {"Null", {.kind = CX_YAML_NULL}},
        {"NULL", {.kind = CX_YAML_NULL}},
        {"y", {.kind = CX_YAML_BOOL, .integer = 1}},
        {"Y", {.kind = CX_YAML_BOOL, .integer = 1}},
        {"yes", {.kind = CX_YAML_BOOL, .integer = 1}},
        {"Yes", {.kind = CX_YAML_BOOL, .integer = 1}},
        {"YES", {.kind = CX_YAML_BOOL, .integer = 1}},
        {"on", {.kind = CX_YAML_BOOL, .integer = 1}},
        {"On", {.kind = CX_YAML_BOOL, .integer = 1}},
        {"ON", {.kind = CX_YAML_BOOL, .integer = 1}},
        {"true", {.kind = CX_YAML_BOOL, .integer = 1}},
        {"True", {.kind = CX_YAML_BOOL, .integer = 1}},
        {"TRUE", {.kind = CX_YAML_BOOL, .integer = 1}},
        {"n", {.kind = CX_YAML_BOOL}},
        {"N", {.kind = CX_YAML_BOOL}},
        {"no", {.kind = CX_YAML_BOOL}},
        {"No", {.kind = CX_YAML_BOOL}},
        {"NO", {.kind = CX_YAML_BOOL}},
        {"off", {.kind = CX_YAML_BOOL}},
        {"Off", {.kind = CX_YAML_BOOL}},
        {"OFF", {.kind = CX_YAML_BOOL}},
        {"false", {.kind = CX_YAML_BOOL}},
        {"False", {.kind = CX_YAML_BOOL}},
        {"FALSE", {.kind = CX_YAML_BOOL}},
        {".nan", {.kind = CX_YAML_FLOAT, .real = NAN}},
        {".NaN", {.kind = CX_YAML_FLOAT, .real = NAN}},
        {".NAN", {.kind = CX_YAML_FLOAT, .real = NAN}},
        {".inf", {.kind = CX_YAML_FLOAT, .real = INFINITY}},
        {".Inf", {.kind = CX_YAML_FLOAT, .real = INFINITY}},
        {".INF", {.kind = CX_YAML_FLOAT, .real = INFINITY}},
        {"+.inf", {.kind = CX_YAML_FLOAT, .real = INFINITY}},
        {"+.Inf", {.kind = CX_YAML_FLOAT, .real = INFINITY}},
        {"+.INF", {.kind = CX_YAML_FLOAT, .real = INFINITY}},
        {"-.inf", {.kind = CX_YAML_FLOAT, .real = -INFINITY}},
        {"-.Inf", {.kind = CX_YAML_FLOAT, .real = -INFINITY}},
        {"-.INF", {.kind = CX_YAML_FLOAT, .real = -INFINITY}},
        {"<<", {.kind = CX_YAML_MERGE}},
};

// --- numbers ---

static unsigned value_of(char c)
{
        if (c >= '0' && c <= '9')
                return (unsigned)(c - '0');
        c = (char)tolower((unsigned char)c);
        return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : UINT32_MAX;
}

// Takes the prefix off.
static unsigned base_of(const char **text)
{
        static const struct {
                char letter;
                unsigned base;
        } prefixes[] = {{'x', 16}, {'o', 8}, {'b', 2}};
        const char *p = *text;
        if (p[0] != '0' || !p[1])
                return 10;
        for (size_t i = 0; i < CX_ARRAY_SIZE(prefixes); i++)
                if (tolower((unsigned char)p[1]) == prefixes[i].letter) {
                        *text = p + 2;
                        return prefixes[i].base;
                }
        *text = p + 1;
        return 8;
}

// "-0x1F", without underscores. What fits no 64 bits with a sign, but without one, is a float for JSON's readers.
static bool read_integer(const char *text, struct cx_yaml_scalar *ret)
{
        bool negative = *text == '-', sign = negative || *text == '+';
        const char *p = text + sign;
        unsigned base = base_of(&p);
        uint64_t value = 0;
        if (!*p)
                return false;
        for (; *p; p++) {
                unsigned digit = value_of(*p);
                if (digit >= base || __builtin_mul_overflow(value, base, &value) ||
                    __builtin_add_overflow(value, digit, &value))
                        return false;
        }
        if (value <= (uint64_t)INT64_MAX + negative)
                *ret = (struct cx_yaml_scalar){.kind = CX_YAML_INT, .integer = (int64_t)(negative ? -value : value)};
        else if (!sign)
                *ret = (struct cx_yaml_scalar){.kind = CX_YAML_FLOAT, .real = (double)value};
        else
                return false;
        return true;
}

static const char *skip_digits(const char *p)
{
        return p + strspn(p, "0123456789");
}

static const char *skip_sign(const char *p)
{
        return p + (*p == '-' || *p == '+');
}

// [-+]? ( .5 | 5 | 5. | 5.5 ) ( e[-+]?5 )?
static bool read_float(const char *text, struct cx_yaml_scalar *ret)
{
        const char *start = skip_sign(text), *whole = skip_digits(start), *end = whole;
        if (*end == '.')
                end = skip_digits(end + 1);
        if (end == start || (whole == start && end == whole + 1))
                return false;
        if (*end == 'e' || *end == 'E') {
                const char *exponent = skip_sign(end + 1);
                end = skip_digits(exponent);
                if (end == exponent)
                        return false;
        }
        double value = strtod(text, NULL);
        if (*end || isinf(value))
                return false;
        *ret = (struct cx_yaml_scalar){.kind = CX_YAML_FLOAT, .real = value};
        return true;
}

// Whether each underscore stands between digits: only then a number may begin with its point.
static bool separates_digits(const char *text)
{
        for (const char *p = strchr(text, '_'); p; p = strchr(p + 1, '_'))
                if (p == text || !isdigit((unsigned char)p[-1]) || !isdigit((unsigned char)p[1]))
                        return false;
        return true;
}

static bool read_number(const char *text, struct cx_yaml_scalar *ret)
{
        char digits[MAX_NUMBER];
        size_t n = 0;
        bool point = *text == '.';
        if (!isdigit((unsigned char)*text) && !strchr("+-.", *text))
                return false;
        if (strlen(text) >= sizeof digits || (point && !separates_digits(text)))
                return false;
        for (const char *p = text; *p; p++)
                if (*p != '_')
                        digits[n++] = *p;
        digits[n] = 0;
        return (!point && read_integer(digits, ret)) || read_float(digits, ret);
}

struct cx_yaml_scalar cx_yaml_resolve(const char *text, size_t length)
{
        struct cx_yaml_scalar is = {.kind = CX_YAML_TEXT};
        if (strlen(text) != length)
                return is;
        for (size_t i = 0; i < CX_ARRAY_SIZE(words); i++)
                if (strcmp(text, words[i].text) == 0)
                        return words[i].is;
        (void)read_number(text, &is);
        return is;
}

// --- what others take for something else ---

// A number of `least` to `most` digits; NULL when it is not there or more than `max`.
static const char *read_part(const char *p, size_t least, size_t most, int max)
{
        size_t n = 0;
        int value = 0;
        for (; n < most && isdigit((unsigned char)p[n]); n++)
                value = value * 10 + (p[n] - '0');
        return n < least || value > max ? NULL : p + n;
}

// 2006-1-2, or with a time behind it: T15:4:5.9Z, T15:4:5-07:00, " 15:4:5"
static bool is_timestamp(const char *text)
{
        const char *p = read_part(text, 4, 4, 9999);
        if (!p || *p != '-' || !(p = read_part(p + 1, 1, 2, 12)) || *p != '-' || !(p = read_part(p + 1, 1, 2, 31)))
                return false;
        char separator = *p;
        if (!separator)
                return true;
        if (!strchr("Tt ", separator) || !(p = read_part(p + 1, 1, 2, 23)) || *p != ':' ||
            !(p = read_part(p + 1, 1, 2, 59)) || *p != ':' || !(p = read_part(p + 1, 1, 2, 59)))
                return false;
        if (*p == '.')
                p = skip_digits(p + 1);
        if (separator == ' ')
                return !*p;
        if (strcmp(p, "Z") == 0)
                return true;
        return (*p == '+' || *p == '-') && (p = read_part(p + 1, 2, 2, 24)) && *p == ':' &&
               (p = read_part(p + 1, 2, 2, 59)) && !*p;
}

// 190:20:30, which older readers multiply.
static bool is_base_60(const char *text)
{
        const char *p = skip_sign(text);
        bool parts = false;
        if (!isdigit((unsigned char)*p))
                return false;
        for (p += strspn(p, "0123456789_"); *p == ':'; parts = true)
                if (!(p = read_part(p + 1, 1, 2, 59)))
                        return false;
        if (*p == '.')
                p += 1 + strspn(p + 1, "0123456789_");
        return parts && !*p;
}

bool cx_yaml_is_taken(const char *text, size_t length)
{
        return cx_yaml_resolve(text, length).kind != CX_YAML_TEXT || is_timestamp(text) || is_base_60(text);
}
