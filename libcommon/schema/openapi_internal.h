// SPDX-License-Identifier: Apache-2.0
// What OpenAPI v2 and v3 share: schemas of types and operations of resources, which differ in a few spellings.
#pragma once

#include "libcommon/schema/engine.h"

struct cx_openapi {
        const struct cx_resource_set *all; // what is served
        bool v3;
        json_t *schemas; // definitions or components.schemas; owned by the document
        json_t *paths;
};
// Adds the schema of the type and of all that it refers to.
void cx_openapi_add_type(struct cx_openapi *api, const struct cx_type *type);
// A reference to a type's schema, new; adds the type.
json_t *cx_openapi_ref(struct cx_openapi *api, const struct cx_type *type);
// A reference to the schema of a resource's list, for those that have no type of their own for it; new; adds it.
json_t *cx_openapi_list(struct cx_openapi *api, const struct cx_resource *resource);
// Adds the paths of a resource and the types they need.
void cx_openapi_add_resource(struct cx_openapi *api, const struct cx_resource *resource);
json_t *cx_openapi_info(void);
