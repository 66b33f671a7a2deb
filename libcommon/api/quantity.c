// SPDX-License-Identifier: Apache-2.0
// Decimal and binary suffixes to nanos and back.
#include "libcommon/api/quantity.h"

#include "libcommon/base/alloc.h"

#include <errno.h>
#include <stdio.h>

#define NANO ((__int128)1000000000)
// Upstream caps quantities at 2^63-1 with three decimals kept; the nano form holds all of them.
#define MAX_NANO ((__int128)INT64_MAX * NANO)

static const struct suffix {
        const char *text;
        enum cx_quantity_format format;
        int power; // of ten (decimal) or of two (binary)
} suffixes[] = {
        {"", CX_QUANTITY_DECIMAL, 0},   {"n", CX_QUANTITY_DECIMAL, -9}, {"u", CX_QUANTITY_DECIMAL, -6},
        {"m", CX_QUANTITY_DECIMAL, -3}, {"k", CX_QUANTITY_DECIMAL, 3},  {"M", CX_QUANTITY_DECIMAL, 6},
        {"G", CX_QUANTITY_DECIMAL, 9},  {"T", CX_QUANTITY_DECIMAL, 12}, {"P", CX_QUANTITY_DECIMAL, 15},
        {"E", CX_QUANTITY_DECIMAL, 18}, {"Ki", CX_QUANTITY_BINARY, 10}, {"Mi", CX_QUANTITY_BINARY, 20},
        {"Gi", CX_QUANTITY_BINARY, 30}, {"Ti", CX_QUANTITY_BINARY, 40}, {"Pi", CX_QUANTITY_BINARY, 50},
        {"Ei", CX_QUANTITY_BINARY, 60},
};

// The suffix after the digits: one of the table or an exponent. 0 or -EINVAL.
static int parse_suffix(const char *text, enum cx_quantity_format *ret_format, int *ret_power)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(suffixes); i++)
                if (strcmp(text, suffixes[i].text) == 0) {
                        *ret_format = suffixes[i].format;
                        *ret_power = suffixes[i].power;
                        return 0;
                }
        if (*text != 'e' && *text != 'E')
                return -EINVAL;
        int64_t exponent;
        text++;
        text += *text == '+';
        if (cx_parse_int(text, -30, 30, &exponent) < 0)
                return -EINVAL;
        *ret_format = CX_QUANTITY_EXPONENT;
        *ret_power = (int)exponent;
        return 0;
}

int cx_quantity_parse(const char *text, struct cx_quantity *ret_quantity)
{
        if (!text)
                return -EINVAL;
        const char *p = text;
        bool negative = *p == '-';
        p += *p == '-' || *p == '+';
        __int128 digits = 0;
        int decimals = 0;
        bool any = false, point = false, dropped = false;
        for (; (*p >= '0' && *p <= '9') || (*p == '.' && !point); p++) {
                if (*p == '.') {
                        point = true;
                        continue;
                }
                any = true;
                if (digits > MAX_NANO) {
                        if (!point)
                                return -ERANGE;
                        dropped |= *p != '0';
                        continue;
                }
                digits = digits * 10 + (*p - '0');
                decimals += point;
        }
        enum cx_quantity_format format;
        int power;
        if (!any || strlen(p) > 8 || parse_suffix(p, &format, &power) < 0)
                return -EINVAL;
        if (format == CX_QUANTITY_BINARY) {
                for (; power > 0 && digits <= MAX_NANO; power--)
                        digits *= 2;
                if (power > 0)
                        return digits ? -ERANGE : -EINVAL;
        }
        int shift = 9 - decimals + power;
        for (; shift > 0; shift--) {
                if (digits > MAX_NANO)
                        return -ERANGE;
                digits *= 10;
        }
        for (; shift < 0; shift++) {
                dropped |= digits % 10 != 0;
                digits /= 10;
        }
        digits += dropped; // rounded away from zero, as upstream does below nano
        if (digits > MAX_NANO)
                digits = MAX_NANO;
        ret_quantity->nano = negative ? -digits : digits;
        ret_quantity->format = format;
        return 0;
}

int cx_quantity_from_json(const json_t *value, struct cx_quantity *ret_quantity)
{
        if (json_is_string(value))
                return cx_quantity_parse(json_string_value(value), ret_quantity);
        char text[64];
        if (json_is_integer(value))
                (void)snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        else if (json_is_real(value))
                (void)snprintf(text, sizeof text, "%.9f", json_real_value(value));
        else
                return -EINVAL;
        return cx_quantity_parse(text, ret_quantity);
}

static void format_number(__int128 value, const char *suffix, char to[CX_QUANTITY_TEXT])
{
        char digits[48];
        size_t n = 0;
        bool negative = value < 0;
        unsigned __int128 u = negative ? -(unsigned __int128)value : (unsigned __int128)value;
        do
                digits[n++] = (char)('0' + (int)(u % 10));
        while ((u /= 10));
        char *p = to;
        if (negative)
                *p++ = '-';
        while (n)
                *p++ = digits[--n];
        (void)snprintf(p, CX_QUANTITY_TEXT - (size_t)(p - to), "%s", suffix);
}

static bool format_binary(__int128 nano, char to[CX_QUANTITY_TEXT])
{
        __int128 whole = nano / NANO;
        if (nano % NANO || (whole > -1024 && whole < 1024))
                return false;
        size_t best = 0;
        for (size_t i = 0; i < CX_ARRAY_SIZE(suffixes); i++)
                if (suffixes[i].format == CX_QUANTITY_BINARY && whole % ((__int128)1 << suffixes[i].power) == 0)
                        best = i;
        if (!best) {
                format_number(whole, "", to);
                return true;
        }
        format_number(whole / ((__int128)1 << suffixes[best].power), suffixes[best].text, to);
        return true;
}

void cx_quantity_format(const struct cx_quantity *quantity, char to[CX_QUANTITY_TEXT])
{
        __int128 mantissa = quantity->nano;
        if (mantissa == 0) {
                format_number(0, "", to);
                return;
        }
        if (quantity->format == CX_QUANTITY_BINARY && format_binary(mantissa, to))
                return;
        int power = -9;
        while (power < 18 && mantissa % 1000 == 0) {
                mantissa /= 1000;
                power += 3;
        }
        if (quantity->format == CX_QUANTITY_EXPONENT) {
                char suffix[8];
                (void)snprintf(suffix, sizeof suffix, power ? "e%d" : "", power);
                format_number(mantissa, suffix, to);
                return;
        }
        for (size_t i = 0; i < CX_ARRAY_SIZE(suffixes); i++)
                if (suffixes[i].format == CX_QUANTITY_DECIMAL && suffixes[i].power == power)
                        format_number(mantissa, suffixes[i].text, to);
}

static int64_t round_up(__int128 value, __int128 unit)
{
        __int128 result = value / unit;
        if (value % unit > 0)
                result++;
        return result > INT64_MAX ? INT64_MAX : result < INT64_MIN ? INT64_MIN : (int64_t)result;
}

int64_t cx_quantity_value(const struct cx_quantity *quantity)
{
        return round_up(quantity->nano, NANO);
}

int64_t cx_quantity_milli(const struct cx_quantity *quantity)
{
        return round_up(quantity->nano, NANO / 1000);
}

bool cx_quantity_is_whole(const struct cx_quantity *quantity)
{
        return quantity->nano % NANO == 0;
}

void cx_quantity_round_milli(struct cx_quantity *quantity)
{
        __int128 rest = quantity->nano % (NANO / 1000);
        if (rest)
                quantity->nano += (rest > 0 ? NANO / 1000 : -NANO / 1000) - rest;
}

int cx_quantity_compare(const struct cx_quantity *a, const struct cx_quantity *b)
{
        return a->nano < b->nano ? -1 : a->nano > b->nano;
}

void cx_quantity_add(struct cx_quantity *to, const struct cx_quantity *other)
{
        if (to->nano == 0)
                to->format = other->format;
        to->nano += other->nano;
}

void cx_quantity_subtract(struct cx_quantity *from, const struct cx_quantity *other)
{
        if (from->nano == 0)
                from->format = other->format;
        from->nano -= other->nano;
}

int64_t cx_quantity_milli_of(const json_t *value)
{
        struct cx_quantity quantity;
        return cx_quantity_from_json(value, &quantity) < 0 ? 0 : cx_quantity_milli(&quantity);
}

int64_t cx_quantity_value_of(const json_t *value)
{
        struct cx_quantity quantity;
        return cx_quantity_from_json(value, &quantity) < 0 ? 0 : cx_quantity_value(&quantity);
}
