// SPDX-License-Identifier: Apache-2.0
// The flags of kube-apiserver, and what holds where they say nothing.
#include "apiserver/options.h"

#include "apiserver/audit/audit.h"
#include "apiserver/storage/cache.h"
#include "libcommon/base/address.h"
#include "libcommon/base/flags.h"
#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/base/version.h"

#include <net/if.h>
#include <stdio.h>

static struct apiserver_options given = {
        .bind_address = "0.0.0.0",
        .secure_port = 6443,
        .service_cluster_ip_range = "10.96.0.0/12",
        .service_node_port_range = "30000-32767",
        .service_account_issuer = "https://kubernetes.default.svc.cluster.local",
        .anonymous_auth = true,
        .event_ttl = 3600 * CX_NS_PER_S,
        .etcd_compaction_interval = 300 * CX_NS_PER_S,
        .watch_cache_size = CACHE_WINDOW,
        .min_request_timeout = 1800,
        .max_request_bytes = 3 << 20,
};
static int64_t verbosity;
static const char *format = "text";
static bool help, version, profiling;

static const struct cx_flag flags[] = {
        {"advertise-address", 0, CX_FLAG_STRING, &given.advertise_address,
         "address that members of the cluster reach this server at"},
        {"bind-address", 0, CX_FLAG_STRING, &given.bind_address, "address to listen on"},
        {"secure-port", 0, CX_FLAG_INT, &given.secure_port, "port to serve HTTPS on", NULL, NULL, 0, 65535},
        {"etcd-servers", 0, CX_FLAG_CSV, &given.etcd_servers, "etcd endpoints, https://host:port"},
        {"etcd-cafile", 0, CX_FLAG_STRING, &given.etcd_ca_file, "CA of etcd's certificate"},
        {"etcd-certfile", 0, CX_FLAG_STRING, &given.etcd_cert_file, "client certificate for etcd"},
        {"etcd-keyfile", 0, CX_FLAG_STRING, &given.etcd_key_file, "key of the client certificate for etcd"},
        {"tls-cert-file", 0, CX_FLAG_STRING, &given.tls_cert_file, "certificate to serve with"},
        {"tls-private-key-file", 0, CX_FLAG_STRING, &given.tls_key_file, "key of that certificate"},
        {"client-ca-file", 0, CX_FLAG_STRING, &given.client_ca_file, "CA of client certificates"},
        {"service-account-key-file", 0, CX_FLAG_LIST, &given.service_account_key_files,
         "key that verifies service account tokens; repeatable"},
        {"service-account-signing-key-file", 0, CX_FLAG_STRING, &given.service_account_signing_key_file,
         "key that signs service account tokens"},
        {"service-account-issuer", 0, CX_FLAG_STRING, &given.service_account_issuer,
         "issuer of service account tokens"},
        {"service-account-max-token-expiration", 0, CX_FLAG_DURATION, &given.service_account_max_token_expiration,
         "longest life of a requested token"},
        {"api-audiences", 0, CX_FLAG_CSV, &given.api_audiences, "audiences of this API; the issuer by default"},
        {"service-cluster-ip-range", 0, CX_FLAG_STRING, &given.service_cluster_ip_range, "network of cluster IPs"},
        {"service-node-port-range", 0, CX_FLAG_STRING, &given.service_node_port_range, "range of node ports"},
        {"authorization-mode", 0, CX_FLAG_CSV, &given.authorization_modes, "Node, RBAC, AlwaysAllow"},
        {"enable-admission-plugins", 0, CX_FLAG_CSV, &given.enable_admission, "admission plugins to add"},
        {"disable-admission-plugins", 0, CX_FLAG_CSV, &given.disable_admission, "admission plugins to leave out"},
        {"admission-control-config-file", 0, CX_FLAG_STRING, &given.admission_config_file,
         "settings of admission plugins"},
        {"kubelet-client-certificate", 0, CX_FLAG_STRING, &given.kubelet_client_cert_file,
         "client certificate for kubelets"},
        {"kubelet-client-key", 0, CX_FLAG_STRING, &given.kubelet_client_key_file,
         "key of the client certificate for kubelets"},
        {"kubelet-certificate-authority", 0, CX_FLAG_STRING, &given.kubelet_ca_file, "CA of kubelets' certificates"},
        {"proxy-client-cert-file", 0, CX_FLAG_STRING, &given.proxy_client_cert_file,
         "client certificate for aggregated API servers"},
        {"proxy-client-key-file", 0, CX_FLAG_STRING, &given.proxy_client_key_file,
         "key of the client certificate for aggregated API servers"},
        {"requestheader-client-ca-file", 0, CX_FLAG_STRING, &given.requestheader_client_ca_file,
         "CA of front proxies, whose headers are believed; aggregated API servers are told, too"},
        {"requestheader-allowed-names", 0, CX_FLAG_CSV, &given.requestheader_allowed_names,
         "common names of front proxies' certificates; any when empty"},
        {"requestheader-username-headers", 0, CX_FLAG_CSV, &given.requestheader_username_headers,
         "headers in which front proxies name the user"},
        {"requestheader-uid-headers", 0, CX_FLAG_CSV, &given.requestheader_uid_headers,
         "headers in which front proxies tell the user's uid"},
        {"requestheader-group-headers", 0, CX_FLAG_CSV, &given.requestheader_group_headers,
         "headers in which front proxies tell the user's groups"},
        {"requestheader-extra-headers-prefix", 0, CX_FLAG_CSV, &given.requestheader_extra_headers_prefix,
         "how headers begin in which front proxies tell what else they know of the user"},
        {"token-auth-file", 0, CX_FLAG_STRING, &given.token_auth_file, "file of static tokens"},
        {"enable-bootstrap-token-auth", 0, CX_FLAG_BOOL, &given.enable_bootstrap_token_auth, "accept bootstrap tokens"},
        {"anonymous-auth", 0, CX_FLAG_BOOL, &given.anonymous_auth,
         "let requests without credentials in as system:anonymous"},
        {"allow-privileged", 0, CX_FLAG_BOOL, &given.allow_privileged, "allow privileged containers"},
        {"etcd-compaction-interval", 0, CX_FLAG_DURATION, &given.etcd_compaction_interval,
         "how often etcd is told to forget revisions that are older than that; 0: never"},
        {"default-watch-cache-size", 0, CX_FLAG_INT, &given.watch_cache_size,
         "how many events of a resource are kept at most for those who watch", NULL, NULL, 16, CACHE_WINDOW},
        {"event-ttl", 0, CX_FLAG_DURATION, &given.event_ttl, "how long events are kept"},
        {"min-request-timeout", 0, CX_FLAG_INT, &given.min_request_timeout, "seconds that a watch lives at least", NULL,
         NULL, 1, 86400},
        {"encryption-provider-config", 0, CX_FLAG_STRING, &given.encryption_provider_config,
         "how objects are encrypted in etcd"},
        {"encryption-provider-config-automatic-reload", 0, CX_FLAG_BOOL, &given.encryption_reload,
         "read that file again when it changes"},
        {"profiling", 0, CX_FLAG_BOOL, &profiling, "must be false: there is no profiling endpoint"},
        {"max-request-bytes", 0, CX_FLAG_INT, &given.max_request_bytes, "largest request body", NULL, NULL, 1024,
         256 << 20},
        {"v", 'v', CX_FLAG_INT, &verbosity, "log verbosity", NULL, NULL, 0, 10},
        {"logging-format", 0, CX_FLAG_STRING, &format, "text or json"},
        {"version", 0, CX_FLAG_BOOL, &version, "print the version and exit"},
        {"help", 'h', CX_FLAG_BOOL, &help, "print this and exit"},
        {0},
};

static void take_first(void *context, const struct cx_interface *interface)
{
        char *to = context;
        if (!*to && interface->address.family == CX_IPV4 && (interface->flags & IFF_UP) &&
            !(interface->flags & IFF_LOOPBACK))
                cx_address_format(&interface->address, to);
}

// The address of the first interface that is up and not the loopback; the loopback's when there is none.
static const char *default_address(void)
{
        static char text[CX_ADDRESS_TEXT];
        cx_interfaces_each(take_first, text);
        return *text ? text : "127.0.0.1";
}

static void set_default(struct cx_strings *list, const char *item)
{
        if (!list->count)
                cx_strings_add(list, item);
}

static void set_defaults(void)
{
        if (!given.advertise_address)
                given.advertise_address = default_address();
        set_default(&given.authorization_modes, "AlwaysAllow");
        set_default(&given.api_audiences, given.service_account_issuer);
        set_default(&given.requestheader_username_headers, "X-Remote-User");
        set_default(&given.requestheader_uid_headers, "X-Remote-Uid");
        set_default(&given.requestheader_group_headers, "X-Remote-Group");
        set_default(&given.requestheader_extra_headers_prefix, "X-Remote-Extra-");
}

int options_read(int argc, char **argv, struct apiserver_options *ret_options, struct audit_options *ret_audit,
                 int *ret_status)
{
        CX_ERROR err = CX_ERROR_INIT;
        CX_STRINGS args = CX_STRINGS_INIT;
        struct audit_flags of_audit;
        audit_flags_make(ret_audit, &of_audit);
        const struct cx_flag *const tables[] = {flags, of_audit.known, of_audit.refused};
        *ret_status = 0;
        if (cx_flags_parse(tables, CX_ARRAY_SIZE(tables), argc, argv, &args, NULL, &err) < 0 || args.count) {
                fprintf(stderr, "Error: %s\n", err.code ? cx_error_text(&err) : "no arguments are taken");
                *ret_status = 1;
        } else if (profiling) {
                fprintf(stderr, "Error: --profiling: there is no profiling endpoint; leave it out\n");
                *ret_status = 1;
        } else if (version) {
                *ret_status = printf("Kubernetes " CX_VERSION "\n") < 0;
        } else if (help) {
                CX_BUF text = CX_BUF_INIT;
                cx_flags_help(flags, &text);
                cx_flags_help(of_audit.known, &text);
                *ret_status = printf("Usage:\n  kube-apiserver [flags]\n\nFlags:\n%s", text.data) < 0;
        } else {
                cx_log_settings.verbosity = (int)verbosity;
                cx_log_settings.json = strcmp(format, "json") == 0;
                set_defaults();
                *ret_options = given;
                return 0;
        }
        return -ECANCELED;
}
