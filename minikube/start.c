// SPDX-License-Identifier: Apache-2.0
// minikube start: certificates, network, processes, and waiting until the cluster can be used. Every step does nothing
// where its work is done already, so starting twice, or after a crash, is the same command.
#include "base/buf.h"
#include "base/process.h"
#include "base/time.h"
#include "base/version.h"
#include "format/json.h"
#include "minikube/certs.h"
#include "minikube/commands.h"
#include "minikube/network.h"
#include "minikube/services.h"

#include <stdio.h>

static int64_t begun;

static void say(const char *emoji, const char *format, ...) CX_PRINTF(2, 3);
static void say(const char *emoji, const char *format, ...)
{
        va_list args;
        va_start(args, format);
        printf("%s  ", emoji);
        vprintf(format, args);
        printf("  [%.1fs]\n", (double)(cx_time_monotonic() - begun) / 1e9);
        va_end(args);
        fflush(stdout);
}

static char *operating_system(void)
{
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        if (cx_buf_read_file(&text, "/etc/os-release") == 0) {
                const char *name = strstr(text.data, "PRETTY_NAME=\"");
                if (name) {
                        name += strlen("PRETTY_NAME=\"");
                        return cx_strndup(name, strcspn(name, "\"\n"));
                }
        }
        return cx_strdup("Linux");
}

static int check_tools(struct cx_error *err)
{
        static const char *const tools[] = {"etcd", "runc", "conmon", "iptables", "ip", "nsenter"};
        static const char *const packages[] = {"etcd-server", "runc", "conmon", "iptables", "iproute2", "util-linux"};
        static const char *const folders[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                              "/usr/bin",        "/sbin",          "/bin"};
        if (geteuid() != 0)
                return cx_error_set(
                        err, -EPERM,
                        "DRV_NEEDS_ROOT: minikube makes network namespaces and control groups. Please run it as root");
        for (size_t i = 0; i < CX_ARRAY_SIZE(tools); i++) {
                bool found = false;
                for (size_t j = 0; j < CX_ARRAY_SIZE(folders); j++) {
                        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folders[j], tools[i]);
                        found |= access(path, X_OK) == 0;
                }
                if (!found)
                        return cx_error_set(err, -ENOENT, "PROVIDER_NOT_FOUND: %s is missing: apt-get install %s",
                                            tools[i], packages[i]);
        }
        return 0;
}

// The file is copied, so that the nodes keep it when the user's goes.
static int take_registry_config(struct cx_profile *profile, const char *from, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        if (!from)
                return 0;
        int r = cx_buf_read_file(&text, from);
        if (r < 0)
                return cx_error_set(err, r, "--registry-config: cannot read %s: %s", from, strerror(-r));
        free(profile->registry_config);
        profile->registry_config = cx_profile_path(profile, "registries.yaml");
        r = cx_mkdir_all(profile->folder, 0700, err);
        return r < 0 ? r : cx_write_file(profile->registry_config, text.data, text.length, 0600, false, err);
}

static int prepare(struct cx_minikube *m, struct cx_error *err)
{
        struct cx_profile *profile = &m->profile;
        if (m->nodes_changed && profile->exists && m->nodes < profile->nodes)
                return cx_error_set(err, -EINVAL, "profile \"%s\" has %d nodes: delete it to start with fewer",
                                    profile->name, profile->nodes);
        int r = 0;
        if (!profile->exists)
                r = cx_profile_choose_index(profile, err);
        if (m->nodes_changed)
                profile->nodes = (int)m->nodes;
        for (size_t i = 0; r == 0 && i < m->extra_config.count; i++) {
                const char *text = m->extra_config.items[i];
                if (!strchr(text, '.') || !strchr(text, '='))
                        r = cx_error_set(err, -EINVAL,
                                         "--extra-config: \"%s\" must be like controller-manager.flag=value", text);
                else if (!cx_strings_has(&profile->extra, text))
                        cx_strings_add(&profile->extra, text);
        }
        if (r == 0)
                r = take_registry_config(profile, m->registry_config, err);
        return r < 0 ? r : cx_profile_save(profile, err);
}

// Labels that kubelets may not give themselves.
static int label_nodes(const struct cx_profile *profile, struct cx_rest *rest, struct cx_error *err)
{
        int r = 0;
        for (int node = 0; r == 0 && node < profile->nodes; node++) {
                CX_CLEANUP(cx_freep) char *name = cx_node_name(profile, node);
                json_auto_t *patch = json_pack("{s:{s:{s:s,s:s}}}", "metadata", "labels", "minikube.k8s.io/name",
                                               profile->name, "minikube.k8s.io/primary", node ? "false" : "true");
                if (node == 0)
                        json_object_set_new(cx_json_get(patch, "metadata.labels"),
                                            "node-role.kubernetes.io/control-plane", json_string(""));
                r = cx_rest_patch(rest, CX_REF("", "v1", "nodes", NULL, name), NULL, CX_PATCH_MERGE, patch, NULL, err);
        }
        return r;
}

int cx_command_start(struct cx_minikube *m, struct cx_error *err)
{
        struct cx_profile *profile = &m->profile;
        begun = cx_time_monotonic();
        int64_t deadline = begun + m->wait_timeout;
        CX_CLEANUP(cx_freep) char *platform = operating_system();
        CX_CLEANUP(cx_rest_freep) struct cx_rest *rest = NULL;
        int before = profile->exists ? profile->nodes : 0;
        say("😄", "[%s] minikube " CX_VERSION " on %s", profile->name, platform);
        int r = check_tools(err);
        if (r == 0)
                r = prepare(m, err);
        if (r < 0)
                return r;
        bool running = cx_service_pid(profile, "supervisor") != 0 && before == profile->nodes;
        if (running)
                say("🏃", "Updating the running \"%s\" cluster ...", profile->name);
        else
                say("👍", "Starting \"%s\" primary control-plane node in \"%s\" cluster", profile->name, profile->name);
        r = cx_certs_make(profile, err);
        if (r == 0)
                r = cx_network_up(profile, err);
        // A supervisor of fewer nodes makes room for one that knows them all; its services live on.
        if (r == 0 && before && before != profile->nodes)
                cx_supervisor_stop(profile);
        if (r == 0)
                r = cx_supervisor_start(profile, err);
        if (r == 0)
                r = cx_wait_apiserver(profile, deadline, err);
        if (r == 0)
                r = cx_admin_client(profile, CX_NS_PER_S, &rest, err);
        if (r < 0)
                return r;
        say("🐳", "Kubernetes " CX_VERSION " answers");
        r = cx_wait_nodes(profile, rest, deadline, err);
        if (r == 0)
                r = label_nodes(profile, rest, err);
        if (r < 0)
                return r;
        say("🔎", "%d node%s Ready", profile->nodes, profile->nodes == 1 ? "" : "s");
        r = cx_wait_dns(profile, deadline, err);
        if (r == 0)
                r = cx_context_write(profile, err);
        if (r < 0)
                return r;
        say("🏄", "Done! kubectl is now configured to use \"%s\" cluster and \"default\" namespace by default",
            profile->name);
        return 0;
}
