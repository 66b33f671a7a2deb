// SPDX-License-Identifier: Apache-2.0
// --prune: what an earlier apply made (it has the annotation) and this one does not speak of.
#include "kubectl/cmd/apply.h"

// The kinds that are looked at by default.
static const char *const default_kinds[] = {"/v1/ConfigMap",
                                            "/v1/Endpoints",
                                            "/v1/Namespace",
                                            "/v1/PersistentVolumeClaim",
                                            "/v1/PersistentVolume",
                                            "/v1/Pod",
                                            "/v1/ReplicationController",
                                            "/v1/Secret",
                                            "/v1/Service",
                                            "batch/v1/Job",
                                            "batch/v1/CronJob",
                                            "networking.k8s.io/v1/Ingress",
                                            "apps/v1/DaemonSet",
                                            "apps/v1/Deployment",
                                            "apps/v1/ReplicaSet",
                                            "apps/v1/StatefulSet"};

static int add_kind(struct apply_run *apply, const char *text, struct infos *kinds, struct cx_error *err)
{
        CX_STRINGS parts = CX_STRINGS_INIT;
        const struct mapping *mapping;
        char version[128];
        cx_strings_split(&parts, text, '/');
        if (parts.count != 3)
                return cx_error_set(err, -EINVAL,
                                    "invalid GroupVersionKind format: %s, please follow <group/version/kind>", text);
        const char *group = strcmp(parts.items[0], "core") == 0 ? "" : parts.items[0];
        cx_join_api_version(version, group, parts.items[1]);
        int r = mapping_by_kind(apply->ctl, version, parts.items[2], &mapping, err);
        if (r == -ENOENT && (!err || !err->code))
                return cx_error_set(err, r, "no matches for kind \"%s\" in version \"%s\"", parts.items[2], version);
        if (r == 0)
                infos_add(kinds, mapping, NULL, NULL);
        return r;
}

int prune_parse(struct apply_run *apply, struct infos *ret_kinds, struct cx_error *err)
{
        int r = ctl_connect(apply->ctl, err);
        for (size_t i = 0; r == 0 && i < apply->prune_allowlist.count; i++)
                r = add_kind(apply, apply->prune_allowlist.items[i], ret_kinds, err);
        if (r < 0 || apply->prune_allowlist.count)
                return r;
        for (size_t i = 0; r == 0 && i < CX_ARRAY_SIZE(default_kinds); i++)
                r = add_kind(apply, default_kinds[i], ret_kinds, err);
        return r;
}

static int find_in(struct apply_run *apply, const struct mapping *mapping, const char *namespace, struct infos *found,
                   struct cx_error *err)
{
        const struct builder all = {.selector = apply->builder.selector};
        INFOS collection = INFOS_INIT, objects = INFOS_INIT;
        infos_add(&collection, mapping, namespace, NULL);
        int r = builder_expand(apply->ctl, &all, &collection, &objects, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < objects.count; i++) {
                struct info *info = objects.items[i];
                const char *uid = cx_json_string(info->object, "metadata.uid");
                if (!json_object_get(cx_json_get(info->object, "metadata.annotations"), LAST_APPLIED) ||
                    cx_strings_has(&apply->uids, cx_str(uid)))
                        continue;
                struct info *kept = infos_add(found, mapping, info->namespace, info->name);
                kept->object = json_incref(info->object);
        }
        return 0;
}

int prune_find(struct apply_run *apply, const struct infos *kinds, struct infos *ret_infos, struct cx_error *err)
{
        int r = 0;
        for (size_t n = 0; n < apply->namespaces.count; n++)
                for (size_t i = 0; r == 0 && i < kinds->count; i++)
                        if (kinds->items[i]->mapping->namespaced)
                                r = find_in(apply, kinds->items[i]->mapping, apply->namespaces.items[n], ret_infos,
                                            err);
        for (size_t i = 0; r == 0 && i < kinds->count; i++)
                if (!kinds->items[i]->mapping->namespaced)
                        r = find_in(apply, kinds->items[i]->mapping, NULL, ret_infos, err);
        return r;
}
