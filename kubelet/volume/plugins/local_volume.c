// SPDX-License-Identifier: Apache-2.0
// local: a folder or a block device of this node, by way of a PersistentVolume. A device with a file system is mounted once
// on the node, and bound into each pod that uses it; a folder is bound into the pod. The data is never the pod's to remove.
//
// Order is what makes a kill at any moment harmless: the pod's folder is there before anything is mounted and goes last, so
// whatever was mounted is found by it.
#include "kubelet/volume/filesystem.h"
#include "kubelet/volume/local.h"
#include "kubelet/volume/locks.h"
#include "kubelet/volume/ownership.h"
#include "kubelet/volume/plugins/plugins.h"
#include "libcommon/base/mounts.h"
#include "libcommon/base/process.h"
#include "libcommon/format/json.h"

#include <sys/stat.h>

#define FOLDER "kubernetes.io~local-volume"

static const char *path_of(const struct volume_job *job)
{
        return cx_json_string_or(job->source, "path", "");
}

// Where the node has the device of a volume mounted.
static char *device_mount(const struct kubelet *k, const char *name)
{
        return cx_sprintf("%s/plugins/kubernetes.io/local-volume/mounts/%s", k->root, name);
}

static int look_at(const struct volume_job *job, mode_t *ret_kind, struct cx_error *err)
{
        struct stat st;
        const char *path = path_of(job);
        if (stat(path, &st) < 0)
                return cx_error_set(err, -errno, "path \"%s\" %s%s", path,
                                    errno == ENOENT ? "does not exist" : "cannot be looked at: ",
                                    errno == ENOENT ? "" : strerror(errno));
        *ret_kind = st.st_mode & S_IFMT;
        return 0;
}

static int mount_device(const struct volume_job *job, const char *target, const struct mount_options *options,
                        struct cx_error *err)
{
        int r = is_mount_point(target) ? 0 : cx_mkdir_all(target, 0750, err);
        if (r < 0 || is_mount_point(target))
                return r;
        return filesystem_mount(&(struct filesystem_mount){.device = path_of(job),
                                                           .target = target,
                                                           .type = cx_json_string(job->source, "fsType"),
                                                           .options = options},
                                err);
}

static int bind_volume(struct volume_job *job, mode_t kind, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *device = device_mount(job->kubelet, job->name);
        MOUNT_OPTIONS options = {0}, bind = {0};
        int r = mount_options_parse(cx_json_get(job->persistent, "spec.mountOptions"), false, &options, err);
        if (r == 0)
                r = cx_mkdir_all(job->folder, 0750, err);
        if (r == 0 && kind == S_IFBLK) {
                job->step = "MountVolume.MountDevice failed";
                r = mount_device(job, device, &options, err);
        }
        if (r < 0)
                return r;
        job->step = NULL;
        const char *source = kind == S_IFBLK ? device : path_of(job);
        // Of one that is mounted with options the bind needs none but read-only.
        r = kind == S_IFBLK ? mount_options_parse(NULL, job->read_only, &bind, err)
                            : mount_options_parse(cx_json_get(job->persistent, "spec.mountOptions"), job->read_only,
                                                  &bind, err);
        if (r == 0 && !job->read_only)
                r = ownership_apply(job, source, false, err);
        return r == 0 ? mount_bind(source, job->folder, &bind, err) : r;
}

static bool ready(struct volume_job *job)
{
        struct stat st;
        return job->block ? stat(path_of(job), &st) == 0 && S_ISBLK(st.st_mode) : is_mount_point(job->folder);
}

static int set_up(struct volume_job *job, struct cx_error *err)
{
        mode_t kind = 0;
        int r = look_at(job, &kind, err);
        if (r < 0)
                return r;
        if (job->block && kind != S_IFBLK)
                return cx_error_set(err, -ENOTBLK, "path \"%s\" is not a block device", path_of(job));
        if (job->block)
                return 0;
        if (kind != S_IFBLK && kind != S_IFDIR)
                return cx_error_set(err, -ENOTDIR, "path \"%s\" is neither a directory nor a block device",
                                    path_of(job));
        CX_CLEANUP(cx_freep) char *lock = cx_sprintf("local/%s", job->name);
        locks_take(job->locks, lock);
        r = ready(job) ? 0 : bind_volume(job, kind, err);
        locks_give(job->locks, lock);
        return r;
}

static bool others_use(const struct volume_place *place)
{
        CX_CLEANUP(cx_freep) char *pods = cx_sprintf("%s/pods", place->kubelet->root);
        CX_STRINGS uids = CX_STRINGS_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_list_folder(pods, &uids, &err) < 0)
                return true; // who cannot look does not unmount
        for (size_t i = 0; i < uids.count; i++) {
                CX_CLEANUP(cx_freep)
                char *folder = cx_sprintf("%s/%s/volumes/" FOLDER "/%s", pods, uids.items[i], place->name);
                if (strcmp(uids.items[i], place->pod_uid) != 0 && access(folder, F_OK) == 0)
                        return true;
        }
        return false;
}

static int end_device(const struct volume_place *place, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *device = device_mount(place->kubelet, place->name);
        if (access(device, F_OK) < 0 || others_use(place))
                return 0;
        return local_end_mount(&(struct volume_place){.folder = device}, err);
}

static int tear_down(const struct volume_place *place, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *lock = cx_sprintf("local/%s", place->name);
        locks_take(place->locks, lock);
        int r = cx_unmount_below(place->folder, false, err);
        if (r == 0)
                r = end_device(place, err);
        if (r == 0)
                r = local_end_mount(place, err);
        locks_give(place->locks, lock);
        return r;
}

static int expand(struct volume_job *job, int64_t bytes, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *device = device_mount(job->kubelet, job->name);
        mode_t kind = 0;
        int64_t size = 0;
        int r = look_at(job, &kind, err);
        if (r < 0 || kind != S_IFBLK) // a folder is as large as its file system
                return r;
        r = filesystem_device_size(path_of(job), &size, err);
        if (r == 0 && size < bytes)
                r = cx_error_set(err, -ENOSPC, "%s has %lld bytes, and the volume is to have %lld", path_of(job),
                                 (long long)size, (long long)bytes);
        if (r < 0 || job->block)
                return r;
        r = filesystem_grow(device, err);
        return r < 0 ? r : 0;
}

static int block(struct volume_job *job, char **ret_device, struct cx_error *err)
{
        int r = set_up(job, err);
        if (r == 0)
                *ret_device = cx_strdup(path_of(job));
        return r;
}

const struct volume_plugin local_volume_plugin = {.source = "local",
                                                  .folder = FOLDER,
                                                  .slow = true,
                                                  .options = true,
                                                  .ready = ready,
                                                  .set_up = set_up,
                                                  .tear_down = tear_down,
                                                  .expand = expand,
                                                  .stats = local_stats,
                                                  .block = block};
