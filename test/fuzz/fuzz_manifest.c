// SPDX-License-Identifier: Apache-2.0
// Static pod manifests, and image indexes, as anybody may write them.
#include "kubelet/image/registry.h"
#include "kubelet/pod/manifests.h"
#include "libcommon/format/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        json_auto_t *pod = NULL, *index = NULL;
        if (manifest_parse((const char *)data, size, "fuzz", "n1", &pod, NULL) < 0)
                pod = NULL;
        if (cx_json_parse((const char *)data, size, false, &index, NULL) < 0)
                index = NULL;
        (void)registry_pick_platform(index, "linux", "amd64");
        return 0;
}
