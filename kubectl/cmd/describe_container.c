// SPDX-License-Identifier: Apache-2.0
// Containers of pods and pod templates: ports, states, resources, probes, environment, mounts.
#include "kubectl/cmd/describe.h"
#include "libcommon/api/quantity.h"

static void describe_ports(struct describe *d, const json_t *container, int level)
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
        describe_line(d, level, "Port%s:\t%s\n", plural, n ? here.data : "<none>");
        describe_line(d, level, "Host Port%s:\t%s\n", plural, n ? host.data : "<none>");
}

static void describe_words(struct describe *d, const char *title, const json_t *words, int level)
{
        size_t i;
        json_t *word;
        if (!json_array_size(words))
                return;
        describe_line(d, level, "%s:\n", title);
        json_array_foreach (words, i, word) {
                const char *text = cx_str(json_string_value(word));
                while (*text) {
                        size_t length = strcspn(text, "\n");
                        describe_line(d, level + 1, "%.*s\n", (int)length, text);
                        text += length + (text[length] == '\n');
                }
        }
}

static void describe_state(struct describe *d, const char *title, const json_t *state, int level)
{
        const json_t *running = json_object_get(state, "running"), *waiting = json_object_get(state, "waiting");
        const json_t *ended = json_object_get(state, "terminated");
        if (running) {
                CX_CLEANUP(cx_freep) char *since = describe_time(cx_json_string(running, "startedAt"));
                describe_line(d, level, "%s:\tRunning\n", title);
                describe_line(d, level + 1, "Started:\t%s\n", since);
        } else if (ended) {
                describe_line(d, level, "%s:\tTerminated\n", title);
                const char *reason = cx_json_string(ended, "reason"), *message = cx_json_string(ended, "message");
                if (reason && *reason)
                        describe_line(d, level + 1, "Reason:\t%s\n", reason);
                if (message && *message)
                        describe_line(d, level + 1, "Message:\t%s\n", message);
                describe_line(d, level + 1, "Exit Code:\t%lld\n", (long long)cx_json_int(ended, "exitCode", 0));
                if (cx_json_int(ended, "signal", 0) > 0)
                        describe_line(d, level + 1, "Signal:\t%lld\n", (long long)cx_json_int(ended, "signal", 0));
                CX_CLEANUP(cx_freep) char *start = describe_time(cx_json_string(ended, "startedAt"));
                CX_CLEANUP(cx_freep) char *finish = describe_time(cx_json_string(ended, "finishedAt"));
                describe_line(d, level + 1, "Started:\t%s\n", start);
                describe_line(d, level + 1, "Finished:\t%s\n", finish);
        } else {
                describe_line(d, level, "%s:\tWaiting\n", title);
                const char *reason = cx_json_string(waiting, "reason");
                if (reason && *reason)
                        describe_line(d, level + 1, "Reason:\t%s\n", reason);
        }
}

static void describe_resources(struct describe *d, const char *title, const json_t *map, int level)
{
        if (!json_object_size(map))
                return;
        CX_CLEANUP(cx_freep) const char **keys = sorted_keys(map);
        describe_line(d, level, "%s:\n", title);
        for (size_t i = 0; keys[i]; i++) {
                CX_CLEANUP(cx_freep) char *text = text_of(json_object_get(map, keys[i]));
                describe_line(d, level + 1, "%s:\t%s\n", keys[i], text);
        }
}

static void describe_probe(struct describe *d, const char *title, const json_t *probe, int level)
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
                CX_CLEANUP(cx_freep) char *port = text_of(json_object_get(http, "port"));
                const char *scheme = cx_json_string_or(http, "scheme", "HTTP"),
                           *path = cx_json_string_or(http, "path", "");
                cx_buf_printf(&action, "http-get %s://%s:%s%s%s", strcmp(scheme, "HTTPS") == 0 ? "https" : "http",
                              cx_json_string_or(http, "host", ""), port, *path && *path != '/' ? "/" : "", path);
        } else if (tcp) {
                CX_CLEANUP(cx_freep) char *port = text_of(json_object_get(tcp, "port"));
                cx_buf_printf(&action, "tcp-socket %s:%s", cx_json_string_or(tcp, "host", ""), port);
        } else if (grpc) {
                cx_buf_printf(&action, "grpc <pod>:%lld %s", (long long)cx_json_int(grpc, "port", 0),
                              cx_json_string_or(grpc, "service", ""));
        } else {
                cx_buf_add(&action, "unknown");
        }
        describe_line(d, level, "%s:\t%s delay=%llds timeout=%llds period=%llds #success=%lld #failure=%lld\n", title,
                      action.data, (long long)cx_json_int(probe, "initialDelaySeconds", 0),
                      (long long)cx_json_int(probe, "timeoutSeconds", 0),
                      (long long)cx_json_int(probe, "periodSeconds", 0),
                      (long long)cx_json_int(probe, "successThreshold", 0),
                      (long long)cx_json_int(probe, "failureThreshold", 0));
}

static void describe_env_from(struct describe *d, const json_t *sources, int level)
{
        size_t i;
        json_t *source;
        if (!json_array_size(sources))
                return;
        describe_line(d, level, "Environment Variables from:\n");
        json_array_foreach (sources, i, source) {
                const json_t *map = json_object_get(source, "configMapRef"),
                             *secret = json_object_get(source, "secretRef");
                const json_t *ref = map ? map : secret;
                const char *prefix = cx_json_string(source, "prefix");
                describe_line(d, level + 1, "%s\t%s%s%s%s\tOptional: %s\n", cx_json_string_or(ref, "name", ""),
                              map ? "ConfigMap" : "Secret", prefix ? " with prefix '" : "", cx_str(prefix),
                              prefix ? "'" : "", cx_json_bool(ref, "optional", false) ? "true" : "false");
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

static void describe_env(struct describe *d, const json_t *container, const json_t *pod, int level)
{
        const json_t *list = json_object_get(container, "env");
        size_t i;
        json_t *env;
        if (!json_array_size(list)) {
                describe_line(d, level, "Environment:\t<none>\n");
                return;
        }
        describe_line(d, level, "Environment:\n");
        json_array_foreach (list, i, env) {
                const char *name = cx_json_string_or(env, "name", ""), *value = cx_json_string(env, "value");
                const json_t *from = json_object_get(env, "valueFrom"), *ref;
                if (!from) {
                        const char *text = cx_str(value);
                        for (bool first = true; first || *text; first = false) {
                                size_t n = strcspn(text, "\n");
                                describe_line(d, level + 1, "%s%s\t%.*s\n", first ? name : "", first ? ":" : "", (int)n,
                                              text);
                                text += n + (text[n] == '\n');
                        }
                } else if ((ref = json_object_get(from, "fieldRef"))) {
                        const char *path = cx_json_string_or(ref, "fieldPath", "");
                        CX_CLEANUP(cx_freep) char *resolved = field_value(pod, path);
                        describe_line(d, level + 1, "%s:\t%s (%s:%s)\n", name, resolved,
                                      cx_json_string_or(ref, "apiVersion", "v1"), path);
                } else if ((ref = json_object_get(from, "resourceFieldRef"))) {
                        const char *resource = cx_json_string_or(ref, "resource", "");
                        const char *dot = strchr(resource, '.');
                        const json_t *amounts = cx_json_get(container, "resources");
                        amounts = json_object_get(amounts, cx_has_prefix(resource, "limits") ? "limits" : "requests");
                        CX_CLEANUP(cx_freep)
                        char *amount =
                                in_units(json_object_get(amounts, dot ? dot + 1 : ""), json_object_get(ref, "divisor"));
                        describe_line(d, level + 1, "%s:\t%s (%s)\n", name, amount, resource);
                } else if ((ref = json_object_get(from, "secretKeyRef")) ||
                           (ref = json_object_get(from, "configMapKeyRef"))) {
                        bool secret = json_object_get(from, "secretKeyRef") != NULL;
                        describe_line(d, level + 1, "%s:\t<set to the key '%s' %s '%s'>\tOptional: %s\n", name,
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

static void describe_mounts(struct describe *d, const json_t *container, int level)
{
        const json_t *mounts = json_object_get(container, "volumeMounts");
        size_t n = json_array_size(mounts);
        if (!n) {
                describe_line(d, level, "Mounts:\t<none>\n");
                return;
        }
        CX_CLEANUP(cx_freep) json_t **sorted = cx_alloc_array(n, sizeof *sorted);
        for (size_t i = 0; i < n; i++)
                sorted[i] = json_array_get(mounts, i);
        qsort(sorted, n, sizeof *sorted, compare_mounts);
        describe_line(d, level, "Mounts:\n");
        for (size_t i = 0; i < n; i++) {
                const char *sub = cx_json_string(sorted[i], "subPath");
                describe_line(d, level + 1, "%s from %s (%s%s%s%s)\n", cx_json_string_or(sorted[i], "mountPath", ""),
                              cx_json_string_or(sorted[i], "name", ""),
                              cx_json_bool(sorted[i], "readOnly", false) ? "ro" : "rw", sub ? ",path=\"" : "",
                              cx_str(sub), sub ? "\"" : "");
        }
}

static void describe_container(struct describe *d, const json_t *container, const json_t *status, bool template,
                               const json_t *pod, int level)
{
        // a template's containers are indented one blank less, as upstream does
        describe_line(d, template ? level - 1 : level, "%s%s:\n", template ? " " : "",
                      cx_json_string_or(container, "name", ""));
        level += !template;
        if (status)
                describe_line(d, level, "Container ID:\t%s\n", cx_json_string_or(status, "containerID", ""));
        describe_line(d, level, "Image:\t%s\n", cx_json_string_or(container, "image", ""));
        if (status)
                describe_line(d, level, "Image ID:\t%s\n", cx_json_string_or(status, "imageID", ""));
        describe_ports(d, container, level);
        const char *seccomp = cx_json_string(container, "securityContext.seccompProfile.type");
        if (seccomp)
                describe_line(d, level, "SeccompProfile:\t%s\n", seccomp);
        describe_words(d, "Command", json_object_get(container, "command"), level);
        describe_words(d, "Args", json_object_get(container, "args"), level);
        if (status) {
                const json_t *last = json_object_get(status, "lastState");
                describe_state(d, "State", json_object_get(status, "state"), level);
                if (json_object_get(last, "terminated"))
                        describe_state(d, "Last State", last, level);
                describe_line(d, level, "Ready:\t%s\n", cx_json_bool(status, "ready", false) ? "True" : "False");
                describe_line(d, level, "Restart Count:\t%lld\n", (long long)cx_json_int(status, "restartCount", 0));
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

void describe_containers(struct describe *d, const char *label, const json_t *containers, const json_t *statuses,
                         const json_t *pod, int level)
{
        size_t i;
        json_t *container;
        describe_line(d, level, "%s:%s\n", label, json_array_size(containers) ? "" : " <none>");
        json_array_foreach (containers, i, container) {
                const char *name = cx_json_string_or(container, "name", "");
                describe_container(d, container, cx_json_find(statuses, "name", name), pod == NULL, pod, level + 1);
        }
}
