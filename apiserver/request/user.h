// SPDX-License-Identifier: Apache-2.0
// Somebody who asks something of the API: a name, a uid, groups, and what else their credentials say of them.
#pragma once

#include "libcommon/base/strings.h"

#include <jansson.h>

struct user {
        char *name, *uid;
        struct cx_strings groups;
        json_t *extra; // object of arrays of strings, or NULL
};
#define USER_INIT                                                                                                      \
        {                                                                                                              \
                0                                                                                                      \
        }
void user_release(struct user *user);
bool user_in_group(const struct user *user, const char *group);
// The node whose kubelet this is (system:node:NAME in system:nodes); NULL when it is not a kubelet.
const char *user_node(const struct user *user);
// The node that a service account's token is bound to by itself, without a pod; NULL when it is not.
const char *user_bound_node(const struct user *user);
// The key that the end of a header's name says: in lower case, and percent-encoded where a header cannot say it. Owned by
// the caller.
char *user_extra_key(const char *text);
