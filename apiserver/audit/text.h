// SPDX-License-Identifier: Apache-2.0
// JSON written as it goes, since an event is made for every request: members in the order in which they are put. Text from outside
// that is no UTF-8 is shown with U+FFFD for what is none: nothing of it may make a member, or the event, disappear.
#pragma once

#include "libcommon/base/buf.h"

#include <jansson.h>

void text_string(struct cx_buf *to, const char *text); // with its quotes
// `"key":`, with a comma before it when it is not the first of its object.
void text_key(struct cx_buf *to, const char *key);
void text_member(struct cx_buf *to, const char *key, const char *value); // nothing when the value is NULL or empty
void text_json(struct cx_buf *to, const char *key, const json_t *value); // nothing when it is NULL
