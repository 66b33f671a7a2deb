// SPDX-License-Identifier: Apache-2.0
// Changing an object: compute the new one from the present one, take it through the pipeline, write it if nobody was
// faster, else again.
#include "apiserver/auth/authorizer.h"
#include "apiserver/registry/create.h"
#include "apiserver/registry/managed.h"
#include "apiserver/registry/pipeline.h"
#include "apiserver/registry/registry.h"
#include "apiserver/request/convert.h"
#include "apiserver/request/errors.h"
#include "apiserver/request/object.h"
#include "apiserver/strategy/strategy.h"
#include "libcommon/format/json.h"

#define TRIES 30

static int modified(const struct scope *scope, struct cx_error *err)
{
        return object_conflict(scope->resource, scope->name,
                               "the object has been modified; please apply your changes to the latest version and try "
                               "again",
                               err);
}

// The present object: from the cache at first, from etcd once the cache proved to be behind.
static int fetch(const struct scope *scope, bool fresh, struct stored **ret_stored, struct cx_error *err)
{
        *ret_stored = fresh ? NULL : scope_find(scope);
        return *ret_stored ? 0 : scope_read(scope, ret_stored, err);
}

static json_t *in_scope_version(const struct scope *scope, const struct stored *stored)
{
        json_t *object = stored_parse(stored);
        convert(scope->kind->conversion, object, scope->resource);
        return object;
}

// Was the last finalizer taken from an object that only waited for that?
static bool is_finished(const json_t *object)
{
        return is_being_deleted(object) && !has_finalizers(object) &&
               cx_json_int(object, "metadata.deletionGracePeriodSeconds", 0) == 0 &&
               !cx_json_count(object, "spec.finalizers");
}

static int finish_delete(const struct scope *scope, const struct stored *stored, const json_t *object,
                         struct stored **ret_stored, struct cx_error *err)
{
        const struct strategy *strategy = scope->kind->strategy;
        struct stored_place place = {scope->kind->cache, scope->namespace, scope->name, stored->revision};
        int64_t revision = 0;
        int r = store_delete(scope->api->store, &place, &revision, err);
        if (r < 0)
                return r;
        if (strategy->release)
                strategy->release(scope->api, object, NULL);
        *ret_stored = stored_with_revision(stored, revision);
        return 0;
}

static bool is_stale(const json_t *object, const struct stored *stored)
{
        const char *version = cx_json_string(object, "metadata.resourceVersion");
        return version && *version && strcmp(version, "0") != 0 && strcmp(version, CX_INT(stored->revision)) != 0;
}

static int create_absent(const struct scope *scope, const struct change *change, struct stored **ret_stored,
                         struct cx_error *err)
{
        json_t *object = NULL;
        int r = scope_check(scope, "create", err); // so far only `update` or `patch` was asked for
        if (r == 0)
                r = change->compute(change->context, scope, NULL, &object, err);
        if (r < 0)
                return r;
        json_object_set_new(cx_json_object_at(object, "metadata"), "name", json_string(scope->name));
        return create_new(scope, object, change->applying, ret_stored, err);
}

// One try. 1: the object has changed meanwhile, try again.
static int update_once(const struct scope *scope, const struct change *change, const struct stored *stored, bool fresh,
                       struct stored **ret_stored, struct cx_error *err)
{
        json_auto_t *current = in_scope_version(scope, stored);
        json_auto_t *object = NULL;
        int r = change->compute(change->context, scope, current, &object, err);
        if (r < 0)
                return r;
        if (is_stale(object, stored))
                return fresh ? modified(scope, err) : 1;
        json_object_set(cx_json_object_at(object, "metadata"), "resourceVersion",
                        cx_json_get(current, "metadata.resourceVersion"));
        struct passage passage = {.scope = scope,
                                  .object = object,
                                  .old = current,
                                  .applying = change->applying,
                                  .admitted = change->admitted};
        r = passage_mutate(&passage, err);
        if (r == 0)
                r = passage_check(&passage, err);
        if (r < 0)
                return r;
        bool same = json_equal(object, current);
        if (!change->applying && !same)
                managed_update(scope, object, current);
        bool finished = is_finished(object) && !scope->dry_run;
        if (same && !finished && !store_would_rewrite(scope->api->store, scope->kind->cache, stored)) {
                *ret_stored = stored_ref((struct stored *)stored);
                return 0;
        }
        CX_ERROR why = CX_ERROR_INIT;
        r = finished ? finish_delete(scope, stored, object, ret_stored, &why)
                     : passage_store(&passage, stored, ret_stored, &why);
        if (cx_error_is(&why, CX_REASON_CONFLICT))
                return 1;
        return r < 0 ? cx_error_move(err, &why) : 0;
}

int registry_update(const struct scope *scope, const struct change *change, struct stored **ret_stored,
                    bool *ret_created, struct cx_error *err)
{
        bool fresh = change->fresh;
        if (ret_created)
                *ret_created = false;
        for (int i = 0; i < TRIES; i++) {
                STORED *stored = NULL;
                CX_ERROR why = CX_ERROR_INIT;
                if (fetch(scope, fresh, &stored, &why) < 0) {
                        if (!cx_error_is(&why, CX_REASON_NOT_FOUND) || !change->create_if_absent)
                                return cx_error_move(err, &why);
                        CX_ERROR late = CX_ERROR_INIT;
                        if (create_absent(scope, change, ret_stored, &late) == 0) {
                                if (ret_created)
                                        *ret_created = true;
                                return 0;
                        }
                        if (!cx_error_is(&late, CX_REASON_ALREADY_EXISTS))
                                return cx_error_move(err, &late);
                        fresh = true; // somebody was faster: it is there to be changed
                        continue;
                }
                int r = update_once(scope, change, stored, fresh, ret_stored, err);
                if (r <= 0)
                        return r;
                fresh = true;
        }
        return modified(scope, err);
}
