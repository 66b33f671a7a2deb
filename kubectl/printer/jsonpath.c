// SPDX-License-Identifier: Apache-2.0
// The parser: recursive descent over the template's text, one function a construct.
#include "kubectl/printer/jsonpath_internal.h"

#include <ctype.h>

#define MAX_TEXT 65536
#define MAX_DEPTH 40

struct path_parser {
        const char *at;
        int depth, ranges;
        struct cx_error *err;
};

static struct jp_node *new_node(enum jp_kind kind)
{
        struct jp_node *node = cx_alloc(sizeof *node);
        node->kind = kind;
        return node;
}

static void free_node(struct jp_node *node)
{
        for (size_t i = 0; i < node->n_children; i++)
                free_node(node->children[i]);
        free(node->children);
        free(node->text);
        json_decref(node->value);
        free(node);
}

static void add_child(struct jp_node *node, struct jp_node *child)
{
        node->children = cx_realloc_array(node->children, node->n_children + 1, sizeof(struct jp_node *));
        node->children[node->n_children++] = child;
}

static int fail(struct path_parser *p, const char *format, ...) CX_PRINTF(2, 3);
static int fail(struct path_parser *p, const char *format, ...)
{
        CX_BUF text = CX_BUF_INIT;
        va_list args;
        va_start(args, format);
        cx_buf_vprintf(&text, format, args);
        va_end(args);
        return cx_error_set(p->err, -EINVAL, "%s", text.data);
}

static void skip_blanks(struct path_parser *p)
{
        while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')
                p->at++;
}

static int parse_pipeline(struct path_parser *p, struct jp_node *to, const char *ends);

// A quoted text at p->at; backslash escapes as in Go.
static int parse_quoted(struct path_parser *p, char **ret_text)
{
        char quote = *p->at++;
        CX_BUF text = CX_BUF_INIT;
        while (*p->at && *p->at != quote) {
                char c = *p->at++;
                if (c == '\\' && *p->at) {
                        c = *p->at++;
                        c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
                }
                cx_buf_add_char(&text, c);
        }
        if (!*p->at)
                return fail(p, "unterminated quoted string");
        p->at++;
        *ret_text = cx_buf_detach(&text);
        return 0;
}

static bool ends_field(char c)
{
        return !c || strchr(" \t\r\n.,[]$@{}()'\"*=!<>|", c) != NULL;
}

static void parse_field(struct path_parser *p, struct jp_node *to)
{
        CX_BUF name = CX_BUF_INIT;
        while (*p->at && !ends_field(*p->at)) {
                if (*p->at == '\\' && p->at[1])
                        p->at++;
                cx_buf_add_char(&name, *p->at++);
        }
        struct jp_node *node = new_node(JP_FIELD);
        node->text = cx_buf_detach(&name);
        add_child(to, node);
}

static int parse_number(struct path_parser *p, struct jp_node *to)
{
        char *end;
        const char *start = p->at;
        errno = 0;
        long long whole = strtoll(start, &end, 10);
        struct jp_node *node = new_node(JP_VALUE);
        if (*end == '.' || *end == 'e' || *end == 'E') {
                node->value = json_real(strtod(start, &end));
        } else {
                node->value = json_integer(whole);
        }
        add_child(to, node);
        p->at = end;
        if (errno || end == start || !node->value)
                return fail(p, "cannot parse number %.20s", start);
        return 0;
}

// The text of one member of a bracket: an index, a slice, "*", or a quoted name; added to `to`.
static int parse_index(struct path_parser *p, struct jp_node *to)
{
        skip_blanks(p);
        if (*p->at == '\'' || *p->at == '"') {
                struct jp_node *node = new_node(JP_FIELD);
                add_child(to, node);
                int r = parse_quoted(p, &node->text);
                skip_blanks(p);
                return r;
        }
        if (*p->at == '*') {
                p->at++;
                add_child(to, new_node(JP_WILDCARD));
                skip_blanks(p);
                return 0;
        }
        struct jp_node *node = new_node(JP_ARRAY);
        add_child(to, node);
        int64_t *const numbers[] = {&node->from, &node->to, &node->step};
        bool *const has[] = {&node->has_from, &node->has_to, &node->has_step};
        size_t colons = 0;
        const char *start = p->at;
        for (;;) {
                skip_blanks(p);
                if (*p->at == '-' || isdigit((unsigned char)*p->at)) {
                        char *end;
                        errno = 0;
                        long long number = strtoll(p->at, &end, 10);
                        if (errno || end == p->at || number > INT32_MAX || number < INT32_MIN)
                                return fail(p, "invalid array index %.20s", start);
                        *numbers[colons] = number;
                        *has[colons] = true;
                        p->at = end;
                        skip_blanks(p);
                }
                if (*p->at != ':' || colons == 2)
                        break;
                colons++;
                p->at++;
        }
        node->single = colons == 0;
        if (node->single && !node->has_from)
                return fail(p, "invalid array index %.*s", (int)strcspn(start, "]}"), start);
        return 0;
}

static int parse_filter(struct path_parser *p, struct jp_node *to)
{
        static const char *const operators[] = {"==", "!=", "<=", ">=", "<", ">"};
        struct jp_node *node = new_node(JP_FILTER);
        add_child(to, node);
        skip_blanks(p);
        if (*p->at != '(')
                return fail(p, "expected ( after ? in a filter");
        p->at++;
        struct jp_node *left = new_node(JP_LIST), *right;
        add_child(node, left);
        int r = parse_pipeline(p, left, ")=!<>");
        if (r < 0)
                return r;
        for (size_t i = 0; i < CX_ARRAY_SIZE(operators) && !node->text; i++)
                if (cx_has_prefix(p->at, operators[i]))
                        node->text = cx_strdup(operators[i]);
        if (node->text) {
                p->at += strlen(node->text);
                right = new_node(JP_LIST);
                add_child(node, right);
                if ((r = parse_pipeline(p, right, ")")) < 0)
                        return r;
        } else {
                node->text = cx_strdup("exists");
        }
        if (*p->at != ')')
                return fail(p, "unterminated filter");
        p->at++;
        return 0;
}

static int parse_bracket(struct path_parser *p, struct jp_node *to)
{
        p->at++;
        skip_blanks(p);
        int r;
        if (*p->at == '?') {
                p->at++;
                r = parse_filter(p, to);
        } else {
                struct jp_node *all = new_node(JP_UNION);
                add_child(to, all);
                r = parse_index(p, all);
                while (r == 0 && *p->at == ',') {
                        p->at++;
                        r = parse_index(p, all);
                }
        }
        if (r < 0)
                return r;
        skip_blanks(p);
        if (*p->at != ']')
                return fail(p, "unterminated array");
        p->at++;
        return 0;
}

static bool is_word(const char *at, const char *word)
{
        size_t n = strlen(word);
        return strncmp(at, word, n) == 0 && ends_field(at[n]);
}

static int parse_word(struct path_parser *p, struct jp_node *to)
{
        bool yes = is_word(p->at, "true");
        if (yes || is_word(p->at, "false")) {
                struct jp_node *node = new_node(JP_VALUE);
                node->value = json_boolean(yes);
                add_child(to, node);
                p->at += yes ? 4 : 5;
                return 0;
        }
        return fail(p, "unrecognized identifier %.*s", (int)strcspn(p->at, " .[]}"), p->at);
}

static int parse_step(struct path_parser *p, struct jp_node *to)
{
        char c = *p->at;
        if (c == '$' || c == '@') {
                struct jp_node *node = new_node(JP_FIELD);
                node->text = cx_strdup("");
                if (c == '$')
                        node->value = json_true(); // from the top
                add_child(to, node);
                p->at++;
        } else if (c == '.' && p->at[1] == '.') {
                p->at += 2;
                add_child(to, new_node(JP_RECURSIVE));
                if (*p->at != '[' && *p->at != '*' && *p->at != '.')
                        parse_field(p, to);
        } else if (c == '.') {
                p->at++;
                if (*p->at == '*') {
                        p->at++;
                        add_child(to, new_node(JP_WILDCARD));
                } else if (*p->at != '[') {
                        parse_field(p, to);
                }
        } else if (c == '*') {
                p->at++;
                add_child(to, new_node(JP_WILDCARD));
        } else if (c == '[') {
                return parse_bracket(p, to);
        } else if (c == '\'' || c == '"') {
                struct jp_node *node = new_node(JP_VALUE);
                add_child(to, node);
                CX_CLEANUP(cx_freep) char *text = NULL;
                int r = parse_quoted(p, &text);
                if (r < 0)
                        return r;
                node->value = json_string(text);
                return node->value ? 0 : fail(p, "text is not valid UTF-8");
        } else if (c == '-' || isdigit((unsigned char)c)) {
                return parse_number(p, to);
        } else if (isalpha((unsigned char)c)) {
                return parse_word(p, to);
        } else {
                return fail(p, "unrecognized character in action: U+%04X '%c'", (unsigned char)c, c);
        }
        return 0;
}

// Steps until one of the characters in `ends` (not taken).
static int parse_pipeline(struct path_parser *p, struct jp_node *to, const char *ends)
{
        if (++p->depth > MAX_DEPTH)
                return fail(p, "the template is nested too deep");
        for (;;) {
                skip_blanks(p);
                if (!*p->at)
                        return fail(p, "unclosed action");
                if (strchr(ends, *p->at))
                        break;
                int r = parse_step(p, to);
                if (r < 0)
                        return r;
        }
        p->depth--;
        return 0;
}

static int parse_template(struct path_parser *p, struct jp_node *to, bool in_range);

static int parse_action(struct path_parser *p, struct jp_node *to, bool *ret_end)
{
        p->at++;
        skip_blanks(p);
        if (is_word(p->at, "end")) {
                p->at += 3;
                skip_blanks(p);
                if (*p->at != '}')
                        return fail(p, "unclosed action");
                p->at++;
                *ret_end = true;
                return 0;
        }
        if (is_word(p->at, "range")) {
                p->at += 5;
                struct jp_node *range = new_node(JP_RANGE), *list = new_node(JP_LIST);
                add_child(to, range);
                add_child(range, list);
                int r = parse_pipeline(p, list, "}");
                if (r < 0)
                        return r;
                p->at++;
                if (++p->ranges > MAX_DEPTH)
                        return fail(p, "the template is nested too deep");
                r = parse_template(p, range, true);
                p->ranges--;
                return r;
        }
        struct jp_node *list = new_node(JP_LIST);
        add_child(to, list);
        int r = parse_pipeline(p, list, "}");
        if (r == 0)
                p->at++;
        return r;
}

static int parse_template(struct path_parser *p, struct jp_node *to, bool in_range)
{
        while (*p->at) {
                if (*p->at != '{') {
                        size_t length = strcspn(p->at, "{");
                        struct jp_node *node = new_node(JP_TEXT);
                        node->text = cx_strndup(p->at, length);
                        add_child(to, node);
                        p->at += length;
                        continue;
                }
                bool end = false;
                int r = parse_action(p, to, &end);
                if (r < 0)
                        return r;
                if (end && in_range)
                        return 0;
                if (end)
                        return fail(p, "not in range, nothing to end");
        }
        return in_range ? fail(p, "unexpected end of template, {end} is missing") : 0;
}

int jsonpath_parse(const char *text, struct jsonpath **ret_path, struct cx_error *err)
{
        if (strlen(text) > MAX_TEXT)
                return cx_error_set(err, -E2BIG, "the template is longer than %d bytes", MAX_TEXT);
        struct path_parser p = {.at = text, .err = err};
        struct jsonpath *path = cx_alloc(sizeof *path);
        path->root = new_node(JP_LIST);
        int r = parse_template(&p, path->root, false);
        if (r < 0) {
                jsonpath_free(path);
                return r;
        }
        *ret_path = path;
        return 0;
}

int jsonpath_parse_relaxed(const char *text, struct jsonpath **ret_path, struct cx_error *err)
{
        size_t length = strlen(text);
        const char *start = text;
        if (!length)
                return jsonpath_parse(text, ret_path, err);
        if (*start == '{') {
                if (start[length - 1] != '}')
                        return cx_error_set(err, -EINVAL,
                                            "unexpected path string, expected a 'name1.name2' or '.name1.name2' or "
                                            "'{name1.name2}' or '{.name1.name2}'");
                start++;
                length -= 2;
        }
        bool dotted = *start == '.' || *start == '[' || *start == '@' || *start == '$';
        CX_CLEANUP(cx_freep) char *whole = cx_sprintf("{%s%.*s}", dotted ? "" : ".", (int)length, start);
        return jsonpath_parse(whole, ret_path, err);
}

void jsonpath_free(struct jsonpath *path)
{
        if (!path)
                return;
        free_node(path->root);
        free(path);
}
