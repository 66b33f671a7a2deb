// SPDX-License-Identifier: Apache-2.0
// What the files of the HTTP server share.
#pragma once

#include "libcommon/base/address.h"
#include "libcommon/net/http_server.h"
#include "libcommon/net/tls_files.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

// What has become of a request. UPGRADING: it is, or will be, a thread's (http_upgrade.c); CLOSING: that is through.
enum { CX_HTTP_RUNNING, CX_HTTP_SUSPENDED, CX_HTTP_ANSWERED, CX_HTTP_UPGRADING, CX_HTTP_CLOSING };

#define CX_HTTP_MAX_DISCARD ((size_t)64 << 20) // of a body that is too large, so that its sender reads the answer

struct cx_http_server {
        struct cx_http_server_options options;
        struct MHD_Daemon *daemon;
        int port;
        struct cx_address bound; // where it listens
        pthread_mutex_t lock;    // guards queue_*, idle, n_workers, streams, upgrades, stopping
        pthread_cond_t gone;     // the last worker, the last upgraded connection, or the last request while draining
        struct cx_http_worker *idle; // who became so last is first
        int n_workers;
        struct cx_http_request *queue_head, *queue_tail;
        struct cx_http_stream *streams;
        struct cx_http_upgrade *upgrades;
        size_t n_upgrades;
        bool stopping;
        atomic_bool draining; // set with stopping; may be read without the lock
        atomic_int running;   // requests that were dispatched and are not completed

        // http_guard.c
        atomic_size_t body_bytes; // of all requests at hand
        atomic_uint connections;
        _Atomic int64_t refusal_logged; // when it was last said that there are too many; monotonic
        pthread_mutex_t peers_lock;     // guards peers, guard_stopping
        pthread_cond_t guard_wake;
        struct cx_http_peer *peers;
        bool guard_stopping, guarded;
        pthread_t guard;

        // http_identity.c
        pthread_mutex_t identity_lock; // guards what follows
        struct cx_http_identity *identity;
        struct cx_tls_files files;
        struct cx_tls_texts texts; // that the identity is made of
        int64_t identity_checked;
        bool tls; // set before there are threads
};

// Immutable and counted.
struct cx_http_identity {
        atomic_int references;
        struct gnutls_certificate_credentials_st *credentials;     // NULL: cleartext
        struct gnutls_x509_trust_list_st *clients, *front_proxies; // authorities; NULL: none
};

// What the server is doing with a connection. Packed with a count of changes, so that the guard sees a new request that
// is where the last one was.
enum cx_http_phase { CX_HTTP_PHASE_HEAD, CX_HTTP_PHASE_BODY, CX_HTTP_PHASE_BUSY, CX_HTTP_PHASE_SEND };

// What the guard saw of a connection when it last began to count.
struct cx_http_progress {
        unsigned stage;
        bool begun; // the head
        int64_t since;
        uint64_t received, taken; // bytes of the connection
};

// A connection: what is known of its other end, made once and kept for all its requests, and what waits to be sent.
struct cx_http_peer {
        struct cx_http_peer *next, *previous; // in the server's list
        atomic_uint stage;                    // set by the I/O thread
        atomic_bool patient;                  // the answer at hand may be taken as slowly as the client likes
        struct cx_http_progress progress;     // the guard's
        bool cut;                             // the guard's
        bool *left;                           // set when the client has left; guarded by the server's peers_lock
        int fd;
        struct gnutls_session_int *session; // NULL without TLS
        struct cx_http_identity *identity;  // that it was met with
        bool hold;                          // the next record is a head whose body follows at once
        struct cx_buf held;
        bool examined, has_certificate;
        bool is_front_proxy; // its certificate is signed by the authority of front proxies
        int64_t expires;     // when its certificate does; seconds since the epoch
        char *common_name;   // of a certificate that verifies
        struct cx_strings organizations;
        const char *bad; // why it is no client's certificate; NULL: it is, or there is none
        char address[64];
};

struct cx_http_parameter {
        char *name, *value;
};

struct cx_http_header {
        char *name, *value;
};

struct cx_http_request {
        struct cx_http_server *server;
        struct MHD_Connection *connection;
        struct cx_http_request *next;
        const char *method;
        char *path, *raw_query;
        char *raw_path; // NULL: the path needed no decoding
        struct cx_http_parameter *parameters;
        size_t n_parameters;
        struct cx_buf body;
        size_t max_body;
        size_t received, counted; // counted: bytes of server->body_bytes
        bool too_large, too_many, dispatched;
        bool has_body; // the response is a whole body, not empty
        bool patient;
        atomic_int state;
        int code;
        struct MHD_Response *response;
        struct cx_http_upgrade *upgrade; // to be started once the connection is suspended
        struct cx_http_header *headers;  // of the response to come
        size_t n_headers;
        void *user_data;
        void (*free_user_data)(void *);
        void (*before_answer)(struct cx_http_request *request); // NULL: nobody wants to know, or knows
        int64_t start_time;
};

struct cx_http_stream {
        atomic_int references;
        struct cx_http_server *server;
        struct cx_http_stream *next, *previous; // guarded by the server's lock
        pthread_mutex_t lock;                   // guards connection, suspended, woken, aborted
        struct MHD_Connection *connection;      // NULL once the response is over
        int fd;                                 // open while there is a connection
        bool suspended, woken, aborted;
        struct cx_http_stream_source source;
};

void cx_http_request_answering(struct cx_http_request *request, int code); // the answer is made, with this code
void cx_http_request_parse_uri(struct cx_http_request *request, const char *uri);
void cx_http_request_free(struct cx_http_request *request);
void cx_http_peer_attach(struct cx_http_peer *peer, struct cx_http_server *server, struct MHD_Connection *connection);
void cx_http_peer_free(struct cx_http_peer *peer);
struct cx_http_peer *cx_http_connection_peer(struct MHD_Connection *connection);
int cx_http_identity_init(struct cx_http_server *server, struct cx_error *err) CX_CHECK;
void cx_http_identity_release(struct cx_http_server *server);
struct cx_http_identity *cx_http_identity_take(struct cx_http_server *server); // that of the moment, a reference
void cx_http_identity_unref(struct cx_http_identity *identity);
char *cx_http_authorities(const struct cx_tls_texts *texts); // both in one text, owned by the caller; NULL: none

static inline enum cx_http_phase cx_http_phase(unsigned stage)
{
        return (enum cx_http_phase)(stage & 3);
}

static inline void cx_http_peer_enter(struct cx_http_peer *peer, enum cx_http_phase phase)
{
        unsigned stage = atomic_load_explicit(&peer->stage, memory_order_relaxed);
        atomic_store_explicit(&peer->stage, (stage & ~3U) + 4 + phase, memory_order_relaxed);
}

// The first worker.
int cx_http_workers_start(struct cx_http_server *server, struct cx_error *err) CX_CHECK;
// With the lock held: somebody handles the request as soon as may be; and ends all when no request waits any more.
void cx_http_workers_call(struct cx_http_server *server, struct cx_http_request *request);
void cx_http_workers_stop(struct cx_http_server *server);

int cx_http_guard_start(struct cx_http_server *server, struct cx_error *err) CX_CHECK;
void cx_http_guard_stop(struct cx_http_server *server);
void cx_http_guard_add(struct cx_http_server *server, struct cx_http_peer *peer);
void cx_http_guard_remove(struct cx_http_server *server, struct cx_http_peer *peer);
bool cx_http_guard_admit(struct cx_http_server *server); // false: there are too many connections
size_t cx_http_guard_max_connections(void);              // that the limit of open files allows
// 0, or the HTTP status that refuses a request for its head, and why.
int cx_http_guard_head(const struct cx_http_request *request, const char *version, const char **ret_why);
void cx_http_streams_abort(struct cx_http_server *server); // and waits for nothing: MHD_stop_daemon does

void cx_http_request_close(struct cx_http_request *request); // of a suspended one that has its answer
void cx_http_upgrade_start(struct cx_http_request *request); // its connection is suspended
void cx_http_upgrades_end(struct cx_http_server *server);    // shuts the sockets and waits for the threads
void cx_http_upgrades_end_deserted(struct cx_http_server *server);
bool cx_http_has_left(int fd); // whether the other end has closed its side; false for -1
