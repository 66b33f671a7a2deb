// SPDX-License-Identifier: Apache-2.0
// Asking name servers over UDP and TCP, with random ids and ports.
#include "addons/dns/upstreams.h"

#include "libcommon/base/address.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/log.h"
#include "libcommon/base/random.h"
#include "libcommon/base/time.h"

#include <ldns/ldns.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>

#define MAX_SERVERS 8
#define PATIENCE (2 * CX_NS_PER_S)
#define REST (10 * CX_NS_PER_S)
#define LOOK_PERIOD CX_NS_PER_S // at resolv.conf
#define QUESTION_AT LDNS_HEADER_SIZE

struct server {
        struct cx_address address;
        int port;
        int64_t resting_until;
};
struct upstreams {
        char *path; // NULL: a fixed list
        pthread_mutex_t lock;
        // guarded by the lock
        struct server servers[MAX_SERVERS];
        size_t count;
        struct timespec changed;
        int64_t next_look;
};

// --- who they are ---

// "10.0.0.1", "10.0.0.1:5353", "fd00::1", "[fd00::1]:5353"
static int add_server(struct upstreams *u, const char *text)
{
        struct server server = {.port = 53};
        if (cx_address_parse(text, &server.address) < 0) {
                CX_CLEANUP(cx_freep) char *host = cx_strdup(*text == '[' ? text + 1 : text);
                char *colon = strrchr(host, ':');
                int64_t port;
                if (!colon || cx_parse_int(colon + 1, 1, 65535, &port) < 0)
                        return -EINVAL;
                colon[*text == '[' && colon > host && colon[-1] == ']' ? -1 : 0] = '\0';
                if (cx_address_parse(host, &server.address) < 0 || (server.address.family == CX_IPV6) != (*text == '['))
                        return -EINVAL;
                server.port = (int)port;
        }
        if (u->count < MAX_SERVERS)
                u->servers[u->count++] = server;
        return 0;
}

static void read_resolv_conf(struct upstreams *u)
{
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        CX_STRINGS lines = CX_STRINGS_INIT;
        if (cx_buf_read_file(&text, u->path) < 0)
                return;
        u->count = 0;
        cx_strings_split(&lines, text.data, '\n');
        for (size_t i = 0; i < lines.count; i++) {
                const char *line = lines.items[i];
                if (!cx_has_prefix(line, "nameserver"))
                        continue;
                line += strlen("nameserver");
                line += strspn(line, " \t");
                CX_CLEANUP(cx_freep) char *address = cx_strndup(line, strcspn(line, " \t\r#;"));
                // IPv6 servers are left out: the node may have no such route.
                if (strchr(address, '.') && add_server(u, address) < 0)
                        cx_warn("A name server is left out", "address", address, "file", u->path);
        }
}

// Under the lock: takes note of a changed file, at most once a second.
static void look_again(struct upstreams *u)
{
        int64_t now = cx_time_monotonic();
        struct stat st;
        if (!u->path || now < u->next_look)
                return;
        u->next_look = now + LOOK_PERIOD;
        if (stat(u->path, &st) < 0 ||
            (st.st_mtim.tv_sec == u->changed.tv_sec && st.st_mtim.tv_nsec == u->changed.tv_nsec))
                return;
        u->changed = st.st_mtim;
        read_resolv_conf(u);
        cx_debug(1, "Name servers were read", "file", u->path, "count", CX_INT(u->count));
}

int upstreams_new(const struct cx_strings *fixed, const char *resolv_conf, struct upstreams **ret_upstreams,
                  struct cx_error *err)
{
        struct upstreams *u = cx_alloc(sizeof *u);
        pthread_mutex_init(&u->lock, NULL);
        u->path = fixed->count || !resolv_conf ? NULL : cx_strdup(resolv_conf);
        for (size_t i = 0; i < fixed->count; i++) {
                if (add_server(u, fixed->items[i]) == 0)
                        continue;
                upstreams_free(u);
                return cx_error_set(err, -EINVAL, "name server \"%s\" is not an IPv4 address", fixed->items[i]);
        }
        look_again(u);
        *ret_upstreams = u;
        return 0;
}

void upstreams_free(struct upstreams *u)
{
        if (!u)
                return;
        pthread_mutex_destroy(&u->lock);
        free(u->path);
        free(u);
}

// --- asking ---

// Bytes of the question section (one name, type and class) or 0 when it is not there. No pointers: it is the first name.
static size_t question_length(const uint8_t *message, size_t length)
{
        size_t at = QUESTION_AT;
        while (at < length && message[at] && message[at] < 64)
                at += 1U + message[at];
        return at < length && message[at] == 0 && at + 5 <= length ? at + 5 - QUESTION_AT : 0;
}

static uint8_t lower(uint8_t byte)
{
        return byte >= 'A' && byte <= 'Z' ? byte + 32 : byte;
}

int dns_check_answer(const uint8_t *query, size_t length, const uint8_t *answer, size_t answer_length)
{
        size_t n = question_length(query, length);
        if (!n || answer_length < QUESTION_AT + n || memcmp(query, answer, 2) != 0 || !(answer[2] & 0x80) ||
            answer[4] != 0 || answer[5] != 1)
                return -EBADMSG;
        for (size_t i = QUESTION_AT; i < QUESTION_AT + n; i++)
                if (lower(query[i]) != lower(answer[i])) // lengths of labels are below 'A'
                        return -EBADMSG;
        ldns_pkt *packet = NULL;
        if (ldns_wire2pkt(&packet, answer, answer_length) != LDNS_STATUS_OK)
                return -EPROTO;
        ldns_pkt_free(packet);
        return 0;
}

// Reads exactly `size` bytes until the deadline.
static int read_all(int fd, uint8_t *to, size_t size, int64_t deadline)
{
        for (size_t done = 0; done < size;) {
                int64_t left = deadline - cx_time_monotonic();
                struct pollfd p = {fd, POLLIN, 0};
                if (left <= 0 || poll(&p, 1, (int)(left / CX_NS_PER_MS) + 1) < 0)
                        return -ETIMEDOUT;
                ssize_t n = recv(fd, to + done, size - done, MSG_DONTWAIT);
                if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                        return n == 0 ? -ECONNRESET : -errno;
                done += n > 0 ? (size_t)n : 0;
        }
        return 0;
}

static ssize_t receive(int fd, bool udp, uint8_t *to, size_t max, int64_t deadline)
{
        if (udp) {
                int64_t left = deadline - cx_time_monotonic();
                struct pollfd p = {fd, POLLIN, 0};
                if (left <= 0 || poll(&p, 1, (int)(left / CX_NS_PER_MS) + 1) <= 0)
                        return -ETIMEDOUT;
                ssize_t n = recv(fd, to, max, MSG_DONTWAIT);
                return n < 0 && errno != EAGAIN && errno != EINTR ? -errno : n < 0 ? 0 : n;
        }
        uint8_t prefix[2] = {0};
        int r = read_all(fd, prefix, 2, deadline);
        size_t size = (size_t)prefix[0] << 8 | prefix[1];
        if (r == 0)
                r = size > max ? -EMSGSIZE : read_all(fd, to, size, deadline);
        return r < 0 ? r : (ssize_t)size;
}

// One question to one server, under a fresh random id from a fresh random port.
static ssize_t ask(const struct server *server, const uint8_t *query, size_t length, bool udp, uint8_t *to, size_t max)
{
        struct sockaddr_storage to_server;
        socklen_t size = cx_address_to_socket(&server->address, server->port, &to_server);
        CX_CLEANUP(cx_closep) int fd = socket(to_server.ss_family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
        CX_CLEANUP(cx_freep) uint8_t *sent = cx_alloc(length + 2);
        struct timeval timeout = {.tv_sec = PATIENCE / CX_NS_PER_S};
        int64_t deadline = cx_time_monotonic() + PATIENCE;
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) < 0 ||
            connect(fd, (const struct sockaddr *)&to_server, size) < 0)
                return -errno;
        sent[0] = (uint8_t)(length >> 8);
        sent[1] = (uint8_t)length;
        memcpy(sent + 2, query, length);
        cx_random_bytes(sent + 2, 2);
        size_t skip = udp ? 2 : 0;
        if (send(fd, sent + skip, length + 2 - skip, MSG_NOSIGNAL) < 0)
                return -errno;
        for (;;) {
                ssize_t n = receive(fd, udp, to, max, deadline);
                if (n < 0)
                        return n;
                int r = dns_check_answer(sent + 2, length, to, (size_t)n);
                if (r == 0) {
                        memcpy(to, query, 2);
                        return n;
                }
                if (!udp || r == -EPROTO)
                        return -EPROTO;
                // a stray or forged datagram: the right one may still come
        }
}

static bool is_same(const struct server *a, const struct server *b)
{
        return cx_address_compare(&a->address, &b->address) == 0 && a->port == b->port;
}

ssize_t upstreams_ask(struct upstreams *u, const uint8_t *query, size_t length, bool udp, uint8_t *to, size_t max)
{
        struct server servers[MAX_SERVERS];
        size_t count;
        pthread_mutex_lock(&u->lock);
        look_again(u);
        count = u->count;
        memcpy(servers, u->servers, sizeof servers);
        pthread_mutex_unlock(&u->lock);
        ssize_t n = -ENETUNREACH;
        int64_t now = cx_time_monotonic();
        for (int resting = 0; resting < 2; resting++) // first those that are well
                for (size_t i = 0; i < count; i++) {
                        if ((servers[i].resting_until > now) != (resting == 1))
                                continue;
                        n = ask(&servers[i], query, length, udp, to, max);
                        pthread_mutex_lock(&u->lock);
                        for (size_t k = 0; k < u->count; k++)
                                if (is_same(&u->servers[k], &servers[i]))
                                        u->servers[k].resting_until = n < 0 ? cx_time_monotonic() + REST : 0;
                        pthread_mutex_unlock(&u->lock);
                        if (n >= 0)
                                return n;
                }
        return n;
}
