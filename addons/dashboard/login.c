// SPDX-License-Identifier: Apache-2.0
// Bodies of logins, and the socket that hands out codes.
#include "addons/dashboard/login.h"

#include "libcommon/base/log.h"
#include "libcommon/base/random.h"
#include "libcommon/base/time.h"
#include "libcommon/client/kubeconfig.h"
#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"
#include "libcommon/net/pki.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define CODE_LIFETIME (60 * CX_NS_PER_S)
#define HANDOVER_MAX ((size_t)64 << 10)
#define HANDOVER_TIMEOUT 5 // s
#define TOKEN_MAX 16384
#define PAUSE_MS 100

struct login_codes {
        int listener, stop;
        char *path;
        pthread_t thread;
        pthread_mutex_t lock; // guards the rest
        struct {
                char digest[65]; // of the code; "": free
                int64_t deadline;
                struct login login;
        } items[CODES_MAX];
};

// --- bodies ----------------------------------------------------------------------------------------------------------

static int take_token(const char *token, struct login *ret_login, struct cx_error *err)
{
        size_t length = strlen(token);
        if (!length || length > TOKEN_MAX)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "token: has to be 1 to %d characters", TOKEN_MAX);
        for (const char *at = token; *at; at++)
                if (*at <= ' ' || *at > '~')
                        return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                               "token: a blank or another character that no token has; paste it as one "
                                               "line");
        ret_login->token = cx_strdup(token);
        return 0;
}

static int take_pair(const char *cert, const char *key, struct login *ret_login, struct cx_error *err)
{
        if (!strstr(cert, "-----BEGIN CERTIFICATE-----") || !strstr(key, "-----BEGIN "))
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "certificate and key have to be in PEM format");
        ret_login->cert_pem = cx_strdup(cert);
        ret_login->key_pem = cx_strdup(key);
        return 0;
}

static int decode(const char *field, const char *text, struct cx_buf *to, struct cx_error *err)
{
        if (cx_base64_decode(text, strlen(text), to) < 0 || strlen(to->data) != to->length)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "kubeconfig: %s is no base64 of a PEM text", field);
        return 0;
}

static int take_user(const char *name, const json_t *user, struct login *ret_login, struct cx_error *err)
{
        const char *token = cx_json_string(user, "token");
        const char *cert64 = json_string_value(json_object_get(user, "client-certificate-data"));
        const char *key64 = json_string_value(json_object_get(user, "client-key-data"));
        if (cert64 && key64) {
                CX_BUF cert = CX_BUF_INIT_MAX(HANDOVER_MAX), key = CX_BUF_INIT_MAX(HANDOVER_MAX);
                int r = decode("client-certificate-data", cert64, &cert, err);
                if (r == 0)
                        r = decode("client-key-data", key64, &key, err);
                if (r == 0)
                        r = take_pair(cert.data, key.data, ret_login, err);
                explicit_bzero(key.data, key.length);
                return r;
        }
        if (token)
                return take_token(token, ret_login, err);
        if (cx_json_get(user, "exec"))
                return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                       "kubeconfig: user \"%s\" gets its credentials from a program; log in with a "
                                       "token instead",
                                       name);
        return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                               "kubeconfig: user \"%s\" has neither token nor client-certificate-data with "
                               "client-key-data; `kubectl config view --flatten --minify --raw` prints one that has",
                               name);
}

int login_from_kubeconfig(const char *text, struct login *ret_login, struct cx_error *err)
{
        CX_KUBECONFIG config = CX_KUBECONFIG_INIT;
        if (cx_kubeconfig_parse(text, strlen(text), &config, err) < 0)
                return cx_error_wrap(err, "kubeconfig");
        const char *context = cx_kubeconfig_current_context(&config);
        if (!context || !*context)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "kubeconfig: current-context is not set");
        const char *name = cx_json_string(cx_kubeconfig_context(&config, context), "user");
        const json_t *user = name ? cx_kubeconfig_user(&config, name) : NULL;
        if (!user)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "kubeconfig: context \"%s\" has no user in the file",
                                       context);
        return take_user(name, user, ret_login, err);
}

static int redeem(struct login_codes *codes, const char *code, struct login *ret_login, struct cx_error *err)
{
        char digest[65];
        bool found = false;
        int64_t now = cx_time_monotonic();
        cx_sha256_hex(code, strlen(code), digest);
        if (codes)
                pthread_mutex_lock(&codes->lock);
        for (size_t i = 0; codes && i < CODES_MAX; i++) {
                if (!*codes->items[i].digest || strcmp(codes->items[i].digest, digest) != 0)
                        continue;
                found = codes->items[i].deadline > now;
                if (found) {
                        *ret_login = codes->items[i].login;
                        codes->items[i].login = (struct login){0};
                }
                login_release(&codes->items[i].login);
                *codes->items[i].digest = '\0';
        }
        if (codes)
                pthread_mutex_unlock(&codes->lock);
        return found ? 0
                     : cx_error_reason(err, CX_REASON_UNAUTHORIZED,
                                       "the link has been used, or is older than a minute; run `minikube dashboard` "
                                       "again");
}

int login_read(struct login_codes *codes, const char *body, size_t length, struct login *ret_login,
               struct cx_error *err)
{
        json_auto_t *json = NULL;
        int r = cx_json_parse(body, length, true, &json, err);
        if (r < 0)
                return r;
        const char *token = cx_json_string(json, "token"), *code = json_string_value(json_object_get(json, "code")),
                   *kubeconfig = cx_json_string(json, "kubeconfig");
        if (!!token + !!code + !!kubeconfig != 1)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                       "one of token, kubeconfig and code is needed, as a text");
        if (token)
                return take_token(token, ret_login, err);
        return code ? redeem(codes, code, ret_login, err) : login_from_kubeconfig(kubeconfig, ret_login, err);
}

// --- the socket ------------------------------------------------------------------------------------------------------

// Keeps the login under a new code, in the place of the oldest when there is none free.
static void keep(struct login_codes *codes, struct login *login, struct cx_buf *ret_code)
{
        unsigned char random[32];
        size_t at = 0;
        cx_random_bytes(random, sizeof random);
        cx_base64url_encode(random, sizeof random, ret_code);
        pthread_mutex_lock(&codes->lock);
        for (size_t i = 0; i < CODES_MAX; i++) {
                if (!*codes->items[i].digest) {
                        at = i;
                        break;
                }
                if (codes->items[i].deadline < codes->items[at].deadline)
                        at = i;
        }
        login_release(&codes->items[at].login);
        codes->items[at].login = *login;
        *login = (struct login){0};
        codes->items[at].deadline = cx_time_monotonic() + CODE_LIFETIME;
        cx_sha256_hex(ret_code->data, ret_code->length, codes->items[at].digest);
        pthread_mutex_unlock(&codes->lock);
}

static void drop_old(struct login_codes *codes)
{
        int64_t now = cx_time_monotonic();
        pthread_mutex_lock(&codes->lock);
        for (size_t i = 0; i < CODES_MAX; i++)
                if (codes->items[i].deadline <= now) {
                        login_release(&codes->items[i].login);
                        *codes->items[i].digest = '\0';
                }
        pthread_mutex_unlock(&codes->lock);
}

static bool is_trusted(int fd)
{
        struct ucred peer;
        socklen_t length = sizeof peer;
        return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && (peer.uid == 0 || peer.uid == geteuid());
}

static int read_handover(const struct cx_buf *text, struct login *ret_login, struct cx_error *err)
{
        json_auto_t *json = NULL;
        int r = cx_json_parse(text->data, text->length, true, &json, err);
        if (r < 0)
                return r;
        const char *cert = cx_json_string(json, "certificate"), *key = cx_json_string(json, "key");
        const char *token = cx_json_string(json, "token");
        if (cert && key)
                return take_pair(cert, key, ret_login, err);
        return take_token(cx_str(token), ret_login, err);
}

static void serve_peer(struct login_codes *codes, int fd)
{
        const struct timeval patience = {.tv_sec = HANDOVER_TIMEOUT};
        CX_BUF text = CX_BUF_INIT_MAX(HANDOVER_MAX), code = CX_BUF_INIT;
        LOGIN login = {0};
        CX_ERROR err = CX_ERROR_INIT;
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        if (!is_trusted(fd) || cx_buf_read_fd(&text, fd) < 0)
                return;
        int r = read_handover(&text, &login, &err);
        explicit_bzero(text.data, text.length);
        if (r == 0)
                keep(codes, &login, &code);
        json_auto_t *answer =
                r == 0 ? json_pack("{s:s}", "code", code.data) : json_pack("{s:s}", "error", cx_error_text(&err));
        CX_CLEANUP(cx_freep) char *line = cx_json_text(answer);
        (void)!send(fd, line, strlen(line), MSG_NOSIGNAL);
        explicit_bzero(line, strlen(line));
}

static void *listen_main(void *context)
{
        struct login_codes *codes = context;
        for (;;) {
                struct pollfd fds[2] = {{codes->listener, POLLIN, 0}, {codes->stop, POLLIN, 0}};
                if (poll(fds, 2, (int)(CODE_LIFETIME / CX_NS_PER_MS)) < 0 && errno != EINTR)
                        return NULL;
                if (fds[1].revents)
                        return NULL;
                drop_old(codes);
                CX_CLEANUP(cx_closep) int fd = fds[0].revents ? accept4(codes->listener, NULL, NULL, SOCK_CLOEXEC) : -1;
                if (fd >= 0)
                        serve_peer(codes, fd);
                else if (fds[0].revents)
                        (void)poll(&fds[1], 1, PAUSE_MS); // there is no descriptor for it now
        }
}

// By way of the folder's descriptor: a socket's path is short, a folder's may be long.
static int listen_at(const char *path, struct cx_error *err)
{
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        CX_CLEANUP(cx_freep) char *parent = slash ? cx_strndup(path, (size_t)(slash - path + 1)) : cx_strdup(".");
        CX_CLEANUP(cx_closep) int folder = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
        CX_CLEANUP(cx_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        CX_CLEANUP(cx_freep) char *at = cx_sprintf("/proc/self/fd/%d/%s", folder, name);
        if (folder < 0 || fd < 0)
                return cx_error_set(err, -errno, "--login-socket: %s: %s", parent, strerror(errno));
        if (!cx_copy_string(address.sun_path, sizeof address.sun_path, at))
                return cx_error_set(err, -ENAMETOOLONG, "--login-socket: the name %s is too long", name);
        (void)unlink(path); // a server that was killed left it
        mode_t before = umask(0177);
        int r = bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
        umask(before);
        if (r == 0 && listen(fd, CODES_MAX) < 0)
                r = -errno;
        return r < 0 ? cx_error_set(err, r, "--login-socket: cannot listen at %s: %s", path, strerror(-r))
                     : cx_steal_fd(&fd);
}

int login_codes_new(const char *path, struct login_codes **ret_codes, struct cx_error *err)
{
        int fd = listen_at(path, err);
        if (fd < 0)
                return fd;
        struct login_codes *codes = cx_alloc(sizeof *codes);
        codes->listener = fd;
        codes->path = cx_strdup(path);
        codes->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        pthread_mutex_init(&codes->lock, NULL);
        if (codes->stop < 0 || pthread_create(&codes->thread, NULL, listen_main, codes) != 0) {
                CX_CLEANUP(cx_closep) int stop = codes->stop;
                CX_CLEANUP(cx_closep) int listener = codes->listener;
                free(codes->path);
                free(codes);
                return cx_error_set(err, -EAGAIN, "--login-socket: cannot start its thread");
        }
        *ret_codes = codes;
        return 0;
}

void login_codes_free(struct login_codes *codes)
{
        if (!codes)
                return;
        (void)!eventfd_write(codes->stop, 1);
        pthread_join(codes->thread, NULL);
        (void)unlink(codes->path);
        close(codes->listener);
        close(codes->stop);
        for (size_t i = 0; i < CODES_MAX; i++)
                login_release(&codes->items[i].login);
        pthread_mutex_destroy(&codes->lock);
        free(codes->path);
        free(codes);
}
