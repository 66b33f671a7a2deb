// SPDX-License-Identifier: Apache-2.0
// Three authorities: the one of all profiles signs for everybody who speaks to an apiserver or a kubelet, and also what a
// cluster signs for others (requests for certificates). etcd trusts only an authority of its own, one a profile, which
// signs etcd and the apiserver's client certificate and nothing else; its key signs for nobody from outside. So does the
// one that aggregated API servers recognize the apiserver by.
#include "minikube/certs.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"
#include "libcommon/base/random.h"
#include "libcommon/base/time.h"
#include "libcommon/format/base64.h"
#include "libcommon/net/pki.h"

#define YEAR INT64_C(31536000)
#define RENEW_BEFORE INT64_C(2592000) // 30 days

struct authority {
        char *cert, *key;
};

static void authority_release(struct authority *ca)
{
        free(ca->cert);
        free(ca->key);
}

int certs_read(const char *path, char **ret_text, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        int r = cx_buf_read_file(&text, path);
        if (r < 0)
                return cx_error_set(err, r, "cannot read %s: %s", path, strerror(-r));
        *ret_text = cx_buf_detach(&text);
        return 0;
}

static bool is_good(const char *cert_path)
{
        CX_CLEANUP(cx_freep) char *pem = NULL;
        int64_t end;
        return certs_read(cert_path, &pem, NULL) == 0 && cx_pki_not_after(pem, &end, NULL) == 0 &&
               end - RENEW_BEFORE > cx_time_now() / CX_US_PER_S;
}

static int write_pair(const char *stem, const char *cert, const char *key, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *cert_path = cx_sprintf("%s.crt", stem);
        CX_CLEANUP(cx_freep) char *key_path = cx_sprintf("%s.key", stem);
        int r = cx_write_file(key_path, key, strlen(key), 0600, false, err);
        return r < 0 ? r : cx_write_file(cert_path, cert, strlen(cert), 0644, false, err);
}

// The authority at `stem`, made when it is not there.
static int load_authority(const char *stem, const char *name, struct authority *ca, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *cert_path = cx_sprintf("%s.crt", stem);
        CX_CLEANUP(cx_freep) char *key_path = cx_sprintf("%s.key", stem);
        if (!is_good(cert_path)) {
                struct cx_certificate_spec spec = {.common_name = name, .is_ca = true, .lifetime = 10 * YEAR};
                int r = cx_pki_issue(&spec, NULL, NULL, &ca->cert, &ca->key, err);
                return r < 0 ? r : write_pair(stem, ca->cert, ca->key, err);
        }
        int r = certs_read(cert_path, &ca->cert, err);
        return r < 0 ? r : certs_read(key_path, &ca->key, err);
}

struct request {
        const char *file, *common_name, *organization;
        const struct cx_strings *dns_names, *addresses;
        bool server, client;
};

static int issue(const struct profile *profile, const struct authority *ca, const struct request *q,
                 struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *stem = profile_path(profile, "certs/%s", q->file);
        CX_CLEANUP(cx_freep) char *cert_path = cx_sprintf("%s.crt", stem);
        CX_CLEANUP(cx_freep) char *cert = NULL;
        if (is_good(cert_path))
                return 0;
        CX_STRINGS organizations = CX_STRINGS_INIT;
        if (q->organization)
                cx_strings_add(&organizations, q->organization);
        struct cx_certificate_spec spec = {.common_name = q->common_name,
                                           .organizations = &organizations,
                                           .dns_names = q->dns_names,
                                           .ip_addresses = q->addresses,
                                           .server = q->server,
                                           .client = q->client,
                                           .lifetime = YEAR};
        CX_CLEANUP(cx_freep) char *key_made = NULL;
        int r = cx_pki_issue(&spec, ca->cert, ca->key, &cert, &key_made, err);
        return r < 0 ? r : write_pair(stem, cert, key_made, err);
}

// A kubeconfig with the certificate's contents inside, so that it can be moved.
static int write_kubeconfig(const struct profile *profile, const struct authority *ca, const char *file,
                            const char *user, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *cert_path = profile_path(profile, "certs/%s.crt", file);
        CX_CLEANUP(cx_freep) char *key_path = profile_path(profile, "certs/%s.key", file);
        CX_CLEANUP(cx_freep) char *path = profile_path(profile, "kubeconfigs/%s.kubeconfig", file);
        CX_CLEANUP(cx_freep) char *cert = NULL, *key = NULL;
        CX_CLEANUP(cx_freep) char *server = node_address(profile, 0);
        CX_BUF ca64 = CX_BUF_INIT, cert64 = CX_BUF_INIT, key64 = CX_BUF_INIT, text = CX_BUF_INIT;
        int r = certs_read(cert_path, &cert, err);
        if (r == 0)
                r = certs_read(key_path, &key, err);
        if (r < 0 || !cert || !key)
                return r;
        cx_base64_encode(ca->cert, strlen(ca->cert), &ca64);
        cx_base64_encode(cert, strlen(cert), &cert64);
        cx_base64_encode(key, strlen(key), &key64);
        cx_buf_printf(
                &text,
                "apiVersion: v1\nkind: Config\nclusters:\n- name: %s\n  cluster:\n    server: https://%s:%d\n"
                "    certificate-authority-data: %s\nusers:\n- name: %s\n  user:\n    client-certificate-data: %s\n"
                "    client-key-data: %s\ncontexts:\n- name: %s\n  context:\n    cluster: %s\n    user: %s\n"
                "current-context: %s\n",
                profile->name, server, API_PORT, ca64.data, user, cert64.data, key64.data, profile->name, profile->name,
                user, profile->name);
        return cx_write_file(path, text.data, text.length, 0600, false, err);
}

static int make_server_certificates(const struct profile *profile, const struct authority *ca, struct cx_error *err)
{
        static const char *const names[] = {
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "kubernetes.default.svc." CLUSTER_DOMAIN, // NOLINT(bugprone-suspicious-missing-comma): one name
                "localhost",
                "control-plane.minikube.internal"};
        CX_STRINGS dns = CX_STRINGS_INIT, addresses = CX_STRINGS_INIT;
        CX_CLEANUP(cx_freep) char *first = node_address(profile, 0);
        CX_CLEANUP(cx_freep) char *host = host_address(profile);
        for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++)
                cx_strings_add(&dns, names[i]);
        cx_strings_add(&addresses, "127.0.0.1");
        cx_strings_add(&addresses, "10.96.0.1");
        cx_strings_add(&addresses, first);
        cx_strings_add(&addresses, host);
        struct request apiserver = {.file = "apiserver",
                                    .common_name = "minikube",
                                    .organization = "system:masters",
                                    .dns_names = &dns,
                                    .addresses = &addresses,
                                    .server = true};
        CX_STRINGS metrics = CX_STRINGS_INIT;
        cx_strings_add(&metrics, "metrics-server.kube-system.svc");
        const struct request metrics_server = {.file = "metrics-server-serving",
                                               .common_name = "metrics-server",
                                               .dns_names = &metrics,
                                               .server = true};
        CX_STRINGS dashboard_names = CX_STRINGS_INIT, dashboard_addresses = CX_STRINGS_INIT;
        cx_strings_add(&dashboard_names, "kubernetes-dashboard.kubernetes-dashboard.svc");
        cx_strings_add(&dashboard_addresses, first);
        const struct request dashboard = {.file = "dashboard-serving",
                                          .common_name = "dashboard",
                                          .dns_names = &dashboard_names,
                                          .addresses = &dashboard_addresses,
                                          .server = true};
        int r = issue(profile, ca, &apiserver, err);
        if (r == 0)
                r = issue(profile, ca, &dashboard, err);
        return r < 0 ? r : issue(profile, ca, &metrics_server, err);
}

static int make_etcd_certificates(const struct profile *profile, struct cx_error *err)
{
        CX_CLEANUP(authority_release) struct authority ca = {0};
        CX_CLEANUP(cx_freep) char *stem = profile_path(profile, "certs/etcd/ca");
        CX_STRINGS dns = CX_STRINGS_INIT, addresses = CX_STRINGS_INIT;
        cx_strings_add(&dns, "localhost");
        cx_strings_add(&addresses, "127.0.0.1");
        const struct request requests[] = {
                {.file = "etcd/server",
                 .common_name = "etcd",
                 .dns_names = &dns,
                 .addresses = &addresses,
                 .server = true},
                {.file = "etcd/peer",
                 .common_name = "etcd",
                 .dns_names = &dns,
                 .addresses = &addresses,
                 .server = true,
                 .client = true},
                {.file = "etcd/apiserver", .common_name = "kube-apiserver-etcd-client", .client = true}};
        int r = load_authority(stem, "etcd-ca", &ca, err);
        for (size_t i = 0; r == 0 && i < CX_ARRAY_SIZE(requests); i++)
                r = issue(profile, &ca, &requests[i], err);
        return r;
}

// Aggregated API servers believe who a request is from when it comes with a certificate of this authority: it signs for
// the apiserver alone.
static int make_front_proxy_certificate(const struct profile *profile, struct cx_error *err)
{
        CX_CLEANUP(authority_release) struct authority ca = {0};
        CX_CLEANUP(cx_freep) char *stem = profile_path(profile, "certs/front-proxy/ca");
        const struct request client = {
                .file = "front-proxy/client", .common_name = "front-proxy-client", .client = true};
        int r = load_authority(stem, "front-proxy-ca", &ca, err);
        return r < 0 ? r : issue(profile, &ca, &client, err);
}

static int make_node_certificates(const struct profile *profile, const struct authority *ca, int node,
                                  struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *name = node_name(profile, node);
        CX_CLEANUP(cx_freep) char *user = cx_sprintf("system:node:%s", name);
        CX_CLEANUP(cx_freep) char *client = cx_sprintf("kubelet-%s", name);
        CX_CLEANUP(cx_freep) char *server = cx_sprintf("kubelet-server-%s", name);
        CX_CLEANUP(cx_freep) char *address = node_address(profile, node);
        CX_STRINGS dns = CX_STRINGS_INIT, addresses = CX_STRINGS_INIT;
        cx_strings_add(&dns, name);
        cx_strings_add(&addresses, address);
        cx_strings_add(&addresses, "127.0.0.1");
        struct request q = {.file = client, .common_name = user, .organization = "system:nodes", .client = true};
        int r = issue(profile, ca, &q, err);
        if (r == 0)
                r = write_kubeconfig(profile, ca, client, user, err);
        q = (struct request){.file = server,
                             .common_name = user,
                             .organization = "system:nodes",
                             .dns_names = &dns,
                             .addresses = &addresses,
                             .server = true};
        return r < 0 ? r : issue(profile, ca, &q, err);
}

static int make_service_account_key(const struct profile *profile, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = profile_path(profile, "certs/sa.key");
        CX_CLEANUP(cx_freep) char *key = NULL;
        if (access(path, R_OK) == 0)
                return 0;
        int r = cx_pki_new_key(&key, err);
        return r < 0 ? r : cx_write_file(path, key, strlen(key), 0600, false, err);
}

// Secrets are encrypted from the first start on. The key is made once: a cluster that lost it has lost its Secrets.
static int make_encryption_config(const struct profile *profile, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = profile_path(profile, "certs/encryption.yaml");
        unsigned char key[32];
        CX_BUF secret = CX_BUF_INIT, text = CX_BUF_INIT;
        if (access(path, F_OK) == 0)
                return 0;
        cx_random_bytes(key, sizeof key);
        cx_base64_encode(key, sizeof key, &secret);
        cx_buf_printf(&text,
                      "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"
                      "- resources: [secrets]\n  providers:\n  - secretbox:\n      keys:\n      - name: key1\n"
                      "        secret: %s\n  - identity: {}\n",
                      secret.data);
        return cx_write_file(path, text.data, text.length, 0600, true, err);
}

int certs_make(const struct profile *profile, struct cx_error *err)
{
        static const struct {
                const char *file, *user, *organization;
                bool kubeconfig;
        } clients[] = {{"admin", "minikube-user", "system:masters", true},
                       {"controller-manager", "system:kube-controller-manager", NULL, true},
                       {"cloud-controller-manager", "system:cloud-controller-manager", NULL, true},
                       {"scheduler", "system:kube-scheduler", NULL, true},
                       {"kube-proxy", "system:kube-proxy", NULL, true},
                       {"cluster-dns", "system:cluster-dns", NULL, true},
                       {"ingress-controller", "system:ingress-controller", NULL, true},
                       {"loadbalancer-announcer", "system:loadbalancer-announcer", NULL, true},
                       {"metrics-server", "system:metrics-server", NULL, true},
                       {"storage-provisioner", "system:storage-provisioner", NULL, true},
                       {"apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters", false}};
        static const char *const folders[] = {"certs/etcd", "certs/front-proxy", "kubeconfigs", "logs", "run", "nodes"};
        CX_CLEANUP(authority_release) struct authority ca = {0};
        CX_CLEANUP(cx_freep) char *stem = cx_sprintf("%s/ca", profile->home);
        int r = 0;
        for (size_t i = 0; r == 0 && i < CX_ARRAY_SIZE(folders); i++) {
                CX_CLEANUP(cx_freep) char *path = profile_path(profile, "%s", folders[i]);
                r = cx_mkdir_all(path, 0700, err);
        }
        if (r == 0)
                r = load_authority(stem, "minikubeCA", &ca, err);
        if (r == 0)
                r = make_etcd_certificates(profile, err);
        if (r == 0)
                r = make_front_proxy_certificate(profile, err);
        if (r == 0)
                r = make_server_certificates(profile, &ca, err);
        if (r == 0)
                r = make_service_account_key(profile, err);
        if (r == 0)
                r = make_encryption_config(profile, err);
        for (size_t i = 0; r == 0 && i < CX_ARRAY_SIZE(clients); i++) {
                struct request q = {.file = clients[i].file,
                                    .common_name = clients[i].user,
                                    .organization = clients[i].organization,
                                    .client = true};
                r = issue(profile, &ca, &q, err);
                if (r == 0 && clients[i].kubeconfig)
                        r = write_kubeconfig(profile, &ca, clients[i].file, clients[i].user, err);
        }
        for (int node = 0; r == 0 && node < profile->nodes; node++)
                if (node_there(profile, node))
                        r = make_node_certificates(profile, &ca, node, err);
        return r;
}
