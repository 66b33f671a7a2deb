// SPDX-License-Identifier: Apache-2.0
// Every path is taken apart here: "..": refused. Parents are opened with openat2(RESOLVE_IN_ROOT), so that a symbolic
// link made earlier by the same archive resolves inside the folder, as it will in the container. The archive is read
// through a stream that decompresses and digests, for an image is known by what its layers hold, not by how they came.
#include "kubelet/image/unpack.h"

#include "libcommon/base/alloc.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

struct folder_time {
        char *path;
        struct timespec mtime;
};

// The layer without its compression.
struct layer_stream {
        struct archive *from; // one entry, as it comes
        EVP_MD_CTX *hash;
        int64_t bytes, max;
        bool empty;
};

struct unpacker {
        int root;
        struct unpack_limits limits;
        int64_t bytes, entries;
        char parent_path[PATH_MAX]; // of parent_fd
        int parent_fd;
        struct folder_time *folders;
        size_t n_folders;
};

static int open_in(const struct unpacker *u, const char *path, int flags)
{
        struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
                               .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
        int fd = (int)syscall(SYS_openat2, u->root, *path ? path : ".", &how, sizeof how);
        return fd < 0 ? -errno : fd;
}

// Removes "/", "./" and doubled slashes; refuses "..". `to` takes PATH_MAX bytes; "" is the root itself.
static int clean_path(const char *path, char *to)
{
        size_t length = 0;
        while (*path) {
                size_t n = strcspn(path, "/");
                if (n == 2 && path[0] == '.' && path[1] == '.')
                        return -EPERM;
                if (n > 255)
                        return -ENAMETOOLONG;
                if (n && !(n == 1 && path[0] == '.')) {
                        if (length + n + 2 > PATH_MAX)
                                return -ENAMETOOLONG;
                        if (length)
                                to[length++] = '/';
                        memcpy(to + length, path, n);
                        length += n;
                }
                path += n;
                while (*path == '/')
                        path++;
        }
        to[length] = '\0';
        return 0;
}

// Opens the folder `path`, making what is missing (0755, root).
static int open_folder(struct unpacker *u, const char *path)
{
        int fd = open_in(u, path, O_PATH | O_DIRECTORY);
        if (fd != -ENOENT)
                return fd;
        char part[PATH_MAX];
        for (size_t i = 0; *path; i++) { // "" is the root, which is there
                if (!i || (path[i] != '/' && path[i]))
                        continue;
                memcpy(part, path, i);
                part[i] = '\0';
                fd = open_in(u, part, O_PATH | O_DIRECTORY);
                if (fd == -ENOENT) {
                        char *slash = strrchr(part, '/');
                        const char *name = slash ? slash + 1 : part;
                        if (slash)
                                *slash = '\0';
                        CX_CLEANUP(cx_closep) int above = open_in(u, slash ? part : "", O_PATH | O_DIRECTORY);
                        if (above < 0)
                                return above;
                        if (mkdirat(above, name, 0755) < 0 && errno != EEXIST)
                                return -errno;
                        if (slash)
                                *slash = '/';
                        fd = open_in(u, part, O_PATH | O_DIRECTORY);
                }
                if (fd < 0 || !path[i])
                        return fd;
                close(fd);
        }
        return fd;
}

// The folder that holds `path`, kept open for the next entry. Borrowed.
static int parent_of(struct unpacker *u, const char *path, const char **ret_name)
{
        const char *slash = strrchr(path, '/');
        size_t length = slash ? (size_t)(slash - path) : 0;
        *ret_name = slash ? slash + 1 : path;
        if (u->parent_fd >= 0 && strlen(u->parent_path) == length && memcmp(u->parent_path, path, length) == 0)
                return u->parent_fd;
        char folder[PATH_MAX];
        memcpy(folder, path, length);
        folder[length] = '\0';
        int fd = open_folder(u, folder);
        if (fd < 0)
                return fd;
        if (u->parent_fd >= 0)
                close(u->parent_fd);
        u->parent_fd = fd;
        memcpy(u->parent_path, folder, length + 1);
        return fd;
}

static void forget_parent(struct unpacker *u)
{
        if (u->parent_fd >= 0)
                close(u->parent_fd);
        u->parent_fd = -1;
}

static int remove_at(int parent, const char *name)
{
        if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
                return 0;
        if (errno == EISDIR && unlinkat(parent, name, AT_REMOVEDIR) == 0)
                return 0;
        return -errno;
}

static int write_contents(struct unpacker *u, struct archive *a, int fd, int64_t size)
{
        const void *block;
        size_t length;
        la_int64_t offset;
        for (;;) {
                int r = archive_read_data_block(a, &block, &length, &offset);
                if (r == ARCHIVE_EOF)
                        break;
                if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
                        return -EBADMSG;
                u->bytes += (int64_t)length;
                if (u->bytes > u->limits.max_bytes)
                        return -EFBIG;
                for (size_t done = 0; done < length;) {
                        ssize_t n = pwrite(fd, (const char *)block + done, length - done, offset + (off_t)done);
                        if (n < 0 && errno != EINTR)
                                return -errno;
                        done += n > 0 ? (size_t)n : 0;
                }
        }
        return ftruncate(fd, size) < 0 ? -errno : 0; // a sparse tail
}

static int make_regular(struct unpacker *u, struct archive *a, struct archive_entry *e, int parent, const char *name)
{
        CX_CLEANUP(cx_closep) int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        int64_t size = archive_entry_size(e);
        if (size < 0 || size > u->limits.max_bytes)
                return -EFBIG;
        return write_contents(u, a, fd, size);
}

static int make_link(struct unpacker *u, const char *target, int parent, const char *name)
{
        char clean[PATH_MAX], folder[PATH_MAX];
        int r = clean_path(target, clean);
        if (r < 0)
                return r;
        const char *slash = strrchr(clean, '/');
        size_t length = slash ? (size_t)(slash - clean) : 0;
        memcpy(folder, clean, length);
        folder[length] = '\0';
        CX_CLEANUP(cx_closep) int from = open_in(u, folder, O_PATH | O_DIRECTORY);
        if (from < 0)
                return from;
        return linkat(from, slash ? slash + 1 : clean, parent, name, 0) < 0 ? -errno : 0;
}

static int make_folder(int parent, const char *name)
{
        if (mkdirat(parent, name, 0755) == 0)
                return 0;
        struct stat st;
        if (errno != EEXIST || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return 0;
        int r = remove_at(parent, name);
        return r < 0 ? r : mkdirat(parent, name, 0755) < 0 ? -errno : 0;
}

static int set_xattrs(struct archive_entry *e, int parent, const char *name)
{
        char path[64 + 256];
        snprintf(path, sizeof path, "/proc/self/fd/%d/%s", parent, name);
        archive_entry_xattr_reset(e);
        const char *key;
        const void *value;
        size_t size;
        while (archive_entry_xattr_next(e, &key, &value, &size) == ARCHIVE_OK) {
                // overlayfs' own attributes would let a layer redirect names of layers below.
                if (!key || strncmp(key, "trusted.", 8) == 0)
                        continue;
                if (lsetxattr(path, key, value, size, 0) < 0 && errno != ENOTSUP && errno != EPERM)
                        return -errno;
        }
        return 0;
}

static int set_metadata(struct unpacker *u, struct archive_entry *e, int parent, const char *name, const char *path)
{
        mode_t type = archive_entry_filetype(e);
        int64_t uid = archive_entry_uid(e), gid = archive_entry_gid(e);
        if (uid < 0 || uid > UINT32_MAX - 1 || gid < 0 || gid > UINT32_MAX - 1)
                return -ERANGE;
        if (fchownat(parent, name, (uid_t)uid, (gid_t)gid, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (type != AE_IFLNK && fchmodat(parent, name, archive_entry_perm(e) & 07777, 0) < 0)
                return -errno;
        int r = set_xattrs(e, parent, name);
        if (r < 0)
                return r;
        struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                    {.tv_sec = archive_entry_mtime(e), .tv_nsec = archive_entry_mtime_nsec(e)}};
        if (!archive_entry_mtime_is_set(e))
                return 0;
        if (type == AE_IFDIR) {
                u->folders = cx_realloc_array(u->folders, u->n_folders + 1, sizeof *u->folders);
                u->folders[u->n_folders++] = (struct folder_time){cx_strdup(path), times[1]};
                return 0;
        }
        return utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

// OCI whiteouts: ".wh..wh..opq" hides all of a folder below, ".wh.NAME" hides one name. True when `name` was one.
static bool whiteout(int parent, const char *name, int *ret_r)
{
        if (strncmp(name, ".wh.", 4) != 0)
                return false;
        *ret_r = 0;
        if (strcmp(name, ".wh..wh..opq") == 0) {
                char path[40];
                snprintf(path, sizeof path, "/proc/self/fd/%d", parent);
                if (setxattr(path, "trusted.overlay.opaque", "y", 1, 0) < 0)
                        *ret_r = -errno;
        } else if (strncmp(name + 4, ".wh.", 4) != 0 && name[4]) {
                if (mknodat(parent, name + 4, S_IFCHR, makedev(0, 0)) < 0 && errno != EEXIST)
                        *ret_r = -errno;
        }
        return true;
}

static int unpack_entry(struct unpacker *u, struct archive *a, struct archive_entry *e)
{
        char path[PATH_MAX];
        const char *raw = archive_entry_pathname(e), *name;
        int r = raw ? clean_path(raw, path) : -EINVAL;
        if (r < 0)
                return r;
        if (!*path) { // the root's own entry: mode and owner
                if (fchmod(u->root, archive_entry_perm(e) & 07777) < 0)
                        return -errno;
                return 0;
        }
        int parent = parent_of(u, path, &name);
        if (parent < 0)
                return parent;
        if (whiteout(parent, name, &r))
                return r;
        const char *hard = archive_entry_hardlink(e);
        mode_t type = archive_entry_filetype(e);
        if (type != AE_IFDIR || hard) {
                r = remove_at(parent, name);
                if (r < 0)
                        return r;
                forget_parent(u); // a folder of that name may be the cached parent of another entry
                parent = parent_of(u, path, &name);
                if (parent < 0)
                        return parent;
        }
        if (hard)
                return make_link(u, hard, parent, name);
        switch (type) {
        case AE_IFREG:
                r = make_regular(u, a, e, parent, name);
                break;
        case AE_IFDIR:
                r = make_folder(parent, name);
                break;
        case AE_IFLNK:
                r = symlinkat(cx_str(archive_entry_symlink(e)), parent, name) < 0 ? -errno : 0;
                break;
        case AE_IFCHR:
        case AE_IFBLK:
        case AE_IFIFO:
                r = mknodat(parent, name, type | 0600, type == AE_IFIFO ? 0 : archive_entry_rdev(e)) < 0 ? -errno : 0;
                break;
        default:
                return 0; // sockets have no meaning in an image
        }
        return r < 0 ? r : set_metadata(u, e, parent, name, path);
}

static void set_folder_times(struct unpacker *u)
{
        for (size_t i = u->n_folders; i-- > 0;) {
                int fd = open_in(u, u->folders[i].path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
                if (fd < 0)
                        continue;
                struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, u->folders[i].mtime};
                (void)futimens(fd, times); // cosmetic
                close(fd);
        }
}

static int unreadable(struct archive *a, struct cx_error *err)
{
        return archive_errno(a) == EFBIG
                       ? cx_error_set(err, -EFBIG, "layer is too large")
                       : cx_error_set(err, -EBADMSG, "layer is damaged: %s", cx_str(archive_error_string(a)));
}

static int unpack_all(struct unpacker *u, struct archive *a, struct cx_error *err)
{
        struct archive_entry *e;
        for (;;) {
                int r = archive_read_next_header(a, &e);
                if (r == ARCHIVE_EOF)
                        return 0;
                if (r == ARCHIVE_FATAL || r == ARCHIVE_FAILED)
                        return unreadable(a, err);
                if (r == ARCHIVE_RETRY)
                        continue;
                if (++u->entries > u->limits.max_entries)
                        return cx_error_set(err, -EFBIG, "layer has too many entries");
                r = unpack_entry(u, a, e);
                if (r == -EPERM || r == -EXDEV)
                        return cx_error_set(err, -EPERM, "layer entry \"%.200s\" leaves the root of its image",
                                            cx_str(archive_entry_pathname(e)));
                if (r < 0)
                        return cx_error_set(err, r, "layer entry \"%.200s\": %s", cx_str(archive_entry_pathname(e)),
                                            strerror(-r));
        }
}

// --- the stream ---

static int stream_open(struct layer_stream *s, int fd, int64_t max, struct cx_error *err)
{
        struct archive_entry *entry;
        s->from = archive_read_new();
        s->hash = EVP_MD_CTX_new();
        s->max = max;
        EVP_DigestInit_ex(s->hash, EVP_sha256(), NULL);
        // Only what OCI names: other filters of libarchive may run external programs.
        archive_read_support_filter_none(s->from);
        archive_read_support_filter_gzip(s->from);
        archive_read_support_filter_zstd(s->from);
        archive_read_support_format_raw(s->from);
        archive_read_support_format_empty(s->from);
        int r = archive_read_open_fd(s->from, fd, 131072);
        if (r == ARCHIVE_OK)
                r = archive_read_next_header(s->from, &entry);
        s->empty = r == ARCHIVE_EOF;
        return r == ARCHIVE_OK || s->empty ? 0
                                           : cx_error_set(err, -EBADMSG, "layer is not an archive: %s",
                                                          cx_str(archive_error_string(s->from)));
}

// For libarchive: the length of the next block, 0 at the end, below 0 when the layer is damaged or too large.
static la_ssize_t stream_read(struct archive *a, void *context, const void **ret_block)
{
        struct layer_stream *s = context;
        size_t length = 0;
        la_int64_t offset;
        int r = ARCHIVE_EOF;
        while (!s->empty && (r = archive_read_data_block(s->from, ret_block, &length, &offset)) == ARCHIVE_OK &&
               !length)
                ;
        if (r == ARCHIVE_EOF)
                return 0;
        s->bytes += (int64_t)length;
        if (r != ARCHIVE_OK)
                archive_set_error(a, EBADMSG, "%s", cx_str(archive_error_string(s->from)));
        else if (s->bytes > s->max)
                archive_set_error(a, EFBIG, "it is too large");
        else
                return EVP_DigestUpdate(s->hash, *ret_block, length) ? (la_ssize_t)length : -1;
        return -1;
}

// Reads what follows the archive, which counts for the digest too.
static int stream_end(struct layer_stream *s, struct archive *a, char ret_digest[72], struct cx_error *err)
{
        static const char prefix[] = "sha256:";
        unsigned char raw[EVP_MAX_MD_SIZE];
        const void *block;
        la_ssize_t n;
        unsigned length = 0;
        while ((n = stream_read(a, s, &block)) > 0)
                ;
        if (n < 0)
                return unreadable(a, err);
        EVP_DigestFinal_ex(s->hash, raw, &length);
        memcpy(ret_digest, prefix, sizeof prefix);
        for (unsigned i = 0; i < length; i++)
                snprintf(ret_digest + strlen(prefix) + (size_t)2 * i, 3, "%02x", raw[i]);
        return 0;
}

static void stream_release(struct layer_stream *s)
{
        archive_read_free(s->from);
        EVP_MD_CTX_free(s->hash);
}

int unpack_layer(int fd, const char *root, const struct unpack_limits *limits, struct layer_content *ret_content,
                 struct cx_error *err)
{
        struct unpacker *u = cx_alloc(sizeof *u);
        u->parent_fd = -1;
        if (limits)
                u->limits = *limits;
        if (u->limits.max_bytes <= 0)
                u->limits.max_bytes = INT64_C(64) << 30;
        if (u->limits.max_entries <= 0)
                u->limits.max_entries = 4000000;
        struct layer_stream stream = {0};
        struct layer_content content = {0};
        int r = stream_open(&stream, fd, u->limits.max_bytes, err);
        struct archive *a = archive_read_new();
        archive_read_support_format_tar(a);
        archive_read_support_format_empty(a);
        u->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (r == 0 && u->root < 0)
                r = cx_error_set(err, -errno, "cannot open %s: %s", root, strerror(errno));
        if (r == 0 && archive_read_open(a, &stream, NULL, stream_read, NULL) != ARCHIVE_OK)
                r = unreadable(a, err);
        if (r == 0)
                r = unpack_all(u, a, err);
        if (r == 0)
                r = stream_end(&stream, a, content.diff_id, err);
        if (r == 0) {
                set_folder_times(u);
                content.bytes = u->bytes;
                *ret_content = content;
        }
        archive_read_free(a);
        stream_release(&stream);
        forget_parent(u);
        if (u->root >= 0)
                close(u->root);
        for (size_t i = 0; i < u->n_folders; i++)
                free(u->folders[i].path);
        free(u->folders);
        free(u);
        return r;
}
