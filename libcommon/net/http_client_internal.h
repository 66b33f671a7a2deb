// SPDX-License-Identifier: Apache-2.0
// What the parts of the HTTP client share (calls and tunnels), and what the informers' multi handle needs of them.
#pragma once

#include "libcommon/net/http_client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <time.h>

struct cx_http_handle {
        CURL *easy;
        CURLM *multi;
        int64_t used; // monotonic: when it was given back
        struct cx_http_handle *next;
};

struct cx_http_client {
        char *base_url, *ca_pem, *cert_pem, *key_pem, *token_file, *username, *password;
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
};

// What an easy handle refers to and what must be freed after the transfer.
struct cx_http_setup {
        struct curl_slist *headers, *connect_to;
};
void cx_http_setup(CURL *easy, struct cx_http_client *client, const struct cx_http_call *call,
                   struct cx_http_setup *ret_setup);
int cx_http_curl_error(CURLcode code, const char *detail, const char *what, struct cx_error *err);
// Frees a handle of cx_http_client_easy and its header list.
void cx_http_client_easy_free(void *easy, void *header_list);
// The headers of an HTTP/1.1 answer that ends at `text[length]` (with the empty line) into `ret_reply`: -EPROTO when it is
// no HTTP answer.
int cx_http_parse_answer(const char *text, size_t length, struct cx_http_reply *ret_reply) CX_CHECK;
