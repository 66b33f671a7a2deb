// SPDX-License-Identifier: Apache-2.0
// What the layers of one kube-apiserver share: its flags, and a part for each layer that is opaque to the others.
#pragma once

#include "apiserver/request/kinds.h"
#include "libcommon/base/strings.h"

struct cx_metrics;
struct cx_metric;

struct apiserver_options {
        const char *bind_address, *advertise_address;
        int64_t secure_port;
        struct cx_strings etcd_servers;
        const char *etcd_ca_file, *etcd_cert_file, *etcd_key_file;
        const char *tls_cert_file, *tls_key_file, *client_ca_file;
        struct cx_strings service_account_key_files;
        const char *service_account_signing_key_file, *service_account_issuer;
        struct cx_strings api_audiences;
        const char *service_cluster_ip_range, *service_node_port_range;
        struct cx_strings authorization_modes, enable_admission, disable_admission;
        const char *proxy_client_cert_file, *proxy_client_key_file, *requestheader_client_ca_file;
        struct cx_strings requestheader_allowed_names, requestheader_username_headers, requestheader_uid_headers,
                requestheader_group_headers, requestheader_extra_headers_prefix;
        const char *kubelet_client_cert_file, *kubelet_client_key_file, *kubelet_ca_file;
        const char *token_auth_file;
        bool enable_bootstrap_token_auth, anonymous_auth, allow_privileged;
        const char *encryption_provider_config, *admission_config_file;
        bool encryption_reload;
        int64_t event_ttl, min_request_timeout, max_request_bytes, service_account_max_token_expiration;
        int64_t etcd_compaction_interval, watch_cache_size;
};

struct apiserver {
        struct apiserver_options options;
        struct cx_etcd *etcd;
        struct store *store;
        struct kinds *kinds;
        const struct writes *writes;       // the registry, for the layers below it (request/write.h)
        struct token_service *tokens;      // auth
        struct rbac *rbac;                 // auth
        struct allocator *allocator;       // strategy
        struct admission_chain *admission; // admission
        struct pod_security *pod_security; // admission; NULL: as it is without a configuration
        struct watch_reaper *watches;      // endpoints
        struct relays *relays;             // endpoints
        struct backends *backends;         // endpoints
        struct documents *documents;       // endpoints
        struct api_services *api_services; // endpoints
        struct audit *audit;               // audit; NULL: there is no audit log
        struct cx_metrics *metrics;
        struct cx_metric *requests, *durations; // apiserver_request_total, apiserver_request_duration_seconds
        atomic_bool stopping, ready;
};

// A kind of the schema, for good.
static inline const struct served_kind *builtin(const struct apiserver *api, const char *group, const char *version,
                                                const char *resource)
{
        return kinds_builtin(api->kinds, group, version, resource);
}
