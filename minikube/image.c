// SPDX-License-Identifier: Apache-2.0
// minikube image load and ls. An archive (docker save, or an OCI layout in a tar; - is standard input) is put into every
// node's import folder; the kubelet takes it into its store. Listing reads the records of the stores.
#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "minikube/commands.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#define COPY_BLOCK ((size_t)1 << 20)
#define IMPORT_PATIENCE (60 * CX_NS_PER_S)

static int copy_all(int in, int out, const char *from, struct cx_error *err)
{
        char *block = cx_alloc_array(1, COPY_BLOCK);
        ssize_t n;
        int r = 0;
        while (r == 0 && (n = read(in, block, COPY_BLOCK)) != 0) {
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        r = cx_error_set(err, -errno, "GUEST_IMAGE_LOAD: cannot read %s: %s", from, strerror(errno));
                for (ssize_t done = 0; r == 0 && done < n;) {
                        ssize_t written = write(out, block + done, (size_t)(n - done));
                        if (written < 0 && errno != EINTR)
                                r = cx_error_set(err, -EIO, "GUEST_IMAGE_LOAD: cannot copy %s to the node: %s", from,
                                                 strerror(errno));
                        done += written > 0 ? written : 0;
                }
        }
        free(block);
        return r;
}

// The kubelet sees the whole archive or none. One who is killed here leaves a .part behind, see remove_stale.
static int copy_file(int in, const char *from, const char *to, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *temporary = cx_sprintf("%s.part", to);
        CX_CLEANUP(cx_closep) int out = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        int r = out < 0 ? cx_error_set(err, -EIO, "GUEST_IMAGE_LOAD: cannot make %s: %s", temporary, strerror(errno))
                        : 0;
        if (r == 0 && lseek(in, 0, SEEK_SET) < 0)
                r = cx_error_set(err, -EIO, "GUEST_IMAGE_LOAD: cannot read %s again: %s", from, strerror(errno));
        if (r == 0)
                r = copy_all(in, out, from, err);
        if (r == 0 && rename(temporary, to) < 0)
                r = cx_error_set(err, -EIO, "GUEST_IMAGE_LOAD: cannot make %s: %s", to, strerror(errno));
        if (r < 0)
                (void)unlink(temporary);
        return r;
}

// What a minikube that was killed has left: "<its pid>.tar.part".
static void remove_stale(const char *folder)
{
        DIR *dir = opendir(folder);
        for (struct dirent *entry; dir && (entry = readdir(dir));) {
                int pid, end = 0;
                if (sscanf(entry->d_name, "%d.tar.part%n", &pid, &end) != 1 || !end || pid <= 1 ||
                    (pid != getpid() && (kill(pid, 0) == 0 || errno != ESRCH)))
                        continue;
                (void)unlinkat(dirfd(dir), entry->d_name, 0);
        }
        if (dir)
                closedir(dir);
}

// The kubelet removes an archive that it has taken, and leaves <name>.error behind one that it could not take.
static int wait_taken(const char *path, const char *archive, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *complaint = cx_sprintf("%s.error", path);
        int64_t deadline = cx_time_monotonic() + IMPORT_PATIENCE;
        while (access(path, F_OK) == 0) {
                if (cx_time_monotonic() > deadline) {
                        (void)unlink(path);
                        return cx_error_set(err, -ETIMEDOUT,
                                            "GUEST_IMAGE_LOAD: the kubelet has not taken %s: does it run?", archive);
                }
                (void)poll(NULL, 0, 20);
        }
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        if (cx_buf_read_file(&text, complaint) < 0)
                return 0;
        (void)unlink(complaint);
        // It speaks of its copy.
        const char *at = strstr(text.data, path);
        return cx_error_set(err, -EBADMSG, "GUEST_IMAGE_LOAD: %.*s%s%s", at ? (int)(at - text.data) : 0, text.data,
                            at ? archive : "", at ? at + strlen(path) : text.data);
}

// Standard input can be read once: it goes into a file without a name first.
static int open_archive(const struct profile *profile, const char *archive, int *ret_fd, struct cx_error *err)
{
        if (strcmp(archive, "-") != 0) {
                struct stat st;
                CX_CLEANUP(cx_closep) int fd = open(archive, O_RDONLY | O_CLOEXEC);
                if (fd < 0 || fstat(fd, &st) < 0)
                        return cx_error_set(err, -EBADMSG, "GUEST_IMAGE_LOAD: cannot read %s: %s", archive,
                                            strerror(errno));
                if (!S_ISREG(st.st_mode))
                        return cx_error_set(err, -EBADMSG, "GUEST_IMAGE_LOAD: %s is not a file", archive);
                *ret_fd = cx_steal_fd(&fd);
                return 0;
        }
        CX_CLEANUP(cx_freep) char *path = profile_path(profile, "run/stdin-XXXXXX");
        CX_CLEANUP(cx_closep) int fd = mkostemp(path, O_CLOEXEC);
        if (fd < 0)
                return cx_error_set(err, -EIO, "GUEST_IMAGE_LOAD: cannot make %s: %s", path, strerror(errno));
        (void)unlink(path);
        int r = copy_all(STDIN_FILENO, fd, "standard input", err);
        if (r == 0) {
                *ret_fd = cx_steal_fd(&fd);
        }
        return r;
}

static int load(struct minikube *m, const char *archive, struct cx_error *err)
{
        CX_CLEANUP(cx_closep) int in = -1;
        int r = open_archive(&m->profile, archive, &in, err);
        for (int node = 0; r == 0 && node < m->profile.nodes; node++) {
                CX_CLEANUP(cx_freep) char *name = node_name(&m->profile, node);
                CX_CLEANUP(cx_freep) char *folder = profile_path(&m->profile, "nodes/%s/images/import", name);
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%d.tar", folder, (int)getpid());
                r = cx_mkdir_all(folder, 0700, err);
                if (r < 0)
                        return r;
                remove_stale(folder);
                r = copy_file(in, archive, path, err);
                if (r == 0)
                        r = wait_taken(path, strcmp(archive, "-") == 0 ? "standard input" : archive, err);
        }
        return r;
}

static void list_node(const char *folder, struct cx_strings *tags)
{
        DIR *dir = opendir(folder);
        for (struct dirent *entry; dir && (entry = readdir(dir));) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, entry->d_name);
                CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
                json_auto_t *record = NULL;
                if (!cx_has_suffix(entry->d_name, ".json") || cx_buf_read_file(&text, path) < 0 ||
                    cx_json_parse(text.data, text.length, false, &record, NULL) < 0)
                        continue;
                const json_t *names = json_object_get(record, "repoTags");
                for (size_t i = 0; i < json_array_size(names); i++) {
                        const char *tag = cx_str(json_string_value(json_array_get(names, i)));
                        if (!cx_strings_has(tags, tag))
                                cx_strings_add(tags, tag);
                }
        }
        if (dir)
                closedir(dir);
}

int command_image(struct minikube *m, struct cx_error *err)
{
        int r = need_profile(m, err);
        const char *what = m->args.count ? m->args.items[0] : "";
        if (r < 0)
                return r;
        if (strcmp(what, "load") == 0 && m->args.count > 1) {
                r = need_running(m, err);
                for (size_t i = 1; r == 0 && i < m->args.count; i++)
                        r = load(m, m->args.items[i], err);
                return r;
        }
        if (strcmp(what, "ls") != 0 && strcmp(what, "list") != 0)
                return cx_error_set(err, -EINVAL, "MK_USAGE: minikube image load FILE..., or minikube image ls");
        CX_STRINGS tags = CX_STRINGS_INIT;
        for (int node = 0; node < m->profile.nodes; node++) {
                CX_CLEANUP(cx_freep) char *name = node_name(&m->profile, node);
                CX_CLEANUP(cx_freep) char *folder = profile_path(&m->profile, "nodes/%s/images/images", name);
                list_node(folder, &tags);
        }
        cx_strings_sort(&tags);
        for (size_t i = 0; i < tags.count; i++)
                printf("%s\n", tags.items[i]);
        return 0;
}
