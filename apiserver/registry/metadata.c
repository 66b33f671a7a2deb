// SPDX-License-Identifier: Apache-2.0
// Names, uids, times, generations: the parts of ObjectMeta that clients may look at and not choose.
#include "apiserver/registry/metadata.h"

#include "apiserver/request/errors.h"
#include "apiserver/request/object.h"
#include "apiserver/strategy/strategy.h"
#include "libcommon/base/random.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define SUFFIX_LENGTH 5
#define MAX_GENERATED 63

static int set_name(const struct scope *scope, json_t *metadata, struct cx_error *err)
{
        const char *name = cx_json_string(metadata, "name"), *base = cx_json_string(metadata, "generateName");
        if (name && *name)
                return 0;
        if (!base || !*base) {
                CX_ERROR causes = CX_ERROR_INIT;
                cx_error_cause(&causes, "FieldValueRequired", "metadata.name",
                               "Required value: name or generateName is required");
                return object_invalid(scope->resource->kind->group, scope->resource->kind->kind, "", &causes, err);
        }
        char suffix[SUFFIX_LENGTH + 1];
        cx_random_suffix(suffix, SUFFIX_LENGTH);
        int keep =
                (int)strlen(base) > MAX_GENERATED - SUFFIX_LENGTH ? MAX_GENERATED - SUFFIX_LENGTH : (int)strlen(base);
        CX_CLEANUP(cx_freep) char *made = cx_sprintf("%.*s%s", keep, base, suffix);
        json_object_set_new(metadata, "name", json_string(made));
        return 0;
}

static int set_namespace(const struct scope *scope, json_t *metadata, struct cx_error *err)
{
        const char *given = cx_json_string(metadata, "namespace");
        if (!scope->resource->namespaced) {
                json_object_del(metadata, "namespace");
                return 0;
        }
        if (given && *given && strcmp(given, scope->namespace) != 0)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                       "the namespace of the provided object does not match the namespace sent on the "
                                       "request");
        json_object_set_new(metadata, "namespace", json_string(scope->namespace));
        return 0;
}

int metadata_begin_create(const struct scope *scope, json_t *object, struct cx_error *err)
{
        static const char *const owned[] = {"uid",      "creationTimestamp",          "deletionTimestamp",
                                            "selfLink", "deletionGracePeriodSeconds", "generation"};
        json_t *metadata = cx_json_object_at(object, "metadata");
        const char *version = cx_json_string(metadata, "resourceVersion");
        if (version && *version && strcmp(version, "0") != 0)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                       "resourceVersion should not be set on objects to be created");
        json_object_del(metadata, "resourceVersion");
        for (size_t i = 0; i < CX_ARRAY_SIZE(owned); i++)
                json_object_del(metadata, owned[i]);
        return set_namespace(scope, metadata, err);
}

int metadata_complete_create(const struct scope *scope, json_t *object, struct cx_error *err)
{
        json_t *metadata = cx_json_object_at(object, "metadata");
        int r = set_namespace(scope, metadata, err);
        if (r == 0)
                r = set_name(scope, metadata, err);
        if (r < 0)
                return r;
        char uid[CX_UID_TEXT], now[CX_TIME_TEXT];
        cx_random_uid(uid);
        cx_time_format(cx_time_now(), now);
        json_object_set_new(metadata, "uid", json_string(uid));
        json_object_set_new(metadata, "creationTimestamp", json_string(now));
        if (scope->resource->generation != CX_GENERATION_NONE)
                json_object_set_new(metadata, "generation", json_integer(1));
        return 0;
}

static bool same_annotations(const json_t *object, const json_t *old)
{
        const json_t *now = cx_json_get(object, "metadata.annotations"),
                     *before = cx_json_get(old, "metadata.annotations");
        return json_object_size(now) == 0 ? json_object_size(before) == 0 : json_equal(now, before);
}

static bool same_but_metadata_and_status(const json_t *a, const json_t *b)
{
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)a, key, value) {
                if (strcmp(key, "metadata") != 0 && strcmp(key, "status") != 0 &&
                    !json_equal(value, json_object_get(b, key)))
                        return false;
        }
        json_object_foreach ((json_t *)b, key, value) {
                if (strcmp(key, "metadata") != 0 && strcmp(key, "status") != 0 && !json_object_get(a, key))
                        return false;
        }
        return true;
}

static void keep(json_t *to, const json_t *from, const char *key)
{
        json_t *value = json_object_get(from, key);
        if (value)
                json_object_set(to, key, value);
        else
                json_object_del(to, key);
}

// A write of the status subresource changes status, labels and annotations as far as the kind allows, and nothing else.
static void keep_all_but_status(const struct strategy *strategy, json_t *object, const json_t *old)
{
        json_auto_t *result = json_copy((json_t *)old);
        json_auto_t *metadata = json_deep_copy(json_object_get(old, "metadata"));
        const json_t *asked = json_object_get(object, "metadata");
        if (json_object_get(asked, "annotations") && !strategy->status_keeps_annotations)
                keep(metadata, asked, "annotations");
        if (json_object_get(asked, "labels") && !strategy->status_keeps_labels)
                keep(metadata, asked, "labels");
        if (strategy->status_takes_finalizers)
                keep(metadata, asked, "finalizers");
        keep(metadata, asked, "resourceVersion");
        keep(metadata, asked, "managedFields");
        keep(result, object, "status");
        json_object_set(result, "metadata", metadata);
        json_object_clear(object);
        json_object_update(object, result);
}

int metadata_begin_update(const struct scope *scope, json_t *object, const json_t *old, struct cx_error *err)
{
        json_t *metadata = cx_json_object_at(object, "metadata");
        int r = set_namespace(scope, metadata, err);
        if (r < 0)
                return r;
        const char *name = cx_json_string(old, "metadata.name"), *asked = cx_json_string(metadata, "name");
        if (asked && *asked && !cx_streq(asked, name))
                return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                       "the name of the object (%s) does not match the name on the URL (%s)", asked,
                                       name);
        const char *uid = cx_json_string(metadata, "uid"), *old_uid = cx_json_string(old, "metadata.uid");
        if (!uid || !*uid || cx_streq(uid, old_uid))
                return 0;
        CX_CLEANUP(cx_freep)
        char *why = cx_sprintf("StorageError: invalid object: Precondition failed: UID in precondition: %s, UID in "
                               "object meta: %s",
                               uid, cx_str(old_uid));
        return object_conflict(scope->resource, name, why, err);
}

int metadata_complete_update(const struct scope *scope, json_t *object, const json_t *old, struct cx_error *err)
{
        static const char *const owned[] = {"name",
                                            "uid",
                                            "creationTimestamp",
                                            "deletionTimestamp",
                                            "generation",
                                            "deletionGracePeriodSeconds",
                                            "generateName"};
        json_t *metadata = cx_json_object_at(object, "metadata");
        int r = set_namespace(scope, metadata, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < CX_ARRAY_SIZE(owned); i++)
                keep(metadata, json_object_get(old, "metadata"), owned[i]);
        json_object_del(metadata, "selfLink");
        if (cx_streq(scope->subresource, "status") || cx_streq(scope->subresource, "approval"))
                keep_all_but_status(scope->kind->strategy, object, old);
        else if (!scope->subresource && resource_has_status(scope->resource))
                keep(object, old, "status");
        return 0;
}

void metadata_count_generation(const struct scope *scope, json_t *object, const json_t *old)
{
        const json_t *generation = cx_json_get(old, "metadata.generation");
        // KEP-5067: a pod that gets its node is as it was asked for.
        bool changed = !same_but_metadata_and_status(object, old) ||
                       (!scope->subresource && scope->resource->generation == CX_GENERATION_ANNOTATIONS &&
                        !same_annotations(object, old));
        if (generation && changed && !cx_streq(scope->subresource, "binding"))
                json_object_set_new(json_object_get(object, "metadata"), "generation",
                                    json_integer(json_integer_value(generation) + 1));
}
