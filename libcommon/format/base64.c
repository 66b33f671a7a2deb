// SPDX-License-Identifier: Apache-2.0
// Base64 (RFC 4648), both alphabets.
#include "libcommon/format/base64.h"

#include <errno.h>

static void encode(const unsigned char *p, size_t length, const char *alphabet, bool pad, struct cx_buf *to)
{
        for (; length; p += length < 3 ? length : 3, length -= length < 3 ? length : 3) {
                unsigned group =
                        (unsigned)p[0] << 16 | (length > 1 ? (unsigned)p[1] << 8 : 0) | (length > 2 ? p[2] : 0);
                char four[4];
                for (int i = 0; i < 4; i++)
                        four[i] = alphabet[group >> (18 - 6 * i) & 63];
                size_t count = length < 3 ? length + 1 : 4;
                cx_buf_append(to, four, count);
                if (pad)
                        cx_buf_append(to, "==", 4 - count);
        }
}

#define ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

void cx_base64_encode(const void *data, size_t length, struct cx_buf *to)
{
        encode(data, length, ALPHABET "+/", true, to);
}

void cx_base64url_encode(const void *data, size_t length, struct cx_buf *to)
{
        encode(data, length, ALPHABET "-_", false, to);
}

static int digit(char c)
{
        return c >= 'A' && c <= 'Z'   ? c - 'A'
               : c >= 'a' && c <= 'z' ? c - 'a' + 26
               : c >= '0' && c <= '9' ? c - '0' + 52
               : c == '+' || c == '-' ? 62
               : c == '/' || c == '_' ? 63
                                      : -1;
}

int cx_base64_decode(const char *text, size_t length, struct cx_buf *to)
{
        unsigned group = 0, count = 0;
        size_t i = 0;
        for (; i < length && text[i] != '='; i++) {
                if (text[i] == '\n' || text[i] == '\r')
                        continue;
                int value = digit(text[i]);
                if (value < 0)
                        return -EINVAL;
                group = group << 6 | (unsigned)value;
                if (++count == 4) {
                        cx_buf_append(to, (char[]){(char)(group >> 16), (char)(group >> 8), (char)group}, 3);
                        group = count = 0;
                }
        }
        for (; i < length; i++)
                if (text[i] != '=' && text[i] != '\n' && text[i] != '\r')
                        return -EINVAL;
        if (count == 1)
                return -EINVAL;
        if (count)
                cx_buf_append(to,
                              (char[]){(char)(group << (24 - 6 * count) >> 16), (char)(group << (24 - 6 * count) >> 8)},
                              count - 1);
        return to->overflow ? -E2BIG : 0;
}
