// SPDX-License-Identifier: Apache-2.0
// Upgraded connections: libcurl connects (TCP and TLS, CURLOPT_CONNECT_ONLY), the HTTP/1.1 request and its answer are
// written and read here, and the rest of the connection is a plain stream.
#include "libcommon/base/time.h"
#include "libcommon/format/base64.h"
#include "libcommon/net/http_client_internal.h"

#include <poll.h>
#include <strings.h>

#define MAX_ANSWER_HEADERS 65536
#define MAX_REFUSAL (1 << 20)

struct tunnel {
        struct cx_wire wire;
        CURL *easy;
        struct cx_http_setup setup;
        pthread_mutex_t lock; // curl_easy_send and _recv use one TLS state
        struct cx_buf early;  // bytes that came with the answer's headers
};

static ssize_t tunnel_recv(struct tunnel *tunnel, void *to, size_t max)
{
        size_t got = 0;
        pthread_mutex_lock(&tunnel->lock);
        CURLcode code = curl_easy_recv(tunnel->easy, to, max, &got);
        pthread_mutex_unlock(&tunnel->lock);
        if (code == CURLE_AGAIN)
                return -EAGAIN;
        if (code != CURLE_OK)
                return -ECONNRESET;
        return (ssize_t)got;
}

static ssize_t tunnel_read(struct cx_wire *wire, void *to, size_t max)
{
        struct tunnel *tunnel = (struct tunnel *)wire;
        if (tunnel->early.length) {
                size_t n = tunnel->early.length < max ? tunnel->early.length : max;
                memcpy(to, tunnel->early.data, n);
                cx_buf_consume(&tunnel->early, n);
                return (ssize_t)n;
        }
        return tunnel_recv(tunnel, to, max);
}

static ssize_t tunnel_write(struct cx_wire *wire, const void *data, size_t length)
{
        struct tunnel *tunnel = (struct tunnel *)wire;
        size_t sent = 0;
        pthread_mutex_lock(&tunnel->lock);
        CURLcode code = curl_easy_send(tunnel->easy, data, length, &sent);
        pthread_mutex_unlock(&tunnel->lock);
        if (code == CURLE_AGAIN)
                return -EAGAIN;
        if (code != CURLE_OK)
                return -ECONNRESET;
        return (ssize_t)sent;
}

static void tunnel_free(struct cx_wire *wire)
{
        struct tunnel *tunnel = (struct tunnel *)wire;
        curl_easy_cleanup(tunnel->easy);
        cx_http_setup_release(&tunnel->setup);
        cx_buf_release(&tunnel->early);
        pthread_mutex_destroy(&tunnel->lock);
        free(tunnel);
}

// Waits for the socket; -ETIMEDOUT at the deadline, -ECANCELED when asked to.
static int wait_for(struct tunnel *tunnel, short events, int64_t deadline, const bool *cancel)
{
        for (;;) {
                int64_t left = deadline - cx_time_monotonic();
                if (left <= 0)
                        return -ETIMEDOUT;
                if (cancel && __atomic_load_n(cancel, __ATOMIC_RELAXED))
                        return -ECANCELED;
                struct pollfd entry = {.fd = tunnel->wire.fd, .events = events};
                int ms = (int)(left / CX_NS_PER_MS) + 1;
                int n = poll(&entry, 1, cancel && ms > 100 ? 100 : ms);
                if (n > 0)
                        return 0;
                if (n < 0 && errno != EINTR)
                        return -errno;
        }
}

// Basic authentication is libcurl's work elsewhere; here the header is made by hand.
static void add_basic(struct cx_buf *to, const struct cx_http_client *client)
{
        if (!client->username)
                return;
        CX_CLEANUP(cx_freep) char *plain = cx_sprintf("%s:%s", client->username, cx_str(client->password));
        cx_buf_add(to, "Authorization: Basic ");
        cx_base64_encode(plain, strlen(plain), to);
        cx_buf_add(to, "\r\n");
}

static void write_request(struct cx_buf *to, struct cx_http_client *client, const struct cx_http_call *call,
                          const struct curl_slist *headers, const char *url)
{
        CURLU *parts = curl_url();
        char *host = NULL, *port = NULL, *path = NULL, *query = NULL;
        if (curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK) {
                curl_url_get(parts, CURLUPART_HOST, &host, 0);
                curl_url_get(parts, CURLUPART_PORT, &port, 0);
                curl_url_get(parts, CURLUPART_PATH, &path, 0);
                curl_url_get(parts, CURLUPART_QUERY, &query, 0);
        }
        cx_buf_printf(to, "%s %s%s%s HTTP/1.1\r\nHost: %s%s%s\r\nUser-Agent: %s\r\n",
                      call->method ? call->method : "GET", path ? path : "/", query ? "?" : "", cx_str(query),
                      cx_str(host), port ? ":" : "", cx_str(port), client->user_agent);
        for (; headers; headers = headers->next)
                if (strcmp(headers->data, "Expect:") != 0)
                        cx_buf_printf(to, "%s\r\n", headers->data);
        add_basic(to, client);
        if (call->body_length || cx_streq(call->method, "POST"))
                cx_buf_printf(to, "Content-Length: %zu\r\n", call->body ? call->body_length : 0);
        cx_buf_add(to, "\r\n");
        if (call->body)
                cx_buf_append(to, call->body, call->body_length);
        curl_free(host);
        curl_free(port);
        curl_free(path);
        curl_free(query);
        curl_url_cleanup(parts);
}

int cx_http_parse_answer(const char *text, size_t length, struct cx_http_reply *ret_reply)
{
        if (length < 14 || strncmp(text, "HTTP/1.", 7) != 0 || (text[7] != '0' && text[7] != '1') || text[8] != ' ')
                return -EPROTO;
        int code = 0;
        for (int i = 9; i < 12; i++) {
                if (text[i] < '0' || text[i] > '9')
                        return -EPROTO;
                code = code * 10 + (text[i] - '0');
        }
        if (code < 100 || memchr(text, 0, length))
                return -EPROTO;
        ret_reply->code = code;
        cx_buf_clear(&ret_reply->headers);
        cx_buf_append(&ret_reply->headers, text, length);
        return ret_reply->headers.overflow ? -EPROTO : 0;
}

static int send_all(struct tunnel *tunnel, const struct cx_buf *data, int64_t deadline, const bool *cancel)
{
        for (size_t done = 0; done < data->length;) {
                ssize_t n = tunnel_write(&tunnel->wire, data->data + done, data->length - done);
                if (n == -EAGAIN) {
                        int r = wait_for(tunnel, POLLOUT, deadline, cancel);
                        if (r < 0)
                                return r;
                } else if (n < 0) {
                        return (int)n;
                } else {
                        done += (size_t)n;
                }
        }
        return 0;
}

// Reads up to and with the empty line; what follows stays in tunnel->early.
static int read_answer(struct tunnel *tunnel, struct cx_http_reply *ret_reply, int64_t deadline, const bool *cancel)
{
        CX_BUF text = CX_BUF_INIT_MAX(MAX_ANSWER_HEADERS + 16384);
        for (;;) {
                char *end = memmem(text.data, text.length, "\r\n\r\n", 4);
                if (end) {
                        size_t length = (size_t)(end - text.data) + 4;
                        int r = cx_http_parse_answer(text.data, length, ret_reply);
                        if (r < 0)
                                return r;
                        cx_buf_consume(&text, length);
                        if (ret_reply->code >= 102 || ret_reply->code == 101) {
                                cx_buf_append(&tunnel->early, text.data, text.length);
                                return 0;
                        }
                        continue; // 100 Continue
                }
                if (text.length > MAX_ANSWER_HEADERS)
                        return -EPROTO;
                char *to = cx_buf_reserve(&text, 4096);
                if (!to)
                        return -EPROTO;
                ssize_t n = tunnel_recv(tunnel, to, 4096);
                if (n == 0)
                        return -ECONNRESET;
                if (n == -EAGAIN) {
                        int r = wait_for(tunnel, POLLIN, deadline, cancel);
                        if (r < 0)
                                return r;
                } else if (n < 0) {
                        return (int)n;
                } else {
                        cx_buf_advance(&text, (size_t)n);
                }
        }
}

// The body of a refusal, as far as Content-Length says, or till the end when chunked or unknown (kept raw and capped).
static void read_refusal(struct tunnel *tunnel, struct cx_http_reply *refusal, int64_t deadline, const bool *cancel)
{
        CX_CLEANUP(cx_freep) char *header = cx_http_reply_header(refusal, "Content-Length");
        int64_t length = MAX_REFUSAL;
        if (header && cx_parse_int(header, 0, MAX_REFUSAL, &length) < 0)
                length = MAX_REFUSAL;
        cx_buf_clear(&refusal->body);
        while ((int64_t)refusal->body.length < length) {
                size_t max = (size_t)length - refusal->body.length;
                if (max > 16384)
                        max = 16384;
                char *to = cx_buf_reserve(&refusal->body, max);
                ssize_t n = to ? tunnel_read(&tunnel->wire, to, max) : -EMSGSIZE;
                if (n == -EAGAIN && wait_for(tunnel, POLLIN, deadline, cancel) == 0)
                        continue;
                if (n <= 0)
                        break;
                cx_buf_advance(&refusal->body, (size_t)n);
        }
}

static int tunnel_open(struct cx_http_client *client, const struct cx_http_call *call, struct tunnel **ret_tunnel,
                       struct cx_error *err)
{
        static const struct cx_wire_type type = {tunnel_read, tunnel_write, tunnel_free};
        struct tunnel *tunnel = cx_alloc(sizeof *tunnel);
        CX_CLEANUP(cx_wire_freep) struct cx_wire *wire = &tunnel->wire;
        wire->type = &type;
        tunnel->early = (struct cx_buf)CX_BUF_INIT;
        pthread_mutex_init(&tunnel->lock, NULL);
        tunnel->easy = curl_easy_init();
        if (!tunnel->easy)
                abort();
        char detail[CURL_ERROR_SIZE] = "";
        cx_http_setup(tunnel->easy, client, call, NULL, &tunnel->setup);
        curl_easy_setopt(tunnel->easy, CURLOPT_ERRORBUFFER, detail);
        curl_easy_setopt(tunnel->easy, CURLOPT_CUSTOMREQUEST, NULL);
        curl_easy_setopt(tunnel->easy, CURLOPT_HTTPGET, 1L);
        curl_easy_setopt(tunnel->easy, CURLOPT_CONNECT_ONLY, 1L);
        curl_easy_setopt(tunnel->easy, CURLOPT_TIMEOUT_MS, 0L);
        CURLcode code = curl_easy_perform(tunnel->easy);
        curl_easy_setopt(tunnel->easy, CURLOPT_ERRORBUFFER, NULL);
        if (code != CURLE_OK) {
                (void)cx_http_server_lost(&tunnel->setup, tunnel->easy, code);
                return cx_http_curl_error(code, detail, call->path ? call->path : "/", err);
        }
        curl_easy_getinfo(tunnel->easy, CURLINFO_ACTIVESOCKET, &wire->fd);
        cx_steal(&wire);
        *ret_tunnel = tunnel;
        return 0;
}

int cx_http_connect(struct cx_http_client *client, struct cx_wire **ret_wire, struct cx_buf *ret_authorization,
                    struct cx_error *err)
{
        struct tunnel *tunnel;
        int r = tunnel_open(client, &(struct cx_http_call){.path = "/"}, &tunnel, err);
        if (r < 0)
                return r;
        for (const struct curl_slist *header = tunnel->setup.headers; header; header = header->next)
                if (strncasecmp(header->data, "Authorization:", 14) == 0)
                        cx_buf_printf(ret_authorization, "%s\r\n", header->data);
        add_basic(ret_authorization, client);
        *ret_wire = &tunnel->wire;
        return 0;
}

int cx_http_upgrade(struct cx_http_client *client, const struct cx_http_call *call, struct cx_wire **ret_wire,
                    struct cx_http_reply *ret_headers, struct cx_http_reply *ret_refusal, struct cx_error *err)
{
        const char *what = call->path ? call->path : "/";
        struct tunnel *tunnel;
        int r = tunnel_open(client, call, &tunnel, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_wire_freep) struct cx_wire *wire = &tunnel->wire;
        int64_t timeout = call->timeout > 0 ? call->timeout : 60 * CX_NS_PER_S;
        int64_t deadline = cx_time_monotonic() + timeout;
        char *url = NULL;
        curl_easy_getinfo(tunnel->easy, CURLINFO_EFFECTIVE_URL, &url);
        CX_BUF request = CX_BUF_INIT;
        write_request(&request, client, call, tunnel->setup.headers, url);
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        r = send_all(tunnel, &request, deadline, call->cancel);
        explicit_bzero(request.data, request.length);
        if (r == 0)
                r = read_answer(tunnel, &reply, deadline, call->cancel);
        if (r < 0)
                return cx_error_set(err, r, "%s: no answer to the upgrade: %s", what, strerror(-r));
        if (reply.code != 101) {
                read_refusal(tunnel, &reply, deadline, call->cancel);
                r = cx_error_set(err, -EPROTO, "%s: unable to upgrade connection: %d %.200s", what, reply.code,
                                 reply.body.data);
                if (ret_refusal) {
                        cx_http_reply_release(ret_refusal);
                        *ret_refusal = reply;
                        reply = (struct cx_http_reply)CX_HTTP_REPLY_INIT;
                }
                return r;
        }
        if (ret_headers) {
                cx_http_reply_release(ret_headers);
                *ret_headers = reply;
                reply = (struct cx_http_reply)CX_HTTP_REPLY_INIT;
        }
        *ret_wire = cx_steal(&wire);
        return 0;
}
