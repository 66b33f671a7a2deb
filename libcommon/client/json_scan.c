// SPDX-License-Identifier: Apache-2.0
// Raw values cut out of JSON that is still arriving.
#include "libcommon/client/json_scan.h"

#include <errno.h>

#define MAX_DEPTH 1000
#define MAX_VALUE ((size_t)64 << 20)

static bool is_blank(char c)
{
        return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

// Index after the closing quote of the string that starts at text[i], or 0 when it does not end.
static size_t skip_string(const char *text, size_t length, size_t i)
{
        for (i++; i < length;) {
                const char *quote = memchr(text + i, '"', length - i);
                if (!quote)
                        return 0;
                size_t at = (size_t)(quote - text), slashes = 0;
                while (at - slashes > i && text[at - slashes - 1] == '\\')
                        slashes++;
                i = at + 1;
                if (slashes % 2 == 0)
                        return i;
        }
        return 0;
}

ssize_t cx_json_scan(const char *text, size_t length, bool end)
{
        if (!length)
                return 0;
        if (text[0] == '"')
                return (ssize_t)skip_string(text, length, 0);
        if (text[0] != '{' && text[0] != '[') {
                size_t i = 0;
                while (i < length && !is_blank(text[i]) && !strchr(",]}:", text[i]))
                        i++;
                if (i == 0)
                        return -EINVAL;
                return i < length || end ? (ssize_t)i : 0;
        }
        int depth = 0;
        for (size_t i = 0; i < length;) {
                char c = text[i];
                if (c == '"') {
                        i = skip_string(text, length, i);
                        if (!i)
                                return 0;
                        continue;
                }
                if (c == '{' || c == '[') {
                        if (++depth > MAX_DEPTH)
                                return -EINVAL;
                } else if (c == '}' || c == ']') {
                        if (--depth == 0)
                                return (ssize_t)i + 1;
                }
                i++;
        }
        return 0;
}

static size_t skip_blanks(const char *text, size_t length, size_t i)
{
        while (i < length && is_blank(text[i]))
                i++;
        return i;
}

int cx_json_scan_member(const char *text, size_t length, const char *key, const char **ret_value, size_t *ret_length)
{
        size_t i = skip_blanks(text, length, 0), key_length = strlen(key);
        if (i >= length || text[i] != '{')
                return -EINVAL;
        i = skip_blanks(text, length, i + 1);
        while (i < length && text[i] == '"') {
                size_t name = i + 1, after = skip_string(text, length, i);
                if (!after)
                        return -EINVAL;
                bool found = after - 1 - name == key_length && memcmp(text + name, key, key_length) == 0;
                i = skip_blanks(text, length, after);
                if (i >= length || text[i] != ':')
                        return -EINVAL;
                i = skip_blanks(text, length, i + 1);
                ssize_t n = cx_json_scan(text + i, length - i, true);
                if (n <= 0)
                        return -EINVAL;
                if (found) {
                        *ret_value = text + i;
                        *ret_length = (size_t)n;
                        return 0;
                }
                i = skip_blanks(text, length, i + (size_t)n);
                if (i < length && text[i] == ',')
                        i = skip_blanks(text, length, i + 1);
        }
        return i < length && text[i] == '}' ? -ENOENT : -EINVAL;
}

enum { START, MEMBER, ITEMS, DONE };

void cx_list_splitter_init(struct cx_list_splitter *splitter,
                           int (*item)(void *context, const char *text, size_t length), void *context)
{
        *splitter = (struct cx_list_splitter){.item = item,
                                              .context = context,
                                              .pending = CX_BUF_INIT_MAX(MAX_VALUE),
                                              .rest = CX_BUF_INIT_MAX(1 << 20)};
        cx_buf_add_char(&splitter->rest, '{');
}

// One step at text: bytes consumed, 0 when more is needed, negative on error.
static ssize_t step_member(struct cx_list_splitter *splitter, const char *text, size_t length)
{
        if (text[0] == '}') {
                cx_buf_add_char(&splitter->rest, '}');
                splitter->state = DONE;
                return 1;
        }
        if (text[0] == ',')
                return 1;
        if (text[0] != '"')
                return -EINVAL;
        size_t after = skip_string(text, length, 0);
        if (!after)
                return 0;
        size_t i = skip_blanks(text, length, after);
        if (i >= length)
                return 0;
        if (text[i] != ':')
                return -EINVAL;
        i = skip_blanks(text, length, i + 1);
        if (i >= length)
                return 0;
        if (after == 7 && memcmp(text, "\"items\"", 7) == 0 && text[i] == '[') {
                splitter->state = ITEMS;
                return (ssize_t)i + 1;
        }
        ssize_t n = cx_json_scan(text + i, length - i, false);
        if (n <= 0)
                return n;
        if (splitter->rest.length > 1)
                cx_buf_add_char(&splitter->rest, ',');
        cx_buf_append(&splitter->rest, text, i + (size_t)n);
        return splitter->rest.overflow ? -EINVAL : (ssize_t)i + n;
}

static ssize_t step(struct cx_list_splitter *splitter, const char *text, size_t length)
{
        switch (splitter->state) {
        case START:
                if (text[0] != '{')
                        return -EINVAL;
                splitter->state = MEMBER;
                return 1;
        case MEMBER:
                return step_member(splitter, text, length);
        case ITEMS: {
                if (text[0] == ']') {
                        splitter->state = MEMBER;
                        return 1;
                }
                if (text[0] == ',')
                        return 1;
                ssize_t n = cx_json_scan(text, length, false);
                if (n <= 0)
                        return n;
                int r = splitter->item(splitter->context, text, (size_t)n);
                return r < 0 ? r : n;
        }
        default:
                return -EINVAL;
        }
}

int cx_list_splitter_feed(struct cx_list_splitter *splitter, const char *data, size_t length)
{
        cx_buf_append(&splitter->pending, data, length);
        if (splitter->pending.overflow)
                return -EMSGSIZE;
        const char *text = splitter->pending.data;
        size_t total = splitter->pending.length, i = 0;
        for (;;) {
                i = skip_blanks(text, total, i);
                if (i >= total)
                        break;
                ssize_t n = step(splitter, text + i, total - i);
                if (n < 0)
                        return (int)n;
                if (n == 0)
                        break;
                i += (size_t)n;
        }
        cx_buf_consume(&splitter->pending, i);
        return 0;
}

bool cx_list_splitter_done(const struct cx_list_splitter *splitter)
{
        return splitter->state == DONE;
}

void cx_list_splitter_release(struct cx_list_splitter *splitter)
{
        cx_buf_release(&splitter->pending);
        cx_buf_release(&splitter->rest);
}
