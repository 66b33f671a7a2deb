// SPDX-License-Identifier: Apache-2.0
// What a server shows of itself and believes of others: certificate, key, authorities. Made of texts, or of files that are
// looked at when a connection comes and a second has passed since the last look. A connection keeps what it began with, so a
// change disturbs none; libmicrohttpd's own credentials are replaced in each session before its handshake.
#include "libcommon/net/http_server_internal.h"

#include "libcommon/base/log.h"
#include "libcommon/base/time.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#define LOOK_PERIOD CX_NS_PER_S

static int trust_new(const char *what, const char *pem, gnutls_x509_trust_list_t *ret_list, struct cx_error *err)
{
        if (!pem)
                return 0;
        gnutls_datum_t text = {(unsigned char *)pem, (unsigned)strlen(pem)};
        gnutls_x509_trust_list_t list;
        if (gnutls_x509_trust_list_init(&list, 0) < 0)
                abort();
        *ret_list = list;
        int count = gnutls_x509_trust_list_add_trust_mem(list, &text, NULL, GNUTLS_X509_FMT_PEM, 0, 0);
        return count > 0 ? 0 : cx_error_set(err, -EINVAL, "no certificate in the authority of %s", what);
}

char *cx_http_authorities(const struct cx_tls_texts *texts)
{
        return texts->ca || texts->other_ca ? cx_sprintf("%s\n%s", cx_str(texts->ca), cx_str(texts->other_ca)) : NULL;
}

static int make_credentials(struct cx_http_identity *identity, const struct cx_tls_texts *texts, struct cx_error *err)
{
        if (gnutls_certificate_allocate_credentials(&identity->credentials) < 0)
                abort();
        gnutls_datum_t cert = {(unsigned char *)texts->cert, (unsigned)strlen(texts->cert)};
        gnutls_datum_t key = {(unsigned char *)texts->key, (unsigned)strlen(texts->key)};
        int r = gnutls_certificate_set_x509_key_mem2(identity->credentials, &cert, &key, GNUTLS_X509_FMT_PEM, NULL, 0);
        if (r < 0)
                return cx_error_set(err, -EINVAL, "cannot serve with this certificate and key: %s", gnutls_strerror(r));
        // TLS is told both authorities, since a client chooses its certificate by their names.
        CX_CLEANUP(cx_freep) char *authorities = cx_http_authorities(texts);
        gnutls_datum_t trust = {(unsigned char *)authorities, authorities ? (unsigned)strlen(authorities) : 0};
        if (authorities)
                (void)gnutls_certificate_set_x509_trust_mem(identity->credentials, &trust, GNUTLS_X509_FMT_PEM);
        return 0;
}

static int identity_new(const struct cx_tls_texts *texts, struct cx_http_identity **ret_identity, struct cx_error *err)
{
        struct cx_http_identity *identity = cx_alloc(sizeof *identity);
        atomic_init(&identity->references, 1);
        int r = trust_new("clients", texts->ca, &identity->clients, err);
        if (r == 0)
                r = trust_new("front proxies", texts->other_ca, &identity->front_proxies, err);
        if (r == 0 && texts->cert && texts->key)
                r = make_credentials(identity, texts, err);
        if (r < 0) {
                cx_http_identity_unref(identity);
                return r;
        }
        *ret_identity = identity;
        return 0;
}

void cx_http_identity_unref(struct cx_http_identity *identity)
{
        if (!identity || atomic_fetch_sub(&identity->references, 1) != 1)
                return;
        if (identity->credentials)
                gnutls_certificate_free_credentials(identity->credentials);
        if (identity->clients)
                gnutls_x509_trust_list_deinit(identity->clients, 1);
        if (identity->front_proxies)
                gnutls_x509_trust_list_deinit(identity->front_proxies, 1);
        free(identity);
}

static void complete(struct cx_tls_texts *texts, const struct cx_tls_texts *from)
{
        texts->cert = texts->cert ? texts->cert : cx_strdup(from->cert);
        texts->key = texts->key ? texts->key : cx_strdup(from->key);
        texts->ca = texts->ca ? texts->ca : cx_strdup(from->ca);
        texts->other_ca = texts->other_ca ? texts->other_ca : cx_strdup(from->other_ca);
}

int cx_http_identity_init(struct cx_http_server *server, struct cx_error *err)
{
        const struct cx_http_server_options *o = &server->options;
        cx_tls_files_init(&server->files, o->cert_file, o->key_file, o->client_ca_file, o->front_proxy_ca_file);
        int r = cx_tls_files_any(&server->files) ? cx_tls_files_read(&server->files, &server->texts, err) : 0;
        if (r < 0)
                return r;
        complete(&server->texts, &(struct cx_tls_texts){(char *)o->cert_pem, (char *)o->key_pem,
                                                        (char *)o->client_ca_pem, (char *)o->front_proxy_ca_pem});
        server->tls = server->texts.cert;
        server->identity_checked = cx_time_monotonic();
        return identity_new(&server->texts, &server->identity, err);
}

void cx_http_identity_release(struct cx_http_server *server)
{
        cx_http_identity_unref(server->identity);
        cx_tls_texts_release(&server->texts);
        cx_tls_files_release(&server->files);
}

// What is new takes the place of what there was.
static int take_texts(struct cx_http_server *server, struct cx_tls_texts *texts, struct cx_error *err)
{
        struct cx_http_identity *identity = NULL;
        complete(texts, &server->texts);
        int r = identity_new(texts, &identity, err);
        if (r < 0)
                return r;
        cx_http_identity_unref(server->identity);
        server->identity = identity;
        cx_tls_texts_release(&server->texts);
        server->texts = *texts;
        *texts = (struct cx_tls_texts){0};
        return 0;
}

static void look_again(struct cx_http_server *server)
{
        CX_CLEANUP(cx_tls_texts_release) struct cx_tls_texts texts = {0};
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_tls_files_again(&server->files, &texts) && take_texts(server, &texts, &err) < 0)
                cx_err(&err, "New certificates cannot be served, the old ones are", "port", CX_INT(server->port));
}

int cx_http_server_use(struct cx_http_server *server, const char *cert_file, const char *key_file, struct cx_error *err)
{
        CX_CLEANUP(cx_tls_files_release) struct cx_tls_files files;
        CX_CLEANUP(cx_tls_texts_release) struct cx_tls_texts texts = {0};
        pthread_mutex_lock(&server->identity_lock);
        cx_tls_files_init(&files, cert_file, key_file, server->files.paths[2], server->files.paths[3]);
        int r = cx_tls_files_read(&files, &texts, err);
        if (r == 0)
                r = take_texts(server, &texts, err);
        if (r == 0) {
                struct cx_tls_files old = server->files;
                server->files = files;
                files = old;
        }
        pthread_mutex_unlock(&server->identity_lock);
        return r;
}

struct cx_http_identity *cx_http_identity_take(struct cx_http_server *server)
{
        pthread_mutex_lock(&server->identity_lock);
        int64_t now = cx_time_monotonic();
        if (now - server->identity_checked > LOOK_PERIOD) {
                server->identity_checked = now;
                look_again(server);
        }
        struct cx_http_identity *identity = server->identity;
        atomic_fetch_add(&identity->references, 1);
        pthread_mutex_unlock(&server->identity_lock);
        return identity;
}
