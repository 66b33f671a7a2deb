// SPDX-License-Identifier: Apache-2.0
// JSON as KYAML.
#include "kubectl/printer/kyaml.h"

#include "kubectl/printer/keys.h"

static void indent(struct cx_buf *to, int depth)
{
        cx_buf_printf(to, "%*s", depth * 2, "");
}

// Text that YAML could take for something else, or that has characters of its own, is quoted as a key.
static bool plain_key(const char *key)
{
        static const char *const words[] = {"null", "true", "false", "yes", "no", "on", "off", "y", "n",
                                            "Null", "True", "False", "Yes", "No", "On", "Off", "Y", "N",
                                            "NULL", "TRUE", "FALSE", "YES", "NO", "ON", "OFF"};
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
        for (size_t i = 0; i < CX_ARRAY_SIZE(words); i++)
                if (strcmp(words[i], key) == 0)
                        return false;
        size_t first = strspn(key, letters);
        size_t good = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789-./");
        return first && !key[good];
}

static void put_character(unsigned char c, struct cx_buf *to)
{
        if (c == '"' || c == '\\')
                cx_buf_printf(to, "\\%c", c);
        else if (c == '\n')
                cx_buf_add(to, "\\n");
        else if (c == '\t')
                cx_buf_add(to, "\\t");
        else if (c < ' ' || c == 0x7f)
                cx_buf_printf(to, "\\x%02x", c);
        else
                cx_buf_add_char(to, (char)c);
}

// Several lines are put on several lines, each continued by a backslash; the quotes stand on lines of their own.
static void put_text(const char *text, int depth, bool folds, struct cx_buf *to)
{
        bool folded = folds && strchr(text, '\n');
        cx_buf_add_char(to, '"');
        if (folded)
                cx_buf_printf(to, "\\\n%*s", depth * 2 + 3, "");
        for (const char *p = text; *p; p++) {
                put_character((unsigned char)*p, to);
                if (folded && *p == '\n' && p[1])
                        cx_buf_printf(to, "\\\n%*s", depth * 2 + 3, "");
        }
        if (folded)
                cx_buf_printf(to, "\\\n%*s", depth * 2 + 2, "");
        cx_buf_add_char(to, '"');
}

static void put(const json_t *json, int depth, struct cx_buf *to);

static void put_object(const json_t *object, int depth, struct cx_buf *to)
{
        size_t n = json_object_size(object);
        CX_CLEANUP(cx_freep) const char **keys = sorted_keys(object);
        cx_buf_add(to, n ? "{\n" : "{}");
        for (size_t i = 0; i < n; i++) {
                indent(to, depth + 1);
                if (plain_key(keys[i]))
                        cx_buf_add(to, keys[i]);
                else
                        put_text(keys[i], depth + 1, false, to);
                cx_buf_add(to, ": ");
                put(json_object_get(object, keys[i]), depth + 1, to);
                cx_buf_add(to, ",\n");
        }
        if (n) {
                indent(to, depth);
                cx_buf_add_char(to, '}');
        }
}

// Objects in a list stand cuddled: "[{", "}, {", "}]".
static void put_array(const json_t *array, int depth, struct cx_buf *to)
{
        size_t n = json_array_size(array);
        bool cuddled = n && (json_is_object(json_array_get(array, 0)) || json_is_array(json_array_get(array, 0)));
        cx_buf_add(to, !n ? "[]" : cuddled ? "[" : "[\n");
        for (size_t i = 0; i < n; i++) {
                const json_t *item = json_array_get(array, i);
                if (!cuddled)
                        indent(to, depth + 1);
                put(item, cuddled ? depth : depth + 1, to);
                cx_buf_add(to, !cuddled ? ",\n" : i + 1 < n ? ", " : "");
        }
        if (!n)
                return;
        if (!cuddled)
                indent(to, depth);
        cx_buf_add_char(to, ']');
}

static void put(const json_t *json, int depth, struct cx_buf *to)
{
        switch (json_typeof(json)) {
        case JSON_OBJECT:
                put_object(json, depth, to);
                return;
        case JSON_ARRAY:
                put_array(json, depth, to);
                return;
        case JSON_STRING:
                put_text(json_string_value(json), depth, true, to);
                return;
        case JSON_INTEGER:
                cx_buf_printf(to, "%lld", (long long)json_integer_value(json));
                return;
        case JSON_REAL:
                cx_buf_printf(to, "%.17g", json_real_value(json));
                return;
        default:
                cx_buf_add(to, json_is_true(json) ? "true" : json_is_false(json) ? "false" : "null");
        }
}

void kyaml_dump(const json_t *json, struct cx_buf *to)
{
        cx_buf_add(to, "---\n");
        put(json, 0, to);
        cx_buf_add_char(to, '\n');
}
