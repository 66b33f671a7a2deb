// SPDX-License-Identifier: Apache-2.0
// One table of settings, each with its flag and its field of the configuration file.
#include "kubelet/base/config.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "libcommon/format/yaml.h"

#define S CX_FLAG_STRING
#define I CX_FLAG_INT
#define B CX_FLAG_BOOL
#define D CX_FLAG_DURATION

// One row: the flag, and the path of the field of KubeletConfiguration that means the same.
struct setting {
        const char *flag;
        enum cx_flag_kind kind;
        size_t offset;
        const char *field, *help;
};
#define AT(member) offsetof(struct kubelet_settings, member)
static const struct setting table[] = {
        {"kubeconfig", S, AT(kubeconfig), NULL,
         "Path to a kubeconfig file; without one the kubelet runs static pods only."},
        {"config", S, AT(config), NULL, "KubeletConfiguration file; flags win over it."},
        {"root-dir", S, AT(root), NULL, "Folder for pods, images and containers."},
        {"hostname-override", S, AT(hostname_override), NULL, "Name of the node instead of the machine's."},
        {"node-ip", S, AT(node_ip), NULL, "Address(es) of the node, comma-separated."},
        {"pod-cidr", S, AT(pod_cidr), "podCIDR", "Addresses for pods when the node object gives none."},
        {"cluster-dns", CX_FLAG_CSV, AT(cluster_dns), "clusterDNS", "Name servers for pods."},
        {"cluster-domain", S, AT(cluster_domain), "clusterDomain", "Domain of the cluster."},
        {"cgroup-root", S, AT(cgroup_root), "cgroupRoot", "Control group below which all pods are kept."},
        {"max-pods", I, AT(max_pods), "maxPods", "Number of pods that this node takes."},
        {"port", I, AT(port), "port", "Port of the kubelet's server."},
        {"address", S, AT(address), "address", "Address that the server listens on."},
        {"healthz-port", I, AT(healthz_port), "healthzPort", "Local port of /healthz; 0: none."},
        {"client-ca-file", S, AT(client_ca_file), "authentication.x509.clientCAFile", "CA of clients' certificates."},
        {"tls-cert-file", S, AT(tls_cert_file), "tlsCertFile", "Certificate of the server."},
        {"tls-private-key-file", S, AT(tls_key_file), "tlsPrivateKeyFile", "Its key."},
        {"cert-dir", S, AT(cert_dir), NULL,
         "Folder of the kubelet's certificates: those that it asked for, and a self-signed one when none is given."},
        {"bootstrap-kubeconfig", S, AT(bootstrap_kubeconfig), NULL,
         "Kubeconfig to ask for a client certificate with, when that of --kubeconfig is missing or has expired."},
        {"rotate-certificates", B, AT(rotate_certificates), "rotateCertificates",
         "Ask for a new client certificate before the old one expires."},
        {"rotate-server-certificates", B, AT(server_tls_bootstrap), "serverTLSBootstrap",
         "Ask the cluster for the certificate to serve with, and for a new one before it expires."},
        {"anonymous-auth", B, AT(anonymous_auth), "authentication.anonymous.enabled", "Allow anonymous requests."},
        {"authentication-token-webhook", B, AT(webhook_auth), "authentication.webhook.enabled",
         "Ask the apiserver about bearer tokens."},
        {"authorization-mode", S, AT(authorization_mode), "authorization.mode", "AlwaysAllow or Webhook."},
        {"register-node", B, AT(register_node), "registerNode", "Register the node with the apiserver."},
        {"node-labels", CX_FLAG_CSV, AT(node_labels), NULL, "Labels (key=value) when registering."},
        {"register-with-taints", CX_FLAG_CSV, AT(taints), NULL, "Taints (key=value:effect) when registering."},
        {"system-reserved", CX_FLAG_CSV, AT(system_reserved), NULL,
         "Resources (cpu=500m,memory=1Gi) that the system needs: not for pods."},
        {"kube-reserved", CX_FLAG_CSV, AT(kube_reserved), NULL,
         "Resources that the node's components need: not for pods."},
        {"eviction-hard", CX_FLAG_CSV, AT(eviction_hard), NULL,
         "Thresholds (memory.available<100Mi,nodefs.available<10%) below which the node reports pressure."},
        {"allowed-unsafe-sysctls", CX_FLAG_CSV, AT(unsafe_sysctls), "allowedUnsafeSysctls",
         "Sysctls that pods may set besides the safe ones; \"kernel.msg*\" allows all that begin so."},
        {"provider-id", S, AT(provider_id), "providerID", "Identifier of the machine at its provider."},
        {"cloud-provider", S, AT(cloud_provider), NULL,
         "external: the node waits for a cloud-controller-manager, which says what is known of its machine."},
        {"registry-config", S, AT(registry_config), NULL,
         "registries.yaml: mirrors, credentials and TLS of registries."},
        {"pod-manifest-path", S, AT(manifests), "staticPodPath", "Folder (or file) of static pods."},
        {"resolv-conf", S, AT(resolv_conf), "resolvConf", "Resolver configuration that pods build on."},
        {"pod-logs-dir", S, AT(log_root), "podLogsDir", "Folder of containers' logs; default: logs below the root."},
        {"read-only-port", I, AT(read_only_port), "readOnlyPort",
         "Must be 0: there is no port without authentication."},
        {"seccomp-default", B, AT(seccomp_default), "seccompDefault",
         "Containers that ask for no seccomp profile get RuntimeDefault, not Unconfined."},
        {"pod-max-pids", I, AT(pids_limit), "podPidsLimit", "Limit of processes in a pod; -1: none."},
        {"pod-network-overlay", S, AT(overlay), NULL,
         "How nodes behind a router are reached: none (every node is taken for a neighbour), or vxlan."},
        {"cni-conf-dir", S, AT(cni_conf_dir), NULL, "Folder of CNI configurations."},
        {"cni-bin-dir", S, AT(cni_bin_dir), NULL, "Folders of CNI plugins, colon-separated."},
        {"runc", S, AT(runc), NULL, "The OCI runtime."},
        {"conmon", S, AT(conmon), NULL, "The container monitor."},
        {"non-masquerade-cidr", S, AT(non_masquerade_cidr), NULL,
         "Traffic of pods to outside of this keeps no pod address; empty: nothing is masqueraded."},
        {"container-log-max-bytes", I, AT(log_max_bytes), NULL, "Size in bytes at which a container's log is rotated."},
        {"image-gc-high-threshold", I, AT(image_gc_high), "imageGCHighThresholdPercent",
         "Disk usage in percent that starts image garbage collection."},
        {"image-gc-low-threshold", I, AT(image_gc_low), "imageGCLowThresholdPercent", "Disk usage that it aims at."},
        {"minimum-image-ttl-duration", D, AT(min_image_age), "imageMinimumGCAge", "Age below which images stay."},
        {"image-gc-period", D, AT(collect_period), NULL, "How often the disk usage is looked at."},
        {"node-status-update-frequency", D, AT(status_frequency), "nodeStatusUpdateFrequency",
         "How often the node's status is computed."},
        {"sync-frequency", D, AT(sync_frequency), "syncFrequency",
         "How often CSI volumes are published again whose driver asks for that."},
        {"node-lease-duration-seconds", I, AT(lease_seconds), "nodeLeaseDurationSeconds",
         "Duration of the node's lease."},
        {"logging-format", S, AT(logging_format), "logging.format", "text or json."},
        {"v", I, AT(verbosity), "logging.verbosity", "Log verbosity."},
        {"version", B, AT(version), NULL, "Print the version and exit."},
        {"help", B, AT(help), NULL, "Print this help and exit."},
};
#define N CX_ARRAY_SIZE(table)

static void make_flags(struct kubelet_settings *s, struct cx_flag flags[N + 1], bool changed[N])
{
        for (size_t i = 0; i < N; i++)
                flags[i] = (struct cx_flag){.name = table[i].flag,
                                            .kind = table[i].kind,
                                            .help = table[i].help,
                                            .target = (char *)s + table[i].offset,
                                            .changed = &changed[i],
                                            .shorthand = strcmp(table[i].flag, "v") == 0 ? 'v' : 0};
        flags[N] = (struct cx_flag){0};
}

static int take_field(struct kubelet_settings *s, const struct setting *row, const json_t *value, struct cx_error *err)
{
        void *target = (char *)s + row->offset;
        bool good = false;
        if (row->kind == S && (good = json_is_string(value)))
                *(const char **)target = json_string_value(value);
        else if (row->kind == B && (good = json_is_boolean(value)))
                *(bool *)target = json_is_true(value);
        else if (row->kind == I && (good = json_is_integer(value)))
                *(int64_t *)target = json_integer_value(value);
        else if (row->kind == D)
                good = json_is_string(value) && cx_duration_parse(json_string_value(value), target) == 0;
        else if (row->kind == CX_FLAG_CSV && (good = json_is_array(value))) {
                size_t i;
                json_t *item;
                json_array_foreach ((json_t *)value, i, item)
                        cx_strings_add(target, cx_str(json_string_value(item)));
        }
        return good ? 0 : cx_error_set(err, -EINVAL, "%s: field %s has the wrong type", s->config, row->field);
}

// Fields that are maps, as the flags' lists; the flag goes before the file.
static int take_map(struct kubelet_settings *s, const bool changed[N], const char *field, char between,
                    struct cx_strings *to, struct cx_error *err)
{
        const char *key;
        json_t *value;
        for (size_t i = 0; i < N; i++)
                if (changed[i] && (const char *)s + table[i].offset == (const char *)to)
                        return 0;
        json_object_foreach (json_object_get(s->file, field), key, value) {
                if (!json_is_string(value))
                        return cx_error_set(err, -EINVAL, "%s: field %s.%s has the wrong type", s->config, field, key);
                CX_CLEANUP(cx_freep) char *pair = cx_sprintf("%s%c%s", key, between, json_string_value(value));
                cx_strings_add(to, pair);
        }
        return 0;
}

static int load_file(struct kubelet_settings *s, const bool changed[N], struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        json_auto_t *documents = NULL;
        int r = cx_buf_read_file(&text, s->config);
        if (r < 0)
                return cx_error_set(err, r, "cannot read %s: %s", s->config, strerror(-r));
        r = cx_yaml_parse(text.data, text.length, &documents, err);
        if (r < 0)
                return cx_error_wrap(err, "%s", s->config);
        s->file = json_incref(json_array_get(documents, 0));
        if (!cx_streq(cx_json_string(s->file, "kind"), "KubeletConfiguration"))
                return cx_error_set(err, -EINVAL, "%s: no KubeletConfiguration", s->config);
        for (size_t i = 0; i < N; i++) {
                const json_t *value = table[i].field && !changed[i] ? cx_json_get(s->file, table[i].field) : NULL;
                if (value && !json_is_null(value)) {
                        r = take_field(s, &table[i], value, err);
                        if (r < 0)
                                return r;
                }
        }
        const char *key;
        json_t *value;
        json_object_foreach (json_object_get(s->file, "nodeLabels"), key, value) {
                CX_CLEANUP(cx_freep) char *pair = cx_sprintf("%s=%s", key, cx_str(json_string_value(value)));
                cx_strings_add(&s->node_labels, pair);
        }
        r = take_map(s, changed, "systemReserved", '=', &s->system_reserved, err);
        if (r == 0)
                r = take_map(s, changed, "kubeReserved", '=', &s->kube_reserved, err);
        if (r == 0)
                r = take_map(s, changed, "evictionHard", '<', &s->eviction_hard, err);
        if (r < 0)
                return r;
        size_t i;
        json_array_foreach (json_object_get(s->file, "registerWithTaints"), i, value) {
                CX_CLEANUP(cx_freep)
                char *taint = cx_sprintf("%s=%s:%s", cx_json_string_or(value, "key", ""),
                                         cx_json_string_or(value, "value", ""), cx_json_string_or(value, "effect", ""));
                cx_strings_add(&s->taints, taint);
        }
        return 0;
}

static bool given(const char *text)
{
        return text && *text;
}

static int check_certificates(const struct kubelet_settings *s, struct cx_error *err)
{
        if (given(s->bootstrap_kubeconfig) && !given(s->kubeconfig))
                return cx_error_set(err, -EINVAL, "--bootstrap-kubeconfig needs --kubeconfig, which is written then");
        if ((s->rotate_certificates || s->server_tls_bootstrap) && !given(s->kubeconfig))
                return cx_error_set(err, -EINVAL, "rotateCertificates and serverTLSBootstrap need --kubeconfig");
        if (s->server_tls_bootstrap && given(s->tls_cert_file))
                return cx_error_set(err, -EINVAL,
                                    "serverTLSBootstrap and --tls-cert-file exclude each other: give one of them");
        return 0;
}

int kubelet_settings_load(struct kubelet_settings *s, int argc, char **argv, struct cx_error *err)
{
        *s = (struct kubelet_settings){.root = "/var/lib/kubelet",
                                       .cluster_domain = "cluster.local",
                                       .cgroup_root = "/",
                                       .address = "0.0.0.0",
                                       .resolv_conf = "/etc/resolv.conf",
                                       .cni_conf_dir = "/etc/cni/net.d",
                                       .cni_bin_dir = "/opt/cni/bin:/usr/lib/cni:/usr/libexec/cni",
                                       .runc = "runc",
                                       .conmon = "conmon",
                                       .authorization_mode = "Webhook",
                                       .non_masquerade_cidr = "10.0.0.0/8",
                                       .overlay = "none",
                                       .max_pods = 110,
                                       .port = 10250,
                                       .healthz_port = 10248,
                                       .pids_limit = -1,
                                       .image_gc_high = 85,
                                       .image_gc_low = 80,
                                       .min_image_age = 120 * CX_NS_PER_S,
                                       .collect_period = 300 * CX_NS_PER_S,
                                       .log_max_bytes = 10 << 20,
                                       .status_frequency = 10 * CX_NS_PER_S,
                                       .sync_frequency = 60 * CX_NS_PER_S,
                                       .lease_seconds = 40,
                                       .register_node = true,
                                       .webhook_auth = true};
        struct cx_flag flags[N + 1];
        bool changed[N] = {0};
        make_flags(s, flags, changed);
        const struct cx_flag *const tables[] = {flags};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = cx_flags_parse(tables, 1, argc, argv, &args, NULL, err);
        if (r == 0 && args.count)
                r = cx_error_set(err, -EINVAL, "unknown command: %s", args.items[0]);
        if (r == 0 && s->config && *s->config)
                r = load_file(s, changed, err);
        if (r == 0 && (s->port < 0 || s->port > 65535 || s->max_pods < 0))
                r = cx_error_set(err, -EINVAL, "--port or --max-pods is out of range");
        if (r == 0 && s->read_only_port)
                r = cx_error_set(err, -EINVAL, "readOnlyPort must be 0: there is no port without authentication");
        if (r == 0 && s->sync_frequency < CX_NS_PER_S)
                r = cx_error_set(err, -EINVAL, "--sync-frequency must be one second or more");
        if (r == 0 && strcmp(s->authorization_mode, "Webhook") != 0 &&
            strcmp(s->authorization_mode, "AlwaysAllow") != 0)
                r = cx_error_set(err, -EINVAL, "--authorization-mode must be AlwaysAllow or Webhook");
        if (r == 0)
                r = check_certificates(s, err);
        if (r == 0)
                r = reserved_parse(&s->system_reserved, &s->kube_reserved, &s->eviction_hard, &s->reserved, err);
        if (r == 0 && strcmp(s->overlay, "none") != 0 && strcmp(s->overlay, "vxlan") != 0)
                r = cx_error_set(err, -EINVAL, "--pod-network-overlay must be none or vxlan, not \"%s\"", s->overlay);
        if (r == 0 && s->root[0] != '/')
                r = cx_error_set(err, -EINVAL, "--root-dir must be an absolute path");
        if (r == 0 && *cx_str(s->cloud_provider) && !cx_streq(s->cloud_provider, "external"))
                r = cx_error_set(err, -EINVAL, "--cloud-provider: \"%s\" is not supported, only external",
                                 s->cloud_provider);
        if (r == 0 && !s->log_root)
                s->log_root = cx_sprintf("%s/logs", s->root);
        if (r == 0 && !given(s->cert_dir))
                s->cert_dir = cx_sprintf("%s/pki", s->root);
        return r;
}

void kubelet_settings_help(struct cx_buf *to)
{
        struct kubelet_settings unused;
        struct cx_flag flags[N + 1];
        bool changed[N];
        make_flags(&unused, flags, changed);
        cx_flags_help(flags, to);
}

json_t *kubelet_settings_json(const struct kubelet_settings *s)
{
        json_t *out = s->file ? json_deep_copy(s->file) : json_object();
        for (size_t i = 0; i < N; i++) {
                const void *at = (const char *)s + table[i].offset;
                json_t *value = NULL;
                char text[CX_TIME_TEXT];
                if (!table[i].field)
                        continue;
                if (table[i].kind == S && *(const char *const *)at)
                        value = json_string(*(const char *const *)at);
                else if (table[i].kind == B)
                        value = json_boolean(*(const bool *)at);
                else if (table[i].kind == I)
                        value = json_integer(*(const int64_t *)at);
                else if (table[i].kind == D) {
                        cx_duration_format(*(const int64_t *)at, text);
                        value = json_string(text);
                } else if (table[i].kind == CX_FLAG_CSV) {
                        const struct cx_strings *list = at;
                        value = json_array();
                        for (size_t k = 0; k < list->count; k++)
                                json_array_append_new(value, json_string(list->items[k]));
                }
                if (value && cx_json_set(out, table[i].field, value) < 0)
                        continue;
        }
        return out;
}
