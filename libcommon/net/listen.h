// SPDX-License-Identifier: Apache-2.0
// Sockets that listen on this machine.
#pragma once

#include "libcommon/base/address.h"
#include "libcommon/base/error.h"

// A listening TCP socket that does not block; *port becomes the one that it got. Or a negative errno.
int cx_listen(const struct cx_address *address, int *port) CX_CHECK;
// A socket at a path that only this user can connect to; one that is there already is replaced. Before there are threads (umask). Or a negative errno.
int cx_listen_unix(const char *path) CX_CHECK;
