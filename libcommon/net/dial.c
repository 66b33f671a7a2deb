// SPDX-License-Identifier: Apache-2.0
// Endpoints, sockets and TLS handshakes, each within one deadline.
#include "libcommon/net/dial.h"

#include "libcommon/base/alloc.h"
#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/net/tls_files.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

CX_DEFINE_CLEANUP(SSL_CTX, ssl_ctx_freep, SSL_CTX_free)

struct cx_dialer {
        pthread_mutex_t lock; // guards tls and files
        SSL_CTX *tls;
        struct cx_tls_files files;
        char *default_port;
        bool http2;
        cx_connect connect;
        void *context;
};

static int fail(struct cx_error *err, const char *what)
{
        unsigned long code = ERR_get_error();
        ERR_clear_error();
        const char *why = code ? ERR_reason_error_string(code) : NULL;
        return cx_error_set(err, -EINVAL, "%s: %s", what, why ? why : "not valid");
}

// --- credentials ---

static bool trust(SSL_CTX *tls, const char *ca_pem)
{
        if (!ca_pem)
                return SSL_CTX_set_default_verify_paths(tls) == 1;
        BIO *bio = BIO_new_mem_buf(ca_pem, -1);
        int n = 0;
        for (X509 *cert; (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)); n++) {
                X509_STORE_add_cert(SSL_CTX_get_cert_store(tls), cert);
                X509_free(cert);
        }
        BIO_free(bio);
        if (n)
                ERR_clear_error(); // the end of the text
        return n > 0;
}

static bool present(SSL_CTX *tls, const char *cert_pem, const char *key_pem)
{
        BIO *bio = BIO_new_mem_buf(cert_pem, -1);
        X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        bool good = cert && SSL_CTX_use_certificate(tls, cert) == 1;
        X509_free(cert);
        for (X509 *more; good && (more = PEM_read_bio_X509(bio, NULL, NULL, NULL));)
                SSL_CTX_add0_chain_cert(tls, more);
        BIO_free(bio);
        if (!good)
                return false;
        ERR_clear_error();
        bio = BIO_new_mem_buf(key_pem, -1);
        EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"");
        good = key && SSL_CTX_use_PrivateKey(tls, key) == 1 && SSL_CTX_check_private_key(tls) == 1;
        EVP_PKEY_free(key);
        BIO_free(bio);
        return good;
}

// --- endpoints ---

void cx_endpoint_release(struct cx_endpoint *endpoint)
{
        free(endpoint->host);
        free(endpoint->port);
        free(endpoint->path);
        free(endpoint->authority);
        *endpoint = (struct cx_endpoint){0};
}

int cx_endpoint_parse(const char *url, const char *default_port, struct cx_endpoint *ret_endpoint, struct cx_error *err)
{
        static const char unix_scheme[] = "unix://";
        struct cx_endpoint endpoint = {.tls = cx_has_prefix(url, "https://")};
        if (cx_has_prefix(url, unix_scheme)) {
                const char *path = url + strlen(unix_scheme);
                if (*path != '/' || strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path)
                        return cx_error_set(err, -EINVAL, "endpoint \"%s\" has no usable path of a socket", url);
                *ret_endpoint = (struct cx_endpoint){.path = cx_strdup(path), .authority = cx_strdup("localhost")};
                return 0;
        }
        if (!endpoint.tls && !cx_has_prefix(url, "http://"))
                return cx_error_set(err, -EINVAL, "endpoint \"%s\" must start with https://, http:// or unix://", url);
        const char *authority = strstr(url, "://") + 3, *host = authority, *end = host + strcspn(host, "/:");
        if (*host == '[') {
                host++;
                end = strchr(host, ']');
        }
        const char *rest = end ? end + (*end == ']') : NULL;
        int64_t port = 0;
        if (rest && *rest == ':') {
                size_t digits = strspn(rest + 1, "0123456789");
                CX_CLEANUP(cx_freep) char *text = cx_strndup(rest + 1, digits);
                if (cx_parse_int(text, 1, 65535, &port) < 0)
                        rest = NULL;
                else
                        rest += 1 + digits;
        }
        if (!rest || end == host || (*rest && strcmp(rest, "/") != 0) || (!port && !default_port))
                return cx_error_set(err, -EINVAL, "endpoint \"%s\" is not of the form %s://host:port", url,
                                    endpoint.tls ? "https" : "http");
        endpoint.authority = cx_strndup(authority, (size_t)(rest - authority));
        endpoint.host = cx_strndup(host, (size_t)(end - host));
        endpoint.port = port ? cx_sprintf("%d", (int)port) : cx_strdup(default_port);
        *ret_endpoint = endpoint;
        return 0;
}

// --- links ---

// What OpenSSL says of a call that moved nothing.
static ssize_t tls_result(struct cx_link *link, int n, bool *ret_wants_write)
{
        int why = SSL_get_error(link->ssl, n);
        *ret_wants_write = why == SSL_ERROR_WANT_WRITE;
        return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? -EAGAIN
               : why == SSL_ERROR_ZERO_RETURN                            ? 0
                                                                         : -EPIPE;
}

ssize_t cx_link_read(struct cx_link *link, void *to, size_t size, bool *ret_wants_write)
{
        *ret_wants_write = false;
        if (!link->ssl) {
                ssize_t n = recv(link->fd, to, size, 0);
                return n < 0 ? -errno : n;
        }
        ERR_clear_error();
        int n = SSL_read(link->ssl, to, size < INT_MAX ? (int)size : INT_MAX);
        return n > 0 ? n : tls_result(link, n, ret_wants_write);
}

ssize_t cx_link_write(struct cx_link *link, const void *data, size_t length, bool *ret_wants_write)
{
        *ret_wants_write = false;
        if (!link->ssl) {
                ssize_t n = send(link->fd, data, length, MSG_NOSIGNAL);
                *ret_wants_write = n < 0 && errno == EAGAIN;
                return n < 0 ? -errno : n;
        }
        ERR_clear_error();
        int n = SSL_write(link->ssl, data, length < INT_MAX ? (int)length : INT_MAX);
        ssize_t moved = n > 0 ? n : tls_result(link, n, ret_wants_write);
        return moved ? moved : -EPIPE;
}

void cx_link_close(struct cx_link *link)
{
        SSL_free(link->ssl);
        link->ssl = NULL;
        cx_closep(&link->fd);
        ERR_clear_error();
}

// --- connecting ---

// Waits for the socket; 0, -ETIMEDOUT or -ECANCELED.
static int wait_fd(int fd, short events, int64_t deadline, int cancel_fd)
{
        struct pollfd fds[] = {{.fd = fd, .events = events}, {.fd = cancel_fd, .events = POLLIN}};
        for (;;) {
                int64_t left = deadline - cx_time_monotonic();
                if (left <= 0)
                        return -ETIMEDOUT;
                int n = poll(fds, 2, (int)(left / CX_NS_PER_MS) + 1);
                if (n > 0 && fds[1].revents)
                        return -ECANCELED;
                if (n > 0)
                        return 0;
        }
}

static int connect_one(const struct addrinfo *address, int64_t deadline, int cancel_fd, int *ret_fd)
{
        CX_CLEANUP(cx_closep)
        int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
        if (fd < 0)
                return -errno;
        if (connect(fd, address->ai_addr, address->ai_addrlen) < 0) {
                if (errno != EINPROGRESS)
                        return -errno;
                int r = wait_fd(fd, POLLOUT, deadline, cancel_fd), error = 0;
                socklen_t length = sizeof error;
                if (r < 0)
                        return r;
                if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 || error)
                        return error ? -error : -EIO;
        }
        // A peer that vanished without a word is noticed: at the latest 20 s after the last byte.
        static const struct {
                int level, name, value;
        } options[] = {{IPPROTO_TCP, TCP_NODELAY, 1},   {SOL_SOCKET, SO_KEEPALIVE, 1},
                       {IPPROTO_TCP, TCP_KEEPIDLE, 10}, {IPPROTO_TCP, TCP_KEEPINTVL, 5},
                       {IPPROTO_TCP, TCP_KEEPCNT, 2},   {IPPROTO_TCP, TCP_USER_TIMEOUT, 20000}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(options); i++)
                (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
        *ret_fd = fd;
        fd = -1;
        return 0;
}

static int connect_any(void *context CX_UNUSED, const char *host, const char *port, int64_t deadline, int cancel_fd)
{
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *found = NULL;
        int r = -EHOSTUNREACH, fd = -1;
        if (getaddrinfo(host, port, &hints, &found) != 0)
                return r;
        for (struct addrinfo *p = found; p && r < 0 && r != -ECANCELED; p = p->ai_next)
                r = connect_one(p, deadline, cancel_fd, &fd);
        freeaddrinfo(found);
        return r < 0 ? r : fd;
}

static int connect_unix(const char *path)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        CX_CLEANUP(cx_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        memcpy(address.sun_path, path, strlen(path) + 1); // cx_endpoint_parse has looked at its length
        if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
                return -errno;
        int connected = fd;
        fd = -1;
        return connected;
}

static int shake_hands(const struct cx_dialer *dialer, SSL *ssl, const char *host, int64_t deadline, int cancel_fd,
                       struct cx_error *err)
{
        X509_VERIFY_PARAM *verify = SSL_get0_param(ssl);
        if (X509_VERIFY_PARAM_set1_ip_asc(verify, host) != 1) {
                ERR_clear_error();
                X509_VERIFY_PARAM_set1_host(verify, host, 0);
                SSL_set_tlsext_host_name(ssl, host);
        }
        for (;;) {
                int n = SSL_connect(ssl), why = SSL_get_error(ssl, n);
                if (n == 1)
                        break;
                int r = why == SSL_ERROR_WANT_READ    ? wait_fd(SSL_get_fd(ssl), POLLIN, deadline, cancel_fd)
                        : why == SSL_ERROR_WANT_WRITE ? wait_fd(SSL_get_fd(ssl), POLLOUT, deadline, cancel_fd)
                                                      : -EPROTO;
                long verdict = SSL_get_verify_result(ssl);
                if (r == -EPROTO && verdict != X509_V_OK)
                        return cx_error_set(err, -EPERM, "TLS with %s failed: %s", host,
                                            X509_verify_cert_error_string(verdict));
                if (r == -EPROTO)
                        return fail(err, "TLS handshake failed");
                if (r < 0)
                        return cx_error_set(err, r, "TLS with %s failed: %s", host, strerror(-r));
        }
        if (!dialer->http2)
                return 0;
        const unsigned char *protocol;
        unsigned length;
        SSL_get0_alpn_selected(ssl, &protocol, &length);
        if (length != 2 || memcmp(protocol, "h2", 2) != 0)
                return cx_error_set(err, -EPROTO, "%s does not speak HTTP/2", host);
        return 0;
}

// --- dialers ---

static int make_tls(const struct cx_dialer *dialer, const struct cx_tls_texts *texts, SSL_CTX **ret_tls,
                    struct cx_error *err)
{
        CX_CLEANUP(ssl_ctx_freep) SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
        if (!tls)
                return fail(err, "cannot set up TLS");
        SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
        SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_read_ahead(tls, 1);
        static const unsigned char protocols[] = {2, 'h', '2'};
        if (dialer->http2)
                SSL_CTX_set_alpn_protos(tls, protocols, sizeof protocols);
        if (!trust(tls, texts->ca))
                return fail(err, "cannot read the certificate authority");
        if (texts->cert && texts->key && !present(tls, texts->cert, texts->key))
                return fail(err, "cannot use the client certificate and its key");
        *ret_tls = cx_steal(&tls);
        return 0;
}

int cx_dialer_new(const struct cx_dialer_options *options, struct cx_dialer **ret_dialer, struct cx_error *err)
{
        CX_CLEANUP(cx_dialer_freep) struct cx_dialer *dialer = cx_alloc(sizeof *dialer);
        CX_CLEANUP(cx_tls_texts_release) struct cx_tls_texts texts = {0};
        pthread_mutex_init(&dialer->lock, NULL);
        dialer->default_port = options->default_port ? cx_strdup(options->default_port) : NULL;
        dialer->http2 = options->http2;
        dialer->connect = options->connect ? options->connect : connect_any;
        dialer->context = options->context;
        cx_tls_files_init(&dialer->files, options->cert_file, options->key_file, options->ca_file, NULL);
        int r = cx_tls_files_any(&dialer->files) ? cx_tls_files_read(&dialer->files, &texts, err) : 0;
        if (r < 0)
                return r;
        texts.ca = texts.ca ? texts.ca : cx_strdup(options->ca_pem);
        texts.cert = texts.cert ? texts.cert : cx_strdup(options->cert_pem);
        texts.key = texts.key ? texts.key : cx_strdup(options->key_pem);
        r = make_tls(dialer, &texts, &dialer->tls, err);
        if (r == 0)
                *ret_dialer = cx_steal(&dialer);
        return r;
}

void cx_dialer_free(struct cx_dialer *dialer)
{
        if (!dialer)
                return;
        SSL_CTX_free(dialer->tls);
        cx_tls_files_release(&dialer->files);
        pthread_mutex_destroy(&dialer->lock);
        free(dialer->default_port);
        free(dialer);
}

// A session with what the files say now. All of them are files, or none is.
static SSL *new_session(struct cx_dialer *dialer)
{
        CX_CLEANUP(cx_tls_texts_release) struct cx_tls_texts texts = {0};
        CX_ERROR err = CX_ERROR_INIT;
        SSL_CTX *tls = NULL;
        pthread_mutex_lock(&dialer->lock);
        if (cx_tls_files_any(&dialer->files) && cx_tls_files_again(&dialer->files, &texts)) {
                if (make_tls(dialer, &texts, &tls, &err) < 0) {
                        cx_err(&err, "New certificates cannot be used, the old ones are");
                } else {
                        SSL_CTX_free(dialer->tls);
                        dialer->tls = tls;
                }
        }
        SSL *ssl = SSL_new(dialer->tls);
        pthread_mutex_unlock(&dialer->lock);
        return ssl;
}

static int dial_socket(struct cx_dialer *dialer, const struct cx_endpoint *endpoint, int64_t deadline, int cancel_fd,
                       struct cx_error *err)
{
        int fd = endpoint->path ? connect_unix(endpoint->path)
                                : dialer->connect(dialer->context, endpoint->host, endpoint->port, deadline, cancel_fd);
        return fd < 0 ? cx_error_set(err, fd, "cannot connect to %s: %s", endpoint->authority, strerror(-fd)) : fd;
}

int cx_dial(struct cx_dialer *dialer, const char *url, int64_t timeout, int cancel_fd, struct cx_link *ret_link,
            struct cx_error *err)
{
        CX_ENDPOINT endpoint = {0};
        int64_t deadline = cx_time_monotonic() + timeout;
        int r = cx_endpoint_parse(url, dialer->default_port, &endpoint, err);
        if (r < 0)
                return r;
        struct cx_link link = {.fd = dial_socket(dialer, &endpoint, deadline, cancel_fd, err)};
        if (link.fd < 0)
                return link.fd;
        if (endpoint.tls) {
                link.ssl = new_session(dialer);
                SSL_set_fd(link.ssl, link.fd);
                r = shake_hands(dialer, link.ssl, endpoint.host, deadline, cancel_fd, err);
        }
        if (r < 0) {
                cx_link_close(&link);
                return r;
        }
        *ret_link = link;
        return 0;
}
