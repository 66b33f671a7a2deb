// SPDX-License-Identifier: Apache-2.0
// Connections that switch protocols. libmicrohttpd would carry them itself, with TLS through a buffer of eight bytes
// (0.9.75). So it only keeps them: the connection is suspended, a thread of its own writes the answer and has socket and
// TLS session for itself, and when it is through, libmicrohttpd is woken to close what it opened.
#include "libcommon/net/http_server_internal.h"

#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"

#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define ANSWER_PATIENCE (60 * CX_NS_PER_S)
#define STACK_SIZE ((size_t)512 << 10)
#define DESERTED_LOOKS 3 // seconds, until an upgraded connection ends whose client has left

struct cx_http_upgrade {
        struct cx_http_upgrade *next, *previous; // guarded by the server's lock, as are fd and deserted
        struct cx_http_request *request;
        struct cx_http_upgrade_plan plan;
        int fd;       // the socket; -1 when it is about to be closed
        int deserted; // how often in a row the guard found that the client has left
        bool cancel;  // atomic
};

// --- the wire --------------------------------------------------------------------------------------------------------

struct tls_wire {
        struct cx_wire wire;
        gnutls_session_t session; // guarded by lock, as is the next
        size_t begun;             // bytes of a record that the socket had no room for
        pthread_mutex_t lock;
};

static ssize_t record_failure(ssize_t code)
{
        return code == GNUTLS_E_AGAIN || code == GNUTLS_E_INTERRUPTED ? -EAGAIN : -ECONNRESET;
}

static ssize_t read_record(struct cx_wire *wire, void *to, size_t max)
{
        struct tls_wire *tls = (struct tls_wire *)wire;
        pthread_mutex_lock(&tls->lock);
        ssize_t n = gnutls_record_recv(tls->session, to, max);
        pthread_mutex_unlock(&tls->lock);
        return n < 0 ? record_failure(n) : n;
}

// A record that was begun is GnuTLS' already: called without data, it goes on with that.
static ssize_t write_record(struct cx_wire *wire, const void *data, size_t length)
{
        struct tls_wire *tls = (struct tls_wire *)wire;
        pthread_mutex_lock(&tls->lock);
        size_t most = gnutls_record_get_max_size(tls->session), n = tls->begun;
        if (!n)
                n = length < most ? length : most;
        ssize_t r = gnutls_record_send(tls->session, tls->begun ? NULL : data, tls->begun ? 0 : n);
        tls->begun = r < 0 && record_failure(r) == -EAGAIN ? n : 0;
        pthread_mutex_unlock(&tls->lock);
        return r < 0 ? record_failure(r) : (ssize_t)n;
}

static void free_tls(struct cx_wire *wire)
{
        pthread_mutex_destroy(&((struct tls_wire *)wire)->lock);
        free(wire);
}

static struct cx_wire *wire_of(const struct cx_http_peer *peer)
{
        static const struct cx_wire_type type = {read_record, write_record, free_tls};
        const int yes = 1, no = 0;
        (void)setsockopt(peer->fd, IPPROTO_TCP, TCP_CORK, &no, sizeof no);
        (void)setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        if (!peer->session)
                return cx_wire_socket(peer->fd, false);
        struct tls_wire *tls = cx_alloc(sizeof *tls);
        tls->wire = (struct cx_wire){&type, peer->fd};
        tls->session = peer->session;
        pthread_mutex_init(&tls->lock, NULL);
        return &tls->wire;
}

// --- its life --------------------------------------------------------------------------------------------------------

// False when there are too many.
static bool list(struct cx_http_server *server, struct cx_http_upgrade *upgrade)
{
        pthread_mutex_lock(&server->lock);
        bool room = server->n_upgrades < server->options.max_upgrades;
        if (room) {
                server->n_upgrades++;
                upgrade->cancel = server->stopping;
                upgrade->next = server->upgrades;
                if (upgrade->next)
                        upgrade->next->previous = upgrade;
                server->upgrades = upgrade;
        }
        pthread_mutex_unlock(&server->lock);
        return room;
}

static void unlist(struct cx_http_server *server, struct cx_http_upgrade *upgrade)
{
        pthread_mutex_lock(&server->lock);
        *(upgrade->previous ? &upgrade->previous->next : &server->upgrades) = upgrade->next;
        if (upgrade->next)
                upgrade->next->previous = upgrade->previous;
        if (--server->n_upgrades == 0)
                pthread_cond_broadcast(&server->gone);
        pthread_mutex_unlock(&server->lock);
}

// From here on nobody shuts the socket down any more.
static void leave_socket(struct cx_http_server *server, struct cx_http_upgrade *upgrade)
{
        pthread_mutex_lock(&server->lock);
        upgrade->fd = -1;
        pthread_mutex_unlock(&server->lock);
}

static void release_plan(const struct cx_http_upgrade_plan *plan)
{
        if (plan->release)
                plan->release(plan->context);
}

static int send_head(struct cx_http_request *request, struct cx_wire *wire)
{
        CX_BUF head = CX_BUF_INIT;
        cx_buf_add(&head, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n");
        for (size_t i = 0; i < request->n_headers; i++)
                cx_buf_printf(&head, "%s: %s\r\n", request->headers[i].name, request->headers[i].value);
        cx_buf_add(&head, "\r\n");
        return cx_wire_write_all(wire, head.data, head.length, ANSWER_PATIENCE);
}

static void *upgrade_main(void *context)
{
        struct cx_http_upgrade *upgrade = context;
        struct cx_http_request *request = upgrade->request;
        struct cx_http_server *server = request->server;
        const struct cx_http_upgrade_plan *plan = &upgrade->plan;
        bool upgraded = !plan->prepare || plan->prepare(request, &upgrade->cancel, plan->context);
        if (upgraded) {
                struct cx_wire *wire = wire_of(cx_http_connection_peer(request->connection));
                cx_http_request_answering(request, MHD_HTTP_SWITCHING_PROTOCOLS);
                if (send_head(request, wire) == 0)
                        plan->run(wire, plan->context);
                cx_wire_free(wire);
        }
        leave_socket(server, upgrade);
        release_plan(plan);
        if (upgraded)
                cx_http_request_close(request);
        unlist(server, upgrade);
        free(upgrade);
        return NULL;
}

static void refuse(struct cx_http_upgrade *upgrade, const char *why)
{
        CX_ERROR err = CX_ERROR_INIT;
        err.retry_after = 1;
        (void)cx_error_reason(&err, CX_REASON_TOO_MANY_REQUESTS, "%s, please try again later", why);
        release_plan(&upgrade->plan);
        cx_http_respond_error(upgrade->request, &err);
        free(upgrade);
}

void cx_http_upgrade_start(struct cx_http_request *request)
{
        struct cx_http_upgrade *upgrade = cx_steal(&request->upgrade);
        struct cx_http_server *server = request->server;
        if (!list(server, upgrade)) {
                refuse(upgrade, "too many streams at once");
                return;
        }
        if (!cx_thread_detach(upgrade_main, upgrade, STACK_SIZE)) {
                unlist(server, upgrade);
                refuse(upgrade, "there is no thread for the stream");
        }
}

void cx_http_respond_upgrade(struct cx_http_request *request, const struct cx_http_upgrade_plan *plan)
{
        struct cx_http_upgrade *upgrade = cx_alloc(sizeof *upgrade);
        upgrade->request = request;
        upgrade->plan = *plan;
        upgrade->fd = cx_http_connection_peer(request->connection)->fd;
        request->upgrade = upgrade;
        if (atomic_exchange(&request->state, CX_HTTP_UPGRADING) == CX_HTTP_SUSPENDED)
                cx_http_upgrade_start(request);
}

// --- for the server and its guard ------------------------------------------------------------------------------------

static void end(struct cx_http_upgrade *upgrade)
{
        __atomic_store_n(&upgrade->cancel, true, __ATOMIC_RELEASE);
        if (upgrade->fd >= 0)
                (void)shutdown(upgrade->fd, SHUT_RDWR);
}

void cx_http_upgrades_end(struct cx_http_server *server)
{
        pthread_mutex_lock(&server->lock);
        for (struct cx_http_upgrade *upgrade = server->upgrades; upgrade; upgrade = upgrade->next)
                end(upgrade);
        while (server->n_upgrades)
                pthread_cond_wait(&server->gone, &server->lock);
        pthread_mutex_unlock(&server->lock);
}

// Whoever runs an upgraded connection may be waiting for something else than its client. What the client sent before it left
// has a few looks' time to be taken.
void cx_http_upgrades_end_deserted(struct cx_http_server *server)
{
        pthread_mutex_lock(&server->lock);
        for (struct cx_http_upgrade *upgrade = server->upgrades; upgrade; upgrade = upgrade->next) {
                upgrade->deserted = cx_http_has_left(upgrade->fd) ? upgrade->deserted + 1 : 0;
                if (upgrade->deserted >= DESERTED_LOOKS)
                        end(upgrade);
        }
        pthread_mutex_unlock(&server->lock);
}
