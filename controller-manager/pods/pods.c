// SPDX-License-Identifier: Apache-2.0
// The projection of pods, their order of deletion, and what is sent to make or adopt one.
#include "controller-manager/pods/pods.h"

#include <math.h>

static enum pod_phase phase_of(const char *text)
{
        static const char *const names[] = {"Pending", "Running", "Succeeded", "Failed", "Unknown"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++)
                if (cx_streq(text, names[i]))
                        return (enum pod_phase)i;
        return POD_PENDING;
}

static void project_ports(struct pod_info *info, const json_t *containers)
{
        size_t i, j;
        json_t *container, *port;
        json_array_foreach (containers, i, container) {
                json_array_foreach (json_object_get(container, "ports"), j, port) {
                        const char *name = cx_json_string(port, "name");
                        if (!name) // a port that is addressed by its number needs no look-up
                                continue;
                        info->ports = cx_realloc_array(info->ports, info->n_ports + 1, sizeof *info->ports);
                        info->ports[info->n_ports++] = (struct pod_port){
                                cx_strdup(name), cx_strdup(cx_json_string_or(port, "protocol", "TCP")),
                                (int)cx_json_int(port, "containerPort", 0)};
                }
        }
}

static void project_tolerations(struct pod_info *info, const json_t *tolerations)
{
        size_t i;
        json_t *from;
        json_array_foreach (tolerations, i, from) {
                const char *effect = cx_json_string_or(from, "effect", "");
                if (*effect && !cx_streq(effect, "NoExecute"))
                        continue;
                info->tolerations =
                        cx_realloc_array(info->tolerations, info->n_tolerations + 1, sizeof *info->tolerations);
                info->tolerations[info->n_tolerations++] = (struct pod_toleration){
                        .key = cx_strdup(cx_json_string_or(from, "key", "")),
                        .value = cx_strdup(cx_json_string_or(from, "value", "")),
                        .exists = cx_streq(cx_json_string(from, "operator"), "Exists"),
                        .no_execute = true,
                        .seconds = cx_json_int(from, "tolerationSeconds", -1),
                };
        }
}

void *pod_project(void *context CX_UNUSED, const json_t *pod)
{
        struct pod_info *info = cx_alloc(sizeof *info);
        const json_t *spec = json_object_get(pod, "spec"), *status = json_object_get(pod, "status");
        info->phase = phase_of(cx_json_string(status, "phase"));
        const json_t *ready = find_condition(pod, "Ready");
        info->ready = cx_streq(cx_json_string(ready, "status"), "True");
        const char *since = cx_json_string(ready, "lastTransitionTime");
        if (!since || cx_time_parse(since, &info->ready_since) < 0)
                info->ready_since = 0;
        info->host_network = cx_json_bool(spec, "hostNetwork", false);
        info->node = cx_strdup(cx_json_string(spec, "nodeName"));
        info->hostname = cx_strdup(cx_json_string(spec, "hostname"));
        info->subdomain = cx_strdup(cx_json_string(spec, "subdomain"));
        size_t i;
        json_t *entry;
        json_array_foreach (json_object_get(status, "podIPs"), i, entry) {
                const char *ip = cx_json_string(entry, "ip");
                if (ip)
                        cx_strings_add(&info->ips, ip);
        }
        const char *ip = cx_json_string(status, "podIP");
        if (!info->ips.count && ip && *ip)
                cx_strings_add(&info->ips, ip);
        json_array_foreach (json_object_get(status, "containerStatuses"), i, entry) {
                int64_t restarts = cx_json_int(entry, "restartCount", 0);
                info->restarts = restarts > info->restarts ? restarts : info->restarts;
        }
        project_ports(info, json_object_get(spec, "containers"));
        project_tolerations(info, json_object_get(spec, "tolerations"));
        const char *cost = json_string_value(cx_json_at(
                pod, (const char *const[]){"metadata", "annotations", "controller.kubernetes.io/pod-deletion-cost"},
                3));
        if (!cost || cx_parse_int(cost, INT32_MIN, INT32_MAX, &info->deletion_cost) < 0)
                info->deletion_cost = 0;
        return info;
}

void pod_free_projection(void *projection)
{
        struct pod_info *info = projection;
        free(info->node);
        free(info->hostname);
        free(info->subdomain);
        cx_strings_release(&info->ips);
        for (size_t i = 0; i < info->n_ports; i++) {
                free(info->ports[i].name);
                free(info->ports[i].protocol);
        }
        free(info->ports);
        for (size_t i = 0; i < info->n_tolerations; i++) {
                free(info->tolerations[i].key);
                free(info->tolerations[i].value);
        }
        free(info->tolerations);
        free(info);
}

static void node_keys(void *context CX_UNUSED, const struct cx_object *pod, struct cx_strings *ret_keys)
{
        if (POD_INFO(pod)->node)
                cx_strings_add(ret_keys, POD_INFO(pod)->node);
}

static void orphan_keys(void *context CX_UNUSED, const struct cx_object *pod, struct cx_strings *ret_keys)
{
        if (!cx_object_controller(pod))
                cx_strings_add(ret_keys, pod->namespace);
}

void pod_add_indexes(struct cx_informer *pods)
{
        cx_informer_index_controller(pods);
        cx_informer_index_namespace(pods);
        cx_informer_add_index(pods, POD_INDEX_NODE, node_keys, NULL);
        cx_informer_add_index(pods, POD_INDEX_ORPHANS, orphan_keys, NULL);
}

bool pod_is_terminal(const struct cx_object *pod)
{
        return POD_INFO(pod)->phase == POD_SUCCEEDED || POD_INFO(pod)->phase == POD_FAILED;
}

bool pod_is_active(const struct cx_object *pod)
{
        return !pod_is_terminal(pod) && !pod->deleted;
}

bool pod_is_available(const struct cx_object *pod, int64_t min_ready_seconds, int64_t now)
{
        const struct pod_info *info = POD_INFO(pod);
        if (!info->ready)
                return false;
        return !min_ready_seconds || (info->ready_since && info->ready_since + min_ready_seconds * CX_US_PER_S <= now);
}

// Ages are compared by their logarithm, so that pods of about the same age count as equal and the choice among them
// spreads.
static int compare_ages(int64_t a, int64_t b, int64_t now)
{
        if (!a || !b)
                return !a && b ? -1 : a && !b ? 1 : 0;
        int bucket_a = now > a ? (int)log2((double)(now - a) * 1000) : -1,
            bucket_b = now > b ? (int)log2((double)(now - b) * 1000) : -1;
        return bucket_a < bucket_b ? -1 : bucket_a > bucket_b; // younger first
}

int pod_compare_for_deletion(const struct cx_object *a, int rank_a, const struct cx_object *b, int rank_b, int64_t now)
{
        static const int phase_order[] = {
                [POD_PENDING] = 0, [POD_UNKNOWN] = 1, [POD_RUNNING] = 2, [POD_SUCCEEDED] = 0, [POD_FAILED] = 0};
        const struct pod_info *x = POD_INFO(a), *y = POD_INFO(b);
        if (!x->node != !y->node)
                return x->node ? 1 : -1;
        if (phase_order[x->phase] != phase_order[y->phase])
                return phase_order[x->phase] - phase_order[y->phase];
        if (x->ready != y->ready)
                return x->ready ? 1 : -1;
        if (x->deletion_cost != y->deletion_cost)
                return x->deletion_cost < y->deletion_cost ? -1 : 1;
        if (rank_a != rank_b)
                return rank_b - rank_a;
        if (x->ready && x->ready_since != y->ready_since) {
                int order = compare_ages(x->ready_since, y->ready_since, now);
                return order ? order : strcmp(a->uid, b->uid);
        }
        if (x->restarts != y->restarts)
                return x->restarts > y->restarts ? -1 : 1;
        int order = compare_ages(a->created, b->created, now);
        return order ? order : strcmp(a->uid, b->uid);
}

json_t *pod_from_template(const json_t *template, const char *generate_name, json_t *owner_steal)
{
        json_t *metadata = json_pack("{s:s, s:[o]}", "generateName", generate_name, "ownerReferences", owner_steal);
        static const char *const kept[] = {"labels", "annotations", "finalizers"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(kept); i++) {
                json_t *value = json_object_get(json_object_get(template, "metadata"), kept[i]);
                if (value)
                        json_object_set_new(metadata, kept[i], json_deep_copy(value));
        }
        return json_pack("{s:s, s:s, s:o, s:o}", "apiVersion", "v1", "kind", "Pod", "metadata", metadata, "spec",
                         json_deep_copy(json_object_get(template, "spec")));
}

int pod_adopt(struct cx_rest *rest, const struct cx_ref *ref, const char *uid, json_t *owner_steal,
              struct cx_error *err)
{
        json_auto_t *patch = json_pack("{s:{s:[o], s:s}}", "metadata", "ownerReferences", owner_steal, "uid", uid);
        return cx_rest_patch(rest, ref, NULL, CX_PATCH_STRATEGIC, patch, NULL, err);
}

int pod_release(struct cx_rest *rest, const struct cx_ref *ref, const char *uid, const char *owner_uid,
                struct cx_error *err)
{
        json_auto_t *patch = json_pack("{s:{s:[{s:s, s:s}], s:s}}", "metadata", "ownerReferences", "$patch", "delete",
                                       "uid", owner_uid, "uid", uid);
        int r = cx_rest_patch(rest, ref, NULL, CX_PATCH_STRATEGIC, patch, NULL, err);
        if (r < 0 && (cx_error_is(err, CX_REASON_NOT_FOUND) || cx_error_is(err, CX_REASON_INVALID))) {
                cx_error_release(err); // it is gone, or it is another pod already
                return 0;
        }
        return r;
}
