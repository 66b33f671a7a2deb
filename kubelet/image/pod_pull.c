// SPDX-License-Identifier: Apache-2.0
#include "kubelet/image/pod_pull.h"

#include "kubelet/image/docker_auth.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

// The Docker configurations in the pod's pull secrets. One that is missing is skipped, as upstream does.
static json_t *pull_secrets(const struct kubelet *k, const json_t *object)
{
        json_t *configs = json_array();
        size_t i;
        json_t *ref;
        json_array_foreach (cx_json_get(object, "spec.imagePullSecrets"), i, ref) {
                json_auto_t *secret = NULL;
                CX_ERROR err = CX_ERROR_INIT;
                const char *name = cx_json_string_or(ref, "name", "");
                if (!k->rest || !*name)
                        continue;
                int r = cx_rest_get(k->rest,
                                    CX_REF(.version = "v1", .resource = "secrets",
                                           .namespace = cx_json_string(object, "metadata.namespace"), .name = name),
                                    &secret, &err);
                if (r < 0) {
                        pod_event(k, object, NULL, "Warning", "FailedToRetrieveImagePullSecret",
                                  "Unable to retrieve some image pull secrets (%s); attempting to pull the image may "
                                  "not succeed.",
                                  name);
                        continue;
                }
                json_t *config = docker_config_from_secret(secret);
                if (config)
                        json_array_append_new(configs, config);
        }
        return configs;
}

int pod_pull_image(const struct kubelet *k, const json_t *pod, const char *image, json_t **ret_record,
                   int64_t *ret_bytes, struct cx_error *err)
{
        struct registries *registries = NULL;
        json_auto_t *configs = pull_secrets(k, pod);
        int r = registries_load(k->registry_config, &registries, err);
        if (r == 0)
                r = image_pull(&(struct pull_options){.store = k->images,
                                                      .registries = registries,
                                                      .image = image,
                                                      .docker_configs = configs},
                               ret_record, ret_bytes, err);
        registries_free(registries);
        return r;
}

void pod_tell_pulled(const struct kubelet *k, const json_t *pod, const char *container, const char *image, int64_t took,
                     int64_t bytes)
{
        char text[CX_TIME_TEXT];
        cx_duration_format(took / CX_NS_PER_MS * CX_NS_PER_MS, text);
        pod_event(k, pod, container, "Normal", "Pulled",
                  "Successfully pulled image \"%s\" in %s (%s including waiting). Image size: %lld bytes.", image, text,
                  text, (long long)bytes);
}
