// SPDX-License-Identifier: Apache-2.0
// The conditions that the kubelet keeps in a pod's status, with upstream's reasons and sentences. Pure; any thread.
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct condition_facts {
        const char *phase;
        bool sandbox;               // it and its network are ready
        bool began;                 // a main container has run, so that initialization is over whatever the records say
        const json_t *init, *mains; // container statuses
        const char *resize_reason, *resize_message; // of a resize that waits; NULL: none does
        bool resizing;                              // containers do not have yet what they were given
        const char *resize_error;                   // what keeps them from it; may be NULL
};
// `last`: the status told before (NULL), for transition times that have not come back in the object yet. New reference.
json_t *pod_conditions(const json_t *object, const json_t *last, const struct condition_facts *facts);
