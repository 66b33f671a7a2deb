// SPDX-License-Identifier: Apache-2.0
// resource.Quantity: exact decimal numbers with SI and binary suffixes ("100m", "1Gi", "1e3", "0.5").
// Kept as a whole number of nanos (10^-9, the least that Kubernetes keeps) in 128 bits. Any thread may call.
#pragma once

#include "libcommon/base/macro.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum cx_quantity_format { CX_QUANTITY_DECIMAL, CX_QUANTITY_BINARY, CX_QUANTITY_EXPONENT };
struct cx_quantity {
        __int128 nano; // value * 10^9, rounded up as upstream rounds
        enum cx_quantity_format format;
};
#define CX_QUANTITY_TEXT 48

int cx_quantity_parse(const char *text, struct cx_quantity *ret_quantity) CX_CHECK;        // 0, -EINVAL, -ERANGE
int cx_quantity_from_json(const json_t *value, struct cx_quantity *ret_quantity) CX_CHECK; // strings and numbers
void cx_quantity_format(const struct cx_quantity *quantity, char to[CX_QUANTITY_TEXT]);    // canonical
int64_t cx_quantity_value(const struct cx_quantity *quantity); // rounded up to whole units, saturating
int64_t cx_quantity_milli(const struct cx_quantity *quantity); // rounded up to thousandths, saturating
bool cx_quantity_is_whole(const struct cx_quantity *quantity);
void cx_quantity_round_milli(struct cx_quantity *quantity); // to thousandths, away from zero
int cx_quantity_compare(const struct cx_quantity *a, const struct cx_quantity *b);
void cx_quantity_add(struct cx_quantity *to, const struct cx_quantity *other);
void cx_quantity_subtract(struct cx_quantity *from, const struct cx_quantity *other);
// Shorthands: the value of `text` or of a json string; 0 when it does not parse.
int64_t cx_quantity_milli_of(const json_t *value);
int64_t cx_quantity_value_of(const json_t *value);
