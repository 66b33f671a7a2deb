// SPDX-License-Identifier: Apache-2.0
// Values of Go templates: truth, how they are printed, and the built-in functions.
#include "kubectl/printer/gotemplate_internal.h"
#include "kubectl/printer/keys.h"
#include "libcommon/api/quantity.h"
#include "libcommon/format/base64.h"

#include <math.h>

bool gt_true(const json_t *value)
{
        switch (json_typeof(value)) {
        case JSON_TRUE:
                return true;
        case JSON_STRING:
                return json_string_length(value) > 0;
        case JSON_ARRAY:
                return json_array_size(value) > 0;
        case JSON_OBJECT:
                return json_object_size(value) > 0;
        case JSON_INTEGER:
        case JSON_REAL:
                return json_number_value(value) != 0;
        default:
                return false;
        }
}

// The shortest digits that read back as the same number; with an exponent below 1e-4 and from 1e6 on.
static void print_float(double number, struct cx_buf *to)
{
        char text[40];
        int precision = 1;
        do
                snprintf(text, sizeof text, "%.*e", precision - 1, number);
        while (strtod(text, NULL) != number && precision++ < 17);
        int exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
        if (number != 0 && (exponent < -4 || exponent >= 6))
                cx_buf_add(to, text);
        else
                cx_buf_printf(to, "%.*f", precision - 1 > exponent ? precision - 1 - exponent : 0, number);
}

static void print_object(const json_t *object, struct cx_buf *to)
{
        CX_CLEANUP(cx_freep) const char **keys = sorted_keys(object);
        cx_buf_add(to, "map[");
        for (size_t i = 0; keys[i]; i++) {
                const json_t *item = json_object_get(object, keys[i]);
                cx_buf_printf(to, "%s%s:", i ? " " : "", keys[i]);
                if (json_is_null(item))
                        cx_buf_add(to, "<nil>");
                else
                        gotemplate_value(item, to);
        }
        cx_buf_add_char(to, ']');
}

void gotemplate_value(const json_t *value, struct cx_buf *to)
{
        size_t i;
        json_t *item;
        switch (json_typeof(value)) {
        case JSON_STRING:
                cx_buf_append(to, json_string_value(value), json_string_length(value));
                return;
        case JSON_TRUE:
        case JSON_FALSE:
                cx_buf_add(to, json_is_true(value) ? "true" : "false");
                return;
        case JSON_INTEGER:
                cx_buf_printf(to, "%lld", (long long)json_integer_value(value));
                return;
        case JSON_REAL:
                print_float(json_real_value(value), to);
                return;
        case JSON_OBJECT:
                print_object(value, to);
                return;
        case JSON_ARRAY:
                cx_buf_add_char(to, '[');
                json_array_foreach (value, i, item) {
                        if (i)
                                cx_buf_add_char(to, ' ');
                        if (json_is_null(item))
                                cx_buf_add(to, "<nil>");
                        else
                                gotemplate_value(item, to);
                }
                cx_buf_add_char(to, ']');
                return;
        default:
                cx_buf_add(to, "<no value>");
        }
}

// --- functions ------------------------------------------------------------------------------------------------------
#define FUNCTION(name) static int name(json_t *const *args, size_t n, json_t **ret_value, struct cx_error *err)
#define UNUSED_ARGUMENTS (void)args, (void)n, (void)err

FUNCTION(negate)
{
        UNUSED_ARGUMENTS;
        *ret_value = json_boolean(!gt_true(args[0]));
        return 0;
}

FUNCTION(length_of)
{
        UNUSED_ARGUMENTS;
        if (json_is_string(args[0]))
                *ret_value = json_integer((json_int_t)json_string_length(args[0]));
        else if (json_is_array(args[0]))
                *ret_value = json_integer((json_int_t)json_array_size(args[0]));
        else if (json_is_object(args[0]))
                *ret_value = json_integer((json_int_t)json_object_size(args[0]));
        else
                return cx_error_set(err, -EINVAL, json_is_null(args[0]) ? "len of nil pointer" : "len of type %s",
                                    json_is_real(args[0])      ? "float64"
                                    : json_is_boolean(args[0]) ? "bool"
                                                               : "int");
        return 0;
}

// index x 1 "key": a missing key of a map is not a value.
FUNCTION(index_of)
{
        json_auto_t *at = json_incref(args[0]);
        for (size_t i = 1; i < n; i++) {
                json_t *next = NULL;
                if (json_is_null(at))
                        return cx_error_set(err, -EINVAL, "index of untyped nil");
                if (json_is_array(at)) {
                        if (!json_is_number(args[i]))
                                return cx_error_set(err, -EINVAL, "cannot index slice/array with type %s",
                                                    json_is_null(args[i]) ? "nil" : "string");
                        double index = json_number_value(args[i]);
                        if (index < 0 || index >= (double)json_array_size(at))
                                return cx_error_set(err, -ERANGE, "reflect: slice index out of range");
                        next = json_array_get(at, (size_t)index);
                } else if (json_is_object(at)) {
                        if (!json_is_string(args[i]))
                                return cx_error_set(err, -EINVAL, "value has type %s; should be string",
                                                    json_is_integer(args[i]) ? "int" : "interface {}");
                        next = json_object_get(at, json_string_value(args[i]));
                } else {
                        return cx_error_set(err, -EINVAL, "can't index item of type %s",
                                            json_is_string(at) ? "string" : "float64");
                }
                next = next ? json_incref(next) : json_null();
                json_decref(at);
                at = next;
        }
        *ret_value = cx_steal(&at);
        return 0;
}

FUNCTION(slice_of)
{
        size_t length = json_is_string(args[0]) ? json_string_length(args[0]) : json_array_size(args[0]);
        double from = n > 1 ? json_number_value(args[1]) : 0, to = n > 2 ? json_number_value(args[2]) : (double)length;
        if (!json_is_string(args[0]) && !json_is_array(args[0]))
                return cx_error_set(err, -EINVAL, "can't slice item of this type");
        if (from < 0 || to > (double)length || from > to)
                return cx_error_set(err, -ERANGE, "index out of range: %g", from < 0 || from > to ? from : to);
        if (json_is_string(args[0])) {
                *ret_value = json_stringn_nocheck(json_string_value(args[0]) + (size_t)from, (size_t)(to - from));
                return 0;
        }
        *ret_value = json_array();
        for (size_t i = (size_t)from; i < (size_t)to; i++)
                json_array_append(*ret_value, json_array_get(args[0], i));
        return 0;
}

static json_t *text_value(const struct cx_buf *text)
{
        return json_stringn_nocheck(text->data, text->length);
}

// print: a blank between two that are not texts; println: always one.
static int print_all(json_t *const *args, size_t n, bool line, json_t **ret_value)
{
        CX_BUF text = CX_BUF_INIT;
        for (size_t i = 0; i < n; i++) {
                if (i && (line || (!json_is_string(args[i]) && !json_is_string(args[i - 1]))))
                        cx_buf_add_char(&text, ' ');
                if (json_is_null(args[i]))
                        cx_buf_add(&text, "<nil>");
                else
                        gotemplate_value(args[i], &text);
        }
        if (line)
                cx_buf_add_char(&text, '\n');
        *ret_value = text_value(&text);
        return 0;
}

FUNCTION(print)
{
        UNUSED_ARGUMENTS;
        return print_all(args, n, false, ret_value);
}

FUNCTION(print_line)
{
        UNUSED_ARGUMENTS;
        return print_all(args, n, true, ret_value);
}

static const char *type_name(const json_t *value)
{
        static const char *const names[] = {[JSON_OBJECT] = "map[string]interface {}",
                                            [JSON_ARRAY] = "[]interface {}",
                                            [JSON_STRING] = "string",
                                            [JSON_INTEGER] = "int",
                                            [JSON_REAL] = "float64",
                                            [JSON_TRUE] = "bool",
                                            [JSON_FALSE] = "bool",
                                            [JSON_NULL] = "<nil>"};
        return names[json_typeof(value)];
}

static void print_quoted(const json_t *value, struct cx_buf *to)
{
        CX_CLEANUP(cx_freep) char *text = json_dumps(value, JSON_ENCODE_ANY);
        cx_buf_add(to, cx_str(text));
}

// One verb of printf, `spec` without the percent sign ("-10" of "%-10s").
static void print_verb(char verb, const char *spec, const json_t *value, struct cx_buf *to)
{
        CX_BUF text = CX_BUF_INIT;
        char format[32];
        bool whole = json_is_integer(value), real = json_is_real(value), string = json_is_string(value);
        const char *point = strchr(spec, '.');
        if (verb == 'v' || (verb == 's' && string) || (verb == 't' && json_is_boolean(value))) {
                gotemplate_value(value, &text);
                size_t most = point && string ? strtoul(point + 1, NULL, 10) : text.length;
                if (most < text.length)
                        cx_buf_truncate(&text, most);
        } else if (verb == 'q' && string) {
                print_quoted(value, &text);
        } else if (whole && strchr("dxXo", verb)) {
                snprintf(format, sizeof format, "%%%sll%c", spec, verb);
                CX_CLEANUP(cx_freep) char *number = NULL;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" // made of checked characters
                if (asprintf(&number, format, (long long)json_integer_value(value)) >= 0)
                        cx_buf_add(to, number);
                return;
        } else if (real && strchr("feEgG", verb)) {
                snprintf(format, sizeof format, "%%%s%c", spec, verb);
                CX_CLEANUP(cx_freep) char *number = NULL;
                if (asprintf(&number, format, json_real_value(value)) >= 0)
                        cx_buf_add(to, number);
#pragma GCC diagnostic pop
                return;
        } else if (whole && verb == 'c') {
                cx_buf_add_char(&text, (char)json_integer_value(value));
        } else {
                cx_buf_printf(to, "%%!%c(%s=", verb, type_name(value));
                gotemplate_value(value, to);
                cx_buf_add_char(to, ')');
                return;
        }
        bool left = *spec == '-';
        size_t width = strtoul(spec + strspn(spec, "-+# 0"), NULL, 10),
               pad = width > text.length ? width - text.length : 0;
        cx_buf_printf(to, "%*s%s%*s", left ? 0 : (int)pad, "", text.data, left ? (int)pad : 0, "");
}

FUNCTION(print_format)
{
        CX_BUF text = CX_BUF_INIT;
        size_t next = 1;
        if (!json_is_string(args[0]))
                return cx_error_set(err, -EINVAL, "wrong type for value; expected string; got %s", type_name(args[0]));
        for (const char *p = json_string_value(args[0]); *p; p++) {
                if (*p != '%') {
                        cx_buf_add_char(&text, *p);
                        continue;
                }
                size_t length = strspn(++p, "-+# 0123456789.");
                char spec[16] = "";
                snprintf(spec, sizeof spec, "%.*s", (int)length, p);
                // Widths are for people: a wide one is a mistake, and memory.
                if (length >= sizeof spec || strtoul(spec + strspn(spec, "-+# 0"), NULL, 10) > 10000 ||
                    (strchr(spec, '.') && strtoul(strchr(spec, '.') + 1, NULL, 10) > 1000))
                        return cx_error_set(err, -EINVAL, "the width of %%%s is too large", spec);
                p += length;
                if (*p == '%')
                        cx_buf_add_char(&text, '%');
                else if (!*p)
                        cx_buf_add(&text, "%!(NOVERB)");
                else if (next >= n)
                        cx_buf_printf(&text, "%%!%c(MISSING)", *p);
                else
                        print_verb(*p, spec, args[next++], &text);
                if (!*p)
                        break;
        }
        for (size_t i = next; i < n; i++) {
                cx_buf_printf(&text, "%s%s=", i == next ? "%!(EXTRA " : ", ", type_name(args[i]));
                gotemplate_value(args[i], &text);
                if (i + 1 == n)
                        cx_buf_add_char(&text, ')');
        }
        *ret_value = text_value(&text);
        return 0;
}

static int escape(json_t *const *args, size_t n, const char *characters, const char *const *as, json_t **ret_value)
{
        json_auto_t *plain = NULL;
        CX_BUF text = CX_BUF_INIT;
        (void)print_all(args, n, false, &plain);
        for (const char *p = json_string_value(plain); *p; p++) {
                const char *found = strchr(characters, *p);
                if (found)
                        cx_buf_add(&text, as[found - characters]);
                else
                        cx_buf_add_char(&text, *p);
        }
        *ret_value = text_value(&text);
        return 0;
}

FUNCTION(html)
{
        static const char *const as[] = {"&#34;", "&#39;", "&amp;", "&lt;", "&gt;"};
        UNUSED_ARGUMENTS;
        return escape(args, n, "\"'&<>", as, ret_value);
}

FUNCTION(javascript)
{
        static const char *const as[] = {"\\\\", "\\'", "\\\"", "\\u003C", "\\u003E", "\\u0026", "\\u003D", "\\u000A"};
        UNUSED_ARGUMENTS;
        return escape(args, n, "\\'\"<>&=\n", as, ret_value);
}

FUNCTION(url_query)
{
        json_auto_t *plain = NULL;
        CX_BUF text = CX_BUF_INIT;
        UNUSED_ARGUMENTS;
        (void)print_all(args, n, false, &plain);
        for (const char *p = json_string_value(plain); *p; p++) {
                bool safe = (*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                            strchr("-_.~", *p);
                if (safe)
                        cx_buf_add_char(&text, *p);
                else if (*p == ' ')
                        cx_buf_add_char(&text, '+');
                else
                        cx_buf_printf(&text, "%%%02X", (unsigned char)*p);
        }
        *ret_value = text_value(&text);
        return 0;
}

// -1, 0 or 1. Texts, booleans (for equality), whole numbers and floats compare among themselves only.
static int compare_values(const json_t *a, const json_t *b, bool order, int *ret_result, struct cx_error *err)
{
        bool same = json_typeof(a) == json_typeof(b) || (json_is_boolean(a) && json_is_boolean(b));
        if (json_is_null(a) || json_is_null(b)) {
                if (order)
                        return cx_error_set(err, -EINVAL, "invalid type for comparison");
                *ret_result = !same;
                return 0;
        }
        if (json_is_object(a) || json_is_array(a) || (order && json_is_boolean(a)))
                return cx_error_set(err, -EINVAL, order ? "invalid type for comparison" : "non-comparable type %s",
                                    type_name(a));
        if (!same)
                return cx_error_set(err, -EINVAL, "incompatible types for comparison: %s and %s", type_name(a),
                                    type_name(b));
        if (json_is_string(a))
                *ret_result = strcmp(json_string_value(a), json_string_value(b));
        else if (json_is_boolean(a))
                *ret_result = json_is_true(a) - json_is_true(b);
        else
                *ret_result =
                        (json_number_value(a) > json_number_value(b)) - (json_number_value(a) < json_number_value(b));
        return 0;
}

// eq a b c: a is any of them.
FUNCTION(equal)
{
        bool found = false;
        for (size_t i = 1; i < n && !found; i++) {
                int c = 0, r = compare_values(args[0], args[i], false, &c, err);
                if (r < 0)
                        return r;
                found = c == 0;
        }
        *ret_value = json_boolean(found);
        return 0;
}

#define COMPARISON(name, orders, condition)                                                                            \
        FUNCTION(name)                                                                                                 \
        {                                                                                                              \
                int c = 0, r = compare_values(args[0], args[1], orders, &c, err);                                      \
                (void)n;                                                                                               \
                if (r == 0)                                                                                            \
                        *ret_value = json_boolean(condition);                                                          \
                return r;                                                                                              \
        }
COMPARISON(not_equal, false, c != 0)
COMPARISON(less, true, c < 0)
COMPARISON(less_equal, true, c <= 0)
COMPARISON(greater, true, c > 0)
COMPARISON(greater_equal, true, c >= 0)

// exists x "a" 0 "b": whether index would find something.
FUNCTION(exists)
{
        json_auto_t *value = NULL;
        UNUSED_ARGUMENTS;
        bool found = index_of(args, n, &value, NULL) == 0 && !json_is_null(value);
        *ret_value = json_boolean(found);
        return 0;
}

FUNCTION(base64_decode)
{
        CX_BUF text = CX_BUF_INIT;
        (void)n;
        if (!json_is_string(args[0]) ||
            cx_base64_decode(json_string_value(args[0]), json_string_length(args[0]), &text) < 0)
                return cx_error_set(err, -EINVAL, "base64 decode failed: illegal base64 data");
        *ret_value = text_value(&text);
        return 0;
}

const struct gt_function *gt_function_find(const char *name, size_t length)
{
        static const struct gt_function functions[] = {{"and", 1, -1, NULL},
                                                       {"or", 1, -1, NULL},
                                                       {"not", 1, 1, negate},
                                                       {"len", 1, 1, length_of},
                                                       {"index", 1, -1, index_of},
                                                       {"slice", 1, 3, slice_of},
                                                       {"print", 0, -1, print},
                                                       {"println", 0, -1, print_line},
                                                       {"printf", 1, -1, print_format},
                                                       {"html", 1, -1, html},
                                                       {"js", 1, -1, javascript},
                                                       {"urlquery", 1, -1, url_query},
                                                       {"eq", 2, -1, equal},
                                                       {"ne", 2, 2, not_equal},
                                                       {"lt", 2, 2, less},
                                                       {"le", 2, 2, less_equal},
                                                       {"gt", 2, 2, greater},
                                                       {"ge", 2, 2, greater_equal},
                                                       {"exists", 1, -1, exists},
                                                       {"base64decode", 1, 1, base64_decode}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(functions); i++)
                if (strlen(functions[i].name) == length && strncmp(functions[i].name, name, length) == 0)
                        return &functions[i];
        return NULL;
}
