// SPDX-License-Identifier: Apache-2.0
// Small questions to objects and resources.
#include "apiserver/request/object.h"

#include "libcommon/format/json.h"

bool resource_has_status(const struct cx_resource *resource)
{
        return cx_resource_subresource(resource, "status") != NULL;
}

bool has_finalizers(const json_t *object)
{
        return cx_json_count(object, "metadata.finalizers") > 0;
}

bool is_being_deleted(const json_t *object)
{
        return cx_json_get(object, "metadata.deletionTimestamp") != NULL;
}

bool is_resource(const struct cx_resource *resource, const char *group, const char *name)
{
        return strcmp(resource->resource, name) == 0 && strcmp(resource->group, group) == 0;
}
