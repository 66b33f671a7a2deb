// SPDX-License-Identifier: Apache-2.0
// Lifecycle hooks: a handler run once on the pool, whose end the pod's worker sees in the container's slot.
#include "kubelet/pod/hook.h"

#include "kubelet/base/pool.h"
#include "kubelet/probe/handler.h"
#include "libcommon/format/json.h"

struct hook_task {
        struct pod *pod;
        json_t *object, *container;
        struct container *running;
        bool stopping; // preStop, else postStart
        int64_t timeout;
};

static void tell(const struct hook_task *t, const char *why)
{
        const struct kubelet *k = t->pod->pods->kubelet;
        if (t->stopping)
                pod_event(k, t->object, t->running->name, "Warning", "FailedPreStopHook", "PreStopHook failed");
        else
                pod_event(k, t->object, t->running->name, "Warning", "FailedPostStartHook", "PostStartHook failed: %s",
                          why);
}

static void run(void *context)
{
        struct hook_task *t = context;
        struct pods *pods = t->pod->pods;
        CX_BUF output = CX_BUF_INIT_MAX(16384);
        CX_ERROR err = CX_ERROR_INIT;
        CX_CLEANUP(sandbox_unrefp)
        struct sandbox *sandbox = runtime_sandbox(pods->kubelet->runtime, t->pod->uid);
        int r = handler_run(
                pods->kubelet,
                &(struct handler_call){
                        .handler = cx_json_get(t->container, t->stopping ? "lifecycle.preStop" : "lifecycle.postStart"),
                        .container = t->container,
                        .running = t->running,
                        .ip = pod_address(pods->kubelet, sandbox),
                        .timeout = t->timeout},
                &output, &err);
        if (r != 0)
                tell(t, r < 0 ? cx_error_text(&err) : output.data);
        pthread_mutex_lock(&pods->lock);
        struct slot *slot = cx_map_get(&t->pod->slots, t->running->name);
        bool same = slot && cx_streq(slot->run_id, t->running->id); // and no later run of that name
        if (same && t->stopping)
                slot->pre_stop_done = true;
        else if (same)
                slot->post_start = r == 0 ? HOOK_DONE : HOOK_FAILED;
        pthread_mutex_unlock(&pods->lock);
        pod_enqueue(t->pod);
        pod_unref(t->pod);
        json_decref(t->object);
        json_decref(t->container);
        container_unref(t->running);
        free(t);
}

void pod_start_hook(struct pod *pod, const json_t *object, const json_t *container, struct container *running,
                    bool stopping, int64_t timeout)
{
        struct hook_task *t = cx_alloc(sizeof *t);
        *t = (struct hook_task){.pod = pod,
                                .object = json_incref((json_t *)object),
                                .container = json_incref((json_t *)container),
                                .running = container_ref(running),
                                .stopping = stopping,
                                .timeout = timeout};
        pod_ref(pod);
        pool_run(pod->pods->kubelet->pool, run, t);
}
