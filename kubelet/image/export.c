// SPDX-License-Identifier: Apache-2.0
// Each layer is packed into an unlinked file first, by which its digest and size are known; then all goes into one tar.
// overlayfs' whiteouts become OCI's again (unpack.h).
#include "kubelet/image/export.h"

#include "kubelet/image/registry.h"
#include "libcommon/base/buf.h"
#include "libcommon/format/json.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define BLOCK 65536
#define OPAQUE "trusted.overlay.opaque"
#define OVERLAY "trusted.overlay."

CX_DEFINE_CLEANUP(struct archive, archive_writep, archive_write_free)
CX_DEFINE_CLEANUP(struct archive, archive_readp, archive_read_free)
CX_DEFINE_CLEANUP(struct archive_entry, entry_freep, archive_entry_free)

static int complain(struct archive *a, const char *what, struct cx_error *err)
{
        return cx_error_set(err, -EIO, "cannot pack %s: %s", what, cx_str(archive_error_string(a)));
}

static int hash_file(int fd, char **ret_digest, int64_t *ret_size, struct cx_error *err)
{
        unsigned char block[BLOCK], sum[32];
        CX_BUF text = CX_BUF_INIT;
        EVP_MD_CTX *hash = EVP_MD_CTX_new();
        ssize_t n = 0;
        *ret_size = 0;
        EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
        while ((n = pread(fd, block, sizeof block, *ret_size)) > 0) {
                EVP_DigestUpdate(hash, block, (size_t)n);
                *ret_size += n;
        }
        EVP_DigestFinal_ex(hash, sum, NULL);
        EVP_MD_CTX_free(hash);
        if (n < 0)
                return cx_error_set(err, -errno, "cannot read a layer again: %s", strerror(errno));
        cx_buf_add(&text, "sha256:");
        for (size_t i = 0; i < sizeof sum; i++)
                cx_buf_printf(&text, "%02x", sum[i]);
        *ret_digest = cx_buf_detach(&text);
        return 0;
}

static int open_unnamed(const char *near, int *ret_fd, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s.layer-XXXXXX", near);
        int fd = mkostemp(path, O_CLOEXEC);
        if (fd < 0)
                return cx_error_set(err, -errno, "cannot make %s: %s", path, strerror(errno));
        (void)unlink(path);
        *ret_fd = fd;
        return 0;
}

// --- a layer ---

// A file that says that what is below it is gone.
static int write_mark(struct archive *to, const char *folder, const char *name, struct cx_error *err)
{
        CX_CLEANUP(entry_freep) struct archive_entry *entry = archive_entry_new();
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s%s%s", folder, *folder ? "/" : "", name);
        archive_entry_set_pathname(entry, path);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0644);
        archive_entry_set_size(entry, 0);
        return archive_write_header(to, entry) < ARCHIVE_WARN ? complain(to, path, err) : 0;
}

static int write_whiteout(struct archive *to, const char *path, struct cx_error *err)
{
        const char *slash = strrchr(path, '/');
        CX_CLEANUP(cx_freep) char *folder = cx_strndup(path, slash ? (size_t)(slash - path) : 0);
        CX_CLEANUP(cx_freep) char *name = cx_sprintf(".wh.%s", slash ? slash + 1 : path);
        return write_mark(to, folder, name, err);
}

// What only overlayfs reads is not the image's.
static bool take_marks(struct archive_entry *entry)
{
        CX_CLEANUP(entry_freep) struct archive_entry *all = archive_entry_clone(entry);
        const char *name;
        const void *value;
        size_t size;
        bool opaque = false;
        archive_entry_xattr_clear(entry);
        archive_entry_xattr_reset(all);
        while (archive_entry_xattr_next(all, &name, &value, &size) == ARCHIVE_OK) {
                opaque |= strcmp(name, OPAQUE) == 0 && size == 1 && *(const char *)value == 'y';
                if (!cx_has_prefix(name, OVERLAY))
                        archive_entry_xattr_add_entry(entry, name, value, size);
        }
        return opaque;
}

static int copy_data(struct archive *from, struct archive *to, const char *path, struct cx_error *err)
{
        const void *block;
        size_t size;
        la_int64_t offset, at = 0;
        int status;
        while ((status = archive_read_data_block(from, &block, &size, &offset)) == ARCHIVE_OK) {
                static const char zeros[BLOCK];
                for (; at < offset; at += offset - at < BLOCK ? offset - at : BLOCK) // a hole
                        if (archive_write_data(to, zeros, (size_t)(offset - at < BLOCK ? offset - at : BLOCK)) < 0)
                                return complain(to, path, err);
                if (archive_write_data(to, block, size) != (la_ssize_t)size)
                        return complain(to, path, err);
                at += (la_int64_t)size;
        }
        return status == ARCHIVE_EOF ? 0 : complain(from, path, err);
}

static int write_entry(struct archive *from, struct archive *to, struct archive_entry *entry, const char *path,
                       struct cx_error *err)
{
        bool opaque = take_marks(entry);
        if (archive_entry_filetype(entry) == AE_IFCHR && archive_entry_rdev(entry) == makedev(0, 0))
                return write_whiteout(to, path, err);
        archive_entry_set_pathname(entry, path);
        archive_entry_unset_atime(entry); // the same layer gives the same archive
        archive_entry_unset_ctime(entry);
        archive_entry_unset_birthtime(entry);
        archive_entry_set_uname(entry, NULL);
        archive_entry_set_gname(entry, NULL);
        if (archive_write_header(to, entry) < ARCHIVE_WARN)
                return complain(to, path, err);
        int r = archive_entry_filetype(entry) == AE_IFREG && archive_entry_size(entry) > 0
                        ? copy_data(from, to, path, err)
                        : 0;
        return r == 0 && opaque ? write_mark(to, path, ".wh..wh..opq", err) : r;
}

// Hard links within the layer are links in the archive.
static int pack_folder(const char *root, struct archive *to, struct cx_error *err)
{
        CX_CLEANUP(archive_readp) struct archive *from = archive_read_disk_new();
        struct archive_entry_linkresolver *links = archive_entry_linkresolver_new();
        archive_entry_linkresolver_set_strategy(links, ARCHIVE_FORMAT_TAR_PAX_RESTRICTED);
        archive_read_disk_set_symlink_physical(from);
        archive_read_disk_set_behavior(from, ARCHIVE_READDISK_NO_FFLAGS | ARCHIVE_READDISK_NO_SPARSE);
        int r = archive_read_disk_open(from, root) < ARCHIVE_OK ? complain(from, root, err) : 0, status = ARCHIVE_OK;
        while (r == 0) {
                struct archive_entry *entry = archive_entry_new(), *later = NULL;
                status = archive_read_next_header2(from, entry);
                if (status == ARCHIVE_OK || status == ARCHIVE_WARN) {
                        CX_CLEANUP(cx_freep) char *path = cx_strdup(archive_entry_pathname(entry) + strlen(root));
                        archive_read_disk_descend(from);
                        archive_entry_set_pathname(entry, path + (*path == '/'));
                        archive_entry_linkify(links, &entry, &later);
                        if (path[0] && path[1])
                                r = write_entry(from, to, entry, path + (*path == '/'), err);
                } else {
                        r = status == ARCHIVE_EOF ? 1 : complain(from, root, err);
                }
                archive_entry_free(entry);
        }
        archive_entry_linkresolver_free(links);
        return r < 0 ? r : 0;
}

static struct archive *new_tar(int fd)
{
        struct archive *a = archive_write_new();
        archive_write_set_format_pax_restricted(a);
        archive_write_open_fd(a, fd);
        return a;
}

// --- the archive ---

struct export
{
        struct archive *to;
        json_t *layers, *diff_ids; // of the manifest and of the configuration
};

static int write_header(struct archive *to, const char *path, int64_t size, struct cx_error *err)
{
        CX_CLEANUP(entry_freep) struct archive_entry *entry = archive_entry_new();
        archive_entry_set_pathname(entry, path);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0644);
        archive_entry_set_size(entry, size);
        return archive_write_header(to, entry) < ARCHIVE_WARN ? complain(to, path, err) : 0;
}

static int write_text(struct archive *to, const char *path, const char *text, struct cx_error *err)
{
        size_t length = strlen(text);
        int r = write_header(to, path, (int64_t)length, err);
        return r == 0 && archive_write_data(to, text, length) != (la_ssize_t)length ? complain(to, path, err) : r;
}

static int write_layer(struct export *e, const char *root, const char *near, struct cx_error *err)
{
        CX_CLEANUP(cx_closep) int fd = -1;
        CX_CLEANUP(cx_freep) char *digest = NULL;
        int64_t size = 0;
        int r = open_unnamed(near, &fd, err);
        if (r < 0)
                return r;
        CX_CLEANUP(archive_writep) struct archive *tar = new_tar(fd);
        r = pack_folder(root, tar, err);
        if (r == 0 && archive_write_close(tar) != ARCHIVE_OK)
                r = complain(tar, root, err);
        if (r == 0)
                r = hash_file(fd, &digest, &size, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("blobs/sha256/%s", digest + strlen("sha256:"));
        json_array_append_new(e->layers,
                              json_pack("{s:s,s:s,s:I}", "mediaType", "application/vnd.oci.image.layer.v1.tar",
                                        "digest", digest, "size", (json_int_t)size));
        json_array_append_new(e->diff_ids, json_string(digest));
        r = write_header(e->to, path, size, err);
        for (int64_t done = 0; r == 0 && done < size;) {
                char block[BLOCK];
                ssize_t n = pread(fd, block, sizeof block, done);
                if (n <= 0 || archive_write_data(e->to, block, (size_t)n) != n)
                        r = complain(e->to, path, err);
                done += n > 0 ? n : 0;
        }
        return r;
}

// A JSON document that others name by its digest; returns the descriptor.
static int write_document(struct archive *to, const json_t *document, const char *type, const char *near,
                          json_t **ret_descriptor, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *text = cx_json_text(document);
        CX_CLEANUP(cx_freep) char *digest = NULL;
        CX_CLEANUP(cx_closep) int fd = -1;
        int64_t size = 0;
        int r = open_unnamed(near, &fd, err);
        if (r == 0 && write(fd, text, strlen(text)) != (ssize_t)strlen(text))
                r = cx_error_set(err, -EIO, "cannot write: %s", strerror(errno));
        if (r == 0)
                r = hash_file(fd, &digest, &size, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("blobs/sha256/%s", digest + strlen("sha256:"));
        *ret_descriptor = json_pack("{s:s,s:s,s:I}", "mediaType", type, "digest", digest, "size", (json_int_t)size);
        return write_text(to, path, text, err);
}

static int write_documents(struct export *e, const json_t *record, const char *name, const char *near,
                           struct cx_error *err)
{
        json_auto_t *config_at = NULL, *manifest_at = NULL;
        json_auto_t *config =
                json_pack("{s:s,s:s,s:O,s:{s:s,s:O}}", "architecture", registry_architecture(), "os", "linux", "config",
                          json_object_get(record, "config"), "rootfs", "type", "layers", "diff_ids", e->diff_ids);
        int r = write_document(e->to, config, "application/vnd.oci.image.config.v1+json", near, &config_at, err);
        if (r < 0)
                return r;
        json_auto_t *manifest =
                json_pack("{s:i,s:s,s:O,s:O}", "schemaVersion", 2, "mediaType",
                          "application/vnd.oci.image.manifest.v1+json", "config", config_at, "layers", e->layers);
        r = write_document(e->to, manifest, "application/vnd.oci.image.manifest.v1+json", near, &manifest_at, err);
        if (r < 0)
                return r;
        json_object_set_new(
                manifest_at, "annotations",
                json_pack("{s:s,s:s}", "org.opencontainers.image.ref.name", name, "io.containerd.image.name", name));
        json_auto_t *index = json_pack("{s:i,s:[O]}", "schemaVersion", 2, "manifests", manifest_at);
        CX_CLEANUP(cx_freep) char *text = cx_json_text(index);
        r = write_text(e->to, "index.json", text, err);
        return r < 0 ? r : write_text(e->to, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}", err);
}

static int write_image(struct image_store *store, const json_t *record, const char *name, const char *near,
                       struct archive *to, struct cx_error *err)
{
        json_auto_t *layers = json_array(), *diff_ids = json_array();
        struct export e = {.to = to, .layers = layers, .diff_ids = diff_ids};
        const json_t *digests = json_object_get(record, "layers");
        int r = 0;
        for (size_t i = 0; r == 0 && i < json_array_size(digests); i++) {
                const char *digest = cx_str(json_string_value(json_array_get(digests, i)));
                CX_CLEANUP(cx_freep) char *root = image_store_layer_folder(store, digest);
                r = root ? write_layer(&e, root, near, err) : cx_error_set(err, -ENOENT, "layer %s is missing", digest);
        }
        if (r == 0)
                r = write_documents(&e, record, name, near, err);
        if (r == 0 && archive_write_close(to) != ARCHIVE_OK)
                r = complain(to, near, err);
        return r;
}

int image_export(struct image_store *store, const char *reference, const char *path, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *temporary = cx_sprintf("%s.part", path);
        json_auto_t *record = image_store_find(store, reference);
        if (!record)
                return cx_error_set(err, -ENOENT, "there is no image %s", reference);
        CX_CLEANUP(cx_closep) int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return cx_error_set(err, -errno, "cannot make %s: %s", temporary, strerror(errno));
        CX_CLEANUP(archive_writep) struct archive *to = new_tar(fd);
        image_store_hold(store);
        int r = write_image(store, record, reference, path, to, err);
        image_store_let_go(store);
        if (r == 0 && rename(temporary, path) < 0)
                r = cx_error_set(err, -errno, "cannot make %s: %s", path, strerror(errno));
        if (r < 0)
                (void)unlink(temporary);
        return r;
}
