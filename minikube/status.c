// SPDX-License-Identifier: Apache-2.0
// minikube status, profile list, ip and logs.
#include "base/buf.h"
#include "base/time.h"
#include "base/version.h"
#include "format/json.h"
#include "minikube/commands.h"
#include "minikube/network.h"
#include "minikube/services.h"

#include <stdio.h>

// minikube's exit status: 1 for the host, 2 for the cluster, 4 for Kubernetes, added up.
enum { HOST_DOWN = 1, CLUSTER_DOWN = 2, KUBERNETES_DOWN = 4 };

static const char *running(bool is)
{
        return is ? "Running" : "Stopped";
}

static bool node_exists(const struct cx_profile *profile, int node)
{
        CX_CLEANUP(cx_freep) char *path = cx_network_namespace(profile, node);
        return access(path, F_OK) == 0;
}

static json_t *node_status(const struct cx_profile *profile, int node, int *problems)
{
        CX_CLEANUP(cx_freep) char *name = cx_node_name(profile, node);
        CX_CLEANUP(cx_freep) char *kubelet = cx_sprintf("kubelet-%s", name);
        bool host = node_exists(profile, node), agent = cx_service_pid(profile, kubelet) != 0;
        json_t *status = json_pack("{s:s,s:s,s:s,s:b}", "Name", name, "Host", running(host), "Kubelet", running(agent),
                                   "Worker", node != 0);
        *problems |= (host ? 0 : HOST_DOWN) | (agent ? 0 : CLUSTER_DOWN);
        if (node == 0) {
                bool apiserver = cx_wait_apiserver(profile, cx_time_monotonic(), NULL) == 0,
                     context = cx_context_present(profile);
                json_object_set_new(status, "APIServer", json_string(running(apiserver)));
                json_object_set_new(status, "Kubeconfig", json_string(context ? "Configured" : "Misconfigured"));
                *problems |= apiserver ? 0 : KUBERNETES_DOWN;
        }
        return status;
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
}

int cx_command_status(struct cx_minikube *m, struct cx_error *err)
{
        int r = cx_need_profile(m, err), problems = 0;
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

int cx_command_profile(struct cx_minikube *m, struct cx_error *err)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        if (!m->args.count) {
                printf("%s\n", m->profile.name);
                return 0;
        }
        if (strcmp(m->args.items[0], "list") != 0)
                return cx_error_set(err, -EINVAL, "MK_USAGE: unknown command \"%s\" for \"minikube profile\"",
                                    m->args.items[0]);
        int r = cx_profile_list(&names, err);
        if (r < 0)
                return r;
        if (!names.count)
                return cx_error_set(err, -ENOENT, "MK_USAGE_NO_PROFILE: No minikube profile was found.");
        json_auto_t *valid = json_array();
        if (!cx_streq(m->output, "json"))
                printf("%-20s %-12s %-12s %-16s %-6s %-20s %-9s %s\n", "PROFILE", "DRIVER", "RUNTIME", "IP", "PORT",
                       "VERSION", "STATUS", "NODES");
        for (size_t i = 0; i < names.count; i++) {
                CX_PROFILE p = {0};
                if (cx_profile_open(names.items[i], &p, err) < 0)
                        return -EIO;
                CX_CLEANUP(cx_freep) char *address = cx_node_address(&p, 0);
                const char *state = cx_service_pid(&p, "kube-apiserver") ? "OK" : "Stopped";
                json_array_append_new(valid,
                                      json_pack("{s:s,s:s,s:i}", "Name", p.name, "Status", state, "Nodes", p.nodes));
                if (!cx_streq(m->output, "json"))
                        printf("%-20s %-12s %-12s %-16s %-6d %-20s %-9s %d\n", p.name, "none", "coxswain", address,
                               CX_API_PORT, CX_VERSION, state, p.nodes);
        }
        if (cx_streq(m->output, "json")) {
                json_auto_t *both = json_pack("{s:[],s:O}", "invalid", "valid", valid);
                CX_CLEANUP(cx_freep) char *text = cx_json_text(both);
                printf("%s\n", text);
        }
        return 0;
}

static int choose_node(struct cx_minikube *m, int *ret_node, struct cx_error *err)
{
        *ret_node = 0;
        for (int node = 0; m->node && node <= m->profile.nodes; node++) {
                if (node == m->profile.nodes)
                        return cx_error_set(err, -ENOENT, "node \"%s\" does not exist", m->node);
                CX_CLEANUP(cx_freep) char *name = cx_node_name(&m->profile, node);
                if (strcmp(name, m->node) == 0 || (strlen(name) > strlen(m->node) && cx_has_suffix(name, m->node))) {
                        *ret_node = node;
                        break;
                }
        }
        return 0;
}

int cx_command_ip(struct cx_minikube *m, struct cx_error *err)
{
        int node = 0, r = cx_need_profile(m, err);
        if (r == 0)
                r = choose_node(m, &node, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *address = cx_node_address(&m->profile, node);
        printf("%s\n", address);
        return 0;
}

// The last lines of a file.
static void print_tail(const char *path, int64_t lines)
{
        CX_BUF text = CX_BUF_INIT_MAX((size_t)256 << 20);
        if (cx_buf_read_file(&text, path) < 0)
                return;
        const char *p = text.data + text.length;
        if (p > text.data && p[-1] == '\n')
                p--;
        for (; p > text.data; p--)
                if (p[-1] == '\n' && --lines <= 0)
                        break;
        fputs(p, stdout);
}

int cx_command_logs(struct cx_minikube *m, struct cx_error *err)
{
        int r = cx_need_profile(m, err);
        struct cx_services services;
        if (r < 0)
                return r;
        cx_services_of(&m->profile, &services);
        for (size_t i = 0; i < services.count; i++) {
                CX_CLEANUP(cx_freep) char *path = cx_profile_path(&m->profile, "logs/%s.log", services.items[i].name);
                printf("==> %s <==\n", services.items[i].name);
                print_tail(path, m->lines);
        }
        cx_services_release(&services);
        return 0;
}
