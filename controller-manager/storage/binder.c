// SPDX-License-Identifier: Apache-2.0
// The persistentvolume-binder: claims get volumes, volumes get their phases. One worker, so that no volume is given away
// twice; what somebody else changed meanwhile refuses the write, by its version, and is looked at again.
#include "controller-manager/storage/binder.h"

#include "controller-manager/storage/pod_claims.h"
#include "libcommon/base/time.h"

#include <stdarg.h>

#define CLAIM "claim "
#define VOLUME "volume "
#define INDEX_CLASS "class of a pending claim"
#define INDEX_CLAIM "claim of a volume"
#define NO_CLASS "-" // no class has this name
#define SAY_AGAIN (15 * CX_NS_PER_S)

struct said {
        uint64_t hash;
        int64_t when; // monotonic
};

// --- writing ---------------------------------------------------------------------------------------------------------

bool bindable_get(struct volume_binder *self, bool is_claim, const char *key, struct bindable *ret_item)
{
        *ret_item = is_claim ? (struct bindable){.resource = "persistentvolumeclaims",
                                                 .kind = "PersistentVolumeClaim",
                                                 .writes = &self->claim_writes}
                             : (struct bindable){.resource = "persistentvolumes",
                                                 .kind = "PersistentVolume",
                                                 .writes = &self->volume_writes};
        ret_item->object = cx_informer_get_key(is_claim ? self->claims : self->volumes, key);
        if (!ret_item->object) {
                own_writes_forget(ret_item->writes, key);
                cx_map_remove(&self->said, key);
        }
        if (!ret_item->object || own_writes_behind(ret_item->writes, ret_item->object)) {
                bindable_release(ret_item);
                return false;
        }
        ret_item->json = cx_object_json(ret_item->object);
        json_object_set_new(ret_item->json, "apiVersion", json_string("v1"));
        json_object_set_new(ret_item->json, "kind", json_string(ret_item->kind));
        return true;
}

void bindable_release(struct bindable *item)
{
        if (item->object)
                cx_object_unref(item->object);
        json_decref(item->json);
        *item = (struct bindable){0};
}

int bindable_write(struct volume_binder *self, struct bindable *item, bool status, struct cx_error *err)
{
        const struct cx_object *object = item->object;
        json_t *answer = NULL;
        int r = cx_rest_update_sub(self->manager->rest,
                                   CX_REF("", "v1", item->resource, object->namespace, object->name),
                                   status ? "status" : NULL, item->json, &answer, err);
        if (r < 0 && (cx_error_is(err, CX_REASON_CONFLICT) || cx_error_is(err, CX_REASON_NOT_FOUND))) {
                cx_error_release(err);
                return 1;
        }
        if (r < 0)
                return r;
        own_writes_note(item->writes, object, answer);
        json_decref(item->json);
        item->json = answer;
        return 0;
}

int bindable_set_phase(struct volume_binder *self, struct bindable *item, const char *phase, const char *message,
                       struct cx_error *err)
{
        json_t *status = cx_json_object_at(item->json, "status");
        if (cx_streq(cx_json_string(status, "phase"), phase))
                return 0;
        json_object_set_new(status, "phase", json_string(phase));
        if (item->writes == &self->volume_writes) {
                json_object_set_new(status, "lastPhaseTransitionTime", json_now());
                if (message)
                        json_object_set_new(status, "message", json_string(message));
                else
                        json_object_del(status, "message");
        }
        return bindable_write(self, item, true, err);
}

static bool is_said(struct volume_binder *self, const struct bindable *item, const char *reason, const char *text)
{
        CX_CLEANUP(cx_freep) char *all = cx_sprintf("%s %s %s", item->object->uid, reason, text);
        uint64_t hash = cx_hash(all, strlen(all));
        int64_t now = cx_time_monotonic();
        struct said *said = cx_map_get(&self->said, item->object->key);
        if (said && said->hash == hash && now - said->when < SAY_AGAIN)
                return true;
        if (!said) {
                said = cx_alloc(sizeof *said);
                cx_map_set(&self->said, item->object->key, said);
        }
        *said = (struct said){hash, now};
        return false;
}

void bindable_event(struct volume_binder *self, const struct bindable *item, const char *type, const char *reason,
                    const char *format, ...)
{
        CX_BUF text = CX_BUF_INIT_MAX(1024);
        va_list args;
        va_start(args, format);
        cx_buf_vprintf(&text, format, args);
        va_end(args);
        if (is_said(self, item, reason, text.data))
                return;
        cx_event_object(self->events, "v1", item->kind, item->object, type, reason, "%s", text.data);
}

void bindable_annotate(struct bindable *item, const char *name, const char *value)
{
        json_t *annotations = cx_json_object_at(cx_json_object_at(item->json, "metadata"), "annotations");
        if (value)
                json_object_set_new(annotations, name, json_string(value));
        else
                json_object_del(annotations, name);
}

// --- following -------------------------------------------------------------------------------------------------------

struct claim_facts {
        char *class; // NO_CLASS: it names none
        char *volume;
        bool pending;
};

static void take_claim(void *part, const json_t *claim)
{
        const json_t *annotations = cx_json_get(claim, "metadata.annotations");
        *(struct claim_facts *)part =
                (struct claim_facts){.class = cx_strdup(cx_json_string_or(claim, "spec.storageClassName", NO_CLASS)),
                                     .volume = cx_strdup(cx_json_string_or(claim, "spec.volumeName", "")),
                                     .pending = !json_object_get(annotations, CX_BIND_COMPLETED)};
}

static void release_claim(void *part)
{
        free(((struct claim_facts *)part)->class);
        free(((struct claim_facts *)part)->volume);
}

static const struct object_part claim_part = {sizeof(struct claim_facts), take_claim, release_claim};
#define CLAIM_FACTS(object) ((const struct claim_facts *)object_part(object, &claim_part))

static void take_volume(void *part, const json_t *volume)
{
        cx_volume_parse(volume, part);
}

static void release_volume(void *part)
{
        cx_volume_release(part);
}

const struct object_part volume_part = {sizeof(struct cx_volume), take_volume, release_volume};

static void add(struct volume_binder *self, const char *what, const char *key)
{
        CX_CLEANUP(cx_freep) char *text = cx_sprintf("%s%s", what, key);
        cx_workqueue_add(self->queue, text);
}

static void add_indexed(struct volume_binder *self, struct cx_informer *informer, const char *index, const char *value,
                        const char *what)
{
        CX_OBJECTS found = CX_OBJECTS_INIT;
        cx_informer_by_index(informer, index, value, &found);
        for (size_t i = 0; i < found.count; i++)
                add(self, what, found.items[i]->key);
}

static void index_class(void *context CX_UNUSED, const struct cx_object *claim, struct cx_strings *ret_keys)
{
        if (CLAIM_FACTS(claim)->pending)
                cx_strings_add(ret_keys, CLAIM_FACTS(claim)->class);
}

static char *claim_key(const struct cx_volume *volume)
{
        return cx_sprintf("%s/%s", volume->claim_namespace, volume->claim_name);
}

static void index_claim(void *context CX_UNUSED, const struct cx_object *object, struct cx_strings *ret_keys)
{
        const struct cx_volume *volume = object_part(object, &volume_part);
        CX_CLEANUP(cx_freep) char *key = claim_key(volume);
        if (volume->has_claim)
                cx_strings_add(ret_keys, key);
}

static void on_claim(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct volume_binder *self = context;
        const struct cx_object *claim = now ? now : old;
        if (now)
                add(self, CLAIM, now->key);
        if (*CLAIM_FACTS(claim)->volume)
                add(self, VOLUME, CLAIM_FACTS(claim)->volume);
        add_indexed(self, self->volumes, INDEX_CLAIM, claim->key, VOLUME);
}

// A volume that may be had now is one for all claims of its class that wait.
static void on_volume(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct volume_binder *self = context;
        const struct cx_volume *volume = object_part(now ? now : old, &volume_part);
        CX_CLEANUP(cx_freep) char *key = claim_key(volume);
        if (now)
                add(self, VOLUME, now->key);
        if (volume->has_claim)
                add(self, CLAIM, key);
        else if (now)
                add_indexed(self, self->claims, INDEX_CLASS, *volume->class ? volume->class : "", CLAIM);
        if (now && !volume->has_claim && !*volume->class)
                add_indexed(self, self->claims, INDEX_CLASS, NO_CLASS, CLAIM);
}

static void on_class(void *context, const struct cx_object *old CX_UNUSED, const struct cx_object *now)
{
        struct volume_binder *self = context;
        if (!now)
                return;
        add_indexed(self, self->claims, INDEX_CLASS, now->name, CLAIM);
        add_indexed(self, self->claims, INDEX_CLASS, NO_CLASS, CLAIM);
}

// A pod that has no node yet: its claims may wait for it. Those that do not are not looked at.
static void on_pod(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct volume_binder *self = context;
        if (old || !now || POD_STATE(now)->node)
                return;
        const struct cx_strings *names = pod_claims(now);
        for (size_t i = 0; i < names->count; i++) {
                CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s/%s", now->namespace, names->items[i]);
                CX_OBJECT *claim = cx_informer_get_key(self->claims, key);
                if (claim && CLAIM_FACTS(claim)->pending)
                        add(self, CLAIM, key);
        }
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct volume_binder *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->queue = queue;
        self->events = manager_recorder(manager, "persistentvolume-controller");
        self->claims = manager_informer(manager, "", "persistentvolumeclaims");
        self->volumes = manager_informer(manager, "", "persistentvolumes");
        (void)manager_part_informer(manager, "", "persistentvolumeclaims", &claim_part);
        (void)manager_part_informer(manager, "", "persistentvolumes", &volume_part);
        self->classes = manager_part_informer(manager, "storage.k8s.io", "storageclasses", &storage_class_part);
        self->pods = pods_by_claim(manager);
        self->said = (struct cx_map)CX_MAP_INIT_FREE(free);
        own_writes_init(&self->claim_writes);
        own_writes_init(&self->volume_writes);
        cx_informer_add_index(self->claims, INDEX_CLASS, index_class, NULL);
        cx_informer_add_index(self->volumes, INDEX_CLAIM, index_claim, NULL);
        cx_informer_on_event(self->claims, on_claim, self);
        cx_informer_on_event(self->volumes, on_volume, self);
        cx_informer_on_event(self->classes, on_class, self);
        cx_informer_on_event(self->pods, on_pod, self);
        return self;
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct volume_binder *self = context;
        bool is_claim = cx_has_prefix(key, CLAIM);
        BINDABLE item = {0};
        if (!bindable_get(self, is_claim, key + strlen(is_claim ? CLAIM : VOLUME), &item))
                return 0;
        int r = is_claim ? binder_sync_claim(self, &item, err) : binder_sync_volume(self, &item, err);
        if (r > 0)
                *retry_after = CX_NS_PER_S / 10;
        return r < 0 ? r : 0;
}

static void release(void *context)
{
        struct volume_binder *self = context;
        own_writes_release(&self->claim_writes);
        own_writes_release(&self->volume_writes);
        cx_map_release(&self->said);
        free(self);
}

const struct controller persistentvolume_binder_controller = {.name = "persistentvolume-binder-controller",
                                                              .account = "persistent-volume-binder",
                                                              .workers = 1,
                                                              .init = init,
                                                              .reconcile = reconcile,
                                                              .free = release};
