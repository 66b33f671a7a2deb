// SPDX-License-Identifier: Apache-2.0
// What NodeRestriction's two files share: node_restriction.c is about a node's own objects, node_pods.c about the pods that
// run on it and the tokens of their service accounts.
#pragma once

#include "apiserver/admission/plugin.h"

// Forbids: "node \"NODE\" WHAT". Always negative.
int node_refuse(const struct admission_request *request, const char *node, const char *what, struct cx_error *err);
int node_check_pod(const struct admission_request *request, const char *node, struct cx_error *err) CX_CHECK;
int node_check_token(const struct admission_request *request, const char *node, struct cx_error *err) CX_CHECK;
