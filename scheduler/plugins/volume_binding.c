// SPDX-License-Identifier: Apache-2.0
// VolumeBinding: a pod goes where its volumes are, or where they can be had. A claim that is bound says where by its volume's
// node affinity. One that waits for its pod takes a volume that there is, the smallest that suits, or is provided for on
// the node, as far as its class allows and has room there.
//
// What a node would get is promised to the pod when it is reserved, written when the pod is about to be bound, and then waited
// for: the binder and the provisioner do the rest. A provisioner that cannot takes the annotation with the node away again,
// and the pod is scheduled anew.
#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "scheduler/plugins/claims.h"
#include "scheduler/plugins/plugins.h"
#include "scheduler/plugins/terms.h"

struct binding_args {
        int64_t timeout; // ns
};
struct seeking { // a claim that waits for its pod
        const struct cx_object *claim, *class;
        struct cx_objects objects; // volumes of its class
        const struct cx_volume **volumes;
        char *node;   // where it has to be; NULL: anywhere
        char *volume; // what another pod was promised for it
};
struct pod_volumes {
        struct cx_objects bound; // volumes
        LIST(struct seeking, seeking);
        struct cx_strings taken; // volumes that are promised for claims
};

static int parse_args(void *args, const json_t *json, struct cx_error *err CX_UNUSED)
{
        ((struct binding_args *)args)->timeout = cx_json_int(json, "bindTimeoutSeconds", 600) * CX_NS_PER_S;
        return 0;
}

// --- what the pod has ------------------------------------------------------------------------------------------------

static bool belongs_to(const struct cx_object *claim, const char *pod_uid)
{
        const struct cx_object_owner *owner = cx_object_controller(claim);
        return owner && strcmp(owner->uid, pod_uid) == 0;
}

// False when the pod cannot go anywhere as long as the claim is as it is.
static bool is_usable(struct cycle *cycle, const struct wanted_claim *wanted, const struct cx_object *claim)
{
        if (!claim && wanted->owner)
                cycle_refuse(cycle,
                             "waiting for ephemeral volume controller to create the persistentvolumeclaim \"%s\"",
                             wanted->name);
        else if (!claim)
                cycle_refuse(cycle, "persistentvolumeclaim \"%s\" not found", wanted->name);
        else if (CLAIM_OF(claim)->lost)
                cycle_refuse(cycle, "persistentvolumeclaim \"%s\" bound to non-existent persistentvolume \"%s\"",
                             wanted->name, CLAIM_OF(claim)->volume);
        else if (CLAIM_OF(claim)->deleted)
                cycle_refuse(cycle, "persistentvolumeclaim \"%s\" is being deleted", wanted->name);
        else if (wanted->owner && !belongs_to(claim, wanted->owner))
                cycle_refuse(cycle, "PVC %s was not created for the pod (pod is not owner)", claim->key);
        return !cycle->refusal;
}

static void add_seeking(struct cycle *cycle, const struct cx_object *claim, const struct cx_object *class)
{
        struct pod_volumes *state = state_of_cycle(cycle);
        struct volume_cache *volumes = &cycle->cache->volumes;
        const struct cx_claim *facts = CLAIM_OF(claim);
        struct seeking *seeking = LIST_ADD(&state->seeking);
        *seeking = (struct seeking){.claim = cx_object_ref(claim), .class = cx_object_ref(class)};
        if (!volumes_promised(volumes, claim->key, &seeking->node, &seeking->volume) && *facts->selected_node)
                seeking->node = cx_strdup(facts->selected_node);
        volumes_of_class(volumes, facts->class, &seeking->objects);
        seeking->volumes = cx_alloc_array(seeking->objects.count + 1, sizeof *seeking->volumes);
        for (size_t i = 0; i < seeking->objects.count; i++)
                seeking->volumes[i] = VOLUME_OF(seeking->objects.items[i]);
}

// False when the claim should be bound already and is not.
static bool add_claim(struct cycle *cycle, const struct cx_object *claim)
{
        struct pod_volumes *state = state_of_cycle(cycle);
        struct volume_cache *volumes = &cycle->cache->volumes;
        const struct cx_claim *facts = CLAIM_OF(claim);
        if (cx_claim_is_bound(facts)) {
                CX_OBJECT *volume = volumes_get(volumes, STORAGE_VOLUME, facts->volume);
                if (volume) // else VolumeZone speaks of it
                        cx_objects_add(&state->bound, volume);
                return true;
        }
        CX_OBJECT *class = facts->class && *facts->class ? volumes_get(volumes, STORAGE_CLASS, facts->class) : NULL;
        if (*facts->volume || !class || !CLASS_OF(class)->delays)
                return false;
        add_seeking(cycle, claim, class);
        return true;
}

static int compare_seeking(const void *a, const void *b)
{
        const struct cx_claim *x = CLAIM_OF(((const struct seeking *)a)->claim);
        const struct cx_claim *y = CLAIM_OF(((const struct seeking *)b)->claim);
        return x->storage != y->storage ? (x->storage < y->storage ? -1 : 1) : strcmp(x->name, y->name);
}

static bool pre_filter(struct cycle *cycle)
{
        const struct wanted_claims *wanted = state_of_pod(cycle);
        struct pod_volumes *state = state_of_cycle(cycle);
        bool immediate = false;
        for (size_t i = 0; i < wanted->list.count; i++) {
                CX_OBJECT *claim = claims_get(cycle, &wanted->list.items[i]);
                if (!is_usable(cycle, &wanted->list.items[i], claim))
                        return true;
                immediate |= !add_claim(cycle, claim);
        }
        if (immediate)
                cycle_refuse(cycle, "pod has unbound immediate PersistentVolumeClaims");
        if (state->seeking.count) {
                volumes_taken(&cycle->cache->volumes, &state->taken);
                qsort(state->seeking.items, state->seeking.count, sizeof(struct seeking), compare_seeking);
        }
        return immediate || state->bound.count || state->seeking.count;
}

static void free_seeking(struct seeking *seeking)
{
        cx_object_unref(seeking->claim);
        cx_object_unref(seeking->class);
        cx_objects_release(&seeking->objects);
        free(seeking->volumes);
        free(seeking->node);
        free(seeking->volume);
}

static void release_cycle(void *cycle_state)
{
        struct pod_volumes *state = cycle_state;
        cx_objects_release(&state->bound);
        LIST_RELEASE(&state->seeking, free_seeking);
        cx_strings_release(&state->taken);
}

// --- what a node has for it ------------------------------------------------------------------------------------------

#define NOTHING_TO_BIND "node(s) didn't find available persistent volumes to bind"

// Why nothing can be made for the claim on the node; NULL: it can.
static const char *cannot_provide(const struct cycle *cycle, const struct seeking *seeking,
                                  const struct cx_node_facts *facts)
{
        const struct cx_storage_class *class = CLASS_OF(seeking->class);
        if (!*class->provisioner || strcmp(class->provisioner, CX_NO_PROVISIONER) == 0)
                return NOTHING_TO_BIND;
        if (class->has_topologies && !cx_node_terms_match(&class->topologies, facts))
                return NOTHING_TO_BIND;
        if (!volumes_have_room(&cycle->cache->volumes, class->provisioner, seeking->class->name,
                               CLAIM_OF(seeking->claim)->storage, facts))
                return "node(s) did not have enough free storage";
        return NULL;
}

// What another pod was promised for the claim, as far as the node reaches it.
static const struct cx_volume *promised(const struct seeking *seeking, const struct cx_node_facts *facts)
{
        for (size_t i = 0; i < seeking->objects.count; i++)
                if (strcmp(seeking->volumes[i]->name, seeking->volume) == 0 &&
                    cx_volume_is_on(seeking->volumes[i], facts))
                        return seeking->volumes[i];
        return NULL;
}

// The volume that the claim would get on the node, or NULL: one would be made. Otherwise why there is none.
static const char *choose(const struct cycle *cycle, const struct seeking *seeking, const struct node *node,
                          const struct cx_strings *taken, const struct cx_volume **ret_volume)
{
        const struct cx_node_facts facts = terms_node_facts(node);
        *ret_volume = NULL;
        if (seeking->volume) {
                *ret_volume = promised(seeking, &facts);
                return *ret_volume ? NULL : NOTHING_TO_BIND;
        }
        if (seeking->node)
                return strcmp(seeking->node, node->name) == 0 ? cannot_provide(cycle, seeking, &facts)
                                                              : NOTHING_TO_BIND;
        *ret_volume = cx_volume_find(seeking->volumes, seeking->objects.count, CLAIM_OF(seeking->claim), &facts, false,
                                     taken);
        return *ret_volume ? NULL : cannot_provide(cycle, seeking, &facts);
}

// Why the node will not do; NULL: it will. `volumes` (may be NULL) gets what each claim would be given.
static const char *match(const struct cycle *cycle, const struct node *node, const struct cx_volume **volumes)
{
        const struct pod_volumes *state = state_of_cycle(cycle);
        CX_STRINGS taken = CX_STRINGS_INIT;
        for (size_t i = 0; i < state->taken.count; i++)
                cx_strings_add(&taken, state->taken.items[i]);
        for (size_t i = 0; i < state->seeking.count; i++) {
                const struct cx_volume *volume;
                const char *why = choose(cycle, &state->seeking.items[i], node, &taken, &volume);
                if (why)
                        return why;
                if (volume)
                        cx_strings_add(&taken, volume->name);
                if (volumes)
                        volumes[i] = volume;
        }
        return NULL;
}

static bool filter(struct cycle *cycle, const struct node *node)
{
        const struct pod_volumes *state = state_of_cycle(cycle);
        const struct cx_node_facts facts = terms_node_facts(node);
        bool reached = true;
        for (size_t i = 0; i < state->bound.count && reached; i++)
                reached = cx_volume_is_on(VOLUME_OF(state->bound.items[i]), &facts);
        if (!reached)
                cycle_reject_for_good(cycle, "node(s) had volume node affinity conflict");
        const char *why = match(cycle, node, NULL);
        if (why)
                cycle_reject_for_good(cycle, why);
        return reached && !why;
}

// --- on the way to the node ------------------------------------------------------------------------------------------

struct reserved_claim {
        const struct cx_object *claim, *volume; // volume NULL: one is made
        struct promise *promise;
        int64_t written; // the version of the claim that names the node
};
struct reserved_volumes {
        struct volume_cache *volumes;
        const struct cx_object *node;
        int64_t timeout;
        LIST(struct reserved_claim, list);
        struct cx_buf why; // what went wrong with a claim
};

static const struct cx_object *object_of(const struct seeking *seeking, const struct cx_volume *volume)
{
        size_t i = 0;
        while (seeking->volumes[i] != volume)
                i++;
        return cx_object_ref(seeking->objects.items[i]);
}

static int reserve(struct cycle *cycle, const struct node *node, void **ret_reservation, struct cx_error *err)
{
        const struct pod_volumes *state = state_of_cycle(cycle);
        if (!state->seeking.count)
                return 0;
        CX_CLEANUP(cx_freep) const struct cx_volume **chosen = cx_alloc_array(state->seeking.count, sizeof *chosen);
        const char *why = match(cycle, node, chosen);
        if (why)
                return cx_error_set(err, -ENOSPC, "%s", why);
        struct reserved_volumes *reserved = cx_alloc(sizeof *reserved);
        reserved->volumes = &cycle->cache->volumes;
        reserved->timeout = ((const struct binding_args *)args_of_plugin(cycle))->timeout;
        reserved->node = cx_object_ref(node->object);
        reserved->why = (struct cx_buf)CX_BUF_INIT;
        for (size_t i = 0; i < state->seeking.count; i++) {
                const struct seeking *seeking = &state->seeking.items[i];
                const char *volume = chosen[i] ? chosen[i]->name : NULL;
                *LIST_ADD(&reserved->list) = (struct reserved_claim){
                        .claim = cx_object_ref(seeking->claim),
                        .volume = volume ? object_of(seeking, chosen[i]) : NULL,
                        .promise = volumes_promise(reserved->volumes, seeking->claim->key, node->name, volume)};
        }
        *ret_reservation = reserved;
        return 0;
}

static void release(void *reservation)
{
        struct reserved_volumes *reserved = reservation;
        for (size_t i = 0; i < reserved->list.count; i++) {
                struct reserved_claim *item = &reserved->list.items[i];
                volumes_unpromise(reserved->volumes, item->promise);
                cx_object_unref(item->claim);
                if (item->volume)
                        cx_object_unref(item->volume);
        }
        free(reserved->list.items);
        cx_object_unref(reserved->node);
        cx_buf_release(&reserved->why);
        free(reserved);
}

static int give_volume(const struct placement *placement, const struct reserved_claim *item, struct cx_error *err)
{
        const struct cx_object *claim = item->claim;
        const struct cx_volume *volume = VOLUME_OF(item->volume);
        if (strcmp(volume->claim_uid, claim->uid) == 0)
                return 0;
        json_auto_t *patch =
                json_pack("{s:{s:s, s:s}, s:{s:{s:s, s:s, s:s, s:s, s:s, s:s}}}", "metadata", "uid", item->volume->uid,
                          "resourceVersion", item->volume->resource_version, "spec", "claimRef", "kind",
                          "PersistentVolumeClaim", "apiVersion", "v1", "namespace", claim->namespace, "name",
                          claim->name, "uid", claim->uid, "resourceVersion", claim->resource_version);
        if (!volume->has_claim)
                json_object_set_new(json_object_get(patch, "metadata"), "annotations",
                                    json_pack("{s:s}", CX_BOUND_BY_CONTROLLER, "yes"));
        const struct cx_ref ref = {"", "v1", "persistentvolumes", NULL, item->volume->name};
        return cx_rest_patch(placement->rest, &ref, NULL, CX_PATCH_MERGE, patch, NULL, err);
}

static int64_t version_of(const char *text)
{
        return strtoll(text, NULL, 10); // our API server's versions are numbers
}

// `node` NULL: none.
static int write_node(struct cx_rest *rest, const struct cx_object *claim, const char *node, json_t **ret_claim,
                      struct cx_error *err)
{
        json_auto_t *patch = json_pack("{s:{s:s, s:s, s:{s:s?}}}", "metadata", "uid", claim->uid, "resourceVersion",
                                       claim->resource_version, "annotations", CX_SELECTED_NODE, node);
        const struct cx_ref ref = {"", "v1", "persistentvolumeclaims", claim->namespace, claim->name};
        return cx_rest_patch(rest, &ref, NULL, CX_PATCH_MERGE, patch, ret_claim, err);
}

static int name_node(const struct placement *placement, struct reserved_claim *item, struct cx_error *err)
{
        const struct cx_object *claim = item->claim;
        item->written = version_of(claim->resource_version);
        if (strcmp(CLAIM_OF(claim)->selected_node, placement->node) == 0)
                return 0;
        json_auto_t *answer = NULL;
        int r = write_node(placement->rest, claim, placement->node, &answer, err);
        if (r == 0)
                item->written = version_of(cx_json_string_or(answer, "metadata.resourceVersion", ""));
        return r;
}

static int bound_well(const struct reserved_volumes *reserved, const struct cx_claim *claim)
{
        const struct cx_object *volume = volumes_peek(reserved->volumes, STORAGE_VOLUME, claim->volume);
        const struct cx_node_facts facts = {.name = reserved->node->name,
                                            .label = (const char *(*)(void *, const char *))cx_object_label,
                                            .node = (void *)reserved->node};
        if (!volume)
                return 0; // it is about to be shown
        if (cx_volume_is_on(VOLUME_OF(volume), &facts))
                return 1;
        cx_buf_printf((struct cx_buf *)&reserved->why, "pv \"%s\" node affinity doesn't match node \"%s\"",
                      claim->volume, reserved->node->name);
        return -EINVAL;
}

// 1 when the claim has its volume, 0 as long as it may still come.
static int look_at(struct reserved_volumes *reserved, const struct reserved_claim *item)
{
        const struct cx_object *now = volumes_peek(reserved->volumes, STORAGE_CLAIM, item->claim->key);
        if (!now || strcmp(now->uid, item->claim->uid) != 0 || CLAIM_OF(now)->deleted) {
                cx_buf_printf(&reserved->why, "persistentvolumeclaim \"%s\" is gone", item->claim->name);
                return -ENOENT;
        }
        if (cx_claim_is_bound(CLAIM_OF(now)))
                return bound_well(reserved, CLAIM_OF(now));
        if (item->volume || version_of(now->resource_version) < item->written ||
            strcmp(CLAIM_OF(now)->selected_node, reserved->node->name) == 0)
                return 0;
        cx_buf_printf(&reserved->why, "provisioning failed for PVC \"%s\"", item->claim->name);
        return -EIO;
}

static int all_bound(struct volume_cache *volumes CX_UNUSED, void *context)
{
        struct reserved_volumes *reserved = context;
        int all = 1;
        for (size_t i = 0; i < reserved->list.count; i++) {
                int one = look_at(reserved, &reserved->list.items[i]);
                if (one < 0)
                        return one;
                all = one ? all : 0;
        }
        return all;
}

// Nobody made the volumes in time: another node may do better. What changed meanwhile stays as it is.
static void take_back_node(const struct placement *placement, const struct reserved_volumes *reserved)
{
        for (size_t i = 0; i < reserved->list.count; i++) {
                const struct reserved_claim *item = &reserved->list.items[i];
                CX_OBJECT *claim = volumes_get(reserved->volumes, STORAGE_CLAIM, item->claim->key);
                if (item->volume || !claim || cx_claim_is_bound(CLAIM_OF(claim)) ||
                    strcmp(CLAIM_OF(claim)->selected_node, placement->node) != 0)
                        continue;
                CX_ERROR err = CX_ERROR_INIT;
                if (write_node(placement->rest, claim, NULL, NULL, &err) < 0)
                        cx_debug(2, "Cannot take the node from a claim", "claim", claim->key, "err",
                                 cx_error_text(&err));
        }
}

static int pre_bind(const struct placement *placement, void *reservation, struct cx_error *err)
{
        struct reserved_volumes *reserved = reservation;
        for (size_t i = 0; i < reserved->list.count; i++) {
                struct reserved_claim *item = &reserved->list.items[i];
                int r = item->volume ? give_volume(placement, item, err) : name_node(placement, item, err);
                if (r < 0)
                        return r;
        }
        int r = volumes_wait(reserved->volumes, placement->pod->uid, cx_time_monotonic() + reserved->timeout, all_bound,
                             reserved);
        if (r > 0)
                return 0;
        if (r == -ETIMEDOUT)
                take_back_node(placement, reserved);
        return cx_error_set(err, r, "binding volumes: %s",
                            r == -ETIMEDOUT   ? "context deadline exceeded"
                            : r == -ECANCELED ? "the pod does not exist any more"
                                              : reserved->why.data);
}

const struct plugin volume_binding_plugin = {
        .name = "VolumeBinding",
        .events = EVENT_NODE | EVENT_NODE_LABELS | EVENT_NODE_TAINTS | EVENT_CLAIM | EVENT_VOLUME | EVENT_CLASS |
                  EVENT_CSI_NODE | EVENT_CSI_DRIVER | EVENT_CSI_CAPACITY,
        .args_size = sizeof(struct binding_args),
        .parse_args = parse_args,
        .fields = claims_fields,
        .pod_size = sizeof(struct wanted_claims),
        .parse = claims_parse,
        .release_pod = claims_release,
        .concerns = claims_concern,
        .cycle_size = sizeof(struct pod_volumes),
        .release_cycle = release_cycle,
        .pre_filter = pre_filter,
        .filter = filter,
        .reserve = reserve,
        .pre_bind = pre_bind,
        .unreserve = release,
        .post_bind = release,
};
