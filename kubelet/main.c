// SPDX-License-Identifier: Apache-2.0
// The kubelet: settings, wiring of its parts, and an orderly end that leaves containers running.
#include "kubelet/base/config.h"
#include "kubelet/base/kubelet.h"
#include "kubelet/base/pool.h"
#include "kubelet/certificates/bootstrap.h"
#include "kubelet/certificates/pair.h"
#include "kubelet/certificates/rotation.h"
#include "kubelet/csi/volume.h"
#include "kubelet/image/import.h"
#include "kubelet/image/store.h"
#include "kubelet/network/cni.h"
#include "kubelet/node/node.h"
#include "kubelet/pod/manifests.h"
#include "kubelet/pod/pods.h"
#include "kubelet/probe/probe.h"
#include "kubelet/runtime/runtime.h"
#include "kubelet/server/server.h"
#include "kubelet/volume/plugins/plugins.h"
#include "kubelet/volume/refs.h"
#include "kubelet/volume/volumes.h"
#include "libcommon/api/pod.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mounts.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>

static struct volume_plugin csi_volumes; // made when its parts are
static const struct volume_plugin *const plugins[] = {&empty_dir_plugin,
                                                      &host_path_plugin,
                                                      &config_map_plugin,
                                                      &secret_plugin,
                                                      &projected_plugin,
                                                      &downward_api_plugin,
                                                      &local_volume_plugin,
                                                      &nfs_plugin,
                                                      &image_volume_plugin,
                                                      &csi_volumes,
                                                      NULL};
#define VOLUME_THREADS 64 // that wait for devices, servers and drivers

// What main makes of the rest.
struct parts {
        struct kubelet kubelet;
        struct pods *pods;
        struct pods_parts of_pods;
        struct csi csi;
        struct importer *importer;
        struct manifests *manifests;
        struct node_agent *node;
        struct kubelet_server *server;
};

static void on_pod(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct pods *pods = context;
        if (!now) {
                json_auto_t *last = cx_object_json(old);
                if (last && cx_pod_is_mirror(last))
                        pods_mirror(pods, last, true);
                pods_remove(pods, old->uid);
                return;
        }
        if (old && strcmp(old->uid, now->uid) != 0) // deleted and made again between two lists
                pods_remove(pods, old->uid);
        json_t *object = cx_object_json(now);
        if (object && !cx_pod_is_mirror(object)) {
                pods_set(pods, object, false);
                return;
        }
        if (object)
                pods_mirror(pods, object, false);
        json_decref(object);
}

static int watch_pods(const struct kubelet *k, struct pods *pods, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *selector = cx_sprintf("spec.nodeName=%s", k->node_name);
        cx_informer_start(k->services); // first: their addresses are variables of every container
        int r = cx_informer_wait_synced(k->services, -1, err);
        if (r < 0)
                return r;
        struct cx_informer *informer = cx_informers_add(
                k->informers, &(struct cx_informer_options){.ref = {.version = "v1", .resource = "pods"},
                                                            .field_selector = selector});
        cx_informer_on_event(informer, on_pod, pods);
        cx_informer_start(informer);
        return cx_informer_wait_synced(informer, -1, err);
}

static int set_up_machine(const struct kubelet_settings *s, struct kubelet *k)
{
        static char name[256];
        if (s->hostname_override && *s->hostname_override)
                (void)cx_copy_string(name, sizeof name, s->hostname_override);
        else if (gethostname(name, sizeof name - 1) < 0)
                return -errno;
        for (char *p = name; *p; p++)
                *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
        k->node_name = name;
        struct sysinfo info;
        k->node_memory = sysinfo(&info) == 0 ? (int64_t)info.totalram * info.mem_unit : 0;
        k->node_cpus = sysconf(_SC_NPROCESSORS_ONLN);
        k->allocatable_memory = reserved_leave_memory(&s->reserved, k->node_memory);
        k->pods_memory = k->node_memory > s->reserved.memory ? k->node_memory - s->reserved.memory : 0;
        k->allocatable_cpu = reserved_leave_cpu(&s->reserved, k->node_cpus * 1000);
        if (s->node_ip && *s->node_ip)
                cx_strings_split(&k->node_ips, s->node_ip, ',');
        else
                node_detect_ips(&k->node_ips);
        return 0;
}

static int read_credentials(const struct kubelet_settings *s, struct cx_credentials *ret_credentials,
                            struct cx_error *err)
{
        CX_KUBECONFIG config = CX_KUBECONFIG_INIT;
        int r = cx_kubeconfig_load(s->kubeconfig, false, &config, err);
        if (r == 0)
                r = cx_kubeconfig_resolve(&config, NULL, ret_credentials, err);
        return r == 0 && s->rotate_certificates ? bootstrap_adopt(s->cert_dir, ret_credentials, err) : r;
}

static int connect_apiserver(const struct kubelet_settings *s, struct kubelet *k, struct cx_error *err)
{
        if (!s->kubeconfig || !*s->kubeconfig)
                return 0;
        CX_CREDENTIALS credentials = CX_CREDENTIALS_INIT;
        int r = s->bootstrap_kubeconfig && *s->bootstrap_kubeconfig ? bootstrap_join(s, k->node_name, s->cert_dir, err)
                                                                    : 0;
        if (r == 0)
                r = read_credentials(s, &credentials, err);
        if (r == 0)
                r = cx_rest_new(&credentials, &(struct cx_rest_options){.user_agent = "kubelet/" KUBELET_VERSION},
                                &k->rest, err);
        if (r < 0)
                return r;
        k->informers = cx_informers_new(k->rest);
        k->events = cx_events_new(k->rest, "kubelet", k->node_name);
        k->nodes = cx_informers_add(k->informers,
                                    &(struct cx_informer_options){.ref = {.version = "v1", .resource = "nodes"}});
        k->services = cx_informers_add(k->informers,
                                       &(struct cx_informer_options){.ref = {.version = "v1", .resource = "services"}});
        return 0;
}

static void serve_with(void *context, const char *path)
{
        CX_ERROR err = CX_ERROR_INIT;
        if (kubelet_server_use(context, path, &err) < 0)
                cx_err(&err, "Cannot serve with the new certificate");
}

// Starts to renew what is to be renewed.
static int start_rotation(const struct kubelet_settings *s, const struct parts *parts, struct cx_error *err)
{
        static struct cx_strings names; // for as long as the process
        const struct kubelet *k = &parts->kubelet;
        struct rotation_options options = {.rest = k->rest,
                                           .bootstrap_kubeconfig = s->bootstrap_kubeconfig,
                                           .folder = s->cert_dir,
                                           .name = PAIR_CLIENT,
                                           .want = {.node_name = k->node_name}};
        int r = s->rotate_certificates ? rotation_start(&options, err) : 0;
        if (r < 0 || !s->server_tls_bootstrap)
                return r;
        cx_strings_add(&names, k->node_name);
        options.name = PAIR_SERVER;
        options.want = (struct certificate_want){
                .node_name = k->node_name, .server = true, .dns_names = &names, .ip_addresses = &k->node_ips};
        options.made = serve_with;
        options.context = parts->server;
        CX_CLEANUP(cx_freep) char *path = pair_path(s->cert_dir, PAIR_SERVER);
        if (access(path, R_OK) == 0)
                serve_with(parts->server, path);
        return rotation_start(&options, err);
}

// What a CSI driver mounts in its container, in a folder below the root, has to come here, and from here into other pods: the
// root is made a shared mount when it is not on one, as upstream does. What is mounted below already stays as it is.
static int share_root(const char *root, struct cx_error *err)
{
        CX_CLEANUP(cx_mount_sharing_release) struct cx_mount_sharing sharing = {0};
        CX_STRINGS below = CX_STRINGS_INIT;
        int r = cx_mkdir_all(root, 0750, err);
        CX_CLEANUP(cx_freep) char *path = r == 0 ? realpath(root, NULL) : NULL;
        if (r == 0)
                r = cx_mount_sharing_of(root, &sharing, err);
        if (r < 0 || sharing.shared)
                return r;
        r = cx_mounts_below(root, &below, err);
        if (r < 0)
                return r;
        bool own = cx_streq(path, sharing.point);
        if (!own && below.count) {
                cx_info("Mounts below the root folder are not shared until the machine is restarted", "path", root);
                return 0;
        }
        if ((!own && mount(root, root, NULL, MS_BIND, NULL) < 0) || mount(NULL, root, NULL, MS_SHARED, NULL) < 0)
                return cx_error_set(err, -errno, "cannot make %s a shared mount: %s", root, strerror(errno));
        return 0;
}

// The folder of what means nothing after a reboot: a tmpfs, since a disk's file system takes milliseconds for what a pod's
// start makes and its end removes. It outlives the kubelet as the containers do.
static int mount_state(const char *path, struct cx_error *err)
{
        struct statfs fs;
        int r = cx_mkdir_all(path, 0711, err);
        if (r < 0 || (statfs(path, &fs) == 0 && fs.f_type == TMPFS_MAGIC))
                return r;
        if (mount("kubelet", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0711") < 0)
                return cx_error_set(err, -errno, "cannot mount a tmpfs at %s: %s", path, strerror(errno));
        return 0;
}

// With the last pod gone nothing in it is worth keeping. Not detached: whatever still uses it keeps it.
static void unmount_state(const struct kubelet *k)
{
        CX_STRINGS pods = CX_STRINGS_INIT;
        runtime_pods(k->runtime, &pods);
        if (!pods.count && umount2(k->state, UMOUNT_NOFOLLOW) < 0)
                cx_info("Cannot unmount the state folder", "path", k->state, "why", strerror(errno));
}

// Makes a folder, or gives one that an earlier version made the mode that it should have.
static int make_folder(const char *path, unsigned mode, struct cx_error *err)
{
        int r = cx_mkdir_all(path, mode, err);
        if (r == 0 && chmod(path, mode) < 0)
                return cx_error_set(err, -errno, "cannot set the mode of %s: %s", path, strerror(errno));
        return r;
}

// Makes a folder of many that have nothing to do with each other, and tells the file system (ext4's "top of a hierarchy") to
// keep those apart on the disk: in one block group, a new file passes over all that were removed there lately.
static int make_top(const char *path, unsigned mode, struct cx_error *err)
{
        int r = make_folder(path, mode, err), flags = 0;
        CX_CLEANUP(cx_closep) int fd = r == 0 ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        if (fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && !(flags & FS_TOPDIR_FL)) {
                flags |= FS_TOPDIR_FL;
                (void)ioctl(fd, FS_IOC_SETFLAGS, &flags); // others have no such thing
        }
        return r;
}

static int make_parts(const struct kubelet_settings *s, struct parts *parts, struct cx_error *err)
{
        struct kubelet *k = &parts->kubelet;
        CX_CLEANUP(cx_freep) char *images = cx_sprintf("%s/images", s->root);
        char *state = cx_sprintf("%s/state", s->root);
        k->state = state; // for as long as the process
        CX_CLEANUP(cx_freep) char *cni_state = cx_sprintf("%s/cni", state);
        CX_CLEANUP(cx_freep) char *containers = cx_sprintf("%s/containers", s->root);
        CX_CLEANUP(cx_freep) char *pods = cx_sprintf("%s/pods", s->root);
        CX_CLEANUP(cx_freep) char *state_pods = cx_sprintf("%s/pods", state);
        int r = share_root(s->root, err);
        if (r == 0)
                r = make_folder(s->root, 0750, err); // what pods have is nobody's to read
        if (r == 0)
                r = make_top(containers, 0711, err);
        if (r == 0)
                r = make_top(pods, 0750, err);
        if (r == 0)
                r = make_top(s->log_root, 0755, err);
        if (r == 0)
                r = mount_state(state, err);
        if (r == 0)
                r = make_folder(state_pods, 0750, err);
        if (r == 0)
                r = image_store_open(images, &k->images, err);
        if (r < 0)
                return r;
        k->cni = cni_new(&(struct cni_options){.conf_dir = s->cni_conf_dir,
                                               .bin_dir = s->cni_bin_dir,
                                               .state_dir = cni_state,
                                               .pod_cidr = s->pod_cidr});
        k->pool = pool_new(64);
        parts->pods = pods_new(k);
        r = runtime_open(&(struct runtime_options){.root = s->root,
                                                   .state = state,
                                                   .cgroup_root = s->cgroup_root,
                                                   .runc = s->runc,
                                                   .conmon = s->conmon,
                                                   .images = k->images,
                                                   .cni = k->cni,
                                                   .pids_limit = s->pids_limit,
                                                   .seccomp_by_default = s->seccomp_default,
                                                   .on_exit = pods_changed,
                                                   .context = parts->pods},
                         &k->runtime, err);
        if (r < 0)
                return r;
        parts->csi = (struct csi){k, csi_drivers_new(k), in_use_new()};
        csi_volumes = csi_plugin(&parts->csi);
        parts->of_pods.refs = refs_new(k->informers, pods_changed, parts->pods);
        parts->of_pods.volumes = volumes_new(&(struct volumes_options){.kubelet = k,
                                                                       .refs = parts->of_pods.refs,
                                                                       .plugins = plugins,
                                                                       .threads = VOLUME_THREADS,
                                                                       .changed = pods_changed,
                                                                       .context = parts->pods});
        parts->of_pods.probes = probes_new(k, pods_changed, parts->pods);
        return runtime_start(k->runtime, err);
}

static bool is_alive(void *context, int64_t limit)
{
        struct parts *parts = context;
        return (!parts->kubelet.informers || cx_informers_alive(parts->kubelet.informers, limit)) &&
               kubelet_server_alive(parts->server, limit / 4) && node_alive(parts->node, limit);
}

static int run(struct kubelet_settings *s, struct cx_error *err)
{
        static struct parts parts; // threads that are not waited for still use it at the end
        struct kubelet *k = &parts.kubelet;
        k->root = s->root;
        k->log_root = s->log_root;
        k->cluster_domain = s->cluster_domain;
        k->resolv_conf = s->resolv_conf;
        k->registry_config = s->registry_config;
        k->cluster_dns = s->cluster_dns;
        k->unsafe_sysctls = s->unsafe_sysctls;
        k->pids_limit = s->pids_limit;
        k->max_pods = s->max_pods;
        k->sync_frequency = s->sync_frequency;
        int r = set_up_machine(s, k);
        if (r < 0)
                return cx_error_set(err, r, "cannot learn the machine's name: %s", strerror(-r));
        r = connect_apiserver(s, k, err);
        if (r == 0)
                r = make_parts(s, &parts, err);
        CX_CLEANUP(cx_freep) char *imports = cx_sprintf("%s/images/import", s->root);
        if (r == 0)
                r = importer_start(k->images, k->registry_config, imports, &parts.importer, err);
        if (r == 0)
                r = kubelet_server_start(k, s, parts.pods, parts.of_pods.volumes, parts.of_pods.probes, &parts.server,
                                         err);
        if (r == 0)
                r = start_rotation(s, &parts, err);
        if (r == 0)
                r = csi_drivers_start(parts.csi.drivers, err);
        if (r == 0)
                r = node_start(
                        k, s,
                        &(struct node_parts){parts.pods, parts.csi.in_use, csi_drivers_node_made, parts.csi.drivers},
                        &parts.node, err);
        if (r < 0)
                return r;
        pods_start(parts.pods, &parts.of_pods);
        if (s->manifests && *s->manifests)
                r = manifests_start(parts.pods, k->node_name, s->manifests, &parts.manifests, err);
        if (r == 0 && k->rest)
                r = watch_pods(k, parts.pods, err);
        if (r < 0)
                return r;
        pods_sources_ready(parts.pods);
        cx_info("Kubelet is ready", "node", k->node_name, "version", KUBELET_VERSION);
        int number = cx_process_wait_stop_with(&(struct cx_service){.alive = is_alive, .context = &parts});
        cx_info("Kubelet is stopping; containers go on", "signal", CX_INT(number));
        kubelet_server_free(parts.server);
        importer_free(parts.importer);
        csi_drivers_stop(parts.csi.drivers);
        node_free(parts.node);
        manifests_free(parts.manifests);
        // Workers may be in the middle of starting a container: they finish, and what they started is on disk. Pulls, probes
        // and hooks are not waited for: a kubelet that starts again takes up what was left.
        pods_stop(parts.pods);
        cx_informers_free(k->informers);
        if (k->events)
                cx_events_stop(k->events);
        unmount_state(k);
        _exit(0);
}

int main(int argc, char **argv)
{
        if (argc == 3 && strcmp(argv[1], PAUSE_ARGUMENT) == 0)
                pause_main(argv[2]);
        struct kubelet_settings settings;
        CX_ERROR err = CX_ERROR_INIT;
        cx_process_init();
        if (kubelet_settings_load(&settings, argc, argv, &err) < 0) {
                fprintf(stderr, "Error: %s\n", cx_error_text(&err));
                return 1;
        }
        if (settings.version) {
                printf("Kubernetes %s\n", KUBELET_VERSION);
                return 0;
        }
        if (settings.help) {
                CX_BUF text = CX_BUF_INIT;
                kubelet_settings_help(&text);
                printf("Usage:\n  kubelet [flags]\n\nFlags:\n%s", text.data);
                return 0;
        }
        cx_log_settings.verbosity = (int)settings.verbosity;
        cx_log_settings.json = cx_streq(settings.logging_format, "json");
        umask(022);
        if (run(&settings, &err) < 0) {
                cx_err(&err, "Kubelet cannot run");
                return 1;
        }
        return 0;
}
