// SPDX-License-Identifier: Apache-2.0
// A claim's volume and its folder are named after the claim's uid: doing everything twice changes nothing. The folder comes
// first and goes first: a volume that there is has its folder, or is about to go.
//
// A claim that this node cannot serve loses the annotation that names the node, and its pod is scheduled anew. One of a
// class that binds at once names no node: the provisioner that writes its own there first has it.
#include "addons/storage-provisioner/provisioner.h"

#include "addons/storage-provisioner/node_volumes.h"
#include "addons/storage-provisioner/volume.h"
#include "libcommon/api/quantity.h"
#include "libcommon/api/storage.h"
#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/client/workqueue.h"
#include "libcommon/format/json.h"

#include <pthread.h>

#define WORKERS 4
#define CLAIM "claim "
#define VOLUME "volume "
#define SWEEP "folders"
#define FULL_NODE (10 * CX_NS_PER_S)    // how often it looks whether there is room for a claim that binds at once
#define MISSING_NODE (10 * CX_NS_PER_S) // how often the node of a claim that waits for another one is looked for

struct claim_info {
        struct cx_claim claim;
        char *provisioner; // who is asked; ""
        int64_t has;       // bytes, as its status says
};
#define CLAIM_INFO(object) ((const struct claim_info *)(object)->projection)

struct provisioner {
        struct provisioner_options options;
        struct node_volumes *here; // of this node
        struct cx_informer *claims, *volumes, *classes;
        struct cx_workqueue *queue;
        struct cx_workers *workers;
        pthread_t beginning; // waits for the first lists
        bool started;
};

static struct cx_ref claim_ref(const struct cx_object *claim)
{
        return (struct cx_ref){"", "v1", "persistentvolumeclaims", claim->namespace, claim->name};
}

static void say(struct provisioner *self, const struct cx_object *object, const char *kind, const char *type,
                const char *reason, const char *text)
{
        cx_event_object(self->options.events, "v1", kind, object, type, reason, "%s", text);
}

// --- following -------------------------------------------------------------------------------------------------------

static void *project_claim(void *context CX_UNUSED, const json_t *claim)
{
        struct claim_info *info = cx_alloc(sizeof *info);
        const json_t *annotations = cx_json_get(claim, "metadata.annotations"),
                     *has = cx_json_get(claim, "status.capacity.storage");
        const char *asked = json_string_value(json_object_get(annotations, CX_STORAGE_PROVISIONER));
        cx_claim_parse(claim, &info->claim);
        info->provisioner = cx_strdup(
                cx_str(asked ? asked : json_string_value(json_object_get(annotations, CX_STORAGE_PROVISIONER_BETA))));
        info->has = has ? cx_quantity_value_of(has) : 0;
        return info;
}

static void free_claim(void *projection)
{
        struct claim_info *info = projection;
        cx_claim_release(&info->claim);
        free(info->provisioner);
        free(info);
}

static void *project_class(void *context CX_UNUSED, const json_t *class)
{
        struct cx_storage_class *info = cx_alloc(sizeof *info);
        cx_storage_class_parse(class, info);
        return info;
}

static void free_class(void *projection)
{
        cx_storage_class_release(projection);
        free(projection);
}

static void add(struct provisioner *self, const char *what, const char *key)
{
        CX_CLEANUP(cx_freep) char *text = cx_sprintf("%s%s", what, key);
        cx_workqueue_add(self->queue, text);
}

static void on_claim(void *context, const struct cx_object *old CX_UNUSED, const struct cx_object *now)
{
        struct provisioner *self = context;
        if (now && strcmp(CLAIM_INFO(now)->provisioner, self->options.name) == 0)
                add(self, CLAIM, now->key);
}

static void on_volume(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct provisioner *self = context;
        if (!now)
                node_volumes_forget(self->here, old->name);
        if (now && VOLUME_INFO(now))
                add(self, VOLUME, now->key);
}

// --- making volumes --------------------------------------------------------------------------------------------------

// Names a node on the claim, or none (NULL). What somebody else wrote meanwhile counts.
static int choose_node(struct provisioner *self, const struct cx_object *claim, const char *node, struct cx_error *err)
{
        json_auto_t *patch = json_pack("{s:{s:s, s:s, s:{s:o}}}", "metadata", "uid", claim->uid, "resourceVersion",
                                       claim->resource_version, "annotations", CX_SELECTED_NODE,
                                       node ? json_string(node) : json_null());
        const struct cx_ref ref = claim_ref(claim);
        int r = cx_rest_patch(self->options.rest, &ref, NULL, CX_PATCH_MERGE, patch, NULL, err);
        if (r < 0 && (cx_error_is(err, CX_REASON_CONFLICT) || cx_error_is(err, CX_REASON_NOT_FOUND))) {
                cx_error_release(err);
                return 0;
        }
        return r;
}

static int make_promised(struct provisioner *self, const char *name, const json_t *volume, int64_t bytes,
                         struct cx_error *err)
{
        int r = node_volumes_promise(self->here, name, bytes, err);
        if (r < 0)
                return r;
        r = folders_make(self->options.folders, name, bytes, err);
        if (r == 0)
                r = cx_rest_create(self->options.rest, CX_REF("", "v1", "persistentvolumes"), volume, NULL, err);
        if (r < 0) // one that there is all the same counts for itself
                node_volumes_forget(self->here, name);
        return r;
}

static int make(struct provisioner *self, const struct cx_object *object, const json_t *claim, const json_t *class,
                struct cx_error *err)
{
        const struct folders *folders = self->options.folders;
        CX_CLEANUP(cx_freep) char *name = cx_sprintf("pvc-%s", object->uid);
        CX_CLEANUP(cx_freep) char *path = folders_path(folders, name);
        struct new_volume wanted = {name, path, self->options.name, NULL, folders->quota};
        int64_t bytes = cx_quantity_value_of(cx_json_get(claim, "spec.resources.requests.storage"));
        json_auto_t *volume = NULL;
        int r = node_volumes_hostname(self->here, &wanted.hostname, err);
        if (r == 0)
                r = volume_make(&wanted, claim, class, &volume, err);
        if (r == 0)
                r = make_promised(self, name, volume, bytes, err);
        if (r < 0 && cx_error_is(err, CX_REASON_ALREADY_EXISTS)) {
                cx_error_release(err);
                return 0;
        }
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *text = cx_sprintf("Successfully provisioned volume %s", name);
        cx_info("Made a volume", "volume", name, "claim", object->key);
        say(self, object, "PersistentVolumeClaim", "Normal", "ProvisioningSucceeded", text);
        return 0;
}

static void say_failed(struct provisioner *self, const struct cx_object *claim, const struct cx_error *why)
{
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("failed to provision volume with StorageClass \"%s\": %s",
                                CLAIM_INFO(claim)->claim.class, cx_error_text(why));
        say(self, claim, "PersistentVolumeClaim", "Warning", "ProvisioningFailed", text);
}

static int provision(struct provisioner *self, const struct cx_object *object, struct cx_error *err)
{
        json_auto_t *claim = NULL, *class = NULL;
        const struct cx_claim *facts = &CLAIM_INFO(object)->claim;
        const struct cx_ref ref = claim_ref(object);
        int r = cx_rest_get(self->options.rest, &ref, &claim, err);
        if (r == 0)
                r = cx_rest_get(self->options.rest,
                                CX_REF("storage.k8s.io", "v1", "storageclasses", NULL, facts->class), &class, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                return 0;
        }
        // It may be another by now, or be served.
        if (r < 0 || !cx_streq(cx_json_string(claim, "metadata.uid"), object->uid) ||
            *cx_json_string_or(claim, "spec.volumeName", ""))
                return r;
        CX_CLEANUP(cx_freep)
        char *begun = cx_sprintf("External provisioner is provisioning volume for claim \"%s\"", object->key);
        say(self, object, "PersistentVolumeClaim", "Normal", "Provisioning", begun);
        r = make(self, object, claim, class, err);
        if (r == 0)
                return 0;
        say_failed(self, object, err);
        if (r != -ENOSPC)
                return r;
        cx_error_release(err); // another node may have it
        return choose_node(self, object, NULL, err);
}

// A claim whose node has gone is for nobody: any provisioner may say so.
static int free_from_node(struct provisioner *self, const struct cx_object *claim, int64_t *retry_after,
                          struct cx_error *err)
{
        json_auto_t *node = NULL;
        const char *name = CLAIM_INFO(claim)->claim.selected_node;
        *retry_after = MISSING_NODE;
        if (cx_time_now() - claim->created < MISSING_NODE / 1000)
                return 0;
        int r = cx_rest_get(self->options.rest, CX_REF("", "v1", "nodes", NULL, name), &node, err);
        if (r == 0)
                return 0;
        if (!cx_error_is(err, CX_REASON_NOT_FOUND))
                return r;
        cx_error_release(err);
        return choose_node(self, claim, NULL, err);
}

// A claim that binds at once, and is nobody's yet. A node without room leaves it to the others, and looks again later.
static int offer(struct provisioner *self, const struct cx_object *claim, int64_t *retry_after, struct cx_error *err)
{
        int r = node_volumes_check(self->here, CLAIM_INFO(claim)->claim.storage, err);
        if (r == 0)
                return choose_node(self, claim, self->options.node, err);
        if (r != -ENOSPC)
                return r;
        say_failed(self, claim, err);
        cx_error_release(err);
        *retry_after = FULL_NODE;
        return 0;
}

static int serve(struct provisioner *self, const struct cx_object *claim, int64_t *retry_after, struct cx_error *err)
{
        const struct cx_claim *facts = &CLAIM_INFO(claim)->claim;
        CX_OBJECT *class = facts->class && *facts->class ? cx_informer_get_key(self->classes, facts->class) : NULL;
        const struct cx_storage_class *info = class ? class->projection : NULL;
        if (!info || strcmp(info->provisioner, self->options.name) != 0)
                return 0;
        if (strcmp(facts->selected_node, self->options.node) == 0)
                return provision(self, claim, err);
        if (*facts->selected_node)
                return free_from_node(self, claim, retry_after, err);
        return info->delays ? 0 : offer(self, claim, retry_after, err);
}

// --- growing ---------------------------------------------------------------------------------------------------------

static int write_size(struct provisioner *self, const struct cx_ref *ref, const char *subresource, const char *field,
                      const json_t *size, struct cx_error *err)
{
        json_auto_t *patch = json_pack("{s:{s:{s:O}}}", field, "capacity", "storage", size);
        return cx_rest_patch(self->options.rest, ref, subresource, CX_PATCH_MERGE, patch, NULL, err);
}

static int grow_to(struct provisioner *self, const struct cx_object *object, const struct cx_object *volume,
                   const json_t *size, struct cx_error *err)
{
        const struct claim_info *info = CLAIM_INFO(object);
        const struct cx_ref claim = claim_ref(object);
        int64_t now = VOLUME_INFO(volume)->volume.capacity;
        int r = 0;
        if (now < info->claim.storage) {
                r = node_volumes_promise(self->here, volume->name, info->claim.storage, err);
                if (r < 0)
                        return r;
                r = folders_grow(self->options.folders, volume->name, info->claim.storage, err);
                if (r == 0)
                        r = write_size(self, CX_REF("", "v1", "persistentvolumes", NULL, volume->name), NULL, "spec",
                                       size, err);
                if (r < 0)
                        node_volumes_forget(self->here, volume->name);
        }
        return r < 0 ? r : write_size(self, &claim, "status", "status", size, err);
}

static int grow(struct provisioner *self, const struct cx_object *object, struct cx_error *err)
{
        CX_OBJECT *volume = cx_informer_get_key(self->volumes, CLAIM_INFO(object)->claim.volume);
        if (!volume || !VOLUME_INFO(volume) || strcmp(VOLUME_INFO(volume)->volume.claim_uid, object->uid) != 0)
                return 0;
        int r = node_volumes_has(self->here, volume, err);
        if (r <= 0)
                return r;
        json_auto_t *claim = NULL;
        const struct cx_ref ref = claim_ref(object);
        r = cx_rest_get(self->options.rest, &ref, &claim, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep)
        char *begun = cx_sprintf("External resizer is resizing volume %s", volume->name);
        say(self, object, "PersistentVolumeClaim", "Normal", "Resizing", begun);
        r = grow_to(self, object, volume, cx_json_get(claim, "spec.resources.requests.storage"), err);
        if (r == 0) {
                say(self, object, "PersistentVolumeClaim", "Normal", "VolumeResizeSuccessful",
                    "Resize volume succeeded");
                return 0;
        }
        CX_CLEANUP(cx_freep)
        char *why = cx_sprintf("resize volume \"%s\" failed: %s", volume->name, cx_error_text(err));
        say(self, object, "PersistentVolumeClaim", "Warning", "VolumeResizeFailed", why);
        return r;
}

static int look_at_claim(struct provisioner *self, const char *key, int64_t *retry_after, struct cx_error *err)
{
        CX_OBJECT *claim = cx_informer_get_key(self->claims, key);
        if (!claim || CLAIM_INFO(claim)->claim.deleted)
                return 0;
        const struct claim_info *info = CLAIM_INFO(claim);
        if (cx_claim_is_bound(&info->claim))
                return info->has && info->claim.storage > info->has ? grow(self, claim, err) : 0;
        return *info->claim.volume ? 0 : serve(self, claim, retry_after, err);
}

// --- taking back -----------------------------------------------------------------------------------------------------

static int let_go(struct provisioner *self, const struct cx_object *volume, struct cx_error *err)
{
        json_auto_t *finalizers = json_array();
        for (size_t i = 0; i < volume->n_finalizers; i++)
                if (strcmp(volume->finalizers[i], PROVISIONER_FINALIZER) != 0)
                        json_array_append_new(finalizers, json_string(volume->finalizers[i]));
        json_auto_t *patch = json_pack("{s:{s:s, s:s, s:O}}", "metadata", "uid", volume->uid, "resourceVersion",
                                       volume->resource_version, "finalizers", finalizers);
        return cx_rest_patch(self->options.rest, CX_REF("", "v1", "persistentvolumes", NULL, volume->name), NULL,
                             CX_PATCH_MERGE, patch, NULL, err);
}

static int take_back(struct provisioner *self, const struct cx_object *volume, struct cx_error *err)
{
        const struct cx_delete_options options = {.grace = -1, .uid = volume->uid};
        int r = folders_remove(self->options.folders, volume->name, err);
        if (r < 0) {
                say(self, volume, "PersistentVolume", "Warning", "VolumeFailedDelete", cx_error_text(err));
                return r;
        }
        if (cx_object_has_finalizer(volume, PROVISIONER_FINALIZER))
                r = let_go(self, volume, err);
        if (r == 0 && !volume->deleted)
                r = cx_rest_delete(self->options.rest, CX_REF("", "v1", "persistentvolumes", NULL, volume->name),
                                   &options, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                return 0;
        }
        if (r < 0 && cx_error_is(err, CX_REASON_CONFLICT)) { // its event comes
                cx_error_release(err);
                return 0;
        }
        if (r == 0)
                cx_info("Removed a volume", "volume", volume->name);
        return r;
}

static int look_at_volume(struct provisioner *self, const char *name, struct cx_error *err)
{
        CX_OBJECT *volume = cx_informer_get_key(self->volumes, name);
        const struct cx_volume *facts = volume && VOLUME_INFO(volume) ? &VOLUME_INFO(volume)->volume : NULL;
        if (!facts)
                return 0;
        bool held = cx_object_has_finalizer(volume, PROVISIONER_FINALIZER);
        bool over = strcmp(facts->phase, "Released") == 0 || strcmp(facts->phase, "Failed") == 0;
        bool wanted = strcmp(facts->reclaim, "Delete") == 0 && over && (held || !volume->deleted);
        bool kept = volume->deleted && held && strcmp(facts->reclaim, "Delete") != 0; // the policy was changed
        if (!wanted && !kept)
                return 0;
        int r = node_volumes_has(self->here, volume, err);
        if (r <= 0)
                return r;
        return wanted ? take_back(self, volume, err) : let_go(self, volume, err);
}

static bool is_wanted(void *context, const char *name)
{
        struct provisioner *self = context;
        CX_OBJECT *volume = cx_informer_get_key(self->volumes, name);
        json_auto_t *there = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        if (volume || !cx_has_prefix(name, "pvc-"))
                return true;
        // The informer may be behind.
        return cx_rest_get(self->options.rest, CX_REF("", "v1", "persistentvolumes", NULL, name), &there, &err) == 0 ||
               !cx_error_is(&err, CX_REASON_NOT_FOUND);
}

// --- life ------------------------------------------------------------------------------------------------------------

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct provisioner *self = context;
        if (strcmp(key, SWEEP) == 0) {
                folders_sweep(self->options.folders, is_wanted, self);
                return 0;
        }
        return cx_has_prefix(key, CLAIM) ? look_at_claim(self, key + strlen(CLAIM), retry_after, err)
                                         : look_at_volume(self, key + strlen(VOLUME), err);
}

static struct cx_informer *follow(struct provisioner *self, const char *group, const char *resource,
                                  void *(*project)(void *context, const json_t *object), void (*release)(void *))
{
        return cx_informers_add(self->options.informers, &(struct cx_informer_options){.ref = {group, "v1", resource},
                                                                                       .drop_bytes = true,
                                                                                       .project = project,
                                                                                       .free_projection = release,
                                                                                       .context = self});
}

struct provisioner *provisioner_new(const struct provisioner_options *options)
{
        struct provisioner *self = cx_alloc(sizeof *self);
        self->options = *options;
        self->queue = cx_workqueue_new("volumes");
        self->here = node_volumes_new(options);
        self->volumes = node_volumes_informer(self->here);
        self->claims = follow(self, "", "persistentvolumeclaims", project_claim, free_claim);
        self->classes = follow(self, "storage.k8s.io", "storageclasses", project_class, free_class);
        cx_informer_on_event(self->claims, on_claim, self);
        cx_informer_on_event(self->volumes, on_volume, self);
        return self;
}

static void *begin(void *context)
{
        struct provisioner *self = context;
        if (cx_informers_wait_synced(self->options.informers, -1, NULL) < 0)
                return NULL;
        cx_workqueue_add(self->queue, SWEEP);
        self->workers = cx_workers_start(self->queue, WORKERS, reconcile, self);
        return NULL;
}

int provisioner_start(struct provisioner *self, struct cx_error *err)
{
        cx_informers_start(self->options.informers);
        if (pthread_create(&self->beginning, NULL, begin, self))
                return cx_error_set(err, -EAGAIN, "cannot start a thread");
        self->started = true;
        return 0;
}

bool provisioner_synced(const struct provisioner *self)
{
        return cx_informer_synced(self->claims) && cx_informer_synced(self->volumes) &&
               cx_informer_synced(self->classes);
}

void provisioner_stop(struct provisioner *self)
{
        cx_informers_cancel_waits(self->options.informers);
        if (self->started)
                pthread_join(self->beginning, NULL);
        if (self->workers)
                cx_workers_stop(self->workers);
        self->workers = NULL;
        self->started = false;
}

void provisioner_free(struct provisioner *self)
{
        if (!self)
                return;
        cx_workqueue_free(self->queue);
        node_volumes_free(self->here);
        free(self);
}
