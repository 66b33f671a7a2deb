// SPDX-License-Identifier: Apache-2.0
// Which requests `kubectl proxy` takes. What a browser can be made to send from any web page must not reach the API with
// the user's rights: the Host header has to name this machine, which a page of another site cannot bring about.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"

#include <regex.h>
#include <stdbool.h>

#define PATTERNS_MAX 64
struct patterns {
        regex_t items[PATTERNS_MAX];
        size_t count;
};
// Regular expressions in Go's syntax, separated by commas. What it has beyond POSIX's extended ones is translated (\d, \A,
// (?:…), lazy repetition, a leading (?i)) or refused.
int patterns_parse(const char *text, struct patterns *ret_patterns, struct cx_error *err) CX_CHECK;
void patterns_release(struct patterns *patterns);
bool patterns_match(const struct patterns *patterns, const char *text);

struct request_filter {
        struct patterns accept_paths, reject_paths, accept_hosts, reject_methods;
};
void filter_release(struct request_filter *filter);
// The Host header, with or without its port.
bool filter_accepts_host(const struct request_filter *filter, const char *host);
// `path` is the one that will be asked for, decoded.
bool filter_accepts(const struct request_filter *filter, const char *method, const char *path, const char *host);

// The path of a request's target, decoded; -EINVAL when it is malformed. The query stays with the target.
int target_path(const char *target, struct cx_buf *ret_path) CX_CHECK;
// A path without "//", "." and "..", as Go's mux has it; a slash at the end stays.
void path_clean(const char *path, struct cx_buf *to);
void path_encode(const char *path, struct cx_buf *to); // for a request line
