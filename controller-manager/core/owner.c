// SPDX-License-Identifier: Apache-2.0
// Owner references, and adopting and releasing by patches. A patch carries the uid of the object that it is for, so
// another object of the same name is never changed.
#include "controller-manager/core/owner.h"

#include <stdarg.h>

#define INDEX_ORPHANS "orphans"

static void api_version(const struct owner_kind *type, char to[128])
{
        snprintf(to, 128, "%s%s%s", type->group, *type->group ? "/" : "", type->version);
}

bool controller_key(const struct cx_object *object, const struct owner_kind *type, char to[512])
{
        const struct cx_object_owner *owner = cx_object_controller(object);
        if (!owner || !cx_streq(owner->kind, type->kind))
                return false;
        const char *slash = strchr(owner->api_version, '/');
        size_t length = slash ? (size_t)(slash - owner->api_version) : 0;
        if (strlen(type->group) != length || strncmp(owner->api_version, type->group, length) != 0)
                return false;
        snprintf(to, 512, "%s/%s", object->namespace, owner->name);
        return true;
}

int owner_selector(const struct owner_kind *type, const json_t *owner, struct cx_selector *ret_selector,
                   struct cx_error *err)
{
        const json_t *selector = cx_json_get(owner, "spec.selector");
        if (!type->plain_selector)
                return cx_selector_from_json(selector, ret_selector, err);
        cx_selector_from_map(selector, ret_selector);
        return 0;
}

json_t *owner_reference(const struct owner *owner)
{
        char version[128];
        api_version(owner->type, version);
        return make_controller_ref(version, owner->type->kind, owner->object->name, owner->object->uid);
}

json_t *metadata_of_template(const json_t *template)
{
        static const char *const kept[] = {"labels", "annotations", "finalizers"};
        json_t *metadata = json_object();
        for (size_t i = 0; i < CX_ARRAY_SIZE(kept); i++) {
                const json_t *value = json_object_get(json_object_get(template, "metadata"), kept[i]);
                if (value)
                        json_object_set_new(metadata, kept[i], json_deep_copy(value));
        }
        return metadata;
}

void owner_event(struct cx_events *events, const struct owner *owner, const char *type, const char *reason,
                 const char *format, ...)
{
        char version[128];
        api_version(owner->type, version);
        CX_BUF message = CX_BUF_INIT;
        va_list arguments;
        va_start(arguments, format);
        cx_buf_vprintf(&message, format, arguments);
        va_end(arguments);
        cx_event_object(events, version, owner->type->kind, owner->object, type, reason, "%s", message.data);
}

json_t *status_of_counts(const struct status_count *counts, size_t count)
{
        json_t *status = json_object();
        for (size_t i = 0; i < count; i++)
                if (counts[i].value || counts[i].always)
                        json_object_set_new(status, counts[i].name, json_integer(counts[i].value));
        return status;
}

int owner_write_status(struct cx_rest *rest, const struct owner *owner, json_t *json, json_t *status_steal,
                       struct cx_error *err)
{
        const struct owner_kind *type = owner->type;
        const struct cx_object *object = owner->object;
        json_auto_t *status = status_steal;
        char version[128];
        if (json_equal(status, json_object_get(json, "status")))
                return 0;
        api_version(type, version);
        json_object_set(json, "status", status);
        json_object_set_new(json, "apiVersion", json_string(version));
        json_object_set_new(json, "kind", json_string(type->kind));
        int r = cx_rest_update_status(
                rest, CX_REF(type->group, type->version, type->resource, object->namespace, object->name), json, NULL,
                err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                return 0;
        }
        return r;
}

static void orphan_keys(void *context CX_UNUSED, const struct cx_object *object, struct cx_strings *ret_keys)
{
        if (!cx_object_controller(object))
                cx_strings_add(ret_keys, object->namespace);
}

void owner_index_dependents(struct cx_informer *informer)
{
        cx_informer_index_controller(informer);
        cx_informer_add_index(informer, INDEX_ORPHANS, orphan_keys, NULL);
}

// The informer may be behind: an owner that was deleted, or created anew under its name, must not adopt anything, nor
// let go what the garbage collector is about to delete. Asks once.
static int check_owner(const struct claim *claim, bool *checked, struct cx_error *err)
{
        const struct owner *owner = claim->owner;
        if (*checked)
                return 0;
        json_auto_t *live = NULL;
        int r = cx_rest_get(claim->rest,
                            CX_REF(owner->type->group, owner->type->version, owner->type->resource,
                                   owner->object->namespace, owner->object->name),
                            &live, err);
        if (r < 0)
                return r;
        const char *uid = cx_json_string_or(live, "metadata.uid", "");
        if (strcmp(uid, owner->object->uid) != 0)
                return cx_error_set(err, -EAGAIN, "%s %s is gone: its uid is %s, not %s", owner->type->kind,
                                    owner->object->key, uid, owner->object->uid);
        if (cx_json_string(live, "metadata.deletionTimestamp"))
                return cx_error_set(err, -EAGAIN, "%s %s has just been deleted", owner->type->kind, owner->object->key);
        *checked = true;
        return 0;
}

static int patch_dependent(const struct claim *claim, const struct cx_object *object, const json_t *patch,
                           struct cx_error *err)
{
        const struct owner_kind *type = claim->dependents;
        return cx_rest_patch(claim->rest,
                             CX_REF(type->group, type->version, type->resource, object->namespace, object->name), NULL,
                             CX_PATCH_STRATEGIC, patch, NULL, err);
}

// *ret_adopted is false when the object has gone in the meantime.
static int adopt(const struct claim *claim, const struct cx_object *object, bool *ret_adopted, struct cx_error *err)
{
        json_auto_t *patch = json_pack("{s:{s:[o], s:s}}", "metadata", "ownerReferences", owner_reference(claim->owner),
                                       "uid", object->uid);
        if (claim->finalizer)
                json_object_set_new(json_object_get(patch, "metadata"), "finalizers",
                                    json_pack("[s]", claim->finalizer));
        int r = patch_dependent(claim, object, patch, err);
        *ret_adopted = r == 0;
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                return 0;
        }
        return r;
}

static int release(const struct claim *claim, const struct cx_object *object, struct cx_error *err)
{
        json_auto_t *patch = json_pack("{s:{s:[{s:s, s:s}], s:s}}", "metadata", "ownerReferences", "$patch", "delete",
                                       "uid", claim->owner->object->uid, "uid", object->uid);
        if (claim->finalizer)
                json_object_set_new(json_object_get(patch, "metadata"), "$deleteFromPrimitiveList/finalizers",
                                    json_pack("[s]", claim->finalizer));
        int r = patch_dependent(claim, object, patch, err);
        if (r < 0 && (cx_error_is(err, CX_REASON_NOT_FOUND) || cx_error_is(err, CX_REASON_INVALID))) {
                cx_error_release(err); // it is gone, or it is another object already
                return 0;
        }
        return r;
}

static bool fits(const struct claim *claim, const struct cx_object *object)
{
        return cx_object_matches(object, claim->selector) && (!claim->fits || claim->fits(claim->owner, object));
}

static bool considers(const struct claim *claim, const struct cx_object *object)
{
        return !claim->considers || claim->considers(object);
}

static int claim_owned(const struct claim *claim, bool *checked, struct cx_objects *ret_dependents,
                       struct cx_error *err)
{
        const struct cx_object *owner = claim->owner->object;
        CX_OBJECTS owned = CX_OBJECTS_INIT;
        cx_informer_by_index(claim->informer, CX_INDEX_CONTROLLER, owner->uid, &owned);
        for (size_t i = 0; i < owned.count; i++) {
                const struct cx_object *object = owned.items[i];
                if (!considers(claim, object) || !cx_streq(object->namespace, owner->namespace))
                        continue;
                if (fits(claim, object)) {
                        cx_objects_add(ret_dependents, object);
                } else if (!owner->deleted && !object->deleted) {
                        int r = check_owner(claim, checked, err);
                        if (r == 0)
                                r = release(claim, object, err);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

int claim_dependents(const struct claim *claim, struct cx_objects *ret_dependents, struct cx_error *err)
{
        const struct cx_object *owner = claim->owner->object;
        bool checked = false;
        int r = claim_owned(claim, &checked, ret_dependents, err);
        if (r < 0 || owner->deleted)
                return r;
        CX_OBJECTS orphans = CX_OBJECTS_INIT;
        cx_informer_by_index(claim->informer, INDEX_ORPHANS, owner->namespace, &orphans);
        for (size_t i = 0; i < orphans.count; i++) {
                const struct cx_object *object = orphans.items[i];
                if (object->deleted || !considers(claim, object) || !fits(claim, object))
                        continue;
                bool adopted = false;
                r = check_owner(claim, &checked, err);
                if (r == 0)
                        r = adopt(claim, object, &adopted, err);
                if (r < 0)
                        return r;
                if (adopted)
                        cx_objects_add(ret_dependents, object);
        }
        return 0;
}
