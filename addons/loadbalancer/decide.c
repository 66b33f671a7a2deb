// SPDX-License-Identifier: Apache-2.0
#include "addons/loadbalancer/decide.h"

#define SPREAD (100 * CX_NS_PER_MS)
#define NOT_READY (200 * CX_NS_PER_MS)

enum address_step address_decide(const struct address_view *view, int64_t *ret_wait)
{
        if (view->mine && !view->eligible)
                return STEP_GIVE_UP;
        if (view->mine)
                return view->disputed ? STEP_NONE : STEP_ANNOUNCE;
        if (view->held || !view->eligible)
                return STEP_NONE;
        if (view->vacant >= view->turn)
                return STEP_TAKE;
        *ret_wait = view->turn - view->vacant;
        return STEP_WAIT;
}

// FNV-1a, which is the same on all nodes.
static uint64_t hash(uint64_t value, const char *text)
{
        for (; *text; text++)
                value = (value ^ (unsigned char)*text) * 0x100000001b3;
        return value;
}

int64_t address_turn(const char *address, const char *node, bool ready)
{
        uint64_t mixed = hash(hash(0xcbf29ce484222325, address) ^ '/', node);
        mixed ^= mixed >> 33;
        return (int64_t)(mixed % (uint64_t)SPREAD) + (ready ? 0 : NOT_READY);
}
