// SPDX-License-Identifier: Apache-2.0
// What the files of a component's main function share.
#pragma once

#include "libcommon/client/component.h"

// A client with the credentials of a kubeconfig file (NULL or empty: those of the pod's service account), or without them.
int cx_component_rest(const struct cx_component *component, const char *kubeconfig, bool anonymous,
                      struct cx_rest **ret_rest, struct cx_error *err) CX_CHECK;
// What /readyz says, and what the service manager is told.
bool cx_component_ready(struct cx_component *component);
// component_port.c
int cx_component_open_port(struct cx_component *component, struct cx_error *err) CX_CHECK;
void cx_component_close_port(struct cx_component *component); // may be called again
