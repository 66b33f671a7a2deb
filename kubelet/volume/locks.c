// SPDX-License-Identifier: Apache-2.0
// A set of the names that are held. Few are at any time, so all who wait share one condition.
#include "kubelet/volume/locks.h"

#include "libcommon/base/map.h"

#include <pthread.h>

struct locks {
        pthread_mutex_t lock; // guards held
        pthread_cond_t given;
        struct cx_map held;
};

struct locks *locks_new(void)
{
        struct locks *locks = cx_alloc(sizeof *locks);
        pthread_mutex_init(&locks->lock, NULL);
        pthread_cond_init(&locks->given, NULL);
        return locks;
}

void locks_free(struct locks *locks)
{
        if (!locks)
                return;
        cx_map_release(&locks->held);
        pthread_mutex_destroy(&locks->lock);
        pthread_cond_destroy(&locks->given);
        free(locks);
}

void locks_take(struct locks *locks, const char *name)
{
        if (!locks)
                return;
        pthread_mutex_lock(&locks->lock);
        while (cx_map_has(&locks->held, name))
                pthread_cond_wait(&locks->given, &locks->lock);
        cx_map_set(&locks->held, name, locks);
        pthread_mutex_unlock(&locks->lock);
}

void locks_give(struct locks *locks, const char *name)
{
        if (!locks)
                return;
        pthread_mutex_lock(&locks->lock);
        cx_map_remove(&locks->held, name);
        pthread_cond_broadcast(&locks->given);
        pthread_mutex_unlock(&locks->lock);
}
