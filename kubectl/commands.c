// SPDX-License-Identifier: Apache-2.0
// The table of commands. To add one: a run function in cmd/, its prototype in cmd/commands.h, a row here.
#include "kubectl/cmd/commands.h"

#define BEGINNER "Basic Commands (Beginner)"
#define INTERMEDIATE "Basic Commands (Intermediate)"
#define DEPLOY "Deploy Commands"
#define CLUSTER "Cluster Management Commands"
#define TROUBLE "Troubleshooting and Debugging Commands"
#define ADVANCED "Advanced Commands"
#define SETTINGS "Settings Commands"
#define OTHER "Other Commands"

static const struct cx_command apply_commands[] = {
        {"view-last-applied", "", "View the latest last-applied-configuration annotations",
         "(TYPE [NAME] | TYPE/NAME | -f FILE)", cx_cmd_apply_view_last},
        {0},
};

static const struct cx_command rollout_commands[] = {
        {"history", "", "View rollout history", "(TYPE NAME | TYPE/NAME) [flags]", cx_cmd_rollout_history},
        {"pause", "", "Mark the provided resource as paused", "RESOURCE", cx_cmd_rollout_pause},
        {"restart", "", "Restart a resource", "RESOURCE", cx_cmd_rollout_restart},
        {"resume", "", "Resume a paused resource", "RESOURCE", cx_cmd_rollout_resume},
        {"status", "", "Show the status of the rollout", "(TYPE NAME | TYPE/NAME) [flags]", cx_cmd_rollout_status},
        {"undo", "", "Undo a previous rollout", "(TYPE NAME | TYPE/NAME) [flags]", cx_cmd_rollout_undo},
        {0},
};

static const struct cx_command set_commands[] = {
        {"env", "", "Update environment variables on a pod template", "RESOURCE/NAME KEY_1=VAL_1 ... KEY_N=VAL_N",
         cx_cmd_set_env},
        {"image", "", "Update the image of a pod template", "(-f FILENAME | TYPE NAME) CONTAINER=IMAGE ...",
         cx_cmd_set_image},
        {"resources", "", "Update resource requests/limits on objects with pod templates",
         "(-f FILENAME | TYPE NAME) ([--limits=LIMITS & --requests=REQUESTS]", cx_cmd_set_resources},
        {"selector", "", "Set the selector on a service", "(-f FILENAME | TYPE NAME) EXPRESSIONS", cx_cmd_set_selector},
        {"serviceaccount", "", "Update the service account of a pod template",
         "(-f FILENAME | TYPE NAME) SERVICE_ACCOUNT", cx_cmd_set_serviceaccount, .aliases = " sa "},
        {0},
};
static const struct cx_command auth_commands[] = {
        {"can-i", "", "Check whether an action is allowed", "VERB [TYPE | TYPE/NAME | NONRESOURCEURL]",
         cx_cmd_auth_can_i},
        {"whoami", "", "Show self user attributes", "", cx_cmd_auth_whoami},
        {0},
};

const struct cx_command cx_commands[] = {
        {"create", BEGINNER, "Create a resource from a file or from stdin", "-f FILENAME", cx_cmd_create,
         cx_create_commands},
        {"expose", BEGINNER,
         "Take a replication controller, service, deployment or pod and expose it as a new Kubernetes service",
         "(-f FILENAME | TYPE NAME) [--port=port] [--target-port=number-or-name] [--name=name] [--type=type]",
         cx_cmd_expose},
        {"run", BEGINNER, "Run a particular image on the cluster",
         "NAME --image=image [--env=\"key=value\"] -- [args...]", cx_cmd_run},
        {"set", BEGINNER, "Set specific features on objects", "", NULL, set_commands},
        {"explain", INTERMEDIATE, "Get documentation for a resource", "TYPE [--recursive=FALSE|TRUE]", cx_cmd_explain},
        {"get", INTERMEDIATE, "Display one or many resources",
         "(TYPE[.VERSION][.GROUP] [NAME | -l label] | TYPE[.VERSION][.GROUP]/NAME ...) [flags]", cx_cmd_get, NULL,
         "  kubectl get pods -o wide\n  kubectl get deployment web -o yaml\n"},
        {"delete", INTERMEDIATE,
         "Delete resources by file names, stdin, resources and names, or by resources and label selector",
         "([-f FILENAME] | TYPE [(NAME | -l label | --all)])", cx_cmd_delete},
        {"edit", INTERMEDIATE, "Edit a resource on the server", "(RESOURCE/NAME | -f FILENAME)", cx_cmd_edit},
        {"rollout", DEPLOY, "Manage the rollout of a resource", "", NULL, rollout_commands},
        {"scale", DEPLOY, "Set a new size for a deployment, replica set, or replication controller",
         "[--resource-version=version] [--current-replicas=count] --replicas=COUNT (-f FILENAME | TYPE NAME)",
         cx_cmd_scale},
        {"autoscale", DEPLOY, "Auto-scale a deployment, replica set, stateful set, or replication controller",
         "(-f FILENAME | TYPE NAME | TYPE/NAME) [--min=MINPODS] --max=MAXPODS [--cpu-percent=CPU]", cx_cmd_autoscale},
        {"cluster-info", CLUSTER, "Display cluster information", "", cx_cmd_cluster_info},
        {"cordon", CLUSTER, "Mark node as unschedulable", "NODE", cx_cmd_cordon},
        {"uncordon", CLUSTER, "Mark node as schedulable", "NODE", cx_cmd_uncordon},
        {"drain", CLUSTER, "Drain node in preparation for maintenance", "NODE", cx_cmd_drain},
        {"taint", CLUSTER, "Update the taints on one or more nodes", "NODE NAME KEY_1=VAL_1:TAINT_EFFECT_1 ...",
         cx_cmd_taint},
        {"describe", TROUBLE, "Show details of a specific resource or group of resources",
         "(-f FILENAME | TYPE [NAME_PREFIX | -l label] | TYPE/NAME)", cx_cmd_describe},
        {"logs", TROUBLE, "Print the logs for a container in a pod", "[-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]",
         cx_cmd_logs},
        {"attach", TROUBLE, "Attach to a running container", "(POD | TYPE/NAME) -c CONTAINER", cx_cmd_attach},
        {"exec", TROUBLE, "Execute a command in a container",
         "(POD | TYPE/NAME) [-c CONTAINER] [flags] -- COMMAND [args...]", cx_cmd_exec},
        {"auth", TROUBLE, "Inspect authorization", "", NULL, auth_commands},
        {"events", TROUBLE, "List events", "[--for TYPE/NAME] [--watch] [--types=Normal,Warning]", cx_cmd_events},
        {"apply", ADVANCED, "Apply a configuration to a resource by file name or stdin", "(-f FILENAME)", cx_cmd_apply,
         apply_commands},
        {"replace", ADVANCED, "Replace a resource by file name or stdin", "-f FILENAME", cx_cmd_replace},
        {"wait", ADVANCED, "Wait for a specific condition on one or many resources",
         "([-f FILENAME] | TYPE/NAME | TYPE [(-l label | --all)]) --for=CONDITION", cx_cmd_wait},
        {"patch", ADVANCED, "Update fields of a resource", "(-f FILENAME | TYPE NAME) [-p PATCH|--patch-file FILE]",
         cx_cmd_patch},
        {"label", SETTINGS, "Update the labels on a resource",
         "[--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version]",
         cx_cmd_label},
        {"annotate", SETTINGS, "Update the annotations on a resource",
         "[--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version]",
         cx_cmd_annotate},
        {"api-resources", OTHER, "Print the supported API resources on the server", "[flags]", cx_cmd_api_resources},
        {"api-versions", OTHER, "Print the supported API versions on the server, in the form of \"group/version\"", "",
         cx_cmd_api_versions},
        {"config", OTHER, "Modify kubeconfig files", "", NULL, cx_config_commands},
        {"options", NULL, "Print the list of flags inherited by all commands", "", cx_cmd_options},
        {"version", OTHER, "Print the client and server version information", "[flags]", cx_cmd_version},
        {0},
};
