// SPDX-License-Identifier: Apache-2.0
// The runtime API of the proxy: a command at a time over its Unix socket. What goes into a command has passed the grammar of the
// proxy's own words (config_is_safe), or is a block of lines that ends with an empty one and has none inside.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"
#include "libcommon/base/map.h"

struct runtime_api {
        const char *socket; // path
        size_t commands;    // sent so far
};
// Sends a command and reads the whole answer.
int runtime_ask(struct runtime_api *runtime, const char *command, struct cx_buf *ret_answer, struct cx_error *err)
        CX_CHECK;
// The same, where any answer but `expected` (NULL: nothing) is an error.
int runtime_do(struct runtime_api *runtime, const char *command, const char *expected, struct cx_error *err) CX_CHECK;

// Maps: `file` is the map's. Adding takes all that `now` has and `have` has not, with their values.
int runtime_map_put(struct runtime_api *runtime, const char *file, const struct cx_map *have, const struct cx_map *now,
                    struct cx_error *err) CX_CHECK;
int runtime_map_drop(struct runtime_api *runtime, const char *file, const struct cx_map *have, const struct cx_map *now,
                     struct cx_error *err) CX_CHECK;
// Certificates: `file` is its name, `pem` what is in it. A new one gets an entry of `list` for a host.
int runtime_certificate_set(struct runtime_api *runtime, const char *file, const char *pem, struct cx_error *err)
        CX_CHECK;
int runtime_certificate_new(struct runtime_api *runtime, const char *list, const char *file, const char *pem,
                            const char *host, struct cx_error *err) CX_CHECK;
int runtime_certificate_delete(struct runtime_api *runtime, const char *list, const char *file, struct cx_error *err)
        CX_CHECK;
