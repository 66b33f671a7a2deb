// SPDX-License-Identifier: Apache-2.0
// Taken from each pod as it comes.
#include "controller-manager/storage/pod_claims.h"

#include "libcommon/api/storage.h"

static void take(void *part, const json_t *pod)
{
        size_t i;
        json_t *volume;
        json_array_foreach (cx_json_get(pod, "spec.volumes"), i, volume) {
                const char *claim = cx_json_string(volume, "persistentVolumeClaim.claimName");
                if (claim)
                        cx_strings_add(part, claim);
                if (!json_object_get(volume, "ephemeral"))
                        continue;
                CX_CLEANUP(cx_freep)
                char *name = cx_ephemeral_claim_name(cx_json_string_or(pod, "metadata.name", ""),
                                                     cx_json_string_or(volume, "name", ""));
                cx_strings_add(part, name);
        }
}

static void release(void *part)
{
        cx_strings_release(part);
}

static const struct object_part claims_part = {sizeof(struct cx_strings), take, release};

const struct cx_strings *pod_claims(const struct cx_object *pod)
{
        return object_part(pod, &claims_part);
}

static void index_claims(void *context CX_UNUSED, const struct cx_object *pod, struct cx_strings *ret_keys)
{
        const struct cx_strings *claims = pod_claims(pod);
        for (size_t i = 0; i < claims->count; i++) {
                CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s/%s", pod->namespace, claims->items[i]);
                cx_strings_add(ret_keys, key);
        }
}

struct cx_informer *pods_by_claim(struct manager *manager)
{
        struct cx_informer *pods = pods_informer(manager);
        (void)manager_part_informer(manager, "", "pods", &claims_part);
        cx_informer_add_index(pods, POD_INDEX_CLAIM, index_claims, NULL);
        return pods;
}
