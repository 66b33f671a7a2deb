// SPDX-License-Identifier: Apache-2.0
// Pod specs, in pods and in templates: names, references between parts, ports, probes, resources.
#include "libcommon/api/names.h"
#include "libcommon/api/quantity.h"
#include "libcommon/schema/validate/validate.h"

static const char *const container_lists[] = {"initContainers", "containers", "ephemeralContainers"};

static void check_ports(struct cx_validator *v, const json_t *spec, const json_t *container, json_t *host_ports)
{
        size_t i;
        json_t *port;
        json_auto_t *names = json_object();
        json_array_foreach (json_object_get(container, "ports"), i, port) {
                size_t length = cx_enter(v, ".ports[%zu]", i);
                const char *name = cx_json_string_or(port, "name", "");
                int64_t host = cx_json_int(port, "hostPort", 0);
                if (!json_object_get(port, "containerPort"))
                        cx_required(v, "containerPort", NULL);
                cx_check_text(v, port, "name", cx_check_port_name);
                if (*name && json_object_get(names, name))
                        cx_duplicate(v, "name", json_object_get(port, "name"));
                json_object_set_new(names, name, json_true());
                if (host && cx_json_bool(spec, "hostNetwork", false) && host != cx_json_int(port, "containerPort", 0))
                        cx_invalid(v, "containerPort", json_object_get(port, "containerPort"),
                                   "must match `hostPort` when `hostNetwork` is true");
                CX_CLEANUP(cx_freep)
                char *key = cx_sprintf("%s/%s/%lld", cx_json_string_or(port, "protocol", "TCP"),
                                       cx_json_string_or(port, "hostIP", ""), (long long)host);
                if (host && json_object_get(host_ports, key)) {
                        json_auto_t *text = json_string(key);
                        cx_duplicate(v, "hostPort", text);
                }
                if (host)
                        json_object_set_new(host_ports, key, json_true());
                cx_leave(v, length);
        }
}

static void check_env(struct cx_validator *v, const json_t *container)
{
        static const char *const sources[] = {"fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef",
                                              "fileKeyRef"};
        size_t i;
        json_t *env;
        json_array_foreach (json_object_get(container, "env"), i, env) {
                size_t length = cx_enter(v, ".env[%zu]", i), count = 0;
                const json_t *from = json_object_get(env, "valueFrom");
                cx_check_text(v, env, "name", cx_check_env_name);
                for (size_t k = 0; k < CX_ARRAY_SIZE(sources); k++)
                        count += json_object_get(from, sources[k]) != NULL;
                if (from && *cx_json_string_or(env, "value", ""))
                        cx_invalid_text(v, "valueFrom", "", "may not be specified when `value` is not empty");
                else if (from && count == 0)
                        cx_invalid_text(v, "valueFrom", "",
                                        "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or "
                                        "`secretKeyRef`");
                else if (count > 1)
                        cx_invalid_text(v, "valueFrom", "", "may not have more than one field specified at a time");
                cx_leave(v, length);
        }
}

// A StatefulSet gives its pods a volume of each of its claims' names.
static bool is_claim_template(const struct cx_validator *v, const char *name)
{
        size_t i;
        const json_t *claim;
        json_array_foreach (cx_json_get(v->root, "spec.volumeClaimTemplates"), i, claim)
                if (cx_streq(cx_json_string(claim, "metadata.name"), name))
                        return true;
        return false;
}

static void check_mounts(struct cx_validator *v, const json_t *spec, const json_t *container, const char *list)
{
        const json_t *volumes = json_object_get(spec, "volumes");
        size_t i;
        json_t *mount;
        json_array_foreach (json_object_get(container, list), i, mount) {
                const char *name = cx_json_string_or(mount, "name", "");
                size_t length = cx_enter(v, ".%s[%zu]", list, i);
                if (*name && !cx_json_find(volumes, "name", name) && !is_claim_template(v, name))
                        cx_not_found(v, "name", name);
                cx_leave(v, length);
        }
}

// Which of the mounts it is upstream does not say.
static void check_propagation(struct cx_validator *v, const json_t *container)
{
        size_t i;
        json_t *mount;
        if (cx_json_bool(container, "securityContext.privileged", false))
                return;
        json_array_foreach (json_object_get(container, "volumeMounts"), i, mount)
                if (cx_streq(cx_json_string(mount, "mountPropagation"), "Bidirectional"))
                        cx_forbidden(v, "volumeMounts.mountPropagation",
                                     "Bidirectional mount propagation is available only to privileged containers");
}

static void check_probe(struct cx_validator *v, const json_t *container, const char *name)
{
        static const char *const handlers[] = {"exec", "httpGet", "tcpSocket", "grpc"};
        const json_t *probe = json_object_get(container, name);
        if (!probe)
                return;
        size_t length = cx_enter(v, ".%s", name), count = 0;
        for (size_t i = 0; i < CX_ARRAY_SIZE(handlers); i++)
                if (json_object_get(probe, handlers[i]) && ++count > 1)
                        cx_forbidden(v, handlers[i], "may not specify more than 1 handler type");
        if (count == 0)
                cx_required(v, "", "must specify a handler type");
        if (strcmp(name, "readinessProbe") == 0 && json_object_get(probe, "terminationGracePeriodSeconds"))
                cx_invalid(v, "terminationGracePeriodSeconds", json_object_get(probe, "terminationGracePeriodSeconds"),
                           "must not be set for readinessProbes");
        else if (cx_json_int(probe, "terminationGracePeriodSeconds", 1) < 1)
                cx_invalid(v, "terminationGracePeriodSeconds", json_object_get(probe, "terminationGracePeriodSeconds"),
                           "must be greater than 0");
        if (strcmp(name, "readinessProbe") != 0 && cx_json_int(probe, "successThreshold", 1) > 1)
                cx_invalid(v, "successThreshold", json_object_get(probe, "successThreshold"), "must be 1");
        cx_leave(v, length);
}

// Init containers that run to their end have nothing to be looked at meanwhile.
static void check_init_container(struct cx_validator *v, const json_t *container)
{
        static const char *const lasting[] = {"lifecycle", "livenessProbe", "readinessProbe", "startupProbe"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(lasting); i++)
                if (json_object_get(container, lasting[i]) &&
                    !cx_streq(cx_json_string(container, "restartPolicy"), "Always"))
                        cx_forbidden(v, lasting[i], "may not be set for init containers without restartPolicy=Always");
}

static void check_sleep(struct cx_validator *v, const json_t *spec, const json_t *container)
{
        static const char *const hooks[] = {"lifecycle.postStart", "lifecycle.preStop"};
        int64_t grace = cx_json_int(spec, "terminationGracePeriodSeconds", 30);
        for (size_t i = 0; i < CX_ARRAY_SIZE(hooks); i++) {
                const json_t *sleep = cx_json_get(cx_json_get(container, hooks[i]), "sleep");
                int64_t seconds = cx_json_int(sleep, "seconds", 0);
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("%s.sleep", hooks[i]);
                CX_CLEANUP(cx_freep)
                char *detail = cx_sprintf("must be non-negative and less than terminationGracePeriodSeconds (%lld)",
                                          (long long)grace);
                if (sleep && (seconds < 0 || seconds > grace))
                        cx_invalid(v, field, json_object_get(sleep, "seconds"), detail);
        }
}

// A resource of a container is one of Kubernetes' own or has a domain of its own.
static bool is_resource_name(const char *name)
{
        static const char *const known[] = {"cpu", "memory", "ephemeral-storage"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(known); i++)
                if (strcmp(name, known[i]) == 0)
                        return true;
        return strchr(name, '/') || cx_has_prefix(name, "hugepages-");
}

static void check_resources(struct cx_validator *v, const json_t *resources)
{
        static const char *const lists[] = {"limits", "requests"};
        const json_t *limits = json_object_get(resources, "limits");
        const char *name;
        json_t *value;
        for (size_t i = 0; i < CX_ARRAY_SIZE(lists); i++) {
                json_object_foreach (json_object_get(resources, lists[i]), name, value) {
                        struct cx_quantity quantity, limit;
                        const json_t *max = json_object_get(limits, name);
                        if (cx_quantity_from_json(value, &quantity) < 0)
                                continue;
                        CX_CLEANUP(cx_freep) char *field = cx_sprintf("%s[%s]", lists[i], name);
                        if (!is_resource_name(name)) {
                                cx_invalid_text(v, field, name, "must be a standard resource type or fully qualified");
                                cx_invalid_text(v, field, name, "must be a standard resource for containers");
                        }
                        if (strchr(name, '/') && !cx_has_prefix(name, "kubernetes.io/") &&
                            !cx_quantity_is_whole(&quantity))
                                cx_invalid(v, field, value, "must be an integer");
                        if (quantity.nano < 0)
                                cx_invalid(v, field, value, "must be greater than or equal to 0");
                        if (i == 0 || !max || cx_quantity_from_json(max, &limit) < 0 ||
                            cx_quantity_compare(&quantity, &limit) <= 0)
                                continue;
                        CX_CLEANUP(cx_freep)
                        char *detail = cx_sprintf("must be less than or equal to %s limit of %s", name,
                                                  cx_str(json_string_value(max)));
                        cx_invalid(v, "requests", value, detail);
                }
        }
}

// It is there to look at others: nothing is promised to it and nothing is asked of it.
static void check_ephemeral(struct cx_validator *v, const json_t *spec, const json_t *container)
{
        static const char *const forbidden[] = {"ports",         "livenessProbe", "readinessProbe",
                                                "startupProbe",  "lifecycle",     "resizePolicy",
                                                "restartPolicy", "resources",     "restartPolicyRules"};
        const char *target = cx_json_string_or(container, "targetContainerName", "");
        for (size_t i = 0; i < CX_ARRAY_SIZE(forbidden); i++) {
                const json_t *value = json_object_get(container, forbidden[i]);
                if (json_is_string(value) || json_object_size(value) || json_array_size(value))
                        cx_forbidden(v, forbidden[i], "cannot be set for an Ephemeral Container");
        }
        size_t i;
        const json_t *mount;
        json_array_foreach (json_object_get(container, "volumeMounts"), i, mount) {
                static const char *const paths[] = {"subPath", "subPathExpr"};
                size_t length = cx_enter(v, ".volumeMounts[%zu]", i);
                for (size_t k = 0; k < CX_ARRAY_SIZE(paths); k++)
                        if (*cx_json_string_or(mount, paths[k], ""))
                                cx_forbidden(v, paths[k], "cannot be set for an Ephemeral Container");
                cx_leave(v, length);
        }
        if (*target && !cx_json_find(json_object_get(spec, "containers"), "name", target) &&
            !cx_json_find(json_object_get(spec, "initContainers"), "name", target))
                cx_not_found(v, "targetContainerName", target);
}

static void check_resize_policies(struct cx_validator *v, const json_t *spec, const json_t *container)
{
        static const char *const resizable[] = {"cpu", "memory", NULL};
        json_auto_t *seen = json_object();
        size_t i;
        const json_t *policy;
        json_array_foreach (json_object_get(container, "resizePolicy"), i, policy) {
                size_t length = cx_enter(v, ".resizePolicy[%zu]", i);
                const char *name = cx_json_string_or(policy, "resourceName", "");
                if (json_object_get(seen, name))
                        cx_duplicate(v, "", json_object_get(policy, "resourceName"));
                json_object_set_new(seen, name, json_true());
                if (strcmp(name, "cpu") != 0 && strcmp(name, "memory") != 0)
                        cx_unsupported(v, "resourceName", name, resizable);
                if (cx_streq(cx_json_string(spec, "restartPolicy"), "Never") &&
                    strcmp(cx_json_string_or(policy, "restartPolicy", ""), "RestartContainer") == 0)
                        cx_invalid_text(v, "restartPolicy", "RestartContainer",
                                        "must be 'NotRequired' when `restartPolicy` is 'Never'");
                cx_leave(v, length);
        }
}

// `names` has the list of each name that was seen: equal names in one list were found by the list's key.
static void check_container(struct cx_validator *v, const json_t *spec, const json_t *container, const char *list,
                            const json_t *names, json_t *host_ports)
{
        static const char *const probes[] = {"livenessProbe", "readinessProbe", "startupProbe"};
        const char *name = cx_json_string_or(container, "name", "");
        const char *image = cx_json_string_or(container, "image", "");
        cx_check_text(v, container, "name", cx_check_dns1123_label);
        const char *other = json_string_value(json_object_get(names, name));
        if (other && strcmp(other, list) != 0)
                cx_duplicate(v, "name", json_object_get(container, "name"));
        if (!*image)
                cx_required(v, "image", NULL);
        else if (image[strspn(image, " \t")] == 0 || *image == ' ' || image[strlen(image) - 1] == ' ')
                cx_invalid(v, "image", json_object_get(container, "image"),
                           "must not have leading or trailing whitespace");
        check_ports(v, spec, container, host_ports);
        check_env(v, container);
        check_mounts(v, spec, container, "volumeMounts");
        check_mounts(v, spec, container, "volumeDevices");
        check_propagation(v, container);
        check_sleep(v, spec, container);
        check_resize_policies(v, spec, container);
        if (strcmp(list, "initContainers") == 0)
                check_init_container(v, container);
        if (strcmp(list, "ephemeralContainers") == 0)
                check_ephemeral(v, spec, container);
        for (size_t i = 0; i < CX_ARRAY_SIZE(probes); i++)
                check_probe(v, container, probes[i]);
}

static void check_containers(struct cx_validator *v, const json_t *spec)
{
        json_auto_t *names = json_object();
        for (size_t k = 0; k < CX_ARRAY_SIZE(container_lists); k++) {
                json_auto_t *host_ports = json_object(); // init containers run one after the other
                size_t i;
                json_t *container;
                json_array_foreach (json_object_get(spec, container_lists[k]), i, container) {
                        size_t length = cx_enter(v, ".%s[%zu]", container_lists[k], i);
                        if (k == 0) {
                                json_auto_t *own = json_object();
                                check_container(v, spec, container, container_lists[k], names, own);
                        } else {
                                check_container(v, spec, container, container_lists[k], names, host_ports);
                        }
                        if (!json_object_get(names, cx_json_string_or(container, "name", "")))
                                json_object_set_new(names, cx_json_string_or(container, "name", ""),
                                                    json_string(container_lists[k]));
                        cx_leave(v, length);
                }
        }
}

static void check_volumes(struct cx_validator *v, const json_t *spec)
{
        size_t i;
        json_t *volume;
        json_array_foreach (json_object_get(spec, "volumes"), i, volume) {
                size_t length = cx_enter(v, ".volumes[%zu]", i), count = 0;
                const char *key;
                json_t *source;
                cx_check_text(v, volume, "name", cx_check_dns1123_label);
                json_object_foreach (volume, key, source)
                        if (strcmp(key, "name") != 0 && ++count > 1)
                                cx_forbidden(v, key, "may not specify more than 1 volume type");
                if (count == 0)
                        cx_required(v, "", "must specify a volume type");
                cx_leave(v, length);
        }
}

static void check_tolerations(struct cx_validator *v, const json_t *spec)
{
        size_t i;
        json_t *toleration;
        json_array_foreach (json_object_get(spec, "tolerations"), i, toleration) {
                size_t length = cx_enter(v, ".tolerations[%zu]", i);
                const char *op = cx_json_string_or(toleration, "operator", "");
                cx_check_text(v, toleration, "key", cx_check_qualified_name);
                if (!*cx_json_string_or(toleration, "key", "") && strcmp(op, "Exists") != 0)
                        cx_invalid_text(
                                v, "operator", op,
                                "operator must be Exists when `key` is empty, which means \"match all values and "
                                "all keys\"");
                if (strcmp(op, "Exists") == 0 && *cx_json_string_or(toleration, "value", ""))
                        cx_invalid(v, "operator", toleration, "value must be empty when `operator` is 'Exists'");
                if (json_object_get(toleration, "tolerationSeconds") &&
                    strcmp(cx_json_string_or(toleration, "effect", ""), "NoExecute") != 0)
                        cx_invalid(v, "effect", json_object_get(toleration, "effect"),
                                   "effect must be 'NoExecute' when `tolerationSeconds` is set");
                cx_leave(v, length);
        }
}

// --- what the pod's operating system has not ---

// Of a context of the pod or of a container, in upstream's order.
static void forbid_members(struct cx_validator *v, const json_t *object, const char *const *fields, const char *why)
{
        for (; *fields; fields++) {
                const json_t *value = json_object_get(object, *fields);
                if (value && !(json_is_array(value) && !json_array_size(value)))
                        cx_forbidden(v, *fields, why);
        }
}

static void forbid_in_contexts(struct cx_validator *v, const json_t *spec, const char *const *of_pod,
                               const char *const *of_containers, const char *why)
{
        size_t length = cx_enter(v, ".securityContext");
        forbid_members(v, json_object_get(spec, "securityContext"), of_pod, why);
        cx_leave(v, length);
        for (size_t k = 0; k < CX_ARRAY_SIZE(container_lists); k++) {
                size_t i;
                const json_t *container;
                json_array_foreach (json_object_get(spec, container_lists[k]), i, container) {
                        length = cx_enter(v, ".%s[%zu].securityContext", container_lists[k], i);
                        forbid_members(v, json_object_get(container, "securityContext"), of_containers, why);
                        cx_leave(v, length);
                }
        }
}

// Pod Security does not ask pods for Windows about some of these: there is nothing to ask, as they are refused here.
static void check_os(struct cx_validator *v, const json_t *spec)
{
        static const char windows_why[] = "cannot be set for a windows pod";
        static const char *const linux_only[] = {"windowsOptions", NULL};
        static const char *const of_spec[] = {"hostUsers", "shareProcessNamespace", NULL};
        static const char *const of_host[] = {"hostPID", "hostIPC", NULL}; // false says nothing
        static const char *const of_pod[] = {"appArmorProfile",
                                             "seLinuxOptions",
                                             "seccompProfile",
                                             "fsGroup",
                                             "fsGroupChangePolicy",
                                             "seLinuxChangePolicy",
                                             "sysctls",
                                             "runAsUser",
                                             "runAsGroup",
                                             "supplementalGroups",
                                             "supplementalGroupsPolicy",
                                             NULL};
        static const char *const of_containers[] = {"appArmorProfile",
                                                    "seLinuxOptions",
                                                    "seccompProfile",
                                                    "capabilities",
                                                    "readOnlyRootFilesystem",
                                                    "privileged",
                                                    "allowPrivilegeEscalation",
                                                    "procMount",
                                                    "runAsUser",
                                                    "runAsGroup",
                                                    NULL};
        const char *os = cx_json_string_or(spec, "os.name", "");
        if (strcmp(os, "linux") == 0)
                forbid_in_contexts(v, spec, linux_only, linux_only, "windows options cannot be set for a linux pod");
        if (strcmp(os, "windows") != 0)
                return;
        forbid_members(v, spec, of_spec, windows_why);
        for (size_t i = 0; of_host[i]; i++)
                if (cx_json_bool(spec, of_host[i], false))
                        cx_forbidden(v, of_host[i], windows_why);
        forbid_in_contexts(v, spec, of_pod, of_containers, windows_why);
}

static void check_pod_spec(struct cx_validator *v, const json_t *spec)
{
        const char *wrong, *key;
        const json_t *value;
        check_volumes(v, spec);
        check_containers(v, spec);
        check_tolerations(v, spec);
        check_os(v, spec);
        cx_check_text(v, spec, "hostname", cx_check_dns1123_label);
        cx_check_text(v, spec, "subdomain", cx_check_dns1123_label);
        cx_check_text(v, spec, "serviceAccountName", cx_check_dns1123_subdomain);
        cx_check_text(v, spec, "nodeName", cx_check_dns1123_subdomain);
        cx_check_text(v, spec, "priorityClassName", cx_check_dns1123_subdomain);
        json_object_foreach ((json_t *)json_object_get(spec, "nodeSelector"), key, value) {
                if ((wrong = cx_check_qualified_name(key)))
                        cx_invalid_text(v, "nodeSelector", key, wrong);
                if ((wrong = cx_check_label_value(cx_str(json_string_value(value)))))
                        cx_invalid(v, "nodeSelector", value, wrong);
        }
        if (cx_json_bool(spec, "shareProcessNamespace", false) && cx_json_bool(spec, "hostPID", false))
                cx_invalid(v, "shareProcessNamespace", json_true(),
                           "ShareProcessNamespace and HostPID cannot both be enabled");
        if (strcmp(cx_json_string_or(spec, "dnsPolicy", ""), "None") == 0 &&
            !cx_json_count(spec, "dnsConfig.nameservers"))
                cx_required(v, "dnsConfig.nameservers",
                            "must provide at least one DNS nameserver when `dnsPolicy` is None");
}

const struct cx_check cx_checks_pod[] = {
        {"core.v1.PodSpec", check_pod_spec},
        {"core.v1.ResourceRequirements", check_resources},
        {NULL, NULL},
};
