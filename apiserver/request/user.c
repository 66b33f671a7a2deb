// SPDX-License-Identifier: Apache-2.0
// Users and their groups.
#include "apiserver/request/user.h"

#define NODE "system:node:"

void user_release(struct user *user)
{
        free(user->name);
        free(user->uid);
        cx_strings_release(&user->groups);
        json_decref(user->extra);
        *user = (struct user)USER_INIT;
}

bool user_in_group(const struct user *user, const char *group)
{
        return cx_strings_has(&user->groups, group);
}

const char *user_node(const struct user *user)
{
        const char *name = cx_has_prefix(user->name, NODE) ? user->name + strlen(NODE) : NULL;
        return name && *name && user_in_group(user, "system:nodes") ? name : NULL;
}
