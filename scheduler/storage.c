// SPDX-License-Identifier: Apache-2.0
// One table of what is followed. What only CSI drivers make is asked for now and then until there is any.
#include "scheduler/storage.h"

#include "libcommon/base/time.h"

#define POLL_PERIOD (10 * CX_NS_PER_S)

static const struct {
        struct cx_ref ref;
        enum storage_kind kind;
        unsigned event;
        bool on_removal; // it is the removal that may help
        bool rare;
} followed[] = {
        {{"", "v1", "persistentvolumeclaims"}, STORAGE_CLAIM, EVENT_CLAIM, false, false},
        {{"", "v1", "persistentvolumes"}, STORAGE_VOLUME, EVENT_VOLUME, false, false},
        {{"storage.k8s.io", "v1", "storageclasses"}, STORAGE_CLASS, EVENT_CLASS, false, false},
        {{"storage.k8s.io", "v1", "csinodes"}, STORAGE_CSI_NODE, EVENT_CSI_NODE, false, true},
        {{"storage.k8s.io", "v1", "csidrivers"}, STORAGE_CSI_DRIVER, EVENT_CSI_DRIVER, false, true},
        {{"storage.k8s.io", "v1", "csistoragecapacities"}, STORAGE_CSI_CAPACITY, EVENT_CSI_CAPACITY, false, true},
        {{"storage.k8s.io", "v1", "volumeattachments"}, STORAGE_ATTACHMENT, EVENT_ATTACHMENT, true, true},
};

struct storage_feed {
        struct volume_cache *volumes;
        void (*wake)(void *context, unsigned events, const char *claim);
        void *context;
        struct storage_follower {
                struct storage_feed *feed;
                size_t row;
                enum storage_kind kind;
        } followers[CX_ARRAY_SIZE(followed)];
};

static void on_change(void *context, const struct cx_object *old, const struct cx_object *now)
{
        const struct storage_follower *follower = context;
        struct storage_feed *self = follower->feed;
        const char *key = (now ? now : old)->key;
        volumes_set(self->volumes, follower->kind, key, now);
        if (followed[follower->row].on_removal ? !now : now != NULL)
                self->wake(self->context, followed[follower->row].event, follower->kind == STORAGE_CLAIM ? key : NULL);
}

struct storage_feed *storage_feed_new(struct cx_informers *informers, struct volume_cache *volumes,
                                      void (*wake)(void *context, unsigned events, const char *claim), void *context)
{
        struct storage_feed *self = cx_alloc(sizeof *self);
        *self = (struct storage_feed){.volumes = volumes, .wake = wake, .context = context};
        for (size_t i = 0; i < CX_ARRAY_SIZE(followed); i++) {
                struct storage_follower *follower = &self->followers[i];
                *follower = (struct storage_follower){self, i, followed[i].kind};
                struct cx_informer *informer = cx_informers_add(
                        informers,
                        &(struct cx_informer_options){.ref = followed[i].ref,
                                                      .drop_bytes = true,
                                                      .poll_while_empty = followed[i].rare ? POLL_PERIOD : 0,
                                                      .project = storage_project,
                                                      .free_projection = storage_release_of(followed[i].kind),
                                                      .context = &follower->kind});
                cx_informer_on_event(informer, on_change, follower);
        }
        return self;
}

void storage_feed_free(struct storage_feed *self)
{
        free(self);
}
