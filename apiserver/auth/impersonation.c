// SPDX-License-Identifier: Apache-2.0
// Every part of the identity that is asked for (user, groups, uid, extras) is a permission of its own.
#include "apiserver/auth/impersonation.h"

#include "apiserver/auth/authorizer.h"
#include "apiserver/request/recorded.h"
#include "libcommon/format/json.h"

#define AUTHENTICATION "authentication.k8s.io"
#define ACCOUNT "system:serviceaccount:"
#define EXTRA "Impersonate-Extra-"

struct wanted {
        const char *name, *uid;
        struct cx_strings groups;
        json_t *extra; // object of arrays of strings
};

static void collect(void *context, const char *name, const char *value)
{
        struct wanted *wanted = context;
        if (strcasecmp(name, "Impersonate-User") == 0) {
                wanted->name = value;
        } else if (strcasecmp(name, "Impersonate-Uid") == 0) {
                wanted->uid = value;
        } else if (strcasecmp(name, "Impersonate-Group") == 0) {
                cx_strings_add(&wanted->groups, value);
        } else if (strncasecmp(name, EXTRA, strlen(EXTRA)) == 0) {
                CX_CLEANUP(cx_freep) char *key = user_extra_key(name + strlen(EXTRA));
                json_array_append_new(cx_json_array_at(wanted->extra, key), json_string(value));
        }
}

static int may_impersonate(struct call *call, const char *group, const char *resource, const char *subresource,
                           const char *namespace, const char *name, struct cx_error *err)
{
        struct attributes attributes = {.user = &call->user,
                                        .is_resource = true,
                                        .verb = "impersonate",
                                        .group = group,
                                        .resource = resource,
                                        .subresource = subresource,
                                        .namespace = namespace,
                                        .name = name};
        if (authorize(call->api, &attributes, NULL))
                return 0;
        CX_CLEANUP(cx_freep)
        char *where = *namespace ? cx_sprintf("in the namespace \"%s\"", namespace) : cx_strdup("at the cluster scope");
        int r = cx_error_reason(err, CX_REASON_FORBIDDEN,
                                "%s%s%s \"%s\" is forbidden: User \"%s\" cannot impersonate resource \"%s%s%s\" in API "
                                "group \"%s\" %s",
                                resource, *group ? "." : "", group, name, call->user.name, resource,
                                *subresource ? "/" : "", subresource, group, where);
        cx_error_about(err, group, resource, name);
        return r;
}

// Namespace of a service account's user name, and its name; false when it is an ordinary user.
static bool split_account(const char *user, char namespace[INFO_PART], const char **ret_name)
{
        const char *start = cx_has_prefix(user, ACCOUNT) ? user + strlen(ACCOUNT) : NULL;
        const char *colon = start ? strchr(start, ':') : NULL;
        if (!colon || colon - start >= INFO_PART)
                return false;
        (void)snprintf(namespace, INFO_PART, "%.*s", (int)(colon - start), start);
        *ret_name = colon + 1;
        return true;
}

static int may_all(struct call *call, const struct wanted *wanted, struct cx_error *err)
{
        char namespace[INFO_PART];
        const char *account, *key;
        json_t *values;
        int r = split_account(wanted->name, namespace, &account)
                        ? may_impersonate(call, "", "serviceaccounts", "", namespace, account, err)
                        : may_impersonate(call, "", "users", "", "", wanted->name, err);
        for (size_t i = 0; r == 0 && i < wanted->groups.count; i++)
                r = may_impersonate(call, "", "groups", "", "", wanted->groups.items[i], err);
        json_object_foreach (wanted->extra, key, values)
                for (size_t i = 0; r == 0 && i < json_array_size(values); i++)
                        r = may_impersonate(call, AUTHENTICATION, "userextras", key, "",
                                            cx_str(json_string_value(json_array_get(values, i))), err);
        if (r == 0 && wanted->uid)
                r = may_impersonate(call, AUTHENTICATION, "uids", "", "", wanted->uid, err);
        return r;
}

static void become(struct call *call, struct wanted *wanted)
{
        struct user user = {.name = cx_strdup(wanted->name), .uid = cx_strdup(wanted->uid)};
        char namespace[INFO_PART];
        const char *account;
        for (size_t i = 0; i < wanted->groups.count; i++)
                cx_strings_add(&user.groups, wanted->groups.items[i]);
        if (!wanted->groups.count && split_account(wanted->name, namespace, &account)) {
                CX_CLEANUP(cx_freep) char *group = cx_sprintf("system:serviceaccounts:%s", namespace);
                cx_strings_add(&user.groups, "system:serviceaccounts");
                cx_strings_add(&user.groups, group);
        }
        const char *all =
                cx_streq(wanted->name, "system:anonymous") ? "system:unauthenticated" : "system:authenticated";
        if (!user_in_group(&user, all))
                cx_strings_add(&user.groups, all);
        if (json_object_size(wanted->extra))
                user.extra = json_incref(wanted->extra);
        if (!recorded_impersonation(call))
                user_release(&call->user);
        call->user = user;
}

int impersonate(struct call *call, struct cx_error *err)
{
        json_auto_t *extra = json_object();
        struct wanted wanted = {.extra = extra};
        cx_http_headers(call->request, collect, &wanted);
        int r = 0;
        if (wanted.name && *wanted.name) {
                r = may_all(call, &wanted, err);
                if (r == 0)
                        become(call, &wanted);
        } else if (wanted.uid || wanted.groups.count || json_object_size(extra)) {
                r = cx_error_reason(err, CX_REASON_BAD_REQUEST, "requested %s without impersonating a user",
                                    wanted.groups.count       ? "[{Group}]"
                                    : json_object_size(extra) ? "[{UserExtra}]"
                                                              : "[{UID}]");
        }
        cx_strings_release(&wanted.groups);
        return r;
}
