// SPDX-License-Identifier: Apache-2.0
#include "apiserver/admission/admission.h"

#include "libcommon/format/json.h"

// In upstream's order.
static const struct admission_plugin *const plugins[] = {
        &admission_namespace_lifecycle,        &admission_service_account,  &admission_taint_nodes, &admission_priority,
        &admission_default_toleration_seconds, &admission_node_restriction,
};

static bool is_on(const struct apiserver_options *o, const struct admission_plugin *plugin)
{
        if (cx_strings_has(&o->disable_admission, plugin->name))
                return false;
        return !plugin->off_by_default || cx_strings_has(&o->enable_admission, plugin->name);
}

int admit_mutating(struct admission_request *request, struct cx_error *err)
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

int admit_validating(struct admission_request *request, struct cx_error *err)
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

int admission_forbid(const struct admission_request *request, const char *why, struct cx_error *err)
{
        const char *name = request->name;
        if (!name || !*name)
                name = cx_json_string(request->object, "metadata.name");
        if (!name || !*name)
                name = cx_json_string_or(request->object, "metadata.generateName", "");
        return call_forbidden(request->call, name, why, err);
}
