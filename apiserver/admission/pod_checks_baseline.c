// SPDX-License-Identifier: Apache-2.0
// The baseline level: what is known to let a container get at its machine.
#include "apiserver/admission/pod_checks.h"
#include "libcommon/api/pod.h"
#include "libcommon/format/json.h"

static bool is_among(const char *const *list, const char *text) // ended by NULL
{
        while (*list && strcmp(*list, text) != 0)
                list++;
        return *list;
}

// As Go's %q writes it, but that what is beyond ASCII stays as it is.
static void quote_go(struct cx_buf *to, const char *text)
{
        static const char plain[] = "\a\b\f\n\r\t\v\"\\", escaped[] = "abfnrtv\"\\";
        cx_buf_add_char(to, '"');
        for (; *text; text++) {
                const char *at = strchr(plain, *text);
                if (at)
                        cx_buf_printf(to, "\\%c", escaped[at - plain]);
                else if ((unsigned char)*text < ' ' || *text == 0x7f)
                        cx_buf_printf(to, "\\x%02x", (unsigned)*text);
                else
                        cx_buf_add_char(to, *text);
        }
        cx_buf_add_char(to, '"');
}

static void add_annotation(struct cx_strings *to, const char *key, const char *value)
{
        CX_BUF text = CX_BUF_INIT;
        cx_buf_printf(&text, "%s=", key);
        quote_go(&text, value);
        cx_strings_add(to, text.data);
}

// --- AppArmor --------------------------------------------------------------------------------------------------------

static bool app_armor_is_bad(const json_t *context, void *values)
{
        const json_t *profile = json_object_get(context, "appArmorProfile");
        const char *type = cx_json_string_or(profile, "type", "");
        if (!profile || strcmp(type, "RuntimeDefault") == 0 || strcmp(type, "Localhost") == 0)
                return false;
        cx_strings_add(values, type);
        return true;
}

// What containers had before there was the field.
static void bad_app_armor_annotations(const struct pod_subject *pod, struct cx_strings *found)
{
        const char *key;
        json_t *item;
        json_object_foreach ((json_t *)pod->annotations, key, item) {
                const char *value = cx_str(json_string_value(item));
                if (cx_has_prefix(key, "container.apparmor.security.beta.kubernetes.io/") && *value &&
                    strcmp(value, "runtime/default") != 0 && !cx_has_prefix(value, "localhost/"))
                        add_annotation(found, key, value);
        }
        cx_strings_sort(found);
}

POD_CHECK(app_armor)
{
        CX_STRINGS values = CX_STRINGS_INIT, names = CX_STRINGS_INIT, annotations = CX_STRINGS_INIT;
        bool own = app_armor_is_bad(pod->security, &values);
        pod_containers_with(pod, app_armor_is_bad, &values, &names);
        bad_app_armor_annotations(pod, &annotations);
        if (!own && !names.count && !annotations.count)
                return;
        pod_setters(&finding->detail, own, &names);
        if (annotations.count)
                cx_buf_printf(&finding->detail, "%s%s", own || names.count ? " and " : "",
                              annotations.count == 1 ? "annotation" : "annotations");
        pod_once(&values);
        for (size_t i = 0; i < annotations.count; i++)
                cx_strings_add(&values, annotations.items[i]);
        cx_buf_add(&finding->detail, " must not set AppArmor profile type to ");
        pod_quote(&finding->detail, &values);
        finding->reason = values.count == 1 ? "forbidden AppArmor profile" : "forbidden AppArmor profiles";
}

// --- capabilities ----------------------------------------------------------------------------------------------------

static bool adds_beyond_default(const json_t *context, void *found)
{
        static const char *const usual[] = {"AUDIT_WRITE", "CHOWN",  "DAC_OVERRIDE",     "FOWNER",  "FSETID",
                                            "KILL",        "MKNOD",  "NET_BIND_SERVICE", "SETFCAP", "SETGID",
                                            "SETPCAP",     "SETUID", "SYS_CHROOT",       NULL};
        bool bad = false;
        size_t i;
        json_t *item;
        json_array_foreach (cx_json_get(context, "capabilities.add"), i, item) {
                const char *name = cx_str(json_string_value(item));
                if (is_among(usual, name))
                        continue;
                cx_strings_add(found, name);
                bad = true;
        }
        return bad;
}

POD_CHECK(capabilities_baseline)
{
        CX_STRINGS added = CX_STRINGS_INIT, names = CX_STRINGS_INIT;
        pod_containers_with(pod, adds_beyond_default, &added, &names);
        if (!names.count)
                return;
        pod_once(&added);
        pod_containers(&finding->detail, &names);
        cx_buf_add(&finding->detail, " must not include ");
        pod_quote(&finding->detail, &added);
        cx_buf_add(&finding->detail, " in securityContext.capabilities.add");
        finding->reason = "non-default capabilities";
}

// --- namespaces, volumes and ports of the machine ---------------------------------------------------------------------

POD_CHECK(host_namespaces)
{
        static const char *const fields[] = {"hostNetwork", "hostPID", "hostIPC"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(fields); i++) {
                if (!json_is_true(json_object_get(pod->spec, fields[i])))
                        continue;
                cx_buf_printf(&finding->detail, "%s%s=true", finding->reason ? ", " : "", fields[i]);
                finding->reason = "host namespaces";
        }
}

POD_CHECK(host_path_volumes)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        size_t i;
        const json_t *volume;
        json_array_foreach (json_object_get(pod->spec, "volumes"), i, volume)
                if (json_object_get(volume, "hostPath"))
                        cx_strings_add(&names, cx_json_string_or(volume, "name", ""));
        if (!names.count)
                return;
        cx_buf_add(&finding->detail, names.count == 1 ? "volume " : "volumes ");
        pod_quote(&finding->detail, &names);
        finding->reason = "hostPath volumes";
}

static bool has_host_port(const json_t *container, struct cx_strings *ports)
{
        bool found = false;
        size_t i;
        const json_t *port;
        json_array_foreach (json_object_get(container, "ports"), i, port) {
                int64_t number = cx_json_int(port, "hostPort", 0);
                if (!number)
                        continue;
                cx_strings_add(ports, CX_INT(number));
                found = true;
        }
        return found;
}

POD_CHECK(host_ports)
{
        CX_STRINGS ports = CX_STRINGS_INIT, names = CX_STRINGS_INIT;
        CX_POD_FOREACH(walk, pod->spec, CX_POD_ALL)
        {
                if (has_host_port(walk.container, &ports))
                        cx_strings_add(&names, walk.name);
        }
        if (!names.count)
                return;
        pod_once(&ports);
        CX_CLEANUP(cx_freep) char *list = cx_strings_join(&ports, ", ");
        pod_containers(&finding->detail, &names);
        cx_buf_printf(&finding->detail, " %s %s %s", names.count == 1 ? "uses" : "use",
                      ports.count == 1 ? "hostPort" : "hostPorts", list);
        finding->reason = "hostPort";
}

// --- probes and hooks that go to other hosts -------------------------------------------------------------------------

static bool goes_elsewhere(const json_t *container, struct cx_strings *hosts)
{
        static const char *const handlers[] = {"livenessProbe", "readinessProbe", "startupProbe", "lifecycle.postStart",
                                               "lifecycle.preStop"};
        static const char *const ways[] = {"httpGet.host", "tcpSocket.host"};
        bool found = false;
        for (size_t i = 0; i < CX_ARRAY_SIZE(handlers); i++) {
                const json_t *handler = cx_json_get(container, handlers[i]);
                for (size_t k = 0; handler && k < CX_ARRAY_SIZE(ways); k++) {
                        const char *host = cx_json_string_or(handler, ways[k], "");
                        if (!*host)
                                continue;
                        cx_strings_add(hosts, host);
                        found = true;
                }
        }
        return found;
}

POD_CHECK(host_handlers)
{
        CX_STRINGS hosts = CX_STRINGS_INIT, names = CX_STRINGS_INIT;
        CX_POD_FOREACH(walk, pod->spec, CX_POD_ALL)
        {
                if (goes_elsewhere(walk.container, &hosts))
                        cx_strings_add(&names, walk.name);
        }
        if (!names.count)
                return;
        pod_once(&hosts);
        pod_once(&names);
        pod_containers(&finding->detail, &names);
        cx_buf_printf(&finding->detail, " %s %s ", names.count == 1 ? "uses" : "use",
                      hosts.count == 1 ? "probe or lifecycle host" : "probe or lifecycle hosts");
        pod_quote(&finding->detail, &hosts);
        finding->reason = "probe or lifecycle host";
}

// --- privileged, /proc -----------------------------------------------------------------------------------------------

static bool is_privileged(const json_t *context, void *found CX_UNUSED)
{
        return json_is_true(json_object_get(context, "privileged"));
}

POD_CHECK(privileged)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        pod_containers_with(pod, is_privileged, NULL, &names);
        if (!names.count)
                return;
        pod_containers(&finding->detail, &names);
        cx_buf_add(&finding->detail, " must not set securityContext.privileged=true");
        finding->reason = "privileged";
}

static bool shows_proc(const json_t *context, void *found)
{
        const char *mount = cx_json_string_or(context, "procMount", "Default");
        if (strcmp(mount, "Default") == 0)
                return false;
        cx_strings_add(found, mount);
        return true;
}

POD_CHECK(proc_mount)
{
        CX_STRINGS mounts = CX_STRINGS_INIT, names = CX_STRINGS_INIT;
        pod_containers_with(pod, shows_proc, &mounts, &names);
        if (!names.count)
                return;
        pod_once(&mounts);
        pod_containers(&finding->detail, &names);
        cx_buf_add(&finding->detail, " must not set securityContext.procMount to ");
        pod_quote(&finding->detail, &mounts);
        finding->reason = "procMount";
}

POD_CHECK(proc_mount_35)
{
        if (!pod_has_user_namespace(pod))
                pod_check_proc_mount(pod, finding);
}

// --- SELinux ---------------------------------------------------------------------------------------------------------

struct selinux_found {
        const char *const *allowed; // types, ended by NULL
        struct cx_strings types;
        bool user, role;
};

static bool selinux_is_bad(const json_t *context, void *found)
{
        struct selinux_found *so_far = found;
        const json_t *options = json_object_get(context, "seLinuxOptions");
        const char *type = cx_json_string_or(options, "type", "");
        bool bad = !is_among(so_far->allowed, type), user = *cx_json_string_or(options, "user", ""),
             role = *cx_json_string_or(options, "role", "");
        if (bad)
                cx_strings_add(&so_far->types, type);
        so_far->user |= user;
        so_far->role |= role;
        return bad || user || role;
}

static void check_selinux(const struct pod_subject *pod, const char *const *allowed, struct pod_finding *finding)
{
        struct selinux_found found = {.allowed = allowed};
        CX_STRINGS names = CX_STRINGS_INIT;
        bool own = selinux_is_bad(pod->security, &found);
        pod_containers_with(pod, selinux_is_bad, &found, &names);
        if (own || names.count) {
                struct cx_buf *to = &finding->detail;
                pod_once(&found.types);
                pod_setters(to, own, &names);
                cx_buf_add(to, " set forbidden securityContext.seLinuxOptions: ");
                if (found.types.count) {
                        cx_buf_add(to, found.types.count == 1 ? "type " : "types ");
                        pod_quote(to, &found.types);
                }
                if (found.user)
                        cx_buf_printf(to, "%suser may not be set", found.types.count ? "; " : "");
                if (found.role)
                        cx_buf_printf(to, "%srole may not be set", found.types.count || found.user ? "; " : "");
                finding->reason = "seLinuxOptions";
        }
        cx_strings_release(&found.types);
}

POD_CHECK(selinux)
{
        static const char *const allowed[] = {"", "container_t", "container_init_t", "container_kvm_t", NULL};
        check_selinux(pod, allowed, finding);
}

POD_CHECK(selinux_31)
{
        static const char *const allowed[] = {
                "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t", NULL};
        check_selinux(pod, allowed, finding);
}

// --- seccomp ---------------------------------------------------------------------------------------------------------

#define SECCOMP "seccomp.security.alpha.kubernetes.io/"

static void look_at_seccomp(const struct pod_subject *pod, const char *key, struct cx_strings *found)
{
        const char *value = json_string_value(json_object_get(pod->annotations, key));
        if (value && strcmp(value, "runtime/default") != 0 && strcmp(value, "docker/default") != 0 &&
            !cx_has_prefix(value, "localhost/"))
                add_annotation(found, key, value);
}

// Before v1.19 there were annotations and no field.
POD_CHECK(seccomp_annotations)
{
        CX_STRINGS found = CX_STRINGS_INIT;
        look_at_seccomp(pod, SECCOMP "pod", &found);
        CX_POD_FOREACH(walk, pod->spec, CX_POD_ALL)
        {
                CX_CLEANUP(cx_freep) char *key = cx_sprintf("container." SECCOMP "%s", walk.name);
                look_at_seccomp(pod, key, &found);
        }
        if (!found.count)
                return;
        pod_once(&found);
        CX_CLEANUP(cx_freep) char *list = cx_strings_join(&found, ", ");
        cx_buf_printf(&finding->detail, "forbidden %s %s", found.count == 1 ? "annotation" : "annotations", list);
        finding->reason = "seccompProfile";
}

POD_CHECK(seccomp_baseline)
{
        CX_STRINGS values = CX_STRINGS_INIT, names = CX_STRINGS_INIT;
        bool own = pod_seccomp_is_bad(pod->security, &values);
        pod_containers_with(pod, pod_seccomp_is_bad, &values, &names);
        if (!own && !names.count)
                return;
        pod_once(&values);
        pod_setters(&finding->detail, own, &names);
        cx_buf_add(&finding->detail, " must not set securityContext.seccompProfile.type to ");
        pod_quote(&finding->detail, &values);
        finding->reason = "seccompProfile";
}

// --- sysctls ---------------------------------------------------------------------------------------------------------

static void check_sysctls(const struct pod_subject *pod, int version, struct pod_finding *finding)
{
        static const struct {
                const char *name;
                int since;
        } safe[] = {
                {"kernel.shm_rmid_forced", 0},
                {"net.ipv4.ip_local_port_range", 0},
                {"net.ipv4.tcp_syncookies", 0},
                {"net.ipv4.ping_group_range", 0},
                {"net.ipv4.ip_unprivileged_port_start", 0},
                {"net.ipv4.ip_local_reserved_ports", 27},
                {"net.ipv4.tcp_keepalive_time", 29},
                {"net.ipv4.tcp_fin_timeout", 29},
                {"net.ipv4.tcp_keepalive_intvl", 29},
                {"net.ipv4.tcp_keepalive_probes", 29},
                {"net.ipv4.tcp_rmem", 32},
                {"net.ipv4.tcp_wmem", 32},
        };
        size_t i;
        const json_t *sysctl;
        json_array_foreach (json_object_get(pod->security, "sysctls"), i, sysctl) {
                const char *name = cx_json_string_or(sysctl, "name", "");
                bool good = false;
                for (size_t k = 0; k < CX_ARRAY_SIZE(safe); k++)
                        good |= safe[k].since <= version && strcmp(safe[k].name, name) == 0;
                if (good)
                        continue;
                cx_buf_printf(&finding->detail, "%s%s", finding->reason ? ", " : "", name);
                finding->reason = "forbidden sysctls";
        }
}

POD_CHECK(sysctls)
{
        check_sysctls(pod, 0, finding);
}

POD_CHECK(sysctls_27)
{
        check_sysctls(pod, 27, finding);
}

POD_CHECK(sysctls_29)
{
        check_sysctls(pod, 29, finding);
}

POD_CHECK(sysctls_32)
{
        check_sysctls(pod, 32, finding);
}

// --- Windows ---------------------------------------------------------------------------------------------------------

static bool is_host_process(const json_t *context, void *found CX_UNUSED)
{
        return json_is_true(cx_json_get(context, "windowsOptions.hostProcess"));
}

POD_CHECK(windows_host_process)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        bool own = is_host_process(pod->security, NULL);
        pod_containers_with(pod, is_host_process, NULL, &names);
        if (!own && !names.count)
                return;
        pod_setters(&finding->detail, own, &names);
        cx_buf_add(&finding->detail, " must not set securityContext.windowsOptions.hostProcess=true");
        finding->reason = "hostProcess";
}
