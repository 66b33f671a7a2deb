// SPDX-License-Identifier: Apache-2.0
#include "kubectl/proxy/filter.h"
#include "libcommon/base/strings.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

// --- patterns --------------------------------------------------------------------------------------------------------

static int unsupported(const char *pattern, const char *what, struct cx_error *err)
{
        return cx_error_set(err, -EINVAL, "regular expression `%s`: %s is not supported", pattern, what);
}

// An escape; returns how many characters it has, or a negative errno.
static int translate_escape(const char *pattern, const char *p, bool in_class, struct cx_buf *to, struct cx_error *err)
{
        static const struct {
                char letter;
                const char *outside, *inside;
        } classes[] = {{'d', "[0-9]", "0-9"},
                       {'D', "[^0-9]", NULL},
                       {'s', "[\t\n\f\r ]", "\t\n\f\r "},
                       {'S', "[^\t\n\f\r ]", NULL},
                       {'w', "[0-9A-Za-z_]", "0-9A-Za-z_"},
                       {'W', "[^0-9A-Za-z_]", NULL},
                       {'A', "^", NULL},
                       {'z', "$", NULL},
                       {'b', "\\b", NULL},
                       {'B', "\\B", NULL}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(classes); i++) {
                const char *text = in_class ? classes[i].inside : classes[i].outside;
                if (p[1] != classes[i].letter)
                        continue;
                if (!text)
                        return unsupported(pattern, "such an escape in a class", err);
                cx_buf_add(to, text);
                return 2;
        }
        if (!p[1])
                return cx_error_set(err, -EINVAL, "error parsing regexp: trailing backslash at end of expression: ``");
        if (isalnum((unsigned char)p[1]))
                return unsupported(pattern, "this escape", err);
        if (in_class && strchr("]^-\\", p[1])) // POSIX has no escapes there
                return unsupported(pattern, "an escape in a class", err);
        if (!in_class && strchr(".[]{}()\\*+?|^$", p[1]))
                cx_buf_add_char(to, '\\');
        cx_buf_add_char(to, p[1]);
        return 2;
}

// A bracket expression from "[" to "]", whose escapes become characters.
static int translate_class(const char *pattern, const char *from, struct cx_buf *to, struct cx_error *err)
{
        const char *p = from + 1;
        cx_buf_add_char(to, '[');
        if (*p == '^')
                cx_buf_add_char(to, *p++);
        for (bool first = true; *p && (first || *p != ']'); first = false) {
                if (*p == '\\') {
                        int n = translate_escape(pattern, p, true, to, err);
                        if (n < 0)
                                return n;
                        p += n;
                } else {
                        cx_buf_add_char(to, *p++);
                }
        }
        if (!*p)
                return cx_error_set(err, -EINVAL, "error parsing regexp: missing closing ]: `%s`", from);
        cx_buf_add_char(to, ']');
        return (int)(p + 1 - from);
}

static int translate(const char *pattern, struct cx_buf *to, int *flags, struct cx_error *err)
{
        const char *p = pattern;
        if (strncmp(p, "(?i)", 4) == 0) {
                *flags |= REG_ICASE;
                p += 4;
        }
        for (bool repeated = false; *p;) {
                int n = 1;
                bool repeats = *p == '*' || *p == '+' || *p == '?' || (*p == '}' && p > pattern);
                if (*p == '\\')
                        n = translate_escape(pattern, p, false, to, err);
                else if (*p == '[')
                        n = translate_class(pattern, p, to, err);
                else if (strncmp(p, "(?:", 3) == 0)
                        n = (cx_buf_add_char(to, '('), 3);
                else if (strncmp(p, "(?", 2) == 0)
                        n = unsupported(pattern, "a group that begins with (?", err);
                else if (*p == '?' && repeated) // lazy: whether there is a match is the same
                        repeats = false;
                else
                        cx_buf_add_char(to, *p);
                if (n < 0)
                        return n;
                repeated = repeats;
                p += n;
        }
        return 0;
}

int patterns_parse(const char *text, struct patterns *ret_patterns, struct cx_error *err)
{
        CX_STRINGS parts = CX_STRINGS_INIT;
        ret_patterns->count = 0;
        if (*text)
                cx_strings_split(&parts, text, ',');
        if (parts.count > PATTERNS_MAX)
                return cx_error_set(err, -E2BIG, "more than %d regular expressions", PATTERNS_MAX);
        for (size_t i = 0; i < parts.count; i++) {
                CX_BUF posix = CX_BUF_INIT_MAX(65536);
                char why[256];
                int flags = REG_EXTENDED | REG_NOSUB;
                int r = translate(parts.items[i], &posix, &flags, err);
                if (r < 0)
                        return r;
                int code = regcomp(&ret_patterns->items[ret_patterns->count], posix.data, flags);
                if (code) {
                        regerror(code, NULL, why, sizeof why);
                        return cx_error_set(err, -EINVAL, "error parsing regexp: %s: `%s`", why, parts.items[i]);
                }
                ret_patterns->count++;
        }
        return 0;
}

void patterns_release(struct patterns *patterns)
{
        while (patterns->count)
                regfree(&patterns->items[--patterns->count]);
}

bool patterns_match(const struct patterns *patterns, const char *text)
{
        for (size_t i = 0; i < patterns->count; i++)
                if (regexec(&patterns->items[i], text, 0, NULL, 0) == 0)
                        return true;
        return false;
}

// --- requests --------------------------------------------------------------------------------------------------------

void filter_release(struct request_filter *filter)
{
        patterns_release(&filter->accept_paths);
        patterns_release(&filter->reject_paths);
        patterns_release(&filter->accept_hosts);
        patterns_release(&filter->reject_methods);
}

bool filter_accepts_host(const struct request_filter *filter, const char *host)
{
        size_t length = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
        if (length > strlen(host) || (host[length] && (host[length] != ':' || strchr(host + length + 1, ':'))))
                return false;
        CX_CLEANUP(cx_freep) char *name = cx_strndup(host, length);
        return patterns_match(&filter->accept_hosts, name);
}

bool filter_accepts(const struct request_filter *filter, const char *method, const char *path, const char *host)
{
        return !patterns_match(&filter->reject_paths, path) && !patterns_match(&filter->reject_methods, method) &&
               patterns_match(&filter->accept_paths, path) && filter_accepts_host(filter, host);
}

static int hex_digit(char c)
{
        return isdigit((unsigned char)c)    ? c - '0'
               : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
                                            : -1;
}

int target_path(const char *target, struct cx_buf *ret_path)
{
        if (*target != '/')
                return -EINVAL;
        for (const char *p = target; *p && *p != '?' && *p != '#'; p++) {
                int high = *p == '%' ? hex_digit(p[1]) : 0, low = *p == '%' && high >= 0 ? hex_digit(p[2]) : 0;
                if (high < 0 || low < 0)
                        return -EINVAL;
                char c = *p == '%' ? (char)(high * 16 + low) : *p;
                if (!c)
                        return -EINVAL;
                cx_buf_add_char(ret_path, c);
                p += *p == '%' ? 2 : 0;
        }
        return 0;
}

void path_clean(const char *path, struct cx_buf *to)
{
        for (const char *p = path; *p;) {
                size_t n = strcspn(p, "/");
                if (n == 2 && strncmp(p, "..", 2) == 0) {
                        char *last = strrchr(to->data, '/');
                        cx_buf_truncate(to, last ? (size_t)(last - to->data) : 0);
                } else if (n && !(n == 1 && *p == '.')) {
                        cx_buf_add_char(to, '/');
                        cx_buf_append(to, p, n);
                }
                p += n + (p[n] == '/');
        }
        size_t length = strlen(path);
        if (!to->length || path[length - 1] == '/')
                cx_buf_add_char(to, '/');
}

void path_encode(const char *path, struct cx_buf *to)
{
        for (const char *p = path; *p; p++)
                if (isalnum((unsigned char)*p) || strchr("-_.~$&+,/:;=@!*'()", *p))
                        cx_buf_add_char(to, *p);
                else
                        cx_buf_printf(to, "%%%02X", (unsigned char)*p);
}
