// SPDX-License-Identifier: Apache-2.0
// Changing an object: compute the new one from the present one, check it, write it if nobody was faster, else again.
#include "apiserver/admission/admission.h"
#include "apiserver/convert.h"
#include "apiserver/registry/managed.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/registry/registry.h"
#include "apiserver/respond.h"
#include "apiserver/strategy/strategy.h"
#include "libcommon/format/json.h"

#define TRIES 30

static int modified(const struct call *call, const char *name, struct cx_error *err)
{
        char resource[512];
        qualified_resource(call->resource, resource);
        int r = cx_error_reason(
                err, CX_REASON_CONFLICT,
                "Operation cannot be fulfilled on %s \"%s\": the object has been modified; please apply "
                "your changes to the latest version and try again",
                resource, name);
        cx_error_about(err, call->resource->group, call->resource->resource, name);
        return r;
}

// The present object: from the cache at first, from etcd once the cache proved to be behind.
static int fetch(struct call *call, const char *name, bool fresh, struct stored **ret_stored, struct cx_error *err)
{
        const char *namespace = call->resource->namespaced ? call->info.namespace : NULL;
        struct stored *stored = fresh ? NULL : store_get(call->api->store, call->resource, namespace, name);
        if (stored) {
                *ret_stored = stored;
                return 0;
        }
        CX_ERROR why = CX_ERROR_INIT;
        if (store_read(call->api->store, call->resource, namespace, name, ret_stored, &why) == 0)
                return 0;
        if (cx_error_is(&why, CX_REASON_NOT_FOUND))
                return call_not_found(call, name, err);
        return cx_error_move(err, &why);
}

static json_t *in_call_version(struct call *call, const struct stored *stored)
{
        json_t *object = stored_parse(stored);
        convert(object, store_cache(call->api->store, call->resource)->resource, call->resource);
        return object;
}

static int check_new(struct call *call, const struct update *update, json_t *object, const json_t *old,
                     struct cx_error *err)
{
        const struct strategy *strategy = strategy_of(call->resource);
        int r = metadata_prepare_update(call, object, old, update->subresource, err);
        if (r == 0 && strategy->prepare_update)
                r = strategy->prepare_update(call, object, old, update->subresource, err);
        if (r < 0)
                return r;
        struct admission_request admission = {.call = call,
                                              .operation = ADMIT_UPDATE,
                                              .subresource = update->subresource,
                                              .name = update->name,
                                              .object = object,
                                              .old = old};
        cx_schema_default(call->resource->kind, object);
        if (!update->internal)
                r = admit_mutating(&admission, err);
        if (r == 0)
                r = registry_check(call, update->name, object, old, update->subresource, err);
        if (r == 0 && !update->internal)
                r = admit_validating(&admission, err);
        return r;
}

// Was the last finalizer taken from an object that only waited for that?
static bool is_finished(const json_t *object)
{
        return is_being_deleted(object) && !has_finalizers(object) &&
               cx_json_int(object, "metadata.deletionGracePeriodSeconds", 0) == 0 &&
               !cx_json_count(object, "spec.finalizers");
}

static int finish_delete(struct call *call, const char *name, const struct stored *stored, const json_t *object,
                         struct stored **ret_stored, struct cx_error *err)
{
        const struct strategy *strategy = strategy_of(call->resource);
        int64_t revision = 0;
        int r = store_delete(call->api->store, call->resource, call->resource->namespaced ? call->info.namespace : NULL,
                             name, stored->revision, &revision, err);
        if (r < 0)
                return r;
        if (strategy->release)
                strategy->release(call->api, object, NULL);
        *ret_stored = stored_with_revision(stored, revision);
        return 0;
}

static int write_changed(struct call *call, const struct update *update, const struct stored *stored, json_t *object,
                         const json_t *old, struct stored **ret_stored, struct cx_error *err)
{
        const struct strategy *strategy = strategy_of(call->resource);
        if (is_finished(object) && !call->dry_run)
                return finish_delete(call, update->name, stored, object, ret_stored, err);
        if (strategy->allocate && !call->dry_run) {
                int r = strategy->allocate(call, object, old, err);
                if (r < 0)
                        return r;
        }
        const struct cx_resource *kept = store_cache(call->api->store, call->resource)->resource;
        json_auto_t *encoded = converted(object, call->resource, kept);
        if (call->dry_run) {
                json_object_del(json_object_get(encoded, "metadata"), "resourceVersion"); // spliced in again below
                CX_CLEANUP(cx_freep) char *text = cx_json_text(encoded);
                *ret_stored = stored_new(kept, stored->key, text, strlen(text), stored->revision);
                return 0;
        }
        int r = store_put(call->api->store, kept, call->resource->namespaced ? call->info.namespace : NULL,
                          update->name, encoded, stored->revision, strategy->ttl ? strategy->ttl(call) : 0, ret_stored,
                          err);
        if (strategy->release) {
                if (r == 0)
                        strategy->release(call->api, old, object);
                else if (r != -ETIMEDOUT)
                        strategy->release(call->api, object, old);
        }
        return r;
}

static bool is_stale(const json_t *object, const struct stored *stored)
{
        const char *version = cx_json_string(object, "metadata.resourceVersion");
        return version && *version && strcmp(version, "0") != 0 && strcmp(version, CX_INT(stored->revision)) != 0;
}

static int create_absent(struct call *call, const struct update *update, struct stored **ret_stored,
                         struct cx_error *err)
{
        json_t *object = NULL;
        int r = update->compute(update->context, call, NULL, &object, err);
        if (r < 0)
                return r;
        json_object_set_new(cx_json_object_at(object, "metadata"), "name", json_string(update->name));
        return registry_create(call, object, ret_stored, err);
}

// One try. 1: the object has changed meanwhile, try again.
static int update_once(struct call *call, const struct update *update, const struct stored *stored, bool fresh,
                       struct stored **ret_stored, struct cx_error *err)
{
        json_auto_t *current = in_call_version(call, stored);
        json_auto_t *object = NULL;
        int r = update->compute(update->context, call, current, &object, err);
        if (r < 0)
                return r;
        if (is_stale(object, stored))
                return fresh ? modified(call, update->name, err) : 1;
        json_object_set(cx_json_object_at(object, "metadata"), "resourceVersion",
                        cx_json_get(current, "metadata.resourceVersion"));
        r = check_new(call, update, object, current, err);
        if (r < 0)
                return r;
        if (!call->applying && !json_equal(object, current))
                managed_update(call, object, current, update->subresource);
        if (json_equal(object, current) && !is_finished(object)) {
                *ret_stored = stored_ref((struct stored *)stored);
                return 0;
        }
        CX_ERROR why = CX_ERROR_INIT;
        r = write_changed(call, update, stored, object, current, ret_stored, &why);
        if (cx_error_is(&why, CX_REASON_CONFLICT))
                return 1;
        return r < 0 ? cx_error_move(err, &why) : 0;
}

int registry_update(struct call *call, const struct update *update, struct stored **ret_stored, bool *ret_created,
                    struct cx_error *err)
{
        bool fresh = false;
        if (ret_created)
                *ret_created = false;
        for (int i = 0; i < TRIES; i++) {
                STORED *stored = NULL;
                CX_ERROR why = CX_ERROR_INIT;
                if (fetch(call, update->name, fresh, &stored, &why) < 0) {
                        if (!cx_error_is(&why, CX_REASON_NOT_FOUND) || !update->create_if_absent)
                                return cx_error_move(err, &why);
                        CX_ERROR late = CX_ERROR_INIT;
                        if (create_absent(call, update, ret_stored, &late) == 0) {
                                if (ret_created)
                                        *ret_created = true;
                                return 0;
                        }
                        if (!cx_error_is(&late, CX_REASON_ALREADY_EXISTS))
                                return cx_error_move(err, &late);
                        fresh = true; // somebody was faster: it is there to be changed
                        continue;
                }
                int r = update_once(call, update, stored, fresh, ret_stored, err);
                if (r <= 0)
                        return r;
                fresh = true;
        }
        return modified(call, update->name, err);
}

// --- PUT ---

static int take_body(void *context, struct call *call CX_UNUSED, const json_t *current CX_UNUSED, json_t **ret_object,
                     struct cx_error *err CX_UNUSED)
{
        *ret_object = json_deep_copy(context);
        return 0;
}

static int check_name(const struct call *call, const json_t *body, struct cx_error *err)
{
        const char *name = cx_json_string(body, "metadata.name");
        if (!name || !*name || cx_streq(name, call->info.name))
                return 0;
        return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                               "the name of the object (%s) does not match the name on the URL (%s)", name,
                               call->info.name);
}

void handle_update(struct call *call)
{
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *body = NULL;
        STORED *stored = NULL;
        bool created = false;
        struct update update = {.compute = take_body,
                                .name = call->info.name,
                                .subresource = call->subresource ? call->subresource->name : NULL,
                                .create_if_absent =
                                        !call->subresource && strategy_of(call->resource)->create_on_update};
        int r = decode_body(call, call->resource->kind, &body, &err);
        if (r == 0)
                r = check_name(call, body, &err);
        update.context = body;
        if (r == 0)
                r = registry_update(call, &update, &stored, &created, &err);
        if (r < 0)
                respond_error(call, &err);
        else
                respond_stored(call, created ? 201 : 200, cx_steal(&stored));
}
