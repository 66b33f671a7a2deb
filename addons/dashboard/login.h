// SPDX-License-Identifier: Apache-2.0
// Ways to log in: a token, a kubeconfig with the user's token or certificate in it, or a code that is good once.
//
// Codes come from a Unix socket in a folder that only its owner can enter: who may connect hands over credentials as JSON
// ({"certificate": PEM, "key": PEM} or {"token": ...}), ends, and is given {"code": ...}. Whoever shows the code within a
// minute logs in with them, once.
//
// Threads: any; the socket has one of its own.
#pragma once

#include "addons/dashboard/sessions.h"

#include <jansson.h>

#define CODES_MAX 16

struct login_codes;
// Listens at the path, which nobody else may reach: mode 0600, and the peer's user has to be ours or root.
int login_codes_new(const char *socket_path, struct login_codes **ret_codes, struct cx_error *err) CX_CHECK;
void login_codes_free(struct login_codes *codes); // NULL is fine
CX_DEFINE_CLEANUP(struct login_codes, login_codes_freep, login_codes_free)

// What a body says: {"token"}, {"kubeconfig"} or {"code"}. Codes may be NULL: then none is good.
int login_read(struct login_codes *codes, const char *body, size_t length, struct login *ret_login,
               struct cx_error *err) CX_CHECK;
// The credentials of the current context's user in a kubeconfig. Nothing but what the text itself holds is used: no file,
// no program, no server that it names.
int login_from_kubeconfig(const char *text, struct login *ret_login, struct cx_error *err) CX_CHECK;
