// SPDX-License-Identifier: Apache-2.0
// Services, Endpoints, ConfigMaps, Secrets, Namespaces, ServiceAccounts, Events; and any other kind by its fields.
#include "kubectl/cmd/describe.h"
#include "kubectl/printer/tabs.h"

#include "libcommon/format/base64.h"

static json_t *list_in(struct describe *d, const char *group, const char *resource, const char *namespace,
                       const char *selector)
{
        CX_BUF path = CX_BUF_INIT;
        cx_rest_path(&path, CX_REF(.group = group, .version = "v1", .resource = resource, .namespace = namespace),
                     NULL);
        cx_rest_query(&path, "labelSelector", selector);
        return list_objects(d->ctl, path.data, NULL);
}

// --- services -------------------------------------------------------------------------------------------------------
// The addresses of a port of a service, from its slices: three, and how many more.
static char *endpoints_of(const json_t *slices, const char *port_name)
{
        CX_BUF text = CX_BUF_INIT;
        size_t i, j, shown = 0, count = 0;
        json_t *slice, *endpoint;
        json_array_foreach (slices, i, slice) {
                const json_t *port = NULL;
                size_t k;
                json_t *p;
                json_array_foreach (json_object_get(slice, "ports"), k, p)
                        if (strcmp(cx_json_string_or(p, "name", ""), port_name) == 0)
                                port = p;
                if (!port)
                        continue;
                json_array_foreach (json_object_get(slice, "endpoints"), j, endpoint) {
                        const json_t *ready = cx_json_get(endpoint, "conditions.ready");
                        const char *address =
                                json_string_value(json_array_get(json_object_get(endpoint, "addresses"), 0));
                        if (!address || json_is_false(ready))
                                continue;
                        if (count++ < 3) {
                                bool v6 = strchr(address, ':') != NULL;
                                cx_buf_printf(&text, "%s%s%s%s:%lld", shown++ ? "," : "", v6 ? "[" : "", address,
                                              v6 ? "]" : "", (long long)cx_json_int(port, "port", 0));
                        }
                }
        }
        if (count > 3)
                cx_buf_printf(&text, " + %zu more...", count - 3);
        return cx_buf_detach(&text);
}

static char *join_strings(const json_t *list, const char *separator)
{
        CX_BUF text = CX_BUF_INIT;
        size_t i;
        json_t *item;
        json_array_foreach (list, i, item)
                cx_buf_printf(&text, "%s%s", i ? separator : "", cx_str(json_string_value(item)));
        return cx_buf_detach(&text);
}

static void describe_service_ports(struct describe *d, const json_t *o, const json_t *slices)
{
        size_t i;
        json_t *port;
        json_array_foreach (cx_json_get(o, "spec.ports"), i, port) {
                const char *name = cx_json_string_or(port, "name", ""),
                           *protocol = cx_json_string_or(port, "protocol", "TCP");
                CX_CLEANUP(cx_freep) char *target = text_of(json_object_get(port, "targetPort"));
                const char *shown = *name ? name : "<unset>";
                describe_line(d, 0, "Port:\t%s\t%lld/%s\n", shown, (long long)cx_json_int(port, "port", 0), protocol);
                describe_line(d, 0, "TargetPort:\t%s/%s\n", target, protocol);
                if (cx_json_int(port, "nodePort", 0))
                        describe_line(d, 0, "NodePort:\t%s\t%lld/%s\n", shown,
                                      (long long)cx_json_int(port, "nodePort", 0), protocol);
                CX_CLEANUP(cx_freep) char *endpoints = endpoints_of(slices, name);
                describe_line(d, 0, "Endpoints:\t%s\n", endpoints);
        }
}

static int describe_service(struct describe *d, const json_t *o, struct cx_error *err CX_UNUSED)
{
        const char *text;
        CX_CLEANUP(cx_freep)
        char *selector = cx_sprintf("kubernetes.io/service-name=%s", cx_json_string_or(o, "metadata.name", ""));
        json_auto_t *slices =
                list_in(d, "discovery.k8s.io", "endpointslices", cx_json_string(o, "metadata.namespace"), selector);
        describe_head(d, o, true);
        CX_CLEANUP(cx_freep) char *selects = selector_of(o);
        describe_line(d, 0, "Selector:\t%s\n", selects && *selects ? selects : "<none>");
        describe_line(d, 0, "Type:\t%s\n", cx_json_string_or(o, "spec.type", ""));
        if ((text = cx_json_string(o, "spec.ipFamilyPolicy")))
                describe_line(d, 0, "IP Family Policy:\t%s\n", text);
        CX_CLEANUP(cx_freep) char *families = join_strings(cx_json_get(o, "spec.ipFamilies"), ",");
        CX_CLEANUP(cx_freep) char *ips = join_strings(cx_json_get(o, "spec.clusterIPs"), ",");
        CX_CLEANUP(cx_freep) char *external = join_strings(cx_json_get(o, "spec.externalIPs"), ",");
        describe_line(d, 0, "IP Families:\t%s\n", *families ? families : "<none>");
        describe_line(d, 0, "IP:\t%s\n", cx_json_string_or(o, "spec.clusterIP", ""));
        describe_line(d, 0, "IPs:\t%s\n", *ips ? ips : "<none>");
        if (*external)
                describe_line(d, 0, "External IPs:\t%s\n", external);
        if ((text = cx_json_string(o, "spec.loadBalancerIP")) && *text)
                describe_line(d, 0, "Desired LoadBalancer IP:\t%s\n", text);
        if ((text = cx_json_string(o, "spec.externalName")) && *text)
                describe_line(d, 0, "External Name:\t%s\n", text);
        CX_BUF ingress = CX_BUF_INIT;
        size_t i;
        json_t *item;
        json_array_foreach (cx_json_get(o, "status.loadBalancer.ingress"), i, item) {
                const char *ip = cx_json_string(item, "ip"), *mode = cx_json_string(item, "ipMode");
                cx_buf_printf(&ingress, "%s%s", i ? ", " : "", ip ? ip : cx_json_string_or(item, "hostname", ""));
                if (mode)
                        cx_buf_printf(&ingress, " (%s)", mode);
        }
        if (ingress.length)
                describe_line(d, 0, "LoadBalancer Ingress:\t%s\n", ingress.data);
        describe_service_ports(d, o, slices);
        describe_line(d, 0, "Session Affinity:\t%s\n", cx_json_string_or(o, "spec.sessionAffinity", ""));
        if ((text = cx_json_string(o, "spec.externalTrafficPolicy")) && *text)
                describe_line(d, 0, "External Traffic Policy:\t%s\n", text);
        if ((text = cx_json_string(o, "spec.internalTrafficPolicy")) && *text)
                describe_line(d, 0, "Internal Traffic Policy:\t%s\n", text);
        if ((text = cx_json_string(o, "spec.trafficDistribution")) && *text)
                describe_line(d, 0, "Traffic Distribution:\t%s\n", text);
        if (cx_json_int(o, "spec.healthCheckNodePort", 0))
                describe_line(d, 0, "HealthCheck NodePort:\t%lld\n",
                              (long long)cx_json_int(o, "spec.healthCheckNodePort", 0));
        CX_CLEANUP(cx_freep) char *ranges = join_strings(cx_json_get(o, "spec.loadBalancerSourceRanges"), ",");
        if (*ranges)
                describe_line(d, 0, "LoadBalancer Source Ranges:\t%s\n", ranges);
        describe_events(d, o);
        return 0;
}

static char *subset_addresses(const json_t *list)
{
        CX_BUF text = CX_BUF_INIT;
        size_t i;
        json_t *item;
        json_array_foreach (list, i, item)
                cx_buf_printf(&text, "%s%s", i ? "," : "", cx_json_string_or(item, "ip", ""));
        return text.length ? cx_buf_detach(&text) : cx_strdup("<none>");
}

static int describe_endpoints(struct describe *d, const json_t *o, struct cx_error *err CX_UNUSED)
{
        size_t i, j;
        json_t *subset, *port;
        describe_head(d, o, true);
        describe_line(d, 0, "Subsets:\n");
        json_array_foreach (json_object_get(o, "subsets"), i, subset) {
                CX_CLEANUP(cx_freep) char *ready = subset_addresses(json_object_get(subset, "addresses"));
                CX_CLEANUP(cx_freep) char *not_ready = subset_addresses(json_object_get(subset, "notReadyAddresses"));
                describe_line(d, 1, "Addresses:\t%s\n", ready);
                describe_line(d, 1, "NotReadyAddresses:\t%s\n", not_ready);
                if (json_array_size(json_object_get(subset, "ports"))) {
                        describe_line(d, 1, "Ports:\n");
                        describe_line(d, 2, "Name\tPort\tProtocol\n");
                        describe_line(d, 2, "----\t----\t--------\n");
                        json_array_foreach (json_object_get(subset, "ports"), j, port)
                                describe_line(d, 2, "%s\t%lld\t%s\n", cx_json_string_or(port, "name", "<unset>"),
                                              (long long)cx_json_int(port, "port", 0),
                                              cx_json_string_or(port, "protocol", ""));
                }
                describe_line(d, 0, "\n");
        }
        describe_events(d, o);
        return 0;
}

// --- data -----------------------------------------------------------------------------------------------------------
static int describe_config_map(struct describe *d, const json_t *o, struct cx_error *err CX_UNUSED)
{
        const json_t *data = json_object_get(o, "data"), *binary = json_object_get(o, "binaryData");
        CX_CLEANUP(cx_freep) const char **keys = sorted_keys(data), **blobs = sorted_keys(binary);
        describe_head(d, o, true);
        describe_line(d, 0, "\nData\n====\n");
        for (size_t i = 0; keys[i]; i++)
                describe_line(d, 0, "%s:\n----\n%s\n\n", keys[i],
                              cx_str(json_string_value(json_object_get(data, keys[i]))));
        describe_line(d, 0, "\nBinaryData\n====\n");
        for (size_t i = 0; blobs[i]; i++) {
                CX_BUF bytes = CX_BUF_INIT;
                const char *text = cx_str(json_string_value(json_object_get(binary, blobs[i])));
                (void)!cx_base64_decode(text, strlen(text), &bytes);
                describe_line(d, 0, "%s: %zu bytes\n", blobs[i], bytes.length);
        }
        describe_line(d, 0, "\n");
        describe_events(d, o);
        return 0;
}

static int describe_secret(struct describe *d, const json_t *o, struct cx_error *err CX_UNUSED)
{
        const json_t *data = json_object_get(o, "data");
        const char *type = cx_json_string_or(o, "type", "");
        CX_CLEANUP(cx_freep) const char **keys = sorted_keys(data);
        describe_head(d, o, true);
        describe_line(d, 0, "\nType:\t%s\n\nData\n====\n", type);
        for (size_t i = 0; keys[i]; i++) {
                CX_BUF bytes = CX_BUF_INIT;
                const char *text = cx_str(json_string_value(json_object_get(data, keys[i])));
                (void)!cx_base64_decode(text, strlen(text), &bytes);
                if (strcmp(keys[i], "token") == 0 && strcmp(type, "kubernetes.io/service-account-token") == 0)
                        describe_line(d, 0, "%s:\t%s\n", keys[i], bytes.data);
                else
                        describe_line(d, 0, "%s:\t%zu bytes\n", keys[i], bytes.length);
        }
        return 0;
}

static void describe_namespace_conditions(struct describe *d, const json_t *conditions)
{
        size_t i;
        json_t *item;
        if (!json_array_size(conditions))
                return;
        describe_line(d, 0, "Conditions:\n  Type\tStatus\tLastTransitionTime\tReason\tMessage\n");
        describe_line(d, 1, "----\t------\t------------------\t------\t-------\n");
        json_array_foreach (conditions, i, item) {
                CX_CLEANUP(cx_freep) char *when = describe_time(cx_json_string(item, "lastTransitionTime"));
                describe_line(d, 1, "%s\t%s\t%s\t%s\t%s\n", cx_json_string_or(item, "type", ""),
                              cx_json_string_or(item, "status", ""), when, cx_json_string_or(item, "reason", ""),
                              cx_json_string_or(item, "message", ""));
        }
}

static void describe_namespace_quotas(struct describe *d, const json_t *quotas)
{
        size_t i;
        json_t *item;
        describe_line(d, 0, json_array_size(quotas) ? "Resource Quotas\n" : "No resource quota.\n");
        json_array_foreach (quotas, i, item) {
                const json_t *hard = cx_json_get(item, "status.hard"), *used = cx_json_get(item, "status.used");
                CX_CLEANUP(cx_freep) const char **keys = sorted_keys(hard);
                describe_line(d, 1, "Name:\t%s\n", cx_json_string_or(item, "metadata.name", ""));
                describe_line(d, 1, "Resource\tUsed\tHard\n");
                describe_line(d, 1, "--------\t---\t---\n");
                for (size_t k = 0; keys[k]; k++) {
                        CX_CLEANUP(cx_freep) char *is = text_of(json_object_get(used, keys[k]));
                        CX_CLEANUP(cx_freep) char *may = text_of(json_object_get(hard, keys[k]));
                        describe_line(d, 1, "%s\t%s\t%s\n", keys[k], is, may);
                }
        }
}

// A row for each resource that the limit says something about.
static void describe_limit(struct describe *d, const json_t *limit)
{
        static const char *const members[] = {"min", "max", "defaultRequest", "default", "maxLimitRequestRatio"};
        static const char *const resources[] = {"cpu", "memory", "storage", "ephemeral-storage"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(resources); i++) {
                CX_BUF line = CX_BUF_INIT;
                bool any = false;
                for (size_t m = 0; m < CX_ARRAY_SIZE(members); m++) {
                        const json_t *map = json_object_get(limit, members[m]);
                        CX_CLEANUP(cx_freep) char *text = text_of(json_object_get(map, resources[i]));
                        any = any || *text;
                        cx_buf_printf(&line, "\t%s", *text ? text : "-");
                }
                if (any)
                        describe_line(d, 0, " %s\t%s%s\n", cx_json_string_or(limit, "type", ""), resources[i],
                                      line.data);
        }
}

static void describe_namespace_limits(struct describe *d, const json_t *ranges)
{
        size_t i, j;
        json_t *range, *limit;
        if (!json_array_size(ranges)) {
                describe_line(d, 0, "No LimitRange resource.\n");
                return;
        }
        describe_line(d, 0,
                      "Resource Limits\n Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax "
                      "Limit/Request Ratio\n ----\t--------\t---\t---\t---------------\t-------------\t"
                      "-----------------------\n");
        json_array_foreach (ranges, i, range)
                json_array_foreach (cx_json_get(range, "spec.limits"), j, limit)
                        describe_limit(d, limit);
}

static int describe_namespace(struct describe *d, const json_t *o, struct cx_error *err CX_UNUSED)
{
        const char *name = cx_json_string(o, "metadata.name");
        describe_head(d, o, false);
        describe_line(d, 0, "Status:\t%s\n", cx_json_string_or(o, "status.phase", ""));
        describe_namespace_conditions(d, cx_json_get(o, "status.conditions"));
        json_auto_t *quotas = list_in(d, "", "resourcequotas", name, NULL),
                    *ranges = list_in(d, "", "limitranges", name, NULL);
        describe_line(d, 0, "\n");
        describe_namespace_quotas(d, quotas);
        describe_line(d, 0, "\n");
        describe_namespace_limits(d, ranges);
        return 0;
}

static void describe_named(struct describe *d, const char *title, const json_t *list)
{
        size_t i;
        json_t *item;
        if (!json_array_size(list))
                describe_line(d, 0, "%s:\t<none>\n", title);
        json_array_foreach (list, i, item)
                describe_line(d, 0, "%s%s\t%s\n", i ? "" : title, i ? "" : ":", cx_json_string_or(item, "name", ""));
}

static int describe_service_account(struct describe *d, const json_t *o, struct cx_error *err CX_UNUSED)
{
        describe_head(d, o, true);
        describe_named(d, "Image pull secrets", json_object_get(o, "imagePullSecrets"));
        if (json_array_size(json_object_get(o, "secrets")))
                describe_named(d, "Mountable secrets", json_object_get(o, "secrets"));
        json_auto_t *secrets = list_in(d, "", "secrets", cx_json_string(o, "metadata.namespace"), NULL);
        json_auto_t *tokens = json_array();
        size_t i;
        json_t *secret;
        json_array_foreach (secrets, i, secret) {
                const json_t *annotations = cx_json_get(secret, "metadata.annotations");
                const char *account =
                        json_string_value(json_object_get(annotations, "kubernetes.io/service-account.name"));
                const char *uid = json_string_value(json_object_get(annotations, "kubernetes.io/service-account.uid"));
                if (cx_streq(cx_json_string(secret, "type"), "kubernetes.io/service-account-token") &&
                    cx_streq(account, cx_json_string(o, "metadata.name")) &&
                    cx_streq(uid, cx_json_string(o, "metadata.uid")))
                        json_array_append(tokens, json_object_get(secret, "metadata"));
        }
        if (json_array_size(tokens))
                describe_named(d, "Tokens", tokens);
        describe_events(d, o);
        return 0;
}

// --- any kind -------------------------------------------------------------------------------------------------------
// "clusterIP" → "Cluster IP".
static char *field_title(const char *name)
{
        CX_BUF title = CX_BUF_INIT;
        for (const char *p = name; *p; p++) {
                bool upper = *p >= 'A' && *p <= 'Z', after_lower = p > name && !(p[-1] >= 'A' && p[-1] <= 'Z');
                bool before_lower = p[1] >= 'a' && p[1] <= 'z';
                if (p > name && upper && (after_lower || before_lower) && p[-1] != ' ')
                        cx_buf_add_char(&title, ' ');
                cx_buf_add_char(&title, p == name && *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p);
        }
        // an abbreviation keeps its letters together ("API Version")
        if (cx_has_prefix(title.data, "Api ")) {
                title.data[1] = 'P';
                title.data[2] = 'I';
        } else if (strcmp(title.data, "Uid") == 0) {
                title.data[1] = 'I';
                title.data[2] = 'D';
        }
        return cx_buf_detach(&title);
}

static void describe_fields(struct describe *d, const json_t *object, int level, const char *skip_path)
{
        CX_CLEANUP(cx_freep) const char **keys = sorted_keys(object);
        for (size_t i = 0; keys[i]; i++) {
                const json_t *value = json_object_get(object, keys[i]);
                static const char *const metadata[] = {"name", "namespace", "labels", "annotations", "managedFields"};
                bool skip = false;
                for (size_t k = 0; cx_streq(skip_path, "metadata") && k < CX_ARRAY_SIZE(metadata); k++)
                        skip = skip || strcmp(keys[i], metadata[k]) == 0;
                if (skip)
                        continue;
                CX_CLEANUP(cx_freep) char *title = field_title(keys[i]);
                if (json_is_object(value)) {
                        describe_line(d, level, "%s:\n", title);
                        describe_fields(d, value, level + 1, skip_path && !*skip_path ? keys[i] : NULL);
                } else if (json_is_array(value)) {
                        size_t j;
                        json_t *item;
                        describe_line(d, level, "%s:\n", title);
                        json_array_foreach ((json_t *)value, j, item) {
                                if (json_is_object(item)) {
                                        describe_fields(d, item, level + 1, NULL);
                                        continue;
                                }
                                CX_CLEANUP(cx_freep) char *text = text_of(item);
                                describe_line(d, level + 1, "%s\n", text);
                        }
                } else {
                        CX_CLEANUP(cx_freep) char *text = json_is_null(value) ? cx_strdup("<nil>") : text_of(value);
                        describe_line(d, level, "%s:\t%s\n", title, text);
                }
        }
}

int describe_generic(struct describe *d, const json_t *o, struct cx_error *err CX_UNUSED)
{
        describe_head(d, o, true);
        describe_fields(d, o, 0, "");
        describe_events(d, o);
        return 0;
}

const struct describer describers_core[] = {
        {"", "Service", describe_service},
        {"", "Endpoints", describe_endpoints},
        {"", "ConfigMap", describe_config_map},
        {"", "Secret", describe_secret},
        {"", "Namespace", describe_namespace},
        {"", "ServiceAccount", describe_service_account},
        {0},
};
