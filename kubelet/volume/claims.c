// SPDX-License-Identifier: Apache-2.0
// What makes a claim usable is the API's contract with the binder: it is Bound, names a volume, and that volume's claimRef has
// its uid. The sentences are upstream's, which people look for.
#include "kubelet/volume/claims.h"

#include "libcommon/base/map.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <pthread.h>

struct claims {
        const struct kubelet *kubelet;
        pthread_mutex_t lock; // guards the map
        struct cx_map map;    // "<pod uid>/<volume>" → struct kept
};
struct kept {
        json_t *claim, *persistent; // immutable
        int64_t until;              // monotonic ns
};

static void kept_free(void *p)
{
        struct kept *kept = p;
        json_decref(kept->claim);
        json_decref(kept->persistent);
        free(kept);
}

struct claims *claims_new(const struct kubelet *kubelet)
{
        struct claims *c = cx_alloc(sizeof *c);
        c->kubelet = kubelet;
        c->map = (struct cx_map)CX_MAP_INIT_FREE(kept_free);
        pthread_mutex_init(&c->lock, NULL);
        return c;
}

void claims_free(struct claims *c)
{
        if (!c)
                return;
        cx_map_release(&c->map);
        pthread_mutex_destroy(&c->lock);
        free(c);
}

char *volume_claim_name(const json_t *pod, const json_t *volume)
{
        const char *name = cx_json_string(volume, "persistentVolumeClaim.claimName");
        if (name)
                return cx_strdup(name);
        if (json_object_get(volume, "ephemeral"))
                return cx_sprintf("%s-%s", cx_json_string_or(pod, "metadata.name", ""),
                                  cx_json_string_or(volume, "name", ""));
        return NULL;
}

// A claim of that name that the pod does not own would give it somebody else's data.
static bool owns(const json_t *pod, const json_t *claim)
{
        size_t i;
        json_t *owner;
        json_array_foreach (cx_json_get(claim, "metadata.ownerReferences"), i, owner)
                if (cx_json_bool(owner, "controller", false) &&
                    cx_streq(cx_json_string(owner, "uid"), cx_json_string(pod, "metadata.uid")))
                        return true;
        return false;
}

static int get_claim(const struct claims *c, const char *namespace, const char *name, json_t **ret_claim,
                     struct cx_error *err)
{
        int r = cx_rest_get(
                c->kubelet->rest,
                CX_REF(.version = "v1", .resource = "persistentvolumeclaims", .namespace = namespace, .name = name),
                ret_claim, err);
        if (r < 0)
                return cx_error_wrap(err, "failed to fetch PVC from API server");
        if (cx_json_string(*ret_claim, "metadata.deletionTimestamp"))
                return cx_error_set(err, -ENOENT, "PVC is being deleted");
        if (!cx_streq(cx_json_string(*ret_claim, "status.phase"), "Bound"))
                return cx_error_set(err, -EAGAIN, "PVC is not bound");
        if (!*cx_json_string_or(*ret_claim, "spec.volumeName", ""))
                return cx_error_set(err, -EAGAIN, "PVC has empty pvc.Spec.VolumeName");
        return 0;
}

static int get_persistent(const struct claims *c, const json_t *claim, json_t **ret_volume, struct cx_error *err)
{
        const char *name = cx_json_string_or(claim, "spec.volumeName", ""),
                   *uid = cx_json_string_or(claim, "metadata.uid", "");
        int r = cx_rest_get(c->kubelet->rest, CX_REF(.version = "v1", .resource = "persistentvolumes", .name = name),
                            ret_volume, err);
        if (r < 0)
                return cx_error_wrap(err, "failed to fetch PV %s from API server", name);
        const char *bound = cx_json_string(*ret_volume, "spec.claimRef.uid");
        if (!bound)
                return cx_error_set(err, -EAGAIN,
                                    "found PV object %s but it has a nil pv.Spec.ClaimRef indicating it is not yet "
                                    "bound to the claim",
                                    name);
        return strcmp(bound, uid) == 0
                       ? 0
                       : cx_error_set(err, -EAGAIN,
                                      "found PV object %s but its pv.Spec.ClaimRef.UID %s does not point to claim.UID "
                                      "%s",
                                      name, bound, uid);
}

static int ask(const struct claims *c, const json_t *pod, const json_t *volume, const char *name,
               struct found_claim *ret, struct cx_error *err)
{
        const char *namespace = cx_json_string_or(pod, "metadata.namespace", "");
        json_auto_t *claim = NULL, *persistent = NULL;
        if (!c->kubelet->rest)
                return cx_error_set(err, -EHOSTUNREACH, "error processing PVC %s/%s: there is no apiserver to ask",
                                    namespace, name);
        int r = get_claim(c, namespace, name, &claim, err);
        bool ephemeral = json_object_get(volume, "ephemeral") != NULL;
        if (claim && ephemeral && !owns(pod, claim)) {
                cx_error_release(err);
                return cx_error_set(err, -EPERM, "PVC %s/%s was not created for pod %s/%s (pod is not owner)",
                                    namespace, name, namespace, cx_json_string_or(pod, "metadata.name", ""));
        }
        if (r == 0)
                r = get_persistent(c, claim, &persistent, err);
        if (r < 0)
                return cx_error_wrap(err, "error processing PVC %s/%s", namespace, name);
        *ret = (struct found_claim){cx_steal(&claim), cx_steal(&persistent)};
        return 0;
}

static bool take_kept(struct claims *c, const char *key, bool any_age, struct found_claim *ret)
{
        pthread_mutex_lock(&c->lock);
        const struct kept *kept = cx_map_get(&c->map, key);
        bool good = kept && (any_age || kept->until > cx_time_monotonic());
        if (good)
                *ret = (struct found_claim){json_incref(kept->claim), json_incref(kept->persistent)};
        pthread_mutex_unlock(&c->lock);
        return good;
}

static void keep(struct claims *c, const char *key, const struct found_claim *found)
{
        struct kept *kept = cx_alloc(sizeof *kept);
        *kept = (struct kept){json_incref(found->claim), json_incref(found->persistent),
                              cx_time_monotonic() + CLAIMS_AGE};
        pthread_mutex_lock(&c->lock);
        cx_map_set(&c->map, key, kept);
        pthread_mutex_unlock(&c->lock);
}

int claims_find(struct claims *c, const json_t *pod, const json_t *volume, bool any_age, struct found_claim *ret,
                struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *name = volume_claim_name(pod, volume);
        CX_CLEANUP(cx_freep)
        char *key =
                cx_sprintf("%s/%s", cx_json_string_or(pod, "metadata.uid", ""), cx_json_string_or(volume, "name", ""));
        CX_ERROR failure = CX_ERROR_INIT;
        if (take_kept(c, key, any_age, ret))
                return 0;
        int r = ask(c, pod, volume, cx_str(name), ret, &failure);
        if (r == 0)
                keep(c, key, ret);
        else if (take_kept(c, key, true, ret)) // a pod that has its volume goes on with it
                r = 0;
        return r < 0 ? cx_error_move(err, &failure) : 0;
}

static void each_of(struct claims *c, const char *pod_uid, bool forget)
{
        CX_CLEANUP(cx_freep) char *prefix = cx_sprintf("%s/", pod_uid);
        pthread_mutex_lock(&c->lock);
        CX_MAP_FOREACH (&c->map, entry) {
                if (!cx_has_prefix(entry->key, prefix))
                        continue;
                if (forget)
                        cx_map_remove(&c->map, entry->key);
                else
                        ((struct kept *)entry->value)->until = 0;
        }
        pthread_mutex_unlock(&c->lock);
}

void claims_outdated(struct claims *c, const char *pod_uid)
{
        each_of(c, pod_uid, false);
}

void claims_forget(struct claims *c, const char *pod_uid)
{
        each_of(c, pod_uid, true);
}
