// SPDX-License-Identifier: Apache-2.0
// Answers in the form that the client asked for: JSON, YAML, Table, or metadata only; whole objects, lists from encoded
// bytes, or errors as Status.
#pragma once

#include "apiserver/request/call.h"

enum form { FORM_JSON, FORM_YAML, FORM_TABLE, FORM_METADATA };
struct accept_header {
        enum form form;
        enum cx_include_object include; // of Table rows
        bool pretty;                    // JSON for people
};
// Chooses from the Accept header; NOT_ACCEPTABLE when none of its types can be had.
int accept_header(const struct call *call, bool allow_transform, struct accept_header *ret_accept, struct cx_error *err)
        CX_CHECK;

void respond_error(struct call *call, const struct cx_error *err);
// An object in the call's version. Takes the reference.
void respond_object(struct call *call, int code, json_t *object_steal);
void respond_stored(struct call *call, int code, struct stored *object_steal);
void respond_list(struct call *call, struct stored_list *list_steal, int64_t revision, const char *continue_token,
                  int64_t remaining);
// One object in the form of a watch event or a list item, appended to `to`.
void format_stored(const struct served_kind *kind, const struct stored *object, const struct accept_header *accept,
                   bool with_columns, struct cx_buf *to);
// Needs a conversion from the stored version to the one asked for?
bool needs_conversion(const struct served_kind *kind);
