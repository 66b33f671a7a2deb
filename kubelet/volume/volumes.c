// SPDX-License-Identifier: Apache-2.0
#include "kubelet/volume/volumes.h"

#include "kubelet/runtime/spec.h"
#include "kubelet/volume/atomic_writer.h"
#include "kubelet/volume/refs.h"
#include "kubelet/volume/volumes_internal.h"
#include "libcommon/api/quantity.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mounts.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/base/tree.h"
#include "libcommon/format/json.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

// Which member of a volume says what it is, the plugin's folder, and how it is set up.
static int empty_dir(struct volume_job *job, struct cx_error *err);
static int host_path(struct volume_job *job, struct cx_error *err);
static int projection(struct volume_job *job, struct cx_error *err);
static const struct plugin {
        const char *member, *folder;
        int (*set_up)(struct volume_job *job, struct cx_error *err);
} plugins[] = {
        {"emptyDir", "kubernetes.io~empty-dir", empty_dir},   {"hostPath", NULL, host_path},
        {"configMap", "kubernetes.io~configmap", projection}, {"secret", "kubernetes.io~secret", projection},
        {"projected", "kubernetes.io~projected", projection}, {"downwardAPI", "kubernetes.io~downward-api", projection},
};

static bool in_memory(const json_t *volume)
{
        const json_t *empty = json_object_get(volume, "emptyDir");
        return !empty || strcmp(cx_json_string_or(empty, "medium", ""), "Memory") == 0;
}

struct volumes *volumes_new(const struct kubelet *kubelet, struct refs *refs)
{
        struct volumes *v = cx_alloc(sizeof *v);
        v->kubelet = kubelet;
        v->refs = refs;
        v->pods = cx_sprintf("%s/pods", kubelet->root);
        v->state_pods = cx_sprintf("%s/pods", kubelet->state);
        v->tokens = (struct cx_map)CX_MAP_INIT_FREE(token_free);
        pthread_mutex_init(&v->lock, NULL);
        return v;
}

void volumes_free(struct volumes *v)
{
        if (!v)
                return;
        cx_map_release(&v->tokens);
        pthread_mutex_destroy(&v->lock);
        free(v->pods);
        free(v->state_pods);
        free(v);
}

static const struct plugin *plugin_of(const json_t *volume)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(plugins); i++)
                if (json_is_object(json_object_get(volume, plugins[i].member)))
                        return &plugins[i];
        return NULL;
}

static char *folder_of(const struct volumes *v, const json_t *pod, const struct plugin *plugin, const json_t *volume)
{
        if (!plugin->folder)
                return cx_strdup(cx_json_string_or(volume, "hostPath.path", "/"));
        return cx_sprintf("%s/%s/volumes/%s/%s", in_memory(volume) ? v->state_pods : v->pods,
                          cx_json_string_or(pod, "metadata.uid", "none"), plugin->folder,
                          cx_json_string_or(volume, "name", ""));
}

char *volumes_path(const struct volumes *v, const json_t *pod, const char *name, bool *ret_read_only)
{
        const json_t *volume = cx_json_find(cx_json_get(pod, "spec.volumes"), "name", name);
        const struct plugin *plugin = volume ? plugin_of(volume) : NULL;
        if (!plugin)
                return NULL;
        if (ret_read_only)
                *ret_read_only = plugin->set_up == projection;
        return folder_of(v, pod, plugin, volume);
}

static bool is_mount_point(const char *path)
{
        CX_CLEANUP(cx_freep) char *parent = cx_sprintf("%s/..", path);
        struct stat a, b;
        return stat(path, &a) == 0 && stat(parent, &b) == 0 && a.st_dev != b.st_dev;
}

static int mount_memory(const char *path, int64_t limit, mode_t mode, struct cx_error *err)
{
        if (is_mount_point(path))
                return 0;
        char options[64];
        if (limit > 0)
                snprintf(options, sizeof options, "mode=%o,size=%lld", mode, (long long)limit);
        else
                snprintf(options, sizeof options, "mode=%o", mode);
        if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
                return cx_error_set(err, -errno, "cannot mount tmpfs at %s: %s", path, strerror(errno));
        return 0;
}

// A volume's own folder: everybody's, or also a pod's fsGroup's, which new files in it then get.
static int own_folder(const struct volume_job *job, struct cx_error *err)
{
        bool grouped = job->gid >= 0;
        if ((grouped && chown(job->folder, 0, (gid_t)job->gid) < 0) || chmod(job->folder, grouped ? 02777 : 0777) < 0)
                return cx_error_set(err, -errno, "cannot set the mode of %s: %s", job->folder, strerror(errno));
        return 0;
}

static int empty_dir(struct volume_job *job, struct cx_error *err)
{
        const json_t *source = json_object_get(job->volume, "emptyDir");
        bool memory = in_memory(job->volume);
        // Modes are set once (the container may change them): a mark beside the volumes says that it was done.
        CX_CLEANUP(cx_freep)
        char *marks = cx_sprintf(
                "%s/%s/plugins/kubernetes.io~empty-dir/%s", memory ? job->volumes->state_pods : job->volumes->pods,
                cx_json_string_or(job->pod, "metadata.uid", "none"), cx_json_string_or(job->volume, "name", ""));
        CX_CLEANUP(cx_freep) char *mark = cx_sprintf("%s/ready", marks);
        if (access(mark, F_OK) == 0)
                return 0;
        int r = cx_mkdir_all(job->folder, 0755, err);
        if (r == 0)
                r = cx_mkdir_all(marks, 0755, err);
        if (r < 0)
                return r;
        if (memory) {
                r = mount_memory(job->folder, cx_quantity_value_of(json_object_get(source, "sizeLimit")), 0777, err);
                if (r < 0) {
                        (void)rmdir(job->folder);
                        return r;
                }
        }
        r = own_folder(job, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_closep) int fd = open(mark, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
        return fd < 0 ? cx_error_set(err, -errno, "cannot make %s: %s", mark, strerror(errno)) : 0;
}

static int host_path(struct volume_job *job, struct cx_error *err)
{
        const char *type = cx_json_string_or(job->volume, "hostPath.type", "");
        const char *path = job->folder;
        struct stat st;
        bool there = stat(path, &st) == 0;
        if (!*type)
                return 0;
        if (strcmp(type, "DirectoryOrCreate") == 0)
                return there ? S_ISDIR(st.st_mode)
                                       ? 0
                                       : cx_error_set(err, -ENOTDIR,
                                                      "hostPath type check failed: %s is not a directory", path)
                             : cx_mkdir_all(path, 0755, err);
        if (strcmp(type, "FileOrCreate") == 0 && !there) {
                CX_CLEANUP(cx_closep) int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
                return fd < 0 ? cx_error_set(err, -errno, "cannot make %s: %s", path, strerror(errno)) : 0;
        }
        static const struct {
                const char *type, *what;
                mode_t format;
        } types[] = {{"Directory", "directory", S_IFDIR},         {"File", "file", S_IFREG},
                     {"FileOrCreate", "file", S_IFREG},           {"Socket", "socket file", S_IFSOCK},
                     {"CharDevice", "character device", S_IFCHR}, {"BlockDevice", "block device", S_IFBLK}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(types); i++)
                if (strcmp(type, types[i].type) == 0)
                        return there && (st.st_mode & S_IFMT) == types[i].format
                                       ? 0
                                       : cx_error_set(err, -EINVAL, "hostPath type check failed: %s is not a %s", path,
                                                      types[i].what);
        return cx_error_set(err, -EINVAL, "hostPath type \"%s\" is unknown", type);
}

static int projection(struct volume_job *job, struct cx_error *err)
{
        CX_MAP payload = CX_MAP_INIT_FREE(payload_free_file);
        int r = volume_payload(job, &payload, err);
        if (r < 0)
                return r;
        r = cx_mkdir_all(job->folder, 0755, err);
        if (r == 0)
                r = own_folder(job, err);
        return r < 0 ? r : atomic_write(job->folder, &payload, job->gid, NULL, err);
}

// The user that all containers of the pod run as; -1 when they differ or an image says it.
static int64_t common_user(const json_t *pod)
{
        static const char *const lists[] = {"spec.containers", "spec.initContainers"};
        int64_t user = -1;
        for (size_t l = 0; l < CX_ARRAY_SIZE(lists); l++) {
                size_t i;
                json_t *container;
                json_array_foreach (cx_json_get(pod, lists[l]), i, container) {
                        const json_t *own = security_value(pod, container, "runAsUser");
                        if (!json_is_integer(own) || (user >= 0 && user != json_integer_value(own)))
                                return -1;
                        user = json_integer_value(own);
                }
        }
        return user;
}

int volumes_set_up(struct volumes *v, const json_t *pod, int64_t *ret_again, struct cx_error *err)
{
        const json_t *fs_group = cx_json_get(pod, "spec.securityContext.fsGroup");
        *ret_again = INT64_MAX;
        size_t i;
        json_t *volume;
        json_array_foreach (cx_json_get(pod, "spec.volumes"), i, volume) {
                const char *name = cx_json_string_or(volume, "name", "");
                const struct plugin *plugin = plugin_of(volume);
                if (!plugin)
                        return cx_error_set(err, -ENOTSUP, "no volume plugin matched for volume \"%s\"", name);
                CX_CLEANUP(cx_freep) char *folder = folder_of(v, pod, plugin, volume);
                struct volume_job job = {.volumes = v,
                                         .pod = pod,
                                         .volume = volume,
                                         .folder = folder,
                                         .gid = json_is_integer(fs_group) ? json_integer_value(fs_group) : -1,
                                         .uid = common_user(pod),
                                         .again = INT64_MAX};
                int r = plugin->set_up(&job, err);
                if (r < 0)
                        return cx_error_wrap(err, "MountVolume.SetUp failed for volume \"%s\" ", name);
                if (job.again < *ret_again)
                        *ret_again = job.again;
        }
        return 0;
}

int volumes_tear_down(struct volumes *v, const char *pod_uid, struct cx_error *err)
{
        const char *const roots[] = {v->state_pods, v->pods};
        for (size_t i = 0; i < CX_ARRAY_SIZE(roots); i++) {
                CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s/%s", roots[i], pod_uid);
                if (access(folder, F_OK) < 0)
                        continue;
                int r = cx_unmount_below(folder, false, err);
                if (r == 0)
                        r = cx_remove_tree(folder, err);
                if (r < 0)
                        return r;
        }
        tokens_forget(v, pod_uid);
        refs_release(v->refs, pod_uid);
        return 0;
}

void volumes_pods(const struct volumes *v, struct cx_strings *ret_uids)
{
        const char *const roots[] = {v->state_pods, v->pods};
        for (size_t i = 0; i < CX_ARRAY_SIZE(roots); i++) {
                DIR *dir = opendir(roots[i]);
                struct dirent *entry;
                while (dir && (entry = readdir(dir)))
                        if (entry->d_name[0] != '.' && !cx_strings_has(ret_uids, entry->d_name))
                                cx_strings_add(ret_uids, entry->d_name);
                if (dir)
                        closedir(dir);
        }
}
