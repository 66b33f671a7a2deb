// SPDX-License-Identifier: Apache-2.0
// What drivers and their registrars answer: every message that is read of them.
#include "csi/csi.pb-c.h"
#include "libcommon/base/macro.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const ProtobufCMessageDescriptor *const types[] = {
                &csi__plugin_info__descriptor, &csi__node_info__descriptor, &csi__node_capabilities__descriptor,
                &csi__stats_response__descriptor, &csi__expand_response__descriptor};
        for (size_t i = 0; i < CX_ARRAY_SIZE(types); i++) {
                ProtobufCMessage *message = protobuf_c_message_unpack(types[i], NULL, size, data);
                if (message)
                        protobuf_c_message_free_unpacked(message, NULL);
        }
        return 0;
}
