// SPDX-License-Identifier: Apache-2.0
// The tree that a template is compiled to.
#pragma once

#include "kubectl/printer/jsonpath.h"

enum jp_kind {
        JP_TEXT,      // literal text of the template
        JP_LIST,      // a pipeline: each node works on what the one before found
        JP_FIELD,     // .name; name "" is the object itself
        JP_ARRAY,     // [i], [from:to:step]
        JP_FILTER,    // [?(left op right)]
        JP_WILDCARD,  // *
        JP_RECURSIVE, // ..
        JP_UNION,     // [a,b]
        JP_VALUE,     // a number, a string or a boolean
        JP_RANGE,     // {range X}…{end}: body in children[1..]
};
struct jp_node {
        enum jp_kind kind;
        char *text; // text, field name, operator of a filter
        json_t *value;
        struct jp_node **children;
        size_t n_children;
        int64_t from, to, step;
        bool has_from, has_to, has_step, single; // JP_ARRAY
};
struct jsonpath {
        struct jp_node *root; // JP_LIST of texts, pipelines and ranges
};
