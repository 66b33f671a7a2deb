// SPDX-License-Identifier: Apache-2.0
// minikube service, tunnel and kubectl.
#include "base/process.h"
#include "base/time.h"
#include "format/json.h"
#include "minikube/commands.h"

#include <poll.h>
#include <stdio.h>

static void add_urls(const struct cx_profile *profile, const json_t *service, struct cx_strings *urls)
{
        const json_t *ports = cx_json_get(service, "spec.ports");
        const json_t *ingress = json_array_get(cx_json_get(service, "status.loadBalancer.ingress"), 0);
        const char *balancer = cx_json_string(ingress, "ip");
        CX_CLEANUP(cx_freep) char *node = cx_node_address(profile, 0);
        for (size_t i = 0; i < json_array_size(ports); i++) {
                const json_t *port = json_array_get(ports, i);
                int64_t number = cx_json_int(port, balancer ? "port" : "nodePort", 0);
                CX_CLEANUP(cx_freep)
                char *url = number ? cx_sprintf("http://%s:%ld", balancer ? balancer : node, (long)number) : NULL;
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
                "by using 'minikube service %s -n <namespace>'.",
                name, namespace, name);
}

int cx_command_service(struct cx_minikube *m, struct cx_error *err)
{
        CX_CLEANUP(cx_rest_freep) struct cx_rest *rest = NULL;
        const char *namespace = m->format ? m->format : "default";
        int r = cx_need_running(m, err);
        if (r == 0 && !m->args.count)
                r = cx_error_set(err, -EINVAL, "MK_USAGE: You must specify a service name");
        if (r == 0)
                r = cx_admin_client(&m->profile, CX_NS_PER_S, &rest, err);
        int64_t deadline = cx_time_monotonic() + m->wait_timeout;
        while (r == 0) {
                json_auto_t *service = NULL;
                CX_STRINGS urls = CX_STRINGS_INIT;
                r = cx_rest_get(rest, CX_REF("", "v1", "services", namespace, m->args.items[0]), &service, err);
                if (r < 0 && err && cx_error_is(err, CX_REASON_NOT_FOUND))
                        return no_such_service(m->args.items[0], namespace, err);
                if (r < 0)
                        break;
                const char *type = cx_json_string(service, "spec.type");
                bool waits = cx_streq(type, "LoadBalancer") && !cx_json_count(service, "status.loadBalancer.ingress");
                if (waits && cx_time_monotonic() < deadline) {
                        (void)poll(NULL, 0, 50);
                        continue;
                }
                add_urls(&m->profile, service, &urls);
                if (!urls.count)
                        return cx_error_set(err, -EADDRNOTAVAIL, "service %s/%s has no node port", namespace,
                                            m->args.items[0]);
                for (size_t i = 0; i < urls.count; i++)
                        printf("%s\n", urls.items[i]);
                return 0;
        }
        return r;
}

int cx_command_tunnel(struct cx_minikube *m, struct cx_error *err)
{
        int r = cx_need_running(m, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *node = cx_node_address(&m->profile, 0);
        const char *const up[] = {"ip", "route", "replace", CX_SERVICE_CIDR, "via", node, NULL};
        const char *const down[] = {"ip", "route", "del", CX_SERVICE_CIDR, "via", node, NULL};
        r = cx_run_ok(up, NULL, err);
        if (r < 0)
                return r;
        printf("✅  Tunnel successfully started\n📌  Cluster IPs (" CX_SERVICE_CIDR
               ") are reachable through %s; end it with "
               "Ctrl-C\n",
               node);
        fflush(stdout);
        (void)cx_process_wait_stop();
        return cx_run_ok(down, NULL, err);
}

int cx_command_kubectl(struct cx_minikube *m, struct cx_error *err)
{
        int r = cx_need_profile(m, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *program = cx_sprintf("%s/kubectl", m->profile.binaries);
        CX_CLEANUP(cx_freep) char *config = cx_profile_path(&m->profile, "kubeconfigs/admin.kubeconfig");
        CX_CLEANUP(cx_freep) char *flag = cx_sprintf("--kubeconfig=%s", config);
        CX_CLEANUP(cx_freep) char **argv = cx_alloc_array(m->args.count + 3, sizeof(char *));
        argv[0] = program;
        argv[1] = flag;
        for (size_t i = 0; i < m->args.count; i++)
                argv[i + 2] = m->args.items[i];
        cx_process_unblock_signals();
        execv(program, argv);
        return cx_error_set(err, -errno, "cannot run %s: %s", program, strerror(errno));
}
