// SPDX-License-Identifier: Apache-2.0
// A pull from one endpoint after the other; with each, the manifest, the configuration, then layers side by side.
#include "kubelet/image/pull.h"

#include "kubelet/image/docker_auth.h"
#include "kubelet/image/reference.h"
#include "kubelet/image/registry.h"
#include "kubelet/image/unpack.h"
#include "libcommon/base/log.h"
#include "libcommon/client/workqueue.h"
#include "libcommon/format/json.h"

#include <fcntl.h>
#include <pthread.h>

#define PARALLEL_LAYERS 3
#define LARGEST_LAYER (INT64_C(64) << 30)

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
        int64_t size = cx_json_int(descriptor, "size", -1);
        if (!digest_valid(digest) || size < 0 || size > LARGEST_LAYER)
                return cx_error_set(err, -EBADMSG, "manifest has a layer without a valid digest and size");
        CX_CLEANUP(cx_freep) char *folder = NULL;
        int r = image_store_layer_begin(f->options->store, digest, &folder, err);
        if (r != 0)
                return r < 0 ? r : 0;
        CX_CLEANUP(cx_closep) int fd = -1;
        CX_CLEANUP(cx_freep) char *root = cx_sprintf("%s/fs", folder);
        struct layer_content content;
        r = fetch_to_file(f, descriptor, digest, folder, &fd, err);
        if (r == 0)
                r = unpack_layer(fd, root, NULL, &content, err);
        if (r < 0) {
                image_store_layer_abort(f->options->store, digest, folder);
                return r;
        }
        return image_store_layer_commit(f->options->store, digest, folder, &content, err);
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
                size += bytes;
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
        return json_pack("{s:O, s:o, s:[s], s:o, s:O*, s:I, s:o}", "id", cx_json_get(manifest, "config.digest"),
                         "repoTags", tags, "repoDigests", by_digest, "layers", layers, "diffIDs",
                         cx_json_get(config, "rootfs.diff_ids"), "size", (json_int_t)size, "config",
                         json_is_object(inner) ? json_incref(inner) : json_object());
}

// One endpoint that is tried.
struct attempt {
        const struct pull_options *options;
        const struct image_ref *ref;
        const struct registry_endpoint *endpoint;
        const struct docker_auth *auth;
};

// With the store held.
static int pull_held(const struct attempt *a, json_t **ret_record, int64_t *ret_bytes, struct cx_error *err)
{
        const struct pull_options *o = a->options;
        const struct image_ref *ref = a->ref;
        CX_CLEANUP(registry_session_freep) struct registry_session *session = NULL;
        // A pull secret is for the registry that the image names, not for a mirror in front of it.
        struct registry_credentials credentials = {a->auth->username, a->auth->password, a->auth->identity_token};
        int r = registry_session_new(a->endpoint, a->endpoint->mirror ? NULL : &credentials, &session, err);
        if (r < 0)
                return r;
        json_auto_t *manifest = NULL, *config = NULL;
        CX_CLEANUP(cx_freep) char *digest = NULL;
        r = registry_manifest(session, ref->digest ? ref->digest : ref->tag, &manifest, &digest, err);
        if (r < 0)
                return r;
        const char *id = cx_json_string(manifest, "config.digest");
        json_auto_t *known = image_store_find(o->store, id);
        if (json_is_array(json_object_get(known, "diffIDs"))) {
                config = json_pack("{s:O, s:{s:O}}", "config", json_object_get(known, "config"), "rootfs", "diff_ids",
                                   json_object_get(known, "diffIDs"));
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
        cx_parallel(json_array_size(f.layers), PARALLEL_LAYERS, fetch_one, &f);
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

static int pull_from(const struct attempt *a, json_t **ret_record, int64_t *ret_bytes, struct cx_error *err)
{
        image_store_hold(a->options->store);
        int r = pull_held(a, ret_record, ret_bytes, err);
        image_store_let_go(a->options->store);
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
        CX_BUF answers = CX_BUF_INIT_MAX(8192); // of each place, or else a mirror's would never be known
        for (size_t i = 0; i < endpoints.count; i++) {
                cx_error_release(&last);
                r = pull_from(&(struct attempt){o, &ref, &endpoints.items[i], &auth}, ret_record, ret_bytes, &last);
                if (r == 0)
                        break;
                cx_debug(2, "Pull from an endpoint failed", "image", o->image, "endpoint", endpoints.items[i].base,
                         "err", cx_error_text(&last));
                cx_buf_printf(&answers, "%s%s: %s", i ? "; " : "", endpoints.items[i].base, cx_error_text(&last));
        }
        docker_auth_release(&auth);
        if (r == 0)
                return 0;
        CX_CLEANUP(cx_freep) char *name = image_ref_format(&ref);
        if (endpoints.count > 1)
                return cx_error_set(err, r, "failed to pull and unpack image \"%s\": %s", name, answers.data);
        (void)cx_error_wrap(&last, "failed to pull and unpack image \"%s\"", name);
        return cx_error_move(err, &last);
}
