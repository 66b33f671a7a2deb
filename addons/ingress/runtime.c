// SPDX-License-Identifier: Apache-2.0
// A connection a command: the proxy answers and closes.
#include "addons/ingress/runtime.h"

#include "addons/ingress/config.h"
#include "libcommon/base/time.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#define TIMEOUT_MS 5000
#define MAX_COMMAND 12000 // the proxy's buffer has 16384
#define MAX_ANSWER ((size_t)1 << 20)

static int open_socket(const char *path, struct cx_error *err)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        if (!cx_copy_string(address.sun_path, sizeof address.sun_path, path))
                return cx_error_set(err, -ENAMETOOLONG, "the path %s is too long for a socket", path);
        CX_CLEANUP(cx_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
                return cx_error_set(err, -errno, "cannot talk to the proxy at %s: %s", path, strerror(errno));
        return cx_steal_fd(&fd);
}

static int send_all(int fd, const char *data, size_t length, struct cx_error *err)
{
        while (length) {
                struct pollfd wait = {fd, POLLOUT, 0};
                ssize_t n = poll(&wait, 1, TIMEOUT_MS) == 1 ? send(fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT) : -1;
                if (n <= 0)
                        return cx_error_set(err, -EIO, "the proxy does not take commands");
                data += n;
                length -= (size_t)n;
        }
        return 0;
}

int runtime_ask(struct runtime_api *self, const char *command, struct cx_buf *ret_answer, struct cx_error *err)
{
        CX_CLEANUP(cx_closep) int fd = open_socket(self->socket, err);
        if (fd < 0)
                return fd;
        self->commands++;
        int r = send_all(fd, command, strlen(command), err);
        if (r == 0)
                r = send_all(fd, "\n", 1, err);
        ret_answer->max = MAX_ANSWER;
        while (r == 0) {
                char block[4096];
                struct pollfd wait = {fd, POLLIN, 0};
                ssize_t n = poll(&wait, 1, TIMEOUT_MS) == 1 ? read(fd, block, sizeof block) : -1;
                if (n < 0 || ret_answer->length + (size_t)n > MAX_ANSWER)
                        return cx_error_set(err, -EIO, "the proxy does not answer as it should");
                if (n == 0)
                        break;
                cx_buf_append(ret_answer, block, (size_t)n);
        }
        return r;
}

int runtime_do(struct runtime_api *self, const char *command, const char *expected, struct cx_error *err)
{
        CX_BUF answer = CX_BUF_INIT;
        int r = runtime_ask(self, command, &answer, err);
        if (r < 0)
                return r;
        bool right = expected ? strstr(answer.data, expected) != NULL : strspn(answer.data, " \n") == answer.length;
        if (right)
                return 0;
        return cx_error_set(err, -EPROTO, "the proxy refused \"%.*s\": %.*s", (int)strcspn(command, "<\n"), command,
                            (int)(answer.length < 200 ? answer.length : 200), answer.data);
}

// --- maps ---

static int flush_block(struct runtime_api *self, const char *file, struct cx_buf *lines, struct cx_error *err)
{
        if (!lines->length)
                return 0;
        CX_CLEANUP(cx_freep) char *command = cx_sprintf("add map %s <<\n%s", file, lines->data);
        cx_buf_clear(lines);
        return runtime_do(self, command, NULL, err);
}

int runtime_map_put(struct runtime_api *self, const char *file, const struct cx_map *have, const struct cx_map *now,
                    struct cx_error *err)
{
        CX_BUF added = CX_BUF_INIT;
        int r = 0;
        CX_MAP_FOREACH (now, entry) {
                const char *old = cx_map_get(have, entry->key);
                if (r < 0 || cx_streq(old, entry->value) || !config_is_safe(entry->key) ||
                    !config_is_safe(entry->value))
                        continue;
                if (old) {
                        CX_CLEANUP(cx_freep)
                        char *command = cx_sprintf("set map %s %s %s", file, entry->key, (char *)entry->value);
                        r = runtime_do(self, command, NULL, err);
                        continue;
                }
                if (added.length + strlen(entry->key) + strlen(entry->value) > MAX_COMMAND)
                        r = flush_block(self, file, &added, err);
                cx_buf_printf(&added, "%s %s\n", entry->key, (char *)entry->value);
        }
        return r < 0 ? r : flush_block(self, file, &added, err);
}

int runtime_map_drop(struct runtime_api *self, const char *file, const struct cx_map *have, const struct cx_map *now,
                     struct cx_error *err)
{
        int r = 0;
        CX_MAP_FOREACH (have, entry) {
                if (r < 0 || cx_map_has(now, entry->key) || !config_is_safe(entry->key))
                        continue;
                CX_CLEANUP(cx_freep) char *command = cx_sprintf("del map %s %s", file, entry->key);
                r = runtime_do(self, command, NULL, err);
        }
        return r;
}

// --- certificates ---

int runtime_certificate_set(struct runtime_api *self, const char *file, const char *pem, struct cx_error *err)
{
        if (strlen(pem) > MAX_COMMAND)
                return cx_error_set(err, -EMSGSIZE,
                                    "the certificate %s is too large to be changed while the proxy runs", file);
        CX_CLEANUP(cx_freep) char *set = cx_sprintf("set ssl cert %s <<\n%s", file, pem);
        CX_CLEANUP(cx_freep) char *commit = cx_sprintf("commit ssl cert %s", file);
        int r = runtime_do(self, set, "Transaction", err);
        explicit_bzero(set, strlen(set));
        return r < 0 ? r : runtime_do(self, commit, "Success", err);
}

int runtime_certificate_new(struct runtime_api *self, const char *list, const char *file, const char *pem,
                            const char *host, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *make = cx_sprintf("new ssl cert %s", file);
        CX_CLEANUP(cx_freep) char *add = cx_sprintf("add ssl crt-list %s <<\n%s %s\n", list, file, host);
        int r = runtime_do(self, make, "New empty", err);
        if (r == 0)
                r = runtime_certificate_set(self, file, pem, err);
        return r < 0 ? r : runtime_do(self, add, "Success", err);
}

int runtime_certificate_delete(struct runtime_api *self, const char *list, const char *file, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *entry = cx_sprintf("del ssl crt-list %s %s", list, file);
        CX_CLEANUP(cx_freep) char *whole = cx_sprintf("del ssl cert %s", file);
        int r = runtime_do(self, entry, "deleted", err);
        return r < 0 ? r : runtime_do(self, whole, "deleted", err);
}
