// SPDX-License-Identifier: Apache-2.0
// Each step once, for all that write. The order is what it is about: see the header.
#include "apiserver/registry/pipeline.h"

#include "apiserver/admission/admission.h"
#include "apiserver/registry/check.h"
#include "apiserver/registry/managed.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/request/convert.h"
#include "apiserver/request/object.h"
#include "apiserver/strategy/strategy.h"
#include "libcommon/format/json.h"

#define CHARGE_TRIES 50

static struct admission_request admission_of(const struct passage *passage)
{
        return (struct admission_request){.scope = passage->scope,
                                          .operation = passage->old ? ADMIT_UPDATE : ADMIT_CREATE,
                                          .object = passage->object,
                                          .old = passage->old};
}

int passage_mutate(const struct passage *passage, struct cx_error *err)
{
        const struct scope *scope = passage->scope;
        int r = passage->old ? metadata_begin_update(scope, passage->object, passage->old, err)
                             : metadata_begin_create(scope, passage->object, err);
        if (r < 0)
                return r;
        json_t *metadata = json_object_get(passage->object, "metadata");
        if (!passage->applying && passage->old)
                managed_keep(metadata, json_object_get(passage->old, "metadata"));
        else if (!passage->applying)
                json_object_del(metadata, "managedFields");
        cx_schema_default(scope->resource->kind, passage->object);
        if (passage->admitted)
                return 0;
        struct admission_request admission = admission_of(passage);
        bool touched = false;
        r = admit_mutating(&admission, &touched, err);
        if (r == 0 && touched)
                cx_schema_default(scope->resource->kind, passage->object);
        return r;
}

static int prepare(const struct passage *passage, struct cx_error *err)
{
        const struct scope *scope = passage->scope;
        const struct strategy *strategy = scope->kind->strategy;
        json_t *object = passage->object;
        int r;
        if (passage->old) {
                r = metadata_complete_update(scope, object, passage->old, err);
                if (r == 0 && strategy->prepare_update)
                        r = strategy->prepare_update(scope, object, passage->old, err);
        } else {
                r = metadata_complete_create(scope, object, err);
                if (resource_has_status(scope->resource) && !strategy->keeps_status_on_create)
                        json_object_set_new(object, "status", json_object());
                if (r == 0 && strategy->prepare_create)
                        r = strategy->prepare_create(scope, object, err);
        }
        return r;
}

int passage_check(const struct passage *passage, struct cx_error *err)
{
        int r = cx_json_check_weight(passage->object, err);
        if (r == 0)
                r = prepare(passage, err);
        if (r < 0)
                return r;
        cx_schema_default(passage->scope->resource->kind, passage->object);
        if (passage->old)
                metadata_count_generation(passage->scope, passage->object, passage->old);
        struct admission_request admission = admission_of(passage);
        r = check_object(passage->scope, passage->object, passage->old, err);
        return r < 0 || passage->admitted ? r : admit_validating(&admission, err);
}

// What a dry run answers with: the object as it would be, never written.
static struct stored *unwritten(const struct cache *cache, json_t *encoded, const struct stored *present)
{
        json_object_del(json_object_get(encoded, "metadata"), "resourceVersion"); // spliced in again
        CX_CLEANUP(cx_freep) char *text = cx_json_text(encoded);
        return stored_new(&cache->selectable, present ? present->key : "dry-run", text, strlen(text),
                          present ? present->revision : 0);
}

// Who charged an account is the server; an account that was applied knows it.
static void own_charges(const struct scope *scope, struct admission_charges *charges)
{
        for (size_t i = 0; i < charges->count; i++) {
                struct admission_charge *charge = &charges->items[i];
                const struct stored_place *place = &charge->write.place;
                struct scope own = scope_own(scope->api, charge->kind, place->namespace, place->name);
                own.subresource = "status";
                managed_update(&own, charge->object, charge->before);
        }
}

// In one transaction with what the object costs. Whoever meets a newer account looks at it and tries again.
static int write_charged(const struct passage *passage, const struct store_write *write, struct stored **ret_stored,
                         struct cx_error *err)
{
        const struct admission_request admission = admission_of(passage);
        for (int i = 0;; i++) {
                ADMISSION_CHARGES charges = {0};
                struct store_write writes[STORE_MAX_WRITES] = {*write};
                size_t conflict = 0;
                CX_ERROR why = CX_ERROR_INIT;
                int r = passage->admitted ? 0 : admit_charge(&admission, i > 0, &charges, err);
                if (r < 0)
                        return r;
                own_charges(passage->scope, &charges);
                for (size_t j = 0; j < charges.count; j++)
                        writes[j + 1] = charges.items[j].write;
                const struct store_transaction transaction = {.writes = writes,
                                                              .count = charges.count + 1,
                                                              .guarded = charges.accounts,
                                                              .guarded_namespace = passage->scope->namespace,
                                                              .newest = charges.newest};
                r = store_commit(passage->scope->api->store, &transaction, ret_stored, &conflict, &why);
                if (r == 0 || conflict == 0 || !cx_error_is(&why, CX_REASON_CONFLICT))
                        return cx_error_move(err, &why);
                if (i == CHARGE_TRIES)
                        return cx_error_reason(err, CX_REASON_SERVER_TIMEOUT,
                                               "the quotas of namespace %s change too fast", passage->scope->namespace);
        }
}

static int dry_run(const struct passage *passage, const struct stored *present, json_t *encoded,
                   struct stored **ret_stored, struct cx_error *err)
{
        const struct admission_request admission = admission_of(passage);
        ADMISSION_CHARGES charges = {0};
        int r = passage->admitted ? 0 : admit_charge(&admission, false, &charges, err);
        if (r == 0)
                *ret_stored = unwritten(passage->scope->kind->cache, encoded, present);
        return r;
}

int passage_store(const struct passage *passage, const struct stored *present, struct stored **ret_stored,
                  struct cx_error *err)
{
        const struct scope *scope = passage->scope;
        struct apiserver *api = scope->api;
        const struct strategy *strategy = scope->kind->strategy;
        const struct served_kind *kind = scope->kind;
        if (strategy->allocate) {
                int r = strategy->allocate(scope, passage->object, passage->old, err);
                if (r < 0)
                        return r;
        }
        json_auto_t *encoded = converted(kind->conversion, passage->object, kind->stored);
        if (scope->dry_run)
                return dry_run(passage, present, encoded, ret_stored, err);
        const struct store_write write = {.place = {kind->cache, scope->namespace,
                                                    cx_json_string(passage->object, "metadata.name"),
                                                    present ? present->revision : 0},
                                          .object = encoded,
                                          .ttl = strategy->ttl ? strategy->ttl(api) : 0};
        int r = write_charged(passage, &write, ret_stored, err);
        if (strategy->release && r == 0 && passage->old)
                strategy->release(api, passage->old, passage->object);
        // A write whose outcome is unknown keeps what it took; the repair loop gives it back if the object is not
        // there.
        if (strategy->release && r < 0 && r != -ETIMEDOUT)
                strategy->release(api, passage->object, passage->old);
        return r;
}
