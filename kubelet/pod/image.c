// SPDX-License-Identifier: Apache-2.0
// Images of a pod's containers: present, pulling, or failing with a growing back-off.
#include "kubelet/pod/image.h"

#include "kubelet/base/pool.h"
#include "kubelet/image/pod_pull.h"
#include "kubelet/image/reference.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define FIRST_DELAY (10 * CX_NS_PER_S)
#define LAST_DELAY (300 * CX_NS_PER_S)

struct pull_task {
        struct pod *pod;
        json_t *object;
        char *name, *image;
};

static void pulled(struct pull_task *t, json_t *record, int64_t took, int64_t bytes)
{
        pod_tell_pulled(t->pod->pods->kubelet, t->object, t->name, t->image, took, bytes);
        pthread_mutex_lock(&t->pod->pods->lock);
        struct slot *slot = cx_map_get(&t->pod->slots, t->name);
        json_decref(slot->image);
        slot->image = record;
        slot->pull = PULL_NONE;
        slot->pull_delay = 0;
        free(slot->pull_error);
        slot->pull_error = NULL;
        pthread_mutex_unlock(&t->pod->pods->lock);
}

static void not_pulled(struct pull_task *t, const struct cx_error *err)
{
        const struct kubelet *k = t->pod->pods->kubelet;
        pod_event(k, t->object, t->name, "Warning", "Failed", "Failed to pull image \"%s\": %s", t->image,
                  cx_error_text(err));
        pod_event(k, t->object, t->name, "Warning", "Failed", "Error: ErrImagePull");
        pthread_mutex_lock(&t->pod->pods->lock);
        struct slot *slot = cx_map_get(&t->pod->slots, t->name);
        slot->pull = PULL_FAILED;
        slot->pull_told = false;
        slot->pull_delay = slot->pull_delay ? slot->pull_delay * 2 : FIRST_DELAY;
        if (slot->pull_delay > LAST_DELAY)
                slot->pull_delay = LAST_DELAY;
        slot->pull_retry = cx_time_monotonic() + slot->pull_delay;
        free(slot->pull_error);
        slot->pull_error = cx_strdup(cx_error_text(err));
        pthread_mutex_unlock(&t->pod->pods->lock);
}

static void run_pull(void *context)
{
        struct pull_task *t = context;
        const struct kubelet *k = t->pod->pods->kubelet;
        CX_ERROR err = CX_ERROR_INIT;
        json_t *record = NULL;
        int64_t bytes = 0, began = cx_time_monotonic();
        pod_event(k, t->object, t->name, "Normal", "Pulling", "Pulling image \"%s\"", t->image);
        if (pod_pull_image(k, t->object, t->image, &record, &bytes, &err) == 0)
                pulled(t, record, cx_time_monotonic() - began, bytes);
        else
                not_pulled(t, &err);
        pod_enqueue(t->pod);
        pod_unref(t->pod);
        json_decref(t->object);
        free(t->name);
        free(t->image);
        free(t);
}

static void start_pull(struct pod *pod, const json_t *object, struct slot *slot, const char *image)
{
        struct pull_task *t = cx_alloc(sizeof *t);
        pthread_mutex_lock(&pod->pods->lock);
        slot->pull = PULL_RUNNING;
        pthread_mutex_unlock(&pod->pods->lock);
        pod_ref(pod);
        *t = (struct pull_task){.pod = pod,
                                .object = json_incref((json_t *)object),
                                .name = cx_strdup(slot->name),
                                .image = cx_strdup(image)};
        pool_run(pod->pods->kubelet->pool, run_pull, t);
}

// A failed pull shows its failure once, then the back-off until its end, and is begun again then.
static void after_failure(struct pod *pod, const json_t *object, struct slot *slot, const char *image)
{
        pthread_mutex_lock(&pod->pods->lock);
        CX_CLEANUP(cx_freep) char *error = cx_strdup(slot->pull_error);
        int64_t left = slot->pull_retry - cx_time_monotonic();
        bool told = slot->pull_told;
        slot->pull_told = true;
        pthread_mutex_unlock(&pod->pods->lock);
        if (left <= 0) {
                start_pull(pod, object, slot, image);
                return;
        }
        pod_again(pod, left);
        if (!told) {
                slot_waits(slot, "ErrImagePull", "%s", error);
                pod_again(pod, 2 * CX_NS_PER_S);
                return;
        }
        if (!cx_streq(slot->reason, "ImagePullBackOff")) {
                pod_event(pod->pods->kubelet, object, slot->name, "Normal", "BackOff", "Back-off pulling image \"%s\"",
                          image);
                pod_event(pod->pods->kubelet, object, slot->name, "Warning", "Failed", "Error: ImagePullBackOff");
        }
        slot_waits(slot, "ImagePullBackOff", "Back-off pulling image \"%s\": ErrImagePull: %s", image, error);
}

// A problem that only a change of the pod or of the node's images mends: told once.
static void refuse(struct pod *pod, const json_t *object, struct slot *slot, const char *reason, const char *event,
                   const char *text)
{
        const struct kubelet *k = pod->pods->kubelet;
        if (!cx_streq(slot->reason, reason)) {
                pod_event(k, object, slot->name, "Warning", event, "%s", text);
                pod_event(k, object, slot->name, "Warning", "Failed", "Error: %s", reason);
        }
        slot_waits(slot, reason, "%s", text);
}

json_t *pod_image(struct pod *pod, const json_t *object, const json_t *container)
{
        const struct kubelet *k = pod->pods->kubelet;
        const char *name = cx_json_string_or(container, "name", ""), *image = cx_json_string_or(container, "image", "");
        const char *policy = cx_json_string(container, "imagePullPolicy");
        struct slot *slot = pod_slot(pod, name);
        IMAGE_REF ref = IMAGE_REF_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        if (image_ref_parse(image, &ref, &err) < 0) {
                CX_CLEANUP(cx_freep)
                char *text = cx_sprintf("Failed to apply default image tag \"%s\": %s", image, cx_error_text(&err));
                refuse(pod, object, slot, "InvalidImageName", "InspectFailed", text);
                return NULL;
        }
        CX_CLEANUP(cx_freep) char *full = image_ref_format(&ref);
        pthread_mutex_lock(&pod->pods->lock);
        enum pull_phase phase = slot->pull;
        json_t *ready = slot->image;
        slot->image = NULL;
        pthread_mutex_unlock(&pod->pods->lock);
        if (ready)
                return ready;
        if (phase == PULL_RUNNING)
                return NULL;
        json_t *present = cx_streq(policy, "Always") ? NULL : image_store_find(k->images, full);
        if (present) {
                pod_event(k, object, name, "Normal", "Pulled",
                          "Container image \"%s\" already present on machine and can be accessed by the pod", image);
                return present;
        }
        if (cx_streq(policy, "Never")) {
                CX_CLEANUP(cx_freep)
                char *text = cx_sprintf("Container image \"%s\" is not present with pull policy of Never", image);
                refuse(pod, object, slot, "ErrImageNeverPull", "ErrImageNeverPull", text);
                pod_again(pod, 10 * CX_NS_PER_S);
        } else if (phase == PULL_FAILED) {
                after_failure(pod, object, slot, image);
        } else {
                start_pull(pod, object, slot, image);
        }
        return NULL;
}
