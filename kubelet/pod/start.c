// SPDX-License-Identifier: Apache-2.0
// Starting one run of a container: image, environment, mounts, runtime, postStart hook; and the crash back-off before it.
#include "kubelet/pod/start.h"

#include "kubelet/base/expand.h"
#include "kubelet/pod/cgroups.h"
#include "kubelet/pod/definition.h"
#include "kubelet/pod/env.h"
#include "kubelet/pod/hook.h"
#include "kubelet/pod/image.h"
#include "kubelet/volume/mounts.h"
#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define FIRST_DELAY (10 * CX_NS_PER_S)
#define LAST_DELAY (300 * CX_NS_PER_S)
#define LONGEST_POST_START (3600 * CX_NS_PER_S)
#define QUIET_US (600 * CX_US_PER_S)

// True while a container that keeps ending must wait.
static bool backing_off(struct pod *pod, const json_t *object, struct slot *slot, const struct pod_run *run)
{
        if (!run->now)
                return false;
        int64_t now = cx_time_now();
        if (slot->delay && run->state.finished - slot->delay_set > QUIET_US)
                slot->delay = 0;
        int64_t left = slot->delay ? (run->state.finished - now) * 1000 + slot->delay : 0;
        if (left > 0) {
                CX_CLEANUP(cx_freep) char *text = pod_text(object);
                char delay[CX_TIME_TEXT];
                cx_duration_format(slot->delay, delay);
                if (!cx_streq(slot->reason, "CrashLoopBackOff"))
                        pod_event(pod->pods->kubelet, object, slot->name, "Warning", "BackOff",
                                  "Back-off restarting failed container %s in pod %s", slot->name, text);
                slot_waits(slot, "CrashLoopBackOff", "back-off %s restarting failed container=%s pod=%s", delay,
                           slot->name, text);
                pod_again(pod, left);
                return true;
        }
        return false;
}

static void raise_delay(struct slot *slot)
{
        slot->delay = slot->delay ? slot->delay * 2 : FIRST_DELAY;
        if (slot->delay > LAST_DELAY)
                slot->delay = LAST_DELAY;
        slot->delay_set = cx_time_now();
}

static void config_error(struct pod *pod, const json_t *object, struct slot *slot, const struct cx_error *err)
{
        if (!cx_streq(slot->reason, "CreateContainerConfigError") || !cx_streq(slot->message, cx_error_text(err)))
                pod_event(pod->pods->kubelet, object, slot->name, "Warning", "Failed", "Error: %s", cx_error_text(err));
        slot_waits(slot, "CreateContainerConfigError", "%s", cx_error_text(err));
        pod_again(pod, 10 * CX_NS_PER_S);
}

static json_t *object_with_ips(const json_t *object, const struct kubelet *k, const struct sandbox *sandbox)
{
        json_t *copy = json_copy((json_t *)object), *status = json_copy(json_object_get(object, "status"));
        if (!status)
                status = json_object();
        const struct cx_strings *ips = sandbox->host_network ? &k->node_ips : &sandbox->ips;
        json_t *list = json_array(), *hosts = json_array();
        for (size_t i = 0; i < ips->count; i++)
                json_array_append_new(list, json_pack("{s:s}", "ip", ips->items[i]));
        for (size_t i = 0; i < k->node_ips.count; i++)
                json_array_append_new(hosts, json_pack("{s:s}", "ip", k->node_ips.items[i]));
        if (ips->count)
                json_object_set_new(status, "podIP", json_string(ips->items[0]));
        if (k->node_ips.count)
                json_object_set_new(status, "hostIP", json_string(k->node_ips.items[0]));
        json_object_set_new(status, "podIPs", list);
        json_object_set_new(status, "hostIPs", hosts);
        json_object_set_new(copy, "status", status);
        return copy;
}

// Keeps the newest ended run (for lastState and logs --previous), removes older ones with their logs.
static void prune(struct pod *pod, const char *name)
{
        CONTAINERS list = {0};
        struct runtime *rt = pod->pods->kubelet->runtime;
        runtime_containers(rt, pod->uid, &list);
        int kept = 0;
        for (size_t i = list.count; i-- > 0;) {
                struct container_state state;
                container_state(rt, list.items[i], &state);
                if (strcmp(list.items[i]->name, name) != 0 || ++kept <= 2 || state.status != CONTAINER_EXITED)
                        continue;
                CX_ERROR err = CX_ERROR_INIT;
                (void)unlink(list.items[i]->log_path);
                if (container_remove(rt, list.items[i], &err) < 0)
                        cx_err(&err, "Cannot remove an old container", "id", list.items[i]->id);
        }
}

// One run that is about to start.
struct start {
        struct pod *pod;
        const json_t *object, *container, *image;
        const struct sandbox *sandbox;
        int attempt;
};

// The variables that the pod sets (`ret_own`, by which arguments and paths are expanded), and those with the image's.
static int make_env(const struct start *s, struct cx_strings *ret_own, struct cx_strings *ret_all, struct cx_error *err)
{
        const struct kubelet *k = s->pod->pods->kubelet;
        json_auto_t *full = object_with_ips(s->object, k, s->sandbox);
        int r = env_build(k, s->pod->pods->refs, full, s->container, ret_own, err);
        if (r < 0)
                return r == -ENOENT || r == -EHOSTUNREACH ? -EINVAL : r;
        env_merge_image(json_object_get(s->image, "config"), ret_own, ret_all);
        if (s->sandbox->host_network || expand_lookup(ret_all, "HOSTNAME", strlen("HOSTNAME")))
                return 0;
        const char *name = cx_json_string_or(s->object, "metadata.name", "");
        CX_CLEANUP(cx_freep)
        char *pair = cx_sprintf("HOSTNAME=%s", cx_json_string_or(s->object, "spec.hostname", name));
        cx_strings_add(ret_all, pair);
        return 0;
}

// An ephemeral container may see the processes of another one, which has to run.
static int find_target(const struct start *s, int *ret_fd, struct cx_error *err)
{
        struct runtime *rt = s->pod->pods->kubelet->runtime;
        const char *name = cx_json_string_or(s->container, "targetContainerName", "");
        if (!*name)
                return 0;
        CX_CLEANUP(container_unrefp) struct container *target = runtime_container(rt, s->pod->uid, name, false);
        int fd = target ? container_pid_namespace(rt, target) : -ESRCH;
        if (fd < 0)
                return cx_error_set(err, fd, "unable to find target container %s", name);
        *ret_fd = fd;
        return 0;
}

static int run_container(const struct start *s, struct container **ret_container, struct cx_error *err)
{
        const struct kubelet *k = s->pod->pods->kubelet;
        CX_STRINGS own = CX_STRINGS_INIT;
        CX_STRINGS env = CX_STRINGS_INIT;
        CX_STRINGS args = CX_STRINGS_INIT;
        CX_CLEANUP(cx_closep) int target = -1;
        int r = find_target(s, &target, err);
        if (r == 0)
                r = make_env(s, &own, &env, err);
        if (r < 0)
                return r;
        args_build(s->container, json_object_get(s->image, "config"), &own, &args);
        VOLUME_MOUNTS mounts = {0};
        r = volume_mounts_make(s->pod->pods->volumes, s->object, s->container, &own, &mounts, err);
        if (r < 0)
                return -EINVAL;
        CX_CLEANUP(cx_freep) char *cgroup = pod_cgroup(k, s->object);
        CX_CLEANUP(cx_freep) char *folder = pod_log_folder(k, s->object);
        const char *name = cx_json_string_or(s->container, "name", "");
        CX_CLEANUP(cx_freep) char *log = cx_sprintf("%s/%s/%d.log", folder, name, s->attempt);
        CX_CLEANUP(cx_freep) char *hash = definition_hash(s->container);
        CX_CLEANUP(cx_freep) char *ns_pid = cx_sprintf("/proc/%d/fd/%d", (int)getpid(), target);
        struct container_config config = {.pod = s->object,
                                          .container = s->container,
                                          .image = s->image,
                                          .sandbox = s->sandbox,
                                          .attempt = s->attempt,
                                          .definition = {hash, cx_json_int(s->object, "metadata.generation", 0)},
                                          .log_path = log,
                                          .pod_cgroup = cgroup,
                                          .ns_pid = target >= 0 ? ns_pid : NULL,
                                          .args = &args,
                                          .env = &env,
                                          .mounts = mounts.items,
                                          .n_mounts = mounts.count,
                                          .devices = mounts.devices,
                                          .n_devices = mounts.n_devices,
                                          .node_memory = k->node_memory};
        return container_run(k->runtime, &config, ret_container, err);
}

void pod_start_container(struct pod *pod, const json_t *object, const json_t *container, struct sandbox *sandbox,
                         const struct pod_run *run)
{
        const struct kubelet *k = pod->pods->kubelet;
        const char *name = cx_json_string_or(container, "name", "");
        struct slot *slot = pod_slot(pod, name);
        if (backing_off(pod, object, slot, run))
                return;
        json_auto_t *image = pod_image(pod, object, container);
        if (!image)
                return;
        int attempt = run->now ? run->now->attempt + 1 : slot->restarts;
        if (run->now)
                raise_delay(slot);
        CX_CLEANUP(container_unrefp) struct container *made = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        int r = run_container(&(struct start){pod, object, container, image, sandbox, attempt}, &made, &err);
        if (r == -EINVAL) {
                config_error(pod, object, slot, &err);
                return;
        }
        if (r < 0 && !made) {
                pod_event(k, object, name, "Warning", "Failed", "Error: %s", cx_error_text(&err));
                slot_waits(slot, "CreateContainerError", "%s", cx_error_text(&err));
                pod_again(pod, 10 * CX_NS_PER_S);
                return;
        }
        slot_ok(slot);
        pod_event(k, object, name, "Normal", "Created", "Created container: %s", name);
        bool hook = r == 0 && cx_json_get(container, "lifecycle.postStart");
        slot_set_run(pod, slot, made->id, hook ? HOOK_RUNNING : HOOK_NONE);
        slot->kill.phase = KILL_NONE;
        slot->rerun = false;
        if (r < 0) {
                pod_event(k, object, name, "Warning", "Failed", "Error: %s", cx_error_text(&err));
                slot_waits(slot, "RunContainerError", "%s", cx_error_text(&err));
                pod_again(pod, CX_NS_PER_S);
                if (!slot->delay)
                        raise_delay(slot);
        } else {
                pod_event(k, object, name, "Normal", "Started", "Started container %s", name);
                if (hook)
                        pod_start_hook(pod, object, container, made, false, LONGEST_POST_START);
        }
        if (run->now)
                prune(pod, name);
}
