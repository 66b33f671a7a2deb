// SPDX-License-Identifier: Apache-2.0
// The table of commands. To add one: a run function in cmd/, its prototype in cmd/commands.h, a row here.
#include "kubectl/commands.h"

#include "kubectl/cmd/commands.h"

#define BEGINNER "Basic Commands (Beginner)"
#define INTERMEDIATE "Basic Commands (Intermediate)"
#define DEPLOY "Deploy Commands"
#define CLUSTER "Cluster Management Commands"
#define TROUBLE "Troubleshooting and Debugging Commands"
#define ADVANCED "Advanced Commands"
#define SETTINGS "Settings Commands"
#define OTHER "Other Commands"

static const struct command apply_commands[] = {
        {"view-last-applied", "", "View the latest last-applied-configuration annotations",
         "(TYPE [NAME] | TYPE/NAME | -f FILE)", cmd_apply_view_last},
        {"edit-last-applied", "", "Edit latest last-applied-configuration annotations of a resource/object",
         "(RESOURCE/NAME | -f FILENAME)", cmd_apply_edit_last},
        {"set-last-applied", "",
         "Set the last-applied-configuration annotation on a live object to match the contents of a file",
         "-f FILENAME", cmd_apply_set_last},
        {0},
};

static const struct command rollout_commands[] = {
        {"history", "", "View rollout history", "(TYPE NAME | TYPE/NAME) [flags]", cmd_rollout_history},
        {"pause", "", "Mark the provided resource as paused", "RESOURCE", cmd_rollout_pause},
        {"restart", "", "Restart a resource", "RESOURCE", cmd_rollout_restart},
        {"resume", "", "Resume a paused resource", "RESOURCE", cmd_rollout_resume},
        {"status", "", "Show the status of the rollout", "(TYPE NAME | TYPE/NAME) [flags]", cmd_rollout_status},
        {"undo", "", "Undo a previous rollout", "(TYPE NAME | TYPE/NAME) [flags]", cmd_rollout_undo},
        {0},
};

static const struct command set_commands[] = {
        {"env", "", "Update environment variables on a pod template", "RESOURCE/NAME KEY_1=VAL_1 ... KEY_N=VAL_N",
         cmd_set_env},
        {"image", "", "Update the image of a pod template", "(-f FILENAME | TYPE NAME) CONTAINER=IMAGE ...",
         cmd_set_image},
        {"resources", "", "Update resource requests/limits on objects with pod templates",
         "(-f FILENAME | TYPE NAME) ([--limits=LIMITS & --requests=REQUESTS]", cmd_set_resources},
        {"selector", "", "Set the selector on a service", "(-f FILENAME | TYPE NAME) EXPRESSIONS", cmd_set_selector},
        {"subject", "", "Update the user, group, or service account in a role binding or cluster role binding",
         "(-f FILENAME | TYPE NAME) [--user=username] [--group=groupname] "
         "[--serviceaccount=namespace:serviceaccountname] [--dry-run=server|client|none]",
         cmd_set_subject},
        {"serviceaccount", "", "Update the service account of a pod template",
         "(-f FILENAME | TYPE NAME) SERVICE_ACCOUNT", cmd_set_serviceaccount, .aliases = " sa "},
        {0},
};
static const struct command auth_commands[] = {
        {"can-i", "", "Check whether an action is allowed", "VERB [TYPE | TYPE/NAME | NONRESOURCEURL]", cmd_auth_can_i},
        {"whoami", "", "Show self user attributes", "", cmd_auth_whoami},
        {0},
};

static const struct command certificate_commands[] = {
        {"approve", "", "Approve a certificate signing request", "(-f FILENAME | NAME)", cmd_certificate_approve},
        {"deny", "", "Deny a certificate signing request", "(-f FILENAME | NAME)", cmd_certificate_deny},
        {0},
};

static const struct command top_commands[] = {
        {"node", "", "Display resource (CPU/memory) usage of nodes", "[NAME | -l label]", cmd_top_node,
         .aliases = " nodes no "},
        {"pod", "", "Display resource (CPU/memory) usage of pods", "[NAME | -l label]", cmd_top_pod,
         .aliases = " pods po "},
        {0},
};

static const struct command cluster_info_commands[] = {
        {"dump", "", "Dump relevant information for debugging and diagnosis", "[flags]", cmd_cluster_info_dump},
        {0},
};

static const struct command plugin_commands[] = {
        {"list", "", "List all visible plugin executables on a user's PATH", "[flags]", cmd_plugin_list},
        {0},
};

const struct command kubectl_commands[] = {
        {"create", BEGINNER, "Create a resource from a file or from stdin", "-f FILENAME", cmd_create, create_commands},
        {"expose", BEGINNER,
         "Take a replication controller, service, deployment or pod and expose it as a new Kubernetes service",
         "(-f FILENAME | TYPE NAME) [--port=port] [--target-port=number-or-name] [--name=name] [--type=type]",
         cmd_expose},
        {"run", BEGINNER, "Run a particular image on the cluster",
         "NAME --image=image [--env=\"key=value\"] -- [args...]", cmd_run},
        {"set", BEGINNER, "Set specific features on objects", "", NULL, set_commands},
        {"explain", INTERMEDIATE, "Get documentation for a resource", "TYPE [--recursive=FALSE|TRUE]", cmd_explain},
        {"get", INTERMEDIATE, "Display one or many resources",
         "(TYPE[.VERSION][.GROUP] [NAME | -l label] | TYPE[.VERSION][.GROUP]/NAME ...) [flags]", cmd_get, NULL,
         "  kubectl get pods -o wide\n  kubectl get deployment web -o yaml\n"},
        {"delete", INTERMEDIATE,
         "Delete resources by file names, stdin, resources and names, or by resources and label selector",
         "([-f FILENAME] | TYPE [(NAME | -l label | --all)])", cmd_delete},
        {"edit", INTERMEDIATE, "Edit a resource on the server", "(RESOURCE/NAME | -f FILENAME)", cmd_edit},
        {"rollout", DEPLOY, "Manage the rollout of a resource", "", NULL, rollout_commands},
        {"scale", DEPLOY, "Set a new size for a deployment, replica set, or replication controller",
         "[--resource-version=version] [--current-replicas=count] --replicas=COUNT (-f FILENAME | TYPE NAME)",
         cmd_scale},
        {"autoscale", DEPLOY, "Auto-scale a deployment, replica set, stateful set, or replication controller",
         "(-f FILENAME | TYPE NAME | TYPE/NAME) [--min=MINPODS] --max=MAXPODS [--cpu-percent=CPU]", cmd_autoscale},
        {"certificate", CLUSTER, "Modify certificate resources", "", NULL, certificate_commands, .helps = true},
        {"cluster-info", CLUSTER, "Display cluster information", "", cmd_cluster_info, cluster_info_commands},
        {"top", CLUSTER, "Display resource (CPU/memory) usage", "", NULL, top_commands},
        {"cordon", CLUSTER, "Mark node as unschedulable", "NODE", cmd_cordon},
        {"uncordon", CLUSTER, "Mark node as schedulable", "NODE", cmd_uncordon},
        {"drain", CLUSTER, "Drain node in preparation for maintenance", "NODE", cmd_drain},
        {"taint", CLUSTER, "Update the taints on one or more nodes", "NODE NAME KEY_1=VAL_1:TAINT_EFFECT_1 ...",
         cmd_taint},
        {"describe", TROUBLE, "Show details of a specific resource or group of resources",
         "(-f FILENAME | TYPE [NAME_PREFIX | -l label] | TYPE/NAME)", cmd_describe},
        {"logs", TROUBLE, "Print the logs for a container in a pod", "[-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]",
         cmd_logs},
        {"attach", TROUBLE, "Attach to a running container", "(POD | TYPE/NAME) -c CONTAINER", cmd_attach},
        {"exec", TROUBLE, "Execute a command in a container",
         "(POD | TYPE/NAME) [-c CONTAINER] [flags] -- COMMAND [args...]", cmd_exec},
        {"port-forward", TROUBLE, "Forward one or more local ports to a pod",
         "TYPE/NAME [options] [LOCAL_PORT:]REMOTE_PORT [...[LOCAL_PORT_N:]REMOTE_PORT_N]", cmd_port_forward},
        {"debug", TROUBLE, "Create debugging sessions for troubleshooting workloads and nodes",
         "(POD | TYPE[[.VERSION].GROUP]/NAME) [ -- COMMAND [args...] ]", cmd_debug, NULL,
         "  kubectl debug web-0 -it --image=busybox --target=web\n  kubectl debug web-0 --copy-to=web-debug "
         "--set-image=*=busybox\n  kubectl debug node/n1 -it --image=busybox\n"},
        {"proxy", TROUBLE, "Run a proxy to the Kubernetes API server",
         "[--port=PORT] [--www=static-dir] [--www-prefix=prefix] [--api-prefix=prefix]", cmd_proxy},
        {"cp", TROUBLE, "Copy files and directories to and from containers", "<file-spec-src> <file-spec-dest>",
         cmd_cp},
        {"auth", TROUBLE, "Inspect authorization", "", NULL, auth_commands},
        {"events", TROUBLE, "List events", "[--for TYPE/NAME] [--watch] [--types=Normal,Warning]", cmd_events},
        {"diff", ADVANCED, "Diff the live version against a would-be applied version", "-f FILENAME", cmd_diff},
        {"tree", TROUBLE, "Show who owns an object, and what it owns", "(TYPE NAME | TYPE/NAME)", cmd_tree},
        {"why", TROUBLE, "Say in plain words why a pod does not run or is not ready", "(POD | TYPE/NAME)", cmd_why},
        {"apply", ADVANCED, "Apply a configuration to a resource by file name or stdin", "(-f FILENAME)", cmd_apply,
         apply_commands},
        {"replace", ADVANCED, "Replace a resource by file name or stdin", "-f FILENAME", cmd_replace},
        {"wait", ADVANCED, "Wait for a specific condition on one or many resources",
         "([-f FILENAME] | TYPE/NAME | TYPE [(-l label | --all)]) --for=CONDITION", cmd_wait},
        {"patch", ADVANCED, "Update fields of a resource", "(-f FILENAME | TYPE NAME) [-p PATCH|--patch-file FILE]",
         cmd_patch},
        {"kustomize", ADVANCED, "Build a kustomization target from a directory or URL", "DIR [flags]", cmd_kustomize},
        {"label", SETTINGS, "Update the labels on a resource",
         "[--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version]", cmd_label},
        {"annotate", SETTINGS, "Update the annotations on a resource",
         "[--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version]",
         cmd_annotate},
        {"completion", SETTINGS,
         "Output shell completion code for the specified shell (bash, zsh, fish, or powershell)", "SHELL",
         cmd_completion},
        {"api-resources", OTHER, "Print the supported API resources on the server", "[flags]", cmd_api_resources},
        {"api-versions", OTHER, "Print the supported API versions on the server, in the form of \"group/version\"", "",
         cmd_api_versions},
        {"config", OTHER, "Modify kubeconfig files", "", NULL, config_commands},
        {"plugin", OTHER, "Provides utilities for interacting with plugins", "[flags]", NULL, plugin_commands},
        {"options", NULL, "Print the list of flags inherited by all commands", "", cmd_options},
        {"version", OTHER, "Print the client and server version information", "[flags]", cmd_version},
        {0},
};
