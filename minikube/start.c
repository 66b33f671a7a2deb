// SPDX-License-Identifier: Apache-2.0
// minikube start: certificates, network, processes, and waiting until the cluster can be used. Every step does nothing
// where its work is done already, so starting twice, or after a crash, is the same command.
#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/base/version.h"
#include "libcommon/format/json.h"
#include "libcommon/format/yaml.h"
#include "minikube/addons.h"
#include "minikube/certs.h"
#include "minikube/commands.h"
#include "minikube/habits.h"
#include "minikube/memory.h"
#include "minikube/network.h"
#include "minikube/out.h"
#include "minikube/registries.h"
#include "minikube/services.h"
#include "minikube/tools.h"

#include <signal.h>
#include <stdio.h>

#define SMALL_MACHINE (512LL << 20) // bytes; with less, memory is worth more than time

static int64_t begun;

static void say(const char *emoji, const char *format, ...) CX_PRINTF(2, 3);
static void say(const char *emoji, const char *format, ...)
{
        CX_BUF text = CX_BUF_INIT;
        va_list args;
        va_start(args, format);
        cx_buf_vprintf(&text, format, args);
        va_end(args);
        out(stdout, "%s  %s  [%.1fs]\n", emoji, text.data, (double)(cx_time_monotonic() - begun) / 1e9);
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

// Before anything is made: what the cluster runs, and where to get it.
static int check_tools(struct cx_error *err)
{
        static const struct {
                const char *program, *package;
        } tools[] = {{"etcd", "etcd-server"},   {"runc", "runc"},   {"conmon", "conmon"},
                     {"iptables", "iptables"},  {"ip", "iproute2"}, {"nsenter", "util-linux"},
                     {"conntrack", "conntrack"}};
        int r = 0;
        for (size_t i = 0; r == 0 && i < CX_ARRAY_SIZE(tools); i++)
                r = tool_check(tools[i].program, tools[i].package, err);
        if (r < 0)
                return r;
        if (access("/usr/lib/cni/bridge", X_OK) < 0 && access("/opt/cni/bin/bridge", X_OK) < 0 &&
            access("/usr/libexec/cni/bridge", X_OK) < 0)
                return cx_error_set(err, -ENOPKG,
                                    "PROVIDER_NOT_FOUND: the CNI plugins are missing: apt-get install "
                                    "containernetworking-plugins");
        return 0;
}

struct changes {
        struct cx_buf registries; // what --registry-config names
        bool arguments, registry, nodes;
};

// What the flags say, before anything is touched.
static int check_flags(struct minikube *m, struct changes *changes, struct cx_error *err)
{
        for (size_t i = 0; i < m->extra_config.count; i++) {
                const char *text = m->extra_config.items[i], *dot = strchr(text, '.');
                if (!dot || dot == text || !strchr(dot, '='))
                        return cx_error_set(err, -EINVAL,
                                            "MK_USAGE: --extra-config: \"%s\" must be like "
                                            "controller-manager.flag=value",
                                            text);
                if (!services_takes_extra(text))
                        return cx_error_set(err, -EINVAL, "MK_USAGE: --extra-config: there is no component \"%.*s\"",
                                            (int)(dot - text), text);
        }
        int r = 0;
        for (size_t i = 0; r == 0 && i < m->addons.count; i++)
                r = addon_check(m->addons.items[i], true, err);
        if (r < 0 || !m->registry_config)
                return r;
        r = cx_buf_read_file(&changes->registries, m->registry_config);
        if (r < 0)
                return cx_error_set(err, -EINVAL, "MK_USAGE: --registry-config: cannot read %s: %s", m->registry_config,
                                    strerror(-r));
        json_auto_t *documents = NULL;
        CX_ERROR why = CX_ERROR_INIT;
        if (cx_yaml_parse(changes->registries.data, changes->registries.length, &documents, &why) < 0)
                return cx_error_set(err, -EINVAL, "MK_USAGE: --registry-config: %s: %s", m->registry_config,
                                    cx_error_text(&why));
        if (json_array_size(documents) > 1 ||
            (json_array_size(documents) && !json_is_object(json_array_get(documents, 0))))
                return cx_error_set(err, -EINVAL, "MK_USAGE: --registry-config: %s must be one YAML mapping",
                                    m->registry_config);
        return 0;
}

// The file is copied, so that the nodes keep it when the user's goes.
static int take_registry_config(struct minikube *m, struct changes *changes, struct cx_error *err)
{
        struct profile *profile = &m->profile;
        CX_BUF before = CX_BUF_INIT_MAX(1 << 20);
        if (!m->registry_config)
                return 0;
        CX_CLEANUP(cx_freep) char *path = profile_path(profile, "registries.yaml");
        const struct cx_buf *text = &changes->registries;
        if (profile->registry_config)
                changes->registry = cx_buf_read_file(&before, path) < 0 || before.length != text->length ||
                                    memcmp(before.data, text->data, text->length) != 0;
        else
                changes->arguments = true;
        free(profile->registry_config);
        profile->registry_config = cx_strdup(path);
        int r = cx_mkdir_all(profile->folder, 0700, err);
        return r < 0 ? r : cx_write_file(path, text->data, text->length, 0600, false, err);
}

// A value given again replaces the one before.
static void take_extra_config(struct minikube *m, struct changes *changes)
{
        struct cx_strings *extra = &m->profile.extra;
        for (size_t i = 0; i < m->extra_config.count; i++) {
                const char *text = m->extra_config.items[i];
                size_t name = strcspn(text, "="), at = 0;
                if (cx_strings_has(extra, text))
                        continue;
                while (at < extra->count && strncmp(extra->items[at], text, name + 1) != 0)
                        at++;
                if (at == extra->count) {
                        cx_strings_add(extra, text);
                } else {
                        free(extra->items[at]);
                        extra->items[at] = cx_strdup(text);
                }
                changes->arguments = true;
        }
}

static void take_addons(struct minikube *m, struct changes *changes)
{
        struct profile *profile = &m->profile;
        size_t before = profile->addons.count;
        if (!profile->has_addons && m->install_addons)
                addons_turn_defaults(profile);
        for (size_t i = 0; i < m->addons.count; i++)
                addon_turn(profile, m->addons.items[i], true);
        changes->arguments |= profile->addons.count != before; // some have services
}

// How many there are to be, and that all of them run: but for node commands, which change one.
static int change_nodes(struct minikube *m, struct changes *changes, struct cx_error *err)
{
        struct profile *profile = &m->profile;
        unsigned gone = profile->gone, stopped = profile->stopped;
        int nodes = profile->nodes, node, r = 0;
        if (m->change)
                r = m->change(m, err);
        else
                profile->stopped = 0;
        if (!profile->exists) {
                profile->nodes = (int)m->nodes;
                profile->small = memory_of_machine("/proc/self/cgroup", "/sys/fs/cgroup") < SMALL_MACHINE;
        }
        while (r == 0 && m->nodes_changed && node_count(profile) < m->nodes)
                r = nodes_grow(profile, &node, err);
        changes->nodes =
                profile->exists && (profile->nodes != nodes || profile->gone != gone || profile->stopped != stopped);
        return r;
}

static int check_profile(const struct minikube *m, struct cx_error *err)
{
        const struct profile *profile = &m->profile;
        if (profile->broken)
                return need_profile(m, err);
        if (m->nodes_changed && profile->exists && m->nodes < node_count(profile))
                return cx_error_set(err, -EINVAL,
                                    "MK_USAGE: profile \"%s\" has %d nodes: `minikube node delete` takes one away",
                                    profile->name, node_count(profile));
        return 0;
}

static int prepare(struct minikube *m, struct changes *changes, struct cx_error *err)
{
        struct profile *profile = &m->profile;
        LOCK machine = LOCK_INIT;
        int r = check_profile(m, err);
        if (r == 0)
                r = context_check(profile, err);
        if (r == 0)
                r = machine_lock(&machine, err);
        if (r == 0 && !profile->exists)
                r = machine_choose_network(profile, err);
        if (r < 0)
                return r;
        r = change_nodes(m, changes, err);
        if (r == 0)
                r = machine_claim(profile, err);
        if (r < 0)
                return r;
        take_extra_config(m, changes);
        take_addons(m, changes);
        r = take_registry_config(m, changes, err);
        if (r == 0)
                r = profile_save(profile, err);
        if (r == 0)
                r = registries_make(profile, err);
        return r < 0 ? r : certs_make(profile, err);
}

// Labels that kubelets may not give themselves.
static int label_nodes(const struct profile *profile, struct cx_rest *rest, struct cx_error *err)
{
        int r = 0;
        for (int node = 0; r == 0 && node < profile->nodes; node++) {
                if (!node_runs(profile, node))
                        continue;
                CX_CLEANUP(cx_freep) char *name = node_name(profile, node);
                json_auto_t *patch = json_pack("{s:{s:{s:s,s:s}}}", "metadata", "labels", "minikube.k8s.io/name",
                                               profile->name, "minikube.k8s.io/primary", node ? "false" : "true");
                if (node == 0)
                        json_object_set_new(cx_json_get(patch, "metadata.labels"),
                                            "node-role.kubernetes.io/control-plane", json_string(""));
                r = cx_rest_patch(rest, CX_REF("", "v1", "nodes", NULL, name), NULL, CX_PATCH_MERGE, patch, NULL, err);
        }
        return r;
}

// The processes: those that run stay as they are, unless they were told something else.
static int run_services(const struct profile *profile, const struct changes *changes, struct cx_error *err)
{
        int r = changes->nodes || changes->arguments ? supervisor_replace(profile, err)
                                                     : supervisor_start(profile, err);
        for (int node = 0; r == 0 && changes->registry && node < profile->nodes; node++) {
                if (!node_runs(profile, node))
                        continue;
                CX_CLEANUP(cx_freep) char *name = node_name(profile, node);
                CX_CLEANUP(cx_freep) char *kubelet = cx_sprintf("kubelet-%s", name);
                service_restart(profile, kubelet); // it reads the file when it starts
        }
        return r;
}

static int bring_addons(const struct profile *profile, struct cx_rest *rest, int64_t deadline, struct cx_error *err)
{
        int r = addons_apply(profile, rest, deadline, err);
        CX_CLEANUP(cx_freep) char *names = cx_strings_join(&profile->addons, ", ");
        if (r == 0 && profile->addons.count)
                say("🌟", "Enabled addons: %s", names);
        return r;
}

static int wait_until_usable(const struct profile *profile, int64_t deadline, struct cx_error *err)
{
        CX_CLEANUP(cx_rest_freep) struct cx_rest *rest = NULL;
        int r = wait_apiserver(profile, deadline, err);
        if (r == 0)
                r = admin_client(profile, CX_NS_PER_S, &rest, err);
        if (r < 0)
                return r;
        say("🐳", "Kubernetes " CX_VERSION " answers");
        r = wait_nodes(profile, rest, deadline, err);
        if (r == 0)
                r = label_nodes(profile, rest, err);
        if (r < 0)
                return r;
        int count = node_count_running(profile);
        say("🔎", "%d node%s Ready", count, count == 1 ? "" : "s");
        r = wait_dns(profile, deadline, err);
        return r < 0 ? r : bring_addons(profile, rest, deadline, err);
}

static int write_context(const struct profile *profile, struct cx_error *err)
{
        LOCK machine = LOCK_INIT;
        int r = machine_lock(&machine, err);
        return r < 0 ? r : context_write(profile, err);
}

// --- Ctrl-C ---

// What a signal handler says has to be there before: nothing else in the program is global.
static char *interrupt_text;

static void on_interrupt(int number)
{
        (void)!write(STDERR_FILENO, interrupt_text, strlen(interrupt_text));
        _exit(128 + number);
}

// From now on the cluster is there in part, and goes on by itself where it can.
static void arm_interrupt(const struct profile *profile)
{
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("\n❗  Interrupted: \"%s\" is started in part, and what runs goes on.\n"
                                "👉  To complete it, run: \"minikube start -p %s\"\n"
                                "👉  To remove it, run: \"minikube delete -p %s\"\n",
                                profile->name, profile->name, profile->name);
        free(interrupt_text);
        interrupt_text = out_text(stderr, text);
        signal(SIGINT, on_interrupt);
        signal(SIGTERM, on_interrupt);
}

static int start(struct minikube *m, struct changes *changes, bool makes_current, struct cx_error *err)
{
        struct profile *profile = &m->profile;
        LOCK lock = LOCK_INIT;
        int r = check_flags(m, changes, err);
        if (r == 0)
                r = check_tools(err);
        if (r == 0)
                r = take_profile(profile, &lock, err);
        int64_t deadline = cx_time_monotonic() + m->wait_timeout; // after waiting for another minikube
        bool existed = profile->exists;
        if (r == 0)
                r = prepare(m, changes, err);
        if (r < 0)
                return r;
        arm_interrupt(profile);
        if (existed)
                r = cluster_resume(profile, err);
        if (r < 0)
                return r;
        bool tells = !m->change; // that has said what it does
        if (tells && existed && service_pid(profile, "supervisor"))
                say("🏃", "Updating the running \"%s\" cluster ...", profile->name);
        else if (tells)
                say("👍", "Starting \"%s\" primary control-plane node in \"%s\" cluster", profile->name, profile->name);
        r = network_up(profile, err);
        if (r == 0)
                r = run_services(profile, changes, err);
        if (r == 0)
                r = wait_until_usable(profile, deadline, err);
        if (r == 0 && makes_current)
                r = write_context(profile, err);
        return r;
}

int start_cluster(struct minikube *m, struct cx_error *err)
{
        struct changes changes = {.registries = CX_BUF_INIT_MAX(1 << 20)};
        begun = cx_time_monotonic();
        int r = start(m, &changes, !m->change, err);
        cx_buf_release(&changes.registries);
        return r;
}

// --dry-run: what a start looks at before it changes anything.
static int rehearse(struct minikube *m, struct cx_error *err)
{
        struct changes changes = {.registries = CX_BUF_INIT_MAX(1 << 20)};
        int r = check_flags(m, &changes, err);
        cx_buf_release(&changes.registries);
        if (r == 0)
                r = check_tools(err);
        if (r == 0)
                r = check_profile(m, err);
        if (r == 0)
                say("🚧", "dry-run validation complete!");
        return r;
}

int command_start(struct minikube *m, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *platform = operating_system();
        begun = cx_time_monotonic();
        int r = habits_check_version(m->kubernetes_version, err);
        if (r < 0)
                return r;
        say("😄", "[%s] minikube " CX_VERSION " on %s", m->profile.name, platform);
        habits_tell(m);
        if (m->dry_run)
                return rehearse(m, err);
        r = start_cluster(m, err);
        if (r < 0)
                return r;
        say("🏄", "Done! kubectl is now configured to use \"%s\" cluster and \"default\" namespace by default",
            m->profile.name);
        return 0;
}
