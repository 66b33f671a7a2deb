// SPDX-License-Identifier: Apache-2.0
// How healthy the zones are, and so how fast pods may be evicted from silent nodes. One node that stops is probably
// broken. When many nodes of a zone stop at once, it is more likely the network, and evicting everything would do harm.
// So nodes are given up one by one, at a rate. In a zone that is mostly silent the rate is low, and zero when the zone
// is small. When no node anywhere is well, it is we who are cut off, and nothing is given up. Any thread.
#pragma once

#include "controller-manager/core/options.h"
#include "libcommon/base/map.h"
#include "libcontroller/manager.h"

#include <pthread.h>

struct node_zones {
        struct node_zones_options options;
        pthread_mutex_t lock; // guards what follows
        struct cx_map nodes;  // name -> struct zoned_node
        struct cx_map zones;  // key -> struct node_zone
        int64_t ready;        // nodes in all
};
void node_zones_init(struct node_zones *self, const struct node_zones_options *options);
void node_zones_release(struct node_zones *self);
void node_zones_note(struct node_zones *self, const char *node, const char *zone, bool ready);
void node_zones_forget(struct node_zones *self, const char *node);
// No node is well. (Without nodes: false.)
bool node_zones_all_down(struct node_zones *self);
// Takes the right to give a node of the zone up at `now` (monotonic). Otherwise false, and when to ask again (ns).
bool node_zones_may_give_up(struct node_zones *self, const char *zone, int64_t now, int64_t *ret_wait);
