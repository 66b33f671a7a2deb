// SPDX-License-Identifier: Apache-2.0
// New objects. A name that was made from generateName and is taken already is made anew.
#include "apiserver/registry/create.h"

#include "apiserver/registry/pipeline.h"
#include "apiserver/registry/registry.h"
#include "apiserver/request/errors.h"
#include "libcommon/format/json.h"

#define GENERATE_TRIES 8

static int create_once(const struct passage *passage, struct stored **ret_stored, struct cx_error *err)
{
        int r = passage_check(passage, err);
        return r < 0 ? r : passage_store(passage, NULL, ret_stored, err);
}

int create_new(const struct scope *scope, json_t *object_steal, bool applying, struct stored **ret_stored,
               struct cx_error *err)
{
        json_auto_t *object = object_steal;
        struct passage passage = {.scope = scope, .object = object, .applying = applying};
        int r = passage_mutate(&passage, err);
        if (r < 0)
                return r;
        bool generated = !*cx_json_string_or(object, "metadata.name", "");
        for (int i = 1;; i++) {
                CX_ERROR why = CX_ERROR_INIT;
                json_auto_t *copy = generated ? json_deep_copy(object) : json_incref(object);
                passage.object = copy;
                if (create_once(&passage, ret_stored, &why) == 0)
                        return 0;
                if (!cx_error_is(&why, CX_REASON_ALREADY_EXISTS))
                        return cx_error_move(err, &why);
                if (!generated || i == GENERATE_TRIES)
                        return object_exists(scope->resource, cx_json_string(copy, "metadata.name"), err);
        }
}

int registry_create(const struct scope *scope, json_t *object_steal, struct stored **ret_stored, struct cx_error *err)
{
        return create_new(scope, object_steal, false, ret_stored, err);
}
