// SPDX-License-Identifier: Apache-2.0
// What becomes of a volume on a node, decided without I/O.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FORCED_DETACH_NS (360 * (int64_t)1000000000) // a node that does not answer unmounts no more after so long

struct attachment_facts {
        bool wanted;         // a pod on the node uses the volume
        bool mounted;        // the node says that it has it in use
        bool node_ready;     // it answers
        bool out_of_service; // somebody says that it will not come back
        int64_t unwanted;    // ns since nobody wants it
};
enum detach_step { DETACH_NOT, DETACH_WAITS, DETACH_NOW };
enum detach_step plan_detach(const struct attachment_facts *facts);

// Whether a volume may be on one node only, by the access modes of the volume (api/storage.h).
bool is_for_one_node(unsigned access);
