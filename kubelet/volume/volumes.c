// SPDX-License-Identifier: Apache-2.0
// Finds the plugin of a volume, and lays volumes out as upstream does: pods/<uid>/volumes/<plugin>/<name>, with what plugins
// note beside them in pods/<uid>/plugins. There are two such trees: on disk, and in the state folder, which is a tmpfs, for
// what is in memory, and secrets, which never reach a disk.
//
// A tear-down goes by what lies there, since nothing else may be known of the pod any more. The pod's folder is removed
// once every volume in it is gone, and never with something mounted below.
#include "kubelet/volume/local.h"
#include "kubelet/volume/refs.h"
#include "kubelet/volume/tokens.h"
#include "kubelet/volume/volumes_internal.h"
#include "libcommon/api/pod.h"
#include "libcommon/base/mounts.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/base/tree.h"
#include "libcommon/format/json.h"

#define STATS_AGE (60 * CX_NS_PER_S)

struct measured {
        struct volume_usage usage;
        int64_t until; // monotonic ns
};

struct volumes *volumes_new(const struct volumes_options *options)
{
        struct volumes *v = cx_alloc(sizeof *v);
        v->kubelet = options->kubelet;
        v->refs = options->refs;
        v->plugins = options->plugins;
        v->tokens = tokens_new(v->kubelet);
        v->claims = claims_new(v->kubelet);
        v->locks = locks_new();
        v->operations = operations_new(options->threads, options->changed, options->context);
        v->pods = cx_sprintf("%s/pods", v->kubelet->root);
        v->state_pods = cx_sprintf("%s/pods", v->kubelet->state);
        v->measured = (struct cx_map)CX_MAP_INIT_FREE(free);
        pthread_mutex_init(&v->lock, NULL);
        return v;
}

void volumes_free(struct volumes *v)
{
        if (!v)
                return;
        operations_free(v->operations);
        locks_free(v->locks);
        claims_free(v->claims);
        tokens_free(v->tokens);
        cx_map_release(&v->measured);
        pthread_mutex_destroy(&v->lock);
        free(v->pods);
        free(v->state_pods);
        free(v);
}

const struct kubelet *volumes_kubelet(const struct volumes *v)
{
        return v->kubelet;
}

// --- a volume of a pod -----------------------------------------------------------------------------------------------

// As it was found last: a volume that is set up does not wait for an answer of the apiserver.
static int find(struct volumes *v, const json_t *pod, const char *name, struct found_volume **ret, struct cx_error *err)
{
        const json_t *volume = cx_json_find(cx_json_get(pod, "spec.volumes"), "name", name);
        if (!volume)
                return cx_error_set(err, -ENOENT, "the pod has no volume \"%s\"", name);
        return found_describe(v, pod, volume, true, ret, err);
}

static int cannot(const struct found_volume *f, const char *what, struct cx_error *err)
{
        return cx_error_set(err, -ENOTSUP, "volume \"%s\": %s volumes %s", cx_json_string_or(f->job.volume, "name", ""),
                            f->plugin->source, what);
}

int volumes_path(struct volumes *v, const json_t *pod, const char *name, char **ret_path,
                 struct volume_access *ret_access, struct cx_error *err)
{
        FOUND *f = NULL;
        int r = find(v, pod, name, &f, err);
        if (r < 0)
                return r;
        *ret_access = (struct volume_access){f->plugin->read_only || f->job.read_only, f->plugin->no_exec};
        *ret_path = f->plugin->within ? cx_sprintf("%s/%s", f->folder, f->plugin->within) : cx_steal(&f->folder);
        return 0;
}

int volumes_expand(struct volumes *v, const json_t *pod, const char *name, int64_t bytes, struct cx_error *err)
{
        FOUND *f = NULL;
        int r = find(v, pod, name, &f, err);
        if (r < 0)
                return r;
        return f->plugin->expand ? f->plugin->expand(&f->job, bytes, err) : cannot(f, "cannot be expanded", err);
}

int volumes_device(struct volumes *v, const json_t *pod, const char *name, char **ret_device, bool *ret_read_only,
                   struct cx_error *err)
{
        FOUND *f = NULL;
        int r = find(v, pod, name, &f, err);
        if (r < 0)
                return r;
        *ret_read_only = f->job.read_only;
        return f->plugin->block ? f->plugin->block(&f->job, ret_device, err) : cannot(f, "are not block devices", err);
}

int volumes_stats(struct volumes *v, const json_t *pod, const char *name, struct volume_usage *ret_usage,
                  struct cx_error *err)
{
        FOUND *f = NULL;
        const json_t *volume = cx_json_find(cx_json_get(pod, "spec.volumes"), "name", name);
        CX_CLEANUP(cx_freep) char *claim = volume ? volume_claim_name(pod, volume) : NULL;
        CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s/%s", v->pods, cx_json_string_or(pod, "metadata.uid", ""));
        if (claim && access(folder, F_OK) < 0) // nobody is asked about a pod that has nothing here
                return cx_error_set(err, -ENOENT, "volume \"%s\" is not set up", name);
        int r = find(v, pod, name, &f, err);
        if (r < 0)
                return r;
        if (!f->plugin->stats || f->job.block)
                return cannot(f, "are not measured", err);
        int64_t now = cx_time_monotonic();
        pthread_mutex_lock(&v->lock);
        const struct measured *known = cx_map_get(&v->measured, f->folder);
        bool fresh = known && known->until > now;
        if (fresh)
                *ret_usage = known->usage;
        pthread_mutex_unlock(&v->lock);
        if (fresh)
                return 0;
        const struct volume_place at = {
                f->plugin->context, v->kubelet, v->locks, cx_json_string(pod, "metadata.uid"), f->name, f->folder};
        struct volume_usage usage;
        r = f->plugin->stats(&at, &usage, err);
        if (r < 0)
                return r;
        struct measured *measured = cx_alloc(sizeof *measured);
        *measured = (struct measured){usage, now + STATS_AGE};
        pthread_mutex_lock(&v->lock);
        cx_map_set(&v->measured, f->folder, measured);
        pthread_mutex_unlock(&v->lock);
        *ret_usage = usage;
        return 0;
}

// --- the volumes of a pod --------------------------------------------------------------------------------------------

static int run_set_up(void *context, struct cx_error *err)
{
        struct found_volume *f = context;
        int r = f->plugin->set_up(&f->job, err);
        if (r == 0 || !err->code) // -EAGAIN alone
                return r;
        const char *step = f->job.block ? "MapVolume.SetUpDevice failed" : "MountVolume.SetUp failed";
        return found_wrap(f, f->job.step ? f->job.step : step, err);
}

static void sooner(int64_t *again, int64_t than)
{
        if (than < *again)
                *again = than;
}

static int set_up_found(struct found_volume **taken, struct volumes_progress *p, struct cx_error *err)
{
        struct found_volume *f = *taken;
        if (!f->plugin->slow || f->plugin->ready(&f->job)) {
                int r = f->plugin->slow ? 0 : run_set_up(f, err);
                if (r == 0)
                        found_grow(f, &p->again);
                sooner(&p->again, f->job.again);
                return r;
        }
        const char *uid = cx_json_string_or(f->pod, "metadata.uid", "");
        CX_CLEANUP(cx_freep)
        char *key = cx_sprintf("set/%s/%s", uid, cx_json_string_or(f->job.volume, "name", ""));
        int64_t again = INT64_MAX;
        const struct volume_operation operation = {
                .key = key, .owner = uid, .run = run_set_up, .free_context = found_free, .context = cx_steal(taken)};
        int r = operations_do(f->volumes->operations, &operation, &again, err);
        sooner(&p->again, again);
        return r;
}

// What became of one pass over a pod's volumes.
struct pass {
        struct volumes_progress *progress;
        struct cx_strings missing;     // not set up (yet)
        struct cx_strings unprocessed; // not even found
        struct cx_buf why;             // of those
        bool pending;
        int failed;            // the first failure of another kind
        struct cx_error error; // its error
};

static void pass_release(struct pass *pass)
{
        cx_strings_release(&pass->missing);
        cx_strings_release(&pass->unprocessed);
        cx_buf_release(&pass->why);
        cx_error_release(&pass->error);
}

static void set_up_one(struct volumes *v, const json_t *pod, const json_t *volume, struct pass *pass)
{
        const char *name = cx_json_string_or(volume, "name", "");
        FOUND *f = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        int r = found_describe(v, pod, volume, false, &f, &err);
        bool found = r == 0, block = found && f->job.block;
        if (r == 0 && f->job.persistent)
                sooner(&pass->progress->again, CLAIMS_AGE);
        if (r == 0)
                r = found_check(f, &err);
        if (r == 0)
                r = set_up_found(&f, pass->progress, &err);
        if (r == 0)
                return;
        cx_strings_add(&pass->missing, name);
        if (r == -EINPROGRESS) {
                pass->pending = true;
        } else if (!found) {
                cx_strings_add(&pass->unprocessed, name);
                cx_buf_printf(&pass->why, "%s%s", pass->why.length ? "; " : "", cx_error_text(&err));
        } else if (!pass->failed) {
                pass->failed = r;
                pass->progress->reason = block ? "FailedMapVolume" : "FailedMount";
                (void)cx_error_move(&pass->error, &err);
        }
}

int volumes_set_up(struct volumes *v, const json_t *pod, struct volumes_progress *ret, struct cx_error *err)
{
        *ret = (struct volumes_progress){INT64_MAX, "FailedMount"};
        CX_CLEANUP(pass_release) struct pass pass = {.progress = ret, .why = CX_BUF_INIT_MAX(16384)};
        size_t i;
        json_t *volume;
        json_array_foreach (cx_json_get(pod, "spec.volumes"), i, volume)
                set_up_one(v, pod, volume, &pass);
        if (pass.failed)
                return cx_error_move(err, &pass.error);
        if (pass.unprocessed.count) {
                CX_CLEANUP(cx_freep) char *missing = cx_strings_join(&pass.missing, " ");
                CX_CLEANUP(cx_freep) char *unprocessed = cx_strings_join(&pass.unprocessed, " ");
                return cx_error_set(err, -EAGAIN,
                                    "Unable to attach or mount volumes: unmounted volumes=[%s], unattached "
                                    "volumes=[], failed to process volumes=[%s]: %s",
                                    missing, unprocessed, pass.why.data);
        }
        return pass.pending ? -EINPROGRESS : 0;
}

// --- their end -------------------------------------------------------------------------------------------------------

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

// A volume that is ended, by its path.
struct end {
        const struct volume_plugin *plugin;
        struct volume_place place;
        char *pod_uid, *name, *folder;
};

static void end_free(void *p)
{
        struct end *e = p;
        free(e->pod_uid);
        free(e->name);
        free(e->folder);
        free(e);
}

static int run_end(void *context, struct cx_error *err)
{
        const struct end *e = context;
        return e->plugin->tear_down(&e->place, err);
}

static int end_one(struct volumes *v, const struct volume_plugin *plugin, const struct volume_place *place,
                   int64_t *again, struct cx_error *err)
{
        if (!plugin->slow)
                return plugin->tear_down(place, err);
        struct end *e = cx_alloc(sizeof *e);
        *e = (struct end){plugin, *place, cx_strdup(place->pod_uid), cx_strdup(place->name), cx_strdup(place->folder)};
        e->place.pod_uid = e->pod_uid;
        e->place.name = e->name;
        e->place.folder = e->folder;
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("end/%s/%s/%s", place->pod_uid, plugin->folder, place->name);
        int64_t due = INT64_MAX;
        int r = operations_do(
                v->operations,
                &(struct volume_operation){
                        .key = key, .owner = place->pod_uid, .run = run_end, .free_context = end_free, .context = e},
                &due, err);
        sooner(again, due);
        return r;
}

// Ends the volumes of one plugin below a pod's folder.
static int tear_down_kind(struct volumes *v, const char *pod_uid, const char *kind, const char *path, int64_t *again,
                          struct cx_error *err)
{
        const struct volume_plugin *plugin = plugin_of_folder(v, kind);
        if (!plugin || !plugin->tear_down) // of another version of the kubelet: only that one knows what it is
                return cx_error_set(err, -ENOTSUP, "no volume plugin can end what is in %s", path);
        CX_STRINGS names = CX_STRINGS_INIT;
        int r = cx_list_folder(path, &names, err);
        bool pending = false;
        for (size_t i = 0; i < names.count; i++) {
                CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s/%s", path, names.items[i]);
                const struct volume_place place = {plugin->context, v->kubelet,     v->locks,
                                                   pod_uid,         names.items[i], folder};
                CX_ERROR failure = CX_ERROR_INIT;
                int one = end_one(v, plugin, &place, again, &failure);
                if (one == 0)
                        forget_measured(v, folder);
                else if (one == -EINPROGRESS)
                        pending = true;
                else if (r == 0)
                        r = cx_error_move(err, &failure);
        }
        return r == 0 && pending ? -EINPROGRESS : r;
}

static int tear_down_folder(struct volumes *v, const char *pod_uid, const char *folder, int64_t *again,
                            struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *volumes = cx_sprintf("%s/volumes", folder);
        CX_CLEANUP(cx_freep) char *subpaths = volumes_subpaths(v, pod_uid);
        CX_STRINGS kinds = CX_STRINGS_INIT;
        bool pending = false;
        int r = cx_unmount_below(subpaths, false, err); // first: they are of volumes
        if (r == 0)
                r = cx_list_folder(volumes, &kinds, err);
        for (size_t i = 0; i < kinds.count; i++) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", volumes, kinds.items[i]);
                CX_ERROR failure = CX_ERROR_INIT;
                int one = tear_down_kind(v, pod_uid, kinds.items[i], path, again, &failure);
                if (one == -EINPROGRESS)
                        pending = true;
                else if (one < 0 && r == 0)
                        r = cx_error_move(err, &failure);
        }
        if (r == 0 && pending)
                return -EINPROGRESS;
        return r < 0 ? r : cx_remove_tree(folder, err);
}

// Nothing of the pod is being set up any more.
static bool is_idle(struct volumes *v, const char *pod_uid)
{
        static const char *const kinds[] = {"set", "grow"};
        bool idle = true;
        for (size_t i = 0; i < CX_ARRAY_SIZE(kinds); i++) {
                CX_CLEANUP(cx_freep) char *prefix = cx_sprintf("%s/%s/", kinds[i], pod_uid);
                idle = operations_forget(v->operations, prefix) && idle;
        }
        return idle;
}

int volumes_tear_down(struct volumes *v, const char *pod_uid, int64_t *ret_again, struct cx_error *err)
{
        const char *const roots[] = {v->state_pods, v->pods};
        int r = 0;
        bool pending = false;
        *ret_again = INT64_MAX;
        if (!is_idle(v, pod_uid))
                return -EINPROGRESS;
        for (size_t i = 0; i < CX_ARRAY_SIZE(roots); i++) {
                CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s/%s", roots[i], pod_uid);
                CX_ERROR failure = CX_ERROR_INIT;
                int one = access(folder, F_OK) == 0 ? tear_down_folder(v, pod_uid, folder, ret_again, &failure) : 0;
                if (one == -EINPROGRESS)
                        pending = true;
                else if (one < 0 && r == 0)
                        r = cx_error_move(err, &failure);
        }
        if (r < 0)
                return cx_error_wrap(err, "cannot end the volumes");
        if (pending)
                return -EINPROGRESS;
        tokens_forget(v->tokens, pod_uid);
        claims_forget(v->claims, pod_uid);
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

void volumes_images(const struct volumes *v, struct cx_strings *ret_ids)
{
        CX_STRINGS uids = CX_STRINGS_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_list_folder(v->pods, &uids, &err) < 0)
                return;
        for (size_t i = 0; i < uids.count; i++) {
                CX_CLEANUP(cx_freep)
                char *notes = cx_sprintf("%s/%s/plugins/kubernetes.io~image", v->pods, uids.items[i]);
                CX_STRINGS names = CX_STRINGS_INIT;
                if (cx_list_folder(notes, &names, NULL) < 0)
                        continue;
                for (size_t n = 0; n < names.count; n++) {
                        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s/image", notes, names.items[n]);
                        CX_BUF id = CX_BUF_INIT_MAX(256);
                        if (cx_buf_read_file(&id, path) == 0 && id.length)
                                cx_strings_add(ret_ids, id.data);
                }
        }
}
int volumes_used(struct volumes *v, const json_t *pod, const json_t *volume, int64_t *ret_bytes, struct cx_error *err)
{
        FOUND *f = NULL;
        struct volume_usage usage = {0};
        *ret_bytes = 0;
        int r = found_describe(v, pod, volume, true, &f, err);
        if (r == 0 && f->plugin->measured && !(f->plugin->in_memory && f->plugin->in_memory(f->job.source)) &&
            access(f->folder, F_OK) == 0)
                r = local_usage(f->folder, &usage, err);
        *ret_bytes = usage.used;
        return r;
}
