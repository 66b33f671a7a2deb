// SPDX-License-Identifier: Apache-2.0
// The claims of a StatefulSet's members. Each is named after its template and its member, is made before the pod, and outlives
// it: the next pod of the name finds it again. What the retention policy asks for is said by owner references, which the
// garbage collector follows: to the set, when claims go with it, or to the pod, when it is the last of its name.
#include "controller-manager/workloads/stateful_set.h"

static const struct owner_kind claim_kind = {"", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"};

static void take_nothing(void *part CX_UNUSED, const json_t *claim CX_UNUSED)
{
}

// The metadata is enough; but what is shown has to be current.
static const struct object_part claim_part = {1, take_nothing, NULL};

struct cx_informer *claims_informer(struct manager *manager)
{
        return manager_part_informer(manager, claim_kind.group, claim_kind.resource, &claim_part);
}

// --- who owns a claim ------------------------------------------------------------------------------------------------

static bool names(const char *version, const char *kind, const char *name, const struct owner *owner)
{
        char wanted[128];
        snprintf(wanted, sizeof wanted, "%s%s%s", owner->type->group, *owner->type->group ? "/" : "",
                 owner->type->version);
        return strcmp(version, wanted) == 0 && strcmp(kind, owner->type->kind) == 0 &&
               strcmp(name, owner->object->name) == 0;
}

static bool is_about(const struct cx_object_owner *reference, const struct owner *owner)
{
        return names(reference->api_version, reference->kind, reference->name, owner);
}

static const struct cx_object_owner *reference_to(const struct cx_object *claim, const struct owner *owner)
{
        for (size_t i = 0; i < claim->n_owners; i++)
                if (is_about(&claim->owners[i], owner))
                        return &claim->owners[i];
        return NULL;
}

bool claim_is_stale(const struct cx_object *claim, const struct owner *owner)
{
        const struct cx_object_owner *reference = reference_to(claim, owner);
        return reference && strcmp(reference->uid, owner->object->uid) != 0;
}

bool claim_is_foreign(const struct cx_object *claim, const struct claim_owners *owners)
{
        if (!owners->with_set && !owners->when_scaled)
                return false; // anybody may keep it
        for (size_t i = 0; i < claim->n_owners; i++)
                if (claim->owners[i].controller && !is_about(&claim->owners[i], owners->set) &&
                    !is_about(&claim->owners[i], owners->pod))
                        return true;
        return false;
}

static enum claim_owner wanted_owner(const struct cx_object *claim, const struct claim_owners *owners)
{
        if (claim_is_foreign(claim, owners))
                return CLAIM_NOBODY;
        if (owners->when_scaled && !owners->in_range)
                return CLAIM_POD;
        return owners->with_set ? CLAIM_SET : CLAIM_NOBODY;
}

static bool is_right(const struct cx_object *claim, const struct owner *owner, bool wanted)
{
        const struct cx_object_owner *reference = reference_to(claim, owner);
        return wanted ? reference && reference->controller : !reference;
}

bool claim_is_settled(const struct cx_object *claim, const struct claim_owners *owners)
{
        if (claim_is_stale(claim, owners->set) || claim_is_stale(claim, owners->pod))
                return true; // of a set or a pod of that name that has gone: the garbage collector's
        enum claim_owner wanted = wanted_owner(claim, owners);
        return is_right(claim, owners->set, wanted == CLAIM_SET) && is_right(claim, owners->pod, wanted == CLAIM_POD);
}

json_t *claim_references(const struct cx_object *claim, const json_t *references, const struct claim_owners *owners)
{
        enum claim_owner wanted = wanted_owner(claim, owners);
        json_t *kept = json_array();
        size_t i;
        json_t *reference;
        json_array_foreach (references, i, reference) {
                const char *version = cx_json_string_or(reference, "apiVersion", "");
                const char *kind = cx_json_string_or(reference, "kind", "");
                const char *name = cx_json_string_or(reference, "name", "");
                if (!names(version, kind, name, owners->set) && !names(version, kind, name, owners->pod))
                        json_array_append(kept, reference);
        }
        if (wanted != CLAIM_NOBODY)
                json_array_append_new(kept, owner_reference(wanted == CLAIM_SET ? owners->set : owners->pod));
        return kept;
}

// --- the claims of a member ------------------------------------------------------------------------------------------

static char *claim_name(const json_t *template, const char *set, int64_t ordinal)
{
        return cx_sprintf("%s-%s-%ld", cx_json_string_or(template, "metadata.name", ""), set, (long)ordinal);
}

static const json_t *templates(const struct stateful_set *set)
{
        return cx_json_get(set->json, "spec.volumeClaimTemplates");
}

static const struct cx_object *find_claim(const struct stateful *s, const json_t *template, int64_t ordinal)
{
        const struct cx_object *set = s->owner->object;
        CX_CLEANUP(cx_freep) char *name = claim_name(template, set->name, ordinal);
        return cx_informer_get(s->self->claims, set->namespace, name);
}

static json_t *make_claim(const struct stateful *s, const json_t *template, int64_t ordinal)
{
        CX_CLEANUP(cx_freep) char *name = claim_name(template, s->owner->object->name, ordinal);
        json_t *metadata = metadata_of_template(template);
        json_object_set_new(metadata, "name", json_string(name));
        json_t *selector = cx_json_get(s->set->json, "spec.selector.matchLabels");
        if (json_object_size(selector))
                json_object_update(cx_json_object_at(metadata, "labels"), selector);
        if (s->set->delete_with_set) // as it will be asked for at once
                json_object_set_new(metadata, "ownerReferences", json_pack("[o]", owner_reference(s->owner)));
        return json_pack("{s:s, s:s, s:o, s:o}", "apiVersion", "v1", "kind", claim_kind.kind, "metadata", metadata,
                         "spec", json_deep_copy(json_object_get(template, "spec")));
}

static int create_claim(const struct stateful *s, const json_t *template, int64_t ordinal, const char *pod,
                        struct cx_error *err)
{
        const struct cx_object *set = s->owner->object;
        struct cx_events *events = s->self->control.events;
        json_auto_t *claim = make_claim(s, template, ordinal);
        const char *name = cx_json_string(claim, "metadata.name");
        int r = cx_rest_create(s->self->control.rest,
                               CX_REF(claim_kind.group, claim_kind.version, claim_kind.resource, set->namespace), claim,
                               NULL, err);
        if (r == 0) {
                owner_event(events, s->owner, "Normal", "SuccessfulCreate",
                            "create Claim %s Pod %s in StatefulSet %s success", name, pod, set->name);
                return 0;
        }
        if (cx_error_is(err, CX_REASON_ALREADY_EXISTS)) { // in which state, the informer has not shown yet
                cx_error_release(err);
                return cx_error_set(err, -EAGAIN, "PVC %s has just been created", name);
        }
        owner_event(events, s->owner, "Warning", "FailedCreate",
                    "create Claim %s for Pod %s in StatefulSet %s failed error: %s", name, pod, set->name,
                    cx_error_text(err));
        return cx_error_wrap(err, "failed to create PVC %s", name);
}

int claims_create(const struct stateful *s, int64_t ordinal, const char *pod, struct cx_error *err)
{
        size_t i;
        json_t *template;
        json_array_foreach (templates(s->set), i, template) {
                CX_OBJECT *claim = find_claim(s, template, ordinal);
                int r = 0;
                if (!claim)
                        r = create_claim(s, template, ordinal, pod, err);
                else if (claim->deleted)
                        r = cx_error_set(err, -EAGAIN, "pvc %s is being deleted", claim->name);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int settle_claim(const struct stateful *s, const struct cx_object *claim, const struct claim_owners *owners,
                        struct cx_error *err)
{
        struct cx_rest *rest = s->self->control.rest;
        const struct cx_ref *ref =
                CX_REF(claim_kind.group, claim_kind.version, claim_kind.resource, claim->namespace, claim->name);
        json_auto_t *live = NULL;
        if (claim_is_foreign(claim, owners))
                owner_event(s->self->control.events, s->owner, "Warning", "ConflictingController",
                            "PersistentVolumeClaim %s has a conflicting OwnerReference that acts as a manging "
                            "controller, the retention policy is ignored for this claim",
                            claim->name);
        int r = cx_rest_get(rest, ref, &live, err);
        if (r == 0) {
                struct cx_object *now = cx_object_new(live, NULL, 0);
                json_t *metadata = json_object_get(live, "metadata");
                json_t *had = json_object_get(metadata, "ownerReferences");
                if (!claim_is_settled(now, owners)) {
                        json_object_set_new(metadata, "ownerReferences", claim_references(now, had, owners));
                        r = cx_rest_update(rest, ref, live, NULL, err);
                }
                cx_object_unref(now);
        }
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) { // it has gone; another is made when it is missed
                cx_error_release(err);
                return 0;
        }
        return r < 0 ? cx_error_wrap(err, "could not update claim %s for delete policy ownerRefs", claim->name) : 0;
}

int claims_settle(const struct stateful *s, const struct member *member, struct cx_error *err)
{
        const struct owner pod = {&pod_kind, member->pod};
        const struct claim_owners owners = {.set = s->owner,
                                            .pod = &pod,
                                            .with_set = s->set->delete_with_set,
                                            .when_scaled = s->set->delete_when_scaled,
                                            .in_range = member_in_range(s->set, member->ordinal)};
        size_t i;
        json_t *template;
        json_array_foreach (templates(s->set), i, template) {
                CX_OBJECT *claim = find_claim(s, template, member->ordinal);
                if (!claim || claim_is_settled(claim, &owners))
                        continue;
                int r = settle_claim(s, claim, &owners, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

bool claims_are_stale(const struct stateful *s, int64_t ordinal)
{
        if (!s->set->delete_when_scaled)
                return false;
        CX_CLEANUP(cx_freep) char *name = cx_sprintf("%s-%ld", s->owner->object->name, (long)ordinal);
        const struct cx_object missing = {.name = name, .uid = ""};
        const struct owner pod = {&pod_kind, &missing};
        size_t i;
        json_t *template;
        json_array_foreach (templates(s->set), i, template) {
                CX_OBJECT *claim = find_claim(s, template, ordinal);
                if (claim && claim_is_stale(claim, &pod))
                        return true;
        }
        return false;
}

void claims_mount(const struct stateful_set *set, const char *name, int64_t ordinal, json_t *spec)
{
        if (!json_array_size(templates(set)))
                return;
        json_t *volumes = json_array();
        size_t i;
        json_t *template, *volume;
        json_array_foreach (templates(set), i, template) {
                CX_CLEANUP(cx_freep) char *claim = claim_name(template, name, ordinal);
                json_array_append_new(volumes, json_pack("{s:s, s:{s:s}}", "name",
                                                         cx_json_string_or(template, "metadata.name", ""),
                                                         "persistentVolumeClaim", "claimName", claim));
        }
        json_array_foreach (json_object_get(spec, "volumes"), i, volume)
                if (!cx_json_find(volumes, "name", cx_json_string_or(volume, "name", "")))
                        json_array_append(volumes, volume);
        json_object_set_new(spec, "volumes", volumes);
}
