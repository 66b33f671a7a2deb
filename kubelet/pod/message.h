// SPDX-License-Identifier: Apache-2.0
// The message that a container leaves when it ends. Any thread.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct termination {
        const char *file, *log; // what it may write its message to; its log, in CRI's form
        const char *policy;     // terminationMessagePolicy
        bool failed;
        size_t max; // bytes
};
// A new reference; NULL when there is none.
json_t *termination_message(const struct termination *end);
// How long the message of one of the pod's containers may be: they share 12 KiB.
size_t termination_message_share(const json_t *pod);
