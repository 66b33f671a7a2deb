// SPDX-License-Identifier: Apache-2.0
#include "apiserver/admission/admission.h"
#include "apiserver/convert.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/registry/registry.h"
#include "apiserver/respond.h"
#include "apiserver/strategy/strategy.h"
#include "libcommon/format/json.h"

#define GENERATE_TRIES 8

static int already_exists(const struct call *call, const char *name, struct cx_error *err)
{
        char resource[512];
        qualified_resource(call->resource, resource);
        int r = cx_error_reason(err, CX_REASON_ALREADY_EXISTS, "%s \"%s\" already exists", resource, name);
        cx_error_about(err, call->resource->group, call->resource->resource, name);
        return r;
}

static int write_new(struct call *call, const struct strategy *strategy, json_t *object, struct stored **ret_stored,
                     struct cx_error *err)
{
        const struct cx_resource *stored = store_cache(call->api->store, call->resource)->resource;
        const char *name = cx_json_string(object, "metadata.name");
        if (strategy->allocate) {
                int r = strategy->allocate(call, object, NULL, err);
                if (r < 0)
                        return r;
        }
        json_auto_t *encoded = converted(object, call->resource, stored);
        CX_ERROR why = CX_ERROR_INIT;
        int r = store_put(call->api->store, stored, call->resource->namespaced ? call->info.namespace : NULL, name,
                          encoded, 0, strategy->ttl ? strategy->ttl(call) : 0, ret_stored, &why);
        // A write whose outcome is unknown keeps what it took; the repair loop gives it back if the object is not there.
        if (r < 0 && strategy->release && !cx_error_is(&why, CX_REASON_TIMEOUT))
                strategy->release(call->api, object, NULL);
        if (cx_error_is(&why, CX_REASON_ALREADY_EXISTS))
                return already_exists(call, name, err);
        return r < 0 ? cx_error_move(err, &why) : 0;
}

// What a dry run answers with: the object as it would be, never written.
static struct stored *unwritten(struct call *call, json_t *object)
{
        const struct cx_resource *stored = store_cache(call->api->store, call->resource)->resource;
        json_auto_t *encoded = converted(object, call->resource, stored);
        CX_CLEANUP(cx_freep) char *text = cx_json_text(encoded);
        return stored_new(stored, "dry-run", text, strlen(text), 0);
}

static int create_once(struct call *call, json_t *object, struct stored **ret_stored, struct cx_error *err)
{
        const struct strategy *strategy = strategy_of(call->resource);
        int r = metadata_prepare_create(call, object, err);
        if (r < 0)
                return r;
        if (resource_has_status(call->resource) && !strategy->keeps_status_on_create)
                json_object_set_new(object, "status", json_object());
        struct admission_request admission = {.call = call,
                                              .operation = ADMIT_CREATE,
                                              .name = cx_json_string(object, "metadata.name"),
                                              .object = object};
        if (strategy->prepare_create)
                r = strategy->prepare_create(call, object, err);
        if (r == 0)
                cx_schema_default(call->resource->kind, object);
        if (r == 0)
                r = admit_mutating(&admission, err);
        if (r == 0)
                cx_schema_default(call->resource->kind, object);
        if (r == 0)
                r = registry_check(call, cx_json_string(object, "metadata.name"), object, NULL, NULL, err);
        if (r == 0)
                r = admit_validating(&admission, err);
        if (r < 0)
                return r;
        if (call->dry_run) {
                *ret_stored = unwritten(call, object);
                return 0;
        }
        return write_new(call, strategy, object, ret_stored, err);
}

int registry_create(struct call *call, json_t *object_steal, struct stored **ret_stored, struct cx_error *err)
{
        json_auto_t *object = object_steal;
        const char *name = cx_json_string(object, "metadata.name");
        bool generated = !name || !*name;
        for (int i = 1;; i++) {
                CX_ERROR why = CX_ERROR_INIT;
                json_auto_t *copy = generated ? json_deep_copy(object) : json_incref(object);
                int r = create_once(call, copy, ret_stored, &why);
                if (r == 0)
                        return 0;
                if (!generated || !cx_error_is(&why, CX_REASON_ALREADY_EXISTS) || i == GENERATE_TRIES)
                        return cx_error_move(err, &why);
        }
}

void handle_create(struct call *call)
{
        CX_ERROR err = CX_ERROR_INIT;
        json_t *object = NULL;
        STORED *stored = NULL;
        int r = 0;
        if (*call->info.name)
                r = cx_error_reason(&err, CX_REASON_METHOD_NOT_ALLOWED, "POST is not allowed on a single object");
        else if (call->resource->namespaced && !*call->info.namespace)
                r = cx_error_reason(&err, CX_REASON_BAD_REQUEST, "an empty namespace may not be set during creation");
        if (r == 0)
                r = decode_body(call, call->resource->kind, &object, &err);
        if (r == 0)
                r = registry_create(call, object, &stored, &err);
        if (r < 0)
                respond_error(call, &err);
        else
                respond_stored(call, 201, cx_steal(&stored));
}
