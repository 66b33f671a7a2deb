// SPDX-License-Identifier: Apache-2.0
// The tree that a Go template is compiled to, and its functions. Values are JSON; whole numbers and floats are
// kept apart, "no value" is json_null.
#pragma once

#include "kubectl/printer/gotemplate.h"

enum gt_kind { GT_TEXT, GT_PIPE, GT_IF, GT_RANGE, GT_WITH, GT_TEMPLATE, GT_BREAK, GT_CONTINUE };
enum gt_operand_kind { GT_DOT, GT_FIELD, GT_VARIABLE, GT_LITERAL, GT_CALL, GT_NESTED };

struct gt_operand {
        enum gt_operand_kind kind;
        const char *at; // where it stands in the template
        size_t length;
        const char *name;     // of a variable ("" is $) or a function
        json_t *value;        // of a literal; owned by the template
        struct gt_pipe *pipe; // (…)
        const char **path;    // fields that follow
        size_t n_path;
};
struct gt_command {
        struct gt_operand *operands;
        size_t n_operands;
};
struct gt_pipe {
        const char *variables[2];
        size_t n_variables;
        bool assigns; // = and not :=
        struct gt_command *commands;
        size_t n_commands;
};
struct gt_list {
        struct gt_node *nodes;
        size_t n_nodes;
};
struct gt_node {
        enum gt_kind kind;
        const char *text; // or the name of a template
        size_t length;
        struct gt_pipe *pipe;
        struct gt_list body, otherwise;
};
struct gt_definition {
        const char *name;
        struct gt_list body;
};
struct gotemplate {
        char *source;
        struct gt_list root;
        struct gt_definition *definitions;
        size_t n_definitions;
        void **memory; // everything that the tree is made of
        size_t n_memory;
        json_t *literals; // keeps them alive
};

// --- gotemplate_values.c
bool gt_true(const json_t *value);
struct gt_function {
        const char *name;
        int min, max; // arguments; max -1: any number
        int (*run)(json_t *const *args, size_t n, json_t **ret_value, struct cx_error *err);
};
// NULL when there is none. `and` and `or`, which leave out what need not be evaluated, have no `run`.
const struct gt_function *gt_function_find(const char *name, size_t length);
