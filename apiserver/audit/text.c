// SPDX-License-Identifier: Apache-2.0
// Runs of plain characters are copied at once.
#include "apiserver/audit/text.h"

#include "libcommon/format/json.h"

// The length of the UTF-8 sequence at `at`, which is no ASCII; 0: there is none. Surrogates, overlong forms and what is beyond
// U+10FFFF are none.
static size_t sequence_length(const unsigned char *at)
{
        static const struct {
                unsigned char first, last, low, high; // of the first byte, and of the second
                size_t length;
        } forms[] = {{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
                     {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
                     {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(forms); i++) {
                if (at[0] < forms[i].first || at[0] > forms[i].last)
                        continue;
                if (at[1] < forms[i].low || at[1] > forms[i].high)
                        return 0;
                for (size_t k = 2; k < forms[i].length; k++)
                        if ((at[k] & 0xc0) != 0x80)
                                return 0;
                return forms[i].length;
        }
        return 0;
}

static void escape(struct cx_buf *to, unsigned char c)
{
        if (c == '"' || c == '\\') {
                const char pair[2] = {'\\', (char)c};
                cx_buf_append(to, pair, 2);
        } else {
                cx_buf_printf(to, "\\u%04x", c);
        }
}

void text_string(struct cx_buf *to, const char *text)
{
        const unsigned char *at = (const unsigned char *)text, *plain = at;
        cx_buf_add_char(to, '"');
        while (*at) {
                size_t length =
                        *at >= 0x80 ? sequence_length(at) : *at >= 0x20 && *at != '"' && *at != '\\' && *at != 0x7f;
                if (length) {
                        at += length;
                        continue;
                }
                cx_buf_append(to, plain, (size_t)(at - plain));
                if (*at >= 0x80)
                        cx_buf_add(to, "\xef\xbf\xbd");
                else
                        escape(to, *at);
                plain = ++at;
        }
        cx_buf_append(to, plain, (size_t)(at - plain));
        cx_buf_add_char(to, '"');
}

void text_key(struct cx_buf *to, const char *key)
{
        if (to->length && to->data[to->length - 1] != '{')
                cx_buf_add_char(to, ',');
        text_string(to, key);
        cx_buf_add_char(to, ':');
}

void text_member(struct cx_buf *to, const char *key, const char *value)
{
        if (!value || !*value)
                return;
        text_key(to, key);
        text_string(to, value);
}

void text_json(struct cx_buf *to, const char *key, const json_t *value)
{
        if (!value)
                return;
        text_key(to, key);
        cx_json_dump(value, to);
}
