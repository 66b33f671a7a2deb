// SPDX-License-Identifier: Apache-2.0
// The thread sleeps until somebody asks, and counts again when what it has is a minute old.
#include "kubelet/pod/disk_use.h"

#include "kubelet/volume/local.h"
#include "libcommon/base/map.h"
#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"

#define PERIOD (60 * CX_NS_PER_S)
#define REST 20

struct disk_uses {
        struct runtime *runtime;
        pthread_t thread;
        bool started;
        pthread_mutex_t lock; // guards what follows
        pthread_cond_t wake;
        bool asked, stopping;
        struct cx_map known; // id -> struct disk_use
};

static struct volume_usage folder_use(const char *folder)
{
        struct volume_usage usage = {0};
        CX_ERROR err = CX_ERROR_INIT;
        return local_usage(folder, &usage, &err) == 0 ? usage : (struct volume_usage){0};
}

struct disk_use disk_use_of(const struct container *container)
{
        CX_CLEANUP(cx_freep) char *layer = cx_sprintf("%s/upper", container->data);
        CX_CLEANUP(cx_freep) char *logs = cx_strdup(container->log_path);
        char *slash = logs ? strrchr(logs, '/') : NULL;
        struct volume_usage of_layer = folder_use(layer), of_logs = {0};
        if (slash) {
                *slash = '\0';
                of_logs = folder_use(logs);
        }
        return (struct disk_use){.layer_bytes = of_layer.used,
                                 .layer_inodes = of_layer.inodes_used,
                                 .log_bytes = of_logs.used,
                                 .log_inodes = of_logs.inodes_used,
                                 .taken = cx_time_now()};
}

static bool is_stopping(struct disk_uses *uses)
{
        pthread_mutex_lock(&uses->lock);
        bool stopping = uses->stopping;
        pthread_mutex_unlock(&uses->lock);
        return stopping;
}

static void count_all(struct disk_uses *uses)
{
        CONTAINERS list = {0};
        struct cx_map fresh = {.free_value = free};
        runtime_containers(uses->runtime, NULL, &list);
        for (size_t i = 0; i < list.count && !is_stopping(uses); i++) {
                struct container_state state;
                container_state(uses->runtime, list.items[i], &state);
                if (state.status != CONTAINER_RUNNING)
                        continue;
                struct disk_use *use = cx_alloc(sizeof *use);
                *use = disk_use_of(list.items[i]);
                cx_map_set(&fresh, list.items[i]->id, use);
        }
        pthread_mutex_lock(&uses->lock);
        struct cx_map old = uses->known;
        uses->known = fresh;
        pthread_mutex_unlock(&uses->lock);
        cx_map_release(&old);
}

static void *count_main(void *context)
{
        struct disk_uses *uses = context;
        pthread_mutex_lock(&uses->lock);
        while (!uses->stopping) {
                if (!uses->asked) {
                        pthread_cond_wait(&uses->wake, &uses->lock);
                        continue;
                }
                uses->asked = false;
                pthread_mutex_unlock(&uses->lock);
                int64_t begun = cx_time_monotonic();
                count_all(uses);
                int64_t now = cx_time_monotonic(), rest = (now - begun) * REST;
                int64_t until = rest > PERIOD ? now + rest : begun + PERIOD;
                pthread_mutex_lock(&uses->lock);
                while (!uses->stopping && !cx_cond_wait_until(&uses->wake, &uses->lock, until))
                        ;
        }
        pthread_mutex_unlock(&uses->lock);
        return NULL;
}

struct disk_uses *disk_uses_new(struct runtime *runtime)
{
        struct disk_uses *uses = cx_alloc(sizeof *uses);
        uses->runtime = runtime;
        uses->known.free_value = free;
        pthread_mutex_init(&uses->lock, NULL);
        cx_cond_init(&uses->wake);
        uses->started = pthread_create(&uses->thread, NULL, count_main, uses) == 0; // or else nothing is known
        if (uses->started)
                (void)pthread_setname_np(uses->thread, "disk-use");
        return uses;
}

void disk_uses_free(struct disk_uses *uses)
{
        if (!uses)
                return;
        pthread_mutex_lock(&uses->lock);
        uses->stopping = true;
        pthread_cond_broadcast(&uses->wake);
        pthread_mutex_unlock(&uses->lock);
        if (uses->started)
                pthread_join(uses->thread, NULL);
        cx_map_release(&uses->known);
        pthread_cond_destroy(&uses->wake);
        pthread_mutex_destroy(&uses->lock);
        free(uses);
}

bool disk_uses_get(struct disk_uses *uses, const char *id, struct disk_use *ret_use)
{
        pthread_mutex_lock(&uses->lock);
        const struct disk_use *use = cx_map_get(&uses->known, id);
        bool found = use;
        if (use)
                *ret_use = *use;
        uses->asked = true;
        pthread_cond_signal(&uses->wake);
        pthread_mutex_unlock(&uses->lock);
        return found;
}
