// SPDX-License-Identifier: Apache-2.0
// Pods and pod templates, but for their containers and volumes.
#include "kubectl/cmd/describe.h"
#include "libcommon/api/selector.h"

static void describe_spreading(struct describe *d, const json_t *constraints, int level)
{
        size_t i;
        json_t *one;
        CX_STRINGS lines = CX_STRINGS_INIT;
        json_array_foreach (constraints, i, one) {
                CX_SELECTOR selector = CX_SELECTOR_INIT;
                CX_BUF text = CX_BUF_INIT;
                cx_buf_printf(&text, "%s:%s when max skew %lld is exceeded", cx_json_string_or(one, "topologyKey", ""),
                              cx_json_string_or(one, "whenUnsatisfiable", ""),
                              (long long)cx_json_int(one, "maxSkew", 0));
                if (json_object_get(one, "labelSelector") &&
                    cx_selector_from_json(json_object_get(one, "labelSelector"), &selector, NULL) == 0) {
                        cx_buf_add(&text, " for selector ");
                        cx_selector_format(&selector, &text);
                }
                cx_strings_add(&lines, text.data);
        }
        cx_strings_sort(&lines);
        for (i = 0; i < lines.count; i++)
                describe_line(d, level, "%s\t%s\n", i ? "" : "Topology Spread Constraints:", lines.items[i]);
}

static void describe_tolerations(struct describe *d, const json_t *list, int level)
{
        size_t i;
        json_t *t;
        CX_STRINGS lines = CX_STRINGS_INIT;
        json_array_foreach (list, i, t) {
                CX_BUF text = CX_BUF_INIT;
                const char *value = cx_json_string(t, "value"), *effect = cx_json_string(t, "effect");
                cx_buf_add(&text, cx_json_string_or(t, "key", ""));
                if (value && *value)
                        cx_buf_printf(&text, "=%s", value);
                if (effect && *effect)
                        cx_buf_printf(&text, ":%s", effect);
                if (cx_streq(cx_json_string(t, "operator"), "Exists") && (!value || !*value))
                        cx_buf_printf(&text, "%sop=Exists", cx_json_string_or(t, "key", "")[0] || effect ? " " : "");
                if (json_object_get(t, "tolerationSeconds"))
                        cx_buf_printf(&text, " for %llds", (long long)cx_json_int(t, "tolerationSeconds", 0));
                cx_strings_add(&lines, text.data);
        }
        cx_strings_sort(&lines);
        describe_line(d, level, "Tolerations:\t%s\n", lines.count ? lines.items[0] : "<none>");
        for (i = 1; i < lines.count; i++)
                describe_line(d, level, "\t%s\n", lines.items[i]);
}

static void describe_status(struct describe *d, const json_t *pod)
{
        const char *deleted = cx_json_string(pod, "metadata.deletionTimestamp");
        const char *phase = cx_json_string_or(pod, "status.phase", "");
        if (deleted && strcmp(phase, "Failed") != 0 && strcmp(phase, "Succeeded") != 0) {
                CX_CLEANUP(cx_freep) char *lasts = describe_since(d->now, deleted);
                describe_line(d, 0, "Status:\tTerminating (lasts %s)\n", lasts);
                describe_line(d, 0, "Termination Grace Period:\t%llds\n",
                              (long long)cx_json_int(pod, "metadata.deletionGracePeriodSeconds", 0));
        } else {
                describe_line(d, 0, "Status:\t%s\n", phase);
        }
        static const struct {
                const char *title, *path;
        } optional[] = {{"Reason", "status.reason"},
                        {"Message", "status.message"},
                        {"SeccompProfile", "spec.securityContext.seccompProfile.type"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(optional); i++) {
                const char *text = cx_json_string(pod, optional[i].path);
                if (text && *text)
                        describe_line(d, 0, "%s:\t%s\n", optional[i].title, text);
        }
        describe_line(d, 0, "IP:\t%s\n", cx_json_string_or(pod, "status.podIP", ""));
        const json_t *ips = cx_json_get(pod, "status.podIPs");
        size_t i;
        json_t *ip;
        describe_line(d, 0, "IPs:%s\n", json_array_size(ips) ? "" : "\t<none>");
        json_array_foreach (ips, i, ip)
                describe_line(d, 1, "IP:\t%s\n", cx_json_string_or(ip, "ip", ""));
        describe_controller(d, pod);
        const char *nominated = cx_json_string(pod, "status.nominatedNodeName");
        if (nominated && *nominated)
                describe_line(d, 0, "NominatedNodeName:\t%s\n", nominated);
}

static void describe_conditions(struct describe *d, const json_t *pod)
{
        const json_t *conditions = cx_json_get(pod, "status.conditions"),
                     *gates = cx_json_get(pod, "spec.readinessGates");
        size_t i;
        json_t *item;
        if (json_array_size(gates)) {
                describe_line(d, 0, "Readiness Gates:\n  Type\tStatus\n");
                json_array_foreach (gates, i, item) {
                        const char *type = cx_json_string_or(item, "conditionType", "");
                        describe_line(d, 1, "%s \t%s \n", type,
                                      cx_json_string_or(cx_json_find(conditions, "type", type), "status", "<none>"));
                }
        }
        if (!json_array_size(conditions))
                return;
        describe_line(d, 0, "Conditions:\n  Type\tStatus\n");
        json_array_foreach (conditions, i, item)
                describe_line(d, 1, "%s \t%s \n", cx_json_string_or(item, "type", ""),
                              cx_json_string_or(item, "status", ""));
}

int describe_pod(struct describe *d, const json_t *pod, struct cx_error *err CX_UNUSED)
{
        const char *node = cx_json_string(pod, "spec.nodeName"), *text;
        describe_name(d, pod);
        if (json_is_integer(cx_json_get(pod, "spec.priority")))
                describe_line(d, 0, "Priority:\t%lld\n", (long long)cx_json_int(pod, "spec.priority", 0));
        if ((text = cx_json_string(pod, "spec.priorityClassName")) && *text)
                describe_line(d, 0, "Priority Class Name:\t%s\n", text);
        if ((text = cx_json_string(pod, "spec.runtimeClassName")) && *text)
                describe_line(d, 0, "Runtime Class Name:\t%s\n", text);
        if ((text = cx_json_string(pod, "spec.serviceAccountName")) && *text)
                describe_line(d, 0, "Service Account:\t%s\n", text);
        if (node && *node)
                describe_line(d, 0, "Node:\t%s/%s\n", node, cx_json_string_or(pod, "status.hostIP", ""));
        else
                describe_line(d, 0, "Node:\t<none>\n");
        if ((text = cx_json_string(pod, "status.startTime"))) {
                CX_CLEANUP(cx_freep) char *start = describe_time(text);
                describe_line(d, 0, "Start Time:\t%s\n", start);
        }
        describe_labels(d, 0, "Labels", cx_json_get(pod, "metadata.labels"));
        describe_annotations(d, pod);
        describe_status(d, pod);
        if (cx_json_count(pod, "spec.initContainers"))
                describe_containers(d, "Init Containers", cx_json_get(pod, "spec.initContainers"),
                                    cx_json_get(pod, "status.initContainerStatuses"), pod, 0);
        describe_containers(d, "Containers", cx_json_get(pod, "spec.containers"),
                            cx_json_get(pod, "status.containerStatuses"), pod, 0);
        if (cx_json_count(pod, "spec.ephemeralContainers"))
                describe_containers(d, "Ephemeral Containers", cx_json_get(pod, "spec.ephemeralContainers"),
                                    cx_json_get(pod, "status.ephemeralContainerStatuses"), pod, 0);
        describe_conditions(d, pod);
        describe_volumes(d, json_object_get(pod, "spec"), 0);
        if ((text = cx_json_string(pod, "status.qosClass")) && *text)
                describe_line(d, 0, "QoS Class:\t%s\n", text);
        describe_labels(d, 0, "Node-Selectors", cx_json_get(pod, "spec.nodeSelector"));
        describe_tolerations(d, cx_json_get(pod, "spec.tolerations"), 0);
        describe_spreading(d, cx_json_get(pod, "spec.topologySpreadConstraints"), 0);
        describe_events(d, pod);
        return 0;
}

void describe_template(struct describe *d, const json_t *template)
{
        const json_t *spec = json_object_get(template, "spec"),
                     *annotations = cx_json_get(template, "metadata.annotations");
        const char *account = cx_json_string(spec, "serviceAccountName"), *priority;
        if (!template) {
                describe_line(d, 1, "<unset>");
                return;
        }
        describe_labels(d, 1, "Labels", cx_json_get(template, "metadata.labels"));
        if (json_object_size(annotations)) {
                CX_CLEANUP(cx_freep) const char **keys = sorted_keys(annotations);
                describe_line(d, 1, "Annotations:\t");
                for (size_t i = 0; keys[i]; i++)
                        cx_buf_printf(d->to, "%s%s: %s\n", i ? "  \t" : "", keys[i],
                                      cx_str(json_string_value(json_object_get(annotations, keys[i]))));
        }
        if (account && *account)
                describe_line(d, 1, "Service Account:\t%s\n", account);
        if (cx_json_count(spec, "initContainers"))
                describe_containers(d, "Init Containers", json_object_get(spec, "initContainers"), NULL, NULL, 1);
        describe_containers(d, "Containers", json_object_get(spec, "containers"), NULL, NULL, 1);
        describe_volumes(d, spec, 1);
        if ((priority = cx_json_string(spec, "priorityClassName")) && *priority)
                describe_line(d, 1, "Priority Class Name:\t%s\n", priority);
        describe_labels(d, 1, "Node-Selectors", json_object_get(spec, "nodeSelector"));
        describe_tolerations(d, json_object_get(spec, "tolerations"), 1);
        describe_spreading(d, json_object_get(spec, "topologySpreadConstraints"), 1);
}
