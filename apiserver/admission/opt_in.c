// SPDX-License-Identifier: Apache-2.0
// Plugins that are off unless --enable-admission-plugins names them. AlwaysPullImages has every image asked for anew, so that nobody
// runs one from the node's store whose registry would not give it to them; DenyServiceExternalIPs refuses external addresses of
// Services, by which whoever may make a Service could draw others' traffic.
#include "apiserver/admission/plugin.h"

#include "libcommon/format/json.h"

// --- AlwaysPullImages ------------------------------------------------------------------------------------------------

static const char *const containers[] = {"containers", "initContainers", "ephemeralContainers"};

static bool has_image(const json_t *pod, const char *image)
{
        const json_t *spec = json_object_get(pod, "spec");
        size_t k;
        json_t *container;
        for (size_t i = 0; i < CX_ARRAY_SIZE(containers); i++)
                json_array_foreach (json_object_get(spec, containers[i]), k, container)
                        if (cx_streq(cx_json_string(container, "image"), image))
                                return true;
        return false;
}

// Of a pod that is changed only the images that it did not have: the policy of the others may not change any more.
static int always_pull(const struct admission_request *request, struct cx_error *err CX_UNUSED)
{
        const json_t *spec = json_object_get(request->object, "spec");
        size_t k;
        json_t *item;
        for (size_t i = 0; i < CX_ARRAY_SIZE(containers); i++)
                json_array_foreach (json_object_get(spec, containers[i]), k, item)
                        if (!request->old || !has_image(request->old, cx_json_string_or(item, "image", "")))
                                json_object_set_new(item, "imagePullPolicy", json_string("Always"));
        json_array_foreach (json_object_get(spec, "volumes"), k, item) {
                json_t *image = json_object_get(item, "image");
                if (image && !request->old)
                        json_object_set_new(image, "pullPolicy", json_string("Always"));
        }
        return 0;
}

static const struct admission_want pods[] = {
        {ADMIT_CREATE | ADMIT_UPDATE, "", "pods", ""}, {ADMIT_UPDATE, "", "pods", "ephemeralcontainers"}, {0}};
const struct admission_plugin admission_always_pull_images = {
        .name = "AlwaysPullImages", .wants = pods, .mutate = always_pull, .off_by_default = true};

// --- DenyServiceExternalIPs ------------------------------------------------------------------------------------------

static bool is_among(const json_t *list, const char *text)
{
        size_t i;
        json_t *item;
        json_array_foreach (list, i, item)
                if (cx_streq(json_string_value(item), text))
                        return true;
        return false;
}

static int deny_external(const struct admission_request *request, struct cx_error *err)
{
        const json_t *old = cx_json_get(request->old, "spec.externalIPs");
        size_t i;
        json_t *address;
        json_array_foreach (cx_json_get(request->object, "spec.externalIPs"), i, address)
                if (!is_among(old, json_string_value(address))) // what is there may stay
                        return admission_forbid(request, "Use of external IPs is denied by admission control.", err);
        return 0;
}

static const struct admission_want services[] = {{ADMIT_CREATE | ADMIT_UPDATE, "", "services", ""}, {0}};
const struct admission_plugin admission_deny_external_ips = {
        .name = "DenyServiceExternalIPs", .wants = services, .validate = deny_external, .off_by_default = true};
