// SPDX-License-Identifier: Apache-2.0
// What the files of the HTTP server share.
#pragma once

#include "net/http_server.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

enum { CX_HTTP_RUNNING, CX_HTTP_SUSPENDED, CX_HTTP_ANSWERED };

struct cx_http_upgrade {
        struct cx_http_upgrade *next, *previous;
        struct cx_http_server *server;
        struct MHD_UpgradeResponseHandle *handle;
        int fd;
        char *extra;
        size_t extra_length;
        cx_http_upgraded run;
        void (*release)(void *);
        void *context;
};

struct cx_http_server {
        struct cx_http_server_options options;
        struct MHD_Daemon *daemon;
        int port;
        pthread_t *workers;
        int n_workers;
        pthread_mutex_t lock; // guards queue_*, streams, upgrades, stopping
        pthread_cond_t queue_filled;
        pthread_cond_t gone; // an upgraded connection, or the last request while draining
        struct cx_http_request *queue_head, *queue_tail;
        struct cx_http_stream *streams;
        struct cx_http_upgrade *upgrades;
        bool stopping;
        atomic_bool draining; // set with stopping; may be read without the lock
        atomic_int running;   // requests that were dispatched and are not completed
};

// A connection: what is known of its other end, made once and kept for all its requests, and what waits to be sent.
struct cx_http_peer {
        int fd;
        struct gnutls_session_int *session; // NULL without TLS
        bool hold;                          // the next record is a head whose body follows at once
        struct cx_buf held;
        bool examined, has_certificate;
        char *common_name;
        struct cx_strings organizations;
        const char *bad; // why the certificate does not verify; NULL: it does, or there is none
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
        struct cx_http_parameter *parameters;
        size_t n_parameters;
        struct cx_buf body;
        size_t received;
        bool too_large, dispatched;
        bool has_body; // the response is a whole body, not empty
        atomic_int state;
        int code;
        struct MHD_Response *response;
        struct cx_http_header *headers; // of the response to come
        size_t n_headers;
        void *user_data;
        void (*free_user_data)(void *);
        int64_t start_time;
};

struct cx_http_stream {
        atomic_int references;
        struct cx_http_server *server;
        struct cx_http_stream *next, *previous; // guarded by the server's lock
        pthread_mutex_t lock;                   // guards connection, suspended, woken, aborted
        struct MHD_Connection *connection;      // NULL once the response is over
        bool suspended, woken, aborted;
        struct cx_http_stream_source source;
};

void cx_http_request_parse_uri(struct cx_http_request *request, const char *uri);
void cx_http_request_free(struct cx_http_request *request);
void cx_http_peer_attach(struct cx_http_peer *peer, struct MHD_Connection *connection);
void cx_http_peer_free(struct cx_http_peer *peer);
struct cx_http_peer *cx_http_connection_peer(struct MHD_Connection *connection);
void cx_http_streams_abort(struct cx_http_server *server); // and waits for nothing: MHD_stop_daemon does
void cx_http_upgrades_end(struct cx_http_server *server);  // shuts the sockets and waits for the threads
