// SPDX-License-Identifier: Apache-2.0
// Sockets, the receiving thread and the pool that forwards.
#include "addons/dns/server.h"

#include "libcommon/base/address.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#define MAX_LISTENERS 8
#define MAX_CLIENTS 64 // TCP connections at a time
#define MAX_QUEUED 512
#define FORWARDERS 16 // each waits for an upstream server most of its time
#define TCP_IDLE (10 * CX_NS_PER_S)
#define UDP_QUERY_MAX 4096

// A query for the forwarders, with where its answer goes.
struct job {
        struct job *next;
        int fd; // UDP socket (shared), or an own duplicate of a TCP connection
        bool udp;
        struct sockaddr_storage to;
        int64_t begun;
        size_t length;
        uint8_t query[];
};

struct client {
        int fd; // -1: free
        int64_t last;
        size_t filled;
        uint8_t buffer[2 + UDP_QUERY_MAX];
};

struct dns_server {
        struct resolver *resolver;
        const struct dns_metrics *metrics;
        int udp[MAX_LISTENERS], tcp[MAX_LISTENERS];
        size_t n_listeners;
        int wake;
        struct client clients[MAX_CLIENTS]; // receiver's
        struct cx_pulse pulse;              // receiver's
        pthread_t receiver, forwarders[FORWARDERS];
        int n_threads;
        pthread_mutex_t lock; // guards the queue and stopping
        pthread_cond_t filled;
        struct job *head, **tail;
        size_t queued;
        bool stopping;
};

// --- sending ---

static void send_answer(int fd, bool udp, const struct sockaddr_storage *to, const uint8_t *answer, size_t length)
{
        if (udp) {
                (void)!sendto(fd, answer, length, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)to, sizeof *to);
                return;
        }
        uint8_t prefix[2] = {(uint8_t)(length >> 8), (uint8_t)length};
        struct iovec parts[2] = {{prefix, 2}, {(void *)answer, length}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        // A client that does not read loses its answer, never our time.
        (void)!sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

// --- forwarders ---

// The address as a hash that nobody can aim at, whatever the port.
static uint64_t client_of(const struct sockaddr_storage *from)
{
        if (from->ss_family == AF_INET6)
                return cx_hash(&((const struct sockaddr_in6 *)from)->sin6_addr, sizeof(struct in6_addr));
        return cx_hash(&((const struct sockaddr_in *)from)->sin_addr, sizeof(struct in_addr));
}

static void *forward_main(void *context)
{
        struct dns_server *server = context;
        for (;;) {
                pthread_mutex_lock(&server->lock);
                while (!server->head && !server->stopping)
                        pthread_cond_wait(&server->filled, &server->lock);
                struct job *job = server->stopping ? NULL : server->head;
                if (job) {
                        server->head = job->next;
                        server->queued--;
                        if (!server->head)
                                server->tail = &server->head;
                }
                pthread_mutex_unlock(&server->lock);
                if (!job)
                        return NULL;
                CX_CLEANUP(cx_freep) uint8_t *answer = NULL;
                size_t length = 0;
                const struct dns_query query = {job->query, job->length, job->udp, client_of(&job->to)};
                if (resolver_forward(server->resolver, &query, &answer, &length) > 0) {
                        dns_metrics_count(server->metrics,
                                          &(struct dns_counted){answer, length, job->udp, job->to.ss_family,
                                                                DNS_FORWARDED, job->begun});
                        send_answer(job->fd, job->udp, &job->to, answer, length);
                }
                if (!job->udp)
                        close(job->fd);
                free(job);
        }
}

static void forward(struct dns_server *server, int fd, bool udp, const struct sockaddr_storage *to,
                    const uint8_t *query, size_t length, int64_t begun)
{
        struct job *job = cx_alloc(sizeof *job + length);
        job->fd = udp ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 3);
        job->udp = udp;
        job->begun = begun;
        job->length = length;
        memcpy(job->query, query, length);
        socklen_t size = sizeof job->to;
        if (to)
                job->to = *to;
        else
                (void)!getpeername(fd, (struct sockaddr *)&job->to, &size);
        pthread_mutex_lock(&server->lock);
        bool full = server->queued >= MAX_QUEUED || job->fd < 0;
        if (!full) {
                *server->tail = job;
                server->tail = &job->next;
                server->queued++;
                pthread_cond_signal(&server->filled);
        }
        pthread_mutex_unlock(&server->lock);
        if (full) {
                if (!udp && job->fd >= 0)
                        close(job->fd);
                free(job); // the client will ask again
        }
}

static void serve(struct dns_server *server, int fd, bool udp, const struct sockaddr_storage *to, const uint8_t *query,
                  size_t length)
{
        CX_CLEANUP(cx_freep) uint8_t *answer = NULL;
        size_t n = 0;
        int64_t begun = cx_time_monotonic();
        int r = resolver_answer(server->resolver, &(struct dns_query){query, length, udp, 0}, &answer, &n);
        if (r > 0) {
                sa_family_t family = to ? to->ss_family : AF_INET;
                dns_metrics_count(server->metrics, &(struct dns_counted){answer, n, udp, family, DNS_AT_ONCE, begun});
                send_answer(fd, udp, to, answer, n);
        } else if (r == 0) {
                forward(server, fd, udp, to, query, length, begun);
        }
}

// --- receiving ---

static void receive_udp(struct dns_server *server, int fd)
{
        uint8_t query[UDP_QUERY_MAX];
        for (int i = 0; i < 64; i++) {
                struct sockaddr_storage from;
                socklen_t size = sizeof from;
                ssize_t n = recvfrom(fd, query, sizeof query, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
                if (n < 0)
                        return;
                serve(server, fd, true, &from, query, (size_t)n);
        }
}

static void end_client(struct client *client)
{
        close(client->fd);
        client->fd = -1;
}

static void accept_client(struct dns_server *server, int listener)
{
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct client *place = NULL;
        for (size_t i = 0; i < MAX_CLIENTS; i++) {
                struct client *client = &server->clients[i];
                // When all places are taken the one that was quiet longest gives way.
                if (client->fd < 0) {
                        place = client;
                        break;
                }
                if (!place || client->last < place->last)
                        place = client;
        }
        if (fd < 0)
                return;
        if (place->fd >= 0)
                end_client(place);
        place->fd = fd;
        place->filled = 0;
        place->last = cx_time_monotonic();
}

static void receive_tcp(struct dns_server *server, struct client *client)
{
        ssize_t n =
                recv(client->fd, client->buffer + client->filled, sizeof client->buffer - client->filled, MSG_DONTWAIT);
        if (n <= 0) {
                if (n == 0 || errno != EAGAIN)
                        end_client(client);
                return;
        }
        client->filled += (size_t)n;
        client->last = cx_time_monotonic();
        while (client->filled >= 2) {
                size_t length = (size_t)client->buffer[0] << 8 | client->buffer[1];
                if (length > UDP_QUERY_MAX) {
                        end_client(client);
                        return;
                }
                if (client->filled < 2 + length)
                        return;
                serve(server, client->fd, false, NULL, client->buffer + 2, length);
                client->filled -= 2 + length;
                memmove(client->buffer, client->buffer + 2 + length, client->filled);
        }
}

static void *receive_main(void *context)
{
        struct dns_server *server = context;
        for (;;) {
                struct pollfd fds[1 + 2 * MAX_LISTENERS + MAX_CLIENTS];
                nfds_t n = 0;
                fds[n++] = (struct pollfd){server->wake, POLLIN, 0};
                for (size_t i = 0; i < server->n_listeners; i++) {
                        fds[n++] = (struct pollfd){server->udp[i], POLLIN, 0};
                        fds[n++] = (struct pollfd){server->tcp[i], POLLIN, 0};
                }
                for (size_t i = 0; i < MAX_CLIENTS; i++)
                        fds[n++] = (struct pollfd){server->clients[i].fd, POLLIN, 0};
                if (poll(fds, n, 5000) < 0 && errno != EINTR)
                        return NULL;
                if (fds[0].revents)
                        return NULL;
                cx_pulse_begin(&server->pulse);
                nfds_t at = 1;
                for (size_t i = 0; i < server->n_listeners; i++, at += 2)
                        if (fds[at].revents)
                                receive_udp(server, server->udp[i]);
                for (size_t i = 0; i < MAX_CLIENTS; i++)
                        if (fds[at + i].revents && server->clients[i].fd == fds[at + i].fd)
                                receive_tcp(server, &server->clients[i]);
                for (size_t i = 0; i < server->n_listeners; i++)
                        if (fds[2 + 2 * i].revents)
                                accept_client(server, server->tcp[i]);
                int64_t now = cx_time_monotonic();
                for (size_t i = 0; i < MAX_CLIENTS; i++)
                        if (server->clients[i].fd >= 0 && now - server->clients[i].last > TCP_IDLE)
                                end_client(&server->clients[i]);
                cx_pulse_end(&server->pulse);
        }
}

// --- life ---

static int open_socket(const char *address, int port, int type, int *ret_fd, struct cx_error *err)
{
        struct cx_address parsed;
        struct sockaddr_storage name;
        int one = 1;
        if (cx_address_parse(address, &parsed) < 0)
                return cx_error_set(err, -EINVAL, "--address: \"%s\" is not an IP address", address);
        socklen_t size = cx_address_to_socket(&parsed, port, &name);
        CX_CLEANUP(cx_closep) int fd = socket(name.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
            setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof one) < 0 ||
            bind(fd, (struct sockaddr *)&name, size) < 0 || (type == SOCK_STREAM && listen(fd, 64) < 0))
                return cx_error_set(err, -errno, "cannot listen on %s port %d: %s", address, port, strerror(errno));
        *ret_fd = cx_steal_fd(&fd);
        return 0;
}

int dns_server_new(struct resolver *resolver, const struct dns_metrics *metrics, const struct cx_strings *addresses,
                   int port, struct dns_server **ret_server, struct cx_error *err)
{
        struct dns_server *server = cx_alloc(sizeof *server);
        server->resolver = resolver;
        server->metrics = metrics;
        server->tail = &server->head;
        server->wake = eventfd(0, EFD_CLOEXEC);
        for (size_t i = 0; i < MAX_CLIENTS; i++)
                server->clients[i].fd = -1;
        pthread_mutex_init(&server->lock, NULL);
        pthread_cond_init(&server->filled, NULL);
        int r = 0;
        for (size_t i = 0; r == 0 && i < addresses->count && i < MAX_LISTENERS; i++) {
                server->udp[i] = server->tcp[i] = -1;
                server->n_listeners = i + 1;
                r = open_socket(addresses->items[i], port, SOCK_DGRAM, &server->udp[i], err);
                if (r == 0)
                        r = open_socket(addresses->items[i], port, SOCK_STREAM, &server->tcp[i], err);
        }
        for (int i = 0; r == 0 && i < FORWARDERS; i++, server->n_threads++)
                if (pthread_create(&server->forwarders[i], NULL, forward_main, server) != 0)
                        r = cx_error_set(err, -EAGAIN, "cannot start a thread");
        if (r == 0 && pthread_create(&server->receiver, NULL, receive_main, server) != 0)
                r = cx_error_set(err, -EAGAIN, "cannot start a thread");
        if (r < 0) {
                dns_server_free(server);
                return r;
        }
        *ret_server = server;
        return 0;
}

bool dns_server_alive(const struct dns_server *server, int64_t limit)
{
        return cx_pulse_alive(&server->pulse, limit);
}

void dns_server_free(struct dns_server *server)
{
        if (!server)
                return;
        uint64_t one = 1;
        (void)!write(server->wake, &one, sizeof one);
        if (server->receiver)
                pthread_join(server->receiver, NULL);
        pthread_mutex_lock(&server->lock);
        server->stopping = true;
        pthread_cond_broadcast(&server->filled);
        pthread_mutex_unlock(&server->lock);
        for (int i = 0; i < server->n_threads; i++)
                pthread_join(server->forwarders[i], NULL);
        while (server->head) {
                struct job *next = server->head->next;
                if (!server->head->udp)
                        close(server->head->fd);
                free(server->head);
                server->head = next;
        }
        for (size_t i = 0; i < MAX_CLIENTS; i++)
                cx_closep(&server->clients[i].fd);
        for (size_t i = 0; i < server->n_listeners; i++) {
                cx_closep(&server->udp[i]);
                cx_closep(&server->tcp[i]);
        }
        close(server->wake);
        pthread_mutex_destroy(&server->lock);
        pthread_cond_destroy(&server->filled);
        free(server);
}
