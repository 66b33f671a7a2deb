// SPDX-License-Identifier: Apache-2.0
// Upgraded connections of a client and of a backend, joined byte by byte, so that WebSocket and SPDY pass alike.
#include "apiserver/endpoints/backend.h"
#include "apiserver/request/respond.h"

#include "libcommon/base/time.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define HANGUP_PATIENCE (3 * CX_NS_PER_S)

struct join {
        struct backend_client *client;
        struct cx_http_tunnel *tunnel;
};

static bool write_all(int fd, const char *data, size_t length)
{
        while (length) {
                ssize_t n = write(fd, data, length);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return false;
                data += n;
                length -= (size_t)n;
        }
        return true;
}

// Gives up when the client behind `fd` has left.
static bool tunnel_write_all(struct cx_http_tunnel *tunnel, int fd, const char *data, size_t length)
{
        while (length) {
                ssize_t n = cx_http_tunnel_write(tunnel, data, length);
                if (n == -EAGAIN) {
                        struct pollfd wait[2] = {{cx_http_tunnel_fd(tunnel), POLLOUT, 0}, {fd, 0, 0}};
                        if (poll(wait, 2, -1) > 0 && wait[1].revents)
                                return false;
                        continue;
                }
                if (n <= 0)
                        return false;
                data += n;
                length -= (size_t)n;
        }
        return true;
}

static void run_join(int fd, const char *extra, size_t extra_length, void *context)
{
        struct join *join = context;
        char block[32768];
        bool open = tunnel_write_all(join->tunnel, fd, extra, extra_length);
        while (open) {
                // What TLS has decrypted already does not show in poll: read first, then wait.
                ssize_t n = cx_http_tunnel_read(join->tunnel, block, sizeof block);
                if (n > 0) {
                        open = write_all(fd, block, (size_t)n);
                        continue;
                }
                if (n != -EAGAIN)
                        break;
                struct pollfd fds[2] = {{fd, POLLIN, 0}, {cx_http_tunnel_fd(join->tunnel), POLLIN, 0}};
                if (poll(fds, 2, -1) < 0 && errno != EINTR)
                        break;
                if (!(fds[0].revents & (POLLIN | POLLHUP | POLLERR)))
                        continue;
                n = read(fd, block, sizeof block);
                if (n <= 0)
                        break;
                open = tunnel_write_all(join->tunnel, fd, block, (size_t)n);
        }
}

// A backend that does not take what it was sent never hears that the client has left: the end would come behind that. It is
// given a while, and then told at once.
static void hang_up(struct cx_http_tunnel *tunnel)
{
        int fd = cx_http_tunnel_fd(tunnel), unsent = 0;
        int64_t deadline = cx_time_monotonic() + HANGUP_PATIENCE;
        while (ioctl(fd, SIOCOUTQ, &unsent) == 0 && unsent > 0 && cx_time_monotonic() < deadline)
                (void)poll(NULL, 0, 50);
        const struct linger at_once = {.l_onoff = 1};
        if (unsent > 0)
                (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

static void release_join(void *context)
{
        struct join *join = context;
        if (join->tunnel)
                hang_up(join->tunnel);
        cx_http_tunnel_free(join->tunnel);
        backend_client_unref(join->client);
        free(join);
}

static void add_upgrade_header(void *context, const char *name, const char *value)
{
        struct cx_strings *headers = context;
        static const char *const passed[] = {"Upgrade",
                                             "Connection",
                                             "Sec-WebSocket-Key",
                                             "Sec-WebSocket-Version",
                                             "Sec-WebSocket-Protocol",
                                             "Sec-WebSocket-Extensions",
                                             "X-Stream-Protocol-Version",
                                             "Origin"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(passed); i++)
                if (strcasecmp(name, passed[i]) == 0) {
                        CX_CLEANUP(cx_freep) char *line = cx_sprintf("%s: %s", name, value);
                        cx_strings_add(headers, line);
                }
}

static void relay_refusal(struct call *call, const struct cx_http_reply *refusal, struct cx_error *why)
{
        if (refusal->code >= 300) {
                CX_CLEANUP(cx_freep) char *type = cx_http_reply_header(refusal, "Content-Type");
                cx_http_respond(call->request, refusal->code, type ? type : "text/plain", refusal->body.data,
                                refusal->body.length);
                return;
        }
        CX_ERROR err = CX_ERROR_INIT;
        (void)cx_error_reason(&err, CX_REASON_INTERNAL, "error dialing backend: %s", cx_error_text(why));
        respond_error(call, &err);
}

int join_upgraded(struct call *call, const struct backend *backend, struct cx_error *err)
{
        struct join *join = cx_alloc(sizeof *join);
        CX_HTTP_REPLY headers = CX_HTTP_REPLY_INIT, refusal = CX_HTTP_REPLY_INIT;
        CX_STRINGS passed = CX_STRINGS_INIT;
        CX_ERROR why = CX_ERROR_INIT;
        int r = backend_client(call, backend, &join->client, err);
        if (r < 0) {
                free(join);
                return r;
        }
        cx_http_headers(call->request, add_upgrade_header, &passed);
        CX_CLEANUP(cx_freep) const char **lines = cx_alloc_array(passed.count + 1, sizeof(char *));
        for (size_t i = 0; i < passed.count; i++)
                lines[i] = passed.items[i];
        CX_CLEANUP(cx_freep) char *url = backend_url(backend);
        struct cx_http_call http = {.method = cx_http_method(call->request), .path = url, .headers = lines};
        if (cx_http_upgrade(join->client->http, &http, &join->tunnel, &headers, &refusal, &why) < 0) {
                relay_refusal(call, &refusal, &why);
                release_join(join);
                return 0;
        }
        static const char *const answered[] = {"Upgrade", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol",
                                               "X-Stream-Protocol-Version"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(answered); i++) {
                CX_CLEANUP(cx_freep) char *value = cx_http_reply_header(&headers, answered[i]);
                if (value)
                        cx_http_add_header(call->request, answered[i], value);
        }
        cx_http_respond_upgrade(call->request, run_join, join, release_join);
        return 0;
}
