// SPDX-License-Identifier: Apache-2.0
// Telling listeners, and freeing what providers answer.
#include "cloud-controller-manager/cloud/provider.h"

void cloud_listen(struct cloud *cloud, void (*changed)(void *context), void *context)
{
        if (cloud->n_listeners == CX_ARRAY_SIZE(cloud->listeners))
                abort(); // there are three controllers
        cloud->listeners[cloud->n_listeners++] = (struct cloud_listener){changed, context};
}

void cloud_changed(const struct cloud *cloud)
{
        for (size_t i = 0; i < cloud->n_listeners; i++)
                cloud->listeners[i].changed(cloud->listeners[i].context);
}

void cloud_machine_release(struct cloud_machine *machine)
{
        free(machine->provider_id);
        free(machine->type);
        json_decref(machine->addresses);
        *machine = (struct cloud_machine){0};
}

void cloud_zone_release(struct cloud_zone *zone)
{
        free(zone->zone);
        free(zone->region);
        *zone = (struct cloud_zone){0};
}
