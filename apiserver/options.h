// SPDX-License-Identifier: Apache-2.0
// The command line of kube-apiserver.
#pragma once

#include "apiserver/request/apiserver.h"

struct audit_options;

// 0: go on with what is returned, which belongs to the process; else the process is over with *ret_status, and has said why. Call it
// once.
int options_read(int argc, char **argv, struct apiserver_options *ret_options, struct audit_options *ret_audit,
                 int *ret_status) CX_CHECK;
