// SPDX-License-Identifier: Apache-2.0
// Label and field selectors: the query syntax ("a=b,c in (d,e),!f", "metadata.name=x") and metav1.LabelSelector.
// Immutable once made; any thread may match.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"
#include "libcommon/base/strings.h"

#include <jansson.h>

enum cx_operator {
        CX_OP_IN,
        CX_OP_NOT_IN,
        CX_OP_EXISTS,
        CX_OP_NOT_EXISTS,
        CX_OP_EQUALS,
        CX_OP_NOT_EQUALS,
        CX_OP_GT,
        CX_OP_LT
};
struct cx_requirement {
        char *key;
        enum cx_operator op;
        char **values;
        size_t n_values;
};
struct cx_selector {
        struct cx_requirement *requirements;
        size_t count;
        bool nothing; // matches nothing (a nil LabelSelector)
};
#define CX_SELECTOR_INIT                                                                                               \
        {                                                                                                              \
                0                                                                                                      \
        }

int cx_selector_parse_labels(const char *text, struct cx_selector *ret_selector, struct cx_error *err) CX_CHECK;
int cx_selector_parse_fields(const char *text, struct cx_selector *ret_selector, struct cx_error *err) CX_CHECK;
// From metav1.LabelSelector; NULL selects nothing, {} everything.
int cx_selector_from_json(const json_t *label_selector, struct cx_selector *ret_selector, struct cx_error *err)
        CX_CHECK;
// From a plain map (Service.spec.selector); NULL or empty selects nothing.
void cx_selector_from_map(const json_t *map, struct cx_selector *ret_selector);
// Building one by hand: adds a requirement without values (borrowed, until the next one is added), and a value to it.
struct cx_requirement *cx_selector_add(struct cx_selector *selector, const char *key, size_t length,
                                       enum cx_operator op);
void cx_requirement_add_value(struct cx_requirement *requirement, const char *value, size_t length);
bool cx_selector_matches(const struct cx_selector *selector, const json_t *labels); // labels may be NULL
// The general form: `get` returns the value of a key or NULL.
bool cx_selector_matches_with(const struct cx_selector *selector, const char *(*get)(void *context, const char *key),
                              void *context);
// "a=b", "c in (d,e)" and so on, joined by commas: what the parser reads.
void cx_selector_format(const struct cx_selector *selector, struct cx_buf *to);
void cx_selector_release(struct cx_selector *selector);
#define CX_SELECTOR CX_CLEANUP(cx_selector_release) struct cx_selector

// A map of labels or annotations (NULL: none) as "key=value", sorted; added to `to`.
void cx_labels_list(const json_t *map, struct cx_strings *to);
// The same joined by commas; "<none>" when there are none. Owned.
char *cx_labels_text(const json_t *map);
