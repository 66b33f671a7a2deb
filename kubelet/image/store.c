// SPDX-License-Identifier: Apache-2.0
// Layers by digest and records by id, indexed in memory; what is on disk is the truth after a restart.
#include "kubelet/image/store.h"

#include "kubelet/image/reference.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/process.h"
#include "libcommon/base/random.h"
#include "libcommon/base/time.h"
#include "libcommon/base/tree.h"
#include "libcommon/format/json.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

struct image {
        json_t *record;
        int64_t last_used; // monotonic ns
};
struct layer {
        int64_t number;
        struct layer_content content; // no diff ID: kept by an older version, good for the images that have it
        int64_t asked;                // monotonic ns, when a pull last wanted it
        bool busy;                    // being unpacked by some thread
};
struct image_store {
        char *root;
        pthread_mutex_t lock;   // guards all below
        pthread_cond_t changed; // a layer is no longer busy
        struct cx_map images;   // id → struct image
        struct cx_map layers;   // digest → struct layer
        int64_t next_layer;
        int holders;
        int64_t held_since; // monotonic ns, while there are holders
};

static void image_free(void *p)
{
        struct image *image = p;
        json_decref(image->record);
        free(image);
}

static void index_record(struct image_store *s, json_t *record_steal)
{
        struct image *image = cx_alloc(sizeof *image);
        image->record = record_steal;
        image->last_used = cx_time_monotonic();
        cx_map_set(&s->images, cx_json_string(record_steal, "id"), image);
}

static void load_layer(struct image_store *s, const char *name)
{
        CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s/layers/%s", s->root, name);
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/digest", folder);
        int64_t number;
        CX_BUF text = CX_BUF_INIT_MAX(4096);
        char digest[80] = "";
        struct layer_content content = {0};
        long long bytes = 0;
        if (cx_parse_int(name, 0, INT64_MAX / 2, &number) < 0 || cx_buf_read_file(&text, path) < 0 ||
            sscanf(text.data, "%79s %lld %71s", digest, &bytes, content.diff_id) < 2) {
                if (cx_remove_tree(folder, NULL) < 0)
                        cx_warn("Cannot remove an unfinished image layer", "folder", folder);
                return;
        }
        if (number >= s->next_layer)
                s->next_layer = number + 1;
        if (!*content.diff_id && cx_map_has(&s->layers, digest))
                return; // unpacked anew since; something may still run on this one
        struct layer *layer = cx_alloc(sizeof *layer);
        content.bytes = bytes;
        *layer = (struct layer){.number = number, .content = content};
        cx_map_set(&s->layers, digest, layer);
}

// An image whose layers are not all there (a crash, a hand that removed them) is forgotten, to be pulled again.
static bool complete(const struct image_store *s, const json_t *record)
{
        size_t i;
        json_t *digest;
        json_array_foreach (json_object_get(record, "layers"), i, digest) {
                if (!json_is_string(digest) || !cx_map_has(&s->layers, json_string_value(digest)))
                        return false;
        }
        return cx_json_string(record, "id") && json_is_object(json_object_get(record, "config"));
}

static void load_image(struct image_store *s, const char *name)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/images/%s", s->root, name);
        CX_BUF text = CX_BUF_INIT_MAX(8 << 20);
        json_t *record = NULL;
        if (cx_has_suffix(name, ".json") && cx_buf_read_file(&text, path) == 0 &&
            cx_json_parse(text.data, text.length, false, &record, NULL) == 0 && complete(s, record)) {
                index_record(s, record);
                return;
        }
        json_decref(record);
        (void)unlink(path);
}

static int each_entry(const struct image_store *store, const char *folder,
                      void (*each)(struct image_store *, const char *), struct cx_error *err)
{
        struct image_store *s = (struct image_store *)store;
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", s->root, folder);
        DIR *dir = opendir(path);
        if (!dir)
                return cx_error_set(err, -errno, "cannot read %s: %s", path, strerror(errno));
        struct dirent *entry;
        while ((entry = readdir(dir)))
                if (entry->d_name[0] != '.')
                        each(s, entry->d_name);
        closedir(dir);
        return 0;
}

// Makes the lowest layers of every container: what is mounted over in each of them, so that nothing has to be made in (and
// removed from) each container's own layer.
static int make_mount_points(const char *root, struct cx_error *err)
{
        static const char *const folders[] = {"nothing",
                                              "mount-points/proc",
                                              "mount-points/sys",
                                              "mount-points/dev",
                                              "mount-points/etc",
                                              "token-mount-points/var/run/secrets/kubernetes.io/serviceaccount",
                                              "token-mount-points/run/secrets/kubernetes.io/serviceaccount"};
        static const char *const files[] = {"hosts", "hostname", "resolv.conf"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(folders); i++) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", root, folders[i]);
                int r = cx_mkdir_all(path, 0755, err);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < CX_ARRAY_SIZE(files); i++) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/mount-points/etc/%s", root, files[i]);
                CX_CLEANUP(cx_closep) int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
                if (fd < 0)
                        return cx_error_set(err, -errno, "cannot make %s: %s", path, strerror(errno));
        }
        return 0;
}

int image_store_open(const char *root, struct image_store **ret_store, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *layers = cx_sprintf("%s/layers", root);
        CX_CLEANUP(cx_freep) char *images = cx_sprintf("%s/images", root);
        int r = strpbrk(root, ",:") ? cx_error_set(err, -EINVAL, "%s: overlayfs takes no comma or colon here", root)
                                    : cx_mkdir_all(layers, 0700, err);
        if (r == 0)
                r = cx_mkdir_all(images, 0700, err);
        if (r == 0)
                r = make_mount_points(root, err);
        if (r < 0)
                return r;
        CX_CLEANUP(image_store_freep) struct image_store *s = cx_alloc(sizeof *s);
        s->root = cx_strdup(root);
        s->images = (struct cx_map)CX_MAP_INIT_FREE(image_free);
        s->layers = (struct cx_map)CX_MAP_INIT_FREE(free);
        s->next_layer = 1;
        pthread_mutex_init(&s->lock, NULL);
        pthread_cond_init(&s->changed, NULL);
        r = each_entry(s, "layers", load_layer, err);
        if (r == 0)
                r = each_entry(s, "images", load_image, err);
        if (r < 0)
                return r;
        *ret_store = cx_steal(&s);
        return 0;
}

void image_store_free(struct image_store *s)
{
        if (!s)
                return;
        cx_map_release(&s->images);
        cx_map_release(&s->layers);
        pthread_mutex_destroy(&s->lock);
        pthread_cond_destroy(&s->changed);
        free(s->root);
        free(s);
}

static bool array_has(const json_t *array, const char *text)
{
        size_t i;
        json_t *item;
        json_array_foreach ((json_t *)array, i, item) {
                if (cx_streq(json_string_value(item), text))
                        return true;
        }
        return false;
}

static struct image *find(struct image_store *s, const char *reference)
{
        struct image *image = cx_map_get(&s->images, reference);
        if (image)
                return image;
        CX_MAP_FOREACH (&s->images, entry) {
                image = entry->value;
                if (array_has(json_object_get(image->record, "repoTags"), reference) ||
                    array_has(json_object_get(image->record, "repoDigests"), reference))
                        return image;
        }
        return NULL;
}

json_t *image_store_find(struct image_store *s, const char *reference)
{
        pthread_mutex_lock(&s->lock);
        struct image *image = find(s, reference);
        json_t *record = NULL;
        if (image) {
                image->last_used = cx_time_monotonic();
                record = json_incref(image->record);
        }
        pthread_mutex_unlock(&s->lock);
        return record;
}

json_t *image_store_list(struct image_store *s)
{
        json_t *list = json_array();
        pthread_mutex_lock(&s->lock);
        CX_MAP_FOREACH (&s->images, entry) {
                json_array_append(list, ((struct image *)entry->value)->record);
        }
        pthread_mutex_unlock(&s->lock);
        return list;
}

static int save_record(const struct image_store *s, const json_t *record, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT;
        cx_json_dump(record, &text);
        CX_CLEANUP(cx_freep)
        char *path = cx_sprintf("%s/images/%s.json", s->root, cx_json_string_or(record, "id", "") + strlen("sha256:"));
        return cx_write_file(path, text.data, text.length, 0600, false, err);
}

// Takes `tag` away from every image but `keep`. Under the lock.
static int move_tag(struct image_store *s, const char *tag, const char *keep, struct cx_error *err)
{
        CX_MAP_FOREACH (&s->images, entry) {
                struct image *image = entry->value;
                if (strcmp(entry->key, keep) == 0 || !array_has(json_object_get(image->record, "repoTags"), tag))
                        continue;
                json_t *copy = json_deep_copy(image->record), *tags = json_object_get(copy, "repoTags");
                for (size_t i = json_array_size(tags); i-- > 0;)
                        if (cx_streq(json_string_value(json_array_get(tags, i)), tag))
                                json_array_remove(tags, i);
                json_decref(image->record);
                image->record = copy;
                int r = save_record(s, copy, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void merge_names(json_t *record, const json_t *old, const char *key)
{
        json_t *names = cx_json_array_at(record, key), *name;
        size_t i;
        json_array_foreach (json_object_get(old, key), i, name) {
                if (!array_has(names, json_string_value(name)))
                        json_array_append(names, name);
        }
}

// Whether the layers hold what the image's configuration says. Under the lock.
static int check_layers(const struct image_store *s, const json_t *record, struct cx_error *err)
{
        const char *id = cx_json_string_or(record, "id", "");
        const json_t *layers = json_object_get(record, "layers"), *wanted = json_object_get(record, "diffIDs");
        if (!json_is_array(wanted) || json_array_size(wanted) != json_array_size(layers))
                return cx_error_set(err, -EBADMSG, "image %s has %zu layers, and its configuration names %zu", id,
                                    json_array_size(layers), json_array_size(wanted));
        for (size_t i = 0; i < json_array_size(layers); i++) {
                const char *digest = cx_str(json_string_value(json_array_get(layers, i)));
                const char *diff_id = json_string_value(json_array_get(wanted, i));
                const struct layer *layer = cx_map_get(&s->layers, digest);
                if (!layer || layer->busy)
                        return cx_error_set(err, -ENOENT, "layer %s of image %s is missing", digest, id);
                if (!cx_streq(diff_id, layer->content.diff_id))
                        return cx_error_set(err, -EBADMSG,
                                            "layer %s of image %s unpacks to %s, and its configuration says %s", digest,
                                            id, layer->content.diff_id, cx_str(diff_id));
        }
        return 0;
}

const char *image_record_digest(const json_t *record, const char *image)
{
        IMAGE_REF ref = IMAGE_REF_INIT;
        size_t i;
        json_t *item;
        if (image_ref_parse(image, &ref, NULL) == 0) {
                CX_CLEANUP(cx_freep) char *name = image_ref_name(&ref);
                json_array_foreach (json_object_get(record, "repoDigests"), i, item) {
                        const char *by_digest = cx_str(json_string_value(item));
                        if (cx_has_prefix(by_digest, name) && by_digest[strlen(name)] == '@')
                                return by_digest;
                }
        }
        return cx_json_string_or(record, "id", "");
}

int image_store_put(struct image_store *s, json_t *record_steal, struct cx_error *err)
{
        const char *id = cx_json_string_or(record_steal, "id", "");
        size_t i;
        json_t *tag;
        pthread_mutex_lock(&s->lock);
        int r = check_layers(s, record_steal, err);
        json_array_foreach (json_object_get(record_steal, "repoTags"), i, tag) {
                if (r == 0)
                        r = move_tag(s, json_string_value(tag), id, err);
        }
        struct image *old = cx_map_get(&s->images, id);
        if (old) {
                merge_names(record_steal, old->record, "repoTags");
                merge_names(record_steal, old->record, "repoDigests");
        }
        if (r == 0)
                r = save_record(s, record_steal, err);
        if (r == 0)
                index_record(s, record_steal);
        else
                json_decref(record_steal);
        pthread_mutex_unlock(&s->lock);
        return r;
}

static int no_such_image(const char *reference, struct cx_error *err)
{
        return cx_error_set(err, -ENOENT, "there is no image %s", reference);
}

int image_store_tag(struct image_store *s, const char *reference, const char *tag, struct cx_error *err)
{
        pthread_mutex_lock(&s->lock);
        struct image *image = find(s, reference);
        int r = image ? 0 : no_such_image(reference, err);
        if (r == 0 && !array_has(json_object_get(image->record, "repoTags"), tag)) {
                json_t *copy = json_deep_copy(image->record);
                json_array_append_new(cx_json_array_at(copy, "repoTags"), json_string(tag));
                r = move_tag(s, tag, cx_json_string_or(copy, "id", ""), err);
                if (r == 0)
                        r = save_record(s, copy, err);
                json_decref(r == 0 ? image->record : copy);
                image->record = r == 0 ? copy : image->record;
        }
        pthread_mutex_unlock(&s->lock);
        return r;
}

static void remove_name(json_t *record, const char *key, const char *name)
{
        json_t *names = json_object_get(record, key);
        for (size_t i = json_array_size(names); i-- > 0;)
                if (!name || cx_streq(json_string_value(json_array_get(names, i)), name))
                        json_array_remove(names, i);
}

int image_store_untag(struct image_store *s, const char *reference, struct cx_error *err)
{
        pthread_mutex_lock(&s->lock);
        struct image *image = find(s, reference);
        int r = image ? 0 : no_such_image(reference, err);
        if (r == 0) {
                json_t *copy = json_deep_copy(image->record);
                bool all = strcmp(cx_json_string_or(copy, "id", ""), reference) == 0;
                remove_name(copy, "repoTags", all ? NULL : reference);
                if (all || !json_array_size(json_object_get(copy, "repoTags"))) // a digest alone keeps nothing
                        remove_name(copy, "repoDigests", NULL);
                r = save_record(s, copy, err);
                json_decref(r == 0 ? image->record : copy);
                image->record = r == 0 ? copy : image->record;
        }
        pthread_mutex_unlock(&s->lock);
        return r;
}

char *image_store_layer_folder(struct image_store *s, const char *digest)
{
        pthread_mutex_lock(&s->lock);
        struct layer *layer = cx_map_get(&s->layers, digest);
        char *folder =
                layer && !layer->busy ? cx_sprintf("%s/layers/%lld/fs", s->root, (long long)layer->number) : NULL;
        if (folder)
                layer->asked = cx_time_monotonic(); // as one that is to be unpacked: held
        pthread_mutex_unlock(&s->lock);
        return folder;
}

void image_store_hold(struct image_store *s)
{
        pthread_mutex_lock(&s->lock);
        if (s->holders++ == 0)
                s->held_since = cx_time_monotonic();
        pthread_mutex_unlock(&s->lock);
}

void image_store_let_go(struct image_store *s)
{
        pthread_mutex_lock(&s->lock);
        s->holders--;
        pthread_mutex_unlock(&s->lock);
}

int image_store_layer_begin(struct image_store *s, const char *digest, char **ret_folder, struct cx_error *err)
{
        pthread_mutex_lock(&s->lock);
        struct layer *layer;
        while ((layer = cx_map_get(&s->layers, digest)) && layer->busy)
                pthread_cond_wait(&s->changed, &s->lock);
        if (layer && *layer->content.diff_id) {
                layer->asked = cx_time_monotonic();
                pthread_mutex_unlock(&s->lock);
                return 1;
        }
        layer = cx_alloc(sizeof *layer);
        layer->busy = true;
        cx_map_set(&s->layers, digest, layer);
        pthread_mutex_unlock(&s->lock);
        char suffix[13];
        cx_random_suffix(suffix, 12);
        CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s/layers/tmp-%s", s->root, suffix);
        CX_CLEANUP(cx_freep) char *inner = cx_sprintf("%s/fs", folder);
        int r = cx_mkdir_all(inner, 0755, err);
        if (r < 0) {
                image_store_layer_abort(s, digest, folder);
                return r;
        }
        *ret_folder = cx_steal(&folder);
        return 0;
}

int image_store_layer_commit(struct image_store *s, const char *digest, const char *folder,
                             const struct layer_content *content, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/digest", folder);
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("%s %lld %s\n", digest, (long long)content->bytes, content->diff_id);
        int r = cx_write_file(path, text, strlen(text), 0600, false, err);
        pthread_mutex_lock(&s->lock);
        CX_CLEANUP(cx_freep) char *final = cx_sprintf("%s/layers/%lld", s->root, (long long)s->next_layer);
        if (r == 0 && rename(folder, final) < 0)
                r = cx_error_set(err, -errno, "cannot keep layer %s: %s", digest, strerror(errno));
        if (r == 0) {
                struct layer *layer = cx_map_get(&s->layers, digest);
                *layer = (struct layer){.number = s->next_layer++, .content = *content, .asked = cx_time_monotonic()};
                pthread_cond_broadcast(&s->changed);
        }
        pthread_mutex_unlock(&s->lock);
        if (r < 0)
                image_store_layer_abort(s, digest, folder);
        return r;
}

void image_store_layer_abort(struct image_store *s, const char *digest, const char *folder)
{
        if (cx_remove_tree(folder, NULL) < 0)
                cx_warn("Cannot remove an unfinished image layer", "folder", folder);
        pthread_mutex_lock(&s->lock);
        cx_map_remove(&s->layers, digest);
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
}

struct mount_job {
        char *folder;
        const char *target, *options;
        unsigned long flags;
        int result;
};

// On a thread of its own, because the short relative names of the lower folders need a working directory, which a
// thread can have for itself only after unsharing it from the process.
static void *mount_thread(void *context)
{
        struct mount_job *job = context;
        if (unshare(CLONE_FS) < 0 || chdir(job->folder) < 0 ||
            mount("overlay", job->target, "overlay", job->flags, job->options) < 0)
                job->result = -errno;
        return NULL;
}

int image_store_mount(struct image_store *s, const json_t *record, const struct image_mount *to, struct cx_error *err)
{
        // No sync of the upper folder: a container's layer never outlives a crash of the machine. (Kernel 5.10.)
        CX_BUF options = CX_BUF_INIT_MAX(4000);
        if (to->upper)
                cx_buf_printf(&options, "volatile,upperdir=%s,workdir=%s,", to->upper, to->work);
        cx_buf_add(&options, "lowerdir=");
        const json_t *layers = json_object_get(record, "layers");
        pthread_mutex_lock(&s->lock);
        for (size_t i = json_array_size(layers); i-- > 0;) {
                const struct layer *layer =
                        cx_map_get(&s->layers, cx_str(json_string_value(json_array_get(layers, i))));
                if (!layer || layer->busy) {
                        pthread_mutex_unlock(&s->lock);
                        return cx_error_set(err, -ENOENT, "a layer of the image is missing");
                }
                // The same layer again further down (empty ones, mostly) adds nothing, and overlayfs takes none twice.
                bool again = false;
                for (size_t k = i + 1; k < json_array_size(layers) && !again; k++)
                        again = json_equal(json_array_get(layers, i), json_array_get(layers, k));
                if (!again)
                        cx_buf_printf(&options, "%lld/fs:", (long long)layer->number);
        }
        pthread_mutex_unlock(&s->lock);
        if (to->upper)
                cx_buf_printf(&options, "%s../mount-points", to->token ? "../token-mount-points:" : "");
        else // overlayfs wants two
                cx_buf_add(&options, "../nothing");
        if (!json_array_size(layers) || options.overflow)
                return cx_error_set(err, -EINVAL, "the image has %zu layers", json_array_size(layers));
        CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s/layers", s->root);
        struct mount_job job = {.folder = folder,
                                .target = to->target,
                                .options = options.data,
                                .flags = to->upper ? 0 : MS_RDONLY | MS_NOEXEC | MS_NOSUID | MS_NODEV};
        pthread_t thread;
        int r = -pthread_create(&thread, NULL, mount_thread, &job);
        if (r == 0) {
                pthread_join(thread, NULL);
                r = job.result;
        }
        return r < 0 ? cx_error_set(err, r, "cannot mount the image at %s: %s", to->target, strerror(-r)) : 0;
}

static void drop_layers(struct image_store *s, int64_t *freed, struct cx_strings *ret_folders)
{
        CX_MAP_FOREACH (&s->layers, entry) {
                const struct layer *layer = entry->value;
                bool used = layer->busy || (s->holders && layer->asked >= s->held_since);
                CX_MAP_FOREACH (&s->images, other) {
                        const json_t *layers = json_object_get(((struct image *)other->value)->record, "layers");
                        used = used || array_has(layers, entry->key);
                }
                if (used)
                        continue;
                CX_CLEANUP(cx_freep) char *from = cx_sprintf("%s/layers/%lld", s->root, (long long)layer->number);
                CX_CLEANUP(cx_freep) char *to = cx_sprintf("%s/layers/tmp-gc-%lld", s->root, (long long)layer->number);
                if (rename(from, to) == 0)
                        cx_strings_add(ret_folders, to);
                *freed += layer->content.bytes;
                cx_map_remove(&s->layers, entry->key);
        }
}

static bool has_name(const struct image *image)
{
        return json_array_size(json_object_get(image->record, "repoTags")) ||
               json_array_size(json_object_get(image->record, "repoDigests"));
}

static struct image *nameless(struct image_store *s, const struct cx_strings *in_use, int64_t before)
{
        CX_MAP_FOREACH (&s->images, entry) {
                struct image *image = entry->value;
                if (!has_name(image) && !cx_strings_has(in_use, entry->key) && image->last_used <= before)
                        return image;
        }
        return NULL;
}

static struct image *oldest(struct image_store *s, const struct cx_strings *in_use, int64_t before)
{
        struct image *best = NULL;
        CX_MAP_FOREACH (&s->images, entry) {
                struct image *image = entry->value;
                if (!cx_strings_has(in_use, entry->key) && image->last_used <= before &&
                    (!best || image->last_used < best->last_used))
                        best = image;
        }
        return best;
}

int image_store_collect(struct image_store *s, const struct cx_strings *in_use, int64_t bytes_to_free, int64_t min_age,
                        int64_t *ret_freed, struct cx_error *err)
{
        CX_STRINGS folders = CX_STRINGS_INIT;
        int64_t freed = 0, before = cx_time_monotonic() - min_age;
        pthread_mutex_lock(&s->lock);
        struct image *image;
        for (size_t i = 0; i < in_use->count; i++)
                if ((image = cx_map_get(&s->images, in_use->items[i])))
                        image->last_used = cx_time_monotonic();
        if (bytes_to_free > 0)
                drop_layers(s, &freed, &folders);
        while ((image = nameless(s, in_use, before)) ||
               (freed < bytes_to_free && (image = oldest(s, in_use, before)))) {
                CX_CLEANUP(cx_freep) char *id = cx_strdup(cx_json_string(image->record, "id"));
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/images/%s.json", s->root, id + strlen("sha256:"));
                (void)unlink(path);
                cx_map_remove(&s->images, id);
                drop_layers(s, &freed, &folders);
        }
        pthread_mutex_unlock(&s->lock);
        int r = 0;
        for (size_t i = 0; i < folders.count && r == 0; i++)
                r = cx_remove_tree(folders.items[i], err);
        if (ret_freed)
                *ret_freed = freed;
        return r;
}
