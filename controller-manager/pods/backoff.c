// SPDX-License-Identifier: Apache-2.0
// The delay of each key, and when it began.
#include "controller-manager/pods/backoff.h"

struct delay {
        int64_t length, since;
};

void backoff_init(struct backoff *self, int64_t first, int64_t longest)
{
        *self = (struct backoff){.first = first, .longest = longest, .by_key = CX_MAP_INIT_FREE(free)};
        pthread_mutex_init(&self->lock, NULL);
}

void backoff_release(struct backoff *self)
{
        cx_map_release(&self->by_key);
        pthread_mutex_destroy(&self->lock);
}

static bool is_forgotten(const struct backoff *self, const struct delay *delay, int64_t now)
{
        return now - delay->since > 2 * self->longest;
}

int64_t backoff_left(struct backoff *self, const char *key, int64_t now)
{
        pthread_mutex_lock(&self->lock);
        const struct delay *delay = cx_map_get(&self->by_key, key);
        int64_t left = delay ? delay->since + delay->length - now : 0;
        pthread_mutex_unlock(&self->lock);
        return left > 0 ? left : 0;
}

static void sweep(struct backoff *self, int64_t now)
{
        if (now - self->swept < self->longest)
                return;
        self->swept = now;
        CX_MAP_FOREACH (&self->by_key, entry)
                if (is_forgotten(self, entry->value, now))
                        cx_map_remove(&self->by_key, entry->key);
}

void backoff_next(struct backoff *self, const char *key, int64_t now)
{
        pthread_mutex_lock(&self->lock);
        sweep(self, now);
        struct delay *delay = cx_map_get(&self->by_key, key);
        if (!delay) {
                delay = cx_alloc(sizeof *delay);
                cx_map_set(&self->by_key, key, delay);
        }
        bool anew = !delay->length || is_forgotten(self, delay, now);
        delay->length = anew ? self->first : 2 * delay->length < self->longest ? 2 * delay->length : self->longest;
        delay->since = now;
        pthread_mutex_unlock(&self->lock);
}
