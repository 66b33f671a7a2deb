// SPDX-License-Identifier: Apache-2.0
// The rules are upstream's (component-helpers/storage/volume): a volume that is larger than needed suits, the smallest such is
// taken.
#include "libcommon/api/storage.h"

#include "libcommon/api/quantity.h"
#include "libcommon/base/alloc.h"
#include "libcommon/format/json.h"

#include <string.h>

#define IS_DEFAULT "storageclass.kubernetes.io/is-default-class"

static char *text(const json_t *object, const char *path)
{
        return cx_strdup(cx_json_string_or(object, path, ""));
}

static char *annotation(const json_t *object, const char *name)
{
        const json_t *annotations = cx_json_get(object, "metadata.annotations");
        return cx_strdup(cx_str(json_string_value(json_object_get(annotations, name))));
}

static bool has_annotation(const json_t *object, const char *name)
{
        return json_object_get(cx_json_get(object, "metadata.annotations"), name);
}

static unsigned access_of(const json_t *modes)
{
        static const char *const names[] = {"ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"};
        unsigned access = 0;
        for (size_t i = 0; i < json_array_size(modes); i++)
                for (unsigned n = 0; n < CX_ARRAY_SIZE(names); n++)
                        if (cx_streq(json_string_value(json_array_get(modes, i)), names[n]))
                                access |= 1U << n;
        return access;
}

static int64_t bytes_of(const json_t *quantity)
{
        return quantity ? cx_quantity_value_of(quantity) : 0;
}

void cx_claim_parse(const json_t *claim, struct cx_claim *to)
{
        const json_t *spec = json_object_get(claim, "spec");
        const char *class = cx_json_string(spec, "storageClassName");
        *to = (struct cx_claim){.namespace = text(claim, "metadata.namespace"),
                                .name = text(claim, "metadata.name"),
                                .uid = text(claim, "metadata.uid"),
                                .class = class ? cx_strdup(class) : NULL,
                                .volume = text(spec, "volumeName"),
                                .attributes_class = text(spec, "volumeAttributesClassName"),
                                .selected_node = annotation(claim, CX_SELECTED_NODE),
                                .access = access_of(json_object_get(spec, "accessModes")),
                                .storage = bytes_of(cx_json_get(spec, "resources.requests.storage")),
                                .block = cx_streq(cx_json_string(spec, "volumeMode"), "Block"),
                                .bind_completed = has_annotation(claim, CX_BIND_COMPLETED),
                                .bound_by_controller = has_annotation(claim, CX_BOUND_BY_CONTROLLER),
                                .deleted = cx_json_string(claim, "metadata.deletionTimestamp"),
                                .lost = cx_streq(cx_json_string(claim, "status.phase"), "Lost")};
        const json_t *selector = json_object_get(spec, "selector");
        if (selector && cx_selector_from_json(selector, &to->selector, NULL) < 0)
                to->selector = (struct cx_selector){.nothing = true};
}

void cx_claim_release(struct cx_claim *claim)
{
        char *const texts[] = {claim->namespace,        claim->name,         claim->uid, claim->class, claim->volume,
                               claim->attributes_class, claim->selected_node};
        for (size_t i = 0; i < CX_ARRAY_SIZE(texts); i++)
                free(texts[i]);
        cx_selector_release(&claim->selector);
}

char *cx_ephemeral_claim_name(const char *pod, const char *volume)
{
        return cx_sprintf("%s-%s", pod, volume);
}

void cx_volume_parse(const json_t *volume, struct cx_volume *to)
{
        const json_t *spec = json_object_get(volume, "spec"), *affinity = cx_json_get(spec, "nodeAffinity.required");
        *to = (struct cx_volume){.name = text(volume, "metadata.name"),
                                 .class = text(spec, "storageClassName"),
                                 .attributes_class = text(spec, "volumeAttributesClassName"),
                                 .claim_namespace = text(spec, "claimRef.namespace"),
                                 .claim_name = text(spec, "claimRef.name"),
                                 .claim_uid = text(spec, "claimRef.uid"),
                                 .provisioned_by = annotation(volume, CX_PROVISIONED_BY),
                                 .phase = text(volume, "status.phase"),
                                 .reclaim = text(spec, "persistentVolumeReclaimPolicy"),
                                 .driver = text(spec, "csi.driver"),
                                 .handle = text(spec, "csi.volumeHandle"),
                                 .access = access_of(json_object_get(spec, "accessModes")),
                                 .capacity = bytes_of(cx_json_get(spec, "capacity.storage")),
                                 .block = cx_streq(cx_json_string(spec, "volumeMode"), "Block"),
                                 .bound_by_controller = has_annotation(volume, CX_BOUND_BY_CONTROLLER),
                                 .deleted = cx_json_string(volume, "metadata.deletionTimestamp"),
                                 .has_claim = json_is_object(json_object_get(spec, "claimRef")),
                                 .has_affinity = affinity};
        const char *name;
        json_t *value;
        json_object_foreach (cx_json_get(volume, "metadata.labels"), name, value) {
                cx_strings_add(&to->label_names, name);
                cx_strings_add(&to->label_values, cx_str(json_string_value(value)));
        }
        if (affinity)
                cx_node_terms_parse(affinity, &to->nodes);
}

void cx_volume_release(struct cx_volume *volume)
{
        char *const texts[] = {volume->name,
                               volume->class,
                               volume->attributes_class,
                               volume->claim_namespace,
                               volume->claim_name,
                               volume->claim_uid,
                               volume->provisioned_by,
                               volume->phase,
                               volume->reclaim,
                               volume->driver,
                               volume->handle};
        for (size_t i = 0; i < CX_ARRAY_SIZE(texts); i++)
                free(texts[i]);
        cx_node_terms_release(&volume->nodes);
        cx_strings_release(&volume->label_names);
        cx_strings_release(&volume->label_values);
}

void cx_storage_class_parse(const json_t *class, struct cx_storage_class *to)
{
        const json_t *topologies = json_object_get(class, "allowedTopologies");
        const json_t *annotations = cx_json_get(class, "metadata.annotations");
        *to = (struct cx_storage_class){
                .provisioner = text(class, "provisioner"),
                .delays = cx_streq(cx_json_string(class, "volumeBindingMode"), "WaitForFirstConsumer"),
                .is_default = cx_streq(json_string_value(json_object_get(annotations, IS_DEFAULT)), "true"),
                .has_topologies = json_array_size(topologies)};
        cx_topology_terms_parse(topologies, &to->topologies);
}

void cx_storage_class_release(struct cx_storage_class *class)
{
        free(class->provisioner);
        cx_node_terms_release(&class->topologies);
}

bool cx_volume_is_for(const struct cx_volume *volume, const struct cx_claim *claim)
{
        return volume->has_claim && strcmp(volume->claim_name, claim->name) == 0 &&
               strcmp(volume->claim_namespace, claim->namespace) == 0 &&
               (!*volume->claim_uid || strcmp(volume->claim_uid, claim->uid) == 0);
}

const char *cx_volume_misfit(const struct cx_volume *volume, const struct cx_claim *claim)
{
        if (volume->capacity < claim->storage)
                return "requested PV is too small";
        if (strcmp(volume->class, claim->class ? claim->class : "") != 0)
                return "storageClassName does not match";
        if (strcmp(volume->attributes_class, claim->attributes_class) != 0)
                return "volumeAttributesClassName does not match";
        if (volume->block != claim->block)
                return "incompatible volumeMode";
        if (claim->access & ~volume->access)
                return "incompatible accessMode";
        return NULL;
}

bool cx_volume_is_on(const struct cx_volume *volume, const struct cx_node_facts *node)
{
        return !volume->has_affinity || cx_node_terms_match(&volume->nodes, node);
}

static const char *label_of(void *context, const char *key)
{
        const struct cx_volume *volume = context;
        for (size_t i = 0; i < volume->label_names.count; i++)
                if (strcmp(volume->label_names.items[i], key) == 0)
                        return volume->label_values.items[i];
        return NULL;
}

// One that nobody has yet, and that was not made for another.
static bool is_free(const struct cx_volume *volume)
{
        return !volume->has_claim &&
               (strcmp(volume->phase, "Available") == 0 || !*volume->phase || strcmp(volume->phase, "Pending") == 0);
}

const struct cx_volume *cx_volume_find(const struct cx_volume *const *volumes, size_t count,
                                       const struct cx_claim *claim, const struct cx_node_facts *node, bool delayed,
                                       const struct cx_strings *taken)
{
        const struct cx_volume *best = NULL;
        for (size_t i = 0; i < count; i++) {
                const struct cx_volume *volume = volumes[i];
                bool kept = cx_volume_is_for(volume, claim);
                if (volume->deleted || volume->capacity < claim->storage || volume->block != claim->block ||
                    (node && !cx_volume_is_on(volume, node)) || (taken && cx_strings_has(taken, volume->name)))
                        continue;
                if (kept)
                        return volume;
                if (delayed || !is_free(volume) || cx_volume_misfit(volume, claim) ||
                    !cx_selector_matches_with(&claim->selector, label_of, (void *)volume))
                        continue;
                if (!best || volume->capacity < best->capacity ||
                    (volume->capacity == best->capacity && strcmp(volume->name, best->name) < 0))
                        best = volume;
        }
        return best;
}
