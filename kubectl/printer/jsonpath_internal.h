// SPDX-License-Identifier: Apache-2.0
// The tree that a template is compiled to.
#pragma once

#include "kubectl/printer/jsonpath.h"

enum cx_jp_kind {
        CX_JP_TEXT,      // literal text of the template
        CX_JP_LIST,      // a pipeline: each node works on what the one before found
        CX_JP_FIELD,     // .name; name "" is the object itself
        CX_JP_ARRAY,     // [i], [from:to:step]
        CX_JP_FILTER,    // [?(left op right)]
        CX_JP_WILDCARD,  // *
        CX_JP_RECURSIVE, // ..
        CX_JP_UNION,     // [a,b]
        CX_JP_VALUE,     // a number, a string or a boolean
        CX_JP_RANGE,     // {range X}…{end}: body in children[1..]
};
struct cx_jp_node {
        enum cx_jp_kind kind;
        char *text; // text, field name, operator of a filter
        json_t *value;
        struct cx_jp_node **children;
        size_t n_children;
        int64_t from, to, step;
        bool has_from, has_to, has_step, single; // CX_JP_ARRAY
};
struct cx_jsonpath {
        struct cx_jp_node *root; // CX_JP_LIST of texts, pipelines and ranges
};
