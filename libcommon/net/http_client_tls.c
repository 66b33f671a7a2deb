// SPDX-License-Identifier: Apache-2.0
// Certificates of a client: given as texts, or read from files that are looked at once a second while there are calls. A
// transfer keeps the material that it began with; a connection that was made with other material is not used again.
#include "libcommon/base/time.h"
#include "libcommon/net/http_client_internal.h"

#define LOOK_PERIOD CX_NS_PER_S

static struct cx_http_material *material_new(struct cx_tls_texts *texts, unsigned generation)
{
        struct cx_http_material *material = cx_alloc(sizeof *material);
        atomic_init(&material->references, 1);
        material->generation = generation;
        material->texts = *texts;
        *texts = (struct cx_tls_texts){0};
        return material;
}

void cx_http_material_unref(struct cx_http_material *material)
{
        if (!material || atomic_fetch_sub(&material->references, 1) != 1)
                return;
        cx_tls_texts_release(&material->texts);
        cx_tls_credentials_free(material->credentials);
        free(material);
}

// What is given as a text stays it.
static void complete(struct cx_tls_texts *texts, const struct cx_http_client_options *options)
{
        texts->ca = texts->ca ? texts->ca : cx_strdup(options->ca_pem);
        texts->cert = texts->cert ? texts->cert : cx_strdup(options->cert_pem);
        texts->key = texts->key ? texts->key : cx_strdup(options->key_pem);
}

int cx_http_material_init(struct cx_http_client *client, const struct cx_http_client_options *options,
                          struct cx_error *err)
{
        CX_CLEANUP(cx_tls_texts_release) struct cx_tls_texts texts = {0};
        bool pair = options->cert_file && options->key_file;
        cx_tls_files_init(&client->files, pair ? options->cert_file : NULL, pair ? options->key_file : NULL,
                          options->ca_file, NULL);
        CX_ERROR failure = CX_ERROR_INIT;
        int r = cx_tls_files_any(&client->files) ? cx_tls_files_read(&client->files, &texts, &failure) : 0;
        if (r < 0 && ((options->ca_file && !options->ca_pem) || (pair && !options->cert_pem)))
                return cx_error_move(err, &failure);
        complete(&texts, options); // files that are just being replaced are read again later
        client->material = material_new(&texts, 1);
        client->material_checked = cx_time_monotonic();
        return 0;
}

// Those of before: the certificate, when only the authorities are files, and the other way round.
static void keep_texts(struct cx_tls_texts *texts, const struct cx_tls_texts *old)
{
        texts->ca = texts->ca ? texts->ca : cx_strdup(old->ca);
        texts->cert = texts->cert ? texts->cert : cx_strdup(old->cert);
        texts->key = texts->key ? texts->key : cx_strdup(old->key);
}

// Whether it speaks TLS to its servers, or to the URLs that calls bring.
static bool has_tls(const struct cx_http_client *client)
{
        return !client->n_servers || cx_has_prefix(client->servers[0], "https://");
}

static struct cx_http_material *take(struct cx_http_client *client)
{
        CX_CLEANUP(cx_tls_texts_release) struct cx_tls_texts texts = {0};
        struct cx_http_material *old = NULL;
        pthread_mutex_lock(&client->lock);
        int64_t now = cx_time_monotonic();
        if (cx_tls_files_any(&client->files) && now - client->material_checked > LOOK_PERIOD) {
                client->material_checked = now;
                if (cx_tls_files_again(&client->files, &texts)) {
                        old = client->material;
                        keep_texts(&texts, &old->texts);
                        client->material = material_new(&texts, old->generation + 1);
                }
        }
        struct cx_http_material *material = client->material;
        if (!material->decoded && has_tls(client)) {
                const struct cx_tls_texts *t = &material->texts;
                if (t->ca || (t->cert && t->key))
                        material->credentials = cx_tls_credentials_new(t->cert, t->key, t->ca);
                material->decoded = true;
        }
        atomic_fetch_add(&material->references, 1);
        pthread_mutex_unlock(&client->lock);
        if (old)
                cx_http_client_drop_idle(client);
        cx_http_material_unref(old);
        return material;
}

static CURLcode use_credentials(CURL *easy CX_UNUSED, void *context, void *credentials)
{
        return cx_tls_credentials_use(credentials, context) ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

static void set_texts(CURL *easy, const struct cx_tls_texts *texts)
{
        if (texts->ca) {
                struct curl_blob blob = {texts->ca, strlen(texts->ca), CURL_BLOB_NOCOPY};
                curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
        }
        if (texts->cert && texts->key) {
                struct curl_blob cert = {texts->cert, strlen(texts->cert), CURL_BLOB_NOCOPY};
                struct curl_blob key = {texts->key, strlen(texts->key), CURL_BLOB_NOCOPY};
                curl_easy_setopt(easy, CURLOPT_SSLCERTTYPE, "PEM");
                curl_easy_setopt(easy, CURLOPT_SSLKEYTYPE, "PEM");
                curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &cert);
                curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &key);
                curl_easy_setopt(easy, CURLOPT_KEYPASSWD,
                                 ""); // or else OpenSSL asks for one at the terminal, and waits
        }
}

void cx_http_set_tls(CURL *easy, struct cx_http_client *client, unsigned *generation, struct cx_http_setup *setup)
{
        setup->material = take(client);
        if (generation && *generation && *generation != setup->material->generation)
                curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
        if (generation)
                *generation = setup->material->generation;
        const struct cx_tls_texts *texts = &setup->material->texts;
        if (client->insecure) {
                curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
                curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
        }
        if (client->insecure || texts->ca) { // or else the system's bundle is parsed for every connection
                curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
                curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
        }
        if (setup->material->credentials &&
            curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, use_credentials) == CURLE_OK) {
                curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, setup->material->credentials);
                if (texts->ca) // or else those of another connection, for which libcurl knows of none either, would be taken
                        curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
        } else {
                set_texts(easy, texts);
        }
}
