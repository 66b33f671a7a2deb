// SPDX-License-Identifier: Apache-2.0
// What is asked of an authorizer: may this user do that?
#pragma once

#include "apiserver/request/user.h"

#include <stdbool.h>

struct cx_selector;

struct attributes {
        const struct user *user;
        bool is_resource; // else `path` is asked for
        const char *verb, *group, *resource, *subresource, *namespace, *name, *path;
        const struct cx_selector *fields; // what list, watch and deletecollection are narrowed to; NULL: nothing
};
