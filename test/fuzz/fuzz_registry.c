// SPDX-License-Identifier: Apache-2.0
// Image references, authentication challenges and registries.yaml, as a user or a registry may send them.
#include "kubelet/image/reference.h"
#include "kubelet/image/registry.h"

#include "base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CX_CLEANUP(cx_freep) char *text = cx_strndup((const char *)data, size);
        CX_IMAGE_REF ref = CX_IMAGE_REF_INIT;
        json_auto_t *parameters = NULL;
        struct cx_registries *registries = NULL;
        char scheme[16];
        if (cx_image_ref_parse(text, &ref, NULL) == 0) {
                CX_CLEANUP(cx_freep) char *full = cx_image_ref_format(&ref);
        }
        if (cx_registry_parse_challenge(text, scheme, &parameters) < 0)
                parameters = NULL;
        if (cx_registries_parse(text, strlen(text), &registries, NULL) == 0) {
                CX_REGISTRY_ENDPOINTS list = {0};
                if (cx_registries_endpoints(registries, "docker.io", "library/x", &list, NULL) < 0)
                        list.count = 0;
                cx_registries_free(registries);
        }
        return 0;
}
