// SPDX-License-Identifier: Apache-2.0
#include "apiserver/admission/admission.h"

#include "format/json.h"

// In upstream's order.
static const struct cx_admission_plugin *const plugins[] = {
        &cx_admission_namespace_lifecycle,
        &cx_admission_service_account,
        &cx_admission_taint_nodes,
        &cx_admission_priority,
        &cx_admission_default_toleration_seconds,
        &cx_admission_node_restriction,
};

static bool is_on(const struct cx_apiserver_options *o, const struct cx_admission_plugin *plugin)
{
        if (cx_strings_has(&o->disable_admission, plugin->name))
                return false;
        return !plugin->off_by_default || cx_strings_has(&o->enable_admission, plugin->name);
}

int cx_admit_mutating(struct cx_admission_request *request, struct cx_error *err)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(plugins); i++) {
                if (!plugins[i]->mutate || !(plugins[i]->operations & request->operation) ||
                    !is_on(&request->call->api->options, plugins[i]))
                        continue;
                int r = plugins[i]->mutate(request, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int cx_admit_validating(struct cx_admission_request *request, struct cx_error *err)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(plugins); i++) {
                if (!plugins[i]->validate || !(plugins[i]->operations & request->operation) ||
                    !is_on(&request->call->api->options, plugins[i]))
                        continue;
                int r = plugins[i]->validate(request, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int cx_admission_forbid(const struct cx_admission_request *request, const char *why, struct cx_error *err)
{
        const char *name = request->name;
        if (!name || !*name)
                name = cx_json_string(request->object, "metadata.name");
        if (!name || !*name)
                name = cx_json_string_or(request->object, "metadata.generateName", "");
        return cx_call_forbidden(request->call, name, why, err);
}
