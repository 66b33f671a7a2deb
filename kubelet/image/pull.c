// SPDX-License-Identifier: Apache-2.0
#include "kubelet/image/pull.h"

#include "kubelet/image/reference.h"
#include "kubelet/image/registry.h"
#include "kubelet/image/unpack.h"
#include "libcommon/base/log.h"
#include "libcommon/base/random.h"
#include "libcommon/client/workqueue.h"
#include "libcommon/format/json.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>

// Base64 to a string; NULL when it is none or holds a zero byte.
static char *decode_base64(const char *text)
{
        size_t n = strlen(text);
        if (n > (1 << 22) || n % 4)
                return NULL;
        CX_CLEANUP(cx_freep) unsigned char *out = cx_alloc(n / 4 * 3 + 4);
        int length = EVP_DecodeBlock(out, (const unsigned char *)text, (int)n);
        if (length < 0)
                return NULL;
        out[length] = '\0';
        return (char *)cx_steal(&out);
}

json_t *docker_config_from_secret(const json_t *secret)
{
        const json_t *data = json_object_get(secret, "data");
        const char *modern = json_string_value(json_object_get(data, ".dockerconfigjson"));
        const char *legacy = json_string_value(json_object_get(data, ".dockercfg"));
        CX_CLEANUP(cx_freep) char *text = modern ? decode_base64(modern) : legacy ? decode_base64(legacy) : NULL;
        json_t *config = NULL;
        if (!text || cx_json_parse(text, strlen(text), false, &config, NULL) < 0)
                return NULL;
        return modern ? config : json_pack("{s:o}", "auths", config);
}

// "https://index.docker.io/v1/" and "docker.io" are the same place; "host/path" covers what lies below it.
static bool auth_covers(const char *key, const char *registry, const char *repository)
{
        const char *scheme = strstr(key, "://");
        if (scheme)
                key = scheme + 3;
        size_t n = strcspn(key, "/");
        bool hub = strcmp(registry, "docker.io") == 0 && ((n == 15 && memcmp(key, "index.docker.io", n) == 0) ||
                                                          (n == 20 && memcmp(key, "registry-1.docker.io", n) == 0));
        if (!hub && (strlen(registry) != n || memcmp(key, registry, n) != 0))
                return false;
        const char *path = key + n + (key[n] == '/');
        size_t length = strlen(path);
        while (length && path[length - 1] == '/')
                length--;
        if (!length || (length == 2 && path[0] == 'v' && (path[1] == '1' || path[1] == '2')))
                return true;
        return strncmp(repository, path, length) == 0 && (repository[length] == '/' || !repository[length]);
}

bool docker_auth_find(const json_t *docker_configs, const char *registry, const char *repository,
                      struct docker_auth *ret_auth)
{
        size_t i, best = 0;
        json_t *config, *entry, *found = NULL;
        const char *key;
        json_array_foreach ((json_t *)docker_configs, i, config) {
                json_object_foreach (json_object_get(config, "auths"), key, entry) {
                        if (strlen(key) + 1 > best && auth_covers(key, registry, repository)) {
                                best = strlen(key) + 1;
                                found = entry;
                        }
                }
        }
        if (!found)
                return false;
        const char *auth = json_string_value(json_object_get(found, "auth"));
        CX_CLEANUP(cx_freep) char *pair = auth && *auth ? decode_base64(auth) : NULL;
        char *colon = pair ? strchr(pair, ':') : NULL;
        if (colon) {
                ret_auth->username = cx_strndup(pair, (size_t)(colon - pair));
                ret_auth->password = cx_strdup(colon + 1);
        } else {
                ret_auth->username = cx_strdup(json_string_value(json_object_get(found, "username")));
                ret_auth->password = cx_strdup(json_string_value(json_object_get(found, "password")));
        }
        ret_auth->identity_token = cx_strdup(json_string_value(json_object_get(found, "identitytoken")));
        return ret_auth->username || ret_auth->identity_token;
}

void docker_auth_release(struct docker_auth *auth)
{
        free(auth->username);
        free(auth->password);
        free(auth->identity_token);
        *auth = (struct docker_auth){0};
}

struct fetch {
        const struct pull_options *options;
        struct registry_session *session;
        const json_t *layers; // descriptors of the manifest
        pthread_mutex_t lock; // guards err
        struct cx_error err;
};

static int fetch_to_file(struct fetch *f, const json_t *descriptor, const char *digest, const char *folder, int *ret_fd,
                         struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/blob", folder);
        CX_CLEANUP(cx_closep) int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
                return cx_error_set(err, -errno, "cannot make %s: %s", path, strerror(errno));
        (void)unlink(path); // gone by itself when we die
        int r = registry_blob_to_fd(f->session, digest, cx_json_int(descriptor, "size", -1), fd, err);
        if (r < 0)
                return r;
        if (lseek(fd, 0, SEEK_SET) < 0)
                return cx_error_set(err, -errno, "cannot read %s again: %s", path, strerror(errno));
        *ret_fd = cx_steal_fd(&fd);
        return 0;
}

static int fetch_layer(struct fetch *f, const json_t *descriptor, struct cx_error *err)
{
        const char *digest = cx_json_string(descriptor, "digest");
        if (!digest_valid(digest))
                return cx_error_set(err, -EBADMSG, "manifest has a layer without a valid digest");
        CX_CLEANUP(cx_freep) char *folder = NULL;
        int r = image_store_layer_begin(f->options->store, digest, &folder, err);
        if (r != 0)
                return r < 0 ? r : 0;
        CX_CLEANUP(cx_closep) int fd = -1;
        CX_CLEANUP(cx_freep) char *root = cx_sprintf("%s/fs", folder);
        int64_t bytes = 0;
        r = fetch_to_file(f, descriptor, digest, folder, &fd, err);
        if (r == 0)
                r = unpack_layer(fd, root, NULL, &bytes, err);
        if (r < 0) {
                image_store_layer_abort(f->options->store, digest, folder);
                return r;
        }
        return image_store_layer_commit(f->options->store, digest, folder, bytes, err);
}

static void fetch_one(void *context, size_t i)
{
        struct fetch *f = context;
        pthread_mutex_lock(&f->lock);
        bool failed = f->err.code != 0;
        pthread_mutex_unlock(&f->lock);
        if (failed)
                return;
        CX_ERROR err = CX_ERROR_INIT;
        if (fetch_layer(f, json_array_get(f->layers, i), &err) == 0)
                return;
        pthread_mutex_lock(&f->lock);
        if (!f->err.code)
                (void)cx_error_move(&f->err, &err);
        pthread_mutex_unlock(&f->lock);
}

static json_t *make_record(const struct image_ref *ref, const char *digest, const json_t *manifest,
                           const json_t *config, int64_t *ret_size)
{
        json_t *layers = json_array(), *descriptor;
        int64_t size = cx_json_int(manifest, "config.size", 0);
        size_t i;
        json_array_foreach (json_object_get(manifest, "layers"), i, descriptor) {
                json_array_append(layers, json_object_get(descriptor, "digest"));
                int64_t bytes = cx_json_int(descriptor, "size", 0);
                size += bytes > 0 ? bytes : 0;
        }
        CX_CLEANUP(cx_freep) char *name = image_ref_name(ref);
        CX_CLEANUP(cx_freep) char *by_digest = cx_sprintf("%s@%s", name, digest);
        json_t *tags = json_array();
        if (ref->tag && !ref->digest) {
                CX_CLEANUP(cx_freep) char *tag = image_ref_format(ref);
                json_array_append_new(tags, json_string(tag));
        }
        json_t *inner = json_object_get(config, "config");
        *ret_size = size;
        return json_pack("{s:O, s:o, s:[s], s:o, s:I, s:o}", "id", cx_json_get(manifest, "config.digest"), "repoTags",
                         tags, "repoDigests", by_digest, "layers", layers, "size", (json_int_t)size, "config",
                         json_is_object(inner) ? json_incref(inner) : json_object());
}

static int pull_held(const struct pull_options *o, const struct image_ref *ref,
                     const struct registry_endpoint *endpoint, const struct docker_auth *auth, json_t **ret_record,
                     int64_t *ret_bytes, struct cx_error *err)
{
        CX_CLEANUP(registry_session_freep) struct registry_session *session = NULL;
        // A pull secret is for the registry that the image names, not for a mirror in front of it.
        struct registry_credentials credentials = {auth->username, auth->password, auth->identity_token};
        int r = registry_session_new(endpoint, endpoint->mirror ? NULL : &credentials, &session, err);
        if (r < 0)
                return r;
        json_auto_t *manifest = NULL, *config = NULL;
        CX_CLEANUP(cx_freep) char *digest = NULL;
        r = registry_manifest(session, ref->digest ? ref->digest : ref->tag, &manifest, &digest, err);
        if (r < 0)
                return r;
        const char *id = cx_json_string(manifest, "config.digest");
        json_auto_t *known = image_store_find(o->store, id);
        if (known) {
                config = json_pack("{s:O}", "config", json_object_get(known, "config"));
        } else {
                CX_BUF text = CX_BUF_INIT_MAX(8 << 20);
                r = registry_blob(session, id, 8 << 20, &text, err);
                if (r == 0)
                        r = cx_json_parse(text.data, text.length, false, &config, err);
                if (r < 0)
                        return cx_error_wrap(err, "image configuration %s", id);
        }
        struct fetch f = {.options = o, .session = session, .layers = json_object_get(manifest, "layers")};
        if (json_array_size(f.layers) > 500 || !json_array_size(f.layers))
                return cx_error_set(err, -EBADMSG, "the image has %zu layers", json_array_size(f.layers));
        pthread_mutex_init(&f.lock, NULL);
        cx_parallel(json_array_size(f.layers), o->parallel > 0 ? o->parallel : 3, fetch_one, &f);
        pthread_mutex_destroy(&f.lock);
        if (f.err.code)
                return cx_error_move(err, &f.err);
        int64_t size = 0;
        json_t *record = make_record(ref, digest, manifest, config, &size);
        if (!record)
                return cx_error_set(err, -EBADMSG, "the manifest is malformed");
        json_auto_t *keep = json_incref(record);
        r = image_store_put(o->store, record, err);
        if (r < 0)
                return r;
        if (ret_bytes)
                *ret_bytes = size;
        *ret_record = cx_steal(&keep);
        return 0;
}

static int pull_from(const struct pull_options *o, const struct image_ref *ref,
                     const struct registry_endpoint *endpoint, const struct docker_auth *auth, json_t **ret_record,
                     int64_t *ret_bytes, struct cx_error *err)
{
        image_store_hold(o->store);
        int r = pull_held(o, ref, endpoint, auth, ret_record, ret_bytes, err);
        image_store_let_go(o->store);
        return r;
}

int image_pull(const struct pull_options *o, json_t **ret_record, int64_t *ret_bytes, struct cx_error *err)
{
        IMAGE_REF ref = IMAGE_REF_INIT;
        REGISTRY_ENDPOINTS endpoints = {0};
        int r = image_ref_parse(o->image, &ref, err);
        if (r == 0)
                r = registries_endpoints(o->registries, ref.registry, ref.repository, &endpoints, err);
        if (r < 0)
                return r;
        struct docker_auth auth = {0};
        (void)docker_auth_find(o->docker_configs, ref.registry, ref.repository, &auth);
        CX_ERROR last = CX_ERROR_INIT;
        for (size_t i = 0; i < endpoints.count; i++) {
                cx_error_release(&last);
                r = pull_from(o, &ref, &endpoints.items[i], &auth, ret_record, ret_bytes, &last);
                if (r == 0)
                        break;
                cx_debug(2, "Pull from an endpoint failed", "image", o->image, "endpoint", endpoints.items[i].base,
                         "err", cx_error_text(&last));
        }
        docker_auth_release(&auth);
        if (r == 0)
                return 0;
        CX_CLEANUP(cx_freep) char *name = image_ref_format(&ref);
        (void)cx_error_wrap(&last, "failed to pull and unpack image \"%s\"", name);
        return cx_error_move(err, &last);
}
