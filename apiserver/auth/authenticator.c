// SPDX-License-Identifier: Apache-2.0
// Credentials of a request: a front proxy's headers, certificate, token. What is not known is anonymous, what is wrong is refused.
#include "apiserver/auth/authenticator.h"

#include "apiserver/auth/front_proxy.h"
#include "apiserver/auth/tokens.h"
#include "apiserver/request/object.h"
#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"

static bool secret_equals(const json_t *data, const char *key, const char *expected)
{
        const char *encoded = cx_json_string(data, key);
        CX_BUF value = CX_BUF_INIT_MAX(4096);
        return encoded && cx_base64_decode(encoded, strlen(encoded), &value) == 0 &&
               cx_equal_constant_time(value.data, value.length, expected, strlen(expected));
}

static bool decode_data(const json_t *data, const char *key, struct cx_buf *to)
{
        const char *encoded = cx_json_string(data, key);
        return encoded && cx_base64_decode(encoded, strlen(encoded), to) == 0;
}

// When it cannot be read, it is over, too.
static bool has_expired(const json_t *data)
{
        CX_BUF text = CX_BUF_INIT_MAX(64);
        int64_t when;
        return json_object_get(data, "expiration") && (!decode_data(data, "expiration", &text) ||
                                                       cx_time_parse(text.data, &when) < 0 || when <= cx_time_now());
}

// "system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]": a token must lead to no group but those for joining.
static bool is_bootstrap_group(const char *group)
{
        static const char prefix[] = "system:bootstrappers:", letters[] = "abcdefghijklmnopqrstuvwxyz0123456789:-";
        const char *rest = cx_has_prefix(group, prefix) ? group + strlen(prefix) : "";
        size_t length = strlen(rest);
        return length && length <= 256 && strspn(rest, letters) == length && !strchr(":-", rest[length - 1]);
}

static bool add_bootstrap_groups(const json_t *data, struct cx_strings *to)
{
        CX_BUF text = CX_BUF_INIT_MAX(4096);
        CX_STRINGS groups = CX_STRINGS_INIT;
        if (!json_object_get(data, "auth-extra-groups"))
                return true;
        if (!decode_data(data, "auth-extra-groups", &text))
                return false;
        if (text.length)
                cx_strings_split(&groups, text.data, ',');
        for (size_t i = 0; i < groups.count; i++) {
                if (!is_bootstrap_group(groups.items[i]))
                        return false;
                cx_strings_add(to, groups.items[i]);
        }
        return true;
}

// "id.secret": Secret kube-system/bootstrap-token-<id> (kubeadm's bootstrap tokens).
static int check_bootstrap_token(struct apiserver *api, const char *token, struct user *ret_user, struct cx_error *err)
{
        static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
        if (strlen(token) != 23 || token[6] != '.' || strspn(token, alphabet) != 6 || strspn(token + 7, alphabet) != 16)
                return cx_error_reason(err, CX_REASON_UNAUTHORIZED, "not a bootstrap token");
        CX_CLEANUP(cx_freep) char *id = cx_strndup(token, 6), *name = cx_sprintf("bootstrap-token-%s", id);
        json_auto_t *secret = cache_find_json(builtin(api, "", "v1", "secrets")->cache, "kube-system", name);
        const json_t *data = json_object_get(secret, "data");
        if (!secret || !cx_streq(cx_json_string(secret, "type"), "bootstrap.kubernetes.io/token") ||
            is_being_deleted(secret) || !secret_equals(data, "token-secret", token + 7) ||
            !secret_equals(data, "token-id", id) || has_expired(data) ||
            !secret_equals(data, "usage-bootstrap-authentication", "true") ||
            !add_bootstrap_groups(data, &ret_user->groups))
                return cx_error_reason(err, CX_REASON_UNAUTHORIZED, "bootstrap token is not valid");
        ret_user->name = cx_sprintf("system:bootstrap:%s", id);
        cx_strings_add(&ret_user->groups, "system:bootstrappers");
        return 0;
}

// Lines of token,user,uid,"group1,group2" (--token-auth-file).
static int check_token_file(struct apiserver *api, const char *token, struct user *ret_user, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        if (!api->options.token_auth_file || cx_buf_read_file(&text, api->options.token_auth_file) < 0)
                return cx_error_reason(err, CX_REASON_UNAUTHORIZED, "no token file");
        CX_STRINGS lines = CX_STRINGS_INIT;
        cx_strings_split(&lines, text.data, '\n');
        for (size_t i = 0; i < lines.count; i++) {
                const char *line = lines.items[i];
                size_t length = strcspn(line, ",");
                if (!line[length] || !cx_equal_constant_time(line, length, token, strlen(token)))
                        continue;
                const char *name = line + length + 1, *uid = name + strcspn(name, ",");
                ret_user->name = cx_strndup(name, (size_t)(uid - name));
                uid += *uid == ',';
                const char *groups = uid + strcspn(uid, ",");
                ret_user->uid = cx_strndup(uid, (size_t)(groups - uid));
                if (groups[0] == ',' && groups[1] == '"') {
                        CX_CLEANUP(cx_freep) char *list = cx_strndup(groups + 2, strcspn(groups + 2, "\""));
                        cx_strings_split(&ret_user->groups, list, ',');
                } else if (groups[0] == ',') {
                        cx_strings_add(&ret_user->groups, groups + 1);
                }
                return 0;
        }
        return cx_error_reason(err, CX_REASON_UNAUTHORIZED, "token is not in the token file");
}

int authenticate_token(struct apiserver *api, const char *token, const struct cx_strings *audiences,
                       struct user *ret_user, struct cx_strings *ret_audiences, struct cx_error *err)
{
        const struct cx_strings *accepted = audiences && audiences->count ? audiences : &api->options.api_audiences;
        CX_ERROR ignored = CX_ERROR_INIT;
        int r = check_token_file(api, token, ret_user, &ignored);
        const char *dot = strchr(token, '.');
        if (r < 0 && dot && strchr(dot + 1, '.'))
                return token_check(api->tokens, token, accepted, ret_user, ret_audiences, err);
        if (r < 0 && !api->options.enable_bootstrap_token_auth)
                return cx_error_reason(err, CX_REASON_UNAUTHORIZED, "token is not known");
        if (r < 0)
                r = check_bootstrap_token(api, token, ret_user, err);
        return r < 0 ? r : token_own_audience(api, accepted, ret_audiences, err);
}

static int unauthorized(struct cx_error *err)
{
        return cx_error_reason(err, CX_REASON_UNAUTHORIZED, "Unauthorized");
}

// Each kind of credential is tried in turn, as upstream does: one that is wrong harms only when no other is right.
static int by_credentials(struct call *call, bool *ret_known, struct cx_error *err)
{
        const char *why, *header = cx_http_header(call->request, "Authorization");
        const char *remote = cx_http_remote_address(call->request);
        CX_ERROR reason = CX_ERROR_INIT;
        bool refused = false;
        *ret_known = true;
        int r = authenticate_front_proxy(call, ret_known, &reason);
        if (r == 0 && *ret_known)
                return 0;
        if (r < 0) {
                cx_debug(2, "Front proxy was refused", "why", cx_error_text(&reason), "remote", remote);
                refused = true;
        }
        *ret_known = true;
        if (cx_http_client_certificate(call->request, &call->user.name, &call->user.groups))
                return 0;
        if (cx_http_client_certificate_bad(call->request, &why)) {
                cx_debug(2, "Client certificate was refused", "why", why, "remote", remote);
                refused = true;
        }
        if (header && strncasecmp(header, "Bearer ", 7) == 0) {
                cx_error_release(&reason);
                const char *token = header + 7 + strspn(header + 7, " ");
                if (authenticate_token(call->api, token, NULL, &call->user, NULL, &reason) == 0)
                        return 0;
                cx_debug(2, "Bearer token was refused", "why", cx_error_text(&reason), "remote", remote);
                refused = true;
        }
        *ret_known = false;
        return refused ? unauthorized(err) : 0;
}

int authenticate(struct call *call, struct cx_error *err)
{
        bool known;
        int r = by_credentials(call, &known, err);
        if (r < 0)
                return r;
        if (known) {
                if (!user_in_group(&call->user, "system:authenticated") &&
                    !user_in_group(&call->user, "system:unauthenticated"))
                        cx_strings_add(&call->user.groups, "system:authenticated");
                return 0;
        }
        if (!call->api->options.anonymous_auth)
                return unauthorized(err);
        call->user.name = cx_strdup("system:anonymous");
        cx_strings_add(&call->user.groups, "system:unauthenticated");
        return 0;
}
