// SPDX-License-Identifier: Apache-2.0
// A certificate and its key in one file, as upstream's kubelet keeps them: <folder>/<name>-current.pem is a symbolic link to the
// newest <name>-<time>.pem. It is replaced at once, so that whoever follows the link reads one that is whole.
#pragma once

#include "libcommon/base/error.h"

#define PAIR_CLIENT "kubelet-client"
#define PAIR_SERVER "kubelet-server"

char *pair_path(const char *folder, const char *name); // of the link; owned by the caller
// -ENOENT when there is none. The text holds both.
int pair_read(const char *folder, const char *name, char **ret_pem, struct cx_error *err) CX_CHECK;
// Makes the folder when it is missing. All but the newest two are removed.
int pair_write(const char *folder, const char *name, const char *cert_pem, const char *key_pem, struct cx_error *err)
        CX_CHECK;
// Whether a certificate is good now; false for what is none.
bool pair_is_valid(const char *cert_pem);
