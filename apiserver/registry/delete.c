// SPDX-License-Identifier: Apache-2.0
// Deletion: at once, with grace (pods), or after finalizers have done their part (propagation policies among them).
#include "apiserver/admission/admission.h"
#include "apiserver/convert.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/registry/options.h"
#include "apiserver/registry/registry.h"
#include "apiserver/respond.h"
#include "apiserver/strategy/strategy.h"
#include "libcommon/api/status.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define TRIES 30
#define FINALIZER_ORPHAN "orphan"
#define FINALIZER_FOREGROUND "foregroundDeletion"

void delete_options_release(struct delete_options *options)
{
        free(options->uid);
        free(options->resource_version);
        free(options->propagation_text);
}

static int decode_options(struct call *call, json_t **ret_options, struct cx_error *err)
{
        json_auto_t *body = NULL;
        int r = decode_any(call, &body, err);
        if (r < 0)
                return r;
        const char *kind = cx_json_string(body, "kind");
        if (!json_is_object(body) || (kind && *kind && strcmp(kind, "DeleteOptions") != 0))
                return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                       "decoded object cannot be converted to DeleteOptions");
        r = cx_schema_decode(cx_schema_type("meta.v1.DeleteOptions"), body, CX_FIELDS_IGNORE, NULL, NULL, err);
        if (r == 0)
                *ret_options = cx_steal(&body);
        return r;
}

// Without a body the query says the same.
static int options_of_query(struct call *call, json_t **ret_options, struct cx_error *err)
{
        CX_STRINGS dry_run = CX_STRINGS_INIT;
        int64_t grace = INT64_MIN;
        const char *policy = cx_http_query(call->request, "propagationPolicy");
        int orphan = query_bool(call, "orphanDependents"), r = query_int(call, "gracePeriodSeconds", &grace, err);
        if (r < 0)
                return r;
        json_t *options = json_object(), *list = json_array();
        cx_http_query_all(call->request, "dryRun", &dry_run);
        for (size_t i = 0; i < dry_run.count; i++)
                json_array_append_new(list, json_string(dry_run.items[i]));
        json_object_set_new(options, "dryRun", list);
        if (grace != INT64_MIN)
                json_object_set_new(options, "gracePeriodSeconds", json_integer(grace));
        if (policy && *policy)
                json_object_set_new(options, "propagationPolicy", json_string(policy));
        if (orphan >= 0)
                json_object_set_new(options, "orphanDependents", json_boolean(orphan));
        *ret_options = options;
        return 0;
}

int delete_options_from(const json_t *json, struct delete_options *ret_options, struct cx_error *err)
{
        const json_t *grace = json_object_get(json, "gracePeriodSeconds");
        const json_t *orphan = json_object_get(json, "orphanDependents"), *list = json_object_get(json, "dryRun");
        const char *policy = cx_json_string(json, "propagationPolicy");
        CX_STRINGS dry_run = CX_STRINGS_INIT;
        *ret_options = (struct delete_options){.grace_period = -1, .dry_run = json_array_size(list) > 0};
        for (size_t i = 0; i < json_array_size(list); i++)
                cx_strings_add(&dry_run, cx_str(json_string_value(json_array_get(list, i))));
        int r = check_delete_options(&dry_run, policy, orphan, err);
        if (r < 0)
                return r;
        if (json_is_integer(grace)) {
                json_int_t seconds = json_integer_value(grace);
                // A negative period means "as fast as can be, but gracefully".
                ret_options->grace_period = seconds < 0 ? 1 : seconds > INT32_MAX ? INT32_MAX : seconds;
        }
        if (!policy && json_is_boolean(orphan))
                policy = json_is_true(orphan) ? "Orphan" : "Background";
        ret_options->propagation = ret_options->propagation_text = cx_strdup(policy);
        ret_options->uid = cx_strdup(cx_json_string(json, "preconditions.uid"));
        ret_options->resource_version = cx_strdup(cx_json_string(json, "preconditions.resourceVersion"));
        return 0;
}

int delete_options(struct call *call, struct delete_options *ret_options, struct cx_error *err)
{
        size_t length;
        json_auto_t *json = NULL;
        *ret_options = (struct delete_options){.grace_period = -1};
        (void)cx_http_body(call->request, &length);
        int r = length ? decode_options(call, &json, err) : options_of_query(call, &json, err);
        return r < 0 ? r : delete_options_from(json, ret_options, err);
}

static int check_preconditions(const struct call *call, const char *name, const json_t *object,
                               const struct delete_options *o, struct cx_error *err)
{
        char resource[512];
        qualified_resource(call->resource, resource);
        const char *uid = cx_json_string(object, "metadata.uid");
        const char *version = cx_json_string(object, "metadata.resourceVersion");
        if (o->uid && !cx_streq(o->uid, uid))
                return cx_error_reason(
                        err, CX_REASON_CONFLICT,
                        "Operation cannot be fulfilled on %s \"%s\": the UID in the precondition (%s) does "
                        "not match the UID in record (%s). The object might have been deleted and then "
                        "recreated",
                        resource, name, o->uid, cx_str(uid));
        if (o->resource_version && !cx_streq(o->resource_version, version))
                return cx_error_reason(
                        err, CX_REASON_CONFLICT,
                        "Operation cannot be fulfilled on %s \"%s\": the ResourceVersion in the "
                        "precondition (%s) does not match the ResourceVersion in record (%s). The object "
                        "might have been modified",
                        resource, name, o->resource_version, cx_str(version));
        return 0;
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
static bool begin(struct call *call, json_t *object, const struct delete_options *o)
{
        const struct strategy *strategy = strategy_of(call->resource);
        json_t *metadata = cx_json_object_at(object, "metadata");
        int64_t grace = 0;
        if (strategy->grace)
                strategy->grace(object, o->grace_period, &grace);
        if (o->propagation) {
                set_finalizer(object, FINALIZER_ORPHAN, cx_streq(o->propagation, "Orphan"));
                set_finalizer(object, FINALIZER_FOREGROUND, cx_streq(o->propagation, "Foreground"));
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
static int delete_once(struct call *call, const char *name, const struct delete_options *o, const struct stored *stored,
                       struct stored **ret_stored, char **ret_uid, struct cx_error *err)
{
        const struct strategy *strategy = strategy_of(call->resource);
        const char *namespace = call->resource->namespaced ? call->info.namespace : NULL;
        json_auto_t *current = stored_parse(stored);
        int r = check_preconditions(call, name, current, o, err);
        struct admission_request admission = {.call = call, .operation = ADMIT_DELETE, .name = name, .old = current};
        if (r == 0)
                r = admit_validating(&admission, err);
        if (r < 0)
                return r;
        *ret_uid = cx_strdup(cx_json_string(current, "metadata.uid"));
        json_auto_t *object = json_deep_copy(current);
        bool stays = begin(call, object, o);
        if (o->dry_run) {
                *ret_stored = stays ? stored_ref((struct stored *)stored) : NULL;
                return 0;
        }
        CX_ERROR why = CX_ERROR_INIT;
        if (stays && json_equal(object, current)) {
                *ret_stored = stored_ref((struct stored *)stored);
                return 0;
        }
        const struct cx_resource *kept = store_cache(call->api->store, call->resource)->resource;
        if (stays)
                r = store_put(call->api->store, kept, namespace, name, object, stored->revision, 0, ret_stored, &why);
        else
                r = store_delete(call->api->store, kept, namespace, name, stored->revision, NULL, &why);
        if (r == 0 && !stays && strategy->release)
                strategy->release(call->api, current, NULL);
        if (cx_error_is(&why, CX_REASON_CONFLICT)) {
                free(cx_steal(ret_uid));
                return 1;
        }
        return r < 0 ? cx_error_move(err, &why) : 0;
}

int registry_delete(struct call *call, const char *name, const struct delete_options *options,
                    struct stored **ret_stored, char **ret_uid, struct cx_error *err)
{
        const char *namespace = call->resource->namespaced ? call->info.namespace : NULL;
        for (int i = 0; i < TRIES; i++) {
                // Preconditions must be checked against what is, not against what the cache still shows.
                STORED *stored = i || options->uid || options->resource_version
                                         ? NULL
                                         : store_get(call->api->store, call->resource, namespace, name);
                CX_ERROR why = CX_ERROR_INIT;
                if (!stored && store_read(call->api->store, call->resource, namespace, name, &stored, &why) < 0) {
                        if (cx_error_is(&why, CX_REASON_NOT_FOUND))
                                return call_not_found(call, name, err);
                        return cx_error_move(err, &why);
                }
                *ret_stored = NULL;
                int r = delete_once(call, name, options, stored, ret_stored, ret_uid, err);
                if (r <= 0)
                        return r;
        }
        return cx_error_reason(err, CX_REASON_CONFLICT, "%s \"%s\" changed too often to be deleted",
                               call->resource->resource, name);
}

void handle_delete(struct call *call)
{
        CX_ERROR err = CX_ERROR_INIT;
        struct delete_options options;
        STORED *stored = NULL;
        CX_CLEANUP(cx_freep) char *uid = NULL;
        int r = delete_options(call, &options, &err);
        if (r == 0)
                r = registry_delete(call, call->info.name, &options, &stored, &uid, &err);
        delete_options_release(&options);
        if (r < 0)
                respond_error(call, &err);
        else if (stored)
                respond_stored(call, 200, cx_steal(&stored));
        else
                respond_object(
                        call, 200,
                        cx_status_success(call->resource->group, call->resource->resource, call->info.name, uid));
}

void handle_delete_collection(struct call *call)
{
        CX_ERROR err = CX_ERROR_INIT;
        struct delete_options options = {0};
        struct list_options selection = {0};
        STORED_LIST list = {0};
        int r = delete_options(call, &options, &err);
        if (r == 0)
                r = list_options(call, &selection, &err);
        if (r == 0)
                r = store_sync(call->api->store, &err);
        if (r == 0)
                cache_list(store_cache(call->api->store, call->resource), &selection.filter, &list);
        if (selection.limit > 0 && list.count > (size_t)selection.limit)
                stored_list_truncate(&list, (size_t)selection.limit);
        for (size_t i = 0; r == 0 && i < list.count; i++) {
                STORED *left = NULL;
                CX_CLEANUP(cx_freep) char *uid = NULL;
                CX_ERROR why = CX_ERROR_INIT;
                if (call->resource->namespaced)
                        (void)snprintf(call->info.namespace, sizeof call->info.namespace, "%.*s",
                                       (int)list.items[i]->namespace_length, list.items[i]->key);
                if (registry_delete(call, list.items[i]->name, &options, &left, &uid, &why) < 0 &&
                    !cx_error_is(&why, CX_REASON_NOT_FOUND))
                        r = cx_error_move(&err, &why);
        }
        delete_options_release(&options);
        list_options_release(&selection);
        if (r < 0)
                respond_error(call, &err);
        else
                respond_list(call, &list, store_revision(call->api->store), NULL, -1);
}
