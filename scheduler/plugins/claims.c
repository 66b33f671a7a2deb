// SPDX-License-Identifier: Apache-2.0
// A template names ephemeral volumes by their claims already (core/template.h).
#include "scheduler/plugins/claims.h"

#include "libcommon/format/json.h"

const char *const claims_fields[] = {"spec.volumes[].persistentVolumeClaim.claimName", "spec.volumes[].ephemeral.owner",
                                     NULL};

void claims_parse(void *wanted, const json_t *pod)
{
        struct wanted_claims *to = wanted;
        size_t i;
        json_t *volume;
        json_array_foreach (cx_json_get(pod, "spec.volumes"), i, volume) {
                const char *name = cx_json_string(volume, "persistentVolumeClaim.claimName");
                const char *owner = json_string_value(json_object_get(json_object_get(volume, "ephemeral"), "owner"));
                if (name)
                        *LIST_ADD(&to->list) = (struct wanted_claim){cx_strdup(name), owner ? cx_strdup(owner) : NULL};
        }
}

void claims_release(void *wanted)
{
        struct wanted_claims *claims = wanted;
        for (size_t i = 0; i < claims->list.count; i++) {
                free(claims->list.items[i].name);
                free(claims->list.items[i].owner);
        }
        free(claims->list.items);
}

bool claims_any(const void *wanted)
{
        return ((const struct wanted_claims *)wanted)->list.count;
}

char *claims_key(const struct template *template, const struct wanted_claim *claim)
{
        return cx_sprintf("%s/%s", template->namespace, claim->name);
}

bool claims_concern(const struct template *template, const void *wanted, const char *key)
{
        const struct wanted_claims *claims = wanted;
        size_t length = strlen(template->namespace);
        if (strncmp(key, template->namespace, length) != 0 || key[length] != '/')
                return false;
        for (size_t i = 0; i < claims->list.count; i++)
                if (strcmp(claims->list.items[i].name, key + length + 1) == 0)
                        return true;
        return false;
}

const struct cx_object *claims_get(const struct cycle *cycle, const struct wanted_claim *claim)
{
        CX_CLEANUP(cx_freep) char *key = claims_key(cycle->template, claim);
        return volumes_get(&cycle->cache->volumes, STORAGE_CLAIM, key);
}
