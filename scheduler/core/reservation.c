// SPDX-License-Identifier: Apache-2.0
// Calls the hooks around a bind, in the order of the table; undoing goes backwards.
#include "scheduler/core/reservation.h"

int reservation_make(struct cycle *cycle, const struct node *node, struct reservation *ret_reservation,
                     struct cx_error *err)
{
        struct reservation made = {0};
        for (size_t i = 0; i < cycle->plugins->count; i++) {
                const struct plugin *plugin = cycle_call(cycle, i);
                if (!cycle->profile->plugins[i].reserves)
                        continue;
                void *state = NULL;
                int r = plugin->reserve(cycle, node, &state, err);
                if (r < 0) {
                        reservation_undo(&made);
                        cycle->failed |= 1U << i;
                        return cx_error_wrap(err, "running Reserve plugin \"%s\"", plugin->name);
                }
                if (state)
                        *LIST_ADD(&made) = (struct reserved){plugin, state};
        }
        *ret_reservation = made;
        return 0;
}

int reservation_pre_bind(const struct reservation *reservation, const struct placement *placement, struct cx_error *err)
{
        for (size_t i = 0; i < reservation->count; i++) {
                const struct reserved *item = &reservation->items[i];
                if (item->plugin->pre_bind && item->plugin->pre_bind(placement, item->state, err) < 0)
                        return cx_error_wrap(err, "running PreBind plugin \"%s\"", item->plugin->name);
        }
        return 0;
}

void reservation_undo(struct reservation *reservation)
{
        for (size_t i = reservation->count; i-- > 0;)
                if (reservation->items[i].plugin->unreserve)
                        reservation->items[i].plugin->unreserve(reservation->items[i].state);
        free(reservation->items);
        *reservation = (struct reservation){0};
}

void reservation_settle(struct reservation *reservation)
{
        for (size_t i = 0; i < reservation->count; i++)
                if (reservation->items[i].plugin->post_bind)
                        reservation->items[i].plugin->post_bind(reservation->items[i].state);
        free(reservation->items);
        *reservation = (struct reservation){0};
}
