// SPDX-License-Identifier: Apache-2.0
// minikube image load and ls (image_request.c has the rest). An archive (docker save, or an OCI layout in a tar; - is standard input) is put into every
// node's import folder; the kubelet takes it into its store. Listing reads the records of the stores.
#include "minikube/image.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "minikube/commands.h"
#include "minikube/copy.h"
#include "minikube/out.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#define IMPORT_PATIENCE (60 * CX_NS_PER_S)

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
        int r = copy_all(STDIN_FILENO, fd, "standard input", "GUEST_IMAGE_LOAD", err);
        if (r == 0) {
                *ret_fd = cx_steal_fd(&fd);
        }
        return r;
}

char *image_folder(const struct profile *profile, int node)
{
        CX_CLEANUP(cx_freep) char *name = node_name(profile, node);
        return profile_path(profile, "nodes/%s/images/import", name);
}

int image_wait_taken(const char *path, int64_t patience, const char *name, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *complaint = cx_sprintf("%s.error", path);
        int64_t deadline = cx_time_monotonic() + patience;
        while (access(path, F_OK) == 0) {
                if (cx_time_monotonic() > deadline) {
                        (void)unlink(path);
                        return cx_error_set(err, -ETIMEDOUT, "%s: the kubelet has not answered: does it run?", name);
                }
                (void)poll(NULL, 0, 20);
        }
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        if (cx_buf_read_file(&text, complaint) < 0)
                return 0;
        (void)unlink(complaint);
        return cx_error_set(err, -EBADMSG, "%s: %s", name, text.data);
}

// The kubelet speaks of its copy: the user's own file is named instead.
static int name_archive(const char *path, const char *archive, struct cx_error *err)
{
        const char *text = cx_error_text(err), *at = strstr(text, path);
        if (!at)
                return err->code;
        CX_CLEANUP(cx_freep) char *own = cx_sprintf("%.*s%s%s", (int)(at - text), text, archive, at + strlen(path));
        cx_error_release(err);
        return cx_error_set(err, -EBADMSG, "%s", own);
}

int image_load(struct minikube *m, const char *archive, struct cx_error *err)
{
        CX_CLEANUP(cx_closep) int in = -1;
        int r = open_archive(&m->profile, archive, &in, err);
        for (int node = 0; r == 0 && node < m->profile.nodes; node++) {
                CX_CLEANUP(cx_freep) char *folder = image_folder(&m->profile, node);
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%d.tar", folder, (int)getpid());
                if (!node_runs(&m->profile, node))
                        continue;
                r = cx_mkdir_all(folder, 0700, err);
                if (r < 0)
                        return r;
                remove_stale(folder);
                r = copy_file(in, archive, path, 0600, "GUEST_IMAGE_LOAD", err);
                if (r < 0)
                        return r;
                r = image_wait_taken(path, IMPORT_PATIENCE, "GUEST_IMAGE_LOAD", err);
                if (r < 0)
                        return name_archive(path, strcmp(archive, "-") == 0 ? "standard input" : archive, err);
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

int command_image_load(struct minikube *m, struct cx_error *err)
{
        int r = need_running(m, err);
        for (size_t i = 0; r == 0 && i < m->args.count; i++)
                r = image_load(m, m->args.items[i], err);
        return r;
}

void image_tags(const struct profile *profile, struct cx_strings *ret_tags)
{
        for (int node = 0; node < profile->nodes; node++) {
                CX_CLEANUP(cx_freep) char *name = node_name(profile, node);
                CX_CLEANUP(cx_freep) char *folder = profile_path(profile, "nodes/%s/images/images", name);
                if (node_there(profile, node))
                        list_node(folder, ret_tags);
        }
        cx_strings_sort(ret_tags);
}

int command_image_list(struct minikube *m, struct cx_error *err)
{
        CX_STRINGS tags = CX_STRINGS_INIT;
        int r = need_profile(m, err);
        if (r == 0)
                image_tags(&m->profile, &tags);
        for (size_t i = 0; i < tags.count; i++)
                printf("%s\n", tags.items[i]);
        return r;
}
