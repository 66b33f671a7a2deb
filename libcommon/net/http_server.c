// SPDX-License-Identifier: Apache-2.0
// Lifecycle of the server and of a request: from libmicrohttpd's access handler to the inline handler or the workers
// (http_workers.c) and back. Responses are in http_response.c and http_upgrade.c, the request's parts in http_request.c.
//
// libmicrohttpd 0.9.75 has rules of its own that shape this file: the first call of the access handler must only return
// MHD_YES (a response queued in it ends keep-alive); a connection must not be suspended when the daemon stops; the
// content reader may suspend its own connection.
#include "libcommon/net/http_server_internal.h"

#include "libcommon/base/address.h"
#include "libcommon/base/log.h"
#include "libcommon/base/time.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define DEFAULT_MAX_BODY ((size_t)3 << 20)
#define DEFAULT_WORKERS 8
#define DRAIN_SECONDS 2
#define MAX_BODIES ((size_t)128 << 20)
#define MAX_UPGRADES 1024

static void turn_away(struct cx_http_request *request)
{
        CX_ERROR err = CX_ERROR_INIT;
        (void)cx_error_reason(&err, CX_REASON_UNAVAILABLE, "the server is shutting down");
        err.retry_after = 1; // another server, or this one when it is back
        cx_http_add_header(request, "Connection", "close");
        cx_http_respond_error(request, &err);
}

static void enqueue(struct cx_http_request *request)
{
        struct cx_http_server *server = request->server;
        pthread_mutex_lock(&server->lock);
        if (server->stopping) {
                pthread_mutex_unlock(&server->lock);
                turn_away(request);
                return;
        }
        cx_http_workers_call(server, request);
        pthread_mutex_unlock(&server->lock);
}

// --- libmicrohttpd's callbacks ---

static unsigned idle_timeout(const struct cx_http_server *server)
{
        return server->options.idle_timeout ? (unsigned)server->options.idle_timeout : 120;
}

static enum MHD_Result on_accept(void *context, const struct sockaddr *address CX_UNUSED, socklen_t length CX_UNUSED)
{
        return cx_http_guard_admit(context) ? MHD_YES : MHD_NO;
}

static void *on_uri(void *context, const char *uri, struct MHD_Connection *connection)
{
        struct cx_http_request *request = cx_alloc(sizeof *request);
        request->server = context;
        request->connection = connection;
        request->max_body = request->server->options.max_body;
        request->body = (struct cx_buf)CX_BUF_INIT_MAX(request->max_body);
        cx_http_request_parse_uri(request, uri);
        return request;
}

static void on_completed(void *context CX_UNUSED, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode why CX_UNUSED)
{
        struct cx_http_request *request = *con_cls;
        if (!request)
                return;
        struct cx_http_server *server = request->server;
        bool dispatched = request->dispatched;
        *con_cls = NULL;
        struct cx_http_peer *peer = cx_http_connection_peer(connection);
        if (atomic_exchange_explicit(&peer->patient, false, memory_order_relaxed))
                MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, idle_timeout(server));
        cx_http_peer_enter(peer, CX_HTTP_PHASE_HEAD);
        atomic_fetch_sub(&server->body_bytes, request->counted);
        cx_http_request_free(request);
        if (dispatched && atomic_fetch_sub(&server->running, 1) == 1 && atomic_load(&server->draining)) {
                pthread_mutex_lock(&server->lock);
                pthread_cond_broadcast(&server->gone);
                pthread_mutex_unlock(&server->lock);
        }
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
        if (what == MHD_CONNECTION_NOTIFY_STARTED) {
                struct cx_http_peer *peer = cx_alloc(sizeof *peer);
                cx_http_peer_attach(peer, context, connection);
                *socket_context = peer;
                cx_http_guard_add(context, peer);
                return;
        }
        cx_http_guard_remove(context, *socket_context);
        cx_http_peer_free(*socket_context);
        *socket_context = NULL;
}

static enum MHD_Result queue_response(struct cx_http_request *request)
{
        struct MHD_Response *response = cx_steal(&request->response);
        struct cx_http_peer *peer = cx_http_connection_peer(request->connection);
        peer->hold = peer->session && request->has_body && strcmp(request->method, MHD_HTTP_METHOD_HEAD) != 0;
        if (request->patient) {
                atomic_store_explicit(&peer->patient, true, memory_order_relaxed);
                MHD_set_connection_option(request->connection, MHD_CONNECTION_OPTION_TIMEOUT, 0U);
        }
        cx_http_peer_enter(peer, CX_HTTP_PHASE_SEND);
        enum MHD_Result result = MHD_queue_response(request->connection, (unsigned)request->code, response);
        MHD_destroy_response(response);
        return result;
}

// Suspends, unless the answer has come meanwhile; whoever answers a suspended request resumes it.
static void wait_for_answer(struct cx_http_request *request)
{
        MHD_suspend_connection(request->connection);
        int state = CX_HTTP_RUNNING;
        if (atomic_compare_exchange_strong(&request->state, &state, CX_HTTP_SUSPENDED))
                return;
        if (state == CX_HTTP_UPGRADING)
                cx_http_upgrade_start(request);
        else
                MHD_resume_connection(request->connection);
}

void cx_http_request_close(struct cx_http_request *request)
{
        struct MHD_Connection *connection = request->connection;
        atomic_store(&request->state, CX_HTTP_CLOSING);
        MHD_resume_connection(connection);
}

static void say_too_large(struct cx_http_request *request)
{
        CX_ERROR err = CX_ERROR_INIT;
        (void)cx_error_reason(&err, CX_REASON_TOO_LARGE, "Request entity too large: limit is %zu", request->max_body);
        cx_http_respond_error(request, &err);
}

static enum MHD_Result dispatch(struct cx_http_request *request)
{
        struct cx_http_server *server = request->server;
        request->dispatched = true;
        request->start_time = cx_time_monotonic();
        atomic_fetch_add(&server->running, 1);
        cx_http_peer_enter(cx_http_connection_peer(request->connection), CX_HTTP_PHASE_BUSY);
        if (atomic_load(&server->draining)) {
                turn_away(request);
                return queue_response(request);
        }
        if (request->too_many) {
                CX_ERROR err = CX_ERROR_INIT;
                err.retry_after = 1;
                (void)cx_error_reason(&err, CX_REASON_TOO_MANY_REQUESTS,
                                      "too many request bodies at once, please try again later");
                cx_http_respond_error(request, &err);
                return queue_response(request);
        }
        if (request->too_large) {
                say_too_large(request);
                return queue_response(request);
        }
        atomic_store(&request->state, CX_HTTP_RUNNING);
        bool taken = server->options.handler_inline && server->options.handler_inline(request, server->options.context);
        if (taken && atomic_load(&request->state) == CX_HTTP_ANSWERED)
                return queue_response(request);
        if (taken) {
                wait_for_answer(request);
                return MHD_YES;
        }
        // Suspended before it is queued: a worker may answer at once.
        MHD_suspend_connection(request->connection);
        atomic_store(&request->state, CX_HTTP_SUSPENDED);
        enqueue(request);
        return MHD_YES;
}

// A response to the first call of the access handler ends the connection: nothing that follows is read.
static enum MHD_Result refuse_head(struct cx_http_request *request, int code, const char *why)
{
        CX_BUF text = CX_BUF_INIT_MAX(1024);
        cx_buf_printf(&text, "%d %s: %s\n", code, MHD_get_reason_phrase_for((unsigned)code), why);
        cx_http_add_header(request, "Connection", "close");
        if (code == MHD_HTTP_CONTENT_TOO_LARGE)
                say_too_large(request);
        else
                cx_http_respond(request, code, "text/plain; charset=utf-8", text.data, text.length);
        return queue_response(request);
}

static enum MHD_Result begin_request(struct cx_http_request *request, const char *method, const char *version)
{
        const char *why;
        request->method = method;
        cx_http_peer_enter(cx_http_connection_peer(request->connection), CX_HTTP_PHASE_BODY);
        int code = cx_http_guard_head(request, version, &why);
        if (code)
                return refuse_head(request, code, why);
        const struct cx_http_server_options *o = &request->server->options;
        size_t limit = o->body_limit ? o->body_limit(request, o->context) : o->max_body;
        if (limit < o->max_body)
                request->max_body = limit;
        return MHD_YES;
}

static enum MHD_Result take_body(struct cx_http_request *request, const char *data, size_t length)
{
        struct cx_http_server *server = request->server;
        request->received += length;
        if (request->received > CX_HTTP_MAX_DISCARD)
                return MHD_NO;
        request->too_large |= request->received > request->max_body;
        if (!request->too_large && !request->too_many) {
                request->counted += length;
                size_t room = request->max_body < server->options.max_body ? server->options.max_bodies / 2
                                                                           : server->options.max_bodies;
                request->too_many = atomic_fetch_add(&server->body_bytes, length) + length > room;
                cx_buf_append(&request->body, data, length);
        }
        if (request->too_large || request->too_many) {
                cx_buf_release(&request->body);
                atomic_fetch_sub(&server->body_bytes, request->counted);
                request->counted = 0;
        }
        return MHD_YES;
}

static enum MHD_Result on_access(void *context CX_UNUSED, struct MHD_Connection *connection CX_UNUSED,
                                 const char *url CX_UNUSED, const char *method, const char *version,
                                 const char *upload_data, size_t *upload_data_size, void **con_cls)
{
        struct cx_http_request *request = *con_cls;
        if (!request->method)
                return begin_request(request, method, version);
        if (*upload_data_size) {
                size_t length = *upload_data_size;
                *upload_data_size = 0;
                return take_body(request, upload_data, length);
        }
        if (!request->dispatched)
                return dispatch(request);
        int state = atomic_load(&request->state);
        if (state == CX_HTTP_ANSWERED && request->response)
                return queue_response(request);
        return state == CX_HTTP_CLOSING ? MHD_NO : MHD_YES;
}

static void on_log(void *context CX_UNUSED, const char *format, va_list args)
{
        if (!cx_v(5))
                return;
        CX_BUF text = CX_BUF_INIT_MAX(4096);
        cx_buf_vprintf(&text, format, args);
        cx_info("libmicrohttpd", "message", text.data);
}

// --- start and stop ---

// Binds and listens ourselves: libmicrohttpd says only "failed" when it cannot.
static int open_listener(const struct cx_http_server_options *options, int *ret_fd, struct cx_address *ret_bound,
                         int *ret_port, struct cx_error *err)
{
        struct cx_address bound;
        struct sockaddr_storage address;
        int r = options->port < 0 || options->port > 65535
                        ? -ERANGE
                        : cx_address_parse(options->address ? options->address : "0.0.0.0", &bound);
        if (r < 0)
                return cx_error_set(err, r, "cannot listen on \"%s\" port %d: not an IP address and port",
                                    cx_str(options->address), options->port);
        socklen_t length = cx_address_to_socket(&bound, options->port, &address);
        CX_CLEANUP(cx_closep) int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int one = 1, idle = 30, interval = 10; // inherited by every connection: a client that has vanished is noticed
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one) < 0 ||
            setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle) < 0 ||
            setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval) < 0 ||
            bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 1024) < 0 ||
            getsockname(fd, (struct sockaddr *)&address, &length) < 0) {
                r = -errno;
                return cx_error_set(err, r, "cannot listen on %s port %d: %s", cx_str(options->address), options->port,
                                    strerror(-r));
        }
        r = cx_address_from_socket((struct sockaddr *)&address, &bound, ret_port);
        if (r < 0)
                return cx_error_set(err, r, "cannot read the address of the listening socket");
        *ret_bound = bound;
        *ret_fd = fd;
        fd = -1;
        return 0;
}

// TLS 1.2 and 1.3 with forward secrecy and authenticated encryption. There is no flag for less.
static const char priorities[] =
        "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:-CIPHER-ALL:"
        "+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:-MAC-ALL:+AEAD";

static int start_daemon(struct cx_http_server *server, int fd, struct cx_error *err)
{
        const struct cx_http_server_options *o = &server->options;
        const struct cx_tls_texts *texts = &server->texts;
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        unsigned threads = o->io_threads > 0 ? (unsigned)o->io_threads : cores > 1 ? (unsigned)cores : 1;
        unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                         (texts->cert ? MHD_USE_TLS : 0);
        struct MHD_OptionItem items[9];
        CX_CLEANUP(cx_freep) char *authorities = cx_http_authorities(texts);
        int n = 0;
        if (threads > 1)
                items[n++] = (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, threads, NULL};
        if (texts->cert) {
                items[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, texts->cert};
                items[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, texts->key};
                items[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)priorities};
                if (authorities)
                        items[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0, authorities};
        }
        items[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
        server->daemon = MHD_start_daemon(
                flags, 0, on_accept, server, on_access, server, MHD_OPTION_EXTERNAL_LOGGER, on_log, server,
                MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_ARRAY, items, MHD_OPTION_URI_LOG_CALLBACK, on_uri, server,
                MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
                MHD_OPTION_CONNECTION_LIMIT, (unsigned)o->max_connections * threads, // on_accept keeps the limit
                MHD_OPTION_CONNECTION_TIMEOUT, idle_timeout(server), MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)49152,
                MHD_OPTION_END);
        if (!server->daemon)
                return cx_error_set(err, -EIO,
                                    "cannot start the HTTP server: check that certificate and key fit together");
        return 0;
}

static void set_limits(struct cx_http_server_options *o)
{
        if (o->workers <= 0)
                o->workers = DEFAULT_WORKERS;
        if (!o->max_body)
                o->max_body = DEFAULT_MAX_BODY;
        if (!o->max_bodies)
                o->max_bodies = o->max_body * 8 > MAX_BODIES ? o->max_body * 8 : MAX_BODIES;
        if (!o->max_connections)
                o->max_connections = cx_http_guard_max_connections();
        if (!o->max_upgrades)
                o->max_upgrades = MAX_UPGRADES;
        if (!o->head_timeout)
                o->head_timeout = 32 * CX_NS_PER_S;
        if (!o->body_timeout)
                o->body_timeout = 60 * CX_NS_PER_S;
        if (!o->send_timeout)
                o->send_timeout = 60 * CX_NS_PER_S;
}

int cx_http_server_new(const struct cx_http_server_options *options, struct cx_http_server **ret_server,
                       struct cx_error *err)
{
        CX_CLEANUP(cx_http_server_freep) struct cx_http_server *server = cx_alloc(sizeof *server);
        server->options = *options;
        pthread_mutex_init(&server->lock, NULL);
        pthread_cond_init(&server->gone, NULL);
        pthread_mutex_init(&server->peers_lock, NULL);
        pthread_cond_init(&server->guard_wake, NULL);
        pthread_mutex_init(&server->identity_lock, NULL);
        set_limits(&server->options);
        int fd = -1;
        int r = open_listener(options, &fd, &server->bound, &server->port, err);
        if (r < 0)
                return r;
        r = cx_http_identity_init(server, err);
        if (r == 0)
                r = cx_http_guard_start(server, err);
        if (r == 0)
                r = cx_http_workers_start(server, err); // before requests come: none is left without one
        if (r == 0)
                r = start_daemon(server, fd, err);
        if (r < 0) {
                close(fd);
                return r;
        }
        *ret_server = cx_steal(&server);
        return 0;
}

int cx_http_server_port(const struct cx_http_server *server)
{
        return server->port;
}

void cx_http_server_stop_accepting(struct cx_http_server *server)
{
        MHD_socket fd = MHD_quiesce_daemon(server->daemon);
        if (fd != MHD_INVALID_SOCKET)
                close(fd);
}

// libmicrohttpd drops what is not sent when it stops: clients get a moment to take their answers.
static void wait_until_sent(struct cx_http_server *server)
{
        struct timespec limit;
        clock_gettime(CLOCK_REALTIME, &limit);
        limit.tv_sec += DRAIN_SECONDS;
        pthread_mutex_lock(&server->lock);
        while (atomic_load(&server->running) > 0 && pthread_cond_timedwait(&server->gone, &server->lock, &limit) == 0)
                ;
        pthread_mutex_unlock(&server->lock);
}

void cx_http_server_free(struct cx_http_server *server)
{
        if (!server)
                return;
        if (server->daemon)
                cx_http_server_stop_accepting(server);
        // Workers first: every request that one holds gets answered and so resumed. What comes now is turned away.
        pthread_mutex_lock(&server->lock);
        atomic_store(&server->draining, true);
        server->stopping = true;
        cx_http_workers_stop(server);
        pthread_mutex_unlock(&server->lock);
        cx_http_streams_abort(server);
        cx_http_upgrades_end(server);
        wait_until_sent(server);
        cx_http_guard_stop(server);
        if (server->daemon)
                MHD_stop_daemon(server->daemon);
        cx_http_identity_release(server);
        pthread_mutex_destroy(&server->identity_lock);
        pthread_mutex_destroy(&server->lock);
        pthread_cond_destroy(&server->gone);
        pthread_mutex_destroy(&server->peers_lock);
        pthread_cond_destroy(&server->guard_wake);
        free(server);
}
