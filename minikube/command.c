// SPDX-License-Identifier: Apache-2.0
// The table of commands.
#include "minikube/command.h"

#include "libcommon/base/time.h"
#include "minikube/habits.h"

#include <stddef.h>

#define AT(member) offsetof(struct minikube, member)

static const struct minikube_flag start_flags[] = {
        {"addons", 0, CX_FLAG_CSV, AT(addons), "Addons to enable; see `minikube addons list`.", 0, 0},
        {"extra-config", 0, CX_FLAG_LIST, AT(extra_config),
         "A flag of a component, as component.flag=value; may be repeated. Components are apiserver, "
         "controller-manager, "
         "scheduler, kubelet, kube-proxy, etcd, and the services of addons.",
         0, 0},
        {"dry-run", 0, CX_FLAG_BOOL, AT(dry_run), "Check flags and what is needed, and change nothing.", 0, 0},
        {"install-addons", 0, CX_FLAG_BOOL, AT(install_addons), "Enable the default addons in a new cluster.", 0, 0},
        {"kubernetes-version", 0, CX_FLAG_STRING, AT(kubernetes_version),
         "The version of Kubernetes; there is one, which is always taken.", 0, 0},
        {"nodes", 0, CX_FLAG_INT, AT(nodes), "The number of nodes.", 1, MAX_NODES},
        {"registry-config", 0, CX_FLAG_STRING, AT(registry_config),
         "A registries.yaml in k3s's format: mirrors, credentials and certificates for pulls of all nodes.", 0, 0},
        {"wait-timeout", 0, CX_FLAG_DURATION, AT(wait_timeout), "How long to wait until the cluster can be used.", 0,
         0},
        {0},
};
static const struct minikube_flag output_flags[] = {
        {"output", 'o', CX_FLAG_STRING, AT(output), "The format: text (table, list), or json.", 0, 0}, {0}};
static const struct minikube_flag delete_flags[] = {
        {"all", 0, CX_FLAG_BOOL, AT(all), "Delete all profiles.", 0, 0},
        {"purge", 0, CX_FLAG_BOOL, AT(purge), "Delete the folder .minikube, too; with --all.", 0, 0},
        {0}};
static const struct minikube_flag stop_flags[] = {{"all", 0, CX_FLAG_BOOL, AT(all), "Stop all profiles.", 0, 0}, {0}};
static const struct minikube_flag pause_flags[] = {
        {"all-namespaces", 'A', CX_FLAG_BOOL, AT(all_namespaces), "In all namespaces; it always is.", 0, 0}, {0}};
static const struct minikube_flag dashboard_flags[] = {
        {"url", 0, CX_FLAG_BOOL, AT(url), "Print the link and open nothing.", 0, 0},
        {"wait-timeout", 0, CX_FLAG_DURATION, AT(wait_timeout), "How long to wait until it works.", 0, 0},
        {0}};
static const struct minikube_flag wait_flags[] = {
        {"wait-timeout", 0, CX_FLAG_DURATION, AT(wait_timeout), "How long to wait until it works.", 0, 0}, {0}};
static const struct minikube_flag node_flags[] = {
        {"node", 'n', CX_FLAG_STRING, AT(node), "The node; default: the first one.", 0, 0}, {0}};
static const struct minikube_flag logs_flags[] = {
        {"file", 0, CX_FLAG_STRING, AT(file), "Write to this file.", 0, 0},
        {"follow", 'f', CX_FLAG_BOOL, AT(follow), "Go on with what is logged from now on.", 0, 0},
        {"length", 0, CX_FLAG_INT, AT(lines), "How many lines of each log.", 1, 1000000},
        {"node", 'n', CX_FLAG_STRING, AT(node), "Only the components of this node.", 0, 0},
        {"problems", 0, CX_FLAG_BOOL, AT(problems), "Only lines that tell of errors.", 0, 0},
        {0}};
static const struct minikube_flag service_flags[] = {
        {"format", 0, CX_FLAG_STRING, AT(url_format),
         "How a URL is written: text with {{.IP}}, {{.Port}} and {{.Name}} (of the port).", 0, 0},
        {"https", 0, CX_FLAG_BOOL, AT(https), "URLs begin with https.", 0, 0},
        {"namespace", 'n', CX_FLAG_STRING, AT(namespace), "The namespace of the service.", 0, 0},
        {"url", 0, CX_FLAG_BOOL, AT(url), "Print the URLs and no table.", 0, 0},
        {"wait-timeout", 0, CX_FLAG_DURATION, AT(wait_timeout), "How long to wait for a load balancer's address.", 0,
         0},
        {0}};
static const struct minikube_flag service_list_flags[] = {
        {"namespace", 'n', CX_FLAG_STRING, AT(namespace), "Only services of this namespace.", 0, 0},
        {"output", 'o', CX_FLAG_STRING, AT(output), "The format: table, or json.", 0, 0},
        {0}};
static const struct minikube_flag build_flags[] = {
        {"build-arg", 0, CX_FLAG_LIST, AT(build_args), "A value for an ARG, as NAME=VALUE; may be repeated.", 0, 0},
        {"file", 'f', CX_FLAG_STRING, AT(file), "The Dockerfile; default: Dockerfile (or Containerfile) in the folder.",
         0, 0},
        {"push", 0, CX_FLAG_BOOL, AT(push), "Push the image to its registry, too.", 0, 0},
        {"tag", 't', CX_FLAG_STRING, AT(tag), "The image's name.", 0, 0},
        {0}};
const struct minikube_flag minikube_global_flags[] = {
        {"help", 'h', CX_FLAG_BOOL, AT(help), "Help for the command.", 0, 0},
        {"profile", 'p', CX_FLAG_STRING, AT(profile_name),
         "The cluster. Without it MINIKUBE_PROFILE, then what `minikube profile NAME` has set.", 0, 0},
        {"v", 'v', CX_FLAG_INT, AT(verbosity), "How much is logged.", 0, 10},
        {0}};

static const struct minikube_command image_commands[] = {
        {.name = "build",
         .summary = "Build an image from a Dockerfile, on all nodes",
         .usage = "PATH",
         .min_args = 1,
         .max_args = 1,
         .flags = build_flags,
         .run = command_image_build,
         .description = "Builds with buildah, which has to be installed. Images that the nodes have may stand in FROM.",
         .examples = "  minikube image build -t web:v1 .\n"},
        {.name = "load",
         .summary = "Load images from archives",
         .usage = "FILE...",
         .min_args = 1,
         .max_args = UINT32_MAX,
         .run = command_image_load,
         .description = "A file is what `docker save` writes, or an OCI layout in a tar; - is standard input."},
        {.name = "ls", .alias = "list", .summary = "List images", .run = command_image_list},
        {.name = "pull",
         .summary = "Pull images from their registries",
         .usage = "IMAGE...",
         .min_args = 1,
         .max_args = UINT32_MAX,
         .run = command_image_pull},
        {.name = "push",
         .summary = "Push images to their registries",
         .usage = "IMAGE...",
         .min_args = 1,
         .max_args = UINT32_MAX,
         .run = command_image_push,
         .description =
                 "Pushes with skopeo, which has to be installed, and with its credentials (skopeo login).\n"
                 "A registry whose first mirror in --registry-config is an http:// address is spoken to without TLS."},
        {.name = "rm",
         .alias = "unload",
         .summary = "Remove images",
         .usage = "IMAGE...",
         .min_args = 1,
         .max_args = UINT32_MAX,
         .run = command_image_rm},
        {.name = "save",
         .summary = "Save an image as an archive",
         .usage = "IMAGE FILE",
         .min_args = 2,
         .max_args = 2,
         .run = command_image_save,
         .description =
                 "The archive is an OCI layout in a tar; - is standard output. Layers are packed anew: they hold "
                 "the same, and have digests of their own."},
        {.name = "tag",
         .summary = "Give an image another name",
         .usage = "IMAGE NAME",
         .min_args = 2,
         .max_args = 2,
         .run = command_image_tag},
        {0}};
static const struct minikube_command addons_commands[] = {
        {.name = "disable",
         .summary = "Disable an addon",
         .usage = "ADDON_NAME",
         .min_args = 1,
         .max_args = 1,
         .run = command_addons_disable},
        {.name = "enable",
         .summary = "Enable an addon, and wait until it works",
         .usage = "ADDON_NAME",
         .min_args = 1,
         .max_args = 1,
         .flags = wait_flags,
         .run = command_addons_enable},
        {.name = "list", .summary = "List all addons", .flags = output_flags, .run = command_addons_list},
        {0}};
static const struct minikube_command config_commands[] = {
        {.name = "get",
         .summary = "Print a value",
         .usage = "KEY",
         .min_args = 1,
         .max_args = 1,
         .without_profile = true,
         .run = command_config_get},
        {.name = "set",
         .summary = "Set a value",
         .usage = "KEY VALUE",
         .min_args = 2,
         .max_args = 2,
         .without_profile = true,
         .run = command_config_set},
        {.name = "unset",
         .summary = "Forget a value",
         .usage = "KEY",
         .min_args = 1,
         .max_args = 1,
         .without_profile = true,
         .run = command_config_unset},
        {.name = "view", .summary = "Print all values", .without_profile = true, .run = command_config_view},
        {0}};
static const struct minikube_command profile_commands[] = {{.name = "list",
                                                            .alias = "ls",
                                                            .summary = "List all profiles",
                                                            .flags = output_flags,
                                                            .run = command_profile_list},
                                                           {0}};
static const struct minikube_command service_commands[] = {{.name = "list",
                                                            .alias = "ls",
                                                            .summary = "List the URLs of all services",
                                                            .flags = service_list_flags,
                                                            .run = command_service_list},
                                                           {0}};
static const struct minikube_command node_commands[] = {
        {.name = "add", .summary = "Add a node to a running cluster", .flags = wait_flags, .run = command_node_add},
        {.name = "delete",
         .summary = "Drain a node and remove it from the cluster",
         .usage = "NODE",
         .min_args = 1,
         .max_args = 1,
         .run = command_node_delete,
         .description = "The folders of its volumes stay, for a node that is added under the same name."},
        {.name = "list", .alias = "ls", .summary = "List nodes", .run = command_node_list},
        {.name = "start",
         .summary = "Start a node that is stopped",
         .usage = "NODE",
         .min_args = 1,
         .max_args = 1,
         .flags = wait_flags,
         .run = command_node_start},
        {.name = "stop",
         .summary = "Stop a node",
         .usage = "NODE",
         .min_args = 1,
         .max_args = 1,
         .run = command_node_stop},
        {0}};

const struct minikube_command minikube_commands[] = {
        {.name = "start",
         .group = BASIC,
         .summary = "Starts a local Kubernetes cluster",
         .flags = start_flags,
         .habits = true,
         .run = command_start,
         .description = "Starting a cluster that runs changes what the flags say, and completes what was cut off."},
        {.name = "status",
         .group = BASIC,
         .summary = "Gets the status of a local Kubernetes cluster",
         .flags = output_flags,
         .run = command_status,
         .description =
                 "The exit status is 0 when all is well; otherwise the sum of 1 (a host does not run), 2 (a kubelet "
                 "or the API server does not), 4 (the kubeconfig does not lead there)."},
        {.name = "stop",
         .group = BASIC,
         .summary = "Stops a running local Kubernetes cluster",
         .flags = stop_flags,
         .run = command_stop},
        {.name = "delete",
         .group = BASIC,
         .summary = "Deletes a local Kubernetes cluster",
         .flags = delete_flags,
         .run = command_delete},
        {.name = "dashboard",
         .group = BASIC,
         .summary = "Opens the dashboard in the browser, logged in as the cluster's administrator",
         .flags = dashboard_flags,
         .run = command_dashboard},
        {.name = "pause",
         .group = BASIC,
         .summary = "Freezes a cluster, which then takes no processor time",
         .flags = pause_flags,
         .run = command_pause},
        {.name = "unpause",
         .group = BASIC,
         .summary = "Goes on with a cluster that is paused",
         .flags = pause_flags,
         .run = command_unpause},
        {.name = "image", .group = IMAGES, .summary = "Manage the images of the nodes", .subcommands = image_commands},
        {.name = "addons",
         .group = CONFIGURATION,
         .summary = "Enable or disable an addon",
         .subcommands = addons_commands},
        {.name = "config",
         .group = CONFIGURATION,
         .summary = "Values of flags for all profiles",
         .subcommands = config_commands,
         .description = "Keys are nodes, profile, registry-config and wait-timeout. A flag on the command line wins."},
        {.name = "profile",
         .group = CONFIGURATION,
         .summary = "Print, choose or list profiles (clusters)",
         .usage = "[NAME]",
         .max_args = 1,
         .subcommands = profile_commands,
         .run = command_profile,
         .description =
                 "NAME becomes the profile that is meant without -p, and its context the current one; \"default\" is "
                 "minikube."},
        {.name = "update-context",
         .group = CONFIGURATION,
         .summary = "Write the cluster's context into your kubeconfig",
         .run = command_update_context},
        {.name = "service",
         .group = NETWORKING,
         .summary = "Prints the URLs of a service",
         .usage = "NAME",
         .max_args = 1,
         .flags = service_flags,
         .subcommands = service_commands,
         .run = command_service},
        {.name = "tunnel",
         .group = NETWORKING,
         .summary = "Makes cluster IPs reachable from this machine",
         .keeps_signals = true,
         .run = command_tunnel,
         .description = "Load balancers' addresses are reachable without it. It runs until it is interrupted."},
        {.name = "mount",
         .group = ADVANCED,
         .summary = "Mounts a folder of yours at a path of the nodes, as long as it runs",
         .usage = "SOURCE:TARGET",
         .min_args = 1,
         .max_args = 1,
         .keeps_signals = true,
         .run = command_mount,
         .description =
                 "Nodes share the files of this machine: the folder is bound to the other path, for hostPath volumes."},
        {.name = "ssh",
         .group = ADVANCED,
         .summary = "Opens a shell on a node, or runs a command there",
         .usage = "[-- COMMAND]",
         .max_args = UINT32_MAX,
         .flags = node_flags,
         .run = command_ssh,
         .description = "The shell is in the network of the node, and has its name; files are those of this machine."},
        {.name = "kubectl",
         .group = ADVANCED,
         .summary = "Runs kubectl against the cluster",
         .usage = "-- ...",
         .max_args = UINT32_MAX,
         .passes = true,
         .run = command_kubectl,
         .examples = "  minikube kubectl -- get pods\n  alias kubectl=\"minikube -p NAME kubectl --\"\n"},
        {.name = "node",
         .group = ADVANCED,
         .summary = "Add, remove, start, stop or list nodes",
         .subcommands = node_commands},
        {.name = "cp",
         .group = ADVANCED,
         .summary = "Copies a file to or from a node",
         .usage = "[NODE:]SOURCE [NODE:]TARGET",
         .min_args = 2,
         .max_args = 2,
         .run = command_cp,
         .description = "Nodes share the files of this machine: it is a copy to another path."},
        {.name = "ip",
         .group = TROUBLESHOOTING,
         .summary = "Retrieves the IP address of a node",
         .flags = node_flags,
         .run = command_ip},
        {.name = "logs",
         .group = TROUBLESHOOTING,
         .summary = "Returns the logs of the cluster's components",
         .flags = logs_flags,
         .run = command_logs},
        {.name = "version",
         .group = TROUBLESHOOTING,
         .summary = "Prints the version",
         .without_profile = true,
         .run = command_version},
        {.name = "options",
         .group = TROUBLESHOOTING,
         .summary = "Lists the options of all commands",
         .without_profile = true,
         .run = command_options},
        {.name = "completion",
         .group = OTHERS,
         .summary = "Generates command completion for a shell",
         .usage = "bash|zsh|fish",
         .min_args = 1,
         .max_args = 1,
         .without_profile = true,
         .run = command_completion,
         .examples = "  source <(minikube completion bash)\n"},
        {.name = "help",
         .group = OTHERS,
         .summary = "Help about any command",
         .usage = "[COMMAND]",
         .max_args = UINT32_MAX},
        {.name = "supervise",
         .summary = "The process that keeps a cluster running",
         .max_args = 1,
         .keeps_signals = true,
         .run = command_supervise},
        {.name = "__complete",
         .summary = "What may follow words, for completion",
         .max_args = UINT32_MAX,
         .without_profile = true,
         .passes = true,
         .run = command_complete},
        {0}};

const struct minikube_command *command_find(const struct minikube_command *among, const char *word)
{
        for (const struct minikube_command *c = among; c->name; c++)
                if (strcmp(c->name, word) == 0 || cx_streq(c->alias, word))
                        return c;
        return NULL;
}

static size_t add_flags(const struct minikube_flag *from, struct minikube *m, struct cx_flag *to, size_t n)
{
        for (const struct minikube_flag *flag = from; flag && flag->name && n < MAX_FLAGS - 1; flag++)
                to[n++] = (struct cx_flag){.name = flag->name,
                                           .shorthand = flag->shorthand,
                                           .kind = flag->kind,
                                           .target = (char *)m + flag->offset,
                                           .help = flag->help,
                                           .min = flag->min,
                                           .max = flag->max};
        return n;
}

void command_flags(const struct minikube_command *command, struct minikube *m, bool *changed,
                   struct cx_flag ret_flags[MAX_FLAGS])
{
        size_t n = add_flags(command ? command->flags : NULL, m, ret_flags, 0);
        n = add_flags(minikube_global_flags, m, ret_flags, n);
        for (size_t i = 0; command && command->habits && habits[i].name && n < MAX_FLAGS - 1; i++)
                ret_flags[n++] = (struct cx_flag){.name = habits[i].name,
                                                  .kind = CX_FLAG_STRING,
                                                  .target = &m->habits[i],
                                                  .help = habits[i].why,
                                                  .bare_value = habits[i].is_switch ? "true" : NULL};
        ret_flags[n] = (struct cx_flag){0};
        for (size_t i = 0; changed && i < n; i++)
                ret_flags[i].changed = &changed[i];
}

void minikube_defaults(struct minikube *m)
{
        *m = (struct minikube){.profile_name = "minikube",
                               .nodes = 1,
                               .wait_timeout = 60 * CX_NS_PER_S,
                               .lines = 60,
                               .url_format = "http://{{.IP}}:{{.Port}}",
                               .install_addons = true};
}
