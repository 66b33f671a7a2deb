// SPDX-License-Identifier: Apache-2.0
// Nodes, with their pods and what these ask for.
#include "kubectl/cmd/describe.h"
#include "libcommon/api/quantity.h"

static void describe_roles(struct describe *d, const json_t *node)
{
        const json_t *labels = cx_json_get(node, "metadata.labels");
        CX_CLEANUP(cx_freep) const char **keys = sorted_keys(labels);
        CX_BUF roles = CX_BUF_INIT;
        static const char prefix[] = "node-role.kubernetes.io/";
        for (size_t i = 0; keys[i]; i++) {
                const char *role = NULL;
                if (cx_has_prefix(keys[i], prefix) && keys[i][sizeof prefix - 1])
                        role = keys[i] + sizeof prefix - 1;
                else if (strcmp(keys[i], "kubernetes.io/role") == 0)
                        role = json_string_value(json_object_get(labels, keys[i]));
                if (role && *role)
                        cx_buf_printf(&roles, "%s%s", roles.length ? "," : "", role);
        }
        describe_line(d, 0, "Roles:\t%s\n", roles.length ? roles.data : "<none>");
}

static void describe_taints(struct describe *d, const json_t *node)
{
        // The strictest first.
        static const char *const effects[] = {"NoExecute", "NoSchedule", "PreferNoSchedule"};
        const json_t *taints = cx_json_get(node, "spec.taints");
        size_t i, n = 0;
        json_t *taint;
        describe_line(d, 0, "Taints:\t%s", json_array_size(taints) ? "" : "<none>\n");
        for (size_t e = 0; e < CX_ARRAY_SIZE(effects); e++)
                json_array_foreach (taints, i, taint) {
                        const char *value = cx_json_string_or(taint, "value", "");
                        if (!cx_streq(cx_json_string(taint, "effect"), effects[e]))
                                continue;
                        describe_line(d, 0, "%s%s%s%s:%s\n", n++ ? "\t" : "", cx_json_string_or(taint, "key", ""),
                                      *value ? "=" : "", value, effects[e]);
                }
        describe_line(d, 0, "Unschedulable:\t%s\n", cx_json_bool(node, "spec.unschedulable", false) ? "true" : "false");
}

static void describe_lease(struct describe *d, const char *name)
{
        CX_BUF path = CX_BUF_INIT;
        json_auto_t *lease = NULL;
        CX_ERROR failure = CX_ERROR_INIT;
        cx_rest_path(&path,
                     CX_REF(.group = "coordination.k8s.io", .version = "v1", .resource = "leases",
                            .namespace = "kube-node-lease", .name = name),
                     NULL);
        if (ctl_json(d->ctl, "GET", path.data, NULL, NULL, &lease, &failure) < 0) {
                describe_line(d, 0, "Lease:\tFailed to get lease: %s\n", cx_error_text(&failure));
                return;
        }
        describe_line(d, 0, "Lease:\n");
        describe_line(d, 1, "HolderIdentity:\t%s\n", cx_json_string_or(lease, "spec.holderIdentity", "<unset>"));
        CX_CLEANUP(cx_freep) char *acquired = describe_time(cx_json_string(lease, "spec.acquireTime"));
        CX_CLEANUP(cx_freep) char *renewed = describe_time(cx_json_string(lease, "spec.renewTime"));
        describe_line(d, 1, "AcquireTime:\t%s\n", acquired);
        describe_line(d, 1, "RenewTime:\t%s\n", renewed);
}

static void describe_amounts(struct describe *d, const char *title, const json_t *map)
{
        CX_CLEANUP(cx_freep) const char **keys = sorted_keys(map);
        if (keys[0])
                describe_line(d, 0, "%s:\n", title);
        for (size_t i = 0; keys[i]; i++) {
                CX_CLEANUP(cx_freep) char *text = text_of(json_object_get(map, keys[i]));
                describe_line(d, 1, "%s:\t%s\n", keys[i], text);
        }
}

static void describe_status(struct describe *d, const json_t *node)
{
        const json_t *conditions = cx_json_get(node, "status.conditions");
        size_t i;
        json_t *item;
        if (json_array_size(conditions)) {
                describe_line(d, 0,
                              "Conditions:\n  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage\n");
                describe_line(d, 1, "----\t------\t-----------------\t------------------\t------\t-------\n");
        }
        json_array_foreach (conditions, i, item) {
                CX_CLEANUP(cx_freep) char *beat = describe_time(cx_json_string(item, "lastHeartbeatTime"));
                CX_CLEANUP(cx_freep) char *since = describe_time(cx_json_string(item, "lastTransitionTime"));
                describe_line(d, 1, "%s \t%s \t%s \t%s \t%s \t%s\n", cx_json_string_or(item, "type", ""),
                              cx_json_string_or(item, "status", ""), beat, since, cx_json_string_or(item, "reason", ""),
                              cx_json_string_or(item, "message", ""));
        }
        describe_line(d, 0, "Addresses:\n");
        json_array_foreach (cx_json_get(node, "status.addresses"), i, item)
                describe_line(d, 1, "%s:\t%s\n", cx_json_string_or(item, "type", ""),
                              cx_json_string_or(item, "address", ""));
        describe_amounts(d, "Capacity", cx_json_get(node, "status.capacity"));
        describe_amounts(d, "Allocatable", cx_json_get(node, "status.allocatable"));
        static const struct {
                const char *title, *member;
        } info[] = {{"Machine ID", "machineID"},
                    {"System UUID", "systemUUID"},
                    {"Boot ID", "bootID"},
                    {"Kernel Version", "kernelVersion"},
                    {"OS Image", "osImage"},
                    {"Operating System", "operatingSystem"},
                    {"Architecture", "architecture"},
                    {"Container Runtime Version", "containerRuntimeVersion"},
                    {"Kubelet Version", "kubeletVersion"},
                    {"Kube-Proxy Version", "kubeProxyVersion"}};
        const json_t *node_info = cx_json_get(node, "status.nodeInfo");
        describe_line(d, 0, "System Info:\n");
        for (i = 0; i < CX_ARRAY_SIZE(info); i++) {
                const char *text = cx_json_string_or(node_info, info[i].member, "");
                describe_line(d, 1, "%s:\t%s\n", info[i].title, text);
        }
}

// --- what the pods ask for ------------------------------------------------------------------------------------------
enum { CPU, MEMORY, EPHEMERAL, HUGE_1G, HUGE_2M, N_RESOURCES };
static const char *const resource_names[] = {"cpu", "memory", "ephemeral-storage", "hugepages-1Gi", "hugepages-2Mi"};
struct asked {
        struct cx_quantity requests[N_RESOURCES], limits[N_RESOURCES];
};

static void add_amounts(struct cx_quantity to[N_RESOURCES], const json_t *map, bool at_least)
{
        for (size_t i = 0; i < N_RESOURCES; i++) {
                struct cx_quantity amount;
                const json_t *value = json_object_get(map, resource_names[i]);
                if (!value || cx_quantity_from_json(value, &amount) < 0)
                        continue;
                if (to[i].nano == 0)
                        to[i].format = amount.format;
                if (!at_least)
                        cx_quantity_add(&to[i], &amount);
                else if (cx_quantity_compare(&amount, &to[i]) > 0)
                        to[i] = amount;
        }
}

static void pod_amounts(const json_t *pod, struct asked *asked)
{
        *asked = (struct asked){0};
        size_t i;
        json_t *container;
        json_array_foreach (cx_json_get(pod, "spec.containers"), i, container) {
                add_amounts(asked->requests, cx_json_get(container, "resources.requests"), false);
                add_amounts(asked->limits, cx_json_get(container, "resources.limits"), false);
        }
        json_array_foreach (cx_json_get(pod, "spec.initContainers"), i, container) {
                bool sidecar = cx_streq(cx_json_string(container, "restartPolicy"), "Always");
                add_amounts(asked->requests, cx_json_get(container, "resources.requests"), !sidecar);
                add_amounts(asked->limits, cx_json_get(container, "resources.limits"), !sidecar);
        }
        add_amounts(asked->requests, cx_json_get(pod, "spec.overhead"), false);
}

static const char *amount_text(const struct cx_quantity *amount, const json_t *allocatable, size_t resource, char *to,
                               size_t size)
{
        struct cx_quantity whole;
        char text[CX_QUANTITY_TEXT];
        int64_t percent = 0;
        cx_quantity_format(amount, text);
        if (cx_quantity_from_json(json_object_get(allocatable, resource_names[resource]), &whole) == 0 && whole.nano)
                percent = (int64_t)((double)cx_quantity_milli(amount) / (double)cx_quantity_milli(&whole) * 100);
        snprintf(to, size, "%s (%lld%%)", text, (long long)percent);
        return to;
}

static int describe_pods(struct describe *d, const json_t *node, struct cx_error *err)
{
        const json_t *allocatable = cx_json_get(node, "status.allocatable");
        if (!json_object_size(allocatable))
                allocatable = cx_json_get(node, "status.capacity");
        CX_CLEANUP(cx_freep)
        char *selector = cx_sprintf("spec.nodeName=%s,status.phase!=Failed,status.phase!=Succeeded",
                                    cx_json_string_or(node, "metadata.name", ""));
        CX_BUF path = CX_BUF_INIT;
        cx_buf_add(&path, "/api/v1/pods");
        cx_rest_query(&path, "fieldSelector", selector);
        json_auto_t *pods = list_objects(d->ctl, path.data, err);
        if (!pods)
                return err ? err->code : -EIO;
        struct asked total = {0};
        char a[80], b[80], c[80], e[80];
        size_t i;
        json_t *pod;
        describe_line(d, 0, "Non-terminated Pods:\t(%zu in total)\n", json_array_size(pods));
        describe_line(d, 1, "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge\n");
        describe_line(d, 1, "---------\t----\t\t------------\t----------\t---------------\t-------------\t---\n");
        json_array_foreach (pods, i, pod) {
                struct asked asked;
                pod_amounts(pod, &asked);
                for (size_t k = 0; k < N_RESOURCES; k++) {
                        if (!total.requests[k].nano)
                                total.requests[k].format = asked.requests[k].format;
                        if (!total.limits[k].nano)
                                total.limits[k].format = asked.limits[k].format;
                        cx_quantity_add(&total.requests[k], &asked.requests[k]);
                        cx_quantity_add(&total.limits[k], &asked.limits[k]);
                }
                CX_CLEANUP(cx_freep)
                char *age = describe_since(d->now, cx_json_string(pod, "metadata.creationTimestamp"));
                describe_line(d, 1, "%s\t%s\t\t%s\t%s\t%s\t%s\t%s\n", cx_json_string_or(pod, "metadata.namespace", ""),
                              cx_json_string_or(pod, "metadata.name", ""),
                              amount_text(&asked.requests[CPU], allocatable, CPU, a, sizeof a),
                              amount_text(&asked.limits[CPU], allocatable, CPU, b, sizeof b),
                              amount_text(&asked.requests[MEMORY], allocatable, MEMORY, c, sizeof c),
                              amount_text(&asked.limits[MEMORY], allocatable, MEMORY, e, sizeof e), age);
        }
        describe_line(d, 0, "Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)\n");
        describe_line(d, 1, "Resource\tRequests\tLimits\n");
        describe_line(d, 1, "--------\t--------\t------\n");
        for (size_t k = 0; k < N_RESOURCES; k++)
                if (k < HUGE_1G || json_object_get(allocatable, resource_names[k]))
                        describe_line(d, 1, "%s\t%s\t%s\n", resource_names[k],
                                      amount_text(&total.requests[k], allocatable, k, a, sizeof a),
                                      amount_text(&total.limits[k], allocatable, k, b, sizeof b));
        return 0;
}

static int describe_node(struct describe *d, const json_t *o, struct cx_error *err)
{
        const char *name = cx_json_string_or(o, "metadata.name", ""), *text;
        describe_line(d, 0, "Name:\t%s\n", name);
        describe_roles(d, o);
        describe_labels(d, 0, "Labels", cx_json_get(o, "metadata.labels"));
        describe_annotations(d, o);
        CX_CLEANUP(cx_freep) char *created = describe_time(cx_json_string(o, "metadata.creationTimestamp"));
        describe_line(d, 0, "CreationTimestamp:\t%s\n", created);
        describe_taints(d, o);
        describe_lease(d, name);
        describe_status(d, o);
        if ((text = cx_json_string(o, "spec.podCIDR")) && *text)
                describe_line(d, 0, "PodCIDR:\t%s\n", text);
        const json_t *cidrs = cx_json_get(o, "spec.podCIDRs");
        if (json_array_size(cidrs)) {
                CX_BUF all = CX_BUF_INIT;
                size_t i;
                json_t *cidr;
                json_array_foreach (cidrs, i, cidr)
                        cx_buf_printf(&all, "%s%s", i ? "," : "", cx_str(json_string_value(cidr)));
                describe_line(d, 0, "PodCIDRs:\t%s\n", all.data);
        }
        if ((text = cx_json_string(o, "spec.providerID")) && *text)
                describe_line(d, 0, "ProviderID:\t%s\n", text);
        int r = describe_pods(d, o, err);
        if (r < 0)
                return r;
        describe_events(d, o);
        return 0;
}

const struct describer describers_node[] = {
        {"", "Node", describe_node},
        {0},
};
