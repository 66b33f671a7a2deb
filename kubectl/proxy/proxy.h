// SPDX-License-Identifier: Apache-2.0
// A proxy between what connects here and the API server, which sees the user's credentials. Each connection has a thread,
// and a connection to the server of its own that lasts as long; nothing of a body is kept but a block for each direction.
#pragma once

#include "kubectl/proxy/filter.h"
#include "libcommon/net/http_client.h"

struct api_proxy {
        struct cx_http_client *http;
        const char *host; // of the server, for the Host header
        const char *base; // the path of the server's URL, without a slash at the end; "" unless it is asked for
        const char *impersonation;           // header lines, each with its end
        const char *prefix;                  // that the API is served under, with slashes
        const char *files_prefix;            // that files are served under, with slashes
        const struct request_filter *filter; // NULL: everything is taken
        int files;                           // the folder; -1: none
        int keepalive;                       // seconds between probes of a quiet connection; 0: none
        int verbosity;
};
// Serves what connects to the listening socket, as long as the process lives. Returns what went wrong.
int proxy_serve(const struct api_proxy *proxy, int listener, struct cx_error *err) CX_CHECK;

// --- files.c
struct message;
struct cx_wire;
// Answers with a file or a listing of a folder. `path` is decoded and clean, below the prefix. Returns whether the connection
// can go on.
bool files_answer(const struct api_proxy *proxy, struct cx_wire *wire, const struct message *request, const char *path);
// An answer with a text; `headers` are more lines. False when it could not be sent, or `close` was asked for.
bool answer_text(struct cx_wire *wire, const struct message *request, int code, const char *headers, const char *text);
