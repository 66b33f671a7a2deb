// SPDX-License-Identifier: Apache-2.0
// The subcommands of kubectl create.
#include "kubectl/cmd/commands.h"

static const struct cx_command secrets[] = {
        {"docker-registry", "", "Create a secret for use with a registry", "NAME [flags]",
         cx_cmd_create_secret_registry},
        {"generic", "", "Create a secret from a local file, directory, or literal value", "NAME [flags]",
         cx_cmd_create_secret_generic},
        {"tls", "", "Create a TLS secret", "NAME --cert=FILE --key=FILE", cx_cmd_create_secret_tls},
        {0},
};
static const struct cx_command services[] = {
        {"clusterip", "", "Create a ClusterIP service", "NAME --tcp=PORT:TARGET", cx_cmd_create_service_clusterip},
        {"externalname", "", "Create an ExternalName service", "NAME --external-name=NAME",
         cx_cmd_create_service_externalname},
        {"loadbalancer", "", "Create a LoadBalancer service", "NAME --tcp=PORT:TARGET",
         cx_cmd_create_service_loadbalancer},
        {"nodeport", "", "Create a NodePort service", "NAME --tcp=PORT:TARGET", cx_cmd_create_service_nodeport},
        {0},
};
const struct cx_command cx_create_commands[] = {
        {"clusterrole", "", "Create a cluster role", "NAME --verb=VERB --resource=RESOURCE", cx_cmd_create_clusterrole},
        {"clusterrolebinding", "", "Create a cluster role binding", "NAME --clusterrole=NAME",
         cx_cmd_create_clusterrolebinding},
        {"configmap", "", "Create a config map from files or literal values", "NAME [flags]", cx_cmd_create_configmap},
        {"cm", NULL, "Create a config map", "NAME [flags]", cx_cmd_create_configmap},
        {"cronjob", "", "Create a cron job", "NAME --image=IMAGE --schedule=TIMES -- [COMMAND]", cx_cmd_create_cronjob},
        {"deployment", "", "Create a deployment", "NAME --image=IMAGE -- [COMMAND]", cx_cmd_create_deployment},
        {"deploy", NULL, "Create a deployment", "NAME --image=IMAGE -- [COMMAND]", cx_cmd_create_deployment},
        {"job", "", "Create a job", "NAME --image=IMAGE [--from=cronjob/NAME] -- [COMMAND]", cx_cmd_create_job},
        {"namespace", "", "Create a namespace", "NAME", cx_cmd_create_namespace},
        {"ns", NULL, "Create a namespace", "NAME", cx_cmd_create_namespace},
        {"priorityclass", "", "Create a priority class", "NAME --value=N", cx_cmd_create_priorityclass},
        {"quota", "", "Create a quota", "NAME --hard=KEY=VALUE", cx_cmd_create_quota},
        {"role", "", "Create a role with a single rule", "NAME --verb=VERB --resource=RESOURCE", cx_cmd_create_role},
        {"rolebinding", "", "Create a role binding", "NAME --clusterrole=NAME|--role=NAME", cx_cmd_create_rolebinding},
        {"secret", "", "Create a secret using a specified subcommand", "", NULL, secrets},
        {"service", "", "Create a service using a specified subcommand", "", NULL, services},
        {"svc", NULL, "Create a service using a specified subcommand", "", NULL, services},
        {"serviceaccount", "", "Create a service account", "NAME", cx_cmd_create_serviceaccount},
        {"sa", NULL, "Create a service account", "NAME", cx_cmd_create_serviceaccount},
        {"token", "", "Request a service account token", "NAME", cx_cmd_create_token},
        {0},
};
