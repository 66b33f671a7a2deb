// SPDX-License-Identifier: Apache-2.0
// The parser: recursive descent over the text, into a tree that points into a copy of it.
#include "kubectl/printer/gotemplate_internal.h"
#include "libcommon/base/strings.h"

#define MAX_TEXT ((size_t)1 << 20)
#define MAX_NESTING 64

struct template_parser {
        struct gotemplate *t;
        const char *p, *end;
        int depth, ranges;
        struct cx_strings variables; // in scope
        struct cx_error *err;
};

static void *keep(struct gotemplate *t, void *memory)
{
        t->memory = cx_realloc_array(t->memory, t->n_memory + 1, sizeof *t->memory);
        return t->memory[t->n_memory++] = memory;
}

// A copy of `count` elements with room for one more, owned by the template.
static void *grow(struct gotemplate *t, void *old, size_t count, size_t size)
{
        if (count & (count - 1)) // room is doubled at powers of two
                return old;
        void *bigger = keep(t, cx_alloc_array(count ? count * 2 : 1, size));
        if (count)
                memcpy(bigger, old, count * size);
        return bigger;
}

static int fail(struct template_parser *s, const char *format, ...) CX_PRINTF(2, 3);
static int fail(struct template_parser *s, const char *format, ...)
{
        CX_BUF why = CX_BUF_INIT;
        va_list args;
        va_start(args, format);
        cx_buf_vprintf(&why, format, args);
        va_end(args);
        int line = 1;
        for (const char *p = s->t->source; p < s->p; p++)
                line += *p == '\n';
        return cx_error_set(s->err, -EINVAL, "template: output:%d: %s", line, why.data);
}

static bool word_char(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80);
}

static bool blank(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_blanks(struct template_parser *s)
{
        while (s->p < s->end && blank(*s->p))
                s->p++;
}

static const char *take_word(struct template_parser *s)
{
        const char *from = s->p;
        while (s->p < s->end && word_char(*s->p))
                s->p++;
        return keep(s->t, cx_strndup(from, (size_t)(s->p - from)));
}

// "}}" or " -}}": the end of the action.
static bool at_close(const struct template_parser *s)
{
        return cx_has_prefix(s->p, "}}") || cx_has_prefix(s->p, "-}}");
}

static int close_action(struct template_parser *s)
{
        skip_blanks(s);
        bool trims = cx_has_prefix(s->p, "-}}") && blank(s->p[-1]);
        if (!trims && !cx_has_prefix(s->p, "}}"))
                return s->p >= s->end ? fail(s, "unclosed action") : fail(s, "unexpected %.10s in operand", s->p);
        s->p += trims ? 3 : 2;
        if (trims)
                skip_blanks(s);
        return 0;
}

static int parse_escape(struct template_parser *s, struct cx_buf *to)
{
        static const char names[] = "abfnrtv\\'\"", values[] = "\a\b\f\n\r\t\v\\'\"";
        const char *known = *s->p ? strchr(names, *s->p) : NULL;
        if (known) {
                cx_buf_add_char(to, values[known - names]);
                s->p++;
                return 0;
        }
        int digits = *s->p == 'x' ? 2 : *s->p == 'u' ? 4 : *s->p == 'U' ? 8 : 0;
        unsigned code = 0;
        s->p++;
        for (int i = 0; i < digits; i++, s->p++) {
                const char *hex = "0123456789abcdef", *digit = *s->p ? strchr(hex, *s->p | ((*s->p > '9') << 5)) : NULL;
                if (!digit)
                        return fail(s, "invalid syntax");
                code = code * 16 + (unsigned)(digit - hex);
        }
        if (!digits || code > 0x10ffff)
                return fail(s, "invalid syntax");
        if (code < 0x80) {
                cx_buf_add_char(to, (char)code);
        } else if (code < 0x800) {
                cx_buf_add_char(to, (char)(0xc0 | code >> 6));
                cx_buf_add_char(to, (char)(0x80 | (code & 63)));
        } else {
                if (code < 0x10000) {
                        cx_buf_add_char(to, (char)(0xe0 | code >> 12));
                } else {
                        cx_buf_add_char(to, (char)(0xf0 | code >> 18));
                        cx_buf_add_char(to, (char)(0x80 | (code >> 12 & 63)));
                }
                cx_buf_add_char(to, (char)(0x80 | (code >> 6 & 63)));
                cx_buf_add_char(to, (char)(0x80 | (code & 63)));
        }
        return 0;
}

// "…", `…` or '…' (a rune, which is a number).
static int parse_quoted(struct template_parser *s, struct cx_buf *to)
{
        char quote = *s->p++;
        while (s->p < s->end && *s->p != quote) {
                if (*s->p == '\n' && quote != '`')
                        break;
                if (*s->p == '\\' && quote != '`') {
                        s->p++;
                        int r = parse_escape(s, to);
                        if (r < 0)
                                return r;
                        continue;
                }
                cx_buf_add_char(to, *s->p++);
        }
        if (s->p >= s->end || *s->p != quote)
                return fail(s, quote == '`'    ? "unterminated raw quoted string"
                               : quote == '\'' ? "unterminated character constant"
                                               : "unterminated quoted string");
        s->p++;
        return 0;
}

static int parse_literal(struct template_parser *s, struct gt_operand *o)
{
        o->kind = GT_LITERAL;
        if (strchr("\"`'", *s->p)) {
                bool rune = *s->p == '\'';
                CX_BUF text = CX_BUF_INIT;
                int r = parse_quoted(s, &text);
                if (r < 0)
                        return r;
                o->value = rune ? json_integer((unsigned char)text.data[0]) : json_stringn(text.data, text.length);
                if (!o->value)
                        return fail(s, "text is not valid UTF-8");
        } else {
                const char *from = s->p;
                while (s->p < s->end && (word_char(*s->p) || *s->p == '.' ||
                                         (strchr("+-", *s->p) && (s->p == from || strchr("eE", s->p[-1])))))
                        s->p++;
                CX_CLEANUP(cx_freep) char *text = cx_strndup(from, (size_t)(s->p - from));
                char *end;
                if (strpbrk(text, ".eE") && !cx_has_prefix(text, "0x")) {
                        o->value = json_real(strtod(text, &end));
                } else {
                        errno = 0;
                        o->value = json_integer(strtoll(text, &end, 0));
                        if (errno)
                                end = text;
                }
                if (!o->value || *end || end == text) { // JSON has no infinity
                        json_decref(o->value);
                        return fail(s, "bad number syntax: \"%s\"", text);
                }
        }
        json_array_append_new(s->t->literals, o->value);
        return 0;
}

static int parse_pipe(struct template_parser *s, struct gt_pipe **ret_pipe);

static int parse_word_operand(struct template_parser *s, struct gt_operand *o)
{
        const char *word = o->name = take_word(s);
        bool yes = strcmp(word, "true") == 0;
        if (yes || strcmp(word, "false") == 0 || strcmp(word, "nil") == 0) {
                o->kind = GT_LITERAL;
                o->value = *word == 'n' ? json_null() : json_boolean(yes);
                return 0;
        }
        o->kind = GT_CALL;
        return gt_function_find(word, strlen(word)) ? 0 : fail(s, "function \"%s\" not defined", word);
}

static int parse_start(struct template_parser *s, struct gt_operand *o)
{
        if (*s->p == '(') {
                s->p++;
                if (++s->depth > MAX_NESTING)
                        return fail(s, "nested too deep");
                o->kind = GT_NESTED;
                int r = parse_pipe(s, &o->pipe);
                s->depth--;
                if (r < 0)
                        return r;
                return *s->p == ')' ? (s->p++, 0) : fail(s, "unclosed left paren");
        }
        if (*s->p == '.' && !(s->p[1] >= '0' && s->p[1] <= '9')) {
                o->kind = word_char(s->p[1]) ? GT_FIELD : GT_DOT;
                s->p += o->kind == GT_DOT;
                return 0;
        }
        if (*s->p == '$') {
                s->p++;
                o->kind = GT_VARIABLE;
                o->name = take_word(s);
                return !*o->name || cx_strings_has(&s->variables, o->name)
                               ? 0
                               : fail(s, "undefined variable \"$%s\"", o->name);
        }
        if (strchr("\"`'+-.", *s->p) || (*s->p >= '0' && *s->p <= '9'))
                return parse_literal(s, o);
        if (word_char(*s->p))
                return parse_word_operand(s, o);
        return fail(s, "unexpected \"%.1s\" in operand", s->p);
}

static int parse_operand(struct template_parser *s, struct gt_operand *o)
{
        o->at = s->p;
        int r = parse_start(s, o);
        while (r == 0 && o->kind != GT_DOT && *s->p == '.' && word_char(s->p[1])) {
                if (o->kind == GT_LITERAL || o->kind == GT_CALL)
                        return fail(s, "unexpected . after term \"%.*s\"", (int)(s->p - o->at), o->at);
                s->p++;
                o->path = grow(s->t, o->path, o->n_path, sizeof *o->path);
                o->path[o->n_path++] = take_word(s);
        }
        o->length = (size_t)(s->p - o->at);
        return r;
}

static bool at_command_end(const struct template_parser *s)
{
        return s->p >= s->end || *s->p == '|' || *s->p == ')' || at_close(s);
}

static int parse_command(struct template_parser *s, struct gt_command *command)
{
        for (skip_blanks(s); !at_command_end(s); skip_blanks(s)) {
                command->operands = grow(s->t, command->operands, command->n_operands, sizeof *command->operands);
                struct gt_operand *o = &command->operands[command->n_operands++];
                int r = parse_operand(s, o);
                if (r < 0)
                        return r;
                if (!blank(*s->p) && !at_command_end(s))
                        return fail(s, "unexpected \"%.1s\" in operand", s->p);
        }
        if (!command->n_operands)
                return s->p >= s->end ? fail(s, "unclosed action") : fail(s, "missing value for command");
        if (command->n_operands > 1 && command->operands[0].kind == GT_LITERAL)
                return fail(s, "can't give argument to non-function %.*s", (int)command->operands[0].length,
                            command->operands[0].at);
        return 0;
}

// "$x :=", "$i, $x :=", "$x =": leaves the position when there is none.
static void parse_declaration(struct template_parser *s, struct gt_pipe *pipe)
{
        const char *start = s->p, *names[2] = {0};
        size_t n = 0;
        while (n < 2 && *s->p == '$' && word_char(s->p[1])) {
                s->p++;
                names[n++] = take_word(s);
                skip_blanks(s);
                if (*s->p != ',')
                        break;
                s->p++;
                skip_blanks(s);
        }
        bool declares = cx_has_prefix(s->p, ":="), assigns = *s->p == '=';
        if (!n || !(declares || assigns)) {
                s->p = start;
                return;
        }
        s->p += declares ? 2 : 1;
        pipe->assigns = assigns;
        for (size_t i = 0; i < n; i++)
                pipe->variables[pipe->n_variables++] = names[i];
}

static int parse_pipe(struct template_parser *s, struct gt_pipe **ret_pipe)
{
        struct gt_pipe *pipe = *ret_pipe = keep(s->t, cx_alloc(sizeof *pipe));
        skip_blanks(s);
        parse_declaration(s, pipe);
        for (size_t i = 0; pipe->assigns && i < pipe->n_variables; i++)
                if (!cx_strings_has(&s->variables, pipe->variables[i]))
                        return fail(s, "undefined variable \"$%s\"", pipe->variables[i]);
        for (bool more = true; more;) {
                skip_blanks(s);
                if (pipe->n_commands && at_command_end(s) && *s->p != '|')
                        break; // a "|" with nothing behind it
                pipe->commands = grow(s->t, pipe->commands, pipe->n_commands, sizeof *pipe->commands);
                int r = parse_command(s, &pipe->commands[pipe->n_commands++]);
                if (r < 0)
                        return r;
                more = *s->p == '|';
                s->p += more;
        }
        for (size_t i = 0; !pipe->assigns && i < pipe->n_variables; i++)
                cx_strings_add(&s->variables, pipe->variables[i]);
        return 0;
}

static void drop_variables(struct template_parser *s, size_t count)
{
        while (s->variables.count > count)
                free(s->variables.items[--s->variables.count]);
}

static int parse_list(struct template_parser *s, struct gt_list *list, const char **ret_ended_by);

// What follows the keyword of if, range and with, up to its end. "else if X" is an else with an if in it.
static int parse_branch(struct template_parser *s, struct gt_node *node)
{
        const char *ended_by = NULL;
        size_t variables = s->variables.count;
        int r = parse_pipe(s, &node->pipe);
        if (r == 0)
                r = close_action(s);
        s->ranges += node->kind == GT_RANGE;
        if (r == 0)
                r = parse_list(s, &node->body, &ended_by);
        s->ranges -= node->kind == GT_RANGE;
        if (r == 0 && !ended_by)
                return fail(s, "unexpected EOF");
        if (r == 0 && strcmp(ended_by, "else") == 0) {
                skip_blanks(s);
                if (word_char(*s->p)) {
                        const char *word = take_word(s);
                        if (node->kind == GT_RANGE || (strcmp(word, "if") != 0 && strcmp(word, "with") != 0))
                                return fail(s, "unexpected <%s> in input", word);
                        node->otherwise.nodes = grow(s->t, NULL, 0, sizeof *node);
                        node->otherwise.nodes[0].kind = *word == 'i' ? GT_IF : GT_WITH;
                        node->otherwise.n_nodes = 1;
                        r = ++s->depth > MAX_NESTING ? fail(s, "nested too deep")
                                                     : parse_branch(s, &node->otherwise.nodes[0]);
                        s->depth--;
                        drop_variables(s, variables);
                        return r; // its end is ours
                }
                if ((r = close_action(s)) == 0)
                        r = parse_list(s, &node->otherwise, &ended_by);
                if (r == 0 && (!ended_by || strcmp(ended_by, "end") != 0))
                        r = fail(s, ended_by ? "unexpected {{else}}" : "unexpected EOF");
        }
        drop_variables(s, variables);
        return r < 0 ? r : close_action(s);
}

static int parse_name(struct template_parser *s, const char **ret_name)
{
        CX_BUF text = CX_BUF_INIT;
        skip_blanks(s);
        if (*s->p != '"' && *s->p != '`')
                return fail(s, "unexpected \"%.1s\" in template clause", s->p);
        int r = parse_quoted(s, &text);
        *ret_name = keep(s->t, cx_buf_detach(&text));
        return r;
}

// {{define "x"}}…{{end}} and {{block "x" pipe}}…{{end}}.
static int parse_definition(struct template_parser *s, const char *name)
{
        struct gt_definition made = {.name = name};
        const char *ended_by;
        CX_STRINGS outer = s->variables;
        s->variables = (struct cx_strings)CX_STRINGS_INIT;
        int r = close_action(s);
        if (r == 0)
                r = parse_list(s, &made.body, &ended_by);
        cx_strings_release(&s->variables);
        s->variables = outer;
        outer = (struct cx_strings)CX_STRINGS_INIT;
        if (r == 0 && (!ended_by || strcmp(ended_by, "end") != 0))
                r = fail(s, ended_by ? "unexpected {{else}} in define clause" : "unexpected EOF");
        if (r == 0)
                r = close_action(s);
        s->t->definitions = grow(s->t, s->t->definitions, s->t->n_definitions, sizeof made);
        s->t->definitions[s->t->n_definitions++] = made;
        return r;
}

static int parse_template(struct template_parser *s, struct gt_node *node, bool block)
{
        node->kind = GT_TEMPLATE;
        int r = parse_name(s, &node->text);
        skip_blanks(s);
        if (r == 0 && !at_close(s))
                r = parse_pipe(s, &node->pipe);
        if (r < 0)
                return r;
        return block ? parse_definition(s, node->text) : close_action(s);
}

// One action, behind its "{{". An `else` or `end` is left to the caller, up to its close.
static int parse_action(struct template_parser *s, struct gt_list *list, const char **ret_ended_by)
{
        static const struct {
                const char *word;
                enum gt_kind kind;
        } branches[] = {{"if", GT_IF}, {"range", GT_RANGE}, {"with", GT_WITH}};
        struct gt_node node = {.kind = GT_PIPE};
        const char *start = s->p, *word = word_char(*s->p) ? take_word(s) : "";
        int r = -1;
        if (strcmp(word, "end") == 0 || strcmp(word, "else") == 0) {
                *ret_ended_by = word;
                return 0;
        }
        for (size_t i = 0; i < CX_ARRAY_SIZE(branches); i++)
                if (strcmp(word, branches[i].word) == 0) {
                        node.kind = branches[i].kind;
                        r = parse_branch(s, &node);
                }
        if (strcmp(word, "define") == 0) {
                const char *name;
                r = parse_name(s, &name);
                return r < 0 ? r : parse_definition(s, name);
        }
        if (strcmp(word, "template") == 0 || strcmp(word, "block") == 0) {
                r = parse_template(s, &node, *word == 'b');
        } else if (strcmp(word, "break") == 0 || strcmp(word, "continue") == 0) {
                node.kind = *word == 'b' ? GT_BREAK : GT_CONTINUE;
                r = s->ranges ? close_action(s) : fail(s, "{{%s}} outside {{range}}", word);
        } else if (node.kind == GT_PIPE) {
                s->p = start;
                r = parse_pipe(s, &node.pipe);
                if (r == 0)
                        r = close_action(s);
        }
        if (r < 0)
                return r;
        list->nodes = grow(s->t, list->nodes, list->n_nodes, sizeof node);
        list->nodes[list->n_nodes++] = node;
        return 0;
}

static void add_text(struct template_parser *s, struct gt_list *list, const char *from, const char *to)
{
        if (from >= to)
                return;
        list->nodes = grow(s->t, list->nodes, list->n_nodes, sizeof *list->nodes);
        list->nodes[list->n_nodes++] = (struct gt_node){.kind = GT_TEXT, .text = from, .length = (size_t)(to - from)};
}

static int skip_comment(struct template_parser *s)
{
        const char *end = strstr(s->p + 2, "*/");
        if (!end)
                return fail(s, "unclosed comment");
        s->p = end + 2;
        return close_action(s) < 0 ? -EINVAL : 0;
}

static int parse_list(struct template_parser *s, struct gt_list *list, const char **ret_ended_by)
{
        int r = 0;
        *ret_ended_by = NULL;
        if (++s->depth > MAX_NESTING)
                return fail(s, "nested too deep");
        while (r == 0 && !*ret_ended_by && s->p < s->end) {
                const char *from = s->p, *open = strstr(from, "{{");
                if (!open) {
                        add_text(s, list, from, s->end);
                        s->p = s->end;
                        break;
                }
                const char *to = open;
                s->p = open + 2;
                if (s->p[0] == '-' && blank(s->p[1])) {
                        s->p += 2;
                        while (to > from && blank(to[-1]))
                                to--;
                }
                add_text(s, list, from, to);
                skip_blanks(s);
                r = cx_has_prefix(s->p, "/*") ? skip_comment(s) : parse_action(s, list, ret_ended_by);
        }
        s->depth--;
        return r;
}

int gotemplate_parse(const char *text, struct gotemplate **ret_template, struct cx_error *err)
{
        CX_CLEANUP(gotemplate_freep) struct gotemplate *t = cx_alloc(sizeof *t);
        const char *ended_by = NULL;
        if (strlen(text) > MAX_TEXT)
                return cx_error_set(err, -E2BIG, "the template is too long");
        t->source = cx_strdup(text);
        t->literals = json_array();
        struct template_parser s = {.t = t, .p = t->source, .end = t->source + strlen(text), .err = err};
        int r = parse_list(&s, &t->root, &ended_by);
        if (r == 0 && ended_by)
                r = fail(&s, "unexpected {{%s}}", ended_by);
        cx_strings_release(&s.variables);
        if (r == 0)
                *ret_template = cx_steal(&t);
        return r;
}

void gotemplate_free(struct gotemplate *t)
{
        if (!t)
                return;
        for (size_t i = 0; i < t->n_memory; i++)
                free(t->memory[i]);
        free(t->memory);
        json_decref(t->literals);
        free(t->source);
        free(t);
}
