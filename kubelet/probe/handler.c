// SPDX-License-Identifier: Apache-2.0
// What a probe or a hook does: a command, an HTTP request, a TCP connection. Plain HTTP is spoken here over a socket, since a
// probe wants a status code, a few bytes and nothing kept open.
#include "kubelet/probe/handler.h"

#include "kubelet/probe/grpc_probe.h"
#include "kubelet/runtime/runtime.h"
#include "libcommon/base/time.h"
#include "libcommon/base/version.h"
#include "libcommon/format/json.h"
#include "libcommon/net/http_client.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#define BODY_MAX 10240
#define REDIRECTS_MAX 10

static int wait_fd(int fd, short events, int64_t deadline)
{
        for (;;) {
                int64_t left = deadline - cx_time_monotonic();
                if (left <= 0)
                        return -ETIMEDOUT;
                struct pollfd p = {fd, events, 0};
                int n = poll(&p, 1, (int)(left / CX_NS_PER_MS) + 1);
                if (n > 0)
                        return 0;
                if (n < 0 && errno != EINTR)
                        return -errno;
        }
}

static int dial(const char *host, int port, int64_t deadline)
{
        char service[8];
        snprintf(service, sizeof service, "%d", port);
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
        if (getaddrinfo(host, service, &hints, &list) != 0 || !list)
                return -EHOSTUNREACH;
        int r = -EHOSTUNREACH;
        for (struct addrinfo *a = list; a && r < 0; a = a->ai_next) {
                int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                if (fd < 0)
                        continue;
                int broken = 0;
                socklen_t size = sizeof broken;
                r = connect(fd, a->ai_addr, a->ai_addrlen) < 0 ? -errno : 0;
                if (r == -EINPROGRESS)
                        r = wait_fd(fd, POLLOUT, deadline);
                if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &broken, &size) == 0 && broken)
                        r = -broken;
                if (r == 0)
                        r = fd;
                else
                        close(fd);
        }
        freeaddrinfo(list);
        return r;
}

// A port by number or by the name of one of the container's ports. 0 when there is none.
static int port_of(const json_t *port, const json_t *container)
{
        int64_t number = 0;
        if (json_is_integer(port))
                number = json_integer_value(port);
        else if (json_is_string(port) && cx_parse_int(json_string_value(port), 1, 65535, &number) < 0)
                number = cx_json_int(cx_json_find(json_object_get(container, "ports"), "name", json_string_value(port)),
                                     "containerPort", 0);
        return number > 0 && number < 65536 ? (int)number : 0;
}

static bool clean_header(const char *text)
{
        return !strpbrk(text, "\r\n");
}

static void http_request(const json_t *get, const char *host, int port, struct cx_buf *to)
{
        const char *path = cx_json_string_or(get, "path", "");
        bool has_host = false, has_agent = false, has_accept = false;
        cx_buf_printf(to, "GET %s%s HTTP/1.1\r\n", *path == '/' ? "" : "/", path);
        size_t i;
        json_t *header;
        json_array_foreach (json_object_get(get, "httpHeaders"), i, header) {
                const char *name = cx_json_string_or(header, "name", ""),
                           *value = cx_json_string_or(header, "value", "");
                if (!*name || !clean_header(name) || !clean_header(value))
                        continue;
                has_host = has_host || strcasecmp(name, "Host") == 0;
                has_agent = has_agent || strcasecmp(name, "User-Agent") == 0;
                has_accept = has_accept || strcasecmp(name, "Accept") == 0;
                cx_buf_printf(to, "%s: %s\r\n", name, value);
        }
        if (!has_host)
                cx_buf_printf(to, strchr(host, ':') ? "Host: [%s]:%d\r\n" : "Host: %s:%d\r\n", host, port);
        if (!has_agent)
                cx_buf_add(to, "User-Agent: kube-probe/" CX_VERSION_SERIES "\r\n");
        if (!has_accept)
                cx_buf_add(to, "Accept: */*\r\n");
        cx_buf_add(to, "Connection: close\r\n\r\n");
}

static int send_all(int fd, const struct cx_buf *data, int64_t deadline)
{
        for (size_t done = 0; done < data->length;) {
                int r = wait_fd(fd, POLLOUT, deadline);
                ssize_t n = r < 0 ? 0 : send(fd, data->data + done, data->length - done, MSG_NOSIGNAL);
                if (r < 0)
                        return r;
                if (n < 0 && errno != EAGAIN && errno != EINTR)
                        return -errno;
                done += n > 0 ? (size_t)n : 0;
        }
        return 0;
}

static int plain_http(const json_t *get, const char *host, int port, int64_t deadline, struct cx_buf *answer)
{
        CX_BUF request = CX_BUF_INIT_MAX(65536);
        http_request(get, host, port, &request);
        CX_CLEANUP(cx_closep) int fd = dial(host, port, deadline);
        int r = fd < 0 ? fd : send_all(fd, &request, deadline);
        while (r == 0 && answer->length < BODY_MAX) {
                char block[4096];
                r = wait_fd(fd, POLLIN, deadline);
                ssize_t n = r < 0 ? 0 : recv(fd, block, sizeof block, 0);
                if (r < 0 || n == 0)
                        break;
                if (n < 0 && errno != EAGAIN && errno != EINTR)
                        return -errno;
                if (n > 0)
                        cx_buf_append(answer, block, (size_t)n);
        }
        // A status line is all that is needed: a body that never ends is not a failure.
        return strncmp(answer->data, "HTTP/", 5) == 0 ? 0 : r < 0 ? r : -EPROTO;
}

// The path of a redirect to the same host and port; NULL when the answer is none (or leads elsewhere, which a probe takes
// as success). Owned by the caller.
static char *local_redirect(const char *answer, const char *host, int port)
{
        static const char name[] = "\r\nLocation:";
        const char *end = strstr(answer, "\r\n\r\n"), *at = strcasestr(answer, name);
        if (!at || (end && at > end))
                return NULL;
        at += sizeof name - 1;
        at += strspn(at, " \t");
        CX_CLEANUP(cx_freep) char *target = cx_strndup(at, strcspn(at, "\r\n"));
        CX_CLEANUP(cx_freep) char *with_port = cx_sprintf("http://%s:%d", host, port);
        CX_CLEANUP(cx_freep) char *without = cx_sprintf("http://%s", host);
        const char *path = target;
        if (cx_has_prefix(target, with_port))
                path = target + strlen(with_port);
        else if (port == 80 && cx_has_prefix(target, without))
                path = target + strlen(without);
        else if (strstr(target, "://") || cx_has_prefix(target, "//"))
                return NULL;
        if (strpbrk(path, " ") || (*path && *path != '/'))
                return *path == '?' || strpbrk(path, " :") ? NULL : cx_sprintf("/%s", path);
        return cx_strdup(*path ? path : "/");
}

// A plain GET that follows redirects within the same server.
static int get_plain(const json_t *get, const char *host, int port, int64_t deadline, int *ret_code)
{
        json_auto_t *request = json_copy((json_t *)get);
        for (int hops = 0; hops <= REDIRECTS_MAX; hops++) {
                CX_BUF answer = CX_BUF_INIT_MAX(BODY_MAX + 8192);
                int r = plain_http(request, host, port, deadline, &answer);
                if (r < 0)
                        return r;
                if (sscanf(answer.data, "HTTP/%*d.%*d %d", ret_code) != 1)
                        return -EPROTO;
                CX_CLEANUP(cx_freep)
                char *path = *ret_code >= 300 && *ret_code < 400 ? local_redirect(answer.data, host, port) : NULL;
                if (!path)
                        return 0;
                json_object_set_new(request, "path", json_string(path));
        }
        return -ELOOP;
}

static int run_http(const json_t *get, const json_t *container, const char *ip, int64_t timeout,
                    struct cx_buf *ret_output)
{
        const char *host = cx_json_string_or(get, "host", ip), *scheme = cx_json_string_or(get, "scheme", "");
        int port = port_of(json_object_get(get, "port"), container);
        if (!port || !*host) {
                cx_buf_add(ret_output, "no such port");
                return 1;
        }
        const char *path = cx_json_string_or(get, "path", "");
        CX_CLEANUP(cx_freep)
        char *url = cx_sprintf(strchr(host, ':') ? "%s://[%s]:%d%s%s" : "%s://%s:%d%s%s",
                               strcasecmp(scheme, "HTTPS") == 0 ? "https" : "http", host, port, *path == '/' ? "" : "/",
                               path);
        if (strpbrk(path, " \r\n")) {
                cx_buf_add(ret_output, "malformed path");
                return 1;
        }
        int code = 0, r;
        if (strcasecmp(scheme, "HTTPS") == 0) {
                CX_CLEANUP(cx_http_client_freep) struct cx_http_client *client = NULL;
                CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
                CX_ERROR err = CX_ERROR_INIT;
                r = cx_http_client_new(&(struct cx_http_client_options){.insecure = true,
                                                                        .user_agent = "kube-probe/" CX_VERSION_SERIES},
                                       &client, &err);
                if (r == 0)
                        r = cx_http_do(client,
                                       &(struct cx_http_call){
                                               .path = url, .timeout = timeout, .accept = "*/*", .max_reply = 1 << 20},
                                       &reply, &err);
                code = reply.code;
        } else {
                r = get_plain(get, host, port, cx_time_monotonic() + timeout, &code);
        }
        if (r == -ELOOP) {
                cx_buf_printf(ret_output, "Get \"%s\": stopped after %d redirects", url, REDIRECTS_MAX);
                return 1;
        }
        if (r < 0) {
                cx_buf_printf(ret_output, "Get \"%s\": %s", url,
                              r == -ETIMEDOUT
                                      ? "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
                              : r == -ECONNREFUSED ? "dial tcp: connect: connection refused"
                                                   : strerror(-r));
                return 1;
        }
        if (code >= 200 && code < 400)
                return 0;
        cx_buf_printf(ret_output, "HTTP probe failed with statuscode: %d", code);
        return 1;
}

static int run_tcp(const json_t *tcp, const json_t *container, const char *ip, int64_t timeout,
                   struct cx_buf *ret_output)
{
        const char *host = cx_json_string_or(tcp, "host", ip);
        int port = port_of(json_object_get(tcp, "port"), container);
        int fd = port ? dial(host, port, cx_time_monotonic() + timeout) : -EINVAL;
        if (fd >= 0) {
                close(fd);
                return 0;
        }
        cx_buf_printf(ret_output, "dial tcp %s:%d: %s", host, port,
                      fd == -ETIMEDOUT      ? "i/o timeout"
                      : fd == -ECONNREFUSED ? "connect: connection refused"
                                            : strerror(-fd));
        return 1;
}

static int run_exec(const struct kubelet *k, const json_t *exec, const struct container *running, int64_t timeout,
                    struct cx_buf *ret_output, struct cx_error *err)
{
        const json_t *command = json_object_get(exec, "command");
        size_t n = json_array_size(command);
        if (!n) {
                cx_buf_add(ret_output, "no command");
                return 1;
        }
        CX_CLEANUP(cx_freep) const char **argv = cx_alloc_array(n + 1, sizeof *argv);
        for (size_t i = 0; i < n; i++)
                argv[i] = cx_str(json_string_value(json_array_get(command, i)));
        int status = 0;
        CX_ERROR failure = CX_ERROR_INIT;
        int r = container_exec(k->runtime, running, &(struct exec_options){.argv = argv, .timeout = timeout},
                               ret_output, &status, &failure);
        if (r == -ETIMEDOUT) {
                char text[CX_TIME_TEXT];
                cx_duration_format(timeout, text);
                cx_buf_clear(ret_output);
                cx_buf_printf(ret_output, "command timed out: \"%s\" timed out after %s", argv[0], text);
                return 1;
        }
        return r < 0 ? cx_error_move(err, &failure) : status != 0;
}

int handler_run(const struct kubelet *k, const struct handler_call *call, struct cx_buf *ret_output,
                struct cx_error *err)
{
        const json_t *part;
        if ((part = json_object_get(call->handler, "exec")))
                return run_exec(k, part, call->running, call->timeout, ret_output, err);
        if ((part = json_object_get(call->handler, "httpGet")))
                return run_http(part, call->container, call->ip, call->timeout, ret_output);
        if ((part = json_object_get(call->handler, "tcpSocket")))
                return run_tcp(part, call->container, call->ip, call->timeout, ret_output);
        if ((part = json_object_get(call->handler, "grpc"))) {
                int port = port_of(json_object_get(part, "port"), call->container);
                return grpc_probe(call->ip, port, cx_json_string(part, "service"), call->timeout, ret_output);
        }
        if ((part = json_object_get(call->handler, "sleep"))) {
                int64_t seconds = cx_json_int(part, "seconds", 0);
                int64_t limit = call->timeout / CX_NS_PER_S;
                struct timespec t = {.tv_sec = seconds < limit ? seconds : limit};
                while (nanosleep(&t, &t) < 0 && errno == EINTR)
                        ;
                return 0;
        }
        return cx_error_set(err, -ENOTSUP, "missing probe handler");
}
