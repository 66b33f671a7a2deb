// SPDX-License-Identifier: Apache-2.0
#include "addons/ingress/grammar.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool consists_of(const char *text, const char *characters, size_t most)
{
        size_t length = text ? strlen(text) : 0;
        return length && length <= most && strspn(text, characters) == length;
}

// Labels of letters, digits and inner dashes with dots between them.
static bool has_labels(const char *text)
{
        for (;;) {
                size_t length = strcspn(text, ".");
                if (!length || length > 63 || text[0] == '-' || text[length - 1] == '-')
                        return false;
                if (!text[length])
                        return true;
                text += length + 1;
        }
}

bool grammar_is_name(const char *text)
{
        return consists_of(text, LETTERS DIGITS "-.", 253) && has_labels(text);
}

bool grammar_is_host(const char *text)
{
        return text && strlen(text) <= 253 && grammar_is_name(cx_has_prefix(text, "*.") ? text + 2 : text);
}

// Printable ASCII but for `without`.
static bool is_printable(const char *text, const char *without, size_t most)
{
        size_t length = text ? strlen(text) : 0;
        if (!length || length > most)
                return false;
        for (; *text; text++)
                if (*text < ' ' || *text > '~' || strchr(without, *text))
                        return false;
        return true;
}

bool grammar_is_path(const char *text)
{
        return is_printable(text, " ", 1024) && *text == '/';
}

bool grammar_is_route(const char *text)
{
        if (!text || *text != '/' || strlen(text) > 1024)
                return false;
        for (; *text; text++)
                if ((unsigned char)*text < ' ' || *text == 127)
                        return false;
        return true;
}

bool grammar_is_token(const char *text)
{
        return consists_of(text, LETTERS CAPITALS DIGITS "_-", 64);
}

bool grammar_is_phrase(const char *text)
{
        return is_printable(text, "\"'\\", 256);
}

bool grammar_is_url(const char *text)
{
        return is_printable(text, " \"'\\", 1024) &&
               (cx_has_prefix(text, "http://") || cx_has_prefix(text, "https://")) && strchr(text, ':')[3];
}

static void encode(unsigned char c, struct cx_buf *to)
{
        static const char hex[] = "0123456789ABCDEF";
        if (c && strchr(LETTERS CAPITALS DIGITS "-._~", c))
                cx_buf_append(to, (const char[]){(char)c}, 1);
        else
                cx_buf_append(to, (const char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
}

void grammar_encode(const char *text, struct cx_buf *to)
{
        for (; *text; text++)
                encode((unsigned char)*text, to);
}

static int hex_digit(char c)
{
        return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

void grammar_encode_path(const char *path, struct cx_buf *to)
{
        while (*path) {
                int high = *path == '%' ? hex_digit(path[1]) : -1, low = high >= 0 ? hex_digit(path[2]) : -1;
                if (low >= 0) {
                        encode((unsigned char)(high << 4 | low), to);
                        path += 3;
                } else {
                        encode((unsigned char)*path++, to);
                }
        }
}
