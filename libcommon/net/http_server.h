// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 server over libmicrohttpd (TLS by GnuTLS), shared by the apiserver and by every component's port.
//
// Threads: libmicrohttpd's epoll pool parses and sends. A request whose body is complete goes to `handler_inline` on
// the I/O thread, which must never block; it answers and returns true, or returns false and the request is queued for
// `handler` on a pool of workers, which may block (the connection is suspended meanwhile). A request must be answered
// exactly once, by exactly one cx_http_respond*/stream/upgrade call, from either of them or later from any other
// thread that got hold of it (return true without answering to keep it).
//
// Bodies are read whole, up to max_body (413 as a Kubernetes Status over it), before any handler runs; all bodies
// together take max_bodies (429 over it). Clients that are too slow are cut off, and connections over the limit are closed
// at once (http_guard.c).
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"
#include "libcommon/base/flags.h"
#include "libcommon/net/wire.h"

#include <jansson.h>

struct cx_http_server;
struct cx_http_request;

typedef void (*cx_http_handler)(struct cx_http_request *request, void *context);
typedef bool (*cx_http_handler_inline)(struct cx_http_request *request, void *context);

struct cx_http_server_options {
        const char *address;            // "0.0.0.0", "127.0.0.1", "::"
        int port;                       // 0: any free one, see cx_http_server_port
        const char *cert_pem, *key_pem; // contents; NULL: cleartext
        const char *client_ca_pem;      // when set, client certificates are asked for and verified when given
        const char *front_proxy_ca_pem; // the same for those of front proxies, which name no user
        // The same from files, which are read again when they change: what comes then is met with the new ones. NULL: none.
        const char *cert_file, *key_file, *client_ca_file, *front_proxy_ca_file;
        int io_threads;    // 0: one a core
        int workers;       // 0: 8
        size_t max_body;   // 0: 3 MiB
        size_t max_bodies; // 0: 128 MiB, or 8 of the largest
        // How large the body of this request may be; of the I/O thread, by its head. Bodies that have to be smaller than
        // max_body take half of max_bodies at most, so that strangers leave room for others. NULL: max_body.
        size_t (*body_limit)(const struct cx_http_request *request, void *context);
        size_t max_connections;                // 0: 8192, or half of the limit of open files
        size_t max_upgrades;                   // 0: 1024; each has a thread
        int idle_timeout;                      // seconds, 0: 120; does not end a stream
        int64_t head_timeout;                  // ns, 0: 32 s
        int64_t body_timeout;                  // ns, 0: 60 s, and a second more for every 32 KiB
        int64_t send_timeout;                  // ns in which a client takes next to nothing, 0: 60 s
        cx_http_handler_inline handler_inline; // may be NULL
        cx_http_handler handler;
        void *context;
};

int cx_http_server_new(const struct cx_http_server_options *options, struct cx_http_server **ret_server,
                       struct cx_error *err) CX_CHECK;
int cx_http_server_port(const struct cx_http_server *server);
// From now on the certificate and its key are these files, read again when they change; on failure it stays as it is.
int cx_http_server_use(struct cx_http_server *server, const char *cert_file, const char *key_file, struct cx_error *err)
        CX_CHECK;
// Asks the server's own port, and waits for `limit` ns at most: false when nothing comes back. For watchdogs.
bool cx_http_server_alive(const struct cx_http_server *server, int64_t limit);
void cx_http_server_stop_accepting(struct cx_http_server *server); // then wait for what runs, then free
void cx_http_server_free(struct cx_http_server *server);           // ends streams, joins threads
CX_DEFINE_CLEANUP(struct cx_http_server, cx_http_server_freep, cx_http_server_free)

// --- the request; everything returned is borrowed and lives as long as the request ---
const char *cx_http_method(const struct cx_http_request *request);
const char *cx_http_path(const struct cx_http_request *request);                    // decoded, without the query
const char *cx_http_raw_path(const struct cx_http_request *request);                // as it was sent
const char *cx_http_raw_query(const struct cx_http_request *request);               // "" when none; still encoded
const char *cx_http_query(const struct cx_http_request *request, const char *name); // decoded; NULL when absent
void cx_http_query_all(const struct cx_http_request *request, const char *name, struct cx_strings *ret_values);
const char *cx_http_header(const struct cx_http_request *request, const char *name); // case-insensitive; or NULL
// Calls `each` for every header of the request.
void cx_http_headers(const struct cx_http_request *request,
                     void (*each)(void *context, const char *name, const char *value), void *context);
const char *cx_http_body(const struct cx_http_request *request, size_t *ret_length); // terminated
// Subject of the verified client certificate: CN in ret_cn, every O added to ret_groups. False when there is none.
bool cx_http_client_certificate(const struct cx_http_request *request, char **ret_cn, struct cx_strings *ret_groups);
// True when a client certificate was given but did not verify; ret_why is borrowed.
bool cx_http_client_certificate_bad(const struct cx_http_request *request, const char **ret_why);
// The common name of a certificate that the authority of front proxies has signed; NULL: there is none. Borrowed.
const char *cx_http_front_proxy(const struct cx_http_request *request);
const char *cx_http_remote_address(const struct cx_http_request *request); // numeric, without port
// From now on *ret_left becomes true when the client leaves before it is answered; NULL ends that, and must come before
// the answer. It is looked at once a second.
void cx_http_notice_leaving(struct cx_http_request *request, bool *ret_left);
void *cx_http_user_data(const struct cx_http_request *request); // a pointer of the handler's own
void cx_http_set_user_data(struct cx_http_request *request, void *data, void (*free_data)(void *));
// `before` is called once, when the answer (or the head of a stream or an upgrade) is made and before it is sent, on whichever
// thread makes it; the code is known then. It must not block where the handler must not. To be set before there is an answer.
void cx_http_before_answer(struct cx_http_request *request, void (*before)(struct cx_http_request *request));
int cx_http_response_code(const struct cx_http_request *request);  // of the answer given; 0: none yet
int64_t cx_http_start_time(const struct cx_http_request *request); // monotonic ns, body complete

// Adds a header to the response to come.
void cx_http_add_header(struct cx_http_request *request, const char *name, const char *value);

// Answers with a copy of `body`; a NULL content type means application/json.
void cx_http_respond(struct cx_http_request *request, int code, const char *content_type, const void *body,
                     size_t length);
void cx_http_respond_text(struct cx_http_request *request, int code, const char *text); // text/plain
void cx_http_respond_buf(struct cx_http_request *request, int code, const char *content_type,
                         struct cx_buf *body_steal); // no copy
void cx_http_respond_json(struct cx_http_request *request, int code, json_t *body_steal);
// Answers with the error as a Kubernetes Status (Retry-After and WWW-Authenticate where they belong).
void cx_http_respond_error(struct cx_http_request *request, const struct cx_error *err);

// A body produced in blocks: `read` fills up to max bytes at offset and returns how many, or
// CX_HTTP_STREAM_WAIT when there is nothing yet (call cx_http_stream_wake later; a wake-up between the check and the
// return is not lost), CX_HTTP_STREAM_END, or CX_HTTP_STREAM_ABORT. `length` is the whole length or -1 (chunked).
// `read` runs on an I/O thread and must not block; `release` is called exactly once, when the response is over or the
// client has gone.
#define CX_HTTP_STREAM_WAIT 0
#define CX_HTTP_STREAM_END (-1)
#define CX_HTTP_STREAM_ABORT (-2)
struct cx_http_stream;
struct cx_http_stream_source {
        ssize_t (*read)(void *context, uint64_t offset, char *to, size_t max);
        void (*release)(void *context);
        void *context;
        size_t block; // bytes asked for at a time where they are not sent in chunks; 0: 4 KiB
        bool patient; // a client that does not read is not cut off: what it leaves lying is bounded
};
// Returns a handle to wake the stream from any thread; it stays valid until cx_http_stream_unref.
struct cx_http_stream *cx_http_respond_stream(struct cx_http_request *request, int code, const char *content_type,
                                              int64_t length, const struct cx_http_stream_source *source);
// The same, where the reader itself needs the handle: it is stored in *ret_stream before the reader can run.
void cx_http_respond_stream_into(struct cx_http_request *request, int code, const char *content_type, int64_t length,
                                 const struct cx_http_stream_source *source, struct cx_http_stream **ret_stream);
void cx_http_stream_wake(struct cx_http_stream *stream);
void cx_http_stream_unref(struct cx_http_stream *stream);

// Switches protocols, on a thread of its own. `prepare` (may be NULL) runs before the answer, adds its headers and returns
// true; or it answers the request in another way and returns false. Then 101 is sent with the headers added so far, and
// `run` has the connection until it returns; it is closed then. `*cancel` becomes true when nobody waits any more: the
// client has left, or the server stops. `release` comes at the end in any case. Over the limit of streams: 429.
//
// What a client sends before it has the answer may be lost (RFC 6455, section 4.1, has it wait).
struct cx_http_upgrade_plan {
        bool (*prepare)(struct cx_http_request *request, const bool *cancel, void *context);
        void (*run)(struct cx_wire *wire, void *context);
        void (*release)(void *context);
        void *context;
};
void cx_http_respond_upgrade(struct cx_http_request *request, const struct cx_http_upgrade_plan *plan);
