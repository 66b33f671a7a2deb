// SPDX-License-Identifier: Apache-2.0
// Pulls an image: tries the endpoints of its registry in order, fetches missing layers in parallel, verifies, unpacks,
// records. Blocks; any thread may call, also for the same image at once.
#pragma once

#include "kubelet/image/registries.h"
#include "kubelet/image/store.h"

struct cx_pull_options {
        struct cx_image_store *store;
        const struct cx_registries *registries;
        const char *image;            // as the pod says it
        const json_t *docker_configs; // array of Docker configs ({"auths": …}) from pull secrets; may be NULL
        int parallel;                 // layers at a time, 0: 3
};
// ret_record: the image's record, a new reference. ret_bytes (may be NULL): size of the compressed layers.
int cx_image_pull(const struct cx_pull_options *options, json_t **ret_record, int64_t *ret_bytes, struct cx_error *err)
        CX_CHECK;

// Credentials for registry/repository in a list of Docker configs; owned strings, NULL when there are none.
struct cx_docker_auth {
        char *username, *password, *identity_token;
};
bool cx_docker_auth_find(const json_t *docker_configs, const char *registry, const char *repository,
                         struct cx_docker_auth *ret_auth);
void cx_docker_auth_release(struct cx_docker_auth *auth);
// What a Secret of type kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg holds; a new reference or NULL.
json_t *cx_docker_config_from_secret(const json_t *secret);
