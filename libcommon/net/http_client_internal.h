// SPDX-License-Identifier: Apache-2.0
// What the parts of the HTTP client share (calls and tunnels), and what the informers' multi handle needs of them.
#pragma once

#include "libcommon/net/http_client.h"
#include "libcommon/net/tls_credentials.h"
#include "libcommon/net/tls_files.h"

#include <curl/curl.h>
#include <pthread.h>
#include <time.h>

struct cx_http_handle {
        CURL *easy;
        CURLM *multi;
        int64_t used;        // monotonic: when it was given back
        unsigned generation; // of the material that its connections were made with
        struct cx_http_handle *next;
};

// What TLS is made of; counted, since a transfer keeps what it began with.
struct cx_http_material {
        atomic_int references;
        struct cx_tls_texts texts;
        unsigned generation;                    // of the client's
        struct cx_tls_credentials *credentials; // decoded when they are first used; NULL: libcurl decodes the texts
        bool decoded;                           // guarded by the client's lock
};

struct cx_http_client {
        char **servers; // base URLs
        size_t n_servers;
        char *token_file, *username, *password;
        char *server_name, *user_agent, *unix_socket;
        bool insecure;
        int64_t connect_timeout;
        int max_idle;
        bool (*may_connect)(void *context, const struct sockaddr *address);
        void *connect_context;
        CURLSH *share;
        pthread_mutex_t share_locks[CURL_LOCK_DATA_LAST];

        pthread_mutex_t lock; // guards what follows
        struct cx_http_handle *idle;
        int n_idle;
        char *token;
        int64_t token_checked;
        struct timespec token_mtime;
        struct cx_tls_files files;
        struct cx_http_material *material;
        int64_t material_checked;
        size_t server;   // that is asked
        unsigned losses; // in a row
        bool reached;    // the server, since the last loss
};

// What an easy handle refers to while a transfer lasts. It must not move.
struct cx_http_setup {
        struct cx_http_client *client;
        struct curl_slist *headers, *connect_to;
        struct cx_http_material *material;
        size_t server;
        int64_t began;
};
// `generation`: of the material that the handle's connections were made with, 0 at first; NULL: it has none. They are not used
// again once there is other material.
void cx_http_setup(CURL *easy, struct cx_http_client *client, const struct cx_http_call *call, unsigned *generation,
                   struct cx_http_setup *ret_setup);
void cx_http_setup_release(struct cx_http_setup *setup); // after the handle's end or reset

// http_client_tls.c
int cx_http_material_init(struct cx_http_client *client, const struct cx_http_client_options *options,
                          struct cx_error *err) CX_CHECK;
void cx_http_material_unref(struct cx_http_material *material);
void cx_http_set_tls(CURL *easy, struct cx_http_client *client, unsigned *generation, struct cx_http_setup *setup);
// http_client_servers.c
void cx_http_servers_init(struct cx_http_client *client, const struct cx_http_client_options *options);
// Takes the server of the moment into the setup, with the limits that hold for it.
void cx_http_set_server(CURL *easy, struct cx_http_client *client, struct cx_http_setup *setup);
// A transfer has ended. True when its server was lost, and there is another to go on at.
bool cx_http_server_lost(const struct cx_http_setup *setup, CURL *easy, CURLcode result);
// Closes the pooled connections.
void cx_http_client_drop_idle(struct cx_http_client *client);
int cx_http_curl_error(CURLcode code, const char *detail, const char *what, struct cx_error *err);
// The headers of an HTTP/1.1 answer that ends at `text[length]` (with the empty line) into `ret_reply`: -EPROTO when it is
// no HTTP answer.
int cx_http_parse_answer(const char *text, size_t length, struct cx_http_reply *ret_reply) CX_CHECK;
