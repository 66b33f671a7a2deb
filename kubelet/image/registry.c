// SPDX-License-Identifier: Apache-2.0
// The registry protocol over HTTP: challenges are answered once, blobs verified as they stream and resumed.
#include "kubelet/image/registry.h"

#include "kubelet/image/reference.h"
#include "libcommon/format/json.h"
#include "libcommon/net/http_client.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <strings.h>
#include <sys/utsname.h>

#define MANIFEST_MAX ((size_t)4 << 20)
#define STALL_TIMEOUT (INT64_C(30) * 1000000000)
#define ACCEPT_MANIFESTS                                                                                               \
        "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, "           \
        "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"

struct registry_session {
        struct cx_http_client *client;
        struct cx_http_client *token_client; // the token server is another host: system trust, no client certificate
        char *base, *repository, *username, *password, *identity_token;
        pthread_mutex_t lock; // guards authorization
        char *authorization;  // "Authorization: …" or NULL
};

const char *registry_architecture(void)
{
        static const char *const names[][2] = {{"x86_64", "amd64"},    {"aarch64", "arm64"}, {"armv7l", "arm"},
                                               {"ppc64le", "ppc64le"}, {"s390x", "s390x"},   {"riscv64", "riscv64"}};
        struct utsname u;
        if (uname(&u) == 0)
                for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++)
                        if (strcmp(u.machine, names[i][0]) == 0)
                                return names[i][1];
        return "amd64";
}

const json_t *registry_pick_platform(const json_t *index, const char *os, const char *architecture)
{
        size_t i;
        json_t *entry;
        json_array_foreach (json_object_get(index, "manifests"), i, entry) {
                if (cx_streq(cx_json_string(entry, "platform.os"), os) &&
                    cx_streq(cx_json_string(entry, "platform.architecture"), architecture))
                        return entry;
        }
        // An index of one entry without a platform is what some local tools write.
        json_t *only = json_array_get(json_object_get(index, "manifests"), 0);
        return json_array_size(json_object_get(index, "manifests")) == 1 && !json_object_get(only, "platform") ? only
                                                                                                               : NULL;
}

int registry_parse_challenge(const char *header, char scheme[16], json_t **ret_parameters)
{
        size_t n = strcspn(header, " \t");
        if (!n || n > 15)
                return -EINVAL;
        for (size_t i = 0; i < n; i++)
                scheme[i] = (char)tolower((unsigned char)header[i]);
        scheme[n] = '\0';
        json_auto_t *parameters = json_object();
        const char *p = header + n;
        for (;;) {
                p += strspn(p, " \t,");
                if (!*p)
                        break;
                size_t k = strcspn(p, "=, \t");
                if (!k || k > 64 || p[k] != '=')
                        return -EINVAL;
                CX_CLEANUP(cx_freep) char *key = cx_strndup(p, k);
                for (char *c = key; *c; c++)
                        *c = (char)tolower((unsigned char)*c);
                p += k + 1;
                CX_BUF value = CX_BUF_INIT_MAX(4096);
                if (*p == '"') {
                        for (p++; *p && *p != '"'; p++) {
                                if (*p == '\\' && p[1])
                                        p++;
                                cx_buf_add_char(&value, *p);
                        }
                        if (*p++ != '"')
                                return -EINVAL;
                } else {
                        size_t v = strcspn(p, ", \t");
                        cx_buf_append(&value, p, v);
                        p += v;
                }
                json_object_set_new(parameters, key, json_string(value.data));
        }
        *ret_parameters = cx_steal(&parameters);
        return 0;
}

int registry_session_new(const struct registry_endpoint *e, const struct registry_credentials *credentials,
                         struct registry_session **ret_session, struct cx_error *err)
{
        CX_CLEANUP(registry_session_freep) struct registry_session *s = cx_alloc(sizeof *s);
        pthread_mutex_init(&s->lock, NULL);
        s->base = cx_strdup(e->base);
        s->repository = cx_strdup(e->repository);
        bool own = credentials && (credentials->username || credentials->identity_token);
        s->username = cx_strdup(own ? credentials->username : e->username);
        s->password = cx_strdup(own ? credentials->password : e->password);
        s->identity_token = cx_strdup(own ? credentials->identity_token : e->identity_token);
        int r = cx_http_client_new(&(struct cx_http_client_options){.ca_pem = e->ca_pem,
                                                                    .cert_pem = e->cert_pem,
                                                                    .key_pem = e->key_pem,
                                                                    .insecure = e->insecure,
                                                                    .max_idle = 4},
                                   &s->client, err);
        if (r == 0)
                r = cx_http_client_new(
                        &(struct cx_http_client_options){.ca_pem = e->ca_pem, .insecure = e->insecure, .max_idle = 1},
                        &s->token_client, err);
        if (r < 0)
                return r;
        *ret_session = cx_steal(&s);
        return 0;
}

void registry_session_free(struct registry_session *s)
{
        if (!s)
                return;
        cx_http_client_free(s->client);
        cx_http_client_free(s->token_client);
        free(s->base);
        free(s->repository);
        free(s->username);
        free(s->password);
        free(s->identity_token);
        free(s->authorization);
        pthread_mutex_destroy(&s->lock);
        free(s);
}

static char *basic_header(const struct registry_session *s)
{
        CX_CLEANUP(cx_freep) char *plain = cx_sprintf("%s:%s", cx_str(s->username), cx_str(s->password));
        size_t n = strlen(plain);
        CX_CLEANUP(cx_freep) unsigned char *encoded = cx_alloc(n * 4 / 3 + 8);
        EVP_EncodeBlock(encoded, (unsigned char *)plain, (int)n);
        return cx_sprintf("Authorization: Basic %s", (char *)encoded);
}

bool registry_realm_good(const char *base, const char *realm)
{
        return realm && (cx_has_prefix(realm, "https://") ||
                         (cx_has_prefix(realm, "http://") && !cx_has_prefix(base, "https://")));
}

// Gets a token from the realm that the challenge names.
static int fetch_token(struct registry_session *s, const json_t *parameters, char **ret_header, struct cx_error *err)
{
        const char *realm = cx_json_string(parameters, "realm");
        const char *service = cx_json_string(parameters, "service"), *scope = cx_json_string(parameters, "scope");
        if (!registry_realm_good(s->base, realm))
                return cx_error_set(err, -EPROTO, "the registry's challenge names no token server that can be trusted");
        CX_BUF url = CX_BUF_INIT_MAX(8192);
        cx_buf_printf(&url, "%s%cscope=", realm, strchr(realm, '?') ? '&' : '?');
        CX_CLEANUP(cx_freep) char *own_scope = cx_sprintf("repository:%s:pull", s->repository);
        cx_url_encode(&url, scope ? scope : own_scope);
        if (service) {
                cx_buf_add(&url, "&service=");
                cx_url_encode(&url, service);
        }
        CX_CLEANUP(cx_freep) char *basic = s->username ? basic_header(s) : NULL;
        CX_BUF form = CX_BUF_INIT_MAX(65536);
        if (s->identity_token) {
                cx_buf_add(&form, "grant_type=refresh_token&client_id=coxswain&service=");
                cx_url_encode(&form, cx_str(service));
                cx_buf_add(&form, "&scope=");
                cx_url_encode(&form, scope ? scope : own_scope);
                cx_buf_add(&form, "&refresh_token=");
                cx_url_encode(&form, s->identity_token);
        }
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        bool post = s->identity_token != NULL;
        int r = cx_http_do(s->token_client,
                           &(struct cx_http_call){.method = post ? "POST" : "GET",
                                                  .path = post ? realm : url.data,
                                                  .body = post ? form.data : NULL,
                                                  .body_length = form.length,
                                                  .content_type = "application/x-www-form-urlencoded",
                                                  .headers = (const char *[]){post ? NULL : basic, NULL},
                                                  .max_reply = 1 << 20,
                                                  .timeout = 30 * INT64_C(1000000000)},
                           &reply, err);
        if (r < 0)
                return cx_error_wrap(err, "cannot get a token from %s", realm);
        if (reply.code != 200)
                return cx_error_set(err, -EACCES, "failed to authorize: token server %s answered %d", realm,
                                    reply.code);
        json_auto_t *answer = NULL;
        r = cx_json_parse(reply.body.data, reply.body.length, false, &answer, err);
        if (r < 0)
                return cx_error_wrap(err, "token server %s", realm);
        const char *token = cx_json_string(answer, "token");
        if (!token)
                token = cx_json_string(answer, "access_token");
        if (!token || strpbrk(token, "\r\n"))
                return cx_error_set(err, -EPROTO, "token server %s gave no token", realm);
        *ret_header = cx_sprintf("Authorization: Bearer %s", token);
        return 0;
}

static int authorize(struct registry_session *s, const struct cx_http_reply *reply, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *challenge = cx_http_reply_header(reply, "WWW-Authenticate");
        char scheme[16] = "";
        json_auto_t *parameters = NULL;
        if (!challenge || registry_parse_challenge(challenge, scheme, &parameters) < 0)
                return cx_error_set(err, -EACCES, "authorization failed: no usable challenge");
        char *header = NULL;
        if (strcmp(scheme, "bearer") == 0) {
                int r = fetch_token(s, parameters, &header, err);
                if (r < 0)
                        return r;
        } else if (strcmp(scheme, "basic") == 0 && s->username) {
                header = basic_header(s);
        } else {
                return cx_error_set(err, -EACCES, "authorization failed: no basic auth credentials");
        }
        pthread_mutex_lock(&s->lock);
        free(s->authorization);
        s->authorization = header;
        pthread_mutex_unlock(&s->lock);
        return 0;
}

// One GET under the repository, with at most one round of authorization. `call` has everything but path and headers.
// `path`: "manifests/…" or "blobs/…"; extra_header: NULL for none.
static int get(struct registry_session *s, const char *path, struct cx_http_call *call, const char *extra_header,
               struct cx_http_reply *ret_reply, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *url = cx_sprintf("%s/%s/%s", s->base, s->repository, path);
        for (int attempt = 0;; attempt++) {
                pthread_mutex_lock(&s->lock);
                CX_CLEANUP(cx_freep) char *authorization = cx_strdup(s->authorization);
                pthread_mutex_unlock(&s->lock);
                const char *headers[3] = {0};
                size_t n = 0;
                if (authorization)
                        headers[n++] = authorization;
                if (extra_header)
                        headers[n++] = extra_header;
                call->path = url;
                call->headers = headers;
                call->follow_redirects = true;
                cx_http_reply_release(ret_reply);
                *ret_reply = (struct cx_http_reply)CX_HTTP_REPLY_INIT;
                int r = cx_http_do(s->client, call, ret_reply, err);
                call->headers = NULL;
                call->path = NULL;
                if (r < 0)
                        return r;
                if (ret_reply->code != 401 || attempt)
                        return 0;
                r = authorize(s, ret_reply, err);
                if (r < 0)
                        return r;
        }
}

// Turns a bad HTTP status into the error that an event shows.
static int refuse(const struct registry_session *s, const char *reference, int code, struct cx_error *err)
{
        if (code == 404)
                return cx_error_reason(err, CX_REASON_NOT_FOUND, "%s/%s:%s: not found", s->base, s->repository,
                                       reference);
        if (code == 401 || code == 403)
                return cx_error_set(err, -EACCES,
                                    "pull access denied, repository does not exist or may require authorization: "
                                    "server message: %d from %s/%s",
                                    code, s->base, s->repository);
        return cx_error_set(err, -EIO, "unexpected status %d from %s/%s", code, s->base, s->repository);
}

static void hex(const unsigned char *raw, unsigned n, char *to)
{
        static const char digits[] = "0123456789abcdef";
        for (unsigned i = 0; i < n; i++) {
                to[2 * i] = digits[raw[i] >> 4];
                to[2 * i + 1] = digits[raw[i] & 15];
        }
        to[2 * n] = '\0';
}

static void digest_of(const void *data, size_t length, char to[72])
{
        unsigned char raw[EVP_MAX_MD_SIZE];
        unsigned n = 0;
        EVP_Digest(data, length, raw, &n, EVP_sha256(), NULL);
        memcpy(to, "sha256:", 7);
        hex(raw, n, to + 7);
}

static int get_manifest(struct registry_session *s, const char *reference, json_t **ret_json, char to[72],
                        struct cx_error *err)
{
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("manifests/%s", reference);
        int r = get(s, path,
                    &(struct cx_http_call){
                            .accept = ACCEPT_MANIFESTS, .max_reply = MANIFEST_MAX, .timeout = 60 * INT64_C(1000000000)},
                    NULL, &reply, err);
        if (r < 0)
                return r;
        if (reply.code != 200)
                return refuse(s, reference, reply.code, err);
        digest_of(reply.body.data, reply.body.length, to);
        if (digest_valid(reference) && strcmp(reference, to) != 0)
                return cx_error_set(err, -EBADMSG, "manifest verification failed: digest is %s, not %s", to, reference);
        r = cx_json_parse(reply.body.data, reply.body.length, false, ret_json, err);
        return r < 0 ? cx_error_wrap(err, "manifest %s", reference) : 0;
}

int registry_manifest(struct registry_session *s, const char *reference, json_t **ret_manifest, char **ret_digest,
                      struct cx_error *err)
{
        char digest[72], inner[72];
        json_auto_t *json = NULL;
        int r = get_manifest(s, reference, &json, digest, err);
        if (r < 0)
                return r;
        if (json_is_array(json_object_get(json, "manifests")) && !json_object_get(json, "layers")) {
                const json_t *entry = registry_pick_platform(json, "linux", registry_architecture());
                const char *child = cx_json_string(entry, "digest");
                if (!digest_valid(child))
                        return cx_error_set(err, -ENOENT, "no match for platform in manifest: not found");
                CX_CLEANUP(cx_freep) char *wanted = cx_strdup(child);
                json_decref(json);
                json = NULL;
                r = get_manifest(s, wanted, &json, inner, err);
                if (r < 0)
                        return r;
        }
        // What is a list and an image at once would be read as one here and as the other elsewhere.
        if (!digest_valid(cx_json_string(json, "config.digest")) || !json_is_array(json_object_get(json, "layers")) ||
            json_object_get(json, "manifests"))
                return cx_error_set(err, -EBADMSG, "manifest of %s is not an image manifest", s->repository);
        *ret_manifest = cx_steal(&json);
        *ret_digest = cx_strdup(digest);
        return 0;
}

int registry_blob(struct registry_session *s, const char *digest, size_t max, struct cx_buf *ret_data,
                  struct cx_error *err)
{
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("blobs/%s", digest);
        int r = get(s, path, &(struct cx_http_call){.accept = "*/*", .max_reply = max}, NULL, &reply, err);
        if (r < 0)
                return r;
        if (reply.code != 200)
                return refuse(s, digest, reply.code, err);
        char actual[72];
        digest_of(reply.body.data, reply.body.length, actual);
        if (strcmp(actual, digest) != 0)
                return cx_error_set(err, -EBADMSG, "blob verification failed: digest is %s, not %s", actual, digest);
        cx_buf_append(ret_data, reply.body.data, reply.body.length);
        return 0;
}

struct blob_transfer {
        int fd;
        int64_t done, size;
        EVP_MD_CTX *hash;
        int error;
};

static int on_data(void *context, const struct cx_http_reply *reply, const char *data, size_t length)
{
        struct blob_transfer *t = context;
        if (reply->code == 200 && t->done) { // the server ignored our range on the first block of a retry
                t->error = -ESPIPE;
                return -1;
        }
        if (reply->code != 200 && reply->code != 206)
                return 0;
        if (t->size >= 0 && t->done + (int64_t)length > t->size) {
                t->error = -EFBIG;
                return -1;
        }
        EVP_DigestUpdate(t->hash, data, length);
        while (length) {
                ssize_t n = write(t->fd, data, length);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        t->error = -errno;
                        return -1;
                }
                data += n;
                length -= (size_t)n;
                t->done += n;
        }
        return 0;
}

// `reply->code == 200 && t->done` would also be true for the second block of a plain transfer: a plain transfer starts
// with its own callback that clears this by having no offset.
static int on_data_plain(void *context, const struct cx_http_reply *reply, const char *data, size_t length)
{
        struct cx_http_reply as_partial = {.code = reply->code == 200 ? 206 : reply->code};
        return on_data(context, &as_partial, data, length);
}

static int transfer_once(struct registry_session *s, const char *digest, struct blob_transfer *t, struct cx_error *err)
{
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        CX_CLEANUP(cx_freep) char *range = t->done ? cx_sprintf("Range: bytes=%lld-", (long long)t->done) : NULL;
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("blobs/%s", digest);
        int r = get(s, path,
                    &(struct cx_http_call){.accept = "*/*",
                                           .timeout = -1,
                                           .stall_timeout = STALL_TIMEOUT,
                                           .context = t,
                                           .on_data = t->done ? on_data : on_data_plain},
                    range, &reply, err);
        if (r < 0)
                return r;
        if (reply.code != 200 && reply.code != 206)
                return refuse(s, digest, reply.code, err);
        return 0;
}

int registry_blob_to_fd(struct registry_session *s, const char *digest, int64_t size, int fd, struct cx_error *err)
{
        struct blob_transfer t = {.fd = fd, .size = size, .hash = EVP_MD_CTX_new()};
        EVP_DigestInit_ex(t.hash, EVP_sha256(), NULL);
        int r = 0;
        for (int attempt = 0; attempt < 5; attempt++) {
                CX_ERROR once = CX_ERROR_INIT;
                int64_t before = t.done;
                r = transfer_once(s, digest, &t, &once);
                if (t.error == -ESPIPE) {
                        t.done = 0;
                        t.error = 0;
                        EVP_DigestInit_ex(t.hash, EVP_sha256(), NULL);
                        if (lseek(fd, 0, SEEK_SET) < 0 || ftruncate(fd, 0) < 0)
                                t.error = -errno;
                } else if (t.error == -EFBIG) {
                        r = cx_error_set(err, -EBADMSG, "blob %s is longer than its descriptor says", digest);
                        break;
                }
                if (t.error || r == 0 || once.reason == CX_REASON_NOT_FOUND || r == -EACCES ||
                    (attempt && t.done == before)) {
                        if (t.error)
                                r = cx_error_set(err, t.error, "cannot store blob %s: %s", digest, strerror(-t.error));
                        else if (r < 0)
                                r = cx_error_move(err, &once);
                        break;
                }
                if (attempt == 4)
                        r = cx_error_move(err, &once);
        }
        unsigned char raw[EVP_MAX_MD_SIZE];
        unsigned n = 0;
        char actual[72] = "sha256:";
        EVP_DigestFinal_ex(t.hash, raw, &n);
        EVP_MD_CTX_free(t.hash);
        if (r < 0)
                return r;
        hex(raw, n, actual + 7);
        if (strcmp(actual, digest) != 0)
                return cx_error_set(err, -EBADMSG, "blob verification failed: digest is %s, not %s", actual, digest);
        return 0;
}
