// SPDX-License-Identifier: Apache-2.0
// kube-controller-manager: the table of controllers and their flags.
#include "controller-manager/controllers.h"
#include "controller-manager/core/options.h"
#include "libcontroller/run.h"

static const struct controller *const controllers[] = {
        &deployment_controller,
        &replicaset_controller,
        &replication_controller,
        &stateful_set_controller,
        &daemon_set_controller,
        &job_controller,
        &job_ttl_controller,
        &cronjob_controller,
        &endpoints_controller,
        &endpointslice_controller,
        &endpointslice_mirroring_controller,
        &namespace_controller,
        &serviceaccount_controller,
        &root_ca_controller,
        &node_ipam_controller,
        &node_lifecycle_controller,
        &taint_eviction_controller,
        &pod_gc_controller,
        &csr_approving_controller,
        &csr_signing_controller,
        &serving_approver_controller,
        &clusterrole_aggregation_controller,
        &resourcequota_controller,
        &disruption_controller,
        &ttl_controller,
        &csr_cleaner_controller,
        &token_secret_controller,
        &token_cleaner_controller,
        &bootstrap_signer_controller,
        &persistentvolume_binder_controller,
        &pvc_protection_controller,
        &pv_protection_controller,
        &ephemeral_volume_controller,
        &volume_expander_controller,
        &attach_detach_controller,
        &horizontal_pod_autoscaler_controller,
        &garbage_collector_controller,
};

static struct manager_options options = {
        .node_mask_v4 = 24,
        .node_mask_v6 = 64,
        .monitor_grace = 50 * CX_NS_PER_S,
        .monitor_period = 5 * CX_NS_PER_S,
        .startup_grace = 60 * CX_NS_PER_S,
        .terminated_pod_threshold = 12500,
        .signing_duration = 8760 * 3600 * CX_NS_PER_S,
        .quota_sync_period = 300 * CX_NS_PER_S,
        .zones.large = 50,
        .autoscaler = {.sync_period = 15 * CX_NS_PER_S,
                       .downscale_stabilization = 300 * CX_NS_PER_S,
                       .cpu_initialization = 300 * CX_NS_PER_S,
                       .initial_readiness = 30 * CX_NS_PER_S},
};
static struct controllers_run *controllers_run;

static struct {
        const char *usual, *secondary, *threshold, *tolerance;
} rates = {"0.1", "0.01", "0.55", "0.1"};

#define OPTION(field) &options.field
static const struct cx_flag flags[] = {
        {"controllers", 0, CX_FLAG_CSV, OPTION(controllers),
         "Controllers to run: '*' for all, 'foo' for one, '-foo' for none of it."},
        {"allocate-node-cidrs", 0, CX_FLAG_BOOL, OPTION(allocate_node_cidrs), "Give every node a range for its pods."},
        {"cluster-cidr", 0, CX_FLAG_CSV, OPTION(cluster_cidrs), "Ranges of pod addresses, at most one of each family."},
        {"node-cidr-mask-size", 0, CX_FLAG_INT, OPTION(node_mask_v4), "Mask size of a node's IPv4 range.", .min = 1,
         .max = 32},
        {"node-cidr-mask-size-ipv4", 0, CX_FLAG_INT, OPTION(node_mask_v4), "Mask size of a node's IPv4 range.",
         .min = 1, .max = 32},
        {"node-cidr-mask-size-ipv6", 0, CX_FLAG_INT, OPTION(node_mask_v6), "Mask size of a node's IPv6 range.",
         .min = 1, .max = 128},
        {"service-cluster-ip-range", 0, CX_FLAG_CSV, OPTION(service_cidrs),
         "Ranges of Service addresses: no node gets a part of them for its pods."},
        {"root-ca-file", 0, CX_FLAG_STRING, OPTION(root_ca_file), "The authority published to every namespace."},
        {"service-account-private-key-file", 0, CX_FLAG_STRING, OPTION(account_key_file),
         "Key that signs the tokens of Secrets of type kubernetes.io/service-account-token."},
        {"cluster-signing-cert-file", 0, CX_FLAG_STRING, OPTION(signing_cert_file),
         "Certificate of the authority that signs requests."},
        {"cluster-signing-key-file", 0, CX_FLAG_STRING, OPTION(signing_key_file),
         "Key of the authority that signs requests."},
        {"cluster-signing-duration", 0, CX_FLAG_DURATION, OPTION(signing_duration),
         "Longest validity of signed certificates."},
        {"horizontal-pod-autoscaler-sync-period", 0, CX_FLAG_DURATION, OPTION(autoscaler.sync_period),
         "How often an autoscaler looks at its metrics."},
        {"horizontal-pod-autoscaler-downscale-stabilization", 0, CX_FLAG_DURATION,
         OPTION(autoscaler.downscale_stabilization),
         "How long an autoscaler looks back for higher recommendations before it scales down."},
        {"horizontal-pod-autoscaler-cpu-initialization-period", 0, CX_FLAG_DURATION,
         OPTION(autoscaler.cpu_initialization), "How long after a pod's start its CPU figures may be left out."},
        {"horizontal-pod-autoscaler-initial-readiness-delay", 0, CX_FLAG_DURATION, OPTION(autoscaler.initial_readiness),
         "How long after a pod's start a change of its readiness counts as its first."},
        {"horizontal-pod-autoscaler-tolerance", 0, CX_FLAG_STRING, &rates.tolerance,
         "Least distance from 1 of what is used over what is wanted for an autoscaler to act."},
        {"resource-quota-sync-period", 0, CX_FLAG_DURATION, OPTION(quota_sync_period),
         "How often what quotas limit is counted although nothing has changed."},
        {"node-monitor-grace-period", 0, CX_FLAG_DURATION, OPTION(monitor_grace),
         "How long a node may be silent before it counts as unhealthy."},
        {"node-monitor-period", 0, CX_FLAG_DURATION, OPTION(monitor_period), "How often nodes are looked at."},
        {"node-startup-grace-period", 0, CX_FLAG_DURATION, OPTION(startup_grace),
         "How long a node may be silent that never reported."},
        {"node-eviction-rate", 0, CX_FLAG_STRING, &rates.usual, "Nodes a second that are given up in a healthy zone."},
        {"secondary-node-eviction-rate", 0, CX_FLAG_STRING, &rates.secondary,
         "Nodes a second that are given up in a large zone that is unhealthy."},
        {"unhealthy-zone-threshold", 0, CX_FLAG_STRING, &rates.threshold,
         "Part of a zone's nodes that must be silent for the zone to count as unhealthy."},
        {"large-cluster-size-threshold", 0, CX_FLAG_INT, OPTION(zones.large),
         "A zone of no more nodes is small: nothing is given up there while it is unhealthy.", .min = 0,
         .max = INT32_MAX},
        {"use-service-account-credentials", 0, CX_FLAG_BOOL, OPTION(use_service_accounts),
         "Every controller acts as a service account of its own."},
        {"terminated-pod-gc-threshold", 0, CX_FLAG_INT, OPTION(terminated_pod_threshold),
         "Terminated pods that are kept; 0: all.", .min = 0, .max = INT32_MAX},
        {0},
};

static int parse_rate(const char *flag, const char *text, double most, double *ret_value, struct cx_error *err)
{
        char *end;
        double value = strtod(text, &end);
        if (end == text || *end || !(value >= 0 && value <= most))
                return cx_error_set(err, -EINVAL,
                                    "invalid argument \"%s\" for \"--%s\": a number from 0 to %g is needed", text, flag,
                                    most);
        *ret_value = value;
        return 0;
}

static int parse_rates(struct node_zones_options *to, struct cx_error *err)
{
        int r = parse_rate("node-eviction-rate", rates.usual, 1e6, &to->rate, err);
        if (r == 0)
                r = parse_rate("secondary-node-eviction-rate", rates.secondary, 1e6, &to->secondary_rate, err);
        return r < 0 ? r : parse_rate("unhealthy-zone-threshold", rates.threshold, 1, &to->unhealthy_threshold, err);
}

static int start(struct cx_component *component, struct cx_error *err)
{
        static const struct controllers_table table = {controllers, CX_ARRAY_SIZE(controllers)};
        int r = parse_rates(&options.zones, err);
        if (r == 0)
                r = parse_rate("horizontal-pod-autoscaler-tolerance", rates.tolerance, 1, &options.autoscaler.tolerance,
                               err);
        if (r == 0 && options.autoscaler.sync_period < CX_NS_PER_S)
                r = cx_error_set(err, -EINVAL, "--horizontal-pod-autoscaler-sync-period: must be 1s at least");
        if (r < 0)
                return r;
        return controllers_start(component,
                                 &(struct controllers_options){.table = &table,
                                                               .chosen = &options.controllers,
                                                               .options = &options,
                                                               .use_service_accounts = options.use_service_accounts},
                                 &controllers_run, err);
}

static void stop(struct cx_component *component)
{
        controllers_stop(controllers_run, component);
        cx_strings_release(&options.controllers);
        cx_strings_release(&options.cluster_cidrs);
        cx_strings_release(&options.service_cidrs);
}

static void tend(struct cx_component *component CX_UNUSED)
{
        controllers_tend(controllers_run);
}

static bool ready(struct cx_component *component CX_UNUSED)
{
        return controllers_ready(controllers_run);
}

int main(int argc, char **argv)
{
        static struct cx_component component = {
                .name = "kube-controller-manager",
                .description = "Runs the control loops that bring the cluster to the state that its objects ask for.",
                .secure_port = 10257,
                .elects = true,
                .flags = flags,
                .start = start,
                .stop = stop,
                .ready = ready,
                .tend = tend,
        };
        return cx_component_main(&component, argc, argv);
}
