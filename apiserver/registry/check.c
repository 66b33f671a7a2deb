// SPDX-License-Identifier: Apache-2.0
// Collects the causes of all rules, so that a client hears of everything at once.
#include "apiserver/registry/check.h"

#include "apiserver/request/errors.h"
#include "apiserver/strategy/frozen.h"
#include "apiserver/strategy/strategy.h"
#include "libcommon/api/pod.h"
#include "libcommon/format/json.h"

static void check_privileged(const json_t *object, const char *path, struct cx_error *causes)
{
        CX_POD_FOREACH(walk, cx_json_get(object, path), CX_POD_ALL)
        {
                if (!cx_json_bool(walk.container, "securityContext.privileged", false))
                        continue;
                CX_CLEANUP(cx_freep)
                char *field = cx_sprintf("%s.%s[%zu].securityContext.privileged", path, cx_pod_list_name(walk.list),
                                         walk.index);
                cx_error_cause(causes, "FieldValueForbidden", field, "Forbidden: disallowed by cluster policy");
        }
}

// Without --allow-privileged no privileged container gets in, neither in a pod nor in a template of pods.
static void check_policy(const struct scope *scope, const json_t *object, struct cx_error *causes)
{
        static const char *const templates[] = {"spec.template.spec", "spec.jobTemplate.spec.template.spec",
                                                "template.spec"};
        if (scope->api->options.allow_privileged)
                return;
        if (strcmp(scope->resource->kind->kind, "Pod") == 0)
                check_privileged(object, "spec", causes);
        for (size_t i = 0; i < CX_ARRAY_SIZE(templates); i++)
                check_privileged(object, templates[i], causes);
}

int check_object(const struct scope *scope, const json_t *object, const json_t *old, struct cx_error *err)
{
        const struct strategy *strategy = scope->kind->strategy;
        const struct cx_kind *kind = scope->resource->kind;
        CX_ERROR causes = CX_ERROR_INIT;
        int r = cx_schema_validate(kind, object, err);
        if (r < 0)
                return r;
        if (old && !scope->subresource) {
                cx_schema_validate_update(kind, object, old, &causes);
                check_frozen(scope->resource, object, old, &causes);
        }
        if (strategy->validate)
                strategy->validate(scope, object, old, &causes);
        if (!scope->subresource || cx_streq(scope->subresource, "ephemeralcontainers") ||
            cx_streq(scope->subresource, "resize"))
                check_policy(scope, object, &causes);
        return object_invalid(kind->group, kind->kind, cx_json_string(object, "metadata.name"), &causes, err);
}
