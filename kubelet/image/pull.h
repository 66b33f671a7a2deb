// SPDX-License-Identifier: Apache-2.0
// Pulls an image: tries the endpoints of its registry in order, fetches missing layers in parallel, verifies, unpacks,
// records. Blocks; any thread may call, also for the same image at once.
#pragma once

#include "kubelet/image/registries.h"
#include "kubelet/image/store.h"

struct pull_options {
        struct image_store *store;
        const struct registries *registries;
        const char *image;            // as the pod says it
        const json_t *docker_configs; // array of Docker configs ({"auths": …}) from pull secrets; may be NULL
};
// ret_record: the image's record, a new reference. ret_bytes (may be NULL): size of the compressed layers.
int image_pull(const struct pull_options *options, json_t **ret_record, int64_t *ret_bytes, struct cx_error *err)
        CX_CHECK;
