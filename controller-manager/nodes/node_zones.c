// SPDX-License-Identifier: Apache-2.0
// Counts nodes by zone; each zone has a token bucket.
#include "controller-manager/nodes/node_zones.h"
#include "controller-manager/core/options.h"

#include "libcommon/base/time.h"

struct node_zone {
        int64_t ready, down;
        double tokens; // at most one
        int64_t refilled;
};
struct zoned_node {
        char *zone;
        bool ready;
};

static void free_node(void *value)
{
        struct zoned_node *node = value;
        free(node->zone);
        free(node);
}

void node_zones_init(struct node_zones *self, const struct node_zones_options *options)
{
        *self = (struct node_zones){
                .options = *options, .nodes = CX_MAP_INIT_FREE(free_node), .zones = CX_MAP_INIT_FREE(free)};
        pthread_mutex_init(&self->lock, NULL);
}

void node_zones_release(struct node_zones *self)
{
        cx_map_release(&self->nodes);
        cx_map_release(&self->zones);
        pthread_mutex_destroy(&self->lock);
}

static void count(struct node_zones *self, const struct zoned_node *node, int sign)
{
        struct node_zone *zone = cx_map_get(&self->zones, node->zone);
        if (!zone) {
                zone = cx_alloc(sizeof *zone);
                zone->tokens = 1;
                cx_map_set(&self->zones, node->zone, zone);
        }
        *(node->ready ? &zone->ready : &zone->down) += sign;
        self->ready += node->ready ? sign : 0;
}

static void forget(struct node_zones *self, const char *name)
{
        struct zoned_node *node = cx_map_take(&self->nodes, name);
        if (!node)
                return;
        count(self, node, -1);
        const struct node_zone *zone = cx_map_get(&self->zones, node->zone);
        if (!zone->ready && !zone->down)
                cx_map_remove(&self->zones, node->zone);
        free_node(node);
}

void node_zones_note(struct node_zones *self, const char *name, const char *zone, bool ready)
{
        pthread_mutex_lock(&self->lock);
        struct zoned_node *node = cx_map_get(&self->nodes, name);
        if (node && strcmp(node->zone, zone) == 0) {
                count(self, node, -1);
        } else {
                forget(self, name);
                node = cx_alloc(sizeof *node);
                node->zone = cx_strdup(zone);
                cx_map_set(&self->nodes, name, node);
        }
        node->ready = ready;
        count(self, node, 1);
        pthread_mutex_unlock(&self->lock);
}

void node_zones_forget(struct node_zones *self, const char *node)
{
        pthread_mutex_lock(&self->lock);
        forget(self, node);
        pthread_mutex_unlock(&self->lock);
}

bool node_zones_all_down(struct node_zones *self)
{
        pthread_mutex_lock(&self->lock);
        bool down = self->nodes.count && !self->ready;
        pthread_mutex_unlock(&self->lock);
        return down;
}

static double rate_of(const struct node_zones *self, const struct node_zone *zone)
{
        int64_t all = zone->ready + zone->down;
        // A zone without any node that is well is given up at the usual rate: there are others to go to.
        bool partial =
                zone->ready && zone->down > 2 && (double)zone->down / (double)all >= self->options.unhealthy_threshold;
        if (!partial)
                return self->options.rate;
        return all > self->options.large ? self->options.secondary_rate : 0;
}

bool node_zones_may_give_up(struct node_zones *self, const char *key, int64_t now, int64_t *ret_wait)
{
        pthread_mutex_lock(&self->lock);
        struct node_zone *zone = cx_map_get(&self->zones, key);
        double rate = zone && self->ready ? rate_of(self, zone) : 0;
        bool may = false;
        *ret_wait = 10 * CX_NS_PER_S; // a rate of none: until the zone looks different
        if (zone && rate > 0) {
                zone->tokens += zone->refilled ? (double)(now - zone->refilled) / 1e9 * rate : 0;
                zone->tokens = zone->tokens > 1 ? 1 : zone->tokens;
                zone->refilled = now;
                may = zone->tokens >= 1;
                if (may)
                        zone->tokens -= 1;
                else
                        *ret_wait = (int64_t)((1 - zone->tokens) / rate * 1e9);
        }
        pthread_mutex_unlock(&self->lock);
        return may;
}
