// SPDX-License-Identifier: Apache-2.0
// minikube: a cluster on this machine, each node a network namespace. Commands are a table.
#include "libcommon/base/buf.h"
#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/base/version.h"
#include "minikube/commands.h"
#include "minikube/out.h"
#include "minikube/services.h"

#include <stdio.h>

// Sets of commands, by bits.
enum {
        START = 1 << 0,
        STATUS = 1 << 1,
        STOP = 1 << 2,
        DELETE = 1 << 3,
        PROFILE = 1 << 4,
        SERVICE = 1 << 5,
        TUNNEL = 1 << 6,
        IMAGE = 1 << 7,
        IP = 1 << 8,
        LOGS = 1 << 9,
        KUBECTL = 1 << 10,
        VERSION = 1 << 11,
        ADDONS = 1 << 12,
        DASHBOARD = 1 << 13
};

static const struct minikube_command {
        const char *name;
        unsigned bit, max_args;
        const char *help;
        int (*run)(struct minikube *minikube, struct cx_error *err);
} commands[] = {
        {"start", START, 0, "Starts a local Kubernetes cluster", command_start},
        {"status", STATUS, 0, "Gets the status of a local Kubernetes cluster", command_status},
        {"stop", STOP, 0, "Stops a running local Kubernetes cluster", command_stop},
        {"delete", DELETE, 0, "Deletes a local Kubernetes cluster", command_delete},
        {"profile", PROFILE, 1, "profile list: lists all profiles", command_profile},
        {"service", SERVICE, 1, "service NAME: returns its URL; service list", command_service},
        {"tunnel", TUNNEL, 0, "Makes cluster IPs reachable from this machine", command_tunnel},
        {"image", IMAGE, UINT32_MAX, "image load FILE, image ls", command_image},
        {"ip", IP, 0, "Retrieves the IP address of a node", command_ip},
        {"logs", LOGS, 0, "Returns the logs of the cluster's components", command_logs},
        {"kubectl", KUBECTL, UINT32_MAX, "Runs kubectl against the cluster: minikube kubectl -- get pods",
         command_kubectl},
        {"addons", ADDONS, 2, "addons list, addons enable NAME, addons disable NAME", command_addons},
        {"dashboard", DASHBOARD, 0, "Opens the dashboard in the browser, logged in as the cluster's administrator",
         command_dashboard},
        {"version", VERSION, 0, "Prints the version", NULL},
};

#define MAX_FLAGS 16
#define EXIT_USAGE 14

static int usage(int status)
{
        FILE *to = status ? stderr : stdout;
        fprintf(to, "minikube runs a local Kubernetes cluster.\n\nUsage:\n  minikube [command] [flags]\n\nCommands:\n");
        for (size_t i = 0; i < CX_ARRAY_SIZE(commands); i++)
                fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
        return status;
}

// minikube's name for a kind of error, where the message does not begin with one: "MK_USAGE: …".
static bool has_name(const char *text)
{
        size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
        return length > 2 && text[length] == ':';
}

static int fail(const struct cx_error *err)
{
        static const struct {
                int code, status;
                const char *name;
        } statuses[] = {{-ENOENT, 85, "GUEST_NOT_FOUND"},         {-EINVAL, EXIT_USAGE, "MK_USAGE"},
                        {-EHOSTDOWN, 83, "GUEST_STATUS"},         {-ESRCH, 115, "SVC_NOT_FOUND"},
                        {-EADDRNOTAVAIL, 119, "SVC_UNREACHABLE"}, {-EPERM, 57, "DRV_NEEDS_ROOT"},
                        {-ENOPKG, 65, "PROVIDER_NOT_FOUND"},      {-EEXIST, 81, "GUEST_CONFLICT"},
                        {-EADDRINUSE, 71, "IF_CONFLICT"},         {0, 80, "GUEST_ERROR"}};
        const char *text = cx_error_text(err);
        size_t i = 0;
        while (statuses[i].code && statuses[i].code != err->code)
                i++;
        // Advice has a sign of its own.
        if (cx_has_prefix(text, "🤷"))
                out(stderr, "%s\n", text);
        else
                out(stderr, "❌  Exiting due to %s%s%s\n", has_name(text) ? "" : statuses[i].name,
                    has_name(text) ? "" : ": ", text);
        return statuses[i].status;
}

static int run(struct minikube *m, const struct minikube_command *command, const char *profile)
{
        CX_ERROR err = CX_ERROR_INIT;
        if (!command->run)
                return printf("minikube version: " CX_VERSION "\n") < 0;
        int r = m->args.count > command->max_args
                        ? cx_error_set(&err, -EINVAL, "MK_USAGE: minikube %s does not take \"%s\"", command->name,
                                       m->args.items[command->max_args])
                        : profile_open(profile, &m->profile, &err);
        if (r == 0)
                r = command->run(m, &err);
        return r < 0 ? fail(&err) : r;
}

static int bad_flag(const char *command, const char *text)
{
        fprintf(stderr, "Error: %s\nSee 'minikube%s%s --help' for usage.\n", text, *command ? " " : "", command);
        return EXIT_USAGE;
}

static int dispatch(struct minikube *m, const char *name, const char *profile, const struct cx_flag *flags,
                    const unsigned *allowed)
{
        if (strcmp(name, "supervise") == 0) {
                CX_ERROR err = CX_ERROR_INIT;
                return profile_open(profile, &m->profile, &err) < 0 ? fail(&err) : supervise(&m->profile);
        }
        for (size_t i = 0; i < CX_ARRAY_SIZE(commands); i++) {
                if (strcmp(commands[i].name, name) != 0)
                        continue;
                for (size_t j = 0; flags[j].name; j++)
                        if (*flags[j].changed && allowed[j] && !(allowed[j] & commands[i].bit)) {
                                CX_CLEANUP(cx_freep) char *text = cx_sprintf("unknown flag: --%s", flags[j].name);
                                return bad_flag(name, text);
                        }
                if (!(commands[i].bit & TUNNEL)) // which takes its route back first
                        cx_process_unblock_signals();
                return run(m, &commands[i], profile);
        }
        fprintf(stderr, "Error: unknown command \"%s\" for \"minikube\"\n", name);
        return usage(EXIT_USAGE);
}

// Debian's users do not have the folders of the administrator's programs in their PATH, even as root.
static void complete_path(void)
{
        static const char *const folders[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                              "/usr/bin",        "/sbin",          "/bin"};
        CX_STRINGS path = CX_STRINGS_INIT;
        cx_strings_split(&path, cx_str(getenv("PATH")), ':');
        for (size_t i = 0; i < CX_ARRAY_SIZE(folders); i++)
                if (!cx_strings_has(&path, folders[i]))
                        cx_strings_add(&path, folders[i]);
        CX_CLEANUP(cx_freep) char *text = cx_strings_join(&path, ":");
        setenv("PATH", *text == ':' ? text + 1 : text, 1);
}

int main(int argc, char **argv)
{
        struct minikube m = {.nodes = 1, .wait_timeout = 60 * CX_NS_PER_S, .lines = 60};
        const char *profile = getenv("MINIKUBE_PROFILE");
        profile = profile && *profile ? profile : "minikube";
        int64_t verbosity = 0;
        bool changed[MAX_FLAGS] = {0};
        struct cx_flag flags[] = {
                {"profile", 'p', CX_FLAG_STRING, &profile, "The name of the cluster", NULL, NULL, 0, 0},
                {"nodes", 0, CX_FLAG_INT, &m.nodes, "The number of nodes (start)", NULL, NULL, 1, MAX_NODES},
                {"node", 'n', CX_FLAG_STRING, &m.node, "The node (ip); the namespace (service)", NULL, NULL, 0, 0},
                {"namespace", 0, CX_FLAG_STRING, &m.namespace, "The namespace (service)", NULL, NULL, 0, 0},
                {"registry-config", 0, CX_FLAG_STRING, &m.registry_config, "A registries.yaml for every node (start)",
                 NULL, NULL, 0, 0},
                {"extra-config", 0, CX_FLAG_LIST, &m.extra_config, "component.flag=value for a component (start)", NULL,
                 NULL, 0, 0},
                {"addons", 0, CX_FLAG_CSV, &m.addons, "Addons to enable (start)", NULL, NULL, 0, 0},
                {"wait-timeout", 0, CX_FLAG_DURATION, &m.wait_timeout, "How long to wait for the cluster", NULL, NULL,
                 0, 0},
                {"output", 'o', CX_FLAG_STRING, &m.output, "json, or text", NULL, NULL, 0, 0},
                {"url", 0, CX_FLAG_BOOL, &m.url, "Print the URL (dashboard; service, which always does)", NULL, NULL, 0,
                 0},
                {"all", 0, CX_FLAG_BOOL, &m.all, "All profiles (delete)", NULL, NULL, 0, 0},
                {"length", 0, CX_FLAG_INT, &m.lines, "Lines of each log (logs)", NULL, NULL, 1, 1000000},
                {"v", 'v', CX_FLAG_INT, &verbosity, "Log verbosity", NULL, NULL, 0, 10},
                {"help", 'h', CX_FLAG_BOOL, &m.help, "Help", NULL, NULL, 0, 0},
                {0},
        };
        // Whose flags they are, in the same order; 0: every command's.
        static const unsigned allowed[MAX_FLAGS] = {0,
                                                    START,
                                                    IP | SERVICE,
                                                    SERVICE,
                                                    START,
                                                    START,
                                                    START,
                                                    START | SERVICE | ADDONS | DASHBOARD,
                                                    STATUS | PROFILE | SERVICE | ADDONS,
                                                    SERVICE | DASHBOARD,
                                                    DELETE,
                                                    LOGS};
        for (size_t i = 0; i < CX_ARRAY_SIZE(flags); i++)
                flags[i].changed = &changed[i];
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
        if (cx_flags_parse(tables, 1, own, argv, &words, NULL, &err) < 0)
                return bad_flag("", cx_error_text(&err));
        cx_log_settings.verbosity = (int)verbosity;
        if (m.help || !words.count || strcmp(words.items[0], "help") == 0)
                return usage(0);
        m.nodes_changed = changed[1];
        complete_path();
        for (size_t i = 1; i < words.count; i++)
                cx_strings_add(&m.args, words.items[i]);
        for (int i = own; i < argc; i++)
                if (i > own || strcmp(argv[i], "--") != 0)
                        cx_strings_add(&m.args, argv[i]);
        if (m.node && !m.namespace) // -n is the namespace for those who have one
                m.namespace = m.node;
        int status = dispatch(&m, words.items[0], profile, flags, allowed);
        profile_contents_release(&m.profile);
        cx_strings_release(&m.args);
        cx_strings_release(&m.extra_config);
        cx_strings_release(&m.addons);
        return status;
}
