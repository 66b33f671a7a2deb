// SPDX-License-Identifier: Apache-2.0
// A frame as the proxy asks with it, and what comes of a question: an answer that is a frame itself.
#include "addons/ingress/htpasswd.h"
#include "addons/ingress/spop.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct spop_frame frame, answer;
        if (size > SPOP_MAX_FRAME || spop_parse(data, size, &frame) < 0)
                return 0;
        if (frame.id && frame.credentials && strlen(frame.id) < 64) // as lines of users, which are from outside, too
                (void)htpasswd_accepts(frame.id, "a", frame.credentials);
        CX_BUF text = CX_BUF_INIT;
        spop_write_verdict(&frame, false, &text);
        assert(spop_parse(text.data + 4, text.length - 4, &answer) == 0);
        assert(answer.type == SPOP_ACK && answer.stream == frame.stream && answer.frame == frame.frame);
        spop_frame_release(&answer);
        spop_frame_release(&frame);
        return 0;
}
