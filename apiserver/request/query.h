// SPDX-License-Identifier: Apache-2.0
// What the query of a request (and the body of a deletion) may ask for, checked as upstream checks its *Options types:
// what is wrong comes back as `ListOptions.meta.k8s.io "" is invalid: …`, every cause at once.
#pragma once

#include "apiserver/request/call.h"

struct cx_selector;

// dryRun, fieldValidation and fieldManager of a create, update or patch, into the call. Other verbs have none.
int write_options(struct call *call, struct cx_error *err) CX_CHECK;
// resourceVersionMatch and sendInitialEvents of a list or a watch: which may go with which.
int check_list_options(const struct call *call, bool watch, struct cx_error *err) CX_CHECK;
// dryRun values of DeleteOptions and its propagation policy. `policy` and `orphan` may be NULL.
int check_delete_options(const struct cx_strings *dry_run, const char *policy, const json_t *orphan,
                         struct cx_error *err) CX_CHECK;
// A number in the query; *ret_value stays when it is absent. BAD_REQUEST in the words of upstream's parser.
int query_int(const struct call *call, const char *name, int64_t *ret_value, struct cx_error *err) CX_CHECK;
// The name that a list or watch is narrowed to by its field selector: reading one object so needs no more than to get it. "" when
// it is not. Borrowed.
const char *query_selected_name(const struct cx_selector *selector);
// A flag in the query: anything but "false" and "0" is true. 0, 1, or -1 when absent.
int query_bool(const struct call *call, const char *name);
