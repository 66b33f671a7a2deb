// SPDX-License-Identifier: Apache-2.0
// Pods and pod templates: containers, states, probes, environment, volumes, tolerations.
#include "api/quantity.h"
#include "api/selector.h"
#include "kubectl/cmd/describe.h"
#include "schema/engine.h"

// --- containers -----------------------------------------------------------------------------------------------------
static void describe_ports(struct cx_describe *d, const json_t *container, int level)
{
        const json_t *ports = json_object_get(container, "ports");
        size_t i, n = json_array_size(ports);
        json_t *port;
        const char *plural = n > 1 ? "s" : "";
        CX_BUF here = CX_BUF_INIT, host = CX_BUF_INIT;
        json_array_foreach (ports, i, port) {
                const char *name = cx_json_string(port, "name");
                CX_CLEANUP(cx_freep) char *shown = name ? cx_sprintf(" (%s)", name) : cx_strdup("");
                const char *protocol = cx_json_string_or(port, "protocol", "TCP");
                cx_buf_printf(&here, "%s%lld/%s%s", i ? ", " : "", (long long)cx_json_int(port, "containerPort", 0),
                              protocol, shown);
                cx_buf_printf(&host, "%s%lld/%s%s", i ? ", " : "", (long long)cx_json_int(port, "hostPort", 0),
                              protocol, shown);
        }
        cx_line(d, level, "Port%s:\t%s\n", plural, n ? here.data : "<none>");
        cx_line(d, level, "Host Port%s:\t%s\n", plural, n ? host.data : "<none>");
}

static void describe_words(struct cx_describe *d, const char *title, const json_t *words, int level)
{
        size_t i;
        json_t *word;
        if (!json_array_size(words))
                return;
        cx_line(d, level, "%s:\n", title);
        json_array_foreach (words, i, word) {
                const char *text = cx_str(json_string_value(word));
                while (*text) {
                        size_t length = strcspn(text, "\n");
                        cx_line(d, level + 1, "%.*s\n", (int)length, text);
                        text += length + (text[length] == '\n');
                }
        }
}

static void describe_state(struct cx_describe *d, const char *title, const json_t *state, int level)
{
        const json_t *running = json_object_get(state, "running"), *waiting = json_object_get(state, "waiting");
        const json_t *ended = json_object_get(state, "terminated");
        if (running) {
                CX_CLEANUP(cx_freep) char *since = cx_describe_time(cx_json_string(running, "startedAt"));
                cx_line(d, level, "%s:\tRunning\n", title);
                cx_line(d, level + 1, "Started:\t%s\n", since);
        } else if (ended) {
                cx_line(d, level, "%s:\tTerminated\n", title);
                const char *reason = cx_json_string(ended, "reason"), *message = cx_json_string(ended, "message");
                if (reason && *reason)
                        cx_line(d, level + 1, "Reason:\t%s\n", reason);
                if (message && *message)
                        cx_line(d, level + 1, "Message:\t%s\n", message);
                cx_line(d, level + 1, "Exit Code:\t%lld\n", (long long)cx_json_int(ended, "exitCode", 0));
                if (cx_json_int(ended, "signal", 0) > 0)
                        cx_line(d, level + 1, "Signal:\t%lld\n", (long long)cx_json_int(ended, "signal", 0));
                CX_CLEANUP(cx_freep) char *start = cx_describe_time(cx_json_string(ended, "startedAt"));
                CX_CLEANUP(cx_freep) char *finish = cx_describe_time(cx_json_string(ended, "finishedAt"));
                cx_line(d, level + 1, "Started:\t%s\n", start);
                cx_line(d, level + 1, "Finished:\t%s\n", finish);
        } else {
                cx_line(d, level, "%s:\tWaiting\n", title);
                const char *reason = cx_json_string(waiting, "reason");
                if (reason && *reason)
                        cx_line(d, level + 1, "Reason:\t%s\n", reason);
        }
}

static void describe_resources(struct cx_describe *d, const char *title, const json_t *map, int level)
{
        if (!json_object_size(map))
                return;
        CX_CLEANUP(cx_freep) const char **keys = cx_sorted_keys(map);
        cx_line(d, level, "%s:\n", title);
        for (size_t i = 0; keys[i]; i++) {
                CX_CLEANUP(cx_freep) char *text = cx_text_of(json_object_get(map, keys[i]));
                cx_line(d, level + 1, "%s:\t%s\n", keys[i], text);
        }
}

static void describe_probe(struct cx_describe *d, const char *title, const json_t *probe, int level)
{
        if (!json_object_size(probe))
                return;
        CX_BUF action = CX_BUF_INIT;
        const json_t *http = json_object_get(probe, "httpGet"), *tcp = json_object_get(probe, "tcpSocket");
        const json_t *exec = json_object_get(probe, "exec"), *grpc = json_object_get(probe, "grpc");
        size_t i;
        json_t *word;
        if (exec) {
                cx_buf_add(&action, "exec [");
                json_array_foreach (json_object_get(exec, "command"), i, word)
                        cx_buf_printf(&action, "%s%s", i ? " " : "", cx_str(json_string_value(word)));
                cx_buf_add_char(&action, ']');
        } else if (http) {
                CX_CLEANUP(cx_freep) char *port = cx_text_of(json_object_get(http, "port"));
                const char *scheme = cx_json_string_or(http, "scheme", "HTTP"),
                           *path = cx_json_string_or(http, "path", "");
                cx_buf_printf(&action, "http-get %s://%s:%s%s%s", strcmp(scheme, "HTTPS") == 0 ? "https" : "http",
                              cx_json_string_or(http, "host", ""), port, *path && *path != '/' ? "/" : "", path);
        } else if (tcp) {
                CX_CLEANUP(cx_freep) char *port = cx_text_of(json_object_get(tcp, "port"));
                cx_buf_printf(&action, "tcp-socket %s:%s", cx_json_string_or(tcp, "host", ""), port);
        } else if (grpc) {
                cx_buf_printf(&action, "grpc <pod>:%lld %s", (long long)cx_json_int(grpc, "port", 0),
                              cx_json_string_or(grpc, "service", ""));
        } else {
                cx_buf_add(&action, "unknown");
        }
        cx_line(d, level, "%s:\t%s delay=%llds timeout=%llds period=%llds #success=%lld #failure=%lld\n", title,
                action.data, (long long)cx_json_int(probe, "initialDelaySeconds", 0),
                (long long)cx_json_int(probe, "timeoutSeconds", 0), (long long)cx_json_int(probe, "periodSeconds", 0),
                (long long)cx_json_int(probe, "successThreshold", 0),
                (long long)cx_json_int(probe, "failureThreshold", 0));
}

static void describe_env_from(struct cx_describe *d, const json_t *sources, int level)
{
        size_t i;
        json_t *source;
        if (!json_array_size(sources))
                return;
        cx_line(d, level, "Environment Variables from:\n");
        json_array_foreach (sources, i, source) {
                const json_t *map = json_object_get(source, "configMapRef"),
                             *secret = json_object_get(source, "secretRef");
                const json_t *ref = map ? map : secret;
                const char *prefix = cx_json_string(source, "prefix");
                cx_line(d, level + 1, "%s\t%s%s%s%s\tOptional: %s\n", cx_json_string_or(ref, "name", ""),
                        map ? "ConfigMap" : "Secret", prefix ? " with prefix '" : "", cx_str(prefix), prefix ? "'" : "",
                        cx_json_bool(ref, "optional", false) ? "true" : "false");
        }
}

// The value that a field reference has in this pod.
static char *field_value(const json_t *pod, const char *path)
{
        if (!pod)
                return cx_strdup("");
        const char *value = NULL;
        if (strcmp(path, "metadata.name") == 0 || strcmp(path, "metadata.namespace") == 0 ||
            strcmp(path, "metadata.uid") == 0) // upstream looks into the metadata only
                value = cx_json_string(pod, path);
        return cx_strdup(value ? value : "");
}

// An amount in units of a divisor (of 1 when it has none), rounded up, as the container will see it.
static char *in_units(const json_t *amount, const json_t *divisor)
{
        struct cx_quantity value, unit;
        if (cx_quantity_from_json(amount, &value) < 0)
                return cx_strdup("node allocatable");
        if (cx_quantity_from_json(divisor, &unit) < 0 || cx_quantity_milli(&unit) <= 0)
                return cx_strdup(CX_INT(cx_quantity_value(&value)));
        int64_t by = cx_quantity_milli(&unit);
        if (by % 1000 == 0)
                return cx_strdup(CX_INT((cx_quantity_value(&value) + by / 1000 - 1) / (by / 1000)));
        return cx_strdup(CX_INT((cx_quantity_milli(&value) + by - 1) / by));
}

static void describe_env(struct cx_describe *d, const json_t *container, const json_t *pod, int level)
{
        const json_t *list = json_object_get(container, "env");
        size_t i;
        json_t *env;
        if (!json_array_size(list)) {
                cx_line(d, level, "Environment:\t<none>\n");
                return;
        }
        cx_line(d, level, "Environment:\n");
        json_array_foreach (list, i, env) {
                const char *name = cx_json_string_or(env, "name", ""), *value = cx_json_string(env, "value");
                const json_t *from = json_object_get(env, "valueFrom"), *ref;
                if (!from) {
                        const char *text = cx_str(value);
                        for (bool first = true; first || *text; first = false) {
                                size_t n = strcspn(text, "\n");
                                cx_line(d, level + 1, "%s%s\t%.*s\n", first ? name : "", first ? ":" : "", (int)n,
                                        text);
                                text += n + (text[n] == '\n');
                        }
                } else if ((ref = json_object_get(from, "fieldRef"))) {
                        const char *path = cx_json_string_or(ref, "fieldPath", "");
                        CX_CLEANUP(cx_freep) char *resolved = field_value(pod, path);
                        cx_line(d, level + 1, "%s:\t%s (%s:%s)\n", name, resolved,
                                cx_json_string_or(ref, "apiVersion", "v1"), path);
                } else if ((ref = json_object_get(from, "resourceFieldRef"))) {
                        const char *resource = cx_json_string_or(ref, "resource", "");
                        const char *dot = strchr(resource, '.');
                        const json_t *amounts = cx_json_get(container, "resources");
                        amounts = json_object_get(amounts, cx_has_prefix(resource, "limits") ? "limits" : "requests");
                        CX_CLEANUP(cx_freep)
                        char *amount =
                                in_units(json_object_get(amounts, dot ? dot + 1 : ""), json_object_get(ref, "divisor"));
                        cx_line(d, level + 1, "%s:\t%s (%s)\n", name, amount, resource);
                } else if ((ref = json_object_get(from, "secretKeyRef")) ||
                           (ref = json_object_get(from, "configMapKeyRef"))) {
                        bool secret = json_object_get(from, "secretKeyRef") != NULL;
                        cx_line(d, level + 1, "%s:\t<set to the key '%s' %s '%s'>\tOptional: %s\n", name,
                                cx_json_string_or(ref, "key", ""), secret ? "in secret" : "of config map",
                                cx_json_string_or(ref, "name", ""),
                                cx_json_bool(ref, "optional", false) ? "true" : "false");
                }
        }
}

static int compare_mounts(const void *a, const void *b)
{
        return strcmp(cx_json_string_or(*(json_t *const *)a, "mountPath", ""),
                      cx_json_string_or(*(json_t *const *)b, "mountPath", ""));
}

static void describe_mounts(struct cx_describe *d, const json_t *container, int level)
{
        const json_t *mounts = json_object_get(container, "volumeMounts");
        size_t n = json_array_size(mounts);
        if (!n) {
                cx_line(d, level, "Mounts:\t<none>\n");
                return;
        }
        CX_CLEANUP(cx_freep) json_t **sorted = cx_alloc_array(n, sizeof *sorted);
        for (size_t i = 0; i < n; i++)
                sorted[i] = json_array_get(mounts, i);
        qsort(sorted, n, sizeof *sorted, compare_mounts);
        cx_line(d, level, "Mounts:\n");
        for (size_t i = 0; i < n; i++) {
                const char *sub = cx_json_string(sorted[i], "subPath");
                cx_line(d, level + 1, "%s from %s (%s%s%s%s)\n", cx_json_string_or(sorted[i], "mountPath", ""),
                        cx_json_string_or(sorted[i], "name", ""),
                        cx_json_bool(sorted[i], "readOnly", false) ? "ro" : "rw", sub ? ",path=\"" : "", cx_str(sub),
                        sub ? "\"" : "");
        }
}

static void describe_container(struct cx_describe *d, const json_t *container, const json_t *status, bool template,
                               const json_t *pod, int level)
{
        // a template's containers are indented one blank less, as upstream does
        cx_line(d, template ? level - 1 : level, "%s%s:\n", template ? " " : "",
                cx_json_string_or(container, "name", ""));
        level += !template;
        if (status)
                cx_line(d, level, "Container ID:\t%s\n", cx_json_string_or(status, "containerID", ""));
        cx_line(d, level, "Image:\t%s\n", cx_json_string_or(container, "image", ""));
        if (status)
                cx_line(d, level, "Image ID:\t%s\n", cx_json_string_or(status, "imageID", ""));
        describe_ports(d, container, level);
        const char *seccomp = cx_json_string(container, "securityContext.seccompProfile.type");
        if (seccomp)
                cx_line(d, level, "SeccompProfile:\t%s\n", seccomp);
        describe_words(d, "Command", json_object_get(container, "command"), level);
        describe_words(d, "Args", json_object_get(container, "args"), level);
        if (status) {
                const json_t *last = json_object_get(status, "lastState");
                describe_state(d, "State", json_object_get(status, "state"), level);
                if (json_object_get(last, "terminated"))
                        describe_state(d, "Last State", last, level);
                cx_line(d, level, "Ready:\t%s\n", cx_json_bool(status, "ready", false) ? "True" : "False");
                cx_line(d, level, "Restart Count:\t%lld\n", (long long)cx_json_int(status, "restartCount", 0));
        }
        describe_resources(d, "Limits", cx_json_get(container, "resources.limits"), level);
        describe_resources(d, "Requests", cx_json_get(container, "resources.requests"), level);
        describe_probe(d, "Liveness", json_object_get(container, "livenessProbe"), level);
        describe_probe(d, "Readiness", json_object_get(container, "readinessProbe"), level);
        describe_probe(d, "Startup", json_object_get(container, "startupProbe"), level);
        describe_env_from(d, json_object_get(container, "envFrom"), level);
        describe_env(d, container, pod, level);
        describe_mounts(d, container, level);
}

void cx_describe_containers(struct cx_describe *d, const char *label, const json_t *containers, const json_t *statuses,
                            const json_t *pod, int level)
{
        size_t i;
        json_t *container;
        cx_line(d, level, "%s:%s\n", label, json_array_size(containers) ? "" : " <none>");
        json_array_foreach (containers, i, container) {
                const char *name = cx_json_string_or(container, "name", "");
                describe_container(d, container, cx_json_find(statuses, "name", name), pod == NULL, pod, level + 1);
        }
}

// --- volumes --------------------------------------------------------------------------------------------------------
struct volume_line {
        const char *title, *path;
};
static const struct volume_kind {
        const char *member, *words;
        struct volume_line lines[6];
} volume_kinds[] = {
        {"hostPath", "HostPath (bare host directory volume)", {{"Path", "path"}, {"HostPathType", "type"}}},
        {"emptyDir",
         "EmptyDir (a temporary directory that shares a pod's lifetime)",
         {{"Medium", "medium"}, {"SizeLimit", "sizeLimit"}}},
        {"secret", "Secret (a volume populated by a Secret)", {{"SecretName", "secretName"}, {"Optional", "optional"}}},
        {"configMap", "ConfigMap (a volume populated by a ConfigMap)", {{"Name", "name"}, {"Optional", "optional"}}},
        {"nfs",
         "NFS (an NFS mount that lasts the lifetime of a pod)",
         {{"Server", "server"}, {"Path", "path"}, {"ReadOnly", "readOnly"}}},
        {"persistentVolumeClaim",
         "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
         {{"ClaimName", "claimName"}, {"ReadOnly", "readOnly"}}},
        {"csi",
         "CSI (a Container Storage Interface (CSI) volume source)",
         {{"Driver", "driver"}, {"FSType", "fsType"}, {"ReadOnly", "readOnly"}}},
        {"downwardAPI", "DownwardAPI (a volume populated by information about the pod)", {{0}}},
        {"image",
         "Image (a container image or OCI artifact)",
         {{"Reference", "reference"}, {"PullPolicy", "pullPolicy"}}},
};

static void describe_projected(struct cx_describe *d, const json_t *projected, int level)
{
        size_t i;
        json_t *source;
        cx_line(d, level, "Type:\tProjected (a volume that contains injected data from multiple sources)\n");
        json_array_foreach (json_object_get(projected, "sources"), i, source) {
                const json_t *part;
                if ((part = json_object_get(source, "secret"))) {
                        cx_line(d, level, "SecretName:\t%s\n", cx_json_string_or(part, "name", ""));
                        cx_line(d, level, "Optional:\t%s\n", cx_json_bool(part, "optional", false) ? "true" : "false");
                } else if (json_object_get(source, "downwardAPI")) {
                        cx_line(d, level, "DownwardAPI:\ttrue\n");
                } else if ((part = json_object_get(source, "configMap"))) {
                        cx_line(d, level, "ConfigMapName:\t%s\n", cx_json_string_or(part, "name", ""));
                        cx_line(d, level, "Optional:\t%s\n", cx_json_bool(part, "optional", false) ? "true" : "false");
                } else if ((part = json_object_get(source, "serviceAccountToken"))) {
                        cx_line(d, level, "TokenExpirationSeconds:\t%lld\n",
                                (long long)cx_json_int(part, "expirationSeconds", 0));
                }
        }
}

// The files of a downward API volume.
static void describe_items(struct cx_describe *d, const json_t *items, int level)
{
        size_t i;
        json_t *item;
        cx_line(d, level, "Items:\n");
        json_array_foreach (items, i, item)
                cx_line(d, level + 1, "%s -> %s\n",
                        cx_json_string_or(item, "fieldRef.fieldPath",
                                          cx_json_string_or(item, "resourceFieldRef.resource", "")),
                        cx_json_string_or(item, "path", ""));
}

static void describe_csi_attributes(struct cx_describe *d, const json_t *attributes, int level)
{
        CX_CLEANUP(cx_freep) const char **keys = cx_sorted_keys(attributes);
        for (size_t i = 0; keys[i]; i++) {
                const char *value = cx_str(json_string_value(json_object_get(attributes, keys[i])));
                cx_line(d, level, "%s\t    %s=%s\n", i ? "" : "VolumeAttributes:", keys[i], value);
        }
        if (!keys[0])
                cx_line(d, level, "VolumeAttributes:\t<none>\n");
}

static void describe_ephemeral(struct cx_describe *d, const json_t *template, int level)
{
        cx_line(d, level,
                "Type:\tEphemeralVolume (an inline specification for a volume that gets created and deleted with the "
                "pod)\n");
        cx_line(d, level, "StorageClass:\t%s\n", cx_json_string_or(template, "spec.storageClassName", ""));
        cx_line(d, level, "Volume:\t%s\n", cx_json_string_or(template, "spec.volumeName", ""));
        cx_describe_labels(d, level, "Labels", cx_json_get(template, "metadata.labels"));
        cx_describe_labels(d, level, "Annotations", cx_json_get(template, "metadata.annotations"));
        cx_line(d, level, "Capacity:\t\n");
        cx_line(d, level, "Access Modes:\t\n");
        cx_line(d, level, "VolumeMode:\t%s\n", cx_json_string_or(template, "spec.volumeMode", "Filesystem"));
}

void cx_describe_volume_source(struct cx_describe *d, const json_t *volume, int level)
{
        const json_t *projected = json_object_get(volume, "projected");
        if (projected) {
                describe_projected(d, projected, level);
                return;
        }
        if (json_object_get(volume, "ephemeral")) {
                describe_ephemeral(d, cx_json_get(volume, "ephemeral.volumeClaimTemplate"), level);
                return;
        }
        for (size_t i = 0; i < CX_ARRAY_SIZE(volume_kinds); i++) {
                const struct volume_kind *kind = &volume_kinds[i];
                const json_t *source = json_object_get(volume, kind->member);
                if (!source)
                        continue;
                cx_line(d, level, "Type:\t%s\n", kind->words);
                for (const struct volume_line *line = kind->lines; line->title; line++) {
                        CX_CLEANUP(cx_freep) char *text = cx_text_of(json_object_get(source, line->path));
                        bool flag = strcmp(line->title, "Optional") == 0 || strcmp(line->title, "ReadOnly") == 0;
                        const char *absent = flag ? "false" : strcmp(line->title, "SizeLimit") == 0 ? "<unset>" : "";
                        cx_line(d, level, "%s:\t%s\n", line->title, *text ? text : absent);
                }
                if (strcmp(kind->member, "downwardAPI") == 0)
                        describe_items(d, json_object_get(source, "items"), level);
                if (strcmp(kind->member, "csi") == 0)
                        describe_csi_attributes(d, json_object_get(source, "volumeAttributes"), level);
                return;
        }
        cx_line(d, level, "<unknown>\n");
}

void cx_describe_volumes(struct cx_describe *d, const json_t *spec, int level)
{
        const json_t *volumes = json_object_get(spec, "volumes");
        size_t i;
        json_t *volume;
        if (!json_array_size(volumes)) {
                cx_line(d, level, "Volumes:\t<none>\n");
                return;
        }
        cx_line(d, level, "Volumes:\n");
        json_array_foreach (volumes, i, volume) {
                cx_line(d, level + 1, "%s:\n", cx_json_string_or(volume, "name", ""));
                cx_describe_volume_source(d, volume, level + 2);
        }
}

static void describe_spreading(struct cx_describe *d, const json_t *constraints, int level)
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
                cx_line(d, level, "%s\t%s\n", i ? "" : "Topology Spread Constraints:", lines.items[i]);
}

// --- pods -----------------------------------------------------------------------------------------------------------
static int compare_text(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static void describe_tolerations(struct cx_describe *d, const json_t *list, int level)
{
        size_t i, n = 0;
        json_t *t;
        cx_line(d, level, "Tolerations:\t");
        if (!json_array_size(list)) {
                cx_buf_add(d->to, "<none>\n");
                return;
        }
        char **lines = cx_alloc_array(json_array_size(list), sizeof *lines);
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
                lines[n++] = cx_buf_detach(&text);
        }
        qsort(lines, n, sizeof *lines, compare_text);
        for (i = 0; i < n; i++) {
                if (i)
                        cx_line(d, level, "\t");
                cx_buf_printf(d->to, "%s\n", lines[i]);
                free(lines[i]);
        }
        free(lines);
}

static void describe_status(struct cx_describe *d, const json_t *pod)
{
        const char *deleted = cx_json_string(pod, "metadata.deletionTimestamp");
        const char *phase = cx_json_string_or(pod, "status.phase", "");
        if (deleted && strcmp(phase, "Failed") != 0 && strcmp(phase, "Succeeded") != 0) {
                CX_CLEANUP(cx_freep) char *lasts = cx_describe_since(d->now, deleted);
                cx_line(d, 0, "Status:\tTerminating (lasts %s)\n", lasts);
                cx_line(d, 0, "Termination Grace Period:\t%llds\n",
                        (long long)cx_json_int(pod, "metadata.deletionGracePeriodSeconds", 0));
        } else {
                cx_line(d, 0, "Status:\t%s\n", phase);
        }
        static const struct volume_line optional[] = {{"Reason", "status.reason"},
                                                      {"Message", "status.message"},
                                                      {"SeccompProfile", "spec.securityContext.seccompProfile.type"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(optional); i++) {
                const char *text = cx_json_string(pod, optional[i].path);
                if (text && *text)
                        cx_line(d, 0, "%s:\t%s\n", optional[i].title, text);
        }
        cx_line(d, 0, "IP:\t%s\n", cx_json_string_or(pod, "status.podIP", ""));
        const json_t *ips = cx_json_get(pod, "status.podIPs");
        size_t i;
        json_t *ip;
        cx_line(d, 0, "IPs:%s\n", json_array_size(ips) ? "" : "\t<none>");
        json_array_foreach (ips, i, ip)
                cx_line(d, 1, "IP:\t%s\n", cx_json_string_or(ip, "ip", ""));
        json_array_foreach (cx_json_get(pod, "metadata.ownerReferences"), i, ip)
                if (cx_json_bool(ip, "controller", false))
                        cx_line(d, 0, "Controlled By:\t%s/%s\n", cx_json_string_or(ip, "kind", ""),
                                cx_json_string_or(ip, "name", ""));
        const char *nominated = cx_json_string(pod, "status.nominatedNodeName");
        if (nominated && *nominated)
                cx_line(d, 0, "NominatedNodeName:\t%s\n", nominated);
}

static void describe_conditions(struct cx_describe *d, const json_t *pod)
{
        const json_t *conditions = cx_json_get(pod, "status.conditions"),
                     *gates = cx_json_get(pod, "spec.readinessGates");
        size_t i;
        json_t *item;
        if (json_array_size(gates)) {
                cx_line(d, 0, "Readiness Gates:\n  Type\tStatus\n");
                json_array_foreach (gates, i, item) {
                        const char *type = cx_json_string_or(item, "conditionType", "");
                        cx_line(d, 1, "%s \t%s \n", type,
                                cx_json_string_or(cx_json_find(conditions, "type", type), "status", "<none>"));
                }
        }
        if (!json_array_size(conditions))
                return;
        cx_line(d, 0, "Conditions:\n  Type\tStatus\n");
        json_array_foreach (conditions, i, item)
                cx_line(d, 1, "%s \t%s \n", cx_json_string_or(item, "type", ""), cx_json_string_or(item, "status", ""));
}

int cx_describe_pod(struct cx_describe *d, const json_t *pod, struct cx_error *err CX_UNUSED)
{
        const char *node = cx_json_string(pod, "spec.nodeName"), *text;
        cx_describe_name(d, pod);
        if (json_is_integer(cx_json_get(pod, "spec.priority")))
                cx_line(d, 0, "Priority:\t%lld\n", (long long)cx_json_int(pod, "spec.priority", 0));
        if ((text = cx_json_string(pod, "spec.priorityClassName")) && *text)
                cx_line(d, 0, "Priority Class Name:\t%s\n", text);
        if ((text = cx_json_string(pod, "spec.runtimeClassName")) && *text)
                cx_line(d, 0, "Runtime Class Name:\t%s\n", text);
        if ((text = cx_json_string(pod, "spec.serviceAccountName")) && *text)
                cx_line(d, 0, "Service Account:\t%s\n", text);
        if (node && *node)
                cx_line(d, 0, "Node:\t%s/%s\n", node, cx_json_string_or(pod, "status.hostIP", ""));
        else
                cx_line(d, 0, "Node:\t<none>\n");
        if ((text = cx_json_string(pod, "status.startTime"))) {
                CX_CLEANUP(cx_freep) char *start = cx_describe_time(text);
                cx_line(d, 0, "Start Time:\t%s\n", start);
        }
        cx_describe_labels(d, 0, "Labels", cx_json_get(pod, "metadata.labels"));
        cx_describe_annotations(d, pod);
        describe_status(d, pod);
        if (cx_json_count(pod, "spec.initContainers"))
                cx_describe_containers(d, "Init Containers", cx_json_get(pod, "spec.initContainers"),
                                       cx_json_get(pod, "status.initContainerStatuses"), pod, 0);
        cx_describe_containers(d, "Containers", cx_json_get(pod, "spec.containers"),
                               cx_json_get(pod, "status.containerStatuses"), pod, 0);
        if (cx_json_count(pod, "spec.ephemeralContainers"))
                cx_describe_containers(d, "Ephemeral Containers", cx_json_get(pod, "spec.ephemeralContainers"),
                                       cx_json_get(pod, "status.ephemeralContainerStatuses"), pod, 0);
        describe_conditions(d, pod);
        cx_describe_volumes(d, json_object_get(pod, "spec"), 0);
        if ((text = cx_json_string(pod, "status.qosClass")) && *text)
                cx_line(d, 0, "QoS Class:\t%s\n", text);
        cx_describe_labels(d, 0, "Node-Selectors", cx_json_get(pod, "spec.nodeSelector"));
        describe_tolerations(d, cx_json_get(pod, "spec.tolerations"), 0);
        describe_spreading(d, cx_json_get(pod, "spec.topologySpreadConstraints"), 0);
        cx_describe_events(d, pod);
        return 0;
}

void cx_describe_template(struct cx_describe *d, const json_t *template)
{
        const json_t *spec = json_object_get(template, "spec"),
                     *annotations = cx_json_get(template, "metadata.annotations");
        const char *account = cx_json_string(spec, "serviceAccountName"), *priority;
        if (!template) {
                cx_line(d, 1, "<unset>");
                return;
        }
        cx_describe_labels(d, 1, "Labels", cx_json_get(template, "metadata.labels"));
        if (json_object_size(annotations)) {
                CX_CLEANUP(cx_freep) const char **keys = cx_sorted_keys(annotations);
                cx_line(d, 1, "Annotations:\t");
                for (size_t i = 0; keys[i]; i++)
                        cx_buf_printf(d->to, "%s%s: %s\n", i ? "  \t" : "", keys[i],
                                      cx_str(json_string_value(json_object_get(annotations, keys[i]))));
        }
        if (account && *account)
                cx_line(d, 1, "Service Account:\t%s\n", account);
        if (cx_json_count(spec, "initContainers"))
                cx_describe_containers(d, "Init Containers", json_object_get(spec, "initContainers"), NULL, NULL, 1);
        cx_describe_containers(d, "Containers", json_object_get(spec, "containers"), NULL, NULL, 1);
        cx_describe_volumes(d, spec, 1);
        if ((priority = cx_json_string(spec, "priorityClassName")) && *priority)
                cx_line(d, 1, "Priority Class Name:\t%s\n", priority);
        cx_describe_labels(d, 1, "Node-Selectors", json_object_get(spec, "nodeSelector"));
        describe_tolerations(d, json_object_get(spec, "tolerations"), 1);
        describe_spreading(d, json_object_get(spec, "topologySpreadConstraints"), 1);
}
