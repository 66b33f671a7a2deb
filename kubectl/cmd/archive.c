// SPDX-License-Identifier: Apache-2.0
// Packing walks folders; unpacking opens every folder on the way beneath the one before it, so that neither a name nor a link
// that is there already leads out of the destination. Links are never made, but for hard ones between files of the archive.
#include "kubectl/cmd/archive.h"
#include "kubectl/cmd/archive_library.h"

#include "libcommon/base/flags.h"
#include "libcommon/base/process.h"
#include "libcommon/base/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 65536
#define DEPTH_MAX 1000

char *archive_clean(const char *path)
{
        CX_STRINGS parts = CX_STRINGS_INIT;
        CX_STRINGS kept = CX_STRINGS_INIT;
        CX_BUF text = CX_BUF_INIT;
        cx_strings_split(&parts, path, '/');
        for (size_t i = 0; i < parts.count; i++) {
                const char *part = parts.items[i];
                if (strcmp(part, "..") == 0 && kept.count)
                        free(kept.items[--kept.count]);
                else if (*part && strcmp(part, ".") != 0 && strcmp(part, "..") != 0)
                        cx_strings_add(&kept, part);
        }
        for (size_t i = 0; i < kept.count; i++)
                cx_buf_printf(&text, "%s%s", i ? "/" : "", kept.items[i]);
        return cx_buf_detach(&text);
}

// --- packing ---------------------------------------------------------------------------------------------------------

static int failure(struct archive *a, struct cx_error *err)
{
        return cx_error_set(err, -EIO, "%s", cx_str(archive_error_string(a)));
}

static int add_content(struct archive *a, const char *path, int64_t size, struct cx_error *err)
{
        CX_CLEANUP(cx_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return cx_error_set(err, -errno, "open %s: %s", path, strerror(errno));
        CX_CLEANUP(cx_freep) char *block = cx_alloc(BLOCK);
        while (size > 0) { // a file that shrinks is filled up, one that grows is cut
                ssize_t n = read(fd, block, size < BLOCK ? (size_t)size : BLOCK);
                if (n < 0)
                        return cx_error_set(err, -errno, "read %s: %s", path, strerror(errno));
                if (n == 0)
                        break;
                if (archive_write_data(a, block, (size_t)n) < 0)
                        return failure(a, err);
                size -= n;
        }
        return 0;
}

static int add_path(struct archive *a, const char *path, const char *name, int depth, struct cx_error *err);

// What is in a folder; a folder itself only when it is empty.
static int add_folder(struct archive *a, const char *path, const char *name, int depth, bool *ret_empty,
                      struct cx_error *err)
{
        struct dirent **entries = NULL;
        int count = scandir(path, &entries, NULL, alphasort), r = 0;
        if (count < 0)
                return cx_error_set(err, -errno, "open %s: %s", path, strerror(errno));
        *ret_empty = true;
        for (int i = 0; i < count; i++) {
                const char *entry = entries[i]->d_name;
                if (r == 0 && strcmp(entry, ".") != 0 && strcmp(entry, "..") != 0) {
                        CX_CLEANUP(cx_freep) char *below = cx_sprintf("%s/%s", path, entry);
                        CX_CLEANUP(cx_freep) char *named = cx_sprintf("%s/%s", name, entry);
                        *ret_empty = false;
                        r = add_path(a, below, named, depth + 1, err);
                }
                free(entries[i]);
        }
        free(entries);
        return r;
}

static int add_path(struct archive *a, const char *path, const char *name, int depth, struct cx_error *err)
{
        struct stat info;
        if (depth > DEPTH_MAX)
                return cx_error_set(err, -ELOOP, "%s: too deep", path);
        if (lstat(path, &info) < 0)
                return cx_error_set(err, -errno, "lstat %s: %s", path, strerror(errno));
        bool empty = true;
        if (S_ISDIR(info.st_mode)) {
                int r = add_folder(a, path, name, depth, &empty, err);
                if (r < 0 || !empty)
                        return r;
        }
        struct archive_entry *entry = archive_entry_new();
        archive_entry_copy_stat(entry, &info);
        archive_entry_copy_pathname(entry, name);
        if (!S_ISREG(info.st_mode))
                archive_entry_set_size(entry, 0);
        int r = 0;
        if (S_ISLNK(info.st_mode)) {
                char target[4096] = "";
                ssize_t n = readlink(path, target, sizeof target - 1);
                if (n < 0)
                        r = cx_error_set(err, -errno, "readlink %s: %s", path, strerror(errno));
                archive_entry_copy_symlink(entry, target);
        }
        if (r == 0 && archive_write_header(a, entry) < ARCHIVE_WARN)
                r = failure(a, err);
        archive_entry_free(entry);
        return r == 0 && S_ISREG(info.st_mode) ? add_content(a, path, info.st_size, err) : r;
}

int archive_pack(const char *path, const char *name, int fd, struct cx_error *err)
{
        int loaded = archive_library_load(err);
        if (loaded < 0)
                return close(fd), loaded;
        struct archive *a = archive_write_new();
        archive_write_set_format_gnutar(a);
        archive_write_set_bytes_in_last_block(a, 1);
        int r = archive_write_open_fd(a, fd) == ARCHIVE_OK ? add_path(a, path, name, 0, err) : failure(a, err);
        if (r == 0 && archive_write_close(a) != ARCHIVE_OK)
                r = failure(a, err);
        else if (r < 0)
                archive_write_fail(a); // without the end that would make it look whole
        archive_write_free(a);
        close(fd);
        return r;
}

// --- unpacking -------------------------------------------------------------------------------------------------------

struct archive_reader {
        const struct archive_place *place;
        int base;   // a folder that everything is beneath
        char *root; // what all paths begin with, below it; "" when the destination is the folder
        bool linked;
};

static bool leads_out(int r)
{
        return r == -EXDEV || r == -ELOOP;
}

// The folder that a path is in, made when it is missing, and the path's last part. A descriptor or a negative errno.
static int open_parent(const struct archive_reader *u, const char *path, const char **ret_last)
{
        CX_CLEANUP(cx_closep) int at = fcntl(u->base, F_DUPFD_CLOEXEC, 0);
        for (const char *slash; at >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
                CX_CLEANUP(cx_freep) char *part = cx_strndup(path, (size_t)(slash - path));
                if (mkdirat(at, part, 0755) < 0 && errno != EEXIST)
                        return -errno;
                int next = cx_open_beneath(at, part, O_PATH | O_DIRECTORY, 0);
                if (next < 0)
                        return next;
                close(at);
                at = next;
        }
        *ret_last = path;
        return at < 0 ? -errno : cx_steal_fd(&at);
}

static int write_file(struct archive *a, const struct archive_reader *u, const char *path, struct cx_error *err)
{
        const char *last = path;
        if (!*path)
                return cx_error_set(err, -EISDIR, "open %s: is a directory", u->place->destination);
        CX_CLEANUP(cx_closep) int parent = open_parent(u, path, &last);
        CX_CLEANUP(cx_closep)
        int fd = parent < 0 ? parent : cx_open_beneath(parent, last, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        if (fd < 0)
                return cx_error_set(err, fd, "open %s: %s", path, strerror(-fd));
        return archive_read_data_into_fd(a, fd) == ARCHIVE_OK ? 0 : failure(a, err);
}

static int make_folder(const struct archive_reader *u, const char *path, struct cx_error *err)
{
        const char *last = path;
        CX_CLEANUP(cx_freep) char *with_end = cx_sprintf("%s/", path);
        CX_CLEANUP(cx_closep) int fd = open_parent(u, *path ? with_end : path, &last);
        return fd < 0 ? cx_error_set(err, fd, "mkdir %s: %s", path, strerror(-fd)) : 0;
}

// A second name of a file that the archive brought.
static int link_file(const struct archive_reader *u, const char *path, const char *target, struct cx_error *err)
{
        const char *last = path;
        CX_CLEANUP(cx_closep) int parent = open_parent(u, path, &last);
        CX_CLEANUP(cx_closep) int file = parent < 0 ? parent : cx_open_beneath(u->base, target, O_PATH | O_NOFOLLOW, 0);
        char self[64];
        int r = file < 0 ? file : 0;
        snprintf(self, sizeof self, "/proc/self/fd/%d", file);
        if (r == 0 && unlinkat(parent, last, 0) < 0 && errno != ENOENT)
                r = -errno;
        if (r == 0 && linkat(AT_FDCWD, self, parent, last, AT_SYMLINK_FOLLOW) < 0)
                r = -errno;
        return r < 0 ? cx_error_set(err, r, "link %s: %s", path, strerror(-r)) : 0;
}

// Where a name of the archive belongs, below the base. NULL, with false, when it has not the prefix; with true, when it leads
// out of the destination.
static char *place_of(const struct archive_reader *u, const char *name, bool *ret_known)
{
        size_t length = strlen(u->place->prefix);
        const char *rest = name + length;
        *ret_known = strncmp(name, u->place->prefix, length) == 0 && (!length || !*rest || *rest == '/');
        if (!*ret_known || (!length && *name == '/'))
                return NULL;
        CX_STRINGS parts = CX_STRINGS_INIT;
        CX_BUF path = CX_BUF_INIT;
        cx_buf_add(&path, u->root);
        cx_strings_split(&parts, rest, '/');
        for (size_t i = 0; i < parts.count; i++) {
                const char *part = parts.items[i];
                if (strcmp(part, "..") == 0) {
                        cx_buf_release(&path);
                        return NULL;
                }
                if (*part && strcmp(part, ".") != 0)
                        cx_buf_printf(&path, "%s%s", path.length ? "/" : "", part);
        }
        return cx_buf_detach(&path);
}

static void warn_link(struct archive_reader *u, const char *path, const char *target)
{
        fprintf(stderr, "warning: skipping symlink: \"%s\" -> \"%s\"%s\n", path, target,
                u->linked ? "" : cx_str(u->place->hint));
        u->linked = true;
}

static int unpack_entry(struct archive *a, struct archive_entry *entry, struct archive_reader *u, struct cx_error *err)
{
        const char *name = cx_str(archive_entry_pathname(entry)), *hard = archive_entry_hardlink(entry);
        bool known;
        CX_ERROR why = CX_ERROR_INIT;
        CX_CLEANUP(cx_freep) char *path = place_of(u, name, &known);
        CX_CLEANUP(cx_freep) char *target = hard && known ? place_of(u, hard, &known) : NULL;
        if (!known)
                return cx_error_set(err, -EPROTO, "tar contents corrupted");
        int r = 0;
        if (!path || (hard && !target))
                r = -EXDEV;
        else if (hard)
                r = link_file(u, path, target, &why);
        else if (archive_entry_filetype(entry) == AE_IFLNK)
                warn_link(u, path, cx_str(archive_entry_symlink(entry)));
        else if (archive_entry_filetype(entry) == AE_IFDIR)
                r = make_folder(u, path, &why);
        else if (archive_entry_filetype(entry) == AE_IFREG)
                r = write_file(a, u, path, &why);
        else
                fprintf(stderr, "warning: skipping special file: \"%s\"\n", path);
        if (!leads_out(r))
                return r < 0 ? cx_error_move(err, &why) : 0;
        fprintf(stderr, "warning: file \"%s\" is outside target destination, skipping\n", name);
        return 0;
}

// Everything is beneath the destination when that is a folder; else beneath the folder that it is in.
static int open_base(struct archive_reader *u, struct cx_error *err)
{
        struct stat info;
        CX_CLEANUP(cx_freep) char *folder = cx_strdup(u->place->destination);
        size_t length = strlen(folder);
        while (length > 1 && folder[length - 1] == '/')
                folder[--length] = '\0';
        u->root = cx_strdup("");
        if (stat(folder, &info) < 0 || !S_ISDIR(info.st_mode)) {
                char *slash = strrchr(folder, '/');
                free(u->root);
                u->root = cx_strdup(slash ? slash + 1 : folder);
                if (slash)
                        slash[slash == folder] = '\0';
                int r = cx_mkdir_all(slash ? folder : ".", 0755, err);
                if (r < 0)
                        return r;
                if (!slash)
                        strncpy(folder, ".", length + 1);
        }
        u->base = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return u->base < 0 ? cx_error_set(err, -errno, "open %s: %s", folder, strerror(errno)) : 0;
}

int archive_unpack(int fd, const struct archive_place *place, struct cx_error *err)
{
        int loaded = archive_library_load(err);
        if (loaded < 0)
                return loaded;
        struct archive_reader u = {.place = place, .base = -1};
        struct archive *a = archive_read_new();
        struct archive_entry *entry;
        archive_read_support_format_tar(a);
        int r = open_base(&u, err);
        if (r == 0 && archive_read_open_fd(a, fd, BLOCK) != ARCHIVE_OK)
                r = failure(a, err);
        while (r == 0) {
                int got = archive_read_next_header(a, &entry);
                if (got == ARCHIVE_EOF)
                        break;
                r = got < ARCHIVE_WARN ? failure(a, err) : unpack_entry(a, entry, &u, err);
        }
        archive_read_free(a);
        if (u.base >= 0)
                close(u.base);
        free(u.root);
        return r;
}
