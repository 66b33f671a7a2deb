// SPDX-License-Identifier: Apache-2.0
// What is written is appended under a lock. What is set aside is looked after by the keeper, since compressing takes time.
#include "apiserver/audit/log_file.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/log.h"
#include "libcommon/base/strings.h"
#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <zlib.h>

#define STAMP "2026-01-31T08-15-00.000"
#define US_PER_DAY (86400 * CX_US_PER_S)

struct log_file {
        struct log_file_options options;
        char *path, *folder, *stem, *extension; // "/var/log", "audit", ".log"
        pthread_mutex_t lock;                   // guards what follows
        int fd;
        int64_t size;
        bool stopping, due; // due: something was set aside
        pthread_cond_t wake;
        pthread_t keeper;
        bool kept; // it is a plain file, which may be set aside, and there is a keeper
};

// --- names ---

static char *name_at(const struct log_file *file, int64_t us)
{
        time_t seconds = (time_t)(us / CX_US_PER_S);
        struct tm tm;
        char text[32];
        gmtime_r(&seconds, &tm);
        (void)strftime(text, sizeof text, "%Y-%m-%dT%H-%M-%S", &tm);
        return cx_sprintf("%s/%s-%s.%03d%s", file->folder, file->stem, text, (int)(us / 1000 % 1000), file->extension);
}

// When this name of the folder was set aside; false: it is another file.
static bool time_of(const struct log_file *file, const char *name, int64_t *ret_us, bool *ret_compressed)
{
        size_t stem = strlen(file->stem), extension = strlen(file->extension), stamp = strlen(STAMP);
        if (strlen(name) < stem + 1 + stamp + extension || strncmp(name, file->stem, stem) != 0 || name[stem] != '-')
                return false;
        const char *at = name + stem + 1, *rest = at + stamp;
        if (strncmp(rest, file->extension, extension) != 0)
                return false;
        rest += extension;
        *ret_compressed = strcmp(rest, ".gz") == 0;
        if (*rest && !*ret_compressed)
                return false;
        char text[sizeof STAMP + 1];
        (void)snprintf(text, sizeof text, "%.*sZ", (int)stamp, at);
        if (text[13] != '-' || text[16] != '-')
                return false;
        text[13] = text[16] = ':';
        return cx_time_parse(text, ret_us) == 0;
}

// --- the keeper ---

struct backup {
        char *path;
        int64_t when;
        bool compressed;
};

static int by_age(const void *a, const void *b)
{
        const struct backup *x = a, *y = b;
        return x->when < y->when ? 1 : x->when > y->when ? -1 : strcmp(x->path, y->path);
}

static struct backup *list_backups(const struct log_file *file, size_t *ret_count)
{
        struct backup *list = NULL;
        size_t count = 0;
        DIR *folder = opendir(file->folder);
        const struct dirent *entry;
        while (folder && (entry = readdir(folder))) {
                struct backup backup = {0};
                if (!time_of(file, entry->d_name, &backup.when, &backup.compressed))
                        continue;
                backup.path = cx_sprintf("%s/%s", file->folder, entry->d_name);
                list = cx_realloc_array(list, count + 1, sizeof *list);
                list[count++] = backup;
        }
        if (folder)
                closedir(folder);
        if (count)
                qsort(list, count, sizeof *list, by_age);
        *ret_count = count;
        return list;
}

static bool is_stopping(struct log_file *file)
{
        pthread_mutex_lock(&file->lock);
        bool stopping = file->stopping;
        pthread_mutex_unlock(&file->lock);
        return stopping;
}

// False when it did not work, or was interrupted by the end of the process: what was there is still there.
static bool copy_compressed(struct log_file *file, int from, gzFile to)
{
        char block[65536];
        ssize_t n;
        while ((n = read(from, block, sizeof block)) > 0)
                if (gzwrite(to, block, (unsigned)n) != n || is_stopping(file))
                        return false;
        return n == 0;
}

static void compress_backup(struct log_file *file, const char *path)
{
        CX_CLEANUP(cx_freep) char *end = cx_sprintf("%s.gz", path), *half = cx_sprintf("%s.gz.new", path);
        CX_CLEANUP(cx_closep) int from = open(path, O_RDONLY | O_CLOEXEC);
        int to = from < 0 ? -1 : open(half, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        gzFile packed = to < 0 ? NULL : gzdopen(to, "wb");
        if (!packed) {
                if (to >= 0)
                        close(to);
                cx_warn("An audit log cannot be compressed", "file", path);
                return;
        }
        bool good = copy_compressed(file, from, packed);
        good = gzclose(packed) == Z_OK && good;
        if (good && rename(half, end) == 0)
                unlink(path);
        else
                unlink(half);
}

static void look_after(struct log_file *file)
{
        const struct log_file_options *o = &file->options;
        int64_t oldest = cx_time_now() - o->max_age_days * US_PER_DAY;
        size_t count, kept = 0;
        struct backup *list = list_backups(file, &count);
        for (size_t i = 0; i < count; i++) {
                bool too_many = o->max_backups > 0 && kept >= (size_t)o->max_backups;
                bool too_old = o->max_age_days > 0 && list[i].when < oldest;
                if (too_many || too_old)
                        unlink(list[i].path);
                else
                        kept++;
                if (!too_many && !too_old && o->compress && !list[i].compressed)
                        compress_backup(file, list[i].path);
                free(list[i].path);
        }
        free(list);
}

static void *keeper_main(void *context)
{
        struct log_file *file = context;
        pthread_mutex_lock(&file->lock);
        while (!file->stopping) {
                bool due = file->due;
                file->due = false;
                if (due) {
                        pthread_mutex_unlock(&file->lock);
                        look_after(file);
                        pthread_mutex_lock(&file->lock);
                } else {
                        pthread_cond_wait(&file->wake, &file->lock);
                }
        }
        pthread_mutex_unlock(&file->lock);
        return NULL;
}

// --- writing ---

static int open_file(struct log_file *file, bool *ret_plain, struct cx_error *err)
{
        struct stat stat;
        CX_CLEANUP(cx_closep) int fd = open(file->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
        if (fd < 0 || fstat(fd, &stat) < 0)
                return cx_error_set(err, -errno, "cannot open %s: %s", file->path, strerror(errno));
        file->size = stat.st_size;
        *ret_plain = S_ISREG(stat.st_mode);
        file->fd = cx_steal_fd(&fd);
        return 0;
}

// The file gets a name of its own, and another takes its place.
static int set_aside(struct log_file *file, struct cx_error *err)
{
        struct stat stat;
        int64_t now = cx_time_now();
        CX_CLEANUP(cx_freep) char *name = name_at(file, now);
        while (lstat(name, &stat) == 0) {
                free(name);
                name = name_at(file, now += 1000);
        }
        int old = file->fd;
        bool plain;
        if (rename(file->path, name) < 0 && errno != ENOENT) // ENOENT: somebody has taken it away
                return cx_error_set(err, -errno, "cannot rename %s: %s", file->path, strerror(errno));
        int r = open_file(file, &plain, err);
        if (r < 0)
                return r;
        close(old);
        file->due = true;
        pthread_cond_signal(&file->wake);
        return 0;
}

// What was written of a line that does not fit goes again, so that the next one does not begin in its middle.
static int append(struct log_file *file, const char *data, size_t length, struct cx_error *err)
{
        size_t done = 0;
        while (done < length) {
                ssize_t n = write(file->fd, data + done, length - done);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        int code = n < 0 ? errno : EIO;
                        if (done && ftruncate(file->fd, file->size) < 0)
                                file->size += (int64_t)done;
                        return cx_error_set(err, -code, "cannot write %s: %s", file->path, strerror(code));
                }
                done += (size_t)n;
        }
        file->size += (int64_t)length;
        return 0;
}

static int write_locked(struct log_file *file, const char *data, size_t length, struct cx_error *err)
{
        if (file->kept && (int64_t)length > file->options.max_size)
                return cx_error_set(err, -EFBIG, "write length %zu exceeds maximum file size %lld", length,
                                    (long long)file->options.max_size);
        if (file->kept && file->size && file->size + (int64_t)length > file->options.max_size) {
                int r = set_aside(file, err);
                if (r < 0)
                        return r;
        }
        return append(file, data, length, err);
}

int log_file_write(struct log_file *file, const char *data, size_t length, struct cx_error *err)
{
        pthread_mutex_lock(&file->lock);
        int r = write_locked(file, data, length, err);
        pthread_mutex_unlock(&file->lock);
        return r;
}

// --- its life ---

static int make_folder(const char *path, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *part = cx_strdup(path);
        for (char *slash = part + 1; (slash = strchr(slash, '/')); slash++) {
                *slash = '\0';
                if (mkdir(part, 0700) < 0 && errno != EEXIST)
                        return cx_error_set(err, -errno, "cannot make the folder %s: %s", part, strerror(errno));
                *slash = '/';
        }
        return 0;
}

static void take_apart(struct log_file *file)
{
        const char *slash = strrchr(file->path, '/'), *name = slash ? slash + 1 : file->path;
        const char *dot = strrchr(name, '.');
        file->folder = slash == file->path ? cx_strdup("/")
                       : slash             ? cx_strndup(file->path, (size_t)(slash - file->path))
                                           : cx_strdup(".");
        file->extension = cx_strdup(cx_str(dot));
        file->stem = dot ? cx_strndup(name, (size_t)(dot - name)) : cx_strdup(name);
}

static int begin(struct log_file *file, struct cx_error *err)
{
        if (strcmp(file->path, "-") == 0) {
                file->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
                return file->fd < 0 ? cx_error_set(err, -errno, "standard output is not open") : 0;
        }
        take_apart(file);
        bool plain = false;
        int r = make_folder(file->path, err);
        if (r == 0)
                r = open_file(file, &plain, err);
        if (r < 0 || !plain) // a device or a pipe stays where it is
                return r;
        if (pthread_create(&file->keeper, NULL, keeper_main, file) != 0)
                return cx_error_set(err, -EAGAIN, "cannot start the thread of the audit log");
        file->kept = true;
        return 0;
}

int log_file_open(const struct log_file_options *options, struct log_file **ret_file, struct cx_error *err)
{
        struct log_file *file = cx_alloc(sizeof *file);
        file->options = *options;
        file->path = cx_strdup(options->path);
        file->options.path = file->path;
        file->fd = -1;
        file->due = true; // of what was left by earlier runs
        pthread_mutex_init(&file->lock, NULL);
        cx_cond_init(&file->wake);
        int r = begin(file, err);
        if (r < 0)
                log_file_close(file);
        else
                *ret_file = file;
        return r;
}

void log_file_close(struct log_file *file)
{
        if (!file)
                return;
        pthread_mutex_lock(&file->lock);
        file->stopping = true;
        pthread_cond_signal(&file->wake);
        pthread_mutex_unlock(&file->lock);
        if (file->kept)
                pthread_join(file->keeper, NULL);
        if (file->fd >= 0)
                close(file->fd);
        pthread_cond_destroy(&file->wake);
        pthread_mutex_destroy(&file->lock);
        free(file->path);
        free(file->folder);
        free(file->stem);
        free(file->extension);
        free(file);
}
