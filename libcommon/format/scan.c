// SPDX-License-Identifier: Apache-2.0
// Walking raw JSON.
#include "libcommon/format/scan.h"

#define MAX_DEPTH 1000

static void skip_blank(struct cx_scan *scan)
{
        while (scan->p < scan->end && (*scan->p == ' ' || *scan->p == '\n' || *scan->p == '\t' || *scan->p == '\r'))
                scan->p++;
}

static bool take(struct cx_scan *scan, char c)
{
        skip_blank(scan);
        if (scan->p >= scan->end || *scan->p != c)
                return false;
        scan->p++;
        return true;
}

// At the opening quote; ends behind the closing one.
static bool skip_string(struct cx_scan *scan)
{
        for (const char *p = scan->p + 1; p < scan->end; p++) {
                p = memchr(p, '"', (size_t)(scan->end - p));
                if (!p)
                        return false;
                size_t backslashes = 0;
                while (p[-1 - (ptrdiff_t)backslashes] == '\\')
                        backslashes++; // stops at the opening quote at the latest
                if (backslashes % 2 == 0) {
                        scan->p = p + 1;
                        return true;
                }
        }
        return false;
}

static bool skip_nested(struct cx_scan *scan)
{
        int depth = 0;
        while (scan->p < scan->end) {
                char c = *scan->p;
                if (c == '"') {
                        if (!skip_string(scan))
                                return false;
                        continue;
                }
                scan->p++;
                if (c == '{' || c == '[') {
                        if (++depth > MAX_DEPTH)
                                return false;
                } else if ((c == '}' || c == ']') && --depth == 0) {
                        return true;
                }
        }
        return false;
}

static bool skip_value(struct cx_scan *scan, struct cx_slice *ret_value)
{
        skip_blank(scan);
        if (scan->p >= scan->end)
                return false;
        const char *start = scan->p;
        bool good = true;
        if (*start == '"')
                good = skip_string(scan);
        else if (*start == '{' || *start == '[')
                good = skip_nested(scan);
        else
                while (scan->p < scan->end && !strchr(",}] \n\t\r", *scan->p))
                        scan->p++;
        *ret_value = (struct cx_slice){start, (size_t)(scan->p - start)};
        return good && ret_value->length;
}

static bool open(struct cx_scan *scan, struct cx_slice json, char c)
{
        if (!json.data)
                return false;
        *scan = (struct cx_scan){.p = json.data, .end = json.data + json.length};
        return take(scan, c);
}

bool cx_scan_object(struct cx_scan *scan, struct cx_slice object)
{
        return open(scan, object, '{');
}

bool cx_scan_array(struct cx_scan *scan, struct cx_slice array)
{
        return open(scan, array, '[');
}

bool cx_scan_element(struct cx_scan *scan, struct cx_slice *ret_value)
{
        (void)take(scan, ',');
        skip_blank(scan);
        if (scan->p >= scan->end || *scan->p == ']')
                return false;
        return skip_value(scan, ret_value);
}

bool cx_scan_member(struct cx_scan *scan, struct cx_slice *ret_key, struct cx_slice *ret_value)
{
        struct cx_slice key;
        (void)take(scan, ',');
        skip_blank(scan);
        if (scan->p >= scan->end || *scan->p != '"' || !skip_value(scan, &key) || !take(scan, ':'))
                return false;
        *ret_key = (struct cx_slice){key.data + 1, key.length - 2};
        return skip_value(scan, ret_value);
}

bool cx_slice_equals(struct cx_slice slice, const char *text)
{
        return slice.data && strlen(text) == slice.length && memcmp(slice.data, text, slice.length) == 0;
}

struct cx_slice cx_scan_path(struct cx_slice json, const char *path)
{
        while (*path) {
                size_t length = strcspn(path, ".");
                struct cx_scan scan;
                struct cx_slice key, value = {0}, found = {0};
                if (!cx_scan_object(&scan, json))
                        return found;
                while (cx_scan_member(&scan, &key, &value))
                        if (key.length == length && memcmp(key.data, path, length) == 0) {
                                found = value;
                                break;
                        }
                if (!found.data)
                        return found;
                json = found;
                path += length + (path[length] == '.');
        }
        return json;
}

static int hex4(const char *p)
{
        int value = 0;
        for (int i = 0; i < 4; i++) {
                char c = p[i];
                int digit = c >= '0' && c <= '9'   ? c - '0'
                            : c >= 'a' && c <= 'f' ? c - 'a' + 10
                            : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                   : -1;
                if (digit < 0)
                        return -1;
                value = value * 16 + digit;
        }
        return value;
}

static char *put_utf8(char *to, int code)
{
        if (code < 0x80) {
                *to++ = (char)code;
        } else if (code < 0x800) {
                *to++ = (char)(0xc0 | code >> 6);
                *to++ = (char)(0x80 | (code & 0x3f));
        } else if (code < 0x10000) {
                *to++ = (char)(0xe0 | code >> 12);
                *to++ = (char)(0x80 | (code >> 6 & 0x3f));
                *to++ = (char)(0x80 | (code & 0x3f));
        } else {
                *to++ = (char)(0xf0 | code >> 18);
                *to++ = (char)(0x80 | (code >> 12 & 0x3f));
                *to++ = (char)(0x80 | (code >> 6 & 0x3f));
                *to++ = (char)(0x80 | (code & 0x3f));
        }
        return to;
}

char *cx_scan_string(struct cx_slice value)
{
        if (!value.data || value.length < 2 || value.data[0] != '"')
                return NULL;
        const char *p = value.data + 1, *end = value.data + value.length - 1;
        char *text = cx_alloc(value.length), *to = text;
        while (p < end) {
                if (*p != '\\' || p + 1 >= end) {
                        *to++ = *p++;
                        continue;
                }
                static const char from_codes[] = "bfnrt", to_codes[] = "\b\f\n\r\t";
                char c = p[1];
                p += 2;
                const char *simple = strchr(from_codes, c);
                if (c == 'u' && end - p >= 4) {
                        int code = hex4(p);
                        p += 4;
                        if (code >= 0xd800 && code < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
                                int low = hex4(p + 2);
                                if (low >= 0xdc00 && low < 0xe000) {
                                        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                                        p += 6;
                                }
                        }
                        to = put_utf8(to, code > 0 ? code : 0xfffd);
                } else if (simple && c) {
                        *to++ = to_codes[simple - from_codes];
                } else {
                        *to++ = c;
                }
        }
        *to = '\0';
        return text;
}

char *cx_scan_scalar(struct cx_slice value)
{
        if (!value.data || !value.length || value.data[0] == '{' || value.data[0] == '[' ||
            cx_slice_equals(value, "null"))
                return NULL;
        return value.data[0] == '"' ? cx_scan_string(value) : cx_strndup(value.data, value.length);
}
