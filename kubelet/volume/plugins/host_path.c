// SPDX-License-Identifier: Apache-2.0
// hostPath: a path of the node, checked for being what the pod takes it for. It is the node's: nothing of it is removed.
#include "kubelet/volume/plugins/plugins.h"
#include "libcommon/base/process.h"
#include "libcommon/format/json.h"

#include <fcntl.h>
#include <sys/stat.h>

static const char *path_of(const json_t *source)
{
        return cx_json_string_or(source, "path", "");
}

// Every type: what is there must be of the format, and what is not there is made when `make` does that.
static int make_folder(const char *path, struct cx_error *err)
{
        return cx_mkdir_all(path, 0755, err);
}

static int make_file(const char *path, struct cx_error *err)
{
        CX_CLEANUP(cx_closep) int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
        return fd < 0 ? cx_error_set(err, -errno, "cannot make %s: %s", path, strerror(errno)) : 0;
}

static const struct {
        const char *type, *what;
        mode_t format;
        int (*make)(const char *path, struct cx_error *err);
} types[] = {{"DirectoryOrCreate", "directory", S_IFDIR, make_folder},
             {"Directory", "directory", S_IFDIR, NULL},
             {"FileOrCreate", "file", S_IFREG, make_file},
             {"File", "file", S_IFREG, NULL},
             {"Socket", "socket file", S_IFSOCK, NULL},
             {"CharDevice", "character device", S_IFCHR, NULL},
             {"BlockDevice", "block device", S_IFBLK, NULL}};

static int set_up(struct volume_job *job, struct cx_error *err)
{
        const char *type = cx_json_string_or(job->source, "type", "");
        struct stat st;
        if (!*type)
                return 0;
        for (size_t i = 0; i < CX_ARRAY_SIZE(types); i++) {
                if (strcmp(type, types[i].type) != 0)
                        continue;
                bool there = stat(job->folder, &st) == 0;
                if (!there && types[i].make)
                        return types[i].make(job->folder, err);
                return there && (st.st_mode & S_IFMT) == types[i].format
                               ? 0
                               : cx_error_set(err, -EINVAL, "hostPath type check failed: %s is not a %s", job->folder,
                                              types[i].what);
        }
        return cx_error_set(err, -EINVAL, "hostPath type \"%s\" is unknown", type);
}

const struct volume_plugin host_path_plugin = {.source = "hostPath", .path = path_of, .set_up = set_up};
