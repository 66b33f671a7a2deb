// SPDX-License-Identifier: Apache-2.0
// What the server lets in before it looks at sessions, and what every answer tells the browser. A page of another site can
// make a browser send requests here, with the cookie or by a name of its own that leads here; none of those get further.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"
#include "libcommon/base/strings.h"
#include "libcommon/net/http_server.h"

// The header that only a script of our own origin can send: others would have to ask first (CORS), and are not answered. It
// holds the session's proof, once there is one. A WebSocket has it among its protocols, with the prefix.
#define GUARD_HEADER "X-Dashboard-Request"
#define GUARD_PROOF "proof."

// Whether the Host header names this machine: by an address, as localhost, or by one of `hosts`. A name that somebody else
// has made to lead here is none of these.
bool guard_host_is_ours(const char *host, const struct cx_strings *hosts);
// Whether the request comes from our own page. A WebSocket cannot carry the header: its Origin has to be ours.
int guard_same_origin(struct cx_http_request *request, bool upgrade, struct cx_error *err) CX_CHECK;
// The path to ask the API server for, encoded again. Refuses what two servers could read differently, and what is no
// part of the API.
int guard_path(const char *path, struct cx_buf *ret_path, struct cx_error *err) CX_CHECK;
// Headers of every answer. With `page` those of the page itself; anything else may do nothing at all in a browser.
void guard_add_headers(struct cx_http_request *request, bool page);
