// SPDX-License-Identifier: Apache-2.0
// The subcommands of kubectl create.
#include "kubectl/cmd/commands.h"

static const struct command secrets[] = {
        {"docker-registry", "", "Create a secret for use with a registry", "NAME [flags]", cmd_create_secret_registry},
        {"generic", "", "Create a secret from a local file, directory, or literal value", "NAME [flags]",
         cmd_create_secret_generic},
        {"tls", "", "Create a TLS secret", "NAME --cert=FILE --key=FILE", cmd_create_secret_tls},
        {0},
};
static const struct command services[] = {
        {"clusterip", "", "Create a ClusterIP service", "NAME --tcp=PORT:TARGET", cmd_create_service_clusterip},
        {"externalname", "", "Create an ExternalName service", "NAME --external-name=NAME",
         cmd_create_service_externalname},
        {"loadbalancer", "", "Create a LoadBalancer service", "NAME --tcp=PORT:TARGET",
         cmd_create_service_loadbalancer},
        {"nodeport", "", "Create a NodePort service", "NAME --tcp=PORT:TARGET", cmd_create_service_nodeport},
        {0},
};
const struct command create_commands[] = {
        {"clusterrole", "", "Create a cluster role", "NAME --verb=VERB --resource=RESOURCE", cmd_create_clusterrole},
        {"clusterrolebinding", "", "Create a cluster role binding", "NAME --clusterrole=NAME",
         cmd_create_clusterrolebinding},
        {"configmap", "", "Create a config map from files or literal values", "NAME [flags]", cmd_create_configmap,
         .aliases = " cm "},
        {"cronjob", "", "Create a cron job", "NAME --image=IMAGE --schedule=TIMES -- [COMMAND]", cmd_create_cronjob,
         .aliases = " cj "},
        {"deployment", "", "Create a deployment", "NAME --image=IMAGE -- [COMMAND]", cmd_create_deployment,
         .aliases = " deploy "},
        {"job", "", "Create a job", "NAME --image=IMAGE [--from=cronjob/NAME] -- [COMMAND]", cmd_create_job},
        {"ingress", "", "Create an ingress", "NAME --rule=HOST/PATH=SERVICE:PORT[,tls[=SECRET]]", cmd_create_ingress,
         .aliases = " ing "},
        {"namespace", "", "Create a namespace", "NAME", cmd_create_namespace, .aliases = " ns "},
        {"poddisruptionbudget", "", "Create a pod disruption budget", "NAME --selector=SELECTOR --min-available=N",
         cmd_create_pdb, .aliases = " pdb "},
        {"priorityclass", "", "Create a priority class", "NAME --value=N", cmd_create_priorityclass, .aliases = " pc "},
        {"quota", "", "Create a quota", "NAME --hard=KEY=VALUE", cmd_create_quota, .aliases = " resourcequota "},
        {"role", "", "Create a role with a single rule", "NAME --verb=VERB --resource=RESOURCE", cmd_create_role},
        {"rolebinding", "", "Create a role binding", "NAME --clusterrole=NAME|--role=NAME", cmd_create_rolebinding},
        {"secret", "", "Create a secret using a specified subcommand", "", NULL, secrets},
        {"service", "", "Create a service using a specified subcommand", "", NULL, services, .aliases = " svc "},
        {"serviceaccount", "", "Create a service account", "NAME", cmd_create_serviceaccount, .aliases = " sa "},
        {"token", "", "Request a service account token", "NAME", cmd_create_token},
        {0},
};
