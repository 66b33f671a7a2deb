// SPDX-License-Identifier: Apache-2.0
// The kubelet's settings: upstream's flag names, and a KubeletConfiguration file whose fields count where no flag was
// given. All strings live as long as the process.
#pragma once

#include "kubelet/base/reserved.h"
#include "libcommon/base/flags.h"

#include <jansson.h>

struct kubelet_settings {
        const char *kubeconfig, *config, *root, *hostname_override, *node_ip, *pod_cidr, *cluster_domain, *cgroup_root,
                *address, *client_ca_file, *tls_cert_file, *tls_key_file, *registry_config, *log_root, *resolv_conf,
                *manifests, *cni_conf_dir, *cni_bin_dir, *runc, *conmon, *authorization_mode, *non_masquerade_cidr,
                *provider_id, *cloud_provider, *logging_format, *cert_dir, *bootstrap_kubeconfig, *overlay;
        struct cx_strings cluster_dns, node_labels, taints, unsafe_sysctls, system_reserved, kube_reserved,
                eviction_hard;
        struct node_reserved reserved; // of these three
        int64_t max_pods, port, healthz_port, verbosity, pids_limit, image_gc_high, image_gc_low, min_image_age,
                collect_period, read_only_port, status_frequency, sync_frequency, lease_seconds, log_max_bytes;
        bool register_node, anonymous_auth, webhook_auth, rotate_certificates, server_tls_bootstrap, seccomp_default,
                version, help;
        json_t *file; // the configuration file, for /configz; NULL when none
};
// Parses flags, then the file. Exits nowhere; the error is one line.
int kubelet_settings_load(struct kubelet_settings *settings, int argc, char **argv, struct cx_error *err) CX_CHECK;
void kubelet_settings_help(struct cx_buf *to);
json_t *kubelet_settings_json(const struct kubelet_settings *settings); // a KubeletConfiguration, new
