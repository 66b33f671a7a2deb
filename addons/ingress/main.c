// SPDX-License-Identifier: Apache-2.0
// ingress-controller: flags and wiring.
#include "addons/ingress/controller.h"
#include "addons/ingress/grammar.h"
#include "libcommon/base/log.h"

#include <pwd.h>
#include <sys/resource.h>

#define SPARE_FILES 1024 // of the proxy, for what are not connections
#define MAX_FOLDER 80    // a socket's whole path may have 107, and the proxy adds to it while it loads

static struct ingress_controller *controller;
static struct cx_strings addresses;
static int64_t http_port = 80, https_port = 443, max_connections = 8192;
static const char *user = "haproxy";
static struct controller_options options = {
        .plan = {.controller_class = "coxswain.io/ingress"},
        .applier = {.executable = "haproxy", .config = {.folder = "/var/lib/coxswain/ingress"}},
        .addresses = &addresses,
};

static const struct cx_flag flags[] = {
        {.name = "controller-class",
         .kind = CX_FLAG_STRING,
         .target = &options.plan.controller_class,
         .help = "Ingresses of the IngressClasses with this controller are served."},
        {.name = "http-port",
         .kind = CX_FLAG_INT,
         .target = &http_port,
         .help = "Port for HTTP; 0 serves none.",
         .min = 0,
         .max = 65535},
        {.name = "https-port",
         .kind = CX_FLAG_INT,
         .target = &https_port,
         .help = "Port for HTTPS; 0 serves none.",
         .min = 0,
         .max = 65535},
        {.name = "publish-status-address",
         .kind = CX_FLAG_CSV,
         .target = &addresses,
         .help = "Addresses (or host names) that Ingresses get in their status."},
        {.name = "default-backend-service",
         .kind = CX_FLAG_STRING,
         .target = &options.plan.default_backend,
         .help = "NAMESPACE/NAME of the Service for what no Ingress wants; by default such requests get 404."},
        {.name = "default-ssl-certificate",
         .kind = CX_FLAG_STRING,
         .target = &options.applier.default_certificate,
         .help = "NAMESPACE/NAME of the Secret with the certificate of hosts without one."},
        {.name = "watch-namespace",
         .kind = CX_FLAG_STRING,
         .target = &options.watch_namespace,
         .help = "Serve the Ingresses of this namespace only."},
        {.name = "folder",
         .kind = CX_FLAG_STRING,
         .target = &options.applier.config.folder,
         .help = "Folder for what the proxy reads; private to the controller, which one controller may have."},
        {.name = "haproxy",
         .kind = CX_FLAG_STRING,
         .target = &options.applier.executable,
         .help = "HAProxy's executable."},
        {.name = "haproxy-user",
         .kind = CX_FLAG_STRING,
         .target = &user,
         .help = "User, and group of the same name, that HAProxy becomes when it is started as root."},
        {.name = "max-connections",
         .kind = CX_FLAG_INT,
         .target = &max_connections,
         .help = "Connections of clients at once.",
         .min = 16,
         .max = 1000000},
        {0},
};

static bool is_reference(const char *text)
{
        const char *slash = strchr(text, '/');
        CX_CLEANUP(cx_freep) char *namespace = cx_strndup(text, slash ? (size_t)(slash - text) : 0);
        return slash && grammar_is_name(namespace) && grammar_is_name(slash + 1);
}

static int check_reference(const char **reference, const char *flag, struct cx_error *err)
{
        if (*reference && !**reference)
                *reference = NULL;
        if (*reference && !is_reference(*reference))
                return cx_error_set(err, -EINVAL, "--%s: \"%s\" is not NAMESPACE/NAME", flag, *reference);
        return 0;
}

static int check_folder(const char *folder, struct cx_error *err)
{
        if (*folder != '/' || strlen(folder) > MAX_FOLDER)
                return cx_error_set(err, -EINVAL, "--folder: \"%s\" must be an absolute path of %d characters at most",
                                    folder, MAX_FOLDER);
        if (folder[strspn(folder, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-")])
                return cx_error_set(err, -EINVAL,
                                    "--folder: \"%s\" may have letters, digits, \"/\", \".\", \"_\" and \"-\"", folder);
        return 0;
}

// Without root the proxy is who we are.
static int check_user(struct cx_error *err)
{
        if (geteuid() != 0)
                return 0;
        if (!grammar_is_token(user) || !getpwnam(user))
                return cx_error_set(err, -EINVAL,
                                    "--haproxy-user: there is no user \"%s\"; Debian's package haproxy makes one",
                                    user);
        options.applier.config.user = user;
        return 0;
}

// Each connection of a client costs the proxy two files; it refuses to start when it may not open that many.
static int connections(void)
{
        struct rlimit files;
        int64_t most =
                getrlimit(RLIMIT_NOFILE, &files) == 0 ? ((int64_t)files.rlim_max - SPARE_FILES) / 2 : max_connections;
        if (files.rlim_max == RLIM_INFINITY || most >= max_connections)
                return (int)max_connections;
        most = most > 16 ? most : 16;
        cx_warn("Fewer connections than --max-connections, since the process may not open as many files", "connections",
                CX_INT(most));
        return (int)most;
}

static int configure(struct cx_component *component CX_UNUSED, struct cx_error *err)
{
        if (!http_port && !https_port)
                return cx_error_set(err, -EINVAL, "--http-port and --https-port are both 0: nothing would be served");
        for (size_t i = 0; i < addresses.count; i++)
                if (!cx_is_address(addresses.items[i]) && !grammar_is_host(addresses.items[i]))
                        return cx_error_set(err, -EINVAL,
                                            "--publish-status-address: \"%s\" is no address and no host name",
                                            addresses.items[i]);
        if (options.watch_namespace && !*options.watch_namespace)
                options.watch_namespace = NULL;
        cx_strings_sort(&addresses);
        options.applier.config.http_port = (int)http_port;
        options.applier.config.https_port = (int)https_port;
        options.applier.config.max_connections = connections();
        options.applier.config.ipv6 = access("/proc/net/if_inet6", F_OK) == 0;
        int r = check_folder(options.applier.config.folder, err);
        if (r == 0)
                r = check_reference(&options.plan.default_backend, "default-backend-service", err);
        if (r == 0)
                r = check_reference(&options.applier.default_certificate, "default-ssl-certificate", err);
        return r < 0 ? r : check_user(err);
}

static int start(struct cx_component *component, struct cx_error *err)
{
        return ingress_controller_start(component, &options, &controller, err);
}

static void stop(struct cx_component *component)
{
        ingress_controller_stop(controller);
        cx_informers_free(component->informers);
        component->informers = NULL;
        ingress_controller_free(controller);
        cx_strings_release(&addresses);
}

static bool ready(struct cx_component *component CX_UNUSED)
{
        return ingress_controller_ready(controller);
}

int main(int argc, char **argv)
{
        static struct cx_component component = {
                .name = "ingress-controller",
                .description = "Serves Ingresses by a HAProxy that it drives.",
                .secure_port = 10254,
                .flags = flags,
                .configure = configure,
                .start = start,
                .stop = stop,
                .ready = ready,
        };
        return cx_component_main(&component, argc, argv);
}
