// SPDX-License-Identifier: Apache-2.0
// Ingresses, ingress classes, endpoint slices; and storage: claims, volumes, classes.
#include "kubectl/cmd/describe.h"

// "10.1.1.1:80,10.1.1.2:80 + 1 more..." behind a backend, or why there is nothing.
static char *backend_endpoints(struct describe *d, const json_t *ingress, const json_t *service)
{
        const char *name = cx_json_string_or(service, "name", ""),
                   *namespace = cx_json_string_or(ingress, "metadata.namespace", "");
        CX_BUF path = CX_BUF_INIT, text = CX_BUF_INIT;
        json_auto_t *endpoints = NULL;
        CX_ERROR failure = CX_ERROR_INIT;
        cx_rest_path(&path,
                     CX_REF(.group = "", .version = "v1", .resource = "services", .namespace = namespace, .name = name),
                     NULL);
        if (ctl_json(d->ctl, "GET", path.data, NULL, NULL, &endpoints, &failure) < 0)
                return cx_sprintf("<error: %s>", cx_error_text(&failure));
        json_auto_t *found = NULL;
        cx_buf_clear(&path);
        cx_rest_path(
                &path,
                CX_REF(.group = "", .version = "v1", .resource = "endpoints", .namespace = namespace, .name = name),
                NULL);
        if (ctl_json(d->ctl, "GET", path.data, NULL, NULL, &found, NULL) < 0)
                return cx_strdup("<none>");
        size_t i, j, k, n = 0;
        json_t *subset, *address, *port;
        json_array_foreach (json_object_get(found, "subsets"), i, subset)
                json_array_foreach (json_object_get(subset, "ports"), j, port)
                        json_array_foreach (json_object_get(subset, "addresses"), k, address)
                                if (n++ < 3)
                                        cx_buf_printf(&text, "%s%s:%lld", text.length ? "," : "",
                                                      cx_json_string_or(address, "ip", ""),
                                                      (long long)cx_json_int(port, "port", 0));
        if (n > 3)
                cx_buf_printf(&text, " + %zu more...", n - 3);
        return cx_strdup(text.data);
}

static char *backend_text(struct describe *d, const json_t *ingress, const json_t *backend)
{
        const json_t *service = json_object_get(backend, "service"), *resource = json_object_get(backend, "resource");
        if (resource)
                return cx_sprintf("APIGroup: %s, Kind: %s, Name: %s", cx_json_string_or(resource, "apiGroup", "<none>"),
                                  cx_json_string_or(resource, "kind", ""), cx_json_string_or(resource, "name", ""));
        CX_CLEANUP(cx_freep) char *endpoints = backend_endpoints(d, ingress, service);
        const char *port = cx_json_string(service, "port.name");
        return cx_sprintf("%s:%s (%s)", cx_json_string_or(service, "name", ""),
                          port ? port : CX_INT(cx_json_int(service, "port.number", 0)), endpoints);
}

static void describe_rules(struct describe *d, const json_t *ingress)
{
        size_t i, j, n = 0;
        json_t *rule, *path;
        describe_line(d, 0, "Rules:\n");
        describe_line(d, 1, "Host\tPath\tBackends\n");
        describe_line(d, 1, "----\t----\t--------\n");
        json_array_foreach (cx_json_get(ingress, "spec.rules"), i, rule) {
                const char *host = cx_json_string_or(rule, "host", "*");
                describe_line(d, 1, "%s\t\n", *host ? host : "*");
                json_array_foreach (cx_json_get(rule, "http.paths"), j, path) {
                        CX_CLEANUP(cx_freep)
                        char *backend = backend_text(d, ingress, json_object_get(path, "backend"));
                        describe_line(d, 1, "  \t%s \t%s\n", cx_json_string_or(path, "path", ""), backend);
                        n++;
                }
        }
        if (n)
                return;
        const json_t *fallback = cx_json_get(ingress, "spec.defaultBackend");
        CX_CLEANUP(cx_freep) char *backend = fallback ? backend_text(d, ingress, fallback) : cx_strdup("<default>");
        describe_line(d, 1, "*\t*\t%s\n", backend);
}

static int describe_ingress(struct describe *d, const json_t *ingress, struct cx_error *err CX_UNUSED)
{
        const json_t *fallback = cx_json_get(ingress, "spec.defaultBackend"), *tls = cx_json_get(ingress, "spec.tls");
        CX_BUF addresses = CX_BUF_INIT;
        size_t i, j;
        json_t *item, *host;
        json_array_foreach (cx_json_get(ingress, "status.loadBalancer.ingress"), i, item)
                cx_buf_printf(&addresses, "%s%s", i ? "," : "",
                              cx_json_string_or(item, "ip", cx_json_string_or(item, "hostname", "")));
        describe_line(d, 0, "Name:\t%s\n", cx_json_string_or(ingress, "metadata.name", ""));
        describe_labels(d, 0, "Labels", cx_json_get(ingress, "metadata.labels"));
        describe_line(d, 0, "Namespace:\t%s\n", cx_json_string_or(ingress, "metadata.namespace", ""));
        describe_line(d, 0, "Address:\t%s\n", addresses.data);
        describe_line(d, 0, "Ingress Class:\t%s\n", cx_json_string_or(ingress, "spec.ingressClassName", "<none>"));
        CX_CLEANUP(cx_freep) char *backend = fallback ? backend_text(d, ingress, fallback) : cx_strdup("<default>");
        describe_line(d, 0, "Default backend:\t%s\n", backend);
        if (json_array_size(tls))
                describe_line(d, 0, "TLS:\n");
        json_array_foreach (tls, i, item) {
                CX_BUF hosts = CX_BUF_INIT;
                const char *secret = cx_json_string(item, "secretName");
                json_array_foreach (json_object_get(item, "hosts"), j, host)
                        cx_buf_printf(&hosts, "%s%s", j ? "," : "", cx_str(json_string_value(host)));
                describe_line(d, 1, "%s terminates %s\n", secret && *secret ? secret : "SNI routes", hosts.data);
        }
        describe_rules(d, ingress);
        describe_annotations(d, ingress);
        describe_events(d, ingress);
        return 0;
}

static int describe_ingress_class(struct describe *d, const json_t *class, struct cx_error *err CX_UNUSED)
{
        describe_head(d, class, false);
        describe_line(d, 0, "Controller:\t%s\n", cx_json_string_or(class, "spec.controller", ""));
        describe_events(d, class);
        return 0;
}

static void put_optional(struct describe *d, int level, const char *title, const char *value)
{
        describe_line(d, level, "%s:\t%s\n", title, value && *value ? value : "<unset>");
}

static void describe_endpoint(struct describe *d, const json_t *endpoint)
{
        CX_BUF addresses = CX_BUF_INIT;
        size_t i;
        json_t *address;
        json_array_foreach (json_object_get(endpoint, "addresses"), i, address)
                cx_buf_printf(&addresses, "%s%s", i ? ", " : "", cx_str(json_string_value(address)));
        describe_line(d, 1, "- Addresses:\t%s\n", addresses.data);
        const json_t *ready = cx_json_get(endpoint, "conditions.ready");
        describe_line(d, 2, "Conditions:\n");
        describe_line(d, 3, "Ready:\t%s\n", !ready ? "<unset>" : json_is_true(ready) ? "true" : "false");
        put_optional(d, 2, "Hostname", cx_json_string(endpoint, "hostname"));
        const json_t *target = json_object_get(endpoint, "targetRef");
        if (target)
                describe_line(d, 2, "TargetRef:\t%s/%s\n", cx_json_string_or(target, "kind", ""),
                              cx_json_string_or(target, "name", ""));
        put_optional(d, 2, "NodeName", cx_json_string(endpoint, "nodeName"));
        put_optional(d, 2, "Zone", cx_json_string(endpoint, "zone"));
}

static int describe_slice(struct describe *d, const json_t *slice, struct cx_error *err CX_UNUSED)
{
        const json_t *ports = json_object_get(slice, "ports"), *endpoints = json_object_get(slice, "endpoints");
        size_t i;
        json_t *item;
        describe_head(d, slice, true);
        describe_line(d, 0, "AddressType:\t%s\n", cx_json_string_or(slice, "addressType", ""));
        if (json_array_size(ports)) {
                describe_line(d, 0, "Ports:\n");
                describe_line(d, 1, "Name\tPort\tProtocol\n");
                describe_line(d, 1, "----\t----\t--------\n");
        } else {
                describe_line(d, 0, "Ports: <unset>\n");
        }
        json_array_foreach (ports, i, item) {
                const char *name = cx_json_string(item, "name");
                CX_CLEANUP(cx_freep) char *port = text_of(json_object_get(item, "port"));
                describe_line(d, 1, "%s\t%s\t%s\n", name && *name ? name : "<unset>",
                              json_object_get(item, "port") ? port : "<unset>",
                              cx_json_string_or(item, "protocol", "TCP"));
        }
        describe_line(d, 0, json_array_size(endpoints) ? "Endpoints:\n" : "Endpoints: <none>\n");
        json_array_foreach (endpoints, i, item)
                describe_endpoint(d, item);
        describe_events(d, slice);
        return 0;
}

// --- storage --------------------------------------------------------------------------------------------------------
static char *access_modes(const json_t *modes)
{
        static const char *const shorts[][2] = {{"ReadWriteOnce", "RWO"},
                                                {"ReadOnlyMany", "ROX"},
                                                {"ReadWriteMany", "RWX"},
                                                {"ReadWriteOncePod", "RWOP"}};
        CX_BUF text = CX_BUF_INIT;
        size_t i;
        json_t *mode;
        for (size_t s = 0; s < CX_ARRAY_SIZE(shorts); s++)
                json_array_foreach (modes, i, mode)
                        if (cx_streq(json_string_value(mode), shorts[s][0]))
                                cx_buf_printf(&text, "%s%s", text.length ? "," : "", shorts[s][1]);
        return cx_buf_detach(&text);
}

static void put_finalizers(struct describe *d, const json_t *object)
{
        size_t i;
        json_t *one;
        describe_line(d, 0, "Finalizers:\t[");
        json_array_foreach (cx_json_get(object, "metadata.finalizers"), i, one)
                cx_buf_printf(d->to, "%s%s", i ? " " : "", cx_str(json_string_value(one)));
        cx_buf_add(d->to, "]\n");
}

// Pods that mount a claim.
static void put_users(struct describe *d, const json_t *claim)
{
        CX_BUF path = CX_BUF_INIT;
        const char *name = cx_json_string_or(claim, "metadata.name", "");
        cx_rest_path(&path,
                     CX_REF(.group = "", .version = "v1", .resource = "pods",
                            .namespace = cx_json_string(claim, "metadata.namespace")),
                     NULL);
        json_auto_t *pods = list_objects(d->ctl, path.data, NULL);
        size_t i, j, n = 0;
        json_t *pod, *volume;
        describe_line(d, 0, "Used By:");
        json_array_foreach (pods, i, pod)
                json_array_foreach (cx_json_get(pod, "spec.volumes"), j, volume)
                        if (cx_streq(cx_json_string(volume, "persistentVolumeClaim.claimName"), name)) {
                                cx_buf_printf(d->to, "\t%s\n", cx_json_string_or(pod, "metadata.name", ""));
                                n++;
                                break;
                        }
        if (!n)
                cx_buf_add(d->to, "\t<none>\n");
}

static int describe_claim(struct describe *d, const json_t *claim, struct cx_error *err CX_UNUSED)
{
        const char *phase = cx_json_string_or(claim, "status.phase", "");
        const char *volume = cx_json_string_or(claim, "spec.volumeName", "");
        describe_name(d, claim);
        describe_line(d, 0, "StorageClass:\t%s\n", cx_json_string_or(claim, "spec.storageClassName", ""));
        if (cx_json_string(claim, "metadata.deletionTimestamp")) {
                CX_CLEANUP(cx_freep)
                char *since = describe_since(d->now, cx_json_string(claim, "metadata.deletionTimestamp"));
                describe_line(d, 0, "Status:\tTerminating (lasts %s)\n", since);
        } else {
                describe_line(d, 0, "Status:\t%s\n", phase);
        }
        describe_line(d, 0, "Volume:\t%s\n", volume);
        describe_labels(d, 0, "Labels", cx_json_get(claim, "metadata.labels"));
        describe_annotations(d, claim);
        put_finalizers(d, claim);
        CX_CLEANUP(cx_freep)
        char *modes = *volume ? access_modes(cx_json_get(claim, "status.accessModes")) : cx_strdup("");
        describe_line(d, 0, "Capacity:\t%s\n", *volume ? cx_json_string_or(claim, "status.capacity.storage", "") : "");
        describe_line(d, 0, "Access Modes:\t%s\n", modes);
        describe_line(d, 0, "VolumeMode:\t%s\n", cx_json_string_or(claim, "spec.volumeMode", "Filesystem"));
        put_users(d, claim);
        describe_events(d, claim);
        return 0;
}

static int describe_volume(struct describe *d, const json_t *volume, struct cx_error *err CX_UNUSED)
{
        const json_t *claim = cx_json_get(volume, "spec.claimRef");
        describe_head(d, volume, false);
        put_finalizers(d, volume);
        describe_line(d, 0, "StorageClass:\t%s\n", cx_json_string_or(volume, "spec.storageClassName", ""));
        describe_line(d, 0, "Status:\t%s\n", cx_json_string_or(volume, "status.phase", ""));
        if (claim)
                describe_line(d, 0, "Claim:\t%s/%s\n", cx_json_string_or(claim, "namespace", ""),
                              cx_json_string_or(claim, "name", ""));
        else
                describe_line(d, 0, "Claim:\t\n");
        CX_CLEANUP(cx_freep) char *modes = access_modes(cx_json_get(volume, "spec.accessModes"));
        describe_line(d, 0, "Reclaim Policy:\t%s\n",
                      cx_json_string_or(volume, "spec.persistentVolumeReclaimPolicy", ""));
        describe_line(d, 0, "Access Modes:\t%s\n", modes);
        describe_line(d, 0, "VolumeMode:\t%s\n", cx_json_string_or(volume, "spec.volumeMode", "Filesystem"));
        describe_line(d, 0, "Capacity:\t%s\n", cx_json_string_or(volume, "spec.capacity.storage", ""));
        size_t i, j, k;
        json_t *term, *expression, *value;
        const json_t *terms = cx_json_get(volume, "spec.nodeAffinity.required.nodeSelectorTerms");
        describe_line(d, 0, terms ? "Node Affinity:\n  Required Terms:\n" : "Node Affinity:\t<none>\n");
        json_array_foreach (terms, i, term) {
                describe_line(d, 2, "Term %zu:", i);
                json_array_foreach (json_object_get(term, "matchExpressions"), j, expression) {
                        const char *operator= cx_json_string_or(expression, "operator", "");
                        cx_buf_printf(d->to, "\t%s %s [", cx_json_string_or(expression, "key", ""),
                                      strcmp(operator, "In") == 0 ? "in" : operator);
                        json_array_foreach (json_object_get(expression, "values"), k, value)
                                cx_buf_printf(d->to, "%s%s", k ? ", " : "", cx_str(json_string_value(value)));
                        cx_buf_add(d->to, "]\n");
                }
        }
        describe_line(d, 0, "Message:\t%s\n", cx_json_string_or(volume, "status.message", ""));
        describe_line(d, 0, "Source:\n");
        describe_volume_source(d, json_object_get(volume, "spec"), 2);
        describe_events(d, volume);
        return 0;
}

// "a=b,c=d"
static void put_map(struct describe *d, const char *title, const json_t *map)
{
        CX_CLEANUP(cx_freep) const char **keys = sorted_keys(map);
        describe_line(d, 0, "%s:\t%s", title, keys[0] ? "" : "<none>");
        for (size_t i = 0; keys[i]; i++)
                cx_buf_printf(d->to, "%s%s=%s", i ? "," : "", keys[i],
                              cx_str(json_string_value(json_object_get(map, keys[i]))));
        cx_buf_add_char(d->to, '\n');
}

static int describe_class(struct describe *d, const json_t *class, struct cx_error *err CX_UNUSED)
{
        const json_t *annotations = cx_json_get(class, "metadata.annotations"),
                     *grows = json_object_get(class, "allowVolumeExpansion");
        bool is_default = cx_streq(
                json_string_value(json_object_get(annotations, "storageclass.kubernetes.io/is-default-class")), "true");
        describe_line(d, 0, "Name:\t%s\n", cx_json_string_or(class, "metadata.name", ""));
        describe_line(d, 0, "IsDefaultClass:\t%s\n", is_default ? "Yes" : "No");
        put_map(d, "Annotations", annotations);
        describe_line(d, 0, "Provisioner:\t%s\n", cx_json_string_or(class, "provisioner", ""));
        put_map(d, "Parameters", json_object_get(class, "parameters"));
        describe_line(d, 0, "AllowVolumeExpansion:\t%s\n", !grows ? "<unset>" : json_is_true(grows) ? "True" : "False");
        const json_t *options = json_object_get(class, "mountOptions");
        size_t i;
        json_t *option;
        if (!json_array_size(options))
                describe_line(d, 0, "MountOptions:\t<none>\n");
        else
                describe_line(d, 0, "MountOptions:\n");
        json_array_foreach (options, i, option)
                describe_line(d, 1, "%s\n", cx_str(json_string_value(option)));
        describe_line(d, 0, "ReclaimPolicy:\t%s\n", cx_json_string_or(class, "reclaimPolicy", ""));
        describe_line(d, 0, "VolumeBindingMode:\t%s\n", cx_json_string_or(class, "volumeBindingMode", ""));
        describe_events(d, class);
        return 0;
}

const struct describer describers_network[] = {{"networking.k8s.io", "Ingress", describe_ingress},
                                               {"networking.k8s.io", "IngressClass", describe_ingress_class},
                                               {"discovery.k8s.io", "EndpointSlice", describe_slice},
                                               {"", "PersistentVolumeClaim", describe_claim},
                                               {"", "PersistentVolume", describe_volume},
                                               {"storage.k8s.io", "StorageClass", describe_class},
                                               {0}};
