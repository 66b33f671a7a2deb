// SPDX-License-Identifier: Apache-2.0
// Who asks a component, and whether they may: client certificates, bearer tokens by TokenReview, permissions by
// SubjectAccessReview. The API server's answers are remembered: tokens two minutes, permissions five, refusals less.
//
// Any thread; calls may block.
#pragma once

#include "libcommon/client/rest.h"
#include "libcommon/net/http_server.h"

struct cx_delegated_auth;
struct cx_delegated_auth_options {
        struct cx_rest *tokens, *permissions; // who is asked, borrowed; NULL: no token is good; nothing is allowed
        bool anonymous;                       // a request without credentials is system:anonymous's
};
struct cx_delegated_auth *cx_delegated_auth_new(const struct cx_delegated_auth_options *options);
void cx_delegated_auth_free(struct cx_delegated_auth *self);

// The user, as a review's spec has it (username, groups, uid, extra); NULL when it is nobody that is known. Owned by the
// caller.
json_t *cx_delegated_auth_user(struct cx_delegated_auth *self, const struct cx_http_request *request);
// `member` is the spec's resourceAttributes or nonResourceAttributes. Not allowed, too, when nobody can be asked.
bool cx_delegated_auth_may(struct cx_delegated_auth *self, const json_t *user, const char *member,
                           json_t *attributes_steal);
