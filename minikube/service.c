// SPDX-License-Identifier: Apache-2.0
// minikube service, service list, tunnel and kubectl.
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "minikube/commands.h"
#include "minikube/grid.h"
#include "minikube/out.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>

// --- URLs ---

static const char *const url_fields[] = {"{{.IP}}", "{{.Port}}", "{{.Name}}"};

// Which of them the text begins with; -1: none.
static int url_field(const char *text)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(url_fields); i++)
                if (cx_has_prefix(text, url_fields[i]))
                        return (int)i;
        return -1;
}

static int check_format(const char *format, struct cx_error *err)
{
        for (const char *field = format; (field = strstr(field, "{{")); field += 2)
                if (url_field(field) < 0)
                        return cx_error_set(
                                err, -EINVAL,
                                "MK_USAGE: --format: the fields of a URL are {{.IP}}, {{.Port}} and {{.Name}}, "
                                "not \"%s\"",
                                field);
        return 0;
}

// One URL by m->url_format, whose fields command_service has checked; https takes the place of http.
static char *make_url(const struct minikube *m, const char *address, int64_t number, const char *name)
{
        CX_CLEANUP(cx_freep) char *port = cx_sprintf("%ld", (long)number);
        const char *const values[] = {address, port, name};
        CX_BUF url = CX_BUF_INIT;
        const char *rest = m->url_format;
        if (m->https && cx_has_prefix(rest, "http://")) {
                cx_buf_add(&url, "https://");
                rest += strlen("http://");
        }
        for (const char *field; (field = strstr(rest, "{{")); rest = strstr(field, "}}") + 2) {
                cx_buf_append(&url, rest, (size_t)(field - rest));
                cx_buf_add(&url, values[url_field(field)]);
        }
        cx_buf_add(&url, rest);
        return cx_buf_detach(&url);
}

static void add_urls(const struct minikube *m, const json_t *service, struct cx_strings *urls)
{
        const json_t *ports = cx_json_get(service, "spec.ports");
        const json_t *ingress = json_array_get(cx_json_get(service, "status.loadBalancer.ingress"), 0);
        const char *balancer = cx_json_string(ingress, "ip");
        CX_CLEANUP(cx_freep) char *node = node_address(&m->profile, 0);
        for (size_t i = 0; i < json_array_size(ports); i++) {
                const json_t *port = json_array_get(ports, i);
                int64_t number = cx_json_int(port, balancer ? "port" : "nodePort", 0);
                CX_CLEANUP(cx_freep) char *url = NULL;
                if (number)
                        url = make_url(m, balancer ? balancer : node, number, cx_json_string_or(port, "name", ""));
                if (url)
                        cx_strings_add(urls, url);
        }
}

static int no_such_service(const char *name, const char *namespace, struct cx_error *err)
{
        cx_error_release(err);
        return cx_error_set(
                err, -ESRCH,
                "SVC_NOT_FOUND: Service '%s' was not found in '%s' namespace.\nYou may select another namespace "
                "by using 'minikube service %s -n <namespace>'. Or list out all the services using 'minikube service "
                "list'",
                name, namespace, name);
}

// --- list ---

// "http/80" for each port that has an address outside, as add_urls has its URL.
static json_t *port_names(const json_t *service)
{
        const json_t *ports = cx_json_get(service, "spec.ports");
        bool balancer = cx_json_count(service, "status.loadBalancer.ingress") > 0;
        json_t *names = json_array();
        for (size_t i = 0; i < json_array_size(ports); i++) {
                const json_t *port = json_array_get(ports, i);
                const char *name = cx_json_string_or(port, "name", "");
                long number = (long)cx_json_int(port, "port", 0);
                if (balancer || cx_json_int(port, "nodePort", 0))
                        json_array_append_new(names, *name ? json_sprintf("%s/%ld", name, number)
                                                           : json_sprintf("%ld", number));
        }
        if (!json_array_size(names))
                json_array_append_new(names, json_string("No node port"));
        return names;
}

static json_t *describe(const struct minikube *m, const json_t *service)
{
        CX_STRINGS urls = CX_STRINGS_INIT;
        json_t *list = json_array();
        add_urls(m, service, &urls);
        for (size_t i = 0; i < urls.count; i++)
                json_array_append_new(list, json_string(urls.items[i]));
        return json_pack("{s:s,s:s,s:o,s:o}", "Namespace", cx_json_string_or(service, "metadata.namespace", ""), "Name",
                         cx_json_string_or(service, "metadata.name", ""), "URLs", list, "PortNames",
                         port_names(service));
}

static void add_row(struct grid *table, const json_t *row)
{
        static const char *const fields[] = {"Namespace", "Name", "PortNames", "URLs"};
        size_t lines = json_array_size(json_object_get(row, "PortNames"));
        for (size_t line = 0; line < lines; line++)
                for (size_t i = 0; i < CX_ARRAY_SIZE(fields); i++) {
                        const json_t *value = json_object_get(row, fields[i]);
                        grid_add(table, json_string_value(json_is_array(value) ? json_array_get(value, line)
                                                          : line               ? NULL
                                                                               : value));
                }
}

static void print_table(const json_t *rows)
{
        GRID table = GRID_INIT(4);
        static const char *const titles[] = {"NAMESPACE", "NAME", "TARGET PORT", "URL"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(titles); i++)
                grid_add(&table, titles[i]);
        for (size_t i = 0; i < json_array_size(rows); i++)
                add_row(&table, json_array_get(rows, i));
        grid_print(&table);
}

int command_service_list(struct minikube *m, struct cx_error *err)
{
        CX_CLEANUP(cx_rest_freep) struct cx_rest *rest = NULL;
        json_auto_t *list = NULL, *rows = json_array();
        bool json = cx_streq(m->output, "json");
        int r = need_running(m, err);
        if (r == 0 && m->output && !json && strcmp(m->output, "table") != 0)
                r = cx_error_set(err, -EINVAL, "MK_USAGE: invalid output format: %s. Valid values: 'table', 'json'",
                                 m->output);
        if (r == 0)
                r = admin_client(&m->profile, CX_NS_PER_S, &rest, err);
        if (r == 0)
                r = cx_rest_list(rest, CX_REF("", "v1", "services", m->namespace), NULL, &list, err);
        if (r < 0)
                return r;
        const json_t *items = json_object_get(list, "items");
        for (size_t i = 0; i < json_array_size(items); i++)
                json_array_append_new(rows, describe(m, json_array_get(items, i)));
        if (!json) {
                print_table(rows);
                return 0;
        }
        CX_CLEANUP(cx_freep) char *text = cx_json_text(rows);
        printf("%s\n", text);
        return 0;
}

// --- service ---

#define POD_PATIENCE (2 * CX_NS_PER_S) // as long as minikube waits for a pod behind a service

static bool is_ready(const json_t *endpoint)
{
        return cx_json_bool(endpoint, "conditions.ready", true);
}

// Whether anybody would answer; true, too, when that cannot be known: the service has endpoints of another kind.
static int has_endpoints(struct cx_rest *rest, const json_t *service, bool *ret_any, struct cx_error *err)
{
        json_auto_t *list = NULL;
        CX_CLEANUP(cx_freep)
        char *selector = cx_sprintf("kubernetes.io/service-name=%s", cx_json_string_or(service, "metadata.name", ""));
        int r = cx_rest_list(
                rest, CX_REF("discovery.k8s.io", "v1", "endpointslices", cx_json_string(service, "metadata.namespace")),
                &(struct cx_list_options){.label_selector = selector}, &list, err);
        const json_t *items = json_object_get(list, "items");
        *ret_any = cx_streq(cx_json_string(service, "spec.type"), "ExternalName");
        for (size_t i = 0; r == 0 && i < json_array_size(items); i++) {
                const json_t *endpoints = json_object_get(json_array_get(items, i), "endpoints");
                for (size_t j = 0; j < json_array_size(endpoints); j++)
                        *ret_any |= is_ready(json_array_get(endpoints, j));
        }
        return r;
}

// What keeps a service from answering: NULL, nothing; otherwise it may pass until the deadline that is set.
struct obstacle {
        const char *format; // of the service's name
        int64_t deadline;
};

static int look_at_service(struct cx_rest *rest, const struct minikube *m, const json_t *service, int64_t begun,
                           struct obstacle *ret_obstacle, struct cx_error *err)
{
        bool any = true, ports = false;
        const json_t *list = cx_json_get(service, "spec.ports");
        bool balancer = cx_json_count(service, "status.loadBalancer.ingress") > 0;
        *ret_obstacle = (struct obstacle){0};
        for (size_t i = 0; i < json_array_size(list); i++)
                ports |= balancer || cx_json_int(json_array_get(list, i), "nodePort", 0);
        if (cx_streq(cx_json_string(service, "spec.type"), "LoadBalancer") && !balancer)
                ret_obstacle->deadline = begun + m->wait_timeout; // or else its node port serves
        if (!ports) {
                ret_obstacle->format = "SVC_UNREACHABLE: service %s has no node port";
                return 0;
        }
        int r = has_endpoints(rest, service, &any, err);
        if (r == 0 && !any)
                *ret_obstacle = (struct obstacle){
                        .format = "SVC_UNREACHABLE: service not available: no running pod for service %s found",
                        .deadline = begun + POD_PATIENCE};
        return r;
}

static void show_service(const struct minikube *m, const json_t *service)
{
        CX_STRINGS urls = CX_STRINGS_INIT;
        json_auto_t *rows = json_array();
        if (!m->url) {
                json_array_append_new(rows, describe(m, service));
                print_table(rows);
                return;
        }
        add_urls(m, service, &urls);
        for (size_t i = 0; i < urls.count; i++)
                printf("%s\n", urls.items[i]);
}

int command_service(struct minikube *m, struct cx_error *err)
{
        CX_CLEANUP(cx_rest_freep) struct cx_rest *rest = NULL;
        const char *namespace = m->namespace ? m->namespace : "default", *name = NULL;
        int r = check_format(m->url_format, err);
        if (r == 0)
                r = need_running(m, err);
        if (r == 0 && !m->args.count)
                r = cx_error_set(err, -EINVAL, "MK_USAGE: You must specify a service name");
        if (r == 0)
                r = admin_client(&m->profile, CX_NS_PER_S, &rest, err);
        for (int64_t begun = cx_time_monotonic(); r == 0; (void)poll(NULL, 0, 50)) {
                json_auto_t *service = NULL;
                struct obstacle obstacle = {0};
                name = m->args.items[0];
                r = cx_rest_get(rest, CX_REF("", "v1", "services", namespace, name), &service, err);
                if (r < 0 && err && cx_error_is(err, CX_REASON_NOT_FOUND))
                        return no_such_service(name, namespace, err);
                if (r == 0)
                        r = look_at_service(rest, m, service, begun, &obstacle, err);
                if (r < 0 || cx_time_monotonic() < obstacle.deadline)
                        continue;
                if (obstacle.format)
                        return cx_error_set(err, -EADDRNOTAVAIL, obstacle.format, name);
                show_service(m, service);
                return 0;
        }
        return r;
}

// --- tunnel ---

// One tunnel at a time for a profile; a lock of the kernel's, so that one that was killed does not count.
static int lock_tunnel(const struct profile *profile, int *ret_fd, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = profile_path(profile, "run/tunnel.lock");
        CX_CLEANUP(cx_closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
                return cx_error_set(err, -errno, "cannot open %s: %s", path, strerror(errno));
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return cx_error_set(err, -EADDRINUSE, "SVC_TUNNEL_ALREADY_RUNNING: Another tunnel of \"%s\" is running",
                                    profile->name);
        *ret_fd = cx_steal_fd(&fd);
        return 0;
}

// Whose route there is to the cluster IPs: NULL when there is none.
static char *tunnel_route(void)
{
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        if (cx_run_ok((const char *const[]){"ip", "route", "show", "exact", SERVICE_CIDR, NULL}, &text, NULL) < 0)
                return NULL;
        size_t length = strcspn(text.data, "\n");
        while (length && text.data[length - 1] == ' ')
                length--;
        return length ? cx_strndup(text.data, length) : NULL;
}

#define LOOK_EVERY 2 // seconds

// Names of services with a load balancer's address; what keeps them from being known otherwise.
static void list_balancers(struct cx_rest *rest, struct cx_buf *to, struct cx_error *why)
{
        json_auto_t *list = NULL;
        if (cx_rest_list(rest, CX_REF("", "v1", "services"), NULL, &list, why) < 0)
                return;
        const json_t *items = json_object_get(list, "items");
        for (size_t i = 0; i < json_array_size(items); i++) {
                const json_t *service = json_array_get(items, i);
                if (cx_json_count(service, "status.loadBalancer.ingress") > 0)
                        cx_buf_printf(to, "%s%s", to->length ? ", " : "",
                                      cx_json_string_or(service, "metadata.name", ""));
        }
}

// In minikube's form.
static void describe_tunnel(const struct profile *profile, struct cx_rest *rest, const char *node, struct cx_buf *to)
{
        CX_BUF names = CX_BUF_INIT;
        CX_ERROR why = CX_ERROR_INIT;
        list_balancers(rest, &names, &why);
        cx_buf_printf(to,
                      "Status:\t\n\tmachine: %s\n\tpid: %d\n\troute: " SERVICE_CIDR " -> %s\n\tminikube: %s\n"
                      "\tservices: [%s]\n    errors: \n\t\tminikube: %s\n\t\trouter: no errors\n"
                      "\t\tloadbalancer emulator: no errors\n",
                      profile->name, (int)getpid(), node, why.code ? "Unreachable" : "Running", names.data,
                      why.code ? cx_error_text(&why) : "no errors");
}

// Shows the status when it is another than before, until a signal comes.
static void watch_tunnel(const struct profile *profile, struct cx_rest *rest, const char *node)
{
        CX_CLEANUP(cx_freep) char *before = NULL;
        const struct timespec pause = {.tv_sec = LOOK_EVERY};
        sigset_t signals;
        sigemptyset(&signals);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGTERM);
        do {
                CX_BUF now = CX_BUF_INIT;
                describe_tunnel(profile, rest, node, &now);
                if (!cx_streq(before, now.data)) {
                        fputs(now.data, stdout);
                        fflush(stdout);
                }
                free(before);
                before = cx_strdup(now.data);
        } while (sigtimedwait(&signals, NULL, &pause) < 0);
}

int command_tunnel(struct minikube *m, struct cx_error *err)
{
        CX_CLEANUP(cx_closep) int lock = -1;
        CX_CLEANUP(cx_rest_freep) struct cx_rest *rest = NULL;
        int r = need_running(m, err);
        if (r == 0)
                r = lock_tunnel(&m->profile, &lock, err);
        if (r == 0)
                r = admin_client(&m->profile, 0, &rest, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *node = node_address(&m->profile, 0);
        CX_CLEANUP(cx_freep) char *own = cx_sprintf(SERVICE_CIDR " via %s ", node);
        CX_CLEANUP(cx_freep) char *found = tunnel_route();
        if (found && !cx_has_prefix(found, own)) // ours may be there still: its tunnel was killed
                return cx_error_set(
                        err, -EADDRINUSE,
                        "IF_ROUTE_CONFLICT: there is a route to cluster IPs already: %s. Please end the tunnel "
                        "of the other profile first",
                        found);
        r = cx_run_ok((const char *const[]){"ip", "route", "replace", SERVICE_CIDR, "via", node, NULL}, NULL, err);
        if (r < 0)
                return r;
        out(stdout,
            "✅  Tunnel successfully started\n📌  Cluster IPs (" SERVICE_CIDR ") are reachable through %s; end it with "
            "Ctrl-C\n",
            node);
        watch_tunnel(&m->profile, rest, node);
        CX_CLEANUP(cx_freep) char *left = tunnel_route();
        if (!left || !cx_has_prefix(left, own)) // it went with the cluster
                return 0;
        return cx_run_ok((const char *const[]){"ip", "route", "del", SERVICE_CIDR, "via", node, NULL}, NULL, err);
}

int command_kubectl(struct minikube *m, struct cx_error *err)
{
        int r = need_profile(m, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *program = cx_sprintf("%s/kubectl", m->profile.binaries);
        CX_CLEANUP(cx_freep) char *config = profile_path(&m->profile, "kubeconfigs/admin.kubeconfig");
        CX_CLEANUP(cx_freep) char **argv = cx_alloc_array(m->args.count + 2, sizeof(char *));
        argv[0] = program;
        for (size_t i = 0; i < m->args.count; i++)
                argv[i + 1] = m->args.items[i];
        setenv("KUBECONFIG", config, 1); // and no flag: plugins are looked for by the first word, and inherit this
        cx_process_unblock_signals();
        execv(program, argv);
        return cx_error_set(err, -errno, "cannot run %s: %s", program, strerror(errno));
}
