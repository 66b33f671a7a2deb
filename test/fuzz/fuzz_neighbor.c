// SPDX-License-Identifier: Apache-2.0
// Any bytes as a frame of a neighbour. What is understood as a question is answered, and the answer is understood.
#include "addons/loadbalancer/frame.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const unsigned char own[MAC_LENGTH] = {2, 0, 0, 0, 0, 9};
        struct neighbor_message message, answer;
        unsigned char frame[FRAME_MAX];
        if (!frame_parse(data, size, &message) || message.kind != NEIGHBOR_ASKED)
                return 0;
        size_t length = frame_answer(&message, own, frame);
        if (!frame_parse(frame, length, &answer) || answer.kind != NEIGHBOR_CLAIMED ||
            cx_address_compare(&answer.address, &message.address) != 0 || memcmp(answer.sender, own, MAC_LENGTH) != 0)
                abort();
        return 0;
}
