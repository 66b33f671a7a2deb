// SPDX-License-Identifier: Apache-2.0
// The table of processes that make up a cluster, with the command line of each.
#include "minikube/services.h"

#include "libcommon/base/buf.h"
#include "minikube/addons.h"
#include "minikube/registries.h"

#include <stdarg.h>

static struct cluster_service *add(struct services *services, int node, const char *name)
{
        services->items = cx_realloc_array(services->items, services->count + 1, sizeof *services->items);
        struct cluster_service *service = &services->items[services->count++];
        *service = (struct cluster_service){.name = cx_strdup(name), .node = node};
        return service;
}

static void arg(struct cluster_service *service, const char *format, ...) CX_PRINTF(2, 3);
static void arg(struct cluster_service *service, const char *format, ...)
{
        CX_BUF text = CX_BUF_INIT;
        va_list args;
        va_start(args, format);
        cx_buf_vprintf(&text, format, args);
        va_end(args);
        cx_strings_add(&service->argv, text.data);
}

static void executable(struct cluster_service *service, const struct profile *p, const char *name)
{
        arg(service, "%s/%s", p->binaries, name);
}

static void add_etcd(const struct profile *p, struct services *services)
{
        struct cluster_service *s = add(services, 0, "etcd");
        const char *f = p->folder;
        arg(s, "etcd");
        arg(s, "--name=%s", p->name);
        arg(s, "--data-dir=%s/etcd", f);
        // One member: it and the apiserver meet on the node's loopback, and nobody else has to reach it.
        arg(s, "--listen-client-urls=https://127.0.0.1:2379");
        arg(s, "--advertise-client-urls=https://127.0.0.1:2379");
        arg(s, "--listen-metrics-urls=http://127.0.0.1:2381");
        arg(s, "--listen-peer-urls=https://127.0.0.1:2380");
        arg(s, "--initial-advertise-peer-urls=https://127.0.0.1:2380");
        arg(s, "--initial-cluster=%s=https://127.0.0.1:2380", p->name);
        arg(s, "--cert-file=%s/certs/etcd/server.crt", f);
        arg(s, "--key-file=%s/certs/etcd/server.key", f);
        arg(s, "--trusted-ca-file=%s/certs/etcd/ca.crt", f);
        arg(s, "--client-cert-auth");
        arg(s, "--peer-cert-file=%s/certs/etcd/peer.crt", f);
        arg(s, "--peer-key-file=%s/certs/etcd/peer.key", f);
        arg(s, "--peer-trusted-ca-file=%s/certs/etcd/ca.crt", f);
        arg(s, "--peer-client-cert-auth");
        // It dials etcd with the server's certificate, which is no client's, and nobody uses it.
        arg(s, "--enable-grpc-gateway=false");
        arg(s, "--snapshot-count=10000");
        arg(s, "--quota-backend-bytes=2147483648");
        arg(s, "--logger=zap");
        arg(s, "--log-level=warn");
}

static void add_apiserver(const struct profile *p, struct services *services)
{
        struct cluster_service *s = add(services, 0, "kube-apiserver");
        const char *f = p->folder;
        CX_CLEANUP(cx_freep) char *address = node_address(p, 0);
        executable(s, p, "kube-apiserver");
        arg(s, "--advertise-address=%s", address);
        arg(s, "--secure-port=%d", API_PORT);
        arg(s, "--etcd-servers=https://127.0.0.1:2379");
        arg(s, "--etcd-cafile=%s/certs/etcd/ca.crt", f);
        arg(s, "--etcd-certfile=%s/certs/etcd/apiserver.crt", f);
        arg(s, "--etcd-keyfile=%s/certs/etcd/apiserver.key", f);
        arg(s, "--encryption-provider-config=%s/certs/encryption.yaml", f);
        arg(s, "--encryption-provider-config-automatic-reload");
        arg(s, "--tls-cert-file=%s/certs/apiserver.crt", f);
        arg(s, "--tls-private-key-file=%s/certs/apiserver.key", f);
        arg(s, "--client-ca-file=%s/ca.crt", p->home);
        arg(s, "--authorization-mode=Node,RBAC");
        arg(s, "--enable-bootstrap-token-auth");
        arg(s, "--service-account-key-file=%s/certs/sa.key", f);
        arg(s, "--service-account-signing-key-file=%s/certs/sa.key", f);
        arg(s, "--service-cluster-ip-range=" SERVICE_CIDR);
        arg(s, "--proxy-client-cert-file=%s/certs/front-proxy/client.crt", f);
        arg(s, "--proxy-client-key-file=%s/certs/front-proxy/client.key", f);
        arg(s, "--requestheader-client-ca-file=%s/certs/front-proxy/ca.crt", f);
        arg(s, "--requestheader-allowed-names=front-proxy-client");
        arg(s, "--kubelet-client-certificate=%s/certs/apiserver-kubelet-client.crt", f);
        arg(s, "--kubelet-client-key=%s/certs/apiserver-kubelet-client.key", f);
        arg(s, "--kubelet-certificate-authority=%s/ca.crt", p->home);
        arg(s, "--allow-privileged");
}

static void add_managers(const struct profile *p, struct services *services)
{
        const char *f = p->folder;
        struct cluster_service *s = add(services, 0, "kube-controller-manager");
        executable(s, p, "kube-controller-manager");
        arg(s, "--kubeconfig=%s/kubeconfigs/controller-manager.kubeconfig", f);
        arg(s, "--leader-elect=false");
        arg(s, "--bind-address=127.0.0.1");
        arg(s, "--client-ca-file=%s/ca.crt", p->home);
        arg(s, "--use-service-account-credentials");
        arg(s, "--allocate-node-cidrs");
        arg(s, "--cluster-cidr=" POD_CIDR);
        arg(s, "--service-cluster-ip-range=" SERVICE_CIDR);
        arg(s, "--root-ca-file=%s/ca.crt", p->home);
        arg(s, "--controllers=*,bootstrap-signer-controller,token-cleaner-controller");
        arg(s, "--service-account-private-key-file=%s/certs/sa.key", f);
        arg(s, "--cluster-signing-cert-file=%s/ca.crt", p->home);
        arg(s, "--cluster-signing-key-file=%s/ca.key", p->home);
        s = add(services, 0, "cloud-controller-manager");
        executable(s, p, "cloud-controller-manager");
        arg(s, "--kubeconfig=%s/kubeconfigs/cloud-controller-manager.kubeconfig", f);
        arg(s, "--cloud-provider=bare");
        arg(s, "--leader-elect=false");
        arg(s, "--bind-address=127.0.0.1");
        arg(s, "--client-ca-file=%s/ca.crt", p->home);
        arg(s, "--use-service-account-credentials");
        s = add(services, 0, "kube-scheduler");
        executable(s, p, "kube-scheduler");
        arg(s, "--kubeconfig=%s/kubeconfigs/scheduler.kubeconfig", f);
        arg(s, "--leader-elect=false");
        arg(s, "--bind-address=127.0.0.1");
        arg(s, "--client-ca-file=%s/ca.crt", p->home);
}

static void add_node(const struct profile *p, int node, struct services *services)
{
        const char *f = p->folder;
        CX_CLEANUP(cx_freep) char *name = node_name(p, node);
        CX_CLEANUP(cx_freep) char *address = node_address(p, node);
        CX_CLEANUP(cx_freep) char *cgroup = cgroup_root(p, node);
        CX_CLEANUP(cx_freep) char *registries = registries_path(p);
        CX_CLEANUP(cx_freep) char *kubelet = cx_sprintf("kubelet-%s", name);
        CX_CLEANUP(cx_freep) char *proxy = cx_sprintf("kube-proxy-%s", name);
        CX_CLEANUP(cx_freep) char *dns = cx_sprintf("cluster-dns-%s", name);
        struct cluster_service *s = add(services, node, kubelet);
        executable(s, p, "kubelet");
        arg(s, "--kubeconfig=%s/kubeconfigs/kubelet-%s.kubeconfig", f, name);
        arg(s, "--root-dir=%s/nodes/%s", f, name);
        arg(s, "--hostname-override=%s", name);
        arg(s, "--node-ip=%s", address);
        arg(s, "--cluster-dns=" DNS_ADDRESS);
        arg(s, "--cluster-domain=" CLUSTER_DOMAIN);
        arg(s, "--cgroup-root=%s", cgroup);
        arg(s, "--client-ca-file=%s/ca.crt", p->home);
        arg(s, "--tls-cert-file=%s/certs/kubelet-server-%s.crt", f, name);
        arg(s, "--tls-private-key-file=%s/certs/kubelet-server-%s.key", f, name);
        arg(s, "--anonymous-auth=false");
        arg(s, "--authentication-token-webhook");
        arg(s, "--authorization-mode=Webhook");
        arg(s, "--registry-config=%s", registries);
        s = add(services, node, proxy);
        executable(s, p, "kube-proxy");
        arg(s, "--kubeconfig=%s/kubeconfigs/kube-proxy.kubeconfig", f);
        arg(s, "--hostname-override=%s", name);
        arg(s, "--cluster-cidr=" POD_CIDR);
        s = add(services, node, dns);
        executable(s, p, "cluster-dns");
        arg(s, "--kubeconfig=%s/kubeconfigs/cluster-dns.kubeconfig", f);
        arg(s, "--address=" DNS_ADDRESS);
        arg(s, "--cluster-domain=" CLUSTER_DOMAIN);
        arg(s, "--secure-port=9153"); // for /metrics
        arg(s, "--bind-address=%s", address);
        arg(s, "--client-ca-file=%s/ca.crt", p->home);
}

static void add_storage_provisioner(const struct profile *p, int node, struct services *services)
{
        CX_CLEANUP(cx_freep) char *name = node_name(p, node);
        CX_CLEANUP(cx_freep) char *service = cx_sprintf("storage-provisioner-%s", name);
        struct cluster_service *s = add(services, node, service);
        executable(s, p, "storage-provisioner");
        arg(s, "--kubeconfig=%s/kubeconfigs/storage-provisioner.kubeconfig", p->folder);
        arg(s, "--node-name=%s", name);
        arg(s, "--folder=%s/volumes/%s", p->folder, name);
        arg(s, "--client-ca-file=%s/ca.crt", p->home);
}

static void add_announcer(const struct profile *p, int node, struct services *services)
{
        CX_CLEANUP(cx_freep) char *name = node_name(p, node);
        CX_CLEANUP(cx_freep) char *service = cx_sprintf("loadbalancer-announcer-%s", name);
        struct cluster_service *s = add(services, node, service);
        executable(s, p, "loadbalancer-announcer");
        arg(s, "--kubeconfig=%s/kubeconfigs/loadbalancer-announcer.kubeconfig", p->folder);
        arg(s, "--node-name=%s", name);
        arg(s, "--client-ca-file=%s/ca.crt", p->home);
}

static void add_metrics_server(const struct profile *p, struct services *services)
{
        const char *f = p->folder;
        CX_CLEANUP(cx_freep) char *name = node_name(p, 0);
        CX_CLEANUP(cx_freep) char *service = cx_sprintf("metrics-server-%s", name);
        struct cluster_service *s = add(services, 0, service);
        executable(s, p, "metrics-server");
        arg(s, "--kubeconfig=%s/kubeconfigs/metrics-server.kubeconfig", f);
        arg(s, "--secure-port=4443");
        arg(s, "--tls-cert-file=%s/certs/metrics-server-serving.crt", f);
        arg(s, "--tls-private-key-file=%s/certs/metrics-server-serving.key", f);
        arg(s, "--client-ca-file=%s/ca.crt", p->home);
        arg(s, "--requestheader-client-ca-file=%s/certs/front-proxy/ca.crt", f);
        arg(s, "--requestheader-allowed-names=front-proxy-client");
        arg(s, "--kubelet-preferred-address-types=InternalIP");
}

static void add_ingress_controller(const struct profile *p, struct services *services)
{
        const char *f = p->folder;
        CX_CLEANUP(cx_freep) char *name = node_name(p, 0);
        CX_CLEANUP(cx_freep) char *address = node_address(p, 0);
        CX_CLEANUP(cx_freep) char *service = cx_sprintf("ingress-controller-%s", name);
        struct cluster_service *s = add(services, 0, service);
        executable(s, p, "ingress-controller");
        arg(s, "--kubeconfig=%s/kubeconfigs/ingress-controller.kubeconfig", f);
        arg(s, "--bind-address=%s", address);
        arg(s, "--client-ca-file=%s/ca.crt", p->home);
        arg(s, "--publish-status-address=%s", address);
        arg(s, "--folder=%s/ingress", f);
}

static void add_dashboard(const struct profile *p, struct services *services)
{
        const char *f = p->folder;
        CX_CLEANUP(cx_freep) char *name = node_name(p, 0);
        CX_CLEANUP(cx_freep) char *address = node_address(p, 0);
        CX_CLEANUP(cx_freep) char *service = cx_sprintf("dashboard-%s", name);
        struct cluster_service *s = add(services, 0, service);
        executable(s, p, "dashboard");
        arg(s, "--server=https://%s:%d", address, API_PORT);
        arg(s, "--certificate-authority=%s/ca.crt", p->home);
        arg(s, "--bind-address=%s", address);
        arg(s, "--secure-port=%d", DASHBOARD_PORT);
        arg(s, "--tls-cert-file=%s/certs/dashboard-serving.crt", f);
        arg(s, "--tls-private-key-file=%s/certs/dashboard-serving.key", f);
        arg(s, "--allowed-host=kubernetes-dashboard.kubernetes-dashboard.svc");
        arg(s, "--login-socket=%s/run/dashboard.sock", f);
}

static void add_registry(const struct profile *p, struct services *services)
{
        CX_CLEANUP(cx_freep) char *name = node_name(p, 0);
        CX_CLEANUP(cx_freep) char *service = cx_sprintf("registry-%s", name);
        CX_CLEANUP(cx_freep) char *config = registry_config_path(p);
        struct cluster_service *s = add(services, 0, service);
        arg(s, "docker-registry");
        arg(s, "serve");
        arg(s, "%s", config);
}

// The services of addons.
static void add_addons(const struct profile *p, int node, struct services *services)
{
        if (node == 0 && addon_is_on(p, "dashboard"))
                add_dashboard(p, services);
        if (node == 0 && addon_is_on(p, "ingress"))
                add_ingress_controller(p, services);
        if (addon_is_on(p, "loadbalancer"))
                add_announcer(p, node, services);
        if (node == 0 && addon_is_on(p, "metrics-server"))
                add_metrics_server(p, services);
        if (node == 0 && addon_is_on(p, "registry"))
                add_registry(p, services);
        if (addon_is_on(p, "storage-provisioner"))
                add_storage_provisioner(p, node, services);
}

// "controller-manager.flag=value" is for every service whose name begins with "[kube-]controller-manager".
static bool is_for(const char *text, const char *service)
{
        const char *name =
                cx_has_prefix(service, "kube-") && !cx_has_prefix(text, "kube-") ? service + strlen("kube-") : service;
        size_t length = strcspn(text, ".");
        return length && strncmp(name, text, length) == 0 && (!name[length] || name[length] == '-');
}

bool services_takes_extra(const char *text)
{
        static const char *const names[] = {"etcd",
                                            "kube-apiserver",
                                            "kube-controller-manager",
                                            "cloud-controller-manager",
                                            "kube-scheduler",
                                            "kubelet",
                                            "kube-proxy",
                                            "cluster-dns",
                                            "dashboard",
                                            "ingress-controller",
                                            "loadbalancer-announcer",
                                            "metrics-server",
                                            "storage-provisioner"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++)
                if (is_for(text, names[i]))
                        return true;
        return false;
}

static void add_extra(const struct profile *profile, struct cluster_service *service)
{
        for (size_t i = 0; i < profile->extra.count; i++)
                if (is_for(profile->extra.items[i], service->name))
                        arg(service, "--%s", strchr(profile->extra.items[i], '.') + 1);
}

// On a small machine memory is worth more than time: etcd collects garbage sooner (Go lets the heap grow by so many
// percent), its log and its history are shorter, and events, of which there are many, live for minutes.
static const struct {
        const char *service, *flag, *variable;
} small[] = {
        {"etcd", "--snapshot-count=500", "GOGC=10"},
        {"kube-apiserver", "--default-watch-cache-size=32", NULL},
        {"kube-apiserver", "--etcd-compaction-interval=20s", NULL},
        {"kube-apiserver", "--event-ttl=5m", NULL},
};

static void add_small(struct cluster_service *service)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(small); i++) {
                if (strcmp(small[i].service, service->name) != 0)
                        continue;
                arg(service, "%s", small[i].flag);
                if (small[i].variable)
                        cx_strings_add(&service->environment, small[i].variable);
        }
}

void services_of(const struct profile *profile, struct services *ret_services)
{
        *ret_services = (struct services){0};
        add_etcd(profile, ret_services);
        add_apiserver(profile, ret_services);
        add_managers(profile, ret_services);
        for (int node = 0; node < profile->nodes; node++)
                if (node_runs(profile, node))
                        add_node(profile, node, ret_services);
        for (int node = 0; node < profile->nodes; node++)
                if (node_runs(profile, node))
                        add_addons(profile, node, ret_services);
        for (size_t i = 0; i < ret_services->count; i++) {
                if (profile->small)
                        add_small(&ret_services->items[i]);
                add_extra(profile, &ret_services->items[i]);
        }
}

void services_release(struct services *services)
{
        for (size_t i = 0; i < services->count; i++) {
                free(services->items[i].name);
                cx_strings_release(&services->items[i].argv);
                cx_strings_release(&services->items[i].environment);
        }
        free(services->items);
        *services = (struct services){0};
}
