// SPDX-License-Identifier: Apache-2.0
// Nodes, with their pods and what these ask for.
#include "kubectl/cmd/describe.h"
#include "libcommon/api/quantity.h"
#include "libcommon/api/resources.h"

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
static const char *const resource_names[] = {"cpu", "memory", "ephemeral-storage", "hugepages-1Gi", "hugepages-2Mi"};
enum { COMMON_RESOURCES = 3 }; // of resource_names: those that every node has

static const char *amount_text(const struct cx_resource_list *list, const json_t *allocatable, const char *resource,
                               char to[80])
{
        static const struct cx_quantity nothing;
        const struct cx_quantity *amount = cx_resource_list_get(list, resource);
        struct cx_quantity whole;
        char text[CX_QUANTITY_TEXT];
        int64_t percent = 0;
        amount = amount ? amount : &nothing;
        cx_quantity_format(amount, text);
        if (cx_quantity_from_json(json_object_get(allocatable, resource), &whole) == 0 && whole.nano)
                percent = (int64_t)((double)cx_quantity_milli(amount) / (double)cx_quantity_milli(&whole) * 100);
        snprintf(to, 80, "%s (%lld%%)", text, (long long)percent);
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
        CX_RESOURCE_LIST requests = {0}, limits = {0};
        char a[80], b[80], c[80], e[80];
        size_t i;
        json_t *pod;
        describe_line(d, 0, "Non-terminated Pods:\t(%zu in total)\n", json_array_size(pods));
        describe_line(d, 1, "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge\n");
        describe_line(d, 1, "---------\t----\t\t------------\t----------\t---------------\t-------------\t---\n");
        json_array_foreach (pods, i, pod) {
                CX_RESOURCE_LIST own_requests = {0}, own_limits = {0};
                cx_pod_resources(json_object_get(pod, "spec"), NULL, &own_requests);
                cx_pod_resources(json_object_get(pod, "spec"), &(struct cx_pod_resources_options){.limits = true},
                                 &own_limits);
                cx_resource_list_add(&requests, &own_requests);
                cx_resource_list_add(&limits, &own_limits);
                CX_CLEANUP(cx_freep)
                char *age = describe_since(d->now, cx_json_string(pod, "metadata.creationTimestamp"));
                describe_line(d, 1, "%s\t%s\t\t%s\t%s\t%s\t%s\t%s\n", cx_json_string_or(pod, "metadata.namespace", ""),
                              cx_json_string_or(pod, "metadata.name", ""),
                              amount_text(&own_requests, allocatable, "cpu", a),
                              amount_text(&own_limits, allocatable, "cpu", b),
                              amount_text(&own_requests, allocatable, "memory", c),
                              amount_text(&own_limits, allocatable, "memory", e), age);
        }
        describe_line(d, 0, "Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)\n");
        describe_line(d, 1, "Resource\tRequests\tLimits\n");
        describe_line(d, 1, "--------\t--------\t------\n");
        for (size_t k = 0; k < CX_ARRAY_SIZE(resource_names); k++)
                if (k < COMMON_RESOURCES || json_object_get(allocatable, resource_names[k]))
                        describe_line(d, 1, "%s\t%s\t%s\n", resource_names[k],
                                      amount_text(&requests, allocatable, resource_names[k], a),
                                      amount_text(&limits, allocatable, resource_names[k], b));
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
