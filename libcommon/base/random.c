// SPDX-License-Identifier: Apache-2.0
// getrandom.
#include "libcommon/base/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

void cx_random_bytes(void *to, size_t length)
{
        char *p = to;
        while (length) {
                ssize_t n = getrandom(p, length, 0);
                if (n < 0 && errno != EINTR)
                        abort();
                if (n > 0) {
                        p += n;
                        length -= (size_t)n;
                }
        }
}

uint64_t cx_random_below(uint64_t limit)
{
        uint64_t value, excess = limit ? -limit % limit : 0; // 2^64 mod limit: drawing below it would be biased
        do
                cx_random_bytes(&value, sizeof value);
        while (value < excess);
        return limit ? value % limit : 0;
}

void cx_random_uid(char to[CX_UID_TEXT])
{
        unsigned char b[16];
        cx_random_bytes(b, sizeof b);
        b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
        b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
        (void)snprintf(to, CX_UID_TEXT, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                       b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

void cx_random_suffix(char *to, size_t length)
{
        static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789"; // k8s.io/apimachinery util/rand
        unsigned char bytes[16]; // a call a suffix, where cx_random_below would be one a letter
        size_t have = 0;
        for (size_t i = 0; i < length;) {
                if (!have)
                        cx_random_bytes(bytes, have = sizeof bytes);
                unsigned char byte = bytes[--have];
                if (byte < 256 - 256 % (sizeof alphabet - 1)) // the rest would favour the first letters
                        to[i++] = alphabet[byte % (sizeof alphabet - 1)];
        }
        to[length] = '\0';
}
