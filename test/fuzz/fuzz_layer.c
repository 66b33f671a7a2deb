// SPDX-License-Identifier: Apache-2.0
// Image layers, as a registry may send them: unpacked into a scratch folder, with small limits.
#include "kubelet/image/unpack.h"
#include "libcommon/base/process.h"
#include "libcommon/base/tree.h"

#include <fcntl.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char root[] = "/dev/shm/fuzz-layer.XXXXXX";
        CX_CLEANUP(cx_closep) int fd = memfd_create("layer", MFD_CLOEXEC);
        if (!mkdtemp(root) || fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) < 0)
                abort();
        const struct unpack_limits limits = {.max_bytes = 1 << 20, .max_entries = 100};
        CX_ERROR err = CX_ERROR_INIT;
        struct layer_content content;
        (void)!unpack_layer(fd, root, &limits, &content, &err);
        cx_error_release(&err);
        if (cx_remove_tree(root, &err) < 0)
                abort();
        return 0;
}
