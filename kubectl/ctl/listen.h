// SPDX-License-Identifier: Apache-2.0
// Listening on this machine, for port-forward and proxy.
#pragma once

#include "libcommon/base/address.h"
#include "libcommon/base/error.h"

// A listening TCP socket that does not block; *port becomes the one that it got. Or a negative errno.
int ctl_listen(const struct cx_address *address, int *port) CX_CHECK;
// A socket at a path that only this user can connect to; a socket that is there already is replaced. Or a negative errno.
int ctl_listen_unix(const char *path) CX_CHECK;
