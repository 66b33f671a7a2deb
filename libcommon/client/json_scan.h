// SPDX-License-Identifier: Apache-2.0
// A scanner that cuts JSON text into raw values without decoding it: the items of a list while it arrives in blocks, and
// the parts of a watch event. Nesting is capped; malformed text is found when the cut-out value is parsed.
#pragma once

#include "libcommon/base/buf.h"

// The length of the value at the start of text, 0 when it is not complete yet, -EINVAL when it cannot be JSON. A number
// that runs to the end of the text counts as incomplete unless `end`.
ssize_t cx_json_scan(const char *text, size_t length, bool end) CX_CHECK;

// Finds the member `key` of the object in text[0..length): its raw value. -ENOENT, -EINVAL.
int cx_json_scan_member(const char *text, size_t length, const char *key, const char **ret_value, size_t *ret_length)
        CX_CHECK;

// Splits a List object that arrives in blocks: calls `item` for the raw text of each element of "items"; everything else
// at the top (kind, metadata) is kept in `rest` as a JSON object that lacks the items.
struct cx_list_splitter {
        int (*item)(void *context, const char *text, size_t length); // negative stops
        void *context;
        struct cx_buf pending; // what is not consumed yet
        struct cx_buf rest;
        int state;
};
void cx_list_splitter_init(struct cx_list_splitter *splitter,
                           int (*item)(void *context, const char *text, size_t length), void *context);
int cx_list_splitter_feed(struct cx_list_splitter *splitter, const char *data, size_t length) CX_CHECK;
bool cx_list_splitter_done(const struct cx_list_splitter *splitter); // the list was complete
void cx_list_splitter_release(struct cx_list_splitter *splitter);
