// SPDX-License-Identifier: Apache-2.0
// The attachdetach-controller: a CSI volume that has to be attached is attached to the nodes whose pods use it, by a
// VolumeAttachment, which the driver's attacher works on; and detached when no pod does and the node has unmounted it.
//
// A key is a volume: all its attachments are decided together. What nodes are told (status.volumesAttached) is written under a
// lock, as a whole, from what is attached; a volume leaves that list before it is detached, so that no kubelet mounts it then.
#include "controller-manager/storage/attach_plan.h"
#include "controller-manager/storage/binder.h"
#include "controller-manager/storage/pod_claims.h"
#include "libcommon/net/pki.h"

#include <pthread.h>

#define GROUP "storage.k8s.io"
#define UNIQUE "kubernetes.io/csi/"
#define INDEX_VOLUME "volume of a bound claim"
#define INDEX_ATTACHED "volume of an attachment"
#define INDEX_ON_NODE "node of an attachment"

struct attacher {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_events *events;
        struct cx_informer *pods, *claims, *volumes, *attachments, *nodes, *drivers, *csi_nodes;
        pthread_mutex_t lock;     // guards what follows, and is held while a node is told
        struct cx_map detaching;  // names of attachments that go
        struct cx_map unwanted;   // name -> int64_t *: since when (monotonic)
        struct cx_map multi_said; // "volume node": a refusal that was said
};

// --- following -------------------------------------------------------------------------------------------------------

struct attachment_info {
        char *driver, *node, *volume, *error;
        bool attached;
};
struct attacher_node {
        struct cx_strings in_use, attached; // as it says, and as it was told
        bool ready, out_of_service;
};
struct claim_volume {
        char *volume; // of a bound claim; ""
};

static void take_attachment(void *part, const json_t *json)
{
        *(struct attachment_info *)part = (struct attachment_info){
                .driver = cx_strdup(cx_json_string_or(json, "spec.attacher", "")),
                .node = cx_strdup(cx_json_string_or(json, "spec.nodeName", "")),
                .volume = cx_strdup(cx_json_string_or(json, "spec.source.persistentVolumeName", "")),
                .error = cx_strdup(cx_json_string_or(json, "status.attachError.message", "")),
                .attached = cx_json_bool(json, "status.attached", false)};
}

static void release_attachment(void *part)
{
        struct attachment_info *info = part;
        free(info->driver);
        free(info->node);
        free(info->volume);
        free(info->error);
}

static void take_node(void *part, const json_t *node)
{
        struct attacher_node *to = part;
        size_t i;
        json_t *item;
        json_array_foreach (cx_json_get(node, "status.volumesInUse"), i, item)
                cx_strings_add(&to->in_use, cx_str(json_string_value(item)));
        json_array_foreach (cx_json_get(node, "status.volumesAttached"), i, item)
                cx_strings_add(&to->attached, cx_json_string_or(item, "name", ""));
        cx_strings_sort(&to->in_use);
        cx_strings_sort(&to->attached);
        to->ready = condition_is(node, "Ready", "True");
        to->out_of_service = cx_json_find(cx_json_get(node, "spec.taints"), "key", "node.kubernetes.io/out-of-service");
}

static void release_node(void *part)
{
        cx_strings_release(&((struct attacher_node *)part)->in_use);
        cx_strings_release(&((struct attacher_node *)part)->attached);
}

static void take_claim(void *part, const json_t *claim)
{
        const json_t *annotations = cx_json_get(claim, "metadata.annotations");
        ((struct claim_volume *)part)->volume = cx_strdup(
                json_object_get(annotations, CX_BIND_COMPLETED) ? cx_json_string_or(claim, "spec.volumeName", "") : "");
}

static void release_claim(void *part)
{
        free(((struct claim_volume *)part)->volume);
}

static void take_driver(void *part, const json_t *driver)
{
        *(bool *)part = cx_json_bool(driver, "spec.attachRequired", true);
}

static void take_csi_node(void *part, const json_t *node)
{
        size_t i;
        json_t *driver;
        json_array_foreach (cx_json_get(node, "spec.drivers"), i, driver)
                cx_strings_add(part, cx_json_string_or(driver, "name", ""));
}

static void release_names(void *part)
{
        cx_strings_release(part);
}

static const struct object_part attachment_part = {sizeof(struct attachment_info), take_attachment, release_attachment};
static const struct object_part attacher_node_part = {sizeof(struct attacher_node), take_node, release_node};
static const struct object_part claim_volume_part = {sizeof(struct claim_volume), take_claim, release_claim};
static const struct object_part attach_required_part = {sizeof(bool), take_driver, NULL};
static const struct object_part node_drivers_part = {sizeof(struct cx_strings), take_csi_node, release_names};
#define ATTACHMENT(object) ((const struct attachment_info *)object_part(object, &attachment_part))
#define NODE_OF(object) ((const struct attacher_node *)object_part(object, &attacher_node_part))
#define CLAIM_VOLUME(object) (((const struct claim_volume *)object_part(object, &claim_volume_part))->volume)

static void on_pod(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct attacher *self = context;
        const struct cx_object *pod = now ? now : old;
        const struct cx_strings *names = pod_claims(pod);
        for (size_t i = 0; i < names->count && POD_STATE(pod)->node; i++) {
                CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s/%s", pod->namespace, names->items[i]);
                CX_OBJECT *claim = cx_informer_get_key(self->claims, key);
                if (claim && *CLAIM_VOLUME(claim))
                        cx_workqueue_add(self->queue, CLAIM_VOLUME(claim));
        }
}

static void on_claim(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct attacher *self = context;
        if (old && *CLAIM_VOLUME(old))
                cx_workqueue_add(self->queue, CLAIM_VOLUME(old));
        if (now && *CLAIM_VOLUME(now))
                cx_workqueue_add(self->queue, CLAIM_VOLUME(now));
}

static void on_attachment(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct attacher *self = context;
        const char *volume = ATTACHMENT(now ? now : old)->volume;
        if (*volume)
                cx_workqueue_add(self->queue, volume);
}

static void add_volumes_of(struct attacher *self, const char *node)
{
        CX_OBJECTS found = CX_OBJECTS_INIT;
        cx_informer_by_index(self->attachments, INDEX_ON_NODE, node, &found);
        for (size_t i = 0; i < found.count; i++)
                cx_workqueue_add(self->queue, ATTACHMENT(found.items[i])->volume);
}

static bool same_names(const struct cx_strings *a, const struct cx_strings *b)
{
        for (size_t i = 0; a->count == b->count && i < a->count; i++)
                if (strcmp(a->items[i], b->items[i]) != 0)
                        return false;
        return a->count == b->count;
}

static bool same_node(const struct attacher_node *a, const struct attacher_node *b)
{
        return a->ready == b->ready && a->out_of_service == b->out_of_service && same_names(&a->in_use, &b->in_use) &&
               same_names(&a->attached, &b->attached);
}

// Most of what nodes say changes nothing here.
static void on_node(void *context, const struct cx_object *old, const struct cx_object *now)
{
        const struct cx_object *node = now ? now : old;
        if (node && !(old && now && same_node(NODE_OF(old), NODE_OF(now))))
                add_volumes_of(context, node->name);
}

static void on_driver(void *context, const struct cx_object *old CX_UNUSED, const struct cx_object *now CX_UNUSED)
{
        struct attacher *self = context;
        CX_OBJECTS all = CX_OBJECTS_INIT;
        cx_informer_list(self->volumes, NULL, &all);
        for (size_t i = 0; i < all.count; i++)
                if (*((const struct cx_volume *)object_part(all.items[i], &volume_part))->driver)
                        cx_workqueue_add(self->queue, all.items[i]->name);
}

static void index_claim(void *context CX_UNUSED, const struct cx_object *claim, struct cx_strings *ret_keys)
{
        if (*CLAIM_VOLUME(claim))
                cx_strings_add(ret_keys, CLAIM_VOLUME(claim));
}

static void index_attached(void *context CX_UNUSED, const struct cx_object *attachment, struct cx_strings *ret_keys)
{
        if (*ATTACHMENT(attachment)->volume)
                cx_strings_add(ret_keys, ATTACHMENT(attachment)->volume);
}

static void index_on_node(void *context CX_UNUSED, const struct cx_object *attachment, struct cx_strings *ret_keys)
{
        cx_strings_add(ret_keys, ATTACHMENT(attachment)->node);
}

// --- what nodes are told ---------------------------------------------------------------------------------------------

static char *unique_name(const struct attacher *self, const struct attachment_info *attachment)
{
        CX_OBJECT *volume = cx_informer_get_key(self->volumes, attachment->volume);
        return volume ? cx_sprintf(UNIQUE "%s^%s", attachment->driver,
                                   ((const struct cx_volume *)object_part(volume, &volume_part))->handle)
                      : NULL;
}

static void list_attached(const struct attacher *self, const char *node, struct cx_strings *ret_names)
{
        CX_OBJECTS found = CX_OBJECTS_INIT;
        cx_informer_by_index(self->attachments, INDEX_ON_NODE, node, &found);
        for (size_t i = 0; i < found.count; i++) {
                const struct attachment_info *info = ATTACHMENT(found.items[i]);
                CX_CLEANUP(cx_freep) char *name = unique_name(self, info);
                if (name && info->attached && !found.items[i]->deleted &&
                    !cx_map_has(&self->detaching, found.items[i]->name))
                        cx_strings_add(ret_names, name);
        }
        cx_strings_sort(ret_names);
}

// Under the lock. `sure`: also when the node, as the informer has it, was told so already.
static int tell_node(struct attacher *self, const char *name, bool sure, struct cx_error *err)
{
        CX_OBJECT *node = cx_informer_get_key(self->nodes, name);
        CX_STRINGS names = CX_STRINGS_INIT;
        list_attached(self, name, &names);
        if (!node || (!sure && same_names(&names, &NODE_OF(node)->attached)))
                return 0;
        json_t *list = json_array();
        for (size_t i = 0; i < names.count; i++)
                json_array_append_new(list, json_pack("{s:s, s:s}", "name", names.items[i], "devicePath", ""));
        json_auto_t *patch = json_pack("{s:{s:o}}", "status", "volumesAttached", list);
        int r = cx_rest_patch(self->manager->rest, CX_REF("", "v1", "nodes", NULL, name), "status", CX_PATCH_MERGE,
                              patch, NULL, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                return 0;
        }
        return r;
}

// --- one volume ------------------------------------------------------------------------------------------------------

struct attached_volume {
        const struct cx_object *object;
        const struct cx_volume *volume;
        struct cx_objects pods;        // those on nodes that use it
        struct cx_objects attachments; // those that there are
};

static bool is_attachable(const struct attacher *self, const struct cx_volume *volume)
{
        CX_OBJECT *driver = *volume->driver ? cx_informer_get_key(self->drivers, volume->driver) : NULL;
        return *volume->driver && (!driver || *(const bool *)object_part(driver, &attach_required_part));
}

static void find_pods(const struct attacher *self, const char *volume, struct cx_objects *ret_pods)
{
        CX_OBJECTS claims = CX_OBJECTS_INIT;
        cx_informer_by_index(self->claims, INDEX_VOLUME, volume, &claims);
        for (size_t i = 0; i < claims.count; i++) {
                CX_OBJECTS pods = CX_OBJECTS_INIT;
                cx_informer_by_index(self->pods, POD_INDEX_CLAIM, claims.items[i]->key, &pods);
                for (size_t j = 0; j < pods.count; j++)
                        if (POD_STATE(pods.items[j])->node && !pod_is_terminal(pods.items[j]))
                                cx_objects_add(ret_pods, pods.items[j]);
        }
}

static bool uses(const struct attached_volume *subject, const char *node)
{
        for (size_t i = 0; i < subject->pods.count; i++)
                if (strcmp(POD_STATE(subject->pods.items[i])->node, node) == 0)
                        return true;
        return false;
}

static const struct cx_object *attachment_on(const struct attached_volume *subject, const char *node)
{
        for (size_t i = 0; i < subject->attachments.count; i++)
                if (strcmp(ATTACHMENT(subject->attachments.items[i])->node, node) == 0)
                        return subject->attachments.items[i];
        return NULL;
}

static void say_to_pods(struct attacher *self, const struct attached_volume *subject, const char *node,
                        const char *type, const char *reason, const char *text)
{
        for (size_t i = 0; i < subject->pods.count; i++)
                if (strcmp(POD_STATE(subject->pods.items[i])->node, node) == 0)
                        cx_event_object(self->events, "v1", "Pod", subject->pods.items[i], type, reason, "%s", text);
}

static void fail_attach(struct attacher *self, const struct attached_volume *subject, const char *node, const char *why)
{
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("AttachVolume.Attach failed for volume \"%s\" : %s", subject->object->name, why);
        say_to_pods(self, subject, node, "Warning", "FailedAttachVolume", text);
}

// The volume is elsewhere, and may be on one node only: said once for each node.
static void refuse(struct attacher *self, const struct attached_volume *subject, const char *node)
{
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s %s", subject->object->name, node);
        CX_STRINGS users = CX_STRINGS_INIT;
        pthread_mutex_lock(&self->lock);
        bool said = cx_map_has(&self->multi_said, key);
        cx_map_set(&self->multi_said, key, self);
        pthread_mutex_unlock(&self->lock);
        if (said)
                return;
        for (size_t i = 0; i < subject->pods.count; i++)
                if (strcmp(POD_STATE(subject->pods.items[i])->node, node) != 0)
                        cx_strings_add(&users, subject->pods.items[i]->name);
        CX_CLEANUP(cx_freep) char *names = cx_strings_join(&users, ", ");
        CX_CLEANUP(cx_freep)
        char *text = users.count
                             ? cx_sprintf("Multi-Attach error for volume \"%s\" Volume is already used by pod(s) %s",
                                          subject->object->name, names)
                             : cx_sprintf("Multi-Attach error for volume \"%s\" Volume is already exclusively "
                                          "attached to one node and can't be attached to another",
                                          subject->object->name);
        say_to_pods(self, subject, node, "Warning", "FailedAttachVolume", text);
}

static void forget_refusal(struct attacher *self, const char *volume, const char *node)
{
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s %s", volume, node);
        pthread_mutex_lock(&self->lock);
        cx_map_remove(&self->multi_said, key);
        pthread_mutex_unlock(&self->lock);
}

static void forget_volume(struct attacher *self, const char *volume)
{
        size_t length = strlen(volume);
        pthread_mutex_lock(&self->lock);
        CX_MAP_FOREACH (&self->multi_said, entry) {
                if (strncmp(entry->key, volume, length) == 0 && entry->key[length] == ' ') {
                        CX_CLEANUP(cx_freep) char *key = cx_strdup(entry->key);
                        cx_map_remove(&self->multi_said, key);
                }
        }
        pthread_mutex_unlock(&self->lock);
}

static bool lists_driver(const struct attacher *self, const char *node, const char *driver)
{
        CX_OBJECT *csi_node = cx_informer_get_key(self->csi_nodes, node);
        return csi_node && cx_strings_has(object_part(csi_node, &node_drivers_part), driver);
}

static int attach(struct attacher *self, const struct attached_volume *subject, const char *node, struct cx_error *err)
{
        const struct cx_volume *volume = subject->volume;
        if (is_for_one_node(volume->access) && subject->attachments.count) {
                refuse(self, subject, node);
                return 0;
        }
        forget_refusal(self, volume->name, node);
        if (!lists_driver(self, node, volume->driver)) {
                CX_CLEANUP(cx_freep)
                char *why = cx_sprintf("CSINode %s does not contain driver %s", node, volume->driver);
                fail_attach(self, subject, node, why);
                return cx_error_set(err, -EAGAIN, "%s", why);
        }
        CX_CLEANUP(cx_freep) char *all = cx_sprintf("%s%s%s", volume->handle, volume->driver, node);
        char hash[65];
        cx_sha256_hex(all, strlen(all), hash);
        CX_CLEANUP(cx_freep) char *name = cx_sprintf("csi-%s", hash);
        json_auto_t *attachment =
                json_pack("{s:s, s:s, s:{s:s}, s:{s:s, s:s, s:{s:s}}}", "apiVersion", GROUP "/v1", "kind",
                          "VolumeAttachment", "metadata", "name", name, "spec", "attacher", volume->driver, "nodeName",
                          node, "source", "persistentVolumeName", volume->name);
        int r = cx_rest_create(self->manager->rest, CX_REF(GROUP, "v1", "volumeattachments"), attachment, NULL, err);
        if (r < 0 && cx_error_is(err, CX_REASON_ALREADY_EXISTS)) { // the informer is behind, or one is going
                cx_error_release(err);
                return 0;
        }
        return r;
}

static int64_t unwanted_for(struct attacher *self, const char *name, bool wanted)
{
        int64_t now = cx_time_monotonic();
        pthread_mutex_lock(&self->lock);
        int64_t *since = wanted ? NULL : cx_map_get(&self->unwanted, name);
        if (wanted) {
                cx_map_remove(&self->unwanted, name);
        } else if (!since) {
                since = cx_alloc(sizeof *since);
                *since = now;
                cx_map_set(&self->unwanted, name, since);
        }
        int64_t passed = since ? now - *since : 0;
        pthread_mutex_unlock(&self->lock);
        return passed;
}

static int detach(struct attacher *self, const struct cx_object *attachment, struct cx_error *err)
{
        const struct cx_delete_options options = {.grace = -1, .uid = attachment->uid};
        pthread_mutex_lock(&self->lock);
        cx_map_set(&self->detaching, attachment->name, self);
        int r = tell_node(self, ATTACHMENT(attachment)->node, true, err);
        pthread_mutex_unlock(&self->lock);
        if (r == 0)
                r = cx_rest_delete(self->manager->rest,
                                   CX_REF(GROUP, "v1", "volumeattachments", NULL, attachment->name), &options, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                return 0;
        }
        return r;
}

static int look_at(struct attacher *self, const struct attached_volume *subject, const struct cx_object *attachment,
                   int64_t *retry_after, struct cx_error *err)
{
        const struct attachment_info *info = ATTACHMENT(attachment);
        CX_OBJECT *node = cx_informer_get_key(self->nodes, info->node);
        CX_CLEANUP(cx_freep) char *unique = unique_name(self, info);
        struct attachment_facts facts = {
                .wanted = uses(subject, info->node),
                .mounted = node && unique && cx_strings_has(&NODE_OF(node)->in_use, unique),
                .node_ready = node && NODE_OF(node)->ready,
                .out_of_service = node && NODE_OF(node)->out_of_service,
        };
        facts.unwanted = unwanted_for(self, attachment->name, facts.wanted);
        if (attachment->deleted)
                return 0;
        switch (plan_detach(&facts)) {
        case DETACH_NOW:
                return detach(self, attachment, err);
        case DETACH_WAITS:
                *retry_after = facts.unwanted < FORCED_DETACH_NS ? FORCED_DETACH_NS - facts.unwanted : CX_NS_PER_S;
                return 0;
        default:
                break;
        }
        if (*info->error && !info->attached)
                fail_attach(self, subject, info->node, info->error);
        pthread_mutex_lock(&self->lock);
        bool new = node && info->attached &&unique && !cx_strings_has(&NODE_OF(node)->attached, unique);
        cx_map_remove(&self->detaching, attachment->name);
        int r = tell_node(self, info->node, false, err);
        pthread_mutex_unlock(&self->lock);
        if (r == 0 && new) {
                CX_CLEANUP(cx_freep)
                char *text = cx_sprintf("AttachVolume.Attach succeeded for volume \"%s\" ", subject->object->name);
                say_to_pods(self, subject, info->node, "Normal", "SuccessfulAttachVolume", text);
        }
        return r;
}

static int reconcile_subject(struct attacher *self, const struct attached_volume *subject, int64_t *retry_after,
                             struct cx_error *err)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < subject->attachments.count; i++)
                r = look_at(self, subject, subject->attachments.items[i], retry_after, err);
        for (size_t i = 0; r == 0 && subject->volume && i < subject->pods.count; i++) {
                const char *node = POD_STATE(subject->pods.items[i])->node;
                bool seen = attachment_on(subject, node) || !is_attachable(self, subject->volume);
                for (size_t j = 0; j < i && !seen; j++) // another pod of the node
                        seen = strcmp(POD_STATE(subject->pods.items[j])->node, node) == 0;
                if (!seen)
                        r = attach(self, subject, node, err);
        }
        return r;
}

// What is remembered of attachments that are gone.
static void forget_gone(struct attacher *self, struct cx_map *map)
{
        pthread_mutex_lock(&self->lock);
        CX_MAP_FOREACH (map, entry) {
                CX_OBJECT *there = cx_informer_get_key(self->attachments, entry->key);
                if (!there) {
                        CX_CLEANUP(cx_freep) char *key = cx_strdup(entry->key);
                        cx_map_remove(map, key);
                }
        }
        pthread_mutex_unlock(&self->lock);
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct attacher *self = context;
        CX_OBJECT *object = cx_informer_get_key(self->volumes, key);
        struct attached_volume subject = {.object = object};
        if (object)
                subject.volume = object_part(object, &volume_part);
        else
                forget_volume(self, key);
        find_pods(self, key, &subject.pods);
        cx_informer_by_index(self->attachments, INDEX_ATTACHED, key, &subject.attachments);
        forget_gone(self, &self->detaching);
        forget_gone(self, &self->unwanted);
        // A volume that is gone is not attached by us; who detaches it needs it no more.
        int r = object ? reconcile_subject(self, &subject, retry_after, err) : 0;
        cx_objects_release(&subject.pods);
        cx_objects_release(&subject.attachments);
        return r;
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct attacher *self = cx_alloc(sizeof *self);
        *self = (struct attacher){
                .manager = manager,
                .queue = queue,
                .events = manager_recorder(manager, "attachdetach-controller"),
                .pods = pods_by_claim(manager),
                .claims = manager_part_informer(manager, "", "persistentvolumeclaims", &claim_volume_part),
                .volumes = manager_part_informer(manager, "", "persistentvolumes", &volume_part),
                .attachments = manager_part_informer(manager, GROUP, "volumeattachments", &attachment_part),
                .nodes = manager_part_informer(manager, "", "nodes", &attacher_node_part),
                .drivers = manager_part_informer(manager, GROUP, "csidrivers", &attach_required_part),
                .csi_nodes = manager_part_informer(manager, GROUP, "csinodes", &node_drivers_part),
                .unwanted = CX_MAP_INIT_FREE(free)};
        pthread_mutex_init(&self->lock, NULL);
        cx_informer_add_index(self->claims, INDEX_VOLUME, index_claim, NULL);
        cx_informer_add_index(self->attachments, INDEX_ATTACHED, index_attached, NULL);
        cx_informer_add_index(self->attachments, INDEX_ON_NODE, index_on_node, NULL);
        cx_informer_on_event(self->pods, on_pod, self);
        cx_informer_on_event(self->claims, on_claim, self);
        cx_informer_on_event(self->attachments, on_attachment, self);
        cx_informer_on_event(self->nodes, on_node, self);
        cx_informer_on_event(self->drivers, on_driver, self);
        cx_informer_on_event(self->csi_nodes, on_driver, self);
        return self;
}

static void release(void *context)
{
        struct attacher *self = context;
        cx_map_release(&self->detaching);
        cx_map_release(&self->unwanted);
        cx_map_release(&self->multi_said);
        pthread_mutex_destroy(&self->lock);
        free(self);
}

const struct controller attach_detach_controller = {.name = "persistentvolume-attach-detach-controller",
                                                    .account = "attachdetach-controller",
                                                    .workers = 4,
                                                    .init = init,
                                                    .reconcile = reconcile,
                                                    .free = release};
