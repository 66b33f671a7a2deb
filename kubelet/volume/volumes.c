// SPDX-License-Identifier: Apache-2.0
// Finds the plugin of a volume, and lays volumes out as upstream does: pods/<uid>/volumes/<plugin>/<name>, with what plugins
// note beside them in pods/<uid>/plugins. There are two such trees: on disk, and in the state folder, which is a tmpfs, for
// what is in memory, and secrets, which never reach a disk.
//
// A tear-down goes by what lies there, since nothing else may be known of the pod any more. The pod's folder is removed
// once every volume in it is gone, and never with something mounted below.
#include "kubelet/volume/volumes.h"

#include "kubelet/runtime/spec.h"
#include "kubelet/volume/refs.h"
#include "kubelet/volume/tokens.h"
#include "libcommon/api/pod.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mounts.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/base/tree.h"
#include "libcommon/format/json.h"

#include <pthread.h>

#define STATS_AGE (60 * CX_NS_PER_S)

struct volumes {
        const struct kubelet *kubelet;
        struct refs *refs;
        struct tokens *tokens;
        const struct volume_plugin *const *plugins;
        char *pods, *state_pods; // the folders of pods: on disk; in memory
        pthread_mutex_t lock;    // guards measured
        struct cx_map measured;  // a volume's folder → struct measured
};
struct measured {
        struct volume_usage usage;
        int64_t until; // monotonic ns
};

struct volumes *volumes_new(const struct kubelet *kubelet, struct refs *refs,
                            const struct volume_plugin *const *plugins)
{
        struct volumes *v = cx_alloc(sizeof *v);
        v->kubelet = kubelet;
        v->refs = refs;
        v->tokens = tokens_new(kubelet);
        v->plugins = plugins;
        v->pods = cx_sprintf("%s/pods", kubelet->root);
        v->state_pods = cx_sprintf("%s/pods", kubelet->state);
        v->measured = (struct cx_map)CX_MAP_INIT_FREE(free);
        pthread_mutex_init(&v->lock, NULL);
        return v;
}

void volumes_free(struct volumes *v)
{
        if (!v)
                return;
        tokens_free(v->tokens);
        cx_map_release(&v->measured);
        pthread_mutex_destroy(&v->lock);
        free(v->pods);
        free(v->state_pods);
        free(v);
}

// --- a volume of a pod -----------------------------------------------------------------------------------------------

struct found_volume {
        const struct volume_plugin *plugin;
        struct volume_job job;
        char *folder, *notes;
};

static void found_release(struct found_volume *f)
{
        free(f->folder);
        free(f->notes);
}
#define FOUND CX_CLEANUP(found_release) struct found_volume

static const struct volume_plugin *plugin_of(const struct volumes *v, const json_t *volume)
{
        for (const struct volume_plugin *const *p = v->plugins; *p; p++)
                if (json_is_object(json_object_get(volume, (*p)->source)))
                        return *p;
        return NULL;
}

// The user that all containers of the pod run as; -1 when they differ or an image says it.
static int64_t common_user(const json_t *pod)
{
        int64_t user = -1;
        CX_POD_FOREACH(walk, json_object_get(pod, "spec"), CX_POD_TEMPLATE)
        {
                const json_t *own = security_value(pod, walk.container, "runAsUser");
                if (!json_is_integer(own) || (user >= 0 && user != json_integer_value(own)))
                        return -1;
                user = json_integer_value(own);
        }
        return user;
}

static int describe(const struct volumes *v, const json_t *pod, const json_t *volume, struct found_volume *ret,
                    struct cx_error *err)
{
        const char *name = cx_json_string_or(volume, "name", ""), *uid = cx_json_string_or(pod, "metadata.uid", "");
        const struct volume_plugin *plugin = plugin_of(v, volume);
        if (!plugin || !*name || !*uid) {
                (void)cx_error_set(err, -ENOTSUP, "no volume plugin matched for volume \"%s\"", name);
                return -ENOTSUP;
        }
        const json_t *source = json_object_get(volume, plugin->source);
        const char *root = plugin->in_memory && plugin->in_memory(source) ? v->state_pods : v->pods;
        if (plugin->folder) {
                ret->folder = cx_sprintf("%s/%s/volumes/%s/%s", root, uid, plugin->folder, name);
                ret->notes = cx_sprintf("%s/%s/plugins/%s/%s", root, uid, plugin->folder, name);
        } else {
                ret->folder = cx_strdup(plugin->path(source));
        }
        ret->plugin = plugin;
        ret->job = (struct volume_job){.kubelet = v->kubelet,
                                       .refs = v->refs,
                                       .tokens = v->tokens,
                                       .pod = pod,
                                       .volume = volume,
                                       .source = source,
                                       .folder = ret->folder,
                                       .notes = ret->notes,
                                       .gid = cx_json_int(pod, "spec.securityContext.fsGroup", -1),
                                       .uid = common_user(pod),
                                       .again = INT64_MAX};
        return 0;
}

static int find(const struct volumes *v, const json_t *pod, const char *name, struct found_volume *ret,
                struct cx_error *err)
{
        const json_t *volume = cx_json_find(cx_json_get(pod, "spec.volumes"), "name", name);
        if (!volume) {
                (void)cx_error_set(err, -ENOENT, "the pod has no volume \"%s\"", name);
                return -ENOENT;
        }
        return describe(v, pod, volume, ret, err);
}

static int cannot(const struct found_volume *f, const char *what, struct cx_error *err)
{
        return cx_error_set(err, -ENOTSUP, "volume \"%s\": %s volumes %s", cx_json_string_or(f->job.volume, "name", ""),
                            f->plugin->source, what);
}

int volumes_path(const struct volumes *v, const json_t *pod, const char *name, char **ret_path, bool *ret_read_only,
                 struct cx_error *err)
{
        FOUND f = {0};
        int r = find(v, pod, name, &f, err);
        if (r < 0)
                return r;
        *ret_read_only = f.plugin->read_only;
        *ret_path = cx_steal(&f.folder);
        return 0;
}

int volumes_expand(struct volumes *v, const json_t *pod, const char *name, int64_t bytes, struct cx_error *err)
{
        FOUND f = {0};
        int r = find(v, pod, name, &f, err);
        if (r < 0)
                return r;
        return f.plugin->expand ? f.plugin->expand(&f.job, bytes, err) : cannot(&f, "cannot be expanded", err);
}

int volumes_device(struct volumes *v, const json_t *pod, const char *name, char **ret_device, struct cx_error *err)
{
        FOUND f = {0};
        int r = find(v, pod, name, &f, err);
        if (r < 0)
                return r;
        return f.plugin->block ? f.plugin->block(&f.job, ret_device, err) : cannot(&f, "are not block devices", err);
}

int volumes_stats(struct volumes *v, const json_t *pod, const char *name, struct volume_usage *ret_usage,
                  struct cx_error *err)
{
        FOUND f = {0};
        int r = find(v, pod, name, &f, err);
        if (r < 0)
                return r;
        if (!f.plugin->stats)
                return cannot(&f, "are not measured", err);
        int64_t now = cx_time_monotonic();
        pthread_mutex_lock(&v->lock);
        const struct measured *known = cx_map_get(&v->measured, f.folder);
        bool fresh = known && known->until > now;
        if (fresh)
                *ret_usage = known->usage;
        pthread_mutex_unlock(&v->lock);
        if (fresh)
                return 0;
        const struct volume_place place = {cx_json_string(pod, "metadata.uid"), name, f.folder};
        struct volume_usage usage;
        r = f.plugin->stats(&place, &usage, err);
        if (r < 0)
                return r;
        struct measured *measured = cx_alloc(sizeof *measured);
        *measured = (struct measured){usage, now + STATS_AGE};
        pthread_mutex_lock(&v->lock);
        cx_map_set(&v->measured, f.folder, measured);
        pthread_mutex_unlock(&v->lock);
        *ret_usage = usage;
        return 0;
}

// --- the volumes of a pod --------------------------------------------------------------------------------------------

int volumes_set_up(struct volumes *v, const json_t *pod, int64_t *ret_again, struct cx_error *err)
{
        *ret_again = INT64_MAX;
        size_t i;
        json_t *volume;
        json_array_foreach (cx_json_get(pod, "spec.volumes"), i, volume) {
                FOUND f = {0};
                int r = describe(v, pod, volume, &f, err);
                if (r < 0)
                        return r;
                r = f.plugin->set_up(&f.job, err);
                if (r < 0)
                        return cx_error_wrap(err, "MountVolume.SetUp failed for volume \"%s\" ",
                                             cx_json_string_or(volume, "name", ""));
                if (f.job.again < *ret_again)
                        *ret_again = f.job.again;
        }
        return 0;
}

static const struct volume_plugin *plugin_of_folder(const struct volumes *v, const char *folder)
{
        for (const struct volume_plugin *const *p = v->plugins; *p; p++)
                if (cx_streq((*p)->folder, folder))
                        return *p;
        return NULL;
}

static void forget_measured(struct volumes *v, const char *folder)
{
        pthread_mutex_lock(&v->lock);
        cx_map_remove(&v->measured, folder);
        pthread_mutex_unlock(&v->lock);
}

// Ends the volumes of one plugin below a pod's folder.
static int tear_down_kind(struct volumes *v, const char *pod_uid, const char *kind, const char *path,
                          struct cx_error *err)
{
        const struct volume_plugin *plugin = plugin_of_folder(v, kind);
        if (!plugin || !plugin->tear_down) // of another version of the kubelet: only that one knows what it is
                return cx_error_set(err, -ENOTSUP, "no volume plugin can end what is in %s", path);
        CX_STRINGS names = CX_STRINGS_INIT;
        int r = cx_list_folder(path, &names, err);
        for (size_t i = 0; i < names.count; i++) {
                CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s/%s", path, names.items[i]);
                CX_ERROR failure = CX_ERROR_INIT;
                int one = plugin->tear_down(&(struct volume_place){pod_uid, names.items[i], folder}, &failure);
                if (one == 0)
                        forget_measured(v, folder);
                else if (r == 0)
                        r = cx_error_move(err, &failure);
        }
        return r;
}

static int tear_down_folder(struct volumes *v, const char *pod_uid, const char *folder, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *volumes = cx_sprintf("%s/volumes", folder);
        CX_CLEANUP(cx_freep) char *subpaths = volumes_subpaths(v, pod_uid);
        CX_STRINGS kinds = CX_STRINGS_INIT;
        int r = cx_unmount_below(subpaths, false, err); // first: they are of volumes
        if (r == 0)
                r = cx_list_folder(volumes, &kinds, err);
        for (size_t i = 0; i < kinds.count; i++) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", volumes, kinds.items[i]);
                CX_ERROR failure = CX_ERROR_INIT;
                if (tear_down_kind(v, pod_uid, kinds.items[i], path, &failure) < 0 && r == 0)
                        r = cx_error_move(err, &failure);
        }
        return r < 0 ? r : cx_remove_tree(folder, err);
}

int volumes_tear_down(struct volumes *v, const char *pod_uid, struct cx_error *err)
{
        const char *const roots[] = {v->state_pods, v->pods};
        int r = 0;
        for (size_t i = 0; i < CX_ARRAY_SIZE(roots); i++) {
                CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s/%s", roots[i], pod_uid);
                CX_ERROR failure = CX_ERROR_INIT;
                if (access(folder, F_OK) == 0 && tear_down_folder(v, pod_uid, folder, &failure) < 0 && r == 0)
                        r = cx_error_move(err, &failure);
        }
        if (r < 0)
                return cx_error_wrap(err, "cannot end the volumes");
        tokens_forget(v->tokens, pod_uid);
        refs_release(v->refs, pod_uid);
        return 0;
}

char *volumes_subpaths(const struct volumes *v, const char *pod_uid)
{
        return cx_sprintf("%s/%s/volume-subpaths", v->state_pods, pod_uid);
}

void volumes_pods(const struct volumes *v, struct cx_strings *ret_uids)
{
        const char *const roots[] = {v->state_pods, v->pods};
        for (size_t i = 0; i < CX_ARRAY_SIZE(roots); i++) {
                CX_STRINGS names = CX_STRINGS_INIT;
                CX_ERROR err = CX_ERROR_INIT;
                if (cx_list_folder(roots[i], &names, &err) < 0)
                        continue;
                for (size_t n = 0; n < names.count; n++)
                        if (!cx_strings_has(ret_uids, names.items[n]))
                                cx_strings_add(ret_uids, names.items[n]);
        }
}
