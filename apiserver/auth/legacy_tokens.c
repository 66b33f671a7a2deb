// SPDX-License-Identifier: Apache-2.0
// The claims of such a token, and the objects that they name.
#include "apiserver/auth/legacy_tokens.h"

#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"

#define ISSUER "kubernetes/serviceaccount"
#define CLAIM "kubernetes.io/serviceaccount/"
#define INVALID_SINCE "kubernetes.io/legacy-token-invalid-since"

bool legacy_token_is(const json_t *claims)
{
        return cx_streq(json_string_value(json_object_get(claims, "iss")), ISSUER);
}

// Claims have dots in their names: no paths.
static const char *claim(const json_t *claims, const char *name)
{
        return cx_str(json_string_value(json_object_get(claims, name)));
}

static bool holds(const json_t *secret, const char *token)
{
        const char *encoded = cx_json_string_or(secret, "data.token", "");
        CX_BUF own = CX_BUF_INIT_MAX(65536);
        return cx_base64_decode(encoded, strlen(encoded), &own) >= 0 &&
               cx_equal_constant_time(own.data, own.length, token, strlen(token));
}

int legacy_token_check(struct apiserver *api, const json_t *claims, const char *token, struct user *ret_user,
                       struct cx_error *err)
{
        const char *namespace = claim(claims, CLAIM "namespace"), *name = claim(claims, CLAIM "service-account.name");
        const char *uid = claim(claims, CLAIM "service-account.uid"), *kept_in = claim(claims, CLAIM "secret.name");
        CX_CLEANUP(cx_freep) char *subject = cx_sprintf("system:serviceaccount:%s:%s", namespace, name);
        if (!*namespace || !*name || !*uid || !*kept_in || strcmp(claim(claims, "sub"), subject) != 0)
                return cx_error_reason(err, CX_REASON_UNAUTHORIZED, "token lacks claims");
        json_auto_t *secret = cache_find_json(builtin(api, "", "v1", "secrets")->cache, namespace, kept_in);
        json_auto_t *account = cache_find_json(builtin(api, "", "v1", "serviceaccounts")->cache, namespace, name);
        if (!secret || cx_json_string(secret, "metadata.deletionTimestamp") ||
            json_object_get(cx_json_get(secret, "metadata.labels"), INVALID_SINCE))
                return cx_error_reason(err, CX_REASON_UNAUTHORIZED, "token has been invalidated");
        if (!holds(secret, token))
                return cx_error_reason(err, CX_REASON_UNAUTHORIZED, "token does not match server's copy");
        if (!account || cx_json_string(account, "metadata.deletionTimestamp") ||
            !cx_streq(cx_json_string(account, "metadata.uid"), uid))
                return cx_error_reason(err, CX_REASON_UNAUTHORIZED, "service account has been deleted");
        CX_CLEANUP(cx_freep) char *group = cx_sprintf("system:serviceaccounts:%s", namespace);
        ret_user->name = cx_steal(&subject);
        ret_user->uid = cx_strdup(uid);
        cx_strings_add(&ret_user->groups, "system:serviceaccounts");
        cx_strings_add(&ret_user->groups, group);
        return 0;
}
