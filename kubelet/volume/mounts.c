// SPDX-License-Identifier: Apache-2.0
// From volumeMounts to bind mounts. A subPath is opened inside its volume without leaving it (the container may write
// symbolic links there) and pinned by a bind mount of the opened file, so that what was checked is what gets mounted.
#include "kubelet/volume/mounts.h"

#include "kubelet/base/expand.h"
#include "kubelet/runtime/runtime.h"
#include "libcommon/base/mounts.h"
#include "libcommon/base/process.h"
#include "libcommon/format/json.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

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

// One volumeMount of a container.
struct wish {
        struct volumes *volumes;
        const json_t *pod, *container, *mount;
        const char *name; // of the volume
        size_t index;
        const struct cx_strings *env;
};

static int check_subpath(const struct wish *w, const char *path, struct cx_error *err)
{
        for (const char *p = path; *p; p += strcspn(p, "/"), p += *p == '/')
                if (*path == '/' || (strcspn(p, "/") == 2 && p[0] == '.' && p[1] == '.'))
                        return cx_error_set(err, -EINVAL,
                                            "failed to prepare subPath for volumeMount \"%s\": must not contain '..' "
                                            "or be absolute",
                                            w->name);
        return 0;
}

// Makes the file or folder that something like what is opened can be mounted on.
static int make_target(const char *target, int fd, struct cx_error *err)
{
        struct stat st;
        while (umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW) == 0) // of the container's last run
                ;
        if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
                (void)unlink(target);
                if (mkdir(target, 0750) < 0 && errno != EEXIST)
                        return cx_error_set(err, -errno, "cannot make %s: %s", target, strerror(errno));
                return 0;
        }
        (void)rmdir(target);
        CX_CLEANUP(cx_closep) int file = open(target, O_CREAT | O_RDONLY | O_CLOEXEC, 0640);
        return file < 0 ? cx_error_set(err, -errno, "cannot make %s: %s", target, strerror(errno)) : 0;
}

static int pin_subpath(const struct wish *w, const char *root, const char *sub_path, char **ret_source,
                       struct cx_error *err)
{
        const char *container = cx_json_string_or(w->container, "name", "");
        int r = check_subpath(w, sub_path, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_closep) int fd = open_in_root(root, sub_path, O_PATH);
        r = fd;
        if (fd == -ENOENT) {
                r = make_below(root, sub_path);
                if (r == 0)
                        r = fd = open_in_root(root, sub_path, O_PATH);
        }
        if (r < 0)
                return cx_error_set(err, r, "failed to prepare subPath for volumeMount \"%s\" of container \"%s\"",
                                    w->name, container);
        CX_CLEANUP(cx_freep)
        char *subpaths = volumes_subpaths(w->volumes, cx_json_string_or(w->pod, "metadata.uid", ""));
        CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s/%s/%s", subpaths, w->name, container);
        CX_CLEANUP(cx_freep) char *target = cx_sprintf("%s/%zu", folder, w->index);
        r = cx_mkdir_all(folder, 0750, err);
        if (r == 0)
                r = make_target(target, fd, err);
        if (r < 0)
                return r;
        char source[40];
        snprintf(source, sizeof source, "/proc/self/fd/%d", fd);
        if (mount(source, target, NULL, MS_BIND | MS_REC, NULL) < 0)
                return cx_error_set(err, -errno, "cannot bind %s: %s", target, strerror(errno));
        *ret_source = cx_steal(&target);
        return 0;
}

void volume_mounts_release(struct volume_mounts *mounts)
{
        for (size_t i = 0; i < mounts->count; i++) {
                free(mounts->items[i].source);
                free(mounts->items[i].target);
        }
        for (size_t i = 0; i < mounts->n_devices; i++)
                free(mounts->devices[i].path);
        free(mounts->items);
        free(mounts->devices);
        *mounts = (struct volume_mounts){0};
}

static const char *propagation_of(const json_t *mount)
{
        const char *mode = cx_json_string(mount, "mountPropagation");
        return cx_streq(mode, "HostToContainer") ? "rslave" : cx_streq(mode, "Bidirectional") ? "rshared" : "rprivate";
}

// What is mounted later goes no further than the mount that the volume is on lets it: with a private one nothing would come,
// and nobody would be told.
static int check_propagation(const char *source, const char *propagation, struct cx_error *err)
{
        bool both = strcmp(propagation, "rshared") == 0;
        CX_CLEANUP(cx_mount_sharing_release) struct cx_mount_sharing sharing = {0};
        if (strcmp(propagation, "rprivate") == 0)
                return 0;
        int r = cx_mount_sharing_of(source, &sharing, err);
        if (r < 0 || sharing.shared || (!both && sharing.slave))
                return r;
        return cx_error_set(err, -EINVAL,
                            "path \"%s\" is mounted on \"%s\" but it is not a shared%s mount: run \"mount "
                            "--make-rshared %s\" on the node",
                            source, sharing.point, both ? "" : " or slave", sharing.point);
}

// The path below the volume that is wanted; NULL for the volume itself.
static int sub_path_of(const struct wish *w, char **ret_path, struct cx_error *err)
{
        const char *expression = cx_json_string(w->mount, "subPathExpr");
        CX_CLEANUP(cx_freep) char *missing = expression ? expand_missing(expression, w->env) : NULL;
        if (missing) // here a name that is unknown does not stay as it is
                return cx_error_set(err, -EINVAL, "missing value for \"%s\"", missing);
        CX_CLEANUP(cx_freep)
        char *path = expression ? expand(expression, w->env) : cx_strdup(cx_json_string(w->mount, "subPath"));
        *ret_path = path && *path ? cx_steal(&path) : NULL;
        return 0;
}

// Whether what is mounted below a read-only mount is to be read-only, too.
static int wants_recursive(const struct wish *w, bool *ret_recursive, struct cx_error *err)
{
        const struct kubelet *k = volumes_kubelet(w->volumes);
        const char *mode = cx_json_string_or(w->mount, "recursiveReadOnly", "Disabled");
        bool can = k->runtime && runtime_recursive_read_only(k->runtime);
        if (!can && strcmp(mode, "Enabled") == 0)
                return cx_error_set(err, -EINVAL,
                                    "failed to resolve recursive read-only mode: volume \"%s\" requested recursive "
                                    "read-only mode, but it is not supported by the runtime",
                                    w->name);
        *ret_recursive = can && strcmp(mode, "Disabled") != 0;
        return 0;
}

static int one_mount(const struct wish *w, struct spec_mount *to, struct cx_error *err)
{
        struct volume_access access_to = {0};
        bool recursive = false;
        CX_CLEANUP(cx_freep) char *source = NULL;
        CX_CLEANUP(cx_freep) char *sub_path = NULL;
        CX_ERROR failure = CX_ERROR_INIT;
        int r = volumes_path(w->volumes, w->pod, w->name, &source, &access_to, &failure);
        if (r < 0)
                return cx_error_set(err, r, "cannot find volume \"%s\" to mount into container \"%s\"", w->name,
                                    cx_json_string_or(w->container, "name", ""));
        r = wants_recursive(w, &recursive, err);
        if (r == 0)
                r = sub_path_of(w, &sub_path, err);
        if (r == 0 && sub_path) {
                char *pinned = NULL;
                r = pin_subpath(w, source, sub_path, &pinned, err);
                if (r == 0) {
                        free(source);
                        source = pinned;
                }
        } else if (r == 0 && access(source, F_OK) < 0) { // a hostPath without a type is made, as runtimes do
                r = cx_mkdir_all(source, 0755, err);
        }
        if (r == 0)
                r = check_propagation(source, propagation_of(w->mount), err);
        if (r < 0)
                return r;
        const char *target = cx_json_string_or(w->mount, "mountPath", "");
        *to = (struct spec_mount){.source = cx_steal(&source),
                                  .target = *target == '/' ? cx_strdup(target) : cx_sprintf("/%s", target),
                                  .read_only = access_to.read_only || cx_json_bool(w->mount, "readOnly", false),
                                  .recursive = recursive,
                                  .no_exec = access_to.no_exec,
                                  .propagation = propagation_of(w->mount)};
        return 0;
}

static int one_device(struct volumes *v, const json_t *pod, const json_t *wish, struct spec_device *to,
                      struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = NULL;
        bool read_only = false;
        struct stat st;
        const char *name = cx_json_string_or(wish, "name", "");
        int r = volumes_device(v, pod, name, &path, &read_only, err);
        if (r < 0)
                return r;
        if (stat(path, &st) < 0)
                return cx_error_set(err, -errno, "cannot look at the device of volume \"%s\": %s", name,
                                    strerror(errno));
        if (!S_ISBLK(st.st_mode))
                return cx_error_set(err, -ENOTBLK, "what is there for volume \"%s\" is not a block device", name);
        *to = (struct spec_device){.path = cx_strdup(cx_json_string_or(wish, "devicePath", "")),
                                   .major = gnu_dev_major(st.st_rdev),
                                   .minor = gnu_dev_minor(st.st_rdev),
                                   .read_only = read_only};
        return 0;
}

static int make_devices(struct volumes *v, const json_t *pod, const json_t *container, struct volume_mounts *to,
                        struct cx_error *err)
{
        const json_t *list = json_object_get(container, "volumeDevices");
        size_t i;
        json_t *wish;
        to->devices = cx_alloc_array(json_array_size(list) + 1, sizeof *to->devices);
        json_array_foreach ((json_t *)list, i, wish) {
                int r = one_device(v, pod, wish, &to->devices[i], err);
                if (r < 0)
                        return r;
                to->n_devices++;
        }
        return 0;
}

int volume_mounts_make(struct volumes *v, const json_t *pod, const json_t *container, const struct cx_strings *env,
                       struct volume_mounts *ret_mounts, struct cx_error *err)
{
        const json_t *list = json_object_get(container, "volumeMounts");
        VOLUME_MOUNTS mounts = {.items = cx_alloc_array(json_array_size(list) + 1, sizeof *mounts.items)};
        int r = make_devices(v, pod, container, &mounts, err);
        if (r < 0)
                return r;
        size_t i;
        json_t *mount;
        json_array_foreach ((json_t *)list, i, mount) {
                const struct wish wish = {v, pod, container, mount, cx_json_string_or(mount, "name", ""), i, env};
                r = one_mount(&wish, &mounts.items[i], err);
                if (r < 0)
                        return r;
                mounts.count++;
        }
        *ret_mounts = mounts;
        mounts = (struct volume_mounts){0};
        return 0;
}
