// SPDX-License-Identifier: Apache-2.0
// A version is a new folder; one rename of the link "..data" makes it the one that is seen.
#include "kubelet/volume/atomic_writer.h"

#include "libcommon/base/flags.h"
#include "libcommon/base/process.h"
#include "libcommon/base/random.h"
#include "libcommon/base/time.h"
#include "libcommon/base/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <time.h>

void payload_free_file(void *p)
{
        struct payload_file *file = p;
        free(file->data);
        free(file);
}

static bool good_path(const char *path)
{
        if (!*path || *path == '/' || strlen(path) > 1024 || strncmp(path, "..", 2) == 0)
                return false;
        for (const char *p = path;;) {
                size_t n = strcspn(p, "/");
                if (!n || n > NAME_MAX || (n == 2 && p[0] == '.' && p[1] == '.') || (n == 1 && p[0] == '.'))
                        return false;
                if (!p[n])
                        return true;
                p += n + 1;
        }
}

int payload_add(struct cx_map *payload, const char *path, const void *data, size_t length, unsigned mode,
                struct cx_error *err)
{
        if (!good_path(path))
                return cx_error_set(err, -EINVAL, "invalid path: \"%.200s\" must be relative and must not contain '..'",
                                    path);
        struct payload_file *file = cx_alloc(sizeof *file);
        file->data = cx_alloc(length + 1);
        if (length)
                memcpy(file->data, data, length);
        file->length = length;
        file->mode = mode & 0777;
        file->uid = -1;
        cx_map_set(payload, path, file);
        return 0;
}

static bool same_file(const char *folder, const char *name, const struct payload_file *file, unsigned mode)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/..data/%s", folder, name);
        CX_BUF text = CX_BUF_INIT_MAX(file->length + 1);
        struct stat st;
        return stat(path, &st) == 0 && (st.st_mode & 0777) == mode && (size_t)st.st_size == file->length &&
               cx_buf_read_file(&text, path) == 0 && text.length == file->length &&
               memcmp(text.data, file->data, file->length) == 0;
}

static size_t count_files(const char *folder, int depth)
{
        size_t n = 0;
        DIR *dir = opendir(folder);
        struct dirent *entry;
        while (dir && depth < 32 && (entry = readdir(dir))) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, entry->d_name);
                n += entry->d_type == DT_DIR ? count_files(path, depth + 1) : 1;
        }
        if (dir)
                closedir(dir);
        return n;
}

static unsigned mode_of(const struct payload_file *file, int64_t gid)
{
        return gid >= 0 ? (file->mode | 0440) & 0777 : file->mode;
}

static bool unchanged(const char *folder, const struct cx_map *payload, int64_t gid)
{
        CX_MAP_FOREACH (payload, entry) {
                if (!same_file(folder, entry->key, entry->value, mode_of(entry->value, gid)))
                        return false;
        }
        CX_CLEANUP(cx_freep) char *data = cx_sprintf("%s/..data", folder);
        return access(data, F_OK) == 0 && count_files(data, 0) == payload->count;
}

static int write_one(const char *folder, const char *name, const struct payload_file *file, int64_t gid,
                     struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, name);
        char *slash = strrchr(path, '/');
        *slash = '\0';
        int r = cx_mkdir_all(path, 0755, err);
        *slash = '/';
        if (r < 0)
                return r;
        CX_CLEANUP(cx_closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
                return cx_error_set(err, -errno, "cannot make %s: %s", path, strerror(errno));
        for (size_t done = 0; done < file->length;) {
                ssize_t n = write(fd, file->data + done, file->length - done);
                if (n < 0 && errno != EINTR)
                        return cx_error_set(err, -errno, "cannot write %s: %s", path, strerror(errno));
                done += n > 0 ? (size_t)n : 0;
        }
        bool owned = file->uid >= 0 || gid >= 0;
        if ((owned && fchown(fd, file->uid >= 0 ? (uid_t)file->uid : 0, gid >= 0 ? (gid_t)gid : 0) < 0) ||
            fchmod(fd, mode_of(file, gid)) < 0)
                return cx_error_set(err, -errno, "cannot set the mode of %s: %s", path, strerror(errno));
        return 0;
}

// Gives the folders of a version to the group.
static int own_folders(const char *folder, int64_t gid, int depth, struct cx_error *err)
{
        if (chown(folder, 0, (gid_t)gid) < 0 || chmod(folder, 02755) < 0)
                return cx_error_set(err, -errno, "cannot set the group of %s: %s", folder, strerror(errno));
        DIR *dir = depth < 32 ? opendir(folder) : NULL;
        struct dirent *entry;
        int r = 0;
        while (r == 0 && dir && (entry = readdir(dir))) {
                if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, entry->d_name);
                r = own_folders(path, gid, depth + 1, err);
        }
        if (dir)
                closedir(dir);
        return r;
}

static int replace_link(const char *folder, const char *name, const char *target, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, name);
        CX_CLEANUP(cx_freep) char *temporary = cx_sprintf("%s/..%s_tmp", folder, name[0] == '.' ? "data" : "link");
        (void)unlink(temporary);
        if (symlink(target, temporary) < 0 || rename(temporary, path) < 0)
                return cx_error_set(err, -errno, "cannot make link %s: %s", path, strerror(errno));
        return 0;
}

// Visible names: the first component of each path links to "..data/<it>"; names no longer there go.
static int update_names(const char *folder, const struct cx_map *payload, struct cx_error *err)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        CX_MAP_FOREACH (payload, entry) {
                CX_CLEANUP(cx_freep) char *name = cx_strndup(entry->key, strcspn(entry->key, "/"));
                if (!cx_strings_has(&names, name))
                        cx_strings_add(&names, name);
        }
        for (size_t i = 0; i < names.count; i++) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, names.items[i]);
                CX_CLEANUP(cx_freep) char *target = cx_sprintf("..data/%s", names.items[i]);
                char now[PATH_MAX];
                ssize_t n = readlink(path, now, sizeof now - 1);
                if (n >= 0) {
                        now[n] = '\0';
                        if (strcmp(now, target) == 0)
                                continue;
                }
                int r = replace_link(folder, names.items[i], target, err);
                if (r < 0)
                        return r;
        }
        DIR *dir = opendir(folder);
        struct dirent *entry;
        while (dir && (entry = readdir(dir)))
                if (strncmp(entry->d_name, "..", 2) != 0 && strcmp(entry->d_name, ".") != 0 &&
                    !cx_strings_has(&names, entry->d_name))
                        (void)unlinkat(dirfd(dir), entry->d_name, 0);
        if (dir)
                closedir(dir);
        return 0;
}

int atomic_write(const char *folder, const struct cx_map *payload, int64_t gid, bool *ret_changed, struct cx_error *err)
{
        if (ret_changed)
                *ret_changed = false;
        if (unchanged(folder, payload, gid))
                return update_names(folder, payload, err); // a crash may have come between the two
        char suffix[11], stamp[64];
        struct tm tm;
        time_t now = (time_t)(cx_time_now() / CX_US_PER_S);
        gmtime_r(&now, &tm);
        cx_random_suffix(suffix, 10);
        strftime(stamp, sizeof stamp, "..%Y_%m_%d_%H_%M_%S", &tm);
        CX_CLEANUP(cx_freep) char *version = cx_sprintf("%s.%s", stamp, suffix);
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, version);
        CX_CLEANUP(cx_freep) char *data = cx_sprintf("%s/..data", folder);
        char old[NAME_MAX + 1] = "";
        ssize_t n = readlink(data, old, sizeof old - 1);
        old[n > 0 ? n : 0] = '\0';
        int r = cx_mkdir_all(path, 0755, err);
        CX_MAP_FOREACH (payload, entry) {
                if (r == 0)
                        r = write_one(path, entry->key, entry->value, gid, err);
        }
        if (r == 0 && gid >= 0)
                r = own_folders(path, gid, 0, err);
        if (r == 0)
                r = replace_link(folder, "..data", version, err);
        if (r < 0) {
                (void)!cx_remove_tree(path, NULL);
                return r;
        }
        r = update_names(folder, payload, err);
        if (r == 0 && *old && !strchr(old, '/')) {
                CX_CLEANUP(cx_freep) char *previous = cx_sprintf("%s/%s", folder, old);
                r = cx_remove_tree(previous, err);
        }
        if (ret_changed)
                *ret_changed = true;
        return r;
}
