// SPDX-License-Identifier: Apache-2.0
// Runs a compiled Go template over JSON.
#include "kubectl/printer/gotemplate_internal.h"
#include "kubectl/printer/keys.h"

#define MAX_CALLS 100
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define MAX_WORK 100000 // sanitizers make it slow
#else
#define MAX_WORK 10000000
#endif

struct variable {
        const char *name;
        json_t *value;
};
enum flow { RUNS, BREAKS, CONTINUES }; // positive results of run_list
struct template_eval {
        const struct gotemplate *t;
        bool allow_missing;
        struct variable *variables;
        size_t n_variables, work;
        int calls;
        struct cx_buf *to;
        struct cx_error *err;
};

static int fail(const struct template_eval *e, const struct gt_operand *at, const char *format, ...) CX_PRINTF(3, 4);
static int fail(const struct template_eval *e, const struct gt_operand *at, const char *format, ...)
{
        CX_BUF why = CX_BUF_INIT;
        va_list args;
        va_start(args, format);
        cx_buf_vprintf(&why, format, args);
        va_end(args);
        int line = 1;
        const char *start = e->t->source;
        for (const char *p = e->t->source; p < at->at; p++)
                if (*p == '\n') {
                        line++;
                        start = p + 1;
                }
        return cx_error_set(e->err, -EINVAL, "template: output:%d:%d: executing \"output\" at <%.*s>: %s", line,
                            (int)(at->at - start) + (line > 1), (int)at->length, at->at, why.data);
}

static void set_variable(struct template_eval *e, const char *name, json_t *value, bool assigns)
{
        for (size_t i = e->n_variables; assigns && i-- > 0;)
                if (strcmp(e->variables[i].name, name) == 0) {
                        json_decref(e->variables[i].value);
                        e->variables[i].value = json_incref(value);
                        return;
                }
        e->variables = cx_realloc_array(e->variables, e->n_variables + 1, sizeof *e->variables);
        e->variables[e->n_variables++] = (struct variable){name, json_incref(value)};
}

static void drop_variables(struct template_eval *e, size_t count)
{
        while (e->n_variables > count)
                json_decref(e->variables[--e->n_variables].value);
}

static json_t *variable(const struct template_eval *e, const char *name)
{
        for (size_t i = e->n_variables; i-- > 0;)
                if (strcmp(e->variables[i].name, name) == 0)
                        return e->variables[i].value;
        return json_null();
}

static int eval_path(const struct template_eval *e, const struct gt_operand *o, json_t *from, json_t **ret_value)
{
        json_auto_t *value = json_incref(from);
        bool missing = false;
        for (size_t i = 0; i < o->n_path; i++) {
                if (missing)
                        continue;
                if (json_is_null(value))
                        return fail(e, o, "nil pointer evaluating interface {}.%s", o->path[i]);
                if (!json_is_object(value))
                        return fail(e, o, "can't evaluate field %s in type interface {}", o->path[i]);
                json_t *next = json_object_get(value, o->path[i]);
                missing = !next;
                if (missing && !e->allow_missing)
                        return fail(e, o, "map has no entry for key \"%s\"", o->path[i]);
                json_incref(next);
                json_decref(value);
                value = missing ? json_null() : next;
        }
        *ret_value = cx_steal(&value);
        return 0;
}

static int eval_pipe(struct template_eval *e, const struct gt_pipe *pipe, json_t *dot, json_t **ret_value);
static int call(struct template_eval *e, const struct gt_command *command, json_t *dot, json_t *last,
                json_t **ret_value);

static int eval_operand(struct template_eval *e, const struct gt_operand *o, json_t *dot, json_t **ret_value)
{
        json_auto_t *nested = NULL;
        switch (o->kind) {
        case GT_DOT:
                *ret_value = json_incref(dot);
                return 0;
        case GT_LITERAL:
                *ret_value = json_incref(o->value);
                return 0;
        case GT_FIELD:
                return eval_path(e, o, dot, ret_value);
        case GT_VARIABLE:
                return eval_path(e, o, variable(e, o->name), ret_value);
        case GT_CALL:
                return call(e, &(struct gt_command){(struct gt_operand *)o, 1}, dot, NULL, ret_value);
        case GT_NESTED: {
                int r = eval_pipe(e, o->pipe, dot, &nested);
                return r < 0 ? r : eval_path(e, o, nested, ret_value);
        }
        }
        return -EINVAL;
}

// and, or: the first argument that decides.
static int call_logic(struct template_eval *e, const struct gt_command *command, json_t *dot, json_t *last,
                      json_t **ret_value)
{
        bool until = command->operands[0].name[0] == 'o';
        size_t n = command->n_operands;
        json_auto_t *value = NULL;
        for (size_t i = 1; i < n; i++) {
                json_decref(value);
                value = NULL;
                int r = eval_operand(e, &command->operands[i], dot, &value);
                if (r < 0)
                        return r;
                if (gt_true(value) == until) {
                        *ret_value = cx_steal(&value);
                        return 0;
                }
        }
        *ret_value = last ? json_incref(last) : value ? cx_steal(&value) : json_null();
        return 0;
}

static int call(struct template_eval *e, const struct gt_command *command, json_t *dot, json_t *last,
                json_t **ret_value)
{
        const struct gt_operand *first = &command->operands[0];
        const struct gt_function *function = gt_function_find(first->name, strlen(first->name));
        size_t n = command->n_operands - 1 + (last != NULL), i = 0;
        if ((int)n < function->min || (function->max >= 0 && (int)n > function->max))
                return fail(e, first, "wrong number of args for %s: want %s%d got %zu", first->name,
                            function->max < 0 ? "at least " : "", function->min, n);
        if (!function->run)
                return call_logic(e, command, dot, last, ret_value);
        CX_CLEANUP(cx_freep) json_t **args = cx_alloc_array(n + 1, sizeof *args);
        int r = 0;
        for (; r == 0 && i + 1 < command->n_operands; i++)
                r = eval_operand(e, &command->operands[i + 1], dot, &args[i]);
        if (r == 0 && last)
                args[i] = json_incref(last);
        CX_ERROR why = CX_ERROR_INIT;
        if (r == 0 && function->run(args, n, ret_value, &why) < 0)
                r = fail(e, first, "error calling %s: %s", first->name, cx_error_text(&why));
        for (i = 0; i < n; i++)
                json_decref(args[i]);
        return r;
}

static int eval_pipe(struct template_eval *e, const struct gt_pipe *pipe, json_t *dot, json_t **ret_value)
{
        json_auto_t *value = NULL;
        for (size_t i = 0; i < pipe->n_commands; i++) {
                const struct gt_command *command = &pipe->commands[i];
                const struct gt_operand *first = &command->operands[0];
                json_auto_t *last = cx_steal(&value);
                int r;
                if (first->kind == GT_LITERAL && json_is_null(first->value))
                        r = fail(e, first, "nil is not a command");
                else if (first->kind == GT_CALL)
                        r = call(e, command, dot, last, &value);
                else if (last || command->n_operands > 1)
                        r = fail(e, first, "can't give argument to non-function %.*s", (int)first->length, first->at);
                else
                        r = eval_operand(e, first, dot, &value);
                if (r < 0)
                        return r;
        }
        *ret_value = cx_steal(&value);
        return 0;
}

static int run_list(struct template_eval *e, const struct gt_list *list, json_t *dot);

static int run_round(struct template_eval *e, const struct gt_node *node, json_t *key, json_t *item)
{
        size_t mark = e->n_variables;
        const struct gt_pipe *pipe = node->pipe;
        json_auto_t *dot = json_incref(item);
        if (pipe->n_variables == 2)
                set_variable(e, pipe->variables[0], key, pipe->assigns);
        if (pipe->n_variables)
                set_variable(e, pipe->variables[pipe->n_variables - 1], dot, pipe->assigns);
        int r = run_list(e, &node->body, dot);
        drop_variables(e, mark);
        return r == CONTINUES ? 0 : r;
}

static int range_object(struct template_eval *e, const struct gt_node *node, json_t *object)
{
        CX_CLEANUP(cx_freep) const char **keys = sorted_keys(object);
        int r = 0;
        for (size_t i = 0; r == 0 && keys[i]; i++) {
                json_auto_t *name = json_string(keys[i]);
                r = run_round(e, node, name, json_object_get(object, keys[i]));
        }
        return r;
}

static int run_range(struct template_eval *e, const struct gt_node *node, json_t *over, json_t *dot)
{
        int r = 0;
        if (json_is_object(over)) {
                r = range_object(e, node, over);
        } else if (json_is_array(over)) {
                for (size_t i = 0; r == 0 && i < json_array_size(over); i++) {
                        json_auto_t *index = json_integer((json_int_t)i);
                        r = run_round(e, node, index, json_array_get(over, i));
                }
        } else if (json_is_integer(over)) {
                for (json_int_t i = 0; r == 0 && i < json_integer_value(over); i++) {
                        json_auto_t *index = json_integer(i);
                        json_t *key = index;
                        if (node->pipe->n_variables == 2)
                                return fail(e, &node->pipe->commands[0].operands[0],
                                            "can't use %lld to iterate over more than one variable",
                                            (long long)json_integer_value(over));
                        size_t mark = e->n_variables;
                        if (node->pipe->n_variables)
                                set_variable(e, node->pipe->variables[0], key, node->pipe->assigns);
                        r = run_list(e, &node->body, index);
                        drop_variables(e, mark);
                        r = r == CONTINUES ? 0 : r;
                }
        } else if (!json_is_null(over)) {
                CX_BUF text = CX_BUF_INIT;
                gotemplate_value(over, &text);
                return fail(e, &node->pipe->commands[0].operands[0], "range can't iterate over %s", text.data);
        }
        bool empty =
                json_is_null(over) || (!json_is_integer(over) && !json_array_size(over) && !json_object_size(over));
        if (r == 0 && empty)
                return run_list(e, &node->otherwise, dot);
        return r == BREAKS ? 0 : r;
}

static int run_template(struct template_eval *e, const struct gt_node *node, json_t *dot)
{
        const struct gt_definition *found = NULL;
        for (size_t i = 0; i < e->t->n_definitions; i++)
                if (strcmp(e->t->definitions[i].name, node->text) == 0)
                        found = &e->t->definitions[i];
        const struct gt_operand at = {.at = e->t->source, .length = 0};
        if (!found)
                return fail(e, &at, "template \"%s\" not defined", node->text);
        if (e->calls >= MAX_CALLS)
                return fail(e, &at, "exceeded maximum template depth (%d)", MAX_CALLS);
        json_auto_t *value = NULL;
        int r = node->pipe ? eval_pipe(e, node->pipe, dot, &value) : 0;
        if (r < 0)
                return r;
        if (!value)
                value = json_null();
        struct template_eval inner = {.t = e->t,
                                      .allow_missing = e->allow_missing,
                                      .work = e->work,
                                      .calls = e->calls + 1,
                                      .to = e->to,
                                      .err = e->err};
        set_variable(&inner, "", value, false);
        r = run_list(&inner, &found->body, value);
        drop_variables(&inner, 0);
        free(inner.variables);
        e->work = inner.work;
        return r;
}

static int run_node(struct template_eval *e, const struct gt_node *node, json_t *dot)
{
        if (node->kind == GT_TEXT)
                return cx_buf_append(e->to, node->text, node->length), 0;
        if (node->kind == GT_BREAK || node->kind == GT_CONTINUE)
                return node->kind == GT_BREAK ? BREAKS : CONTINUES;
        if (node->kind == GT_TEMPLATE)
                return run_template(e, node, dot);
        json_auto_t *value = NULL;
        size_t mark = e->n_variables;
        int r = eval_pipe(e, node->pipe, dot, &value);
        if (r < 0)
                return r;
        if (node->kind != GT_RANGE)
                for (size_t i = 0; i < node->pipe->n_variables; i++)
                        set_variable(e, node->pipe->variables[i], value, node->pipe->assigns);
        if (node->kind == GT_PIPE) {
                if (!node->pipe->n_variables)
                        gotemplate_value(value, e->to);
                return 0; // a variable lives until the end of the list
        }
        if (node->kind == GT_RANGE)
                r = run_range(e, node, value, dot);
        else
                r = run_list(e, gt_true(value) ? &node->body : &node->otherwise,
                             node->kind == GT_WITH && gt_true(value) ? value : dot);
        drop_variables(e, mark);
        return r;
}

static int run_list(struct template_eval *e, const struct gt_list *list, json_t *dot)
{
        size_t mark = e->n_variables;
        int r = 0;
        e->work += list->n_nodes + 1; // an empty list is work too: a range may go over any number
        if (e->work > MAX_WORK || e->to->overflow)
                return cx_error_set(e->err, -E2BIG, "the template makes too much output");
        for (size_t i = 0; r == 0 && i < list->n_nodes; i++)
                r = run_node(e, &list->nodes[i], dot);
        drop_variables(e, mark);
        return r;
}

int gotemplate_print(const struct gotemplate *template, const json_t *data, bool allow_missing, struct cx_buf *to,
                     struct cx_error *err)
{
        struct template_eval e = {.t = template, .allow_missing = allow_missing, .to = to, .err = err};
        json_auto_t *dot = json_incref((json_t *)data);
        set_variable(&e, "", dot, false);
        int r = run_list(&e, &template->root, dot);
        drop_variables(&e, 0);
        free(e.variables);
        return r < 0 ? r : 0;
}
