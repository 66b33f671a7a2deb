// SPDX-License-Identifier: Apache-2.0
// minikube: a cluster on this machine, each node a network namespace. Commands are a table.
#include "base/buf.h"
#include "base/log.h"
#include "base/process.h"
#include "base/time.h"
#include "base/version.h"
#include "minikube/commands.h"
#include "minikube/services.h"

#include <stdio.h>

static const struct command {
        const char *name, *help;
        int (*run)(struct cx_minikube *minikube, struct cx_error *err);
} commands[] = {
        {"start", "Starts a local Kubernetes cluster", cx_command_start},
        {"status", "Gets the status of a local Kubernetes cluster", cx_command_status},
        {"stop", "Stops a running local Kubernetes cluster", cx_command_stop},
        {"delete", "Deletes a local Kubernetes cluster", cx_command_delete},
        {"profile", "profile list: lists all profiles", cx_command_profile},
        {"service", "Returns the URL to connect to a service", cx_command_service},
        {"tunnel", "Makes cluster IPs reachable from this machine", cx_command_tunnel},
        {"image", "image load FILE, image ls", cx_command_image},
        {"ip", "Retrieves the IP address of a node", cx_command_ip},
        {"logs", "Returns the logs of the cluster's components", cx_command_logs},
        {"kubectl", "Runs kubectl against the cluster: minikube kubectl -- get pods", cx_command_kubectl},
};

static int usage(int status)
{
        FILE *to = status ? stderr : stdout;
        fprintf(to, "minikube runs a local Kubernetes cluster.\n\nUsage:\n  minikube [command] [flags]\n\nCommands:\n");
        for (size_t i = 0; i < CX_ARRAY_SIZE(commands); i++)
                fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
        fprintf(to, "  %-10s %s\n", "version", "Prints the version");
        return status;
}

static int fail(const struct cx_error *err)
{
        static const struct {
                int code, status;
        } statuses[] = {{-ENOENT, 85}, {-EINVAL, 14}, {-EHOSTDOWN, 83}, {-ESRCH, 115}, {-EPERM, 57}};
        const char *text = cx_error_text(err);
        // Advice has a sign of its own.
        fprintf(stderr, "%s%s\n", cx_has_prefix(text, "🤷") ? "" : "❌  Exiting due to ", text);
        for (size_t i = 0; i < CX_ARRAY_SIZE(statuses); i++)
                if (err->code == statuses[i].code)
                        return statuses[i].status;
        return 80;
}

static int dispatch(struct cx_minikube *m, const char *name)
{
        CX_ERROR err = CX_ERROR_INIT;
        if (strcmp(name, "supervise") == 0)
                return cx_supervise(&m->profile);
        for (size_t i = 0; i < CX_ARRAY_SIZE(commands); i++) {
                if (strcmp(commands[i].name, name) != 0)
                        continue;
                int r = commands[i].run(m, &err);
                return r < 0 ? fail(&err) : r;
        }
        fprintf(stderr, "Error: unknown command \"%s\" for \"minikube\"\n", name);
        return usage(64);
}

int main(int argc, char **argv)
{
        struct cx_minikube m = {.nodes = 1, .wait_timeout = 60 * CX_NS_PER_S, .lines = 60};
        const char *profile = getenv("MINIKUBE_PROFILE");
        profile = profile && *profile ? profile : "minikube";
        int64_t verbosity = 0;
        const struct cx_flag flags[] = {
                {"profile", 'p', CX_FLAG_STRING, &profile, "The name of the cluster", NULL, NULL, 0, 0},
                {"nodes", 0, CX_FLAG_INT, &m.nodes, "The number of nodes (start)", NULL, &m.nodes_changed, 1,
                 CX_MAX_NODES},
                {"node", 'n', CX_FLAG_STRING, &m.node, "The node (ip); the namespace (service)", NULL, NULL, 0, 0},
                {"namespace", 0, CX_FLAG_STRING, &m.format, "The namespace (service)", NULL, NULL, 0, 0},
                {"registry-config", 0, CX_FLAG_STRING, &m.registry_config, "A registries.yaml for every node (start)",
                 NULL, NULL, 0, 0},
                {"extra-config", 0, CX_FLAG_LIST, &m.extra_config, "component.flag=value for a component (start)", NULL,
                 NULL, 0, 0},
                {"wait-timeout", 0, CX_FLAG_DURATION, &m.wait_timeout, "How long to wait for the cluster", NULL, NULL,
                 0, 0},
                {"output", 'o', CX_FLAG_STRING, &m.output, "json, or text", NULL, NULL, 0, 0},
                {"url", 0, CX_FLAG_BOOL, &m.url, "Print the URL (service; it always does)", NULL, NULL, 0, 0},
                {"all", 0, CX_FLAG_BOOL, &m.all, "All profiles (delete)", NULL, NULL, 0, 0},
                {"length", 0, CX_FLAG_INT, &m.lines, "Lines of each log (logs)", NULL, NULL, 1, 1000000},
                {"v", 'v', CX_FLAG_INT, &verbosity, "Log verbosity", NULL, NULL, 0, 10},
                {"help", 'h', CX_FLAG_BOOL, &m.help, "Help", NULL, NULL, 0, 0},
                {0},
        };
        const struct cx_flag *const tables[] = {flags};
        CX_STRINGS words = CX_STRINGS_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        cx_process_init();
        // What follows `kubectl --` is kubectl's; without the dashes, everything behind `kubectl` is.
        int own = argc;
        for (int i = 1; i < argc; i++)
                if (strcmp(argv[i], "kubectl") == 0) {
                        own = i + 1;
                        for (int j = own; j < argc; j++)
                                if (strcmp(argv[j], "--") == 0) {
                                        own = j;
                                        break;
                                }
                        break;
                }
        if (cx_flags_parse(tables, 1, own, argv, &words, NULL, &err) < 0) {
                fprintf(stderr, "Error: %s\n", cx_error_text(&err));
                return 64;
        }
        cx_log_settings.verbosity = (int)verbosity;
        if (m.help || !words.count || strcmp(words.items[0], "help") == 0)
                return usage(0);
        if (strcmp(words.items[0], "version") == 0)
                return printf("minikube version: " CX_VERSION "\n") < 0;
        for (size_t i = 1; i < words.count; i++)
                cx_strings_add(&m.args, words.items[i]);
        for (int i = own; i < argc; i++)
                if (i > own || strcmp(argv[i], "--") != 0)
                        cx_strings_add(&m.args, argv[i]);
        if (m.node && strcmp(words.items[0], "service") == 0 && !m.format)
                m.format = m.node;
        int status;
        if (cx_profile_open(profile, &m.profile, &err) < 0)
                status = fail(&err);
        else
                status = dispatch(&m, words.items[0]);
        cx_profile_release(&m.profile);
        cx_strings_release(&m.args);
        cx_strings_release(&m.extra_config);
        return status;
}
