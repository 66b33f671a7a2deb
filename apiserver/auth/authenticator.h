// SPDX-License-Identifier: Apache-2.0
// Who is calling: front proxies with the user that they name, client certificates, then bearer tokens (service accounts,
// bootstrap tokens, a static token file), then anonymous. Never blocks, so that it runs on I/O threads.
#pragma once

#include "apiserver/request/call.h"

int authenticate(struct call *call, struct cx_error *err) CX_CHECK;
// For TokenReview: the user behind a bearer token. ret_audiences gets the audiences that both sides share.
int authenticate_token(struct apiserver *api, const char *token, const struct cx_strings *audiences,
                       struct user *ret_user, struct cx_strings *ret_audiences, struct cx_error *err) CX_CHECK;
