// SPDX-License-Identifier: Apache-2.0
// The sizes of the controllers of pods: those of the usual kinds are at hand, others are asked for by the subresource
// scale.
#include "controller-manager/quota/budget.h"

#include "libcommon/base/map.h"

static const struct owner_kind kinds[SCALED_KINDS] = {{"apps", "v1", "replicasets", "ReplicaSet"},
                                                      {"", "v1", "replicationcontrollers", "ReplicationController"},
                                                      {"apps", "v1", "statefulsets", "StatefulSet"},
                                                      {"apps", "v1", "deployments", "Deployment"}};
enum { REPLICA_SET = 0, DEPLOYMENT = 3 };

void scales_init(struct scales *self, struct manager *manager)
{
        self->manager = manager;
        for (size_t i = 0; i < SCALED_KINDS; i++)
                self->informers[i] = manager_informer(manager, kinds[i].group, kinds[i].resource);
}

static bool is_of(const struct cx_object_owner *owner, const struct owner_kind *kind)
{
        char group[64], version[32];
        return strcmp(owner->kind, kind->kind) == 0 && cx_split_api_version(owner->api_version, group, version) &&
               (strcmp(group, kind->group) == 0 || (*kind->group && strcmp(group, "extensions") == 0));
}

static int missing(const struct cx_object *pod, struct cx_error *err)
{
        return cx_error_set(err, -ENOENT, "found no controllers for pod \"%s\"", pod->name);
}

static int ask_scale(const struct scales *self, const struct cx_object *pod, const struct cx_object_owner *owner,
                     int64_t *ret_scale, struct cx_error *err)
{
        char group[64], version[32];
        struct kind_names names;
        if (!cx_split_api_version(owner->api_version, group, version))
                return missing(pod, err);
        int r = discovery_kind(self->manager->rest, group, owner->kind, true, &names, err);
        if (r < 0)
                return r;
        CX_BUF path = CX_BUF_INIT;
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        CX_ERROR why = CX_ERROR_INIT;
        json_auto_t *scale = NULL;
        cx_rest_path(&path, CX_REF(group, names.version, names.resource, pod->namespace, owner->name), "scale");
        r = cx_rest_do(self->manager->rest, &(struct cx_rest_call){.path = path.data, .accept = "application/json"},
                       &reply, &why);
        if (cx_error_is(&why, CX_REASON_NOT_FOUND))
                return missing(pod, err);
        if (r < 0)
                return cx_error_move(err, &why);
        r = cx_json_parse(reply.body.data, reply.body.length, false, &scale, err);
        if (r < 0)
                return r;
        if (!cx_streq(cx_json_string(scale, "metadata.uid"), owner->uid))
                return missing(pod, err);
        *ret_scale = cx_json_int(scale, "spec.replicas", 0);
        return 0;
}

// The owner as its informer has it, if it is the one that is meant. New reference.
static const struct cx_object *find_owner(const struct scales *self, size_t kind, const char *namespace,
                                          const struct cx_object_owner *owner)
{
        const struct cx_object *object = cx_informer_get(self->informers[kind], namespace, owner->name);
        if (object && strcmp(object->uid, owner->uid) == 0)
                return object;
        cx_object_unref(object);
        return NULL;
}

// The size of a pod's controller, and its uid: a ReplicaSet that a Deployment has stands for that.
static int find_scale(const struct scales *self, const struct cx_object *pod, const struct cx_object_owner *owner,
                      char **ret_uid, int64_t *ret_scale, struct cx_error *err)
{
        CX_OBJECT *found = NULL, *above = NULL;
        size_t kind = 0;
        while (kind < SCALED_KINDS && !is_of(owner, &kinds[kind]))
                kind++;
        if (kind == SCALED_KINDS) {
                int r = ask_scale(self, pod, owner, ret_scale, err);
                *ret_uid = r == 0 ? cx_strdup(owner->uid) : NULL;
                return r;
        }
        found = find_owner(self, kind, pod->namespace, owner);
        const struct cx_object_owner *deployment = found && kind == REPLICA_SET ? cx_object_controller(found) : NULL;
        if (deployment && is_of(deployment, &kinds[DEPLOYMENT]))
                above = find_owner(self, DEPLOYMENT, pod->namespace, deployment);
        if (!found || (deployment && !above))
                return missing(pod, err);
        json_auto_t *json = cx_object_json(above ? above : found);
        *ret_scale = cx_json_int(json, "spec.replicas", 0);
        *ret_uid = cx_strdup((above ? above : found)->uid);
        return 0;
}

int scales_sum(const struct scales *self, const struct cx_objects *pods, int64_t *ret_sum, size_t *ret_bare,
               struct cx_error *err)
{
        CX_MAP owners = CX_MAP_INIT, counted = CX_MAP_INIT;
        *ret_sum = 0;
        *ret_bare = 0;
        for (size_t i = 0; i < pods->count; i++) {
                const struct cx_object_owner *owner = cx_object_controller(pods->items[i]);
                CX_CLEANUP(cx_freep) char *uid = NULL;
                int64_t scale = 0;
                if (!owner)
                        ++*ret_bare;
                if (!owner || cx_map_has(&owners, owner->uid))
                        continue;
                int r = find_scale(self, pods->items[i], owner, &uid, &scale, err);
                if (r < 0)
                        return r;
                cx_map_set(&owners, owner->uid, (void *)1);
                if (!cx_map_has(&counted, uid))
                        *ret_sum += scale;
                cx_map_set(&counted, uid, (void *)1);
        }
        return 0;
}
