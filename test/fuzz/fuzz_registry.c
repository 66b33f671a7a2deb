// SPDX-License-Identifier: Apache-2.0
// Image references, authentication challenges and registries.yaml, as a user or a registry may send them.
#include "kubelet/image/reference.h"
#include "kubelet/image/registry.h"

#include "libcommon/base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CX_CLEANUP(cx_freep) char *text = cx_strndup((const char *)data, size);
        IMAGE_REF ref = IMAGE_REF_INIT;
        json_auto_t *parameters = NULL;
        struct registries *registries = NULL;
        char scheme[16];
        if (image_ref_parse(text, &ref, NULL) == 0) {
                CX_CLEANUP(cx_freep) char *full = image_ref_format(&ref);
        }
        if (registry_parse_challenge(text, scheme, &parameters) < 0)
                parameters = NULL;
        if (registries_parse(text, strlen(text), &registries, NULL) == 0) {
                REGISTRY_ENDPOINTS list = {0};
                if (registries_endpoints(registries, "docker.io", "library/x", &list, NULL) < 0)
                        list.count = 0;
                registries_free(registries);
        }
        return 0;
}
