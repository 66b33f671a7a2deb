// SPDX-License-Identifier: Apache-2.0
// Deletion: at once, with grace (pods), or after finalizers have done their part (propagation policies among them).
#include "apiserver/admission/admission.h"
#include "apiserver/registry/registry.h"
#include "apiserver/request/errors.h"
#include "apiserver/request/object.h"
#include "apiserver/strategy/strategy.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define TRIES 30
#define FINALIZER_ORPHAN "orphan"
#define FINALIZER_FOREGROUND "foregroundDeletion"

int delete_preconditions(const struct scope *scope, const json_t *object, const struct delete_options *o,
                         struct cx_error *err)
{
        const char *uid = cx_json_string(object, "metadata.uid");
        const char *version = cx_json_string(object, "metadata.resourceVersion");
        CX_CLEANUP(cx_freep) char *why = NULL;
        if (o->uid && !cx_streq(o->uid, uid))
                why = cx_sprintf("the UID in the precondition (%s) does not match the UID in record (%s). The object "
                                 "might have been deleted and then recreated",
                                 o->uid, cx_str(uid));
        else if (o->resource_version && !cx_streq(o->resource_version, version))
                why = cx_sprintf("the ResourceVersion in the precondition (%s) does not match the ResourceVersion in "
                                 "record (%s). The object might have been modified",
                                 o->resource_version, cx_str(version));
        return why ? object_conflict(scope->resource, scope->name, why, err) : 0;
}

static bool has_finalizer(const json_t *object, const char *finalizer)
{
        size_t i;
        const json_t *item;
        json_array_foreach (cx_json_get(object, "metadata.finalizers"), i, item)
                if (cx_streq(json_string_value(item), finalizer))
                        return true;
        return false;
}

static void set_finalizer(json_t *object, const char *finalizer, bool wanted)
{
        json_t *metadata = cx_json_object_at(object, "metadata"), *list = json_object_get(metadata, "finalizers");
        json_t *result = json_array();
        for (size_t i = 0; i < json_array_size(list); i++)
                if (!cx_streq(json_string_value(json_array_get(list, i)), finalizer))
                        json_array_append(result, json_array_get(list, i));
        if (wanted)
                json_array_append_new(result, json_string(finalizer));
        if (json_array_size(result))
                json_object_set_new(metadata, "finalizers", result);
        else
                json_decref(result), json_object_del(metadata, "finalizers");
}

// Makes the object say that it is being deleted. True when it must stay until something else has happened.
static bool begin(const struct scope *scope, json_t *object, const struct delete_options *o)
{
        const struct strategy *strategy = scope->kind->strategy;
        json_t *metadata = cx_json_object_at(object, "metadata");
        int64_t grace = strategy->grace ? strategy->grace(object, o->grace_period) : 0;
        const char *propagation = o->propagation;
        if (!propagation && strategy->orphans_dependents && !has_finalizer(object, FINALIZER_FOREGROUND))
                propagation = "Orphan";
        if (propagation) {
                set_finalizer(object, FINALIZER_ORPHAN, strcmp(propagation, "Orphan") == 0);
                set_finalizer(object, FINALIZER_FOREGROUND, strcmp(propagation, "Foreground") == 0);
        }
        bool waits = strategy->begin_delete && strategy->begin_delete(object);
        waits |= has_finalizers(object) || grace > 0;
        if (!waits)
                return false;
        const json_t *present = json_object_get(metadata, "deletionGracePeriodSeconds");
        bool begun = json_object_get(metadata, "deletionTimestamp");
        if (begun && json_is_integer(present) && grace >= json_integer_value(present))
                return true; // grace only ever gets shorter
        char when[CX_TIME_TEXT];
        cx_time_format(cx_time_now() + grace * CX_US_PER_S, when);
        json_object_set_new(metadata, "deletionTimestamp", json_string(when));
        json_object_set_new(metadata, "deletionGracePeriodSeconds", json_integer(grace));
        const json_t *generation = json_object_get(metadata, "generation");
        if (generation && !begun)
                json_object_set_new(metadata, "generation", json_integer(json_integer_value(generation) + 1));
        return true;
}

// 1: somebody was faster, try again.
static int delete_once(const struct scope *scope, const struct delete_options *o, const struct stored *stored,
                       struct stored **ret_stored, char **ret_uid, struct cx_error *err)
{
        struct store *store = scope->api->store;
        const struct strategy *strategy = scope->kind->strategy;
        json_auto_t *current = stored_parse(stored);
        int r = delete_preconditions(scope, current, o, err);
        struct admission_request admission = {.scope = scope, .operation = ADMIT_DELETE, .old = current, .deletion = o};
        if (r == 0 && !o->admitted)
                r = admit(&admission, err);
        if (r < 0)
                return r;
        bool stays = begin(scope, current, o);
        json_auto_t *before = stays ? stored_parse(stored) : NULL;
        CX_ERROR why = CX_ERROR_INIT;
        if (stays && (scope->dry_run || json_equal(current, before))) {
                *ret_stored = stored_ref((struct stored *)stored);
                return 0;
        }
        struct stored_place place = {scope->kind->cache, scope->namespace, scope->name, stored->revision};
        if (stays)
                r = store_put(store, &place, current, 0, ret_stored, &why);
        else if (!scope->dry_run)
                r = store_delete(store, &place, NULL, &why);
        if (cx_error_is(&why, CX_REASON_CONFLICT))
                return 1;
        if (r < 0)
                return cx_error_move(err, &why);
        if (!stays && !scope->dry_run && strategy->release)
                strategy->release(scope->api, current, NULL);
        if (ret_uid)
                *ret_uid = cx_strdup(cx_json_string(current, "metadata.uid"));
        return 0;
}

int registry_delete(const struct scope *scope, const struct delete_options *options, struct stored **ret_stored,
                    char **ret_uid, struct cx_error *err)
{
        for (int i = 0; i < TRIES; i++) {
                // Preconditions must be checked against what is, not against what the cache still shows.
                STORED *stored = i || options->uid || options->resource_version ? NULL : scope_find(scope);
                if (!stored) {
                        int r = scope_read(scope, &stored, err);
                        if (r < 0)
                                return r;
                }
                *ret_stored = NULL;
                int r = delete_once(scope, options, stored, ret_stored, ret_uid, err);
                if (r <= 0)
                        return r;
        }
        return cx_error_reason(err, CX_REASON_CONFLICT, "%s \"%s\" changed too often to be deleted",
                               scope->resource->resource, scope->name);
}
