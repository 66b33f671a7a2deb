// SPDX-License-Identifier: Apache-2.0
// The grammars of texts from outside. Whatever is written for the proxy has passed one of these, or was encoded
// (grammar_encode), so that no text of an object can become anything but the value that it is.
#pragma once

#include "libcommon/base/buf.h"

bool grammar_is_name(const char *text); // of an object: lower-case letters, digits, "-" and ".", 253 at most
bool grammar_is_host(const char *text); // a lower-case DNS name, or one below "*."
bool grammar_is_path(const char *text); // begins with "/", printable ASCII without blanks, 1024 at most
bool grammar_is_route(
        const char *text); // a path to be encoded: begins with "/", without control characters, 1024 at most
bool grammar_is_token(const char *text); // the name of a cookie: letters, digits, "_" and "-", 64 at most
// What follows a path as far as a header may carry it: printable ASCII without quotes and backslashes, 256 at most.
bool grammar_is_phrase(const char *text);
// "http://…" or "https://…", printable ASCII without blanks, quotes and backslashes; 1024 at most.
bool grammar_is_url(const char *text);
// Everything but letters, digits and "-._~" as %XX, as the proxy's own url_enc does.
void grammar_encode(const char *text, struct cx_buf *to);
// The same for what is itself a path of a URL: what is encoded there is decoded first.
void grammar_encode_path(const char *path, struct cx_buf *to);
