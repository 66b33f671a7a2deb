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

const char *user_bound_node(const struct user *user)
{
        const json_t *nodes = json_object_get(user->extra, "authentication.kubernetes.io/node-name");
        bool pod = json_object_get(user->extra, "authentication.kubernetes.io/pod-name");
        return pod || !cx_has_prefix(user->name, "system:serviceaccount:")
                       ? NULL
                       : json_string_value(json_array_get(nodes, 0));
}

static int hex_value(char c)
{
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *user_extra_key(const char *text)
{
        char *key = cx_strdup(text), *to = key;
        for (char *p = key; *p; p++)
                *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
        for (const char *p = key; *p; p++) {
                int high = *p == '%' ? hex_value(p[1]) : -1, low = high >= 0 ? hex_value(p[2]) : -1;
                bool escaped = low >= 0 && (high | low);
                *to++ = escaped ? (char)(high * 16 + low) : *p;
                p += escaped ? 2 : 0;
        }
        *to = '\0';
        return key;
}
