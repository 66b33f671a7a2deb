// SPDX-License-Identifier: Apache-2.0
// One connection after the other: requests are read, looked at, and passed on with their answers.
#include "kubectl/proxy/message.h"
#include "kubectl/proxy/proxy.h"
#include "libcommon/base/time.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define CONNECTIONS_MAX 1024
#define BLOCK 65536
#define TURNS 16
#define SEND_TIMEOUT (60 * CX_NS_PER_S)
#define HEAD_TIMEOUT (32 * CX_NS_PER_S)

// From one side to the other: data[start..end) is there, the first `ready` bytes of it have been looked at and are written.
struct way {
        struct cx_wire *from, *to;
        struct body *body;
        struct cx_buf *content; // not NULL: takes the content of chunks, which is written instead
        bool waits;             // for room at the other side
        bool more;              // may come without the descriptor telling
        size_t start, end, ready;
        char data[BLOCK];
};
struct connection {
        const struct api_proxy *proxy;
        int *open; // how many there are
        struct cx_wire *client, *server;
        struct cx_buf authorization;
        bool used; // the server has answered on its connection before
        struct way up, down;
        struct cx_buf head, content;
};

static void keep_alive(int fd, int period)
{
        const int yes = 1;
        if (!period || setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes) < 0)
                return;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &period, sizeof period);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &period, sizeof period);
}

// --- ways ------------------------------------------------------------------------------------------------------------

// 1 when something came, 0 at the end, -EAGAIN, or another negative errno.
static int fill(struct way *way)
{
        if (way->start == way->end)
                way->start = way->end = 0;
        if (way->end == BLOCK)
                return -EMSGSIZE;
        ssize_t n = cx_wire_read(way->from, way->data + way->end, BLOCK - way->end);
        if (n > 0)
                way->end += (size_t)n;
        return n > 0 ? 1 : (int)n;
}

// The next head at the front of the way, when it is all there: its length; -EAGAIN, 0 at the end of the connection, or
// another negative errno.
static ssize_t peek_head(struct way *way)
{
        if (way->start) {
                memmove(way->data, way->data + way->start, way->end - way->start);
                way->end -= way->start;
                way->start = 0;
        }
        for (;;) {
                size_t length = message_head_length(way->data, way->end);
                int r = length ? 0 : fill(way);
                if (length)
                        return (ssize_t)length;
                if (r != 1)
                        return r == 0 && way->end ? -ECONNRESET : r;
        }
}

// Looks at what has come: what belongs to the body may be written.
static int look(struct way *way)
{
        ssize_t n = body_take(way->body, way->data + way->start, way->end - way->start, way->content);
        if (n < 0 || !way->content) {
                way->ready = n < 0 ? 0 : (size_t)n;
                return n < 0 ? (int)n : 0;
        }
        way->start += (size_t)n;
        int r = cx_wire_write_all(way->to, way->content->data, way->content->length, SEND_TIMEOUT);
        cx_buf_clear(way->content);
        return r;
}

// Moves a body as far as it goes without waiting. -ECONNRESET when it ends too early.
static int move(struct way *way)
{
        way->waits = way->more = false;
        for (int turns = 0; turns < TURNS;) { // then the other way has its turn
                int r = 0;
                if (way->ready) {
                        ssize_t n = cx_wire_write(way->to, way->data + way->start, way->ready);
                        if (n == -EAGAIN)
                                return way->waits = true, 0;
                        if (n <= 0)
                                return n < 0 ? (int)n : -EPIPE;
                        way->start += (size_t)n;
                        way->ready -= (size_t)n;
                } else if (way->body->ended) {
                        return 0;
                } else if (way->start < way->end) {
                        r = look(way);
                } else {
                        turns++;
                        r = fill(way);
                        if (r == -EAGAIN)
                                return 0;
                        if (r == 0 && way->body->kind == BODY_REST)
                                way->body->ended = true;
                        else if (r == 0)
                                r = -ECONNRESET;
                }
                if (r < 0)
                        return r;
        }
        way->more = true;
        return 0;
}

static bool moved(const struct way *way)
{
        return way->body->ended && !way->ready;
}

// --- heads -----------------------------------------------------------------------------------------------------------

// The next request: the length of its head, 0 when there is none any more.
static ssize_t wait_for_request(struct way *way)
{
        int64_t deadline = INT64_MAX;
        for (;;) {
                ssize_t n = peek_head(way);
                if (n != -EAGAIN)
                        return n;
                if (way->end && deadline == INT64_MAX)
                        deadline = cx_time_monotonic() + HEAD_TIMEOUT;
                int64_t left = deadline - cx_time_monotonic();
                if (left <= 0)
                        return -ETIMEDOUT;
                struct pollfd p = {way->from->fd, POLLIN, 0};
                if (poll(&p, 1, deadline == INT64_MAX ? -1 : (int)(left / CX_NS_PER_MS) + 1) < 0 && errno != EINTR)
                        return -errno;
        }
}

// A header that the client wants dropped on the way says nothing to the server: it must not stand for ours either.
static bool passes_on(const struct message *request, const char *name)
{
        return message_header(request, name) && !message_is_hop(request, name);
}

static void write_request(struct connection *c, const struct message *request, const char *path)
{
        struct cx_buf *to = &c->head;
        const char *query = strchr(request->target, '?');
        cx_buf_clear(to);
        cx_buf_printf(to, "%s %s", request->method, c->proxy->base);
        path_encode(path, to);
        cx_buf_printf(to, "%s HTTP/1.1\r\nHost: %s\r\n", query ? query : "", c->proxy->host);
        for (size_t i = 0; i < request->n_headers; i++) {
                const char *name = request->headers[i].name;
                if (strcasecmp(name, "Host") != 0 && !message_is_hop(request, name))
                        cx_buf_printf(to, "%s: %s\r\n", name, request->headers[i].value);
        }
        if (request->upgrade)
                cx_buf_printf(to, "Connection: Upgrade\r\nUpgrade: %s\r\n", message_header(request, "Upgrade"));
        if (!passes_on(request, "Authorization"))
                cx_buf_add(to, c->authorization.data);
        if (!passes_on(request, "Impersonate-User"))
                cx_buf_add(to, c->proxy->impersonation);
        cx_buf_add(to, "\r\n");
}

static void write_answer(struct connection *c, const struct message *answer, bool plain, bool close)
{
        struct cx_buf *to = &c->head;
        cx_buf_clear(to);
        cx_buf_printf(to, "HTTP/1.1 %d %s\r\n", answer->code, answer->target);
        for (size_t i = 0; i < answer->n_headers; i++) {
                const char *name = answer->headers[i].name;
                if (!message_is_hop(answer, name) && !(plain && strcasecmp(name, "Transfer-Encoding") == 0))
                        cx_buf_printf(to, "%s: %s\r\n", name, answer->headers[i].value);
        }
        if (answer->code == 101)
                cx_buf_printf(to, "Connection: Upgrade\r\nUpgrade: %s\r\n", cx_str(message_header(answer, "Upgrade")));
        else if (answer->code >= 200)
                cx_buf_printf(to, "Connection: %s\r\n", close ? "close" : "keep-alive");
        cx_buf_add(to, "\r\n");
}

bool answer_text(struct cx_wire *wire, const struct message *request, int code, const char *headers, const char *text)
{
        static const struct {
                int code;
                const char *words;
        } reasons[] = {
                {200, "OK"},        {301, "Moved Permanently"}, {304, "Not Modified"},       {400, "Bad Request"},
                {403, "Forbidden"}, {404, "Not Found"},         {405, "Method Not Allowed"}, {502, "Bad Gateway"}};
        const char *words = "";
        for (size_t i = 0; i < CX_ARRAY_SIZE(reasons); i++)
                if (reasons[i].code == code)
                        words = reasons[i].words;
        // A body that was not read would be taken for the next request.
        bool close = request->close || !request->body.ended;
        CX_BUF to = CX_BUF_INIT;
        cx_buf_printf(&to, "HTTP/1.1 %d %s\r\n%sX-Content-Type-Options: nosniff\r\n", code, words, headers);
        if (!strstr(headers, "Content-Type:"))
                cx_buf_add(&to, "Content-Type: text/plain; charset=utf-8\r\n");
        cx_buf_printf(&to, "Content-Length: %zu\r\nConnection: %s\r\n\r\n", strlen(text),
                      close ? "close" : "keep-alive");
        if (!cx_streq(request->method, "HEAD"))
                cx_buf_add(&to, text);
        return cx_wire_write_all(wire, to.data, to.length, SEND_TIMEOUT) == 0 && !close;
}

// --- an exchange with the server -------------------------------------------------------------------------------------

// A connection to the server that it has not closed meanwhile.
static int ensure_server(struct connection *c, struct cx_error *err)
{
        struct pollfd p = {.events = POLLIN | POLLRDHUP};
        if (c->server) {
                p.fd = c->server->fd;
                if (poll(&p, 1, 0) == 0)
                        return 0;
                cx_wire_free(cx_steal(&c->server));
        }
        c->used = false;
        cx_buf_clear(&c->authorization);
        int r = cx_http_connect(c->proxy->http, &c->server, &c->authorization, err);
        if (r == 0)
                keep_alive(c->server->fd, c->proxy->keepalive);
        return r;
}

struct exchange {
        const struct message *request;
        struct message answer;
        bool headed;   // the head of the answer has been passed on
        bool said;     // something has
        bool switched; // to another protocol
};

// The head of the answer, when it is there. 1: an interim answer has been passed on; 0; or a negative errno.
static int take_answer(struct connection *c, struct exchange *e, struct cx_error *err)
{
        ssize_t n = peek_head(&c->down);
        if (n == -EAGAIN)
                return 0;
        if (n <= 0)
                return cx_error_set(err, n < 0 ? (int)n : -ECONNRESET, "%s", n < 0 ? strerror((int)-n) : "EOF");
        message_release(&e->answer);
        int r = message_parse_answer(c->down.data, (size_t)n, e->request->method, &e->answer, err);
        if (r < 0)
                return r;
        c->down.start += (size_t)n;
        bool interim = e->answer.code < 200 && e->answer.code != 101;
        bool plain = e->request->old && e->answer.body.kind == BODY_CHUNKED;
        if (e->answer.code == 101 && !e->request->upgrade)
                return cx_error_set(err, -EPROTO, "the server switches protocols without being asked to");
        if (e->answer.code == 101) {
                c->up.body->kind = e->answer.body.kind = BODY_REST;
                c->up.body->ended = e->answer.body.ended = false;
                e->switched = true;
        }
        c->down.body = &e->answer.body;
        c->down.content = plain ? &c->content : NULL;
        e->said = true;
        if (interim && e->request->old)
                return 1;
        write_answer(c, &e->answer, plain, e->request->close || e->answer.close || plain);
        r = cx_wire_write_all(c->client, c->head.data, c->head.length, SEND_TIMEOUT);
        if (r < 0)
                return cx_error_set(err, r, "%s", strerror(-r));
        e->headed = !interim;
        return interim;
}

// Waits until one of the two sides can go on; false when the client has left.
static bool wait_for_either(const struct connection *c, const struct exchange *e)
{
        bool sends = !c->up.body->ended && !c->up.ready, reads = !e->headed || !c->down.ready;
        struct pollfd fds[] = {
                {c->client->fd, (short)((sends ? POLLIN : POLLRDHUP) | (c->down.waits ? POLLOUT : 0)), 0},
                {c->server->fd, (short)((reads ? POLLIN : 0) | (c->up.waits ? POLLOUT : 0)), 0}};
        if (poll(fds, 2, c->up.more || c->down.more ? 0 : -1) < 0)
                return errno == EINTR;
        return !(fds[0].revents & (POLLERR | POLLNVAL)) && (sends || !(fds[0].revents & (POLLRDHUP | POLLHUP)));
}

// Passes a request and its answer on. 0: done, and the connection goes on; 1: it ends; or a negative errno.
static int run_exchange(struct connection *c, struct exchange *e, struct cx_error *err)
{
        struct body body = e->request->body;
        c->up.from = c->down.to = c->client;
        c->up.to = c->down.from = c->server;
        c->up.body = &body;
        c->up.content = NULL;
        c->down.start = c->down.end = c->down.ready = 0;
        c->down.more = c->down.waits = false;
        int r = cx_wire_write_all(c->server, c->head.data, c->head.length, SEND_TIMEOUT);
        if (r < 0)
                return cx_error_set(err, r, "%s", strerror(-r));
        for (;;) {
                r = move(&c->up);
                if (r < 0 && (e->switched || !e->headed))
                        r = e->switched ? 1 : 0; // the answer may say why
                else if (r < 0)
                        return 1;
                if (r == 1)
                        return 1;
                while (!e->headed && (r = take_answer(c, e, err)) == 1)
                        ;
                if (r < 0)
                        return r;
                if (e->headed && move(&c->down) < 0)
                        return 1;
                if (e->headed && moved(&c->down))
                        break;
                if (!wait_for_either(c, e))
                        return 1;
        }
        bool close = e->switched || e->request->close || e->answer.close || !moved(&c->up) || c->down.content ||
                     c->down.start < c->down.end;
        return close;
}

// A request that the filter let through. Whether the connection goes on.
static bool pass_on(struct connection *c, const struct message *request, const char *path)
{
        for (;;) {
                CX_ERROR err = CX_ERROR_INIT;
                struct exchange e = {.request = request};
                int r = ensure_server(c, &err);
                bool again = c->used && request->body.ended;
                if (r == 0) {
                        write_request(c, request, path);
                        r = run_exchange(c, &e, &err);
                        c->used = true;
                }
                bool said = e.said, close = e.answer.close;
                message_release(&e.answer);
                if (r == 0)
                        return true;
                if (c->server && (r > 0 || close || r < 0))
                        cx_wire_free(cx_steal(&c->server));
                if (r < 0 && !said && again)
                        continue; // the server had closed a connection that was kept
                if (r > 0 || said)
                        return false;
                fprintf(stderr, "E Error while proxying request: %s\n", cx_error_text(&err));
                return answer_text(c->client, request, 502, "", cx_error_text(&err));
        }
}

// --- connections -----------------------------------------------------------------------------------------------------

static bool redirect(struct connection *c, const struct message *request, const char *path)
{
        CX_BUF header = CX_BUF_INIT;
        const char *query = strchr(request->target, '?');
        cx_buf_add(&header, "Location: ");
        path_encode(path, &header);
        cx_buf_printf(&header, "%s\r\n", cx_str(query));
        return answer_text(c->client, request, 301, header.data, "");
}

static bool not_found(struct connection *c, const struct message *request)
{
        return answer_text(c->client, request, 404, "", "404 page not found\n");
}

// What is below the prefix, with a slash at its start; NULL when it is not below.
static const char *below(const char *prefix, const char *path)
{
        size_t n = strlen(prefix);
        return strncmp(path, prefix, n) == 0 ? path + n - 1 : NULL;
}

// "/custom" of the prefix "/custom/".
static bool is_bare_prefix(const char *prefix, const char *path)
{
        size_t n = strlen(path);
        return strlen(prefix) == n + 1 && strncmp(prefix, path, n) == 0;
}

// Whether the connection goes on after this request.
static bool handle(struct connection *c, const struct message *request)
{
        const struct api_proxy *proxy = c->proxy;
        const char *host = cx_str(message_header(request, "Host"));
        CX_BUF path = CX_BUF_INIT, clean = CX_BUF_INIT, bare = CX_BUF_INIT;
        if (target_path(request->target, &path) < 0)
                return answer_text(c->client, request, 400, "", "400 Bad Request");
        path_clean(path.data, &clean);
        bool files = proxy->files >= 0 &&
                     (below(proxy->files_prefix, clean.data) || is_bare_prefix(proxy->files_prefix, clean.data));
        const char *prefix = files ? proxy->files_prefix : proxy->prefix;
        if (is_bare_prefix(prefix, clean.data))
                cx_buf_add_char(&clean, '/');
        const char *rest = below(prefix, clean.data);
        if (!rest)
                return not_found(c, request);
        // What begins with /api is a part of the API's own paths.
        if (!files && strncmp(prefix, "/api", 4) == 0)
                rest = clean.data;
        bool taken = !proxy->filter || (files ? filter_accepts_host(proxy->filter, host)
                                              : filter_accepts(proxy->filter, request->method, rest, host));
        if (proxy->verbosity >= 3)
                fprintf(stderr, "I Filter %s %s %s %s\n", taken ? "accepting" : "rejecting", request->method, rest,
                        host);
        if (!taken)
                return answer_text(c->client, request, 403, "", "Forbidden\n");
        if (strcmp(path.data, clean.data) != 0)
                return redirect(c, request, clean.data);
        return files ? files_answer(proxy, c->client, request, rest) : pass_on(c, request, rest);
}

static void *run_connection(void *context)
{
        struct connection *c = context;
        c->up.from = c->client;
        for (bool more = true; more;) {
                CX_ERROR err = CX_ERROR_INIT;
                MESSAGE request = {0};
                ssize_t n = wait_for_request(&c->up);
                if (n <= 0)
                        break;
                if (message_parse_request(c->up.data, (size_t)n, &request, &err) < 0) {
                        request.close = true;
                        (void)answer_text(c->client, &request, 400, "", "400 Bad Request");
                        break;
                }
                c->up.start = (size_t)n;
                more = handle(c, &request);
        }
        cx_wire_free(c->server);
        cx_wire_free(c->client);
        __atomic_sub_fetch(c->open, 1, __ATOMIC_RELAXED);
        explicit_bzero(c->authorization.data, c->authorization.length);
        cx_buf_release(&c->authorization);
        explicit_bzero(c->head.data, c->head.length);
        cx_buf_release(&c->head);
        cx_buf_release(&c->content);
        free(c);
        return NULL;
}

static void start_connection(const struct api_proxy *proxy, int fd, int *open)
{
        pthread_t thread;
        struct connection *c = cx_alloc(sizeof *c);
        c->proxy = proxy;
        c->open = open;
        c->authorization = c->head = c->content = (struct cx_buf)CX_BUF_INIT;
        c->client = cx_wire_socket(fd, true);
        keep_alive(fd, proxy->keepalive);
        __atomic_add_fetch(open, 1, __ATOMIC_RELAXED);
        if (pthread_create(&thread, NULL, run_connection, c) == 0) {
                pthread_detach(thread);
                return;
        }
        __atomic_sub_fetch(open, 1, __ATOMIC_RELAXED);
        cx_wire_free(c->client);
        free(c);
}

int proxy_serve(const struct api_proxy *proxy, int listener, struct cx_error *err)
{
        static int open; // outlives this call, as threads may
        for (;;) {
                int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                if (fd >= 0 && __atomic_load_n(&open, __ATOMIC_RELAXED) < CONNECTIONS_MAX)
                        start_connection(proxy, fd, &open);
                else if (fd >= 0)
                        close(fd);
                else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                        poll(NULL, 0, 100); // until others have ended
                else if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN)
                        return cx_error_set(err, -errno, "accept: %s", strerror(errno));
        }
}
