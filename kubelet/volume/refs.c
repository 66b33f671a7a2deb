// SPDX-License-Identifier: Apache-2.0
// One informer for each object that is referred to, by name, kept for as long as one of its pods is there.
#include "kubelet/volume/refs.h"

#include "libcommon/base/map.h"
#include "libcommon/base/time.h"

#include <pthread.h>

struct ref {
        struct refs *refs;
        struct cx_informer *informer;
        struct cx_strings pods; // uids
};
struct refs {
        struct cx_informers *informers;
        void (*changed)(void *, const char *);
        void *context;
        pthread_mutex_t lock; // guards the map and the lists of pods
        struct cx_map map;    // "resource/namespace/name" → struct ref
};

struct refs *refs_new(struct cx_informers *informers, void (*changed)(void *, const char *), void *context)
{
        struct refs *refs = cx_alloc(sizeof *refs);
        refs->informers = informers;
        refs->changed = changed;
        refs->context = context;
        pthread_mutex_init(&refs->lock, NULL);
        return refs;
}

static void ref_free(struct ref *ref)
{
        cx_informer_stop(ref->informer);
        cx_strings_release(&ref->pods);
        free(ref);
}

void refs_free(struct refs *refs)
{
        if (!refs)
                return;
        CX_MAP_FOREACH (&refs->map, entry) {
                ref_free(entry->value);
        }
        cx_map_release(&refs->map);
        pthread_mutex_destroy(&refs->lock);
        free(refs);
}

static void on_event(void *context, const struct cx_object *old CX_UNUSED, const struct cx_object *now CX_UNUSED)
{
        struct ref *ref = context;
        CX_STRINGS pods = CX_STRINGS_INIT;
        pthread_mutex_lock(&ref->refs->lock);
        for (size_t i = 0; i < ref->pods.count; i++)
                cx_strings_add(&pods, ref->pods.items[i]);
        pthread_mutex_unlock(&ref->refs->lock);
        for (size_t i = 0; i < pods.count; i++)
                ref->refs->changed(ref->refs->context, pods.items[i]);
}

int refs_get(struct refs *refs, const struct ref_key *of, json_t **ret_object, struct cx_error *err)
{
        const char *resource = of->resource, *namespace = of->namespace, *name = of->name;
        if (!refs->informers)
                return cx_error_set(err, -EHOSTUNREACH, "%s \"%s\" is not available without an apiserver", resource,
                                    name);
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s/%s/%s", resource, namespace, name);
        bool fresh = false;
        pthread_mutex_lock(&refs->lock);
        struct ref *ref = cx_map_get(&refs->map, key);
        if (!ref) {
                fresh = true;
                ref = cx_alloc(sizeof *ref);
                ref->refs = refs;
                ref->informer = cx_informers_add(
                        refs->informers,
                        &(struct cx_informer_options){
                                .ref = {.version = "v1", .resource = resource, .namespace = namespace, .name = name}});
                cx_map_set(&refs->map, key, ref);
        }
        if (!cx_strings_has(&ref->pods, of->pod_uid))
                cx_strings_add(&ref->pods, of->pod_uid);
        struct cx_informer *informer = ref->informer;
        pthread_mutex_unlock(&refs->lock);
        if (fresh) {
                cx_informer_on_event(informer, on_event, ref);
                cx_informer_start(informer);
        }
        int r = cx_informer_wait_synced(informer, 10 * CX_NS_PER_S, err);
        if (r < 0)
                return cx_error_wrap(err, "%s \"%s\"", resource, name);
        CX_OBJECT *object = cx_informer_get(informer, namespace, name);
        if (!object)
                return cx_error_reason(err, CX_REASON_NOT_FOUND, "%.*s \"%s\" not found", (int)strlen(resource) - 1,
                                       resource, name);
        *ret_object = cx_object_json(object);
        return *ret_object ? 0 : cx_error_set(err, -EIO, "%s \"%s\" cannot be read", resource, name);
}

void refs_release(struct refs *refs, const char *pod_uid)
{
        for (;;) {
                struct ref *gone = NULL;
                pthread_mutex_lock(&refs->lock);
                CX_MAP_FOREACH (&refs->map, entry) {
                        struct ref *ref = entry->value;
                        for (size_t i = ref->pods.count; i-- > 0;)
                                if (strcmp(ref->pods.items[i], pod_uid) == 0) {
                                        free(ref->pods.items[i]);
                                        ref->pods.items[i] = ref->pods.items[--ref->pods.count];
                                }
                        if (!ref->pods.count && !gone) {
                                gone = ref;
                                cx_map_take(&refs->map, entry->key);
                        }
                }
                pthread_mutex_unlock(&refs->lock);
                if (!gone)
                        return;
                ref_free(gone); // waits for a running handler, which takes the lock
        }
}
