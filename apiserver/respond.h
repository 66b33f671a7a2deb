// SPDX-License-Identifier: Apache-2.0
// Answers in the form that the client asked for: JSON, YAML, Table, or metadata only; whole objects, lists from encoded
// bytes, or errors as Status.
#pragma once

#include "apiserver/apiserver.h"

enum cx_form { CX_FORM_JSON, CX_FORM_YAML, CX_FORM_TABLE, CX_FORM_METADATA };
struct cx_accept {
        enum cx_form form;
        enum cx_include_object include; // of Table rows
        bool pretty;                    // JSON for people
};
// Chooses from the Accept header; NOT_ACCEPTABLE when none of its types can be had.
int cx_accept(const struct cx_call *call, bool allow_transform, struct cx_accept *ret_accept, struct cx_error *err)
        CX_CHECK;

void cx_respond_error(struct cx_call *call, const struct cx_error *err);
// An object in the call's version. Takes the reference.
void cx_respond_object(struct cx_call *call, int code, json_t *object_steal);
void cx_respond_stored(struct cx_call *call, int code, struct cx_stored *object_steal);
void cx_respond_list(struct cx_call *call, struct cx_stored_list *list_steal, int64_t revision,
                     const char *continue_token, int64_t remaining);
// One object in the form of a watch event or a list item, appended to `to`.
void cx_format_stored(const struct cx_resource *resource, const struct cx_stored *object,
                      const struct cx_accept *accept, bool with_columns, struct cx_buf *to);
// Needs a conversion from the stored version to the one asked for?
bool cx_needs_conversion(struct cx_call *call);
