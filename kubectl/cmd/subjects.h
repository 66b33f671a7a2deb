// SPDX-License-Identifier: Apache-2.0
// The subjects of role bindings, as flags name them.
#pragma once

#include "kubectl/cmd/commands.h"

struct subject_flags {
        struct cx_strings users, groups, accounts;
};
#define SUBJECT_FLAGS(s)                                                                                               \
        {"user", 0, CX_FLAG_LIST, &(s)->users, "User to bind it to; may be repeated."},                                \
                {"group", 0, CX_FLAG_LIST, &(s)->groups, "Group to bind it to; may be repeated."},                     \
        {                                                                                                              \
                "serviceaccount", 0, CX_FLAG_LIST, &(s)->accounts, "Service account to bind it to, NAMESPACE:NAME."    \
        }
void subject_flags_release(struct subject_flags *flags);
// New array. `namespace` is that of service accounts that name none; NULL: they must.
int subjects_make(const struct subject_flags *flags, const char *namespace, json_t **ret_subjects, struct cx_error *err)
        CX_CHECK;
// Those of `wanted` that the list does not have yet.
void subjects_add(json_t *list, const json_t *wanted);
