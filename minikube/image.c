// SPDX-License-Identifier: Apache-2.0
// minikube image load and ls. An archive (docker save, or an OCI layout in a tar) is put into every node's import folder;
// the kubelet takes it into its store. Listing reads the records of the stores.
#include "base/buf.h"
#include "base/process.h"
#include "base/time.h"
#include "format/json.h"
#include "minikube/commands.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#define IMPORT_PATIENCE (60 * CX_NS_PER_S)

static int copy_file(const char *from, const char *to, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *temporary = cx_sprintf("%s.part", to);
        CX_CLEANUP(cx_closep) int in = open(from, O_RDONLY | O_CLOEXEC);
        CX_CLEANUP(cx_closep) int out = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        struct stat st;
        if (in < 0 || out < 0 || fstat(in, &st) < 0)
                return cx_error_set(err, -errno, "cannot copy %s: %s", from, strerror(errno));
        for (off_t left = st.st_size; left > 0;) {
                ssize_t n = sendfile(out, in, NULL, (size_t)left);
                if (n <= 0)
                        return cx_error_set(err, -EIO, "cannot copy %s", from);
                left -= n;
        }
        return rename(temporary, to) < 0 ? cx_error_set(err, -errno, "cannot write %s: %s", to, strerror(errno)) : 0;
}

// The kubelet removes an archive that it has taken, and leaves <name>.error behind one that it could not take.
static int wait_taken(const char *path, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *complaint = cx_sprintf("%s.error", path);
        int64_t deadline = cx_time_monotonic() + IMPORT_PATIENCE;
        while (access(path, F_OK) == 0) {
                if (cx_time_monotonic() > deadline)
                        return cx_error_set(err, -ETIMEDOUT, "the kubelet has not taken %s: does it run?", path);
                (void)poll(NULL, 0, 20);
        }
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        if (cx_buf_read_file(&text, complaint) < 0)
                return 0;
        (void)unlink(complaint);
        return cx_error_set(err, -EINVAL, "%s", text.data);
}

static int load(struct cx_minikube *m, const char *archive, struct cx_error *err)
{
        int r = access(archive, R_OK) < 0 ? cx_error_set(err, -errno, "cannot read %s: %s", archive, strerror(errno))
                                          : 0;
        for (int node = 0; r == 0 && node < m->profile.nodes; node++) {
                CX_CLEANUP(cx_freep) char *name = cx_node_name(&m->profile, node);
                CX_CLEANUP(cx_freep) char *folder = cx_profile_path(&m->profile, "nodes/%s/images/import", name);
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%d.tar", folder, (int)getpid());
                r = cx_mkdir_all(folder, 0700, err);
                if (r == 0)
                        r = copy_file(archive, path, err);
                if (r == 0)
                        r = wait_taken(path, err);
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

int cx_command_image(struct cx_minikube *m, struct cx_error *err)
{
        int r = cx_need_profile(m, err);
        const char *what = m->args.count ? m->args.items[0] : "";
        if (r < 0)
                return r;
        if (strcmp(what, "load") == 0 && m->args.count > 1) {
                for (size_t i = 1; r == 0 && i < m->args.count; i++)
                        r = load(m, m->args.items[i], err);
                return r;
        }
        if (strcmp(what, "ls") != 0 && strcmp(what, "list") != 0)
                return cx_error_set(err, -EINVAL, "minikube image load FILE..., or minikube image ls");
        CX_STRINGS tags = CX_STRINGS_INIT;
        for (int node = 0; node < m->profile.nodes; node++) {
                CX_CLEANUP(cx_freep) char *name = cx_node_name(&m->profile, node);
                CX_CLEANUP(cx_freep) char *folder = cx_profile_path(&m->profile, "nodes/%s/images/images", name);
                list_node(folder, &tags);
        }
        cx_strings_sort(&tags);
        for (size_t i = 0; i < tags.count; i++)
                printf("%s\n", tags.items[i]);
        return 0;
}
