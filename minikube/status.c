// SPDX-License-Identifier: Apache-2.0
// minikube status, profile list, ip and logs.
#include "libcommon/base/buf.h"
#include "libcommon/base/time.h"
#include "libcommon/base/version.h"
#include "libcommon/format/json.h"
#include "minikube/commands.h"
#include "minikube/network.h"
#include "minikube/out.h"
#include "minikube/services.h"

#include <fcntl.h>
#include <stdio.h>

// minikube's exit status, added up: 1 when a host does not run, 2 when a kubelet or the API server does not, 4 when the
// kubeconfig does not lead there.
enum { HOST_DOWN = 1, CLUSTER_DOWN = 2, CONFIG_DOWN = 4 };

static const char *running(bool is)
{
        return is ? "Running" : "Stopped";
}

static bool node_exists(const struct profile *profile, int node)
{
        CX_CLEANUP(cx_freep) char *path = network_namespace(profile, node);
        return access(path, F_OK) == 0;
}

static json_t *node_status(const struct profile *profile, int node, int *problems)
{
        CX_CLEANUP(cx_freep) char *name = node_name(profile, node);
        CX_CLEANUP(cx_freep) char *kubelet = cx_sprintf("kubelet-%s", name);
        bool host = node_exists(profile, node);
        if (!host) { // the rest is what the host is
                *problems |= HOST_DOWN | CLUSTER_DOWN | CONFIG_DOWN;
                return json_pack("{s:s,s:s,s:s,s:s,s:s,s:b}", "Name", name, "Host", "Stopped", "Kubelet", "Stopped",
                                 "APIServer", "Stopped", "Kubeconfig", "Stopped", "Worker", node != 0);
        }
        bool agent = service_pid(profile, kubelet) != 0, apiserver = true, context = true;
        if (node == 0) {
                apiserver = wait_apiserver(profile, cx_time_monotonic(), NULL) == 0;
                context = context_present(profile);
        }
        *problems |= (agent && apiserver ? 0 : CLUSTER_DOWN) | (context ? 0 : CONFIG_DOWN);
        return json_pack("{s:s,s:s,s:s,s:s,s:s,s:b}", "Name", name, "Host", "Running", "Kubelet", running(agent),
                         "APIServer", node ? "Irrelevant" : running(apiserver), "Kubeconfig",
                         node      ? "Irrelevant"
                         : context ? "Configured"
                                   : "Misconfigured",
                         "Worker", node != 0);
}

static void print_status(const json_t *s)
{
        bool worker = cx_json_bool(s, "Worker", false);
        printf("%s\ntype: %s\nhost: %s\nkubelet: %s\n", cx_json_string(s, "Name"), worker ? "Worker" : "Control Plane",
               cx_json_string(s, "Host"), cx_json_string(s, "Kubelet"));
        if (!worker)
                printf("apiserver: %s\nkubeconfig: %s\n", cx_json_string(s, "APIServer"),
                       cx_json_string(s, "Kubeconfig"));
        printf("\n");
        if (cx_streq(cx_json_string(s, "Kubeconfig"), "Misconfigured"))
                printf("\nWARNING: Your kubectl is pointing to stale minikube-vm.\nTo fix the kubectl context, run "
                       "`minikube start`\n");
}

static int bad_output(const char *output, const char *other, struct cx_error *err)
{
        return cx_error_set(err, -EINVAL, "MK_USAGE: invalid output format: %s. Valid values: '%s', 'json'", output,
                            other);
}

int command_status(struct minikube *m, struct cx_error *err)
{
        int r = need_profile(m, err), problems = 0;
        if (r == 0 && m->output && strcmp(m->output, "json") != 0 && strcmp(m->output, "text") != 0)
                r = bad_output(m->output, "text", err);
        if (r < 0)
                return r;
        json_auto_t *all = json_array();
        for (int node = 0; node < m->profile.nodes; node++)
                json_array_append_new(all, node_status(&m->profile, node, &problems));
        if (cx_streq(m->output, "json")) {
                CX_CLEANUP(cx_freep) char *text = cx_json_text(m->profile.nodes == 1 ? json_array_get(all, 0) : all);
                printf("%s\n", text);
        } else {
                for (size_t i = 0; i < json_array_size(all); i++)
                        print_status(json_array_get(all, i));
        }
        return problems;
}

static void print_profiles(const struct cx_strings *names, json_t *valid, json_t *invalid, bool table)
{
        for (size_t i = 0; i < names->count; i++) {
                PROFILE_CONTENTS p = {0};
                CX_ERROR err = CX_ERROR_INIT;
                if (profile_open(names->items[i], &p, &err) < 0 || !p.exists) {
                        json_array_append_new(invalid, json_pack("{s:s}", "Name", names->items[i]));
                        continue;
                }
                CX_CLEANUP(cx_freep) char *address = node_address(&p, 0);
                const char *state = service_pid(&p, "kube-apiserver") ? "OK" : "Stopped";
                json_array_append_new(valid,
                                      json_pack("{s:s,s:s,s:i}", "Name", p.name, "Status", state, "Nodes", p.nodes));
                if (table && json_array_size(valid) == 1)
                        printf("%-20s %-12s %-12s %-16s %-6s %-20s %-9s %s\n", "PROFILE_CONTENTS", "DRIVER", "RUNTIME",
                               "IP", "PORT", "VERSION", "STATUS", "NODES");
                if (table)
                        printf("%-20s %-12s %-12s %-16s %-6d %-20s %-9s %d\n", p.name, "none", "coxswain", address,
                               API_PORT, CX_VERSION, state, p.nodes);
        }
}

static void warn_invalid(const json_t *invalid)
{
        size_t n = json_array_size(invalid);
        if (!n)
                return;
        fflush(stdout);
        out(stderr, "❗  Found %zu invalid profile(s) !\n", n);
        for (size_t i = 0; i < n; i++)
                fprintf(stderr, "     %s\n", cx_json_string(json_array_get(invalid, i), "Name"));
        out(stderr, "💡  You can delete them using the following command(s):\n");
        for (size_t i = 0; i < n; i++)
                fprintf(stderr, "     $ minikube delete -p %s\n", cx_json_string(json_array_get(invalid, i), "Name"));
}

int command_profile(struct minikube *m, struct cx_error *err)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        if (!m->args.count) {
                printf("%s\n", m->profile.name);
                return 0;
        }
        if (strcmp(m->args.items[0], "list") != 0)
                return cx_error_set(err, -EINVAL, "MK_USAGE: unknown command \"%s\" for \"minikube profile\"",
                                    m->args.items[0]);
        bool json = cx_streq(m->output, "json");
        if (m->output && !json && strcmp(m->output, "table") != 0)
                return bad_output(m->output, "table", err);
        int r = profile_list(&names, err);
        if (r < 0)
                return r;
        json_auto_t *valid = json_array(), *invalid = json_array();
        print_profiles(&names, valid, invalid, !json);
        if (json) {
                json_auto_t *both = json_pack("{s:O,s:O}", "invalid", invalid, "valid", valid);
                CX_CLEANUP(cx_freep) char *text = cx_json_text(both);
                printf("%s\n", text);
                return 0;
        }
        warn_invalid(invalid);
        return json_array_size(valid)
                       ? 0
                       : cx_error_set(err, -EINVAL, "MK_USAGE_NO_PROFILE: No minikube profile was found.");
}

static int choose_node(struct minikube *m, int *ret_node, struct cx_error *err)
{
        *ret_node = 0;
        for (int node = 0; m->node && node <= m->profile.nodes; node++) {
                if (node == m->profile.nodes)
                        return cx_error_set(err, -ENOENT, "node \"%s\" does not exist", m->node);
                CX_CLEANUP(cx_freep) char *name = node_name(&m->profile, node);
                if (strcmp(name, m->node) == 0 || (strlen(name) > strlen(m->node) && cx_has_suffix(name, m->node))) {
                        *ret_node = node;
                        break;
                }
        }
        return 0;
}

int command_ip(struct minikube *m, struct cx_error *err)
{
        int node = 0, r = need_profile(m, err);
        if (r == 0)
                r = choose_node(m, &node, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *address = node_address(&m->profile, node);
        printf("%s\n", address);
        return 0;
}

// The last lines of a file, which may be long.
#define TAIL ((off_t)16 << 20)
static void print_tail(const char *path, int64_t lines)
{
        CX_BUF text = CX_BUF_INIT_MAX(TAIL);
        CX_CLEANUP(cx_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        char *room = cx_buf_reserve(&text, TAIL);
        off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END), from = end > TAIL ? end - TAIL : 0;
        ssize_t n = end > 0 && room ? pread(fd, room, (size_t)(end - from), from) : 0;
        if (n <= 0)
                return;
        cx_buf_advance(&text, (size_t)n);
        const char *p = text.data + text.length;
        if (p > text.data && p[-1] == '\n')
                p--;
        for (; p > text.data; p--)
                if (p[-1] == '\n' && --lines <= 0)
                        break;
        fputs(p, stdout);
}

int command_logs(struct minikube *m, struct cx_error *err)
{
        int r = need_profile(m, err);
        struct services services;
        if (r < 0)
                return r;
        services_of(&m->profile, &services);
        for (size_t i = 0; i < services.count; i++) {
                CX_CLEANUP(cx_freep) char *path = profile_path(&m->profile, "logs/%s.log", services.items[i].name);
                printf("==> %s <==\n", services.items[i].name);
                print_tail(path, m->lines);
        }
        services_release(&services);
        return 0;
}
