// SPDX-License-Identifier: Apache-2.0
#include "addons/ingress/slots.h"

#include <stdio.h>

#define FIRST_SPARE 64 // of backends without a profile, as most are
#define SPARE 8        // of each other profile

static void slot_free(struct backend_slot *slot)
{
        cx_map_release(&slot->live);
        cx_map_release(&slot->gone);
        free(slot->profile);
        free(slot->key);
        free(slot);
}

void slots_release(struct slots *slots)
{
        for (size_t i = 0; i < slots->count; i++)
                slot_free(slots->items[i]);
        free(slots->items);
        *slots = (struct slots){0};
}

static struct backend_slot *add_slot(struct slots *slots, const char *profile)
{
        struct backend_slot *slot = cx_alloc(sizeof *slot);
        snprintf(slot->name, sizeof slot->name, "b%zu", slots->made++);
        slot->profile = cx_strdup(profile);
        slots->items = cx_realloc_array(slots->items, slots->count + 1, sizeof(struct backend_slot *));
        return slots->items[slots->count++] = slot;
}

static size_t count_used(const struct slots *slots, const char *profile)
{
        size_t used = 0;
        for (size_t i = 0; i < slots->count; i++)
                used += slots->items[i]->key && strcmp(slots->items[i]->profile, profile) == 0;
        return used;
}

// Room for as many again as are in use with that profile, so that growing to any number takes few loads.
static size_t spare_of(size_t used, const char *profile)
{
        size_t least = !*profile ? FIRST_SPARE : used ? SPARE : 0;
        return used > least ? used : least;
}

static struct backend_slot *grow(struct slots *slots, const char *profile)
{
        struct backend_slot *slot = add_slot(slots, profile);
        for (size_t left = spare_of(count_used(slots, profile) + 1, profile); left; left--)
                add_slot(slots, profile);
        return slot;
}

// Beginning at *cursor, which is only ever right for one profile.
static struct backend_slot *find_free(const struct slots *slots, const char *profile, size_t *cursor)
{
        for (; *cursor < slots->count; (*cursor)++) {
                struct backend_slot *slot = slots->items[*cursor];
                if (!slot->key && !slot->live.count && !slot->gone.count && strcmp(slot->profile, profile) == 0)
                        return slot;
        }
        return NULL;
}

enum slots_outcome slots_assign(struct slots *slots, const struct plan *plan, bool may_add_profiles)
{
        enum slots_outcome outcome = slots->count ? SLOTS_ENOUGH : SLOTS_ADDED;
        bool missing = false;
        size_t plain = 0;
        CX_MAP taken = CX_MAP_INIT;
        if (!slots->count)
                grow(slots, "");
        for (size_t i = 0; i < slots->count; i++)
                if (slots->items[i]->key)
                        cx_map_set(&taken, slots->items[i]->key, slots->items[i]);
        CX_MAP_FOREACH (&plan->backends, entry) {
                const struct plan_backend *backend = entry->value;
                size_t any = 0;
                if (cx_map_has(&taken, backend->key))
                        continue;
                struct backend_slot *slot = find_free(slots, backend->profile, *backend->profile ? &any : &plain);
                if (!slot && *backend->profile && !may_add_profiles) {
                        missing = true;
                        continue;
                }
                if (!slot) {
                        slot = grow(slots, backend->profile);
                        outcome = SLOTS_ADDED;
                }
                slot->key = cx_strdup(backend->key);
                slot->tls = backend->tls;
                slot->http2 = backend->http2;
        }
        return outcome == SLOTS_ENOUGH && missing ? SLOTS_MISSING : outcome;
}

void slots_retire(struct slots *slots, const struct plan *plan)
{
        for (size_t i = 0; i < slots->count; i++)
                if (slots->items[i]->key && !cx_map_has(&plan->backends, slots->items[i]->key)) {
                        free(slots->items[i]->key);
                        slots->items[i]->key = NULL;
                }
}

// Frees the free ones of each profile that are too many, from the end.
static void prune(struct slots *slots)
{
        CX_MAP spare = CX_MAP_INIT; // profile -> how many are kept, and one
        for (size_t i = slots->count; i-- > 0;) {
                struct backend_slot *slot = slots->items[i];
                size_t left = (size_t)cx_map_get(&spare, slot->profile);
                if (!left)
                        left = spare_of(count_used(slots, slot->profile), slot->profile) + 1;
                if (!slot->key && left > 1) {
                        left--;
                } else if (!slot->key) {
                        slot_free(slot);
                        memmove(&slots->items[i], &slots->items[i + 1],
                                (--slots->count - i) * sizeof(struct backend_slot *));
                        continue;
                }
                cx_map_set(&spare, slot->profile, (void *)left);
        }
}

void slots_reset(struct slots *slots, const struct plan *plan)
{
        slots_retire(slots, plan);
        prune(slots);
        for (size_t i = 0; i < slots->count; i++) {
                struct backend_slot *slot = slots->items[i];
                const struct plan_backend *backend = slot->key ? cx_map_get(&plan->backends, slot->key) : NULL;
                cx_map_clear(&slot->live);
                cx_map_clear(&slot->gone);
                for (size_t j = 0; backend && j < backend->servers.count; j++)
                        cx_map_set(&slot->live, backend->servers.items[j], NULL);
        }
}
