// SPDX-License-Identifier: Apache-2.0
// What keeps clients from holding a server for ever: a thread of each server looks at every connection once a second and
// cuts those that are too slow. It asks the kernel (TCP_INFO) how much came and how much the other side has taken, so
// serving a request costs nothing more, with and without TLS.
//
//   before the head is complete    head_timeout, counted from the first byte; on a new connection from the start, with
//                                  the TLS handshake. A connection that is kept alive may idle (libmicrohttpd's timeout).
//   in the body                    body_timeout, and a second more for every BODY_RATE bytes that came
//   while an answer is sent        send_timeout without SEND_LEAST bytes taken, although there is something to take
//   in a stream that sleeps        ended when the client has closed its side: nothing else would notice
//
// A head that two servers could understand differently is refused before anything is done with it.
#include "libcommon/net/http_server_internal.h"

#include "libcommon/base/log.h"
#include "libcommon/base/time.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <malloc.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define TICK CX_NS_PER_S
#define TCP_OPEN 1 // TCP_ESTABLISHED in <netinet/tcp.h>, which does not go with <linux/tcp.h>
#define BODY_RATE ((int64_t)32 << 10)
#define SEND_LEAST 4096
#define MAX_HEADERS 256
#define FEW_CONNECTIONS 256 // as many may come and go without a thought for the memory that they leave behind
#define LOG_INTERVAL (60 * CX_NS_PER_S)

// --- connections that are too slow ---

static bool tcp_info(int fd, struct tcp_info *ret_info)
{
        socklen_t length = sizeof *ret_info;
        *ret_info = (struct tcp_info){0};
        return getsockopt(fd, IPPROTO_TCP, TCP_INFO, ret_info, &length) == 0;
}

bool cx_http_has_left(int fd)
{
        struct tcp_info info;
        return fd >= 0 && tcp_info(fd, &info) && info.tcpi_state != TCP_OPEN;
}

// Why a connection must end; NULL: it may go on.
static const char *too_slow(const struct cx_http_server_options *limits, struct cx_http_peer *peer, int64_t now)
{
        struct cx_http_progress *seen = &peer->progress;
        unsigned stage = atomic_load_explicit(&peer->stage, memory_order_relaxed);
        enum cx_http_phase phase = cx_http_phase(stage);
        struct tcp_info info;
        if (phase == CX_HTTP_PHASE_BUSY || !tcp_info(peer->fd, &info)) {
                seen->stage = stage;
                return NULL;
        }
        if (stage != seen->stage) {
                *seen = (struct cx_http_progress){.stage = stage,
                                                  .since = now,
                                                  .received = info.tcpi_bytes_received,
                                                  .taken = info.tcpi_bytes_acked};
                return NULL;
        }
        switch (phase) {
        case CX_HTTP_PHASE_HEAD:
                if (!seen->begun && info.tcpi_bytes_received != seen->received) {
                        seen->begun = true;
                        seen->since = now;
                }
                return seen->begun && now - seen->since > limits->head_timeout ? "head" : NULL;
        case CX_HTTP_PHASE_BODY:
                return now - seen->since > limits->body_timeout + (int64_t)(info.tcpi_bytes_received - seen->received) *
                                                                          CX_NS_PER_S / BODY_RATE
                               ? "body"
                               : NULL;
        default:
                if ((!info.tcpi_notsent_bytes && !info.tcpi_unacked) ||
                    info.tcpi_bytes_acked - seen->taken >= SEND_LEAST) {
                        seen->since = now;
                        seen->taken = info.tcpi_bytes_acked;
                }
                return now - seen->since > limits->send_timeout && !atomic_load(&peer->patient) ? "answer" : NULL;
        }
}

// libmicrohttpd finds the socket at its end and closes it; nothing of what was not sent stays in the kernel.
static void cut(const struct cx_http_peer *peer, const char *where)
{
        struct linger at_once = {.l_onoff = 1};
        (void)setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        (void)shutdown(peer->fd, SHUT_RDWR);
        cx_debug(3, "Cut off a client that is too slow", "client", peer->address, "in", where);
}

static void end_deserted_streams(struct cx_http_server *server)
{
        pthread_mutex_lock(&server->lock);
        for (struct cx_http_stream *stream = server->streams; stream; stream = stream->next) {
                pthread_mutex_lock(&stream->lock);
                bool deserted = stream->connection && stream->suspended && cx_http_has_left(stream->fd);
                if (deserted)
                        stream->aborted = true;
                pthread_mutex_unlock(&stream->lock);
                if (deserted)
                        cx_http_stream_wake(stream);
        }
        pthread_mutex_unlock(&server->lock);
}

static void look(struct cx_http_server *server)
{
        int64_t now = cx_time_monotonic();
        pthread_mutex_lock(&server->peers_lock);
        for (struct cx_http_peer *peer = server->peers; peer; peer = peer->next) {
                if (peer->left && cx_http_has_left(peer->fd))
                        __atomic_store_n(peer->left, true, __ATOMIC_RELEASE);
                const char *where = peer->cut ? NULL : too_slow(&server->options, peer, now);
                if (where) {
                        peer->cut = true;
                        cut(peer, where);
                }
        }
        pthread_mutex_unlock(&server->peers_lock);
        end_deserted_streams(server);
        cx_http_upgrades_end_deserted(server);
}

// What a crowd of connections has left behind goes back to the system once they are gone.
static void trim(unsigned connections, unsigned *most)
{
        if (connections > *most)
                *most = connections;
        if (*most < FEW_CONNECTIONS || connections > *most / 2)
                return;
        *most = connections;
        malloc_trim(0);
}

static void *guard_main(void *context)
{
        struct cx_http_server *server = context;
        unsigned most = 0;
        pthread_mutex_lock(&server->peers_lock);
        while (!server->guard_stopping) {
                if (!server->peers && !most) {
                        pthread_cond_wait(&server->guard_wake, &server->peers_lock);
                        continue;
                }
                struct timespec tick;
                clock_gettime(CLOCK_REALTIME, &tick);
                tick.tv_sec += TICK / CX_NS_PER_S;
                while (!server->guard_stopping &&
                       pthread_cond_timedwait(&server->guard_wake, &server->peers_lock, &tick) != ETIMEDOUT)
                        ;
                pthread_mutex_unlock(&server->peers_lock);
                look(server);
                trim(atomic_load(&server->connections), &most);
                pthread_mutex_lock(&server->peers_lock);
                if (!server->peers && most < FEW_CONNECTIONS)
                        most = 0;
        }
        pthread_mutex_unlock(&server->peers_lock);
        return NULL;
}

void cx_http_guard_add(struct cx_http_server *server, struct cx_http_peer *peer)
{
        atomic_fetch_add(&server->connections, 1);
        peer->progress.begun = true; // a new connection is there to say something
        peer->progress.since = cx_time_monotonic();
        pthread_mutex_lock(&server->peers_lock);
        peer->next = server->peers;
        if (peer->next)
                peer->next->previous = peer;
        else
                pthread_cond_signal(&server->guard_wake);
        server->peers = peer;
        pthread_mutex_unlock(&server->peers_lock);
}

void cx_http_guard_remove(struct cx_http_server *server, struct cx_http_peer *peer)
{
        pthread_mutex_lock(&server->peers_lock);
        *(peer->previous ? &peer->previous->next : &server->peers) = peer->next;
        if (peer->next)
                peer->next->previous = peer->previous;
        pthread_mutex_unlock(&server->peers_lock);
        atomic_fetch_sub(&server->connections, 1);
}

void cx_http_notice_leaving(struct cx_http_request *request, bool *ret_left)
{
        struct cx_http_server *server = request->server;
        pthread_mutex_lock(&server->peers_lock);
        cx_http_connection_peer(request->connection)->left = ret_left;
        pthread_mutex_unlock(&server->peers_lock);
}

// --- too many connections ---

size_t cx_http_guard_max_connections(void)
{
        struct rlimit files = {.rlim_cur = 1024};
        (void)getrlimit(RLIMIT_NOFILE, &files);
        size_t half = files.rlim_cur / 2; // the rest is for what the answers need
        return half < 8192 ? half : 8192;
}

bool cx_http_guard_admit(struct cx_http_server *server)
{
        if (atomic_load(&server->connections) < server->options.max_connections)
                return true;
        int64_t now = cx_time_monotonic(), said = atomic_load(&server->refusal_logged);
        if ((!said || now - said > LOG_INTERVAL) && atomic_compare_exchange_strong(&server->refusal_logged, &said, now))
                cx_warn("Too many connections: new ones are refused", "port", CX_INT(server->port), "limit",
                        CX_INT((long)server->options.max_connections));
        return false;
}

// --- heads that are not to be trusted ---

struct head {
        int headers, lengths, encodings, hosts;
        const char *length;
        bool bad_name, bad_value, lengths_differ, chunked;
};

static bool is_token(const char *text)
{
        static const char others[] = "!#$%&'*+-.^_`|~";
        const char *p = text;
        while ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
               (*p && strchr(others, *p)))
                p++;
        return p > text && !*p;
}

static bool is_value(const char *text)
{
        for (const unsigned char *p = (const unsigned char *)text; *p; p++)
                if ((*p < ' ' && *p != '\t') || *p == 127)
                        return false;
        return true;
}

static enum MHD_Result examine(void *context, enum MHD_ValueKind kind CX_UNUSED, const char *name, const char *value)
{
        struct head *head = context;
        value = cx_str(value);
        head->headers++;
        head->bad_name |= !is_token(name);
        head->bad_value |= !is_value(value);
        if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
                head->lengths_differ |= head->lengths++ && strcmp(head->length, value) != 0;
                head->length = value;
        } else if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
                head->encodings++;
                head->chunked = strcasecmp(value, "chunked") == 0;
        } else if (strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0) {
                head->hosts++;
        }
        return MHD_YES;
}

int cx_http_guard_head(const struct cx_http_request *request, const char *version, const char **ret_why)
{
        struct head head = {0};
        MHD_get_connection_values(request->connection, MHD_HEADER_KIND, examine, &head);
        const char *expect = cx_http_header(request, MHD_HTTP_HEADER_EXPECT);
        bool old = strcmp(version, MHD_HTTP_VERSION_1_1) != 0;
        int64_t length = 0;
        int code = 400;
        const char *why = NULL;
        if (head.headers > MAX_HEADERS) {
                code = 431;
                why = "too many headers";
        } else if (head.bad_name || head.bad_value) {
                why = head.bad_name ? "invalid header name" : "invalid header value";
        } else if (head.lengths_differ) {
                why = "Content-Length headers differ";
        } else if (head.encodings && (head.lengths || old)) {
                why = old ? "Transfer-Encoding in HTTP/1.0" : "Transfer-Encoding together with Content-Length";
        } else if (head.encodings && (head.encodings > 1 || !head.chunked)) {
                code = 501;
                why = "unsupported transfer encoding";
        } else if (head.hosts > 1 || (!old && !head.hosts)) {
                why = head.hosts ? "too many Host headers" : "missing required Host header";
        } else if (expect && strcasecmp(expect, "100-continue") != 0) {
                code = 417;
                why = "unknown expectation";
        } else if (head.length && cx_parse_int(head.length, 0, INT64_MAX, &length) < 0) {
                why = "invalid Content-Length";
        } else if (length > (int64_t)(expect ? request->server->options.max_body : CX_HTTP_MAX_DISCARD)) {
                code = 413;
                why = "the body is too large";
        }
        *ret_why = why;
        return why ? code : 0;
}

// --- life ---

int cx_http_guard_start(struct cx_http_server *server, struct cx_error *err)
{
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, (size_t)128 << 10);
        int r = pthread_create(&server->guard, &attributes, guard_main, server);
        pthread_attr_destroy(&attributes);
        if (r != 0)
                return cx_error_set(err, -r, "cannot start the guard of connections: %s", strerror(r));
        server->guarded = true;
        (void)pthread_setname_np(server->guard, "http-guard");
        return 0;
}

void cx_http_guard_stop(struct cx_http_server *server)
{
        if (!server->guarded)
                return;
        pthread_mutex_lock(&server->peers_lock);
        server->guard_stopping = true;
        pthread_cond_signal(&server->guard_wake);
        pthread_mutex_unlock(&server->peers_lock);
        pthread_join(server->guard, NULL);
        server->guarded = false;
}
