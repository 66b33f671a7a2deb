// SPDX-License-Identifier: Apache-2.0
// The parts of pods, each by its own type: where values come from, paths in volumes, handlers, security, DNS.
#include "libcommon/api/names.h"
#include "libcommon/schema/validate/validate.h"

#define MAX_NAMESERVERS 3
#define MAX_SEARCHES 32

// --- environment and downward API ---

static bool is_one_of(const char *text, const char *const *list)
{
        for (; *list; list++)
                if (strcmp(*list, text) == 0)
                        return true;
        return false;
}

// metadata.labels['key'] and metadata.annotations['key']
static bool is_subscript(const char *path)
{
        size_t length = strlen(path);
        return (cx_has_prefix(path, "metadata.labels['") || cx_has_prefix(path, "metadata.annotations['")) &&
               length > 2 && strcmp(path + length - 2, "']") == 0;
}

static void check_field_path(struct cx_validator *v, const json_t *owner, const char *const *supported)
{
        static const char *const known[] = {"metadata.name",
                                            "metadata.namespace",
                                            "metadata.uid",
                                            "metadata.labels",
                                            "metadata.annotations",
                                            "spec.nodeName",
                                            "spec.serviceAccountName",
                                            "spec.restartPolicy",
                                            "spec.schedulerName",
                                            "status.phase",
                                            "status.hostIP",
                                            "status.hostIPs",
                                            "status.podIP",
                                            "status.podIPs",
                                            NULL};
        const char *path = cx_json_string(owner, "fieldRef.fieldPath");
        if (!path || !*path || is_subscript(path))
                return;
        if (!is_one_of(path, known)) {
                CX_CLEANUP(cx_freep)
                char *detail = cx_sprintf("error converting fieldPath: field label not supported: %s", path);
                cx_invalid_text(v, "fieldRef.fieldPath", path, detail);
        } else if (!is_one_of(path, supported)) {
                cx_unsupported(v, "fieldRef.fieldPath", path, supported);
        }
}

static void check_resource_field(struct cx_validator *v, const json_t *owner)
{
        static const char *const supported[] = {"limits.cpu",
                                                "limits.ephemeral-storage",
                                                "limits.memory",
                                                "requests.cpu",
                                                "requests.ephemeral-storage",
                                                "requests.memory",
                                                NULL};
        const char *resource = cx_json_string(owner, "resourceFieldRef.resource");
        if (resource && *resource && !is_one_of(resource, supported) && !strstr(resource, ".hugepages-"))
                cx_unsupported(v, "resourceFieldRef.resource", resource, supported);
}

static void check_env_source(struct cx_validator *v, const json_t *source)
{
        static const char *const supported[] = {
                "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
                "status.hostIP", "status.hostIPs",     "status.podIP", "status.podIPs", NULL};
        check_field_path(v, source, supported);
        check_resource_field(v, source);
}

static void check_key_selector(struct cx_validator *v, const json_t *selector)
{
        if (!*cx_json_string_or(selector, "name", ""))
                cx_required(v, "name", NULL);
        cx_check_text(v, selector, "key", cx_check_config_key);
}

// --- paths in volumes ---

static bool goes_up(const char *path)
{
        for (const char *part = path; part; part = strchr(part, '/')) {
                part += *part == '/';
                if (strncmp(part, "..", 2) == 0 && (part[2] == 0 || part[2] == '/'))
                        return true;
        }
        return false;
}

static void check_descending(struct cx_validator *v, const json_t *object, const char *field)
{
        const json_t *value = json_object_get(object, field);
        const char *path = cx_str(json_string_value(value));
        if (*path == '/')
                cx_invalid(v, field, value, "must be a relative path");
        if (goes_up(path))
                cx_invalid(v, field, value, "must not contain '..'");
}

// Names in a volume that is written by the kubelet: ".." at the front is its own.
static void check_not_reserved(struct cx_validator *v, const json_t *object, const char *field)
{
        const json_t *value = json_object_get(object, field);
        const char *path = cx_str(json_string_value(value));
        check_descending(v, object, field);
        if (strncmp(path, "..", 2) == 0 && !goes_up(path))
                cx_invalid(v, field, value, "must not start with '..'");
}

static void check_key_to_path(struct cx_validator *v, const json_t *item)
{
        check_not_reserved(v, item, "path");
}

static void check_volume_mount(struct cx_validator *v, const json_t *mount)
{
        check_descending(v, mount, "subPath");
        check_descending(v, mount, "subPathExpr");
        if (*cx_json_string_or(mount, "subPath", "") && *cx_json_string_or(mount, "subPathExpr", ""))
                cx_invalid(v, "subPathExpr", json_object_get(mount, "subPathExpr"),
                           "subPathExpr and subPath are mutually exclusive");
}

static void check_downward_file(struct cx_validator *v, const json_t *file)
{
        static const char *const supported[] = {"metadata.annotations", "metadata.labels", "metadata.name",
                                                "metadata.namespace",   "metadata.uid",    NULL};
        bool field = json_object_get(file, "fieldRef"), resource = json_object_get(file, "resourceFieldRef");
        check_not_reserved(v, file, "path");
        if (field && resource)
                cx_invalid_text(v, "", "resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
        else if (!field && !resource)
                cx_required(v, "", "one of fieldRef and resourceFieldRef is required");
        check_field_path(v, file, supported);
        check_resource_field(v, file);
        if (resource && !*cx_json_string_or(file, "resourceFieldRef.containerName", ""))
                cx_required(v, "resourceFieldRef.containerName", NULL);
}

static void check_config_map_volume(struct cx_validator *v, const json_t *source)
{
        if (!*cx_json_string_or(source, "name", ""))
                cx_required(v, "name", NULL);
}

static void check_secret_volume(struct cx_validator *v, const json_t *source)
{
        if (!*cx_json_string_or(source, "secretName", ""))
                cx_required(v, "secretName", NULL);
}

static void check_token_projection(struct cx_validator *v, const json_t *source)
{
        check_not_reserved(v, source, "path");
}

static void check_host_path(struct cx_validator *v, const json_t *source)
{
        if (goes_up(cx_json_string_or(source, "path", "")))
                cx_invalid(v, "path", json_object_get(source, "path"), "must not contain '..'");
}

// --- probes and hooks ---

static void check_port(struct cx_validator *v, const json_t *action)
{
        const json_t *port = json_object_get(action, "port");
        if (json_is_string(port))
                cx_check_text(v, action, "port", cx_check_port_name);
        else if (json_integer_value(port) < 1 || json_integer_value(port) > 65535)
                cx_invalid(v, "port", port, "must be between 1 and 65535, inclusive");
}

static void check_lifecycle_handler(struct cx_validator *v, const json_t *handler)
{
        static const char *const handlers[] = {"exec", "httpGet", "tcpSocket", "sleep"};
        size_t count = 0;
        for (size_t i = 0; i < CX_ARRAY_SIZE(handlers); i++)
                if (json_object_get(handler, handlers[i]) && ++count > 1)
                        cx_forbidden(v, handlers[i], "may not specify more than 1 handler type");
        if (count == 0)
                cx_required(v, "", "must specify a handler type");
}

// --- security ---

static void check_security_context(struct cx_validator *v, const json_t *context)
{
        if (cx_json_bool(context, "privileged", false) && !cx_json_bool(context, "allowPrivilegeEscalation", true))
                cx_invalid(v, "", context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
}

static bool is_sysctl(const char *name)
{
        bool start = true; // of a part
        for (const char *c = name; *c; c++) {
                bool letter = (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9');
                bool separator = *c == '.' || *c == '/';
                if (!letter && (start || (!separator && *c != '-' && *c != '_')))
                        return false;
                if (separator && !((c[-1] >= 'a' && c[-1] <= 'z') || (c[-1] >= '0' && c[-1] <= '9')))
                        return false;
                start = separator;
        }
        char last = *name ? name[strlen(name) - 1] : 0;
        return !start && last != '-' && last != '_' && strlen(name) <= 253;
}

static void check_pod_security_context(struct cx_validator *v, const json_t *context)
{
        size_t i;
        const json_t *item;
        json_auto_t *names = json_object();
        json_array_foreach (json_object_get(context, "sysctls"), i, item) {
                size_t length = cx_enter(v, ".sysctls[%zu]", i);
                const char *name = cx_json_string_or(item, "name", "");
                if (!*name)
                        cx_required(v, "name", NULL);
                else if (!is_sysctl(name))
                        cx_invalid_text(v, "name", name,
                                        "must have at most 253 characters and match regex "
                                        "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$");
                else if (json_object_get(names, name))
                        cx_duplicate(v, "name", json_object_get(item, "name"));
                json_object_set_new(names, name, json_true());
                cx_leave(v, length);
        }
        json_array_foreach (json_object_get(context, "supplementalGroups"), i, item) {
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("supplementalGroups[%zu]", i);
                if (json_integer_value(item) < 0 || json_integer_value(item) > INT32_MAX)
                        cx_invalid(v, field, item, "must be between 0 and 2147483647, inclusive");
        }
}

// --- names ---

static void check_dns_config(struct cx_validator *v, const json_t *config)
{
        const json_t *servers = json_object_get(config, "nameservers"), *searches = json_object_get(config, "searches");
        size_t i;
        const json_t *item;
        if (json_array_size(servers) > MAX_NAMESERVERS)
                cx_invalid(v, "nameservers", servers, "must not have more than 3 nameservers");
        json_array_foreach (servers, i, item) {
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("nameservers[%zu]", i);
                const char *wrong = cx_check_ip(cx_str(json_string_value(item)));
                if (wrong)
                        cx_invalid(v, field, item, wrong);
        }
        if (json_array_size(searches) > MAX_SEARCHES)
                cx_invalid(v, "searches", searches, "must not have more than 32 search paths");
        json_array_foreach (json_object_get(config, "options"), i, item) {
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("options[%zu]", i);
                if (!*cx_json_string_or(item, "name", ""))
                        cx_required(v, field, "must not be empty");
        }
}

static void check_host_alias(struct cx_validator *v, const json_t *alias)
{
        size_t i;
        const json_t *name;
        cx_check_text(v, alias, "ip", cx_check_ip);
        json_array_foreach (json_object_get(alias, "hostnames"), i, name) {
                const char *wrong = cx_check_dns1123_subdomain(cx_str(json_string_value(name)));
                if (wrong)
                        cx_invalid(v, "hostnames", name, wrong);
        }
}

static void check_readiness_gate(struct cx_validator *v, const json_t *gate)
{
        cx_check_text(v, gate, "conditionType", cx_check_qualified_name);
}

static void check_scheduling_gate(struct cx_validator *v, const json_t *gate)
{
        cx_check_text(v, gate, "name", cx_check_qualified_name);
}

const struct cx_check cx_checks_pod_parts[] = {
        {"core.v1.EnvVarSource", check_env_source},
        {"core.v1.ConfigMapKeySelector", check_key_selector},
        {"core.v1.SecretKeySelector", check_key_selector},
        {"core.v1.KeyToPath", check_key_to_path},
        {"core.v1.VolumeMount", check_volume_mount},
        {"core.v1.DownwardAPIVolumeFile", check_downward_file},
        {"core.v1.ConfigMapVolumeSource", check_config_map_volume},
        {"core.v1.SecretVolumeSource", check_secret_volume},
        {"core.v1.ServiceAccountTokenProjection", check_token_projection},
        {"core.v1.HostPathVolumeSource", check_host_path},
        {"core.v1.HTTPGetAction", check_port},
        {"core.v1.TCPSocketAction", check_port},
        {"core.v1.LifecycleHandler", check_lifecycle_handler},
        {"core.v1.SecurityContext", check_security_context},
        {"core.v1.PodSecurityContext", check_pod_security_context},
        {"core.v1.PodDNSConfig", check_dns_config},
        {"core.v1.HostAlias", check_host_alias},
        {"core.v1.PodReadinessGate", check_readiness_gate},
        {"core.v1.PodSchedulingGate", check_scheduling_gate},
        {NULL, NULL},
};
