// SPDX-License-Identifier: Apache-2.0
// From volumeMounts to bind mounts. A subPath is opened inside its volume without leaving it (the container may write
// symbolic links there) and pinned by a bind mount of the opened file, so that what was checked is what gets mounted.
#include "kubelet/volume/volumes_internal.h"

#include "kubelet/base/expand.h"
#include "kubelet/runtime/spec.h"
#include "libcommon/base/process.h"
#include "libcommon/format/json.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

// Makes the folders of a relative path below `root`, without leaving it.
static int make_below(const char *root, const char *path)
{
        CX_CLEANUP(cx_freep) char *part = cx_strdup(path);
        for (char *p = part + 1;; p++) {
                if (*p != '/' && *p)
                        continue;
                char c = *p;
                *p = '\0';
                char *slash = strrchr(part, '/');
                CX_CLEANUP(cx_freep) char *above = slash ? cx_strndup(part, (size_t)(slash - part)) : cx_strdup(".");
                CX_CLEANUP(cx_closep) int fd = open_in_root(root, *above ? above : ".", O_PATH | O_DIRECTORY);
                if (fd < 0)
                        return fd;
                if (mkdirat(fd, slash ? slash + 1 : part, 0750) < 0 && errno != EEXIST)
                        return -errno;
                *p = c;
                if (!c)
                        return 0;
        }
}

static int pin_subpath(struct volumes *v, const json_t *pod, const json_t *container, size_t index, const char *volume,
                       const char *root, const char *sub_path, char **ret_source, struct cx_error *err)
{
        for (const char *p = sub_path; *p; p += strcspn(p, "/"), p += *p == '/')
                if (*sub_path == '/' || (strcspn(p, "/") == 2 && p[0] == '.' && p[1] == '.'))
                        return cx_error_set(err, -EINVAL,
                                            "failed to prepare subPath for volumeMount \"%s\": must not "
                                            "contain '..' or be absolute",
                                            volume);
        CX_CLEANUP(cx_closep) int fd = open_in_root(root, sub_path, O_PATH);
        int r = fd;
        if (fd == -ENOENT) {
                r = make_below(root, sub_path);
                if (r == 0)
                        r = fd = open_in_root(root, sub_path, O_PATH);
        }
        struct stat st;
        if (r < 0 || fstat(fd, &st) < 0)
                return cx_error_set(err, r < 0 ? r : -errno,
                                    "failed to prepare subPath for volumeMount \"%s\" of "
                                    "container \"%s\"",
                                    volume, cx_json_string_or(container, "name", ""));
        CX_CLEANUP(cx_freep)
        char *folder =
                cx_sprintf("%s/%s/volume-subpaths/%s/%s", v->state_pods, cx_json_string_or(pod, "metadata.uid", ""),
                           volume, cx_json_string_or(container, "name", ""));
        CX_CLEANUP(cx_freep) char *target = cx_sprintf("%s/%zu", folder, index);
        r = cx_mkdir_all(folder, 0750, err);
        if (r < 0)
                return r;
        while (umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW) == 0) // of the container's last run
                ;
        if (S_ISDIR(st.st_mode)) {
                (void)unlink(target);
                if (mkdir(target, 0750) < 0 && errno != EEXIST)
                        return cx_error_set(err, -errno, "cannot make %s: %s", target, strerror(errno));
        } else {
                (void)rmdir(target);
                CX_CLEANUP(cx_closep) int file = open(target, O_CREAT | O_RDONLY | O_CLOEXEC, 0640);
                if (file < 0)
                        return cx_error_set(err, -errno, "cannot make %s: %s", target, strerror(errno));
        }
        char source[40];
        snprintf(source, sizeof source, "/proc/self/fd/%d", fd);
        if (mount(source, target, NULL, MS_BIND | MS_REC, NULL) < 0)
                return cx_error_set(err, -errno, "cannot bind %s: %s", target, strerror(errno));
        *ret_source = cx_steal(&target);
        return 0;
}

void spec_mounts_free(struct spec_mount *mounts, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                free(mounts[i].source);
                free(mounts[i].target);
        }
        free(mounts);
}

static const char *propagation_of(const json_t *mount)
{
        const char *mode = cx_json_string_or(mount, "mountPropagation", "None");
        return strcmp(mode, "HostToContainer") == 0 ? "rslave"
               : strcmp(mode, "Bidirectional") == 0 ? "rshared"
                                                    : "rprivate";
}

static int one_mount(struct volumes *v, const json_t *pod, const json_t *container, size_t index, const json_t *mount,
                     const struct cx_strings *env, struct spec_mount *to, struct cx_error *err)
{
        const char *name = cx_json_string_or(mount, "name", "");
        bool fixed = false;
        CX_CLEANUP(cx_freep) char *source = volumes_path(v, pod, name, &fixed);
        if (!source)
                return cx_error_set(err, -EINVAL, "cannot find volume \"%s\" to mount into container \"%s\"", name,
                                    cx_json_string_or(container, "name", ""));
        const char *expression = cx_json_string(mount, "subPathExpr");
        CX_CLEANUP(cx_freep)
        char *sub_path = expression ? expand(expression, env) : cx_strdup(cx_json_string(mount, "subPath"));
        CX_CLEANUP(cx_freep) char *missing = expression ? expand_missing(expression, env) : NULL;
        if (missing) // here a name that is unknown does not stay as it is
                return cx_error_set(err, -EINVAL, "missing value for \"%s\"", missing);
        if (sub_path && *sub_path) {
                char *pinned = NULL;
                int r = pin_subpath(v, pod, container, index, name, source, sub_path, &pinned, err);
                if (r < 0)
                        return r;
                free(source);
                source = pinned;
        } else if (access(source, F_OK) < 0) { // a hostPath without a type is made, as container runtimes do
                int r = cx_mkdir_all(source, 0755, err);
                if (r < 0)
                        return r;
        }
        const char *target = cx_json_string_or(mount, "mountPath", "");
        *to = (struct spec_mount){.source = cx_steal(&source),
                                  .target = *target == '/' ? cx_strdup(target) : cx_sprintf("/%s", target),
                                  .read_only = fixed || cx_json_bool(mount, "readOnly", false),
                                  .propagation = propagation_of(mount)};
        return 0;
}

int volumes_mounts(struct volumes *v, const json_t *pod, const json_t *container, const struct cx_strings *env,
                   struct spec_mount **ret_mounts, size_t *ret_count, struct cx_error *err)
{
        const json_t *list = json_object_get(container, "volumeMounts");
        struct spec_mount *mounts = cx_alloc_array(json_array_size(list) + 1, sizeof *mounts);
        size_t i;
        json_t *mount;
        json_array_foreach ((json_t *)list, i, mount) {
                int r = one_mount(v, pod, container, i, mount, env, &mounts[i], err);
                if (r < 0) {
                        spec_mounts_free(mounts, i);
                        return r;
                }
        }
        *ret_mounts = mounts;
        *ret_count = json_array_size(list);
        return 0;
}
