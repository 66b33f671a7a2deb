// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"

#include <errno.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void cx_base64_encode(struct cx_buf *to, const void *data, size_t length)
{
        const unsigned char *from = data;
        for (size_t i = 0; i < length; i += 3) {
                unsigned block = (unsigned)from[i] << 16;
                if (i + 1 < length)
                        block |= (unsigned)from[i + 1] << 8;
                if (i + 2 < length)
                        block |= from[i + 2];
                char four[4] = {digits[block >> 18], digits[block >> 12 & 63], digits[block >> 6 & 63],
                                digits[block & 63]};
                if (i + 2 >= length)
                        four[3] = '=';
                if (i + 1 >= length)
                        four[2] = '=';
                cx_buf_append(to, four, 4);
        }
}

static int digit_value(char c)
{
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int cx_base64_decode(struct cx_buf *to, const char *text, size_t length)
{
        size_t start = to->length;
        unsigned block = 0, count = 0, padding = 0;
        for (size_t i = 0; i < length; i++) {
                char c = text[i];
                if (c == '\n' || c == '\r')
                        continue;
                int value = digit_value(c);
                if (c == '=' && count >= 2 && padding < 4 - count) {
                        padding++;
                        continue;
                }
                if (value < 0 || padding) {
                        cx_buf_truncate(to, start);
                        return -EINVAL;
                }
                block = block << 6 | (unsigned)value;
                if (++count == 4) {
                        cx_buf_append(to, (char[]){(char)(block >> 16), (char)(block >> 8), (char)block}, 3);
                        block = count = 0;
                }
        }
        if (count + padding != (count ? 4 : 0)) {
                cx_buf_truncate(to, start);
                return -EINVAL;
        }
        if (count >= 2)
                cx_buf_add_char(to, (char)(block >> (count == 3 ? 10 : 4)));
        if (count == 3)
                cx_buf_add_char(to, (char)(block >> 2));
        return 0;
}
