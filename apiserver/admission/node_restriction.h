// SPDX-License-Identifier: Apache-2.0
// What NodeRestriction's files share: node_restriction.c is about a node's own objects, node_pods.c about the pods that run
// on it and the tokens that it asks for, node_volumes.c about what holders of such a token may do with volumes.
#pragma once

#include "apiserver/admission/plugin.h"

// Forbids: "node \"NODE\" WHAT". Always negative.
int node_refuse(const struct admission_request *request, const char *node, const char *what, struct cx_error *err);
// An object as it is stored, or NULL; released by the caller.
json_t *node_find(const struct admission_request *request, const char *resource, const char *namespace,
                  const char *name);
int node_check_pod(const struct admission_request *request, const char *node, struct cx_error *err) CX_CHECK;
int node_check_token(const struct admission_request *request, const char *node, struct cx_error *err) CX_CHECK;

// For an account whose token is bound to the node.
int node_check_volume(const struct admission_request *request, const char *node, struct cx_error *err) CX_CHECK;
int node_check_account_token(const struct admission_request *request, const char *node, struct cx_error *err) CX_CHECK;
int node_check_claim(const struct admission_request *request, const char *node, struct cx_error *err) CX_CHECK;
