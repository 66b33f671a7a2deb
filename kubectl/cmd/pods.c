// SPDX-License-Identifier: Apache-2.0
// From a name or an object to its pods, and from a pod to the container that is meant.
#include "kubectl/cmd/commands.h"
#include "libcommon/base/time.h"

#include "libcommon/api/pod.h"
#include "libcommon/api/selector.h"
#include "libcommon/schema/schema.h"

json_t *list_objects(struct ctl *ctl, const char *path, struct cx_error *err)
{
        json_auto_t *list = NULL;
        if (ctl_json(ctl, "GET", path, NULL, NULL, &list, err) < 0)
                return NULL;
        json_t *items = json_object_get(list, "items");
        return json_is_array(items) ? json_incref(items) : json_array();
}

char *selector_of(const json_t *object)
{
        const char *kind = cx_json_string_or(object, "kind", "");
        const json_t *selector = cx_json_get(object, "spec.selector");
        CX_SELECTOR parsed = CX_SELECTOR_INIT;
        CX_BUF text = CX_BUF_INIT;
        if (!json_object_size(selector))
                return NULL;
        if (strcmp(kind, "Service") == 0 || strcmp(kind, "ReplicationController") == 0)
                cx_selector_from_map(selector, &parsed);
        else if (cx_selector_from_json(selector, &parsed, NULL) < 0)
                return NULL;
        cx_selector_format(&parsed, &text);
        return cx_buf_detach(&text);
}

int pods_of(struct ctl *ctl, const struct info *info, json_t **ret_pods, struct cx_error *err)
{
        if (strcmp(info->mapping->kind, "Pod") == 0) {
                *ret_pods = json_pack("[O]", info->object);
                return 0;
        }
        CX_CLEANUP(cx_freep) char *selector = selector_of(info->object);
        if (!selector)
                return cx_error_set(err, -EINVAL, "cannot %s *%s.%s: selector for *%s.%s not implemented",
                                    strcmp(ctl->path, "logs") == 0 ? "get the logs from" : "attach to",
                                    info->mapping->version, info->mapping->kind, info->mapping->version,
                                    info->mapping->kind);
        CX_BUF path = CX_BUF_INIT;
        cx_rest_path(&path, CX_REF(.group = "", .version = "v1", .resource = "pods", .namespace = info->namespace),
                     NULL);
        cx_rest_query(&path, "labelSelector", selector);
        *ret_pods = list_objects(ctl, path.data, err);
        return *ret_pods ? 0 : err ? err->code : -EIO;
}

// The best pod to talk to: running and ready before others.
static json_t *best_pod(const json_t *pods)
{
        json_t *best = NULL;
        int best_rank = -1;
        size_t i;
        json_t *pod;
        json_array_foreach (pods, i, pod) {
                const char *phase = cx_pod_phase(pod);
                int rank = cx_pod_is_terminating(pod)      ? 0
                           : strcmp(phase, "Running") == 0 ? 2 + cx_pod_is_ready(pod)
                                                           : strcmp(phase, "Pending") == 0;
                if (rank > best_rank) {
                        best = pod;
                        best_rank = rank;
                }
        }
        return best;
}

int pod_of(struct ctl *ctl, const char *word, int64_t timeout, json_t **ret_pod, struct cx_error *err)
{
        json_auto_t *object = NULL;
        return pod_behind(ctl, word, timeout, &object, ret_pod, err);
}

int pod_behind(struct ctl *ctl, const char *word, int64_t timeout, json_t **ret_object, json_t **ret_pod,
               struct cx_error *err)
{
        BUILDER builder = {.default_type = "pods"};
        CX_STRINGS words = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT;
        cx_strings_add(&words, word);
        int r = builder_targets(ctl, &builder, &words, &infos, err);
        if (r == 0)
                r = info_fetch(ctl, infos.items[0], err);
        if (r < 0)
                return r;
        *ret_object = json_incref(infos.items[0]->object);
        int64_t deadline = cx_time_monotonic() + timeout;
        for (;;) {
                json_auto_t *pods = NULL;
                r = pods_of(ctl, infos.items[0], &pods, err);
                if (r < 0)
                        return r;
                json_t *pod = best_pod(pods);
                if (pod) {
                        json_object_set_new(pod, "kind", json_string("Pod"));
                        json_object_set_new(pod, "apiVersion", json_string("v1"));
                        *ret_pod = json_incref(pod);
                        return 0;
                }
                if (cx_time_monotonic() >= deadline)
                        return cx_error_set(err, -ETIMEDOUT, "timed out waiting for the condition");
                nanosleep(&(struct timespec){.tv_nsec = 250000000}, NULL);
        }
}

const char *default_container(const json_t *pod, bool quiet)
{
        const json_t *spec = json_object_get(pod, "spec"), *containers = json_object_get(spec, "containers");
        const json_t *annotations = cx_json_get(pod, "metadata.annotations");
        const char *named = json_string_value(json_object_get(annotations, "kubectl.kubernetes.io/default-container"));
        if (named && cx_json_find(containers, "name", named))
                return named;
        const char *first = cx_json_string_or(json_array_get(containers, 0), "name", "");
        if (json_array_size(containers) + cx_json_count(spec, "initContainers") +
                            cx_json_count(spec, "ephemeralContainers") >
                    1 &&
            !quiet) {
                CX_BUF names = CX_BUF_INIT;
                CX_POD_FOREACH(walk, spec, CX_POD_MAIN)
                cx_buf_printf(&names, "%s%s", names.length ? ", " : "", walk.name);
                CX_POD_FOREACH(walk, spec, CX_POD_INIT)
                cx_buf_printf(&names, "%s%s (init)", names.length ? ", " : "", walk.name);
                CX_POD_FOREACH(walk, spec, CX_POD_EPHEMERAL)
                cx_buf_printf(&names, "%s%s (ephem)", names.length ? ", " : "", walk.name);
                fflush(stdout);
                fprintf(stderr, "Defaulted container \"%s\" out of: %s\n", first, names.data);
        }
        return first;
}

json_t *pod_template(json_t *object)
{
        return json_object_get(cx_schema_pod_template(object), "spec");
}
