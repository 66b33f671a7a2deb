// SPDX-License-Identifier: Apache-2.0
// The certificates, keys and kubeconfigs of a cluster's components. What is there and still good for a month stays.
#pragma once

#include "minikube/profile.h"

int certs_make(const struct profile *profile, struct cx_error *err) CX_CHECK;
// Reads a small file whole; owned by the caller.
int certs_read(const char *path, char **ret_text, struct cx_error *err) CX_CHECK;
