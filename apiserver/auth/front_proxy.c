// SPDX-License-Identifier: Apache-2.0
// Headers are believed only when the certificate of the connection is signed by the front proxies' authority.
#include "apiserver/auth/front_proxy.h"

#include "libcommon/format/json.h"

#include <strings.h>

struct proxy_said {
        const struct apiserver_options *options;
        struct user *user;
        size_t name_rank, uid_rank; // of the header that it came from: the first of the list counts
};

// The place of a header in a list of names; `count` when it is not there.
static size_t rank_of(const struct cx_strings *names, const char *name)
{
        size_t i = 0;
        while (i < names->count && strcasecmp(names->items[i], name) != 0)
                i++;
        return i;
}

static void take(char **to, size_t *rank, const struct cx_strings *names, const char *name, const char *value)
{
        size_t found = rank_of(names, name);
        if (found >= names->count || (*to && found >= *rank) || !*value)
                return;
        free(*to);
        *to = cx_strdup(value);
        *rank = found;
}

static void hear(void *context, const char *name, const char *value)
{
        struct proxy_said *said = context;
        const struct apiserver_options *o = said->options;
        take(&said->user->name, &said->name_rank, &o->requestheader_username_headers, name, value);
        take(&said->user->uid, &said->uid_rank, &o->requestheader_uid_headers, name, value);
        if (rank_of(&o->requestheader_group_headers, name) < o->requestheader_group_headers.count)
                cx_strings_add(&said->user->groups, value);
        for (size_t i = 0; i < o->requestheader_extra_headers_prefix.count; i++) {
                const char *prefix = o->requestheader_extra_headers_prefix.items[i];
                if (strncasecmp(name, prefix, strlen(prefix)) != 0)
                        continue;
                CX_CLEANUP(cx_freep) char *key = user_extra_key(name + strlen(prefix));
                if (!said->user->extra)
                        said->user->extra = json_object();
                json_array_append_new(cx_json_array_at(said->user->extra, key), json_string(value));
        }
}

int authenticate_front_proxy(struct call *call, bool *ret_known, struct cx_error *err)
{
        const struct apiserver_options *o = &call->api->options;
        const char *proxy = cx_http_front_proxy(call->request);
        *ret_known = false;
        if (!proxy)
                return 0;
        if (o->requestheader_allowed_names.count && !cx_strings_has(&o->requestheader_allowed_names, proxy))
                return cx_error_reason(err, CX_REASON_UNAUTHORIZED, "subject with cn=%s is not in the allowed list",
                                       proxy);
        CX_CLEANUP(user_release) struct user user = USER_INIT;
        struct proxy_said said = {.options = o, .user = &user};
        cx_http_headers(call->request, hear, &said);
        if (!user.name)
                return 0;
        user_release(&call->user);
        call->user = user;
        user = (struct user)USER_INIT;
        *ret_known = true;
        return 0;
}
