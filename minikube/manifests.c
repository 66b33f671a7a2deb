// SPDX-License-Identifier: Apache-2.0
// Brings the manifests of addons to a cluster: object by object, so that what is there already is left or brought in line.
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "libcommon/format/yaml.h"
#include "libcommon/schema/schema.h"
#include "minikube/addons.h"
#include "minikube/commands.h"
#include "minikube/services.h"

#include <poll.h>

#define PAUSE_MS 25
#define MODE "addonmanager.kubernetes.io/mode"

static int parse(const struct addon *addon, json_t **ret_objects, struct cx_error *err)
{
        return cx_yaml_parse(addon->manifest, strlen(addon->manifest), ret_objects, err);
}

static struct cx_ref ref_of(const json_t *object)
{
        const char *api_version = cx_json_string_or(object, "apiVersion", ""), *slash = strchr(api_version, '/');
        CX_CLEANUP(cx_freep) char *group = slash ? cx_strndup(api_version, (size_t)(slash - api_version)) : NULL;
        const struct cx_resource *resource = cx_schema_resource_by_kind(
                group ? group : "", slash ? slash + 1 : api_version, cx_json_string_or(object, "kind", ""));
        if (!resource)
                abort(); // manifests are ours
        return (struct cx_ref){resource->group, resource->version, resource->resource,
                               resource->namespaced ? cx_json_string(object, "metadata.namespace") : NULL,
                               cx_json_string(object, "metadata.name")};
}

static int bring(struct cx_rest *rest, const json_t *object, struct cx_error *err)
{
        const json_t *labels = cx_json_get(object, "metadata.labels");
        const struct cx_ref ref = ref_of(object);
        int r = cx_rest_create(rest, &ref, object, NULL, err);
        if (r == 0 || !cx_error_is(err, CX_REASON_ALREADY_EXISTS))
                return r;
        cx_error_release(err);
        return cx_streq(json_string_value(json_object_get(labels, MODE)), "EnsureExists")
                       ? 0
                       : cx_rest_patch(rest, &ref, NULL, CX_PATCH_MERGE, object, NULL, err);
}

static bool all_run(const struct profile *profile, const struct addon *addon)
{
        for (int node = 0; node < profile->nodes; node++) {
                CX_CLEANUP(cx_freep) char *name = node_name(profile, node);
                CX_CLEANUP(cx_freep) char *service = cx_sprintf("%s-%s", addon->service, name);
                if (!service_pid(profile, service))
                        return false;
        }
        return true;
}

int addon_apply(const struct profile *profile, struct cx_rest *rest, const struct addon *addon, int64_t deadline,
                struct cx_error *err)
{
        json_auto_t *objects = NULL;
        int r = addon->manifest ? parse(addon, &objects, err) : 0;
        for (size_t i = 0; r == 0 && i < json_array_size(objects); i++)
                r = bring(rest, json_array_get(objects, i), err);
        while (r == 0 && addon->service && !all_run(profile, addon)) {
                if (cx_time_monotonic() > deadline)
                        return cx_error_set(err, -ETIMEDOUT,
                                            "the service %s does not run on every node; see the logs in %s/logs",
                                            addon->service, profile->folder);
                (void)poll(NULL, 0, PAUSE_MS);
        }
        return r < 0 ? cx_error_wrap(err, "addon '%s'", addon->name) : r;
}

int addons_apply(const struct profile *profile, struct cx_rest *rest, int64_t deadline, struct cx_error *err)
{
        size_t count;
        const struct addon *addons = addons_all(&count);
        int r = 0;
        for (size_t i = 0; r == 0 && i < count; i++)
                if (addon_is_on(profile, addons[i].name))
                        r = addon_apply(profile, rest, &addons[i], deadline, err);
        return r;
}

int addon_remove(struct cx_rest *rest, const struct addon *addon, struct cx_error *err)
{
        json_auto_t *objects = NULL;
        int r = addon->manifest ? parse(addon, &objects, err) : 0;
        for (size_t i = json_array_size(objects); r == 0 && i-- > 0;) {
                const struct cx_ref ref = ref_of(json_array_get(objects, i));
                r = cx_rest_delete(rest, &ref, &(struct cx_delete_options)CX_DELETE_OPTIONS_INIT, err);
                if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                        cx_error_release(err);
                        r = 0;
                }
        }
        return r;
}
