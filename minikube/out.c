// SPDX-License-Identifier: Apache-2.0
// Text is written with signs; where they are not wanted they are replaced at the last moment.
#include "minikube/out.h"

#include "libcommon/base/buf.h"

#include <stdarg.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

// Those whose plain sign is not "*".
static const struct {
        const char *sign, *plain;
} signs[] = {{"❌", "X"}, {"❗", "!"}, {"👉", "-"}, {"⚠️", "!"}};

static bool is_true(const char *text)
{
        static const char *const words[] = {"1", "t", "true", "yes"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(words); i++)
                if (strcasecmp(text, words[i]) == 0)
                        return true;
        return false;
}

static bool has_utf8(void)
{
        static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"}; // the first that is set counts
        for (size_t i = 0; i < CX_ARRAY_SIZE(variables); i++) {
                const char *value = getenv(variables[i]);
                if (value && *value)
                        return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
        }
        return false;
}

static bool shows_signs(FILE *to)
{
        const char *style = getenv("MINIKUBE_IN_STYLE");
        if (style && *style)
                return is_true(style);
        const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");
        return isatty(fileno(to)) && has_utf8() && !(no_color && *no_color) &&
               !(terminal && strcmp(terminal, "dumb") == 0);
}

// A sign is what is not ASCII, with two blanks behind it; its length with them, 0 when the line begins otherwise.
static size_t sign_at(const char *line)
{
        size_t length = 0;
        while ((unsigned char)line[length] >= 0x80)
                length++;
        return length && strncmp(line + length, "  ", 2) == 0 ? length + 2 : 0;
}

// For what begins with a sign.
static const char *plain_sign(const char *text)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(signs); i++)
                if (cx_has_prefix(text, signs[i].sign))
                        return signs[i].plain;
        return "*";
}

static void add_plain(struct cx_buf *to, const char *line)
{
        if (sign_at(line))
                cx_buf_printf(to, "%s ", plain_sign(line));
}

char *out_text(FILE *to, const char *text)
{
        CX_BUF plain = CX_BUF_INIT;
        if (shows_signs(to))
                return cx_strdup(text);
        for (const char *line = text, *end; *line; line = end) {
                end = strchrnul(line, '\n');
                end += *end == '\n';
                add_plain(&plain, line);
                cx_buf_append(&plain, line + sign_at(line), (size_t)(end - line) - sign_at(line));
        }
        return cx_buf_detach(&plain);
}

void out(FILE *to, const char *format, ...)
{
        CX_BUF text = CX_BUF_INIT;
        va_list args;
        va_start(args, format);
        cx_buf_vprintf(&text, format, args);
        va_end(args);
        CX_CLEANUP(cx_freep) char *shown = out_text(to, text.data);
        fputs(shown, to);
        fflush(to);
}

const char *out_sign(FILE *to, const char *sign)
{
        return shows_signs(to) ? sign : "  ";
}
