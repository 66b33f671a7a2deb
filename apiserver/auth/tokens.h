// SPDX-License-Identifier: Apache-2.0
// Service account tokens: issued for TokenRequest, checked against keys, audience, expiry and the objects that they are
// bound to. Verified signatures are remembered until they expire. Any thread.
#pragma once

#include "apiserver/request/apiserver.h"
#include "apiserver/request/user.h"

int token_service_new(struct apiserver *api, struct token_service **ret_service, struct cx_error *err) CX_CHECK;
void token_service_free(struct token_service *service);

struct token_request {
        const char *namespace, *service_account, *uid;
        const struct cx_strings *audiences;
        int64_t seconds;
        const char *bound_kind, *bound_name, *bound_uid; // NULL: not bound
        const char *node_name, *node_uid;                // of a bound pod; may be NULL
};
int token_issue(struct token_service *service, const struct token_request *request, char **ret_token,
                int64_t *ret_expires, struct cx_error *err) CX_CHECK;
int token_check(struct token_service *service, const char *token, const struct cx_strings *audiences,
                struct user *ret_user, struct cx_strings *ret_audiences, struct cx_error *err) CX_CHECK;
// A token that names no audience is for the API server: for those of the server's own that are accepted.
int token_own_audience(const struct apiserver *api, const struct cx_strings *accepted, struct cx_strings *ret_audiences,
                       struct cx_error *err) CX_CHECK;
// OpenID discovery: the configuration document and the key set (RFC 7517).
json_t *token_openid_configuration(struct token_service *service);
json_t *token_key_set(struct token_service *service);
