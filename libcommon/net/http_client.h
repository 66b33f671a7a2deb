// SPDX-License-Identifier: Apache-2.0
// HTTP(S) client over libcurl. A client is one server (or one set of credentials) and a pool of keep-alive handles:
// any number of threads call cx_http_do at once, each with a handle of its own; DNS and TLS sessions are shared.
//
// A client may know several servers that are as good as each other. It stays with one until that one is lost: refused,
// unreachable, not connected within a second, or silent while the kernel waits for an acknowledgement. Then all go on at the
// next. A call is sent again there when none of it was sent, or when its method is idempotent and no answer had begun.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"
#include "libcommon/base/flags.h"
#include "libcommon/net/wire.h"

struct cx_http_client;
struct sockaddr;
struct cx_http_reply;

struct cx_http_client_options {
        const char *base_url;            // "https://host:6443"; NULL: calls give whole URLs
        const struct cx_strings *others; // further servers, as base_url; may be NULL
        const char *ca_pem;              // contents; NULL: the system's
        const char *cert_pem, *key_pem;  // client certificate; contents; NULL: none
        // The files that they are from (each may be NULL): they are read again when they change. Contents may be left out.
        const char *ca_file, *cert_file, *key_file;
        const char *bearer_token;        // NULL: none
        const char *bearer_token_file;   // re-read when it changes (projected tokens rotate); NULL: none
        const char *username, *password; // basic authentication
        const char *server_name;         // verified instead of the URL's host; NULL: the URL's
        const char *user_agent;          // NULL: "coxswain/<version>"
        const char *unix_socket;         // NULL: TCP
        bool insecure;                   // skip verification of the server's certificate
        int64_t connect_timeout;         // ns, 0: 10 s
        int max_idle;                    // pooled handles, 0: 16
        // Asked with each address, after names are resolved, before it is connected to; NULL: all may be. Any thread.
        bool (*may_connect)(void *context, const struct sockaddr *address);
        void *connect_context;
};

struct cx_http_call {
        const char *method;         // NULL: GET
        const char *path;           // appended to base_url, already encoded; or a whole URL
        const char *const *headers; // "Name: value" strings, NULL-ended; may be NULL
        const void *body;           // NULL: none
        size_t body_length;
        const char *content_type; // NULL: application/json when there is a body
        const char *accept;       // NULL: application/json
        int64_t timeout;          // ns for the whole call, 0: 60 s, -1: none
        int64_t stall_timeout;    // ns in which hardly anything came (less than a byte a second) end it, 0: none
        size_t max_reply;         // cap on the reply kept in memory, 0: 256 MiB
        bool follow_redirects;
        // When set, data goes here and not to the reply's body; non-zero return aborts the call. Called once per block
        // on the calling thread; the status code and headers are known by then (`reply`).
        int (*on_data)(void *context, const struct cx_http_reply *reply, const char *data, size_t length);
        // When set: called once when the status (200 or more) and headers of the answer are known, before any data.
        void (*on_headers)(void *context, const struct cx_http_reply *reply);
        void *context;
        const bool *cancel; // set to true by another thread to abort (polled about ten times a second)
};

struct cx_http_reply {
        int code; // HTTP status
        struct cx_buf body;
        struct cx_buf headers; // raw lines, "\r\n" between
};
#define CX_HTTP_REPLY_INIT                                                                                             \
        {                                                                                                              \
                .body = CX_BUF_INIT, .headers = CX_BUF_INIT_MAX(262144)                                                \
        }
#define CX_HTTP_REPLY CX_CLEANUP(cx_http_reply_release) struct cx_http_reply
void cx_http_reply_release(struct cx_http_reply *reply);
// Calls `each` for every header, in order; the texts last until it returns.
void cx_http_reply_headers(const struct cx_http_reply *reply,
                           void (*each)(void *context, const char *name, const char *value), void *context);
char *cx_http_reply_header(const struct cx_http_reply *reply, const char *name); // owned by the caller; NULL if absent

int cx_http_client_new(const struct cx_http_client_options *options, struct cx_http_client **ret_client,
                       struct cx_error *err) CX_CHECK;
void cx_http_client_free(struct cx_http_client *client);
// Closes the pooled connections that nobody has used for this long (ns): each costs memory on both sides.
void cx_http_client_trim(struct cx_http_client *client, int64_t idle);
CX_DEFINE_CLEANUP(struct cx_http_client, cx_http_client_freep, cx_http_client_free)

// Performs one call and blocks until it is over. 0 with any HTTP status; negative (errno-like: -ECONNREFUSED,
// -ETIMEDOUT, -ECANCELED, -EPROTO for TLS trouble, …) when there was no answer. A request on a kept-alive connection
// that the server closed before answering is sent again once.
int cx_http_do(struct cx_http_client *client, const struct cx_http_call *call, struct cx_http_reply *ret_reply,
               struct cx_error *err) CX_CHECK;

// Connects, sends an upgrade request with `headers` and waits for the 101. When the server answers anything else, fails and
// fills ret_refusal (may be NULL).
int cx_http_upgrade(struct cx_http_client *client, const struct cx_http_call *call, struct cx_wire **ret_wire,
                    struct cx_http_reply *ret_headers, struct cx_http_reply *ret_refusal, struct cx_error *err)
        CX_CHECK;

// Connects to the server of `base_url` for a caller that speaks HTTP/1.1 itself. The header line with the client's
// credentials, if any, is added to `ret_authorization`.
int cx_http_connect(struct cx_http_client *client, struct cx_wire **ret_wire, struct cx_buf *ret_authorization,
                    struct cx_error *err) CX_CHECK;

// The server that calls go to at the moment: its base URL. Borrowed, for as long as the client; "" when it has none.
const char *cx_http_client_server(struct cx_http_client *client);
void cx_url_encode(struct cx_buf *to, const char *text); // RFC 3986 unreserved characters stay
