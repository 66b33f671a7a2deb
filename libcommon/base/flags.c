// SPDX-License-Identifier: Apache-2.0
// Parsing flags, and the words of pflag for what is wrong with them.
#include "libcommon/base/flags.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/time.h"

#include <stdio.h>

// "-n, "
static const char *shorthand(const struct cx_flag *flag, char to[8])
{
        snprintf(to, 8, flag->shorthand ? "-%c, " : "", flag->shorthand);
        return to;
}

// pflag's words, which are those of Go's strconv.
static int invalid(const struct cx_flag *flag, const char *value, const char *parser, const char *why,
                   struct cx_error *err)
{
        return cx_error_set(err, -EINVAL, "invalid argument \"%s\" for \"%s--%s\" flag: %s: parsing \"%s\": %s", value,
                            shorthand(flag, (char[8]){0}), flag->name, parser, value, why);
}

static bool is_number(const char *text)
{
        text += *text == '-' || *text == '+';
        return *text && !text[strspn(text, "0123456789")];
}

static int parse_bool(const char *text, bool *ret_value)
{
        static const char *const yes[] = {"true", "True", "TRUE", "t", "T", "1"};
        static const char *const no[] = {"false", "False", "FALSE", "f", "F", "0"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(yes); i++) {
                if (strcmp(text, yes[i]) == 0)
                        return *ret_value = true, 0;
                if (strcmp(text, no[i]) == 0)
                        return *ret_value = false, 0;
        }
        return -EINVAL;
}

static int set_flag(const struct cx_flag *flag, const char *value, struct cx_error *err)
{
        if (flag->changed)
                *flag->changed = true;
        switch (flag->kind) {
        case CX_FLAG_BOOL:
                if (parse_bool(value, flag->target) < 0)
                        return invalid(flag, value, "strconv.ParseBool", "invalid syntax", err);
                return 0;
        case CX_FLAG_STRING:
                *(const char **)flag->target = value;
                return 0;
        case CX_FLAG_INT: {
                bool bounded = flag->min < flag->max;
                if (cx_parse_int(value, bounded ? flag->min : INT64_MIN, bounded ? flag->max : INT64_MAX,
                                 flag->target) < 0)
                        return invalid(flag, value, "strconv.ParseInt",
                                       is_number(value) ? "value out of range" : "invalid syntax", err);
                return 0;
        }
        case CX_FLAG_DURATION:
                if (cx_duration_parse(value, flag->target) < 0)
                        return cx_error_set(err, -EINVAL,
                                            "invalid argument \"%s\" for \"%s--%s\" flag: time: invalid duration "
                                            "\"%s\"",
                                            value, shorthand(flag, (char[8]){0}), flag->name, value);
                return 0;
        case CX_FLAG_LIST:
                cx_strings_add(flag->target, value);
                return 0;
        case CX_FLAG_CSV:
                cx_strings_split(flag->target, value, ',');
                return 0;
        }
        return 0;
}

static const struct cx_flag *find_long(const struct cx_flag *const *tables, size_t n, const char *name, size_t length)
{
        for (size_t t = 0; t < n; t++)
                for (const struct cx_flag *flag = tables[t]; flag && flag->name; flag++)
                        if (strlen(flag->name) == length && strncmp(flag->name, name, length) == 0)
                                return flag;
        return NULL;
}

static const struct cx_flag *find_short(const struct cx_flag *const *tables, size_t n, char c)
{
        for (size_t t = 0; t < n; t++)
                for (const struct cx_flag *flag = tables[t]; flag && flag->name; flag++)
                        if (flag->shorthand == c)
                                return flag;
        return NULL;
}

// The value that a flag without "=value" takes when it needs none from the next argument; NULL when it needs one.
static const char *implied_value(const struct cx_flag *flag)
{
        return flag->bare_value ? flag->bare_value : flag->kind == CX_FLAG_BOOL ? "true" : NULL;
}

static int parse_long(const struct cx_flag *const *tables, size_t n, char **argv, int argc, int *i,
                      struct cx_error *err)
{
        const char *name = argv[*i] + 2, *end = strchrnul(name, '=');
        const struct cx_flag *flag = find_long(tables, n, name, (size_t)(end - name));
        if (!flag)
                return cx_error_set(err, -EINVAL, "unknown flag: --%.*s", (int)(end - name), name);
        if (*end)
                return set_flag(flag, end + 1, err);
        const char *value = implied_value(flag);
        if (!value) {
                if (*i + 1 >= argc)
                        return cx_error_set(err, -EINVAL, "flag needs an argument: --%s", flag->name);
                value = argv[++*i];
        }
        return set_flag(flag, value, err);
}

static int parse_short(const struct cx_flag *const *tables, size_t n, char **argv, int argc, int *i,
                       struct cx_error *err)
{
        const char *group = argv[*i];
        for (const char *p = group + 1; *p; p++) {
                const struct cx_flag *flag = find_short(tables, n, *p);
                if (!flag)
                        return cx_error_set(err, -EINVAL, "unknown shorthand flag: '%c' in %s", *p, group);
                if (p[1] == '=')
                        return set_flag(flag, p + 2, err);
                const char *value = implied_value(flag);
                if (value) {
                        int r = set_flag(flag, value, err);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (p[1])
                        return set_flag(flag, p + 1, err);
                if (*i + 1 >= argc)
                        return cx_error_set(err, -EINVAL, "flag needs an argument: '%c' in %s", *p, group);
                return set_flag(flag, argv[++*i], err);
        }
        return 0;
}

int cx_flags_parse(const struct cx_flag *const *tables, size_t n_tables, int argc, char **argv,
                   struct cx_strings *ret_args, int *ret_dash, struct cx_error *err)
{
        if (ret_dash)
                *ret_dash = -1;
        for (int i = 1; i < argc; i++) {
                int r = 0;
                if (strcmp(argv[i], "--") == 0) {
                        if (ret_dash)
                                *ret_dash = (int)ret_args->count;
                        while (++i < argc)
                                cx_strings_add(ret_args, argv[i]);
                        return 0;
                }
                if (cx_has_prefix(argv[i], "--"))
                        r = parse_long(tables, n_tables, argv, argc, &i, err);
                else if (argv[i][0] == '-' && argv[i][1])
                        r = parse_short(tables, n_tables, argv, argc, &i, err);
                else
                        cx_strings_add(ret_args, argv[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

const char *cx_flags_suggest(const struct cx_flag *const *tables, size_t n_tables, const char *error_text)
{
        static const char unknown[] = "unknown flag: --";
        if (!cx_has_prefix(error_text, unknown))
                return NULL;
        const char *word = error_text + strlen(unknown), *best = NULL;
        CX_CLEANUP(cx_freep) char *name = cx_strndup(word, strcspn(word, "\n"));
        size_t least = 3;
        for (size_t i = 0; i < n_tables; i++)
                for (const struct cx_flag *flag = tables[i]; flag && flag->name; flag++) {
                        size_t distance = cx_edit_distance(name, flag->name);
                        if (distance < least && distance < strlen(flag->name)) {
                                least = distance;
                                best = flag->name;
                        }
                }
        return best;
}

static const char *kind_name(const struct cx_flag *flag)
{
        static const char *const names[] = {[CX_FLAG_BOOL] = "",
                                            [CX_FLAG_STRING] = " string",
                                            [CX_FLAG_INT] = " int",
                                            [CX_FLAG_DURATION] = " duration",
                                            [CX_FLAG_LIST] = " stringArray",
                                            [CX_FLAG_CSV] = " strings"};
        return names[flag->kind];
}

void cx_flags_help(const struct cx_flag *table, struct cx_buf *to)
{
        for (const struct cx_flag *flag = table; flag && flag->name; flag++) {
                cx_buf_printf(to, "  %s--%s%s", flag->shorthand ? (char[]){'-', flag->shorthand, ',', ' ', 0} : "    ",
                              flag->name, kind_name(flag));
                cx_buf_printf(to, "\n        %s\n", cx_str(flag->help));
        }
}
