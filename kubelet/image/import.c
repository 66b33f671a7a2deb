// SPDX-License-Identifier: Apache-2.0
// An archive is read twice: once for the small JSON documents in it, by which the layers are known, and once for the
// layers themselves, each through an unlinked file, since unpacking needs to seek.
#include "kubelet/image/import.h"

#include "kubelet/image/reference.h"
#include "kubelet/image/request.h"
#include "kubelet/image/unpack.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/process.h"
#include "libcommon/format/json.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>

#define MAX_DOCUMENT ((size_t)4 << 20)
#define MAX_DOCUMENTS 2000
#define ALL_DOCUMENTS ((size_t)64 << 20)
#define MAX_LAYERS 500
#define MAX_LAYER (INT64_C(16) << 30)

struct archive_layer {
        char *path;   // in the archive
        char *digest; // "sha256:…" of the archive's member; NULL: known once it was read (docker save)
        bool done;
};

struct import {
        struct image_store *store;
        const char *archive;
        struct cx_map documents; // path → struct cx_buf *
        struct archive_layer layers[MAX_LAYERS];
        size_t n_layers;
        json_t *config; // the image configuration
        char *id;       // its digest
        struct cx_strings tags, digests;
        int64_t size;
};

CX_DEFINE_CLEANUP(struct archive, archive_freep, archive_read_free)

static void free_document(void *value)
{
        cx_buf_release(value);
        free(value);
}

static int open_archive(const char *path, struct archive **ret_archive, struct cx_error *err)
{
        struct archive *a = archive_read_new();
        archive_read_support_format_tar(a);
        // Those that need no external program.
        archive_read_support_filter_none(a);
        archive_read_support_filter_gzip(a);
        archive_read_support_filter_bzip2(a);
        archive_read_support_filter_xz(a);
        archive_read_support_filter_zstd(a);
        if (archive_read_open_filename(a, path, 131072) != ARCHIVE_OK) {
                int r = cx_error_set(err, -EINVAL, "%s is not an archive: %s", path, cx_str(archive_error_string(a)));
                archive_read_free(a);
                return r;
        }
        *ret_archive = a;
        return 0;
}

static const char *member_path(struct archive_entry *entry)
{
        const char *path = cx_str(archive_entry_pathname(entry));
        while (cx_has_prefix(path, "./"))
                path += 2;
        return path;
}

static int read_documents(struct import *import, struct cx_error *err)
{
        CX_CLEANUP(archive_freep) struct archive *a = NULL;
        struct archive_entry *entry;
        size_t total = 0;
        int r = open_archive(import->archive, &a, err), status;
        if (r < 0)
                return r;
        while ((status = archive_read_next_header(a, &entry)) == ARCHIVE_OK || status == ARCHIVE_WARN) {
                int64_t size = archive_entry_size(entry);
                if (archive_entry_filetype(entry) != AE_IFREG || size > (int64_t)MAX_DOCUMENT)
                        continue;
                if (import->documents.count >= MAX_DOCUMENTS)
                        return cx_error_set(err, -EINVAL, "%s has too many members", import->archive);
                struct cx_buf *text = cx_alloc(sizeof *text);
                *text = (struct cx_buf)CX_BUF_INIT_MAX(MAX_DOCUMENT);
                cx_map_set(&import->documents, member_path(entry), text);
                char *to = cx_buf_reserve(text, (size_t)size);
                la_ssize_t n = to ? archive_read_data(a, to, (size_t)size) : -1;
                if (n != size)
                        return cx_error_set(err, -EINVAL, "%s is cut short", import->archive);
                cx_buf_advance(text, (size_t)size);
                if (*text->data != '{' && *text->data != '[') { // a small layer, most likely
                        cx_map_remove(&import->documents, member_path(entry));
                        continue;
                }
                total += (size_t)size;
                if (total > ALL_DOCUMENTS)
                        return cx_error_set(err, -EFBIG, "%s has documents that are too large", import->archive);
        }
        return status == ARCHIVE_EOF
                       ? 0
                       : cx_error_set(err, -EINVAL, "%s: %s", import->archive, cx_str(archive_error_string(a)));
}

static json_t *document(struct import *import, const char *path)
{
        const struct cx_buf *text = cx_map_get(&import->documents, path);
        json_t *json = NULL;
        return text && cx_json_parse(text->data, text->length, false, &json, NULL) == 0 ? json : NULL;
}

static char *digest_of(const void *data, size_t length)
{
        unsigned char digest[32];
        CX_BUF text = CX_BUF_INIT;
        (void)EVP_Digest(data, length, digest, NULL, EVP_sha256(), NULL);
        cx_buf_add(&text, "sha256:");
        for (size_t i = 0; i < sizeof digest; i++)
                cx_buf_printf(&text, "%02x", digest[i]);
        return cx_buf_detach(&text);
}

static char *blob_path(const char *digest)
{
        return digest_valid(digest) ? cx_sprintf("blobs/sha256/%s", digest + strlen("sha256:")) : NULL;
}

// A JSON document of an OCI layout by its digest, which it must have.
static int verified_blob(struct import *import, const char *digest, json_t **ret_json, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = blob_path(digest);
        const struct cx_buf *text = path ? cx_map_get(&import->documents, path) : NULL;
        if (!text)
                return cx_error_set(err, -EINVAL, "%s lacks %s", import->archive, cx_str(digest));
        CX_CLEANUP(cx_freep) char *actual = digest_of(text->data, text->length);
        if (strcmp(actual, digest) != 0)
                return cx_error_set(err, -EBADMSG, "%s: what is kept as %s has digest %s", import->archive, digest,
                                    actual);
        return cx_json_parse(text->data, text->length, false, ret_json, err);
}

static int add_layer(struct import *import, const char *path, const char *digest, struct cx_error *err)
{
        if (import->n_layers == MAX_LAYERS || !path)
                return cx_error_set(err, -EINVAL, "%s: the image's layers are malformed", import->archive);
        import->layers[import->n_layers++] =
                (struct archive_layer){.path = cx_strdup(path), .digest = cx_strdup(digest)};
        return 0;
}

// digest: of the image's manifest, where the archive has one; else NULL.
static int add_tag(struct import *import, const char *text, const char *digest, struct cx_error *err)
{
        IMAGE_REF ref = IMAGE_REF_INIT;
        int r = image_ref_parse(text, &ref, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *tag = image_ref_format(&ref);
        if (ref.digest && !cx_streq(ref.digest, digest))
                return cx_error_set(err, -EBADMSG, "%s: the image that is named %s is another", import->archive, tag);
        if (!ref.digest)
                cx_strings_add(&import->tags, tag);
        if (digest) {
                CX_CLEANUP(cx_freep) char *name = image_ref_name(&ref);
                CX_CLEANUP(cx_freep) char *by_digest = cx_sprintf("%s@%s", name, digest);
                cx_strings_add(&import->digests, by_digest);
        }
        return 0;
}

// An OCI image layout (image-spec, image-layout.md): index → manifest → configuration and layers.
static int read_oci(struct import *import, const json_t *index, struct cx_error *err)
{
        const json_t *entry = json_array_get(json_object_get(index, "manifests"), 0);
        const json_t *annotations = json_object_get(entry, "annotations");
        const char *name = json_string_value(json_object_get(annotations, "io.containerd.image.name"));
        const char *reference = json_string_value(json_object_get(annotations, "org.opencontainers.image.ref.name"));
        json_auto_t *manifest = NULL;
        int r = verified_blob(import, cx_json_string_or(entry, "digest", ""), &manifest, err);
        if (r == 0 && !name && !(reference && strchr(reference, ':')))
                r = cx_error_set(err, -EINVAL, "%s does not say its image's name (annotation io.containerd.image.name)",
                                 import->archive);
        if (r == 0)
                r = add_tag(import, name ? name : reference, cx_json_string(entry, "digest"), err);
        if (r < 0)
                return r;
        import->id = cx_strdup(cx_json_string(manifest, "config.digest"));
        r = verified_blob(import, cx_str(import->id), &import->config, err);
        const json_t *layers = json_object_get(manifest, "layers");
        for (size_t i = 0; r == 0 && i < json_array_size(layers); i++) {
                const char *digest = cx_json_string(json_array_get(layers, i), "digest");
                CX_CLEANUP(cx_freep) char *path = blob_path(cx_str(digest));
                r = add_layer(import, path, digest, err);
        }
        return r;
}

// What docker save writes: manifest.json with the paths of the configuration and the layers.
static int read_docker(struct import *import, const json_t *manifests, struct cx_error *err)
{
        const json_t *manifest = json_array_get(manifests, 0);
        const char *path = cx_json_string_or(manifest, "Config", "");
        const struct cx_buf *text = cx_map_get(&import->documents, path);
        if (!text)
                return cx_error_set(err, -EINVAL, "%s lacks the configuration %s", import->archive, path);
        import->id = digest_of(text->data, text->length);
        int r = cx_json_parse(text->data, text->length, false, &import->config, err);
        const json_t *tags = json_object_get(manifest, "RepoTags"), *layers = json_object_get(manifest, "Layers");
        for (size_t i = 0; r == 0 && i < json_array_size(tags); i++)
                r = add_tag(import, cx_str(json_string_value(json_array_get(tags, i))), NULL, err);
        for (size_t i = 0; r == 0 && i < json_array_size(layers); i++)
                r = add_layer(import, json_string_value(json_array_get(layers, i)), NULL, err);
        return r;
}

// --- layers ---

// Copies the member at hand into an unlinked file and learns its digest.
static int spool(struct import *import, struct archive *a, int fd, char **ret_digest, struct cx_error *err)
{
        EVP_MD_CTX *hash = EVP_MD_CTX_new();
        unsigned char digest[32];
        const void *block;
        size_t length;
        la_int64_t offset;
        int64_t total = 0;
        int status, r = 0;
        EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
        while (r == 0 && (status = archive_read_data_block(a, &block, &length, &offset)) == ARCHIVE_OK) {
                total += (int64_t)length;
                EVP_DigestUpdate(hash, block, length);
                if (total > MAX_LAYER)
                        r = cx_error_set(err, -EFBIG, "%s has a layer that is too large", import->archive);
                else if (write(fd, block, length) != (ssize_t)length)
                        r = cx_error_set(err, errno ? -errno : -EIO, "cannot write a layer: %s", strerror(errno));
        }
        EVP_DigestFinal_ex(hash, digest, NULL);
        EVP_MD_CTX_free(hash);
        if (r == 0 && status != ARCHIVE_EOF)
                r = cx_error_set(err, -EINVAL, "%s is cut short", import->archive);
        CX_BUF text = CX_BUF_INIT;
        cx_buf_add(&text, "sha256:");
        for (size_t i = 0; i < sizeof digest; i++)
                cx_buf_printf(&text, "%02x", digest[i]);
        *ret_digest = cx_buf_detach(&text);
        import->size += total;
        return r;
}

static int unpack_into_store(struct import *import, const char *digest, int fd, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *folder = NULL;
        struct layer_content content;
        int r = image_store_layer_begin(import->store, digest, &folder, err);
        if (r != 0)
                return r < 0 ? r : 0;
        CX_CLEANUP(cx_freep) char *root = cx_sprintf("%s/fs", folder);
        if (lseek(fd, 0, SEEK_SET) < 0)
                r = cx_error_set(err, -errno, "cannot read a layer again: %s", strerror(errno));
        if (r == 0)
                r = unpack_layer(fd, root, NULL, &content, err);
        if (r < 0) {
                image_store_layer_abort(import->store, digest, folder);
                return r;
        }
        return image_store_layer_commit(import->store, digest, folder, &content, err);
}

static int take_layer(struct import *import, struct archive *a, struct archive_layer *layer, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s.layer", import->archive);
        CX_CLEANUP(cx_freep) char *actual = NULL;
        CX_CLEANUP(cx_closep) int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0)
                return cx_error_set(err, -errno, "cannot make %s: %s", path, strerror(errno));
        (void)unlink(path);
        int r = spool(import, a, fd, &actual, err);
        if (r == 0 && layer->digest && strcmp(layer->digest, actual) != 0)
                r = cx_error_set(err, -EBADMSG, "layer %s has digest %s", layer->digest, actual);
        if (r < 0)
                return r;
        layer->done = true;
        free(layer->digest);
        layer->digest = cx_steal(&actual);
        return unpack_into_store(import, layer->digest, fd, err);
}

static int take_layers(struct import *import, struct cx_error *err)
{
        CX_CLEANUP(archive_freep) struct archive *a = NULL;
        struct archive_entry *entry;
        int r = open_archive(import->archive, &a, err);
        while (r == 0 && archive_read_next_header(a, &entry) <= ARCHIVE_OK) {
                CX_CLEANUP(cx_freep) char *path = cx_strdup(member_path(entry));
                for (size_t i = 0; r == 0 && i < import->n_layers; i++)
                        if (!import->layers[i].done && strcmp(import->layers[i].path, path) == 0 &&
                            archive_entry_filetype(entry) == AE_IFREG)
                                r = take_layer(import, a, &import->layers[i], err);
        }
        for (size_t i = 0; r == 0 && i < import->n_layers; i++) {
                // The same layer may be listed twice and be there once.
                for (size_t j = 0; !import->layers[i].done && j < import->n_layers; j++)
                        if (import->layers[j].done && strcmp(import->layers[i].path, import->layers[j].path) == 0) {
                                import->layers[i].done = true;
                                free(import->layers[i].digest);
                                import->layers[i].digest = cx_strdup(import->layers[j].digest);
                        }
                if (!import->layers[i].done)
                        r = cx_error_set(err, -EINVAL, "%s lacks the layer %s", import->archive,
                                         import->layers[i].path);
        }
        return r;
}

static int put_record(struct import *import, struct cx_error *err)
{
        json_t *tags = json_array(), *digests = json_array(), *layers = json_array();
        json_t *inner = json_object_get(import->config, "config");
        for (size_t i = 0; i < import->tags.count; i++)
                json_array_append_new(tags, json_string(import->tags.items[i]));
        for (size_t i = 0; i < import->digests.count; i++)
                json_array_append_new(digests, json_string(import->digests.items[i]));
        for (size_t i = 0; i < import->n_layers; i++)
                json_array_append_new(layers, json_string(import->layers[i].digest));
        return image_store_put(import->store,
                               json_pack("{s:s, s:o, s:o, s:o, s:O*, s:I, s:o}", "id", import->id, "repoTags", tags,
                                         "repoDigests", digests, "layers", layers, "diffIDs",
                                         cx_json_get(import->config, "rootfs.diff_ids"), "size",
                                         (json_int_t)import->size, "config",
                                         json_is_object(inner) ? json_incref(inner) : json_object()),
                               err);
}

int image_import(struct image_store *store, const char *archive, struct cx_error *err)
{
        struct import *import = cx_alloc(sizeof *import);
        import->store = store;
        import->archive = archive;
        import->documents = (struct cx_map)CX_MAP_INIT_FREE(free_document);
        image_store_hold(store);
        int r = read_documents(import, err);
        json_auto_t *manifests = document(import, "manifest.json");
        json_auto_t *index = document(import, "index.json");
        if (r == 0 && json_is_array(manifests))
                r = read_docker(import, manifests, err);
        else if (r == 0 && index)
                r = read_oci(import, index, err);
        else if (r == 0)
                r = cx_error_set(err, -EINVAL, "%s is not an image: it has neither manifest.json nor index.json",
                                 archive);
        if (r == 0 && !import->n_layers)
                r = cx_error_set(err, -EINVAL, "%s: the image has no layers", archive);
        if (r == 0)
                r = take_layers(import, err);
        if (r == 0)
                r = put_record(import, err);
        image_store_let_go(store);
        for (size_t i = 0; i < import->n_layers; i++) {
                free(import->layers[i].path);
                free(import->layers[i].digest);
        }
        json_decref(import->config);
        free(import->id);
        cx_strings_release(&import->tags);
        cx_strings_release(&import->digests);
        cx_map_release(&import->documents);
        free(import);
        return r;
}

// --- the folder ---

struct importer {
        struct image_store *store;
        char *folder, *registry_config;
        int inotify, stop;
        pthread_t thread;
};

static void take(struct importer *importer, const char *name)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", importer->folder, name);
        CX_CLEANUP(cx_freep) char *complaint = cx_sprintf("%s.error", path);
        CX_ERROR err = CX_ERROR_INIT;
        bool archive = cx_has_suffix(name, ".tar");
        int r = archive ? image_import(importer->store, path, &err)
                        : image_request(importer->store, importer->registry_config, path, &err);
        if (r < 0) {
                CX_ERROR ignored = CX_ERROR_INIT;
                cx_err(&err, archive ? "Image archive was not taken" : "Image request was not fulfilled", "file", path);
                if (cx_write_file(complaint, cx_error_text(&err), strlen(cx_error_text(&err)), 0600, false, &ignored) <
                    0)
                        cx_err(&ignored, "Cannot say why");
        } else {
                cx_info(archive ? "Image archive was taken" : "Image request was fulfilled", "file", path);
        }
        (void)unlink(path);
}

static void take_all(struct importer *importer)
{
        DIR *dir = opendir(importer->folder);
        for (struct dirent *entry; dir && (entry = readdir(dir));)
                if (cx_has_suffix(entry->d_name, ".tar") || cx_has_suffix(entry->d_name, ".request"))
                        take(importer, entry->d_name);
        if (dir)
                closedir(dir);
}

static void *importer_main(void *context)
{
        struct importer *importer = context;
        for (;;) {
                char events[4096];
                take_all(importer); // whatever woke us: the folder tells
                struct pollfd fds[2] = {{importer->inotify, POLLIN, 0}, {importer->stop, POLLIN, 0}};
                if (poll(fds, 2, -1) < 0 && errno != EINTR)
                        return NULL;
                if (fds[1].revents)
                        return NULL;
                (void)!read(importer->inotify, events, sizeof events);
        }
}

int importer_start(struct image_store *store, const char *registry_config, const char *folder,
                   struct importer **ret_importer, struct cx_error *err)
{
        int r = cx_mkdir_all(folder, 0700, err);
        if (r < 0)
                return r;
        struct importer *importer = cx_alloc(sizeof *importer);
        importer->store = store;
        importer->folder = cx_strdup(folder);
        importer->registry_config = cx_strdup(registry_config);
        importer->stop = eventfd(0, EFD_CLOEXEC);
        importer->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (inotify_add_watch(importer->inotify, folder, IN_MOVED_TO) < 0 ||
            pthread_create(&importer->thread, NULL, importer_main, importer) != 0) {
                importer->thread = 0;
                importer_free(importer);
                return cx_error_set(err, -EIO, "cannot watch %s", folder);
        }
        *ret_importer = importer;
        return 0;
}

void importer_free(struct importer *importer)
{
        if (!importer)
                return;
        uint64_t one = 1;
        if (importer->thread && write(importer->stop, &one, sizeof one) == sizeof one)
                pthread_join(importer->thread, NULL);
        cx_closep(&importer->inotify);
        cx_closep(&importer->stop);
        free(importer->folder);
        free(importer->registry_config);
        free(importer);
}
