// SPDX-License-Identifier: Apache-2.0
// Looks into JSON text without building a tree: the watch cache and the informers take a few members out of objects that
// they otherwise pass on as bytes. The text must be valid JSON (it was parsed when it was written); on anything else the
// functions return "absent", never read past the end and never loop.
#pragma once

#include "libcommon/base/buf.h"

struct cx_slice {
        const char *data; // into the scanned text; NULL: absent
        size_t length;
};

struct cx_scan {
        const char *p, *end;
};

// Begins to walk an object's members; false when the text at hand is no object.
bool cx_scan_object(struct cx_scan *scan, struct cx_slice object);
// Next member: ret_key is the raw key without quotes, ret_value the raw value. False at the end.
bool cx_scan_member(struct cx_scan *scan, struct cx_slice *ret_key, struct cx_slice *ret_value);
bool cx_scan_array(struct cx_scan *scan, struct cx_slice array);
bool cx_scan_element(struct cx_scan *scan, struct cx_slice *ret_value);

// The raw value at a dotted path of object keys.
struct cx_slice cx_scan_path(struct cx_slice json, const char *path);
// A raw string value with its escapes undone; NULL when the value is no string. Owned by the caller.
char *cx_scan_string(struct cx_slice value);
// A scalar as a field selector compares it: strings unescaped, numbers and booleans as they stand. NULL otherwise.
char *cx_scan_scalar(struct cx_slice value);
bool cx_slice_equals(struct cx_slice slice, const char *text);
