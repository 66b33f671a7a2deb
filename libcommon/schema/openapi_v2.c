// SPDX-License-Identifier: Apache-2.0
// OpenAPI v2 (Swagger): everything in one document, for older clients.
#include "libcommon/schema/openapi_internal.h"

json_t *cx_openapi_v2(const struct cx_resource_set *all)
{
        struct cx_openapi api = {.all = all, .schemas = json_object(), .paths = json_object()};
        for (size_t i = 0; i < all->count; i++)
                cx_openapi_add_resource(&api, all->items[i]);
        return json_pack("{s:s,s:o,s:o,s:o}", "swagger", "2.0", "info", cx_openapi_info(), "paths", api.paths,
                         "definitions", api.schemas);
}
