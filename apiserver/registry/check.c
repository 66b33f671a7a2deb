// SPDX-License-Identifier: Apache-2.0
// Whether an object may be stored: what the schema says, what its kind's strategy says, what this server was told.
#include "apiserver/registry/metadata.h"
#include "apiserver/registry/registry.h"
#include "apiserver/strategy/frozen.h"
#include "apiserver/strategy/strategy.h"
#include "libcommon/format/json.h"

static void check_privileged(const json_t *object, const char *path, struct cx_error *causes)
{
        static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
        const json_t *spec = cx_json_get(object, path);
        for (size_t l = 0; l < CX_ARRAY_SIZE(lists); l++) {
                const json_t *containers = json_object_get(spec, lists[l]);
                for (size_t i = 0; i < json_array_size(containers); i++) {
                        if (!cx_json_bool(json_array_get(containers, i), "securityContext.privileged", false))
                                continue;
                        CX_CLEANUP(cx_freep)
                        char *field = cx_sprintf("%s.%s[%zu].securityContext.privileged", path, lists[l], i);
                        cx_error_cause(causes, "FieldValueForbidden", field, "Forbidden: disallowed by cluster policy");
                }
        }
}

// Without --allow-privileged no privileged container gets in, neither in a pod nor in a template of pods.
static void check_policy(const struct call *call, const json_t *object, struct cx_error *causes)
{
        static const char *const templates[] = {"spec.template.spec", "spec.jobTemplate.spec.template.spec",
                                                "template.spec"};
        if (call->api->options.allow_privileged)
                return;
        if (strcmp(call->resource->kind->kind, "Pod") == 0)
                check_privileged(object, "spec", causes);
        for (size_t i = 0; i < CX_ARRAY_SIZE(templates); i++)
                check_privileged(object, templates[i], causes);
}

int registry_check(struct call *call, const char *name, const json_t *object, const json_t *old,
                   const char *subresource, struct cx_error *err)
{
        const struct strategy *strategy = strategy_of(call->resource);
        CX_ERROR causes = CX_ERROR_INIT;
        int r = cx_schema_validate(call->resource->kind, object, err);
        if (r < 0)
                return r;
        if (old && !subresource) {
                cx_schema_validate_update(call->resource->kind, object, old, &causes);
                check_frozen(call->resource, object, old, &causes);
        }
        if (strategy->validate)
                strategy->validate(call, object, old, subresource, &causes);
        if (!subresource)
                check_policy(call, object, &causes);
        return call_invalid(call, name, &causes, err);
}
