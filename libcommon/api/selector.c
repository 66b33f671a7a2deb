// SPDX-License-Identifier: Apache-2.0
// Selectors: parsed, matched, printed.
#include "libcommon/api/selector.h"

#include "libcommon/api/names.h"
#include "libcommon/format/json.h"

#define MAX_REQUIREMENTS 1000
#define MAX_VALUES 10000

struct cx_requirement *cx_selector_add(struct cx_selector *selector, const char *key, size_t length,
                                       enum cx_operator op)
{
        selector->requirements =
                cx_realloc_array(selector->requirements, selector->count + 1, sizeof *selector->requirements);
        struct cx_requirement *requirement = &selector->requirements[selector->count++];
        *requirement = (struct cx_requirement){.key = cx_strndup(key, length), .op = op};
        return requirement;
}

void cx_requirement_add_value(struct cx_requirement *requirement, const char *value, size_t length)
{
        requirement->values =
                cx_realloc_array(requirement->values, requirement->n_values + 1, sizeof *requirement->values);
        requirement->values[requirement->n_values++] = cx_strndup(value, length);
}

void cx_selector_release(struct cx_selector *selector)
{
        for (size_t i = 0; i < selector->count; i++) {
                struct cx_requirement *requirement = &selector->requirements[i];
                for (size_t j = 0; j < requirement->n_values; j++)
                        free(requirement->values[j]);
                free(requirement->values);
                free(requirement->key);
        }
        free(selector->requirements);
        *selector = (struct cx_selector)CX_SELECTOR_INIT;
}

// --- the query syntax of labels ---

struct lexer {
        const char *p;
        const char *token;
        size_t length;
};

static void skip_blank(struct lexer *l)
{
        l->p += strspn(l->p, " \t\r\n");
}

// Takes a run of characters that are neither blank nor punctuation; empty when there is none.
static void take_word(struct lexer *l)
{
        skip_blank(l);
        l->token = l->p;
        l->length = strcspn(l->p, " \t\r\n,()=!<>");
        l->p += l->length;
}

static bool take(struct lexer *l, const char *text)
{
        skip_blank(l);
        if (!cx_has_prefix(l->p, text))
                return false;
        l->p += strlen(text);
        return true;
}

static int syntax(const struct lexer *l, const char *expected, struct cx_error *err)
{
        return cx_error_reason(err, CX_REASON_BAD_REQUEST, "unable to parse requirement: found '%.40s', expected: %s",
                               l->p, expected);
}

static int parse_value_list(struct lexer *l, struct cx_requirement *requirement, struct cx_error *err)
{
        if (!take(l, "("))
                return syntax(l, "'('", err);
        do {
                take_word(l);
                if (requirement->n_values >= MAX_VALUES)
                        return cx_error_reason(err, CX_REASON_BAD_REQUEST, "selector has more than %d values",
                                               MAX_VALUES);
                cx_requirement_add_value(requirement, l->token, l->length);
        } while (take(l, ","));
        return take(l, ")") ? 0 : syntax(l, "',', ')' or identifier", err);
}

static bool is_word(const struct lexer *l, const char *word)
{
        return l->length == strlen(word) && strncmp(l->token, word, l->length) == 0;
}

static int parse_requirement(struct lexer *l, struct cx_selector *selector, struct cx_error *err)
{
        bool negated = take(l, "!");
        take_word(l);
        if (!l->length)
                return syntax(l, "identifier", err);
        const char *key = l->token;
        size_t key_length = l->length;
        skip_blank(l);
        if (negated || !*l->p || *l->p == ',') {
                cx_selector_add(selector, key, key_length, negated ? CX_OP_NOT_EXISTS : CX_OP_EXISTS);
                return 0;
        }
        static const struct {
                const char *text;
                enum cx_operator op;
        } operators[] = {
                {"==", CX_OP_EQUALS}, {"!=", CX_OP_NOT_EQUALS}, {"=", CX_OP_EQUALS}, {">", CX_OP_GT}, {"<", CX_OP_LT}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(operators); i++)
                if (take(l, operators[i].text)) {
                        take_word(l);
                        cx_requirement_add_value(cx_selector_add(selector, key, key_length, operators[i].op), l->token,
                                                 l->length);
                        return 0;
                }
        take_word(l);
        if (!is_word(l, "in") && !is_word(l, "notin")) {
                l->p = l->token;
                return syntax(l, "in, notin, =, ==, !=, gt, lt", err);
        }
        return parse_value_list(
                l, cx_selector_add(selector, key, key_length, is_word(l, "in") ? CX_OP_IN : CX_OP_NOT_IN), err);
}

static int check_labels(const struct cx_selector *selector, struct cx_error *err)
{
        for (size_t i = 0; i < selector->count; i++) {
                const struct cx_requirement *requirement = &selector->requirements[i];
                const char *why = cx_check_qualified_name(requirement->key);
                if (why)
                        return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                               "unable to parse requirement: <nil>: Invalid value: \"%s\": %s",
                                               requirement->key, why);
                for (size_t j = 0; j < requirement->n_values; j++) {
                        int64_t ignored;
                        why = requirement->op == CX_OP_GT || requirement->op == CX_OP_LT
                                      ? cx_parse_int(requirement->values[j], INT64_MIN, INT64_MAX, &ignored) < 0
                                                ? "for 'Gt', 'Lt' operators, the value must be an integer"
                                                : NULL
                                      : cx_check_label_value(requirement->values[j]);
                        if (why)
                                return cx_error_reason(
                                        err, CX_REASON_BAD_REQUEST,
                                        "unable to parse requirement: values[%zu][%s]: Invalid value: \"%s\": %s", j,
                                        requirement->key, requirement->values[j], why);
                }
        }
        return 0;
}

int cx_selector_parse_labels(const char *text, struct cx_selector *ret_selector, struct cx_error *err)
{
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        struct lexer l = {.p = text};
        skip_blank(&l);
        if (*l.p)
                do {
                        if (selector.count >= MAX_REQUIREMENTS)
                                return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                                       "selector has too many requirements");
                        int r = parse_requirement(&l, &selector, err);
                        if (r < 0)
                                return r;
                } while (take(&l, ","));
        skip_blank(&l);
        if (*l.p)
                return syntax(&l, "',' or 'end of string'", err);
        int r = check_labels(&selector, err);
        if (r < 0)
                return r;
        *ret_selector = selector;
        selector = (struct cx_selector)CX_SELECTOR_INIT;
        return 0;
}

int cx_selector_parse_fields(const char *text, struct cx_selector *ret_selector, struct cx_error *err)
{
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        CX_BUF value = CX_BUF_INIT;
        for (const char *p = text; *p;) {
                const char *key = p;
                p += strcspn(p, "=!,");
                size_t key_length = (size_t)(p - key);
                enum cx_operator op = *p == '!' ? CX_OP_NOT_EQUALS : CX_OP_EQUALS;
                if (!key_length || (op == CX_OP_NOT_EQUALS && p[1] != '=') || !*p || *p == ',')
                        return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                               "invalid selector: '%s'; can't understand '%.40s'", text, key);
                p += op == CX_OP_NOT_EQUALS ? 2 : p[1] == '=' ? 2 : 1;
                cx_buf_clear(&value);
                for (; *p && *p != ','; p++) {
                        if (*p == '\\' && p[1])
                                p++;
                        cx_buf_add_char(&value, *p);
                }
                if (selector.count >= MAX_REQUIREMENTS)
                        return cx_error_reason(err, CX_REASON_BAD_REQUEST, "selector has too many requirements");
                cx_requirement_add_value(cx_selector_add(&selector, key, key_length, op), value.data, value.length);
                p += *p == ',';
        }
        *ret_selector = selector;
        selector = (struct cx_selector)CX_SELECTOR_INIT;
        return 0;
}

void cx_selector_from_map(const json_t *map, struct cx_selector *ret_selector)
{
        *ret_selector = (struct cx_selector)CX_SELECTOR_INIT;
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)map, key, value) {
                const char *text = cx_str(json_string_value(value));
                cx_requirement_add_value(cx_selector_add(ret_selector, key, strlen(key), CX_OP_EQUALS), text,
                                         strlen(text));
        }
        ret_selector->nothing = ret_selector->count == 0;
}

static int add_expression(struct cx_selector *selector, const json_t *expression, struct cx_error *err)
{
        static const struct {
                const char *name;
                enum cx_operator op;
        } operators[] = {{"In", CX_OP_IN},         {"NotIn", CX_OP_NOT_IN},
                         {"Exists", CX_OP_EXISTS}, {"DoesNotExist", CX_OP_NOT_EXISTS},
                         {"Gt", CX_OP_GT},         {"Lt", CX_OP_LT}};
        const char *key = cx_json_string(expression, "key"), *name = cx_json_string(expression, "operator");
        for (size_t i = 0; key && name && i < CX_ARRAY_SIZE(operators); i++) {
                if (strcmp(name, operators[i].name) != 0)
                        continue;
                struct cx_requirement *requirement = cx_selector_add(selector, key, strlen(key), operators[i].op);
                const json_t *values = json_object_get(expression, "values");
                for (size_t j = 0; j < json_array_size(values); j++) {
                        const char *value = cx_str(json_string_value(json_array_get(values, j)));
                        cx_requirement_add_value(requirement, value, strlen(value));
                }
                return 0;
        }
        return cx_error_reason(err, CX_REASON_INVALID, "\"%s\" is not a valid label selector operator", cx_str(name));
}

int cx_selector_from_json(const json_t *label_selector, struct cx_selector *ret_selector, struct cx_error *err)
{
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        if (!json_is_object(label_selector)) {
                *ret_selector = (struct cx_selector){.nothing = true};
                return 0;
        }
        cx_selector_from_map(json_object_get(label_selector, "matchLabels"), &selector);
        selector.nothing = false;
        const json_t *expressions = json_object_get(label_selector, "matchExpressions");
        for (size_t i = 0; i < json_array_size(expressions); i++) {
                int r = add_expression(&selector, json_array_get(expressions, i), err);
                if (r < 0)
                        return r;
        }
        *ret_selector = selector;
        selector = (struct cx_selector)CX_SELECTOR_INIT;
        return 0;
}

static bool has_value(const struct cx_requirement *requirement, const char *value)
{
        for (size_t i = 0; i < requirement->n_values; i++)
                if (strcmp(requirement->values[i], value) == 0)
                        return true;
        return false;
}

static bool compare_number(const struct cx_requirement *requirement, const char *value)
{
        int64_t a, b;
        if (!value || requirement->n_values != 1 || cx_parse_int(value, INT64_MIN, INT64_MAX, &a) < 0 ||
            cx_parse_int(requirement->values[0], INT64_MIN, INT64_MAX, &b) < 0)
                return false;
        return requirement->op == CX_OP_GT ? a > b : a < b;
}

static bool matches(const struct cx_requirement *requirement, const char *value)
{
        switch (requirement->op) {
        case CX_OP_IN:
        case CX_OP_EQUALS:
                return value && has_value(requirement, value);
        case CX_OP_NOT_IN:
        case CX_OP_NOT_EQUALS:
                return !value || !has_value(requirement, value);
        case CX_OP_EXISTS:
                return value;
        case CX_OP_NOT_EXISTS:
                return !value;
        case CX_OP_GT:
        case CX_OP_LT:
                return compare_number(requirement, value);
        }
        return false;
}

bool cx_selector_matches_with(const struct cx_selector *selector, const char *(*get)(void *, const char *),
                              void *context)
{
        if (selector->nothing)
                return false;
        for (size_t i = 0; i < selector->count; i++)
                if (!matches(&selector->requirements[i], get(context, selector->requirements[i].key)))
                        return false;
        return true;
}

static const char *get_label(void *labels, const char *key)
{
        return json_string_value(json_object_get(labels, key));
}

bool cx_selector_matches(const struct cx_selector *selector, const json_t *labels)
{
        return cx_selector_matches_with(selector, get_label, (void *)labels);
}

void cx_selector_format(const struct cx_selector *selector, struct cx_buf *to)
{
        static const char *const texts[] = {[CX_OP_IN] = " in ",       [CX_OP_NOT_IN] = " notin ", [CX_OP_EQUALS] = "=",
                                            [CX_OP_NOT_EQUALS] = "!=", [CX_OP_GT] = ">",           [CX_OP_LT] = "<"};
        for (size_t i = 0; i < selector->count; i++) {
                const struct cx_requirement *requirement = &selector->requirements[i];
                if (i)
                        cx_buf_add_char(to, ',');
                if (requirement->op == CX_OP_NOT_EXISTS)
                        cx_buf_add_char(to, '!');
                cx_buf_add(to, requirement->key);
                if (requirement->op == CX_OP_EXISTS || requirement->op == CX_OP_NOT_EXISTS)
                        continue;
                bool list = requirement->op == CX_OP_IN || requirement->op == CX_OP_NOT_IN;
                cx_buf_add(to, texts[requirement->op]);
                cx_buf_add(to, list ? "(" : "");
                for (size_t j = 0; j < requirement->n_values; j++)
                        cx_buf_printf(to, "%s%s", j ? "," : "", requirement->values[j]);
                cx_buf_add(to, list ? ")" : "");
        }
}

void cx_labels_list(const json_t *map, struct cx_strings *to)
{
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)map, key, value) {
                CX_CLEANUP(cx_freep) char *pair = cx_sprintf("%s=%s", key, cx_str(json_string_value(value)));
                cx_strings_add(to, pair);
        }
        cx_strings_sort(to);
}

char *cx_labels_text(const json_t *map)
{
        CX_STRINGS pairs = CX_STRINGS_INIT;
        cx_labels_list(map, &pairs);
        return pairs.count ? cx_strings_join(&pairs, ",") : cx_strdup("<none>");
}
