// SPDX-License-Identifier: Apache-2.0
// cloud-controller-manager: the tables of providers and controllers, and the flags.
#include "cloud-controller-manager/bare/bare.h"
#include "cloud-controller-manager/bare/pool.h"
#include "libcontroller/run.h"

static const struct controller *const controllers[] = {&cloud_service_controller, &cloud_node_controller,
                                                       &cloud_node_lifecycle_controller};
static const struct cloud_provider *const providers[] = {&bare_provider};

static struct cloud cloud;
static struct cloud_options options = {
        .monitor_period = 5 * CX_NS_PER_S, .status_period = 300 * CX_NS_PER_S, .cloud = &cloud};
static struct controllers_run *controllers_run;
static const char *provider;

// Flags of upstream's that mean nothing with the providers that there are, and why.
static const struct {
        const char *name, *why;
} unfit[] = {{"cloud-config", "providers read ConfigMaps; \"bare\" has " CONFIG_NAMESPACE "/" CONFIG_NAME},
             {"cluster-name", "no provider names anything after the cluster"},
             {"cluster-cidr", "no provider makes routes between nodes"},
             {"configure-cloud-routes", "no provider makes routes between nodes"},
             {"route-reconciliation-period", "no provider makes routes between nodes"},
             {"allocate-node-cidrs", "kube-controller-manager gives nodes their ranges"},
             {"concurrent-service-syncs", "one worker gives out all addresses"},
             {"concurrent-node-syncs", "one worker looks at all nodes"}};
static const char *unfit_given[CX_ARRAY_SIZE(unfit)];

static const struct cx_flag own_flags[] = {
        {"cloud-provider", 0, CX_FLAG_STRING, &provider, "Who provides load balancers and knows the machines: bare."},
        {"controllers", 0, CX_FLAG_CSV, &options.controllers,
         "Controllers to run: '*' for all, 'foo' for one, '-foo' for none of it."},
        {"use-service-account-credentials", 0, CX_FLAG_BOOL, &options.use_service_accounts,
         "Every controller, and the provider, acts as a service account of its own."},
        {"node-monitor-period", 0, CX_FLAG_DURATION, &options.monitor_period,
         "How often the provider is asked about a node that is not Ready."},
        {"node-status-update-frequency", 0, CX_FLAG_DURATION, &options.status_period,
         "How often the provider is asked about a node's addresses."},
};
static struct cx_flag flags[CX_ARRAY_SIZE(own_flags) + CX_ARRAY_SIZE(unfit) + 1]; // ended by one without a name

static void make_flags(void)
{
        memcpy(flags, own_flags, sizeof own_flags);
        for (size_t i = 0; i < CX_ARRAY_SIZE(unfit); i++)
                flags[CX_ARRAY_SIZE(own_flags) + i] = (struct cx_flag){.name = unfit[i].name,
                                                                       .kind = CX_FLAG_STRING,
                                                                       .target = &unfit_given[i],
                                                                       .help = "Upstream's; refused here.",
                                                                       .bare_value = "true"};
}

static const struct cloud_provider *find_provider(const char *name)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(providers); i++)
                if (strcmp(providers[i]->name, name) == 0)
                        return providers[i];
        return NULL;
}

static int configure(struct cx_component *component CX_UNUSED, struct cx_error *err)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(unfit); i++)
                if (unfit_given[i])
                        return cx_error_set(err, -EINVAL, "--%s: %s; leave it out", unfit[i].name, unfit[i].why);
        if (!provider)
                return cx_error_set(err, -EINVAL, "--cloud-provider is missing: bare is what there is");
        cloud.provider = find_provider(provider);
        if (!cloud.provider)
                return cx_error_set(err, -EINVAL, "--cloud-provider: \"%s\" is not known; bare is what there is",
                                    provider);
        if (options.monitor_period < CX_NS_PER_S || options.status_period < CX_NS_PER_S)
                return cx_error_set(err, -EINVAL,
                                    "--node-monitor-period and --node-status-update-frequency must be 1s at least");
        return 0;
}

static int open_provider(struct manager *manager, struct cx_error *err CX_UNUSED)
{
        cloud.self = cloud.provider->open(&cloud, manager);
        return 0;
}

static int start(struct cx_component *component, struct cx_error *err)
{
        static const struct controllers_table table = {controllers, CX_ARRAY_SIZE(controllers)};
        return controllers_start(component,
                                 &(struct controllers_options){.table = &table,
                                                               .chosen = &options.controllers,
                                                               .options = &options,
                                                               .use_service_accounts = options.use_service_accounts,
                                                               .prepare = open_provider},
                                 &controllers_run, err);
}

static void stop(struct cx_component *component)
{
        controllers_stop(controllers_run, component);
        cloud.provider->close(cloud.self);
        cx_strings_release(&options.controllers);
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
                .name = "cloud-controller-manager",
                .description =
                        "Brings the cluster and what its machines are, and what balances load to them, together.",
                .secure_port = 10258,
                .elects = true,
                .flags = flags,
                .configure = configure,
                .start = start,
                .stop = stop,
                .ready = ready,
                .tend = tend,
        };
        make_flags();
        return cx_component_main(&component, argc, argv);
}
