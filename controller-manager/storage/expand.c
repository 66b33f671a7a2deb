// SPDX-License-Identifier: Apache-2.0
// Says of a claim that asks for more than it has that somebody else is to see to it: no kind of volume is grown here. Whoever
// made the volume watches the claim, grows the volume, and writes the claim's new capacity.
#include "libcommon/api/quantity.h"
#include "libcommon/format/json.h"
#include "libcontroller/manager.h"

struct growth {
        bool asks; // it is bound, and asks for more than it has
};

struct expander {
        struct cx_events *events;
        struct cx_informer *claims;
        struct cx_workqueue *queue;
};

static void take(void *part, const json_t *claim)
{
        const json_t *wanted = cx_json_get(claim, "spec.resources.requests.storage"),
                     *has = cx_json_get(claim, "status.capacity.storage");
        ((struct growth *)part)->asks = cx_streq(cx_json_string(claim, "status.phase"), "Bound") && wanted && has &&
                                        cx_quantity_value_of(wanted) > cx_quantity_value_of(has);
}

static const struct object_part growth_part = {sizeof(struct growth), take, NULL};

static bool asks(const struct cx_object *claim)
{
        return ((const struct growth *)object_part(claim, &growth_part))->asks;
}

static void on_claim(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct expander *self = context;
        if (now && asks(now) && (!old || !asks(old) || old->generation != now->generation))
                cx_workqueue_add(self->queue, now->key);
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct expander *self = cx_alloc(sizeof *self);
        *self = (struct expander){.events = manager_recorder(manager, "volume_expand"),
                                  .claims = manager_part_informer(manager, "", "persistentvolumeclaims", &growth_part),
                                  .queue = queue};
        cx_informer_on_event(self->claims, on_claim, self);
        return self;
}

static int reconcile(void *context, const char *key, int64_t *retry_after CX_UNUSED, struct cx_error *err CX_UNUSED)
{
        struct expander *self = context;
        CX_OBJECT *claim = cx_informer_get_key(self->claims, key);
        if (claim && asks(claim))
                cx_event_object(self->events, "v1", "PersistentVolumeClaim", claim, "Normal", "ExternalExpanding",
                                "waiting for an external controller to expand this PVC");
        return 0;
}

const struct controller volume_expander_controller = {.name = "persistentvolume-expander-controller",
                                                      .account = "expand-controller",
                                                      .workers = 1,
                                                      .init = init,
                                                      .reconcile = reconcile,
                                                      .free = free};
