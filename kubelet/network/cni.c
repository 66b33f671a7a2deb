// SPDX-License-Identifier: Apache-2.0
// The exec protocol of network plugins: a chain of programs, each given the result of the one before.
#include "kubelet/network/cni.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>

#define OWN_NETWORK "cbr0"
#define LOCK_PATIENCE (2 * CX_NS_PER_S)

struct cni {
        char *conf_dir, *bin_dir, *state_dir;
        pthread_mutex_t lock; // guards what follows
        char *pod_cidr;
        int mtu;
};

struct cni *cni_new(const struct cni_options *o)
{
        struct cni *cni = cx_alloc(sizeof *cni);
        cni->conf_dir = cx_strdup(o->conf_dir);
        cni->bin_dir = cx_strdup(o->bin_dir);
        cni->state_dir = cx_strdup(o->state_dir);
        cni->pod_cidr = cx_strdup(o->pod_cidr && *o->pod_cidr ? o->pod_cidr : NULL);
        pthread_mutex_init(&cni->lock, NULL);
        return cni;
}

void cni_free(struct cni *cni)
{
        if (!cni)
                return;
        pthread_mutex_destroy(&cni->lock);
        free(cni->conf_dir);
        free(cni->bin_dir);
        free(cni->state_dir);
        free(cni->pod_cidr);
        free(cni);
}

void cni_set_pod_cidr(struct cni *cni, const char *pod_cidr)
{
        pthread_mutex_lock(&cni->lock);
        free(cni->pod_cidr);
        cni->pod_cidr = cx_strdup(pod_cidr);
        pthread_mutex_unlock(&cni->lock);
}

void cni_set_mtu(struct cni *cni, int mtu)
{
        pthread_mutex_lock(&cni->lock);
        cni->mtu = mtu;
        pthread_mutex_unlock(&cni->lock);
}

json_t *cni_default_config(const char *pod_cidr, int mtu, const char *state_dir)
{
        json_t *ranges = json_array();
        CX_STRINGS cidrs = CX_STRINGS_INIT;
        cx_strings_split(&cidrs, pod_cidr, ',');
        json_t *routes = json_array();
        for (size_t i = 0; i < cidrs.count; i++) {
                json_array_append_new(ranges, json_pack("[{s:s}]", "subnet", cidrs.items[i]));
                json_array_append_new(routes,
                                      json_pack("{s:s}", "dst", strchr(cidrs.items[i], ':') ? "::/0" : "0.0.0.0/0"));
        }
        // No ipMasq: it would also hide pods from pods of other nodes. The kubelet masquerades what leaves the cluster.
        // forceAddress: a node that was deleted and comes back has another range, and the bridge moves to it.
        json_t *config = json_pack(
                "{s:s, s:s, s:[{s:s, s:s, s:b, s:b, s:b, s:{s:s, s:s, s:o, s:o}}, {s:s, s:{s:b}, s:b}]}", "cniVersion",
                "1.0.0", "name", OWN_NETWORK, "plugins", "type", "bridge", "bridge", "cni0", "isGateway", 1,
                "forceAddress", 1, "hairpinMode", 1, "ipam", "type", "host-local", "dataDir", state_dir, "ranges",
                ranges, "routes", routes, "type", "portmap", "capabilities", "portMappings", 1, "snat", 1);
        if (mtu)
                json_object_set_new(json_array_get(json_object_get(config, "plugins"), 0), "mtu", json_integer(mtu));
        return config;
}

// The first *.conflist, *.conf or *.json by name, as a conf list. 0 with NULL when there is none.
static int configured(const struct cni *cni, json_t **ret_config, struct cx_error *err)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        DIR *dir = cni->conf_dir ? opendir(cni->conf_dir) : NULL;
        struct dirent *entry;
        while (dir && (entry = readdir(dir)))
                if (cx_has_suffix(entry->d_name, ".conflist") || cx_has_suffix(entry->d_name, ".conf") ||
                    cx_has_suffix(entry->d_name, ".json"))
                        cx_strings_add(&names, entry->d_name);
        if (dir)
                closedir(dir);
        cx_strings_sort(&names);
        if (!names.count)
                return 0;
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", cni->conf_dir, names.items[0]);
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        json_auto_t *config = NULL;
        int r = cx_buf_read_file(&text, path);
        if (r < 0)
                return cx_error_set(err, r, "cannot read %s: %s", path, strerror(-r));
        r = cx_json_parse(text.data, text.length, false, &config, err);
        if (r < 0)
                return cx_error_wrap(err, "%s", path);
        if (!json_object_get(config, "plugins")) {
                json_t *list =
                        json_pack("{s:s, s:s, s:[O]}", "cniVersion", cx_json_string_or(config, "cniVersion", "0.3.1"),
                                  "name", cx_json_string_or(config, "name", "default"), "plugins", config);
                json_decref(config);
                config = list;
        }
        *ret_config = cx_steal(&config);
        return 0;
}

static int current_config(struct cni *cni, json_t **ret_config, bool *ret_own, struct cx_error *err)
{
        int r = configured(cni, ret_config, err);
        if (r < 0 || *ret_config)
                return r;
        pthread_mutex_lock(&cni->lock);
        CX_CLEANUP(cx_freep) char *cidr = cx_strdup(cni->pod_cidr);
        int mtu = cni->mtu;
        pthread_mutex_unlock(&cni->lock);
        if (!cidr)
                return cx_error_set(err, -EAGAIN, "network is not ready: the node has no podCIDR yet");
        *ret_own = true;
        CX_CLEANUP(cx_freep) char *leases = cx_sprintf("%s/networks", cni->state_dir);
        *ret_config = cni_default_config(cidr, mtu, leases);
        return 0;
}

const char *cni_not_ready(struct cni *cni)
{
        json_auto_t *config = NULL;
        bool own = false;
        return current_config(cni, &config, &own, NULL) == 0
                       ? NULL
                       : "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
                         "message:Network plugin returns error: cni plugin not initialized";
}

static char *find_plugin(const struct cni *cni, const char *type)
{
        if (!*type || strchr(type, '/'))
                return NULL;
        CX_STRINGS folders = CX_STRINGS_INIT;
        cx_strings_split(&folders, cni->bin_dir, ':');
        for (size_t i = 0; i < folders.count; i++) {
                char *path = cx_sprintf("%s/%s", folders.items[i], type);
                if (access(path, X_OK) == 0)
                        return path;
                free(path);
        }
        return NULL;
}

static int plugin_error(const char *type, const char *command, int status, const struct cx_buf *out,
                        const struct cx_buf *complaint, struct cx_error *err)
{
        json_auto_t *answer = NULL;
        const char *message = NULL, *details = NULL;
        if (cx_json_parse(out->data, out->length, false, &answer, NULL) == 0) {
                message = cx_json_string(answer, "msg");
                details = cx_json_string(answer, "details");
        }
        return cx_error_set(err, -EIO, "plugin type=\"%s\" failed (%s): %s%s%s", type, command,
                            message            ? message
                            : *complaint->data ? complaint->data
                                               : CX_INT(status),
                            details && *details ? "; " : "", cx_str(details));
}

struct plugin_call {
        const struct cni_pod *pod;
        const char *command, *type; // "ADD" or "DEL"; the plugin
        const json_t *conf;
};

// ret_result: NULL when there is none to be expected.
static int exec_plugin(const struct cni *cni, const struct plugin_call *call, json_t **ret_result, struct cx_error *err)
{
        const struct cni_pod *pod = call->pod;
        const char *command = call->command, *type = call->type;
        const json_t *conf = call->conf;
        CX_CLEANUP(cx_freep) char *path = find_plugin(cni, type);
        if (!path)
                return cx_error_set(err, -ENOENT, "failed to find plugin \"%s\" in path [%s]", type, cni->bin_dir);
        CX_STRINGS env = CX_STRINGS_INIT;
        CX_BUF line = CX_BUF_INIT;
        const char *const pairs[][2] = {{"CNI_COMMAND", command},
                                        {"CNI_CONTAINERID", pod->id},
                                        {"CNI_NETNS", cx_str(pod->netns)},
                                        {"CNI_IFNAME", "eth0"},
                                        {"CNI_PATH", cni->bin_dir},
                                        {"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"},
                                        // They live for milliseconds: threads and the collection of garbage only cost.
                                        {"GOMAXPROCS", "1"},
                                        {"GOGC", "off"},
                                        {"GOMEMLIMIT", "128MiB"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(pairs); i++) {
                cx_buf_clear(&line);
                cx_buf_printf(&line, "%s=%s", pairs[i][0], pairs[i][1]);
                cx_strings_add(&env, line.data);
        }
        cx_buf_clear(&line);
        cx_buf_printf(&line,
                      "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=%s;K8S_POD_NAME=%s;K8S_POD_INFRA_CONTAINER_ID=%s;"
                      "K8S_POD_UID=%s",
                      pod->namespace, pod->name, pod->id, pod->uid);
        cx_strings_add(&env, line.data);
        env.items = cx_realloc_array(env.items, env.count + 1, sizeof *env.items);
        env.items[env.count] = NULL;
        CX_BUF input = CX_BUF_INIT;
        CX_BUF out = CX_BUF_INIT;
        CX_BUF complaint = CX_BUF_INIT;
        cx_json_dump(conf, &input);
        int status = 0;
        int r = cx_run(&(struct cx_run_options){.argv = (const char *[]){path, NULL},
                                                .env = (const char *const *)env.items,
                                                .input = input.data,
                                                .input_length = input.length,
                                                .timeout = 60 * CX_NS_PER_S},
                       &out, &complaint, &status, err);
        if (r < 0)
                return r;
        if (status != 0)
                return plugin_error(type, command, status, &out, &complaint, err);
        if (!ret_result || !out.length)
                return 0;
        r = cx_json_parse(out.data, out.length, false, ret_result, err);
        return r < 0 ? cx_error_wrap(err, "plugin %s", type) : 0;
}

// What one plugin of the list is given: its part, the list's name and version, the result so far, what it can do.
static json_t *plugin_conf(const json_t *list, const json_t *plugin, const json_t *result, const json_t *port_mappings)
{
        json_t *conf = json_copy((json_t *)plugin);
        json_object_set_new(conf, "cniVersion", json_string(cx_json_string_or(list, "cniVersion", "0.3.1")));
        json_object_set_new(conf, "name", json_string(cx_json_string_or(list, "name", "default")));
        if (result)
                json_object_set(conf, "prevResult", (json_t *)result);
        if (json_is_true(cx_json_get(plugin, "capabilities.portMappings")) && json_array_size(port_mappings))
                json_object_set_new(conf, "runtimeConfig", json_pack("{s:O}", "portMappings", port_mappings));
        json_object_del(conf, "capabilities");
        return conf;
}

// portmap without ports does nothing but start: each start costs what the rest of a pod's network costs.
static bool idle_plugin(const char *type, const json_t *port_mappings)
{
        return strcmp(type, "portmap") == 0 && !json_array_size(port_mappings);
}

static void take_ips(const json_t *result, struct cx_strings *ret_ips)
{
        for (int v6 = 0; v6 < 2; v6++) {
                size_t i;
                json_t *ip;
                json_array_foreach (json_object_get(result, "ips"), i, ip) {
                        const char *address = cx_json_string_or(ip, "address", "");
                        if ((strchr(address, ':') != NULL) == (v6 == 1) && *address)
                                cx_strings_add_length(ret_ips, address, strcspn(address, "/"));
                }
        }
}

// A lease is a file with the address as its name and "sandbox's id, CR LF, interface" in it.
static bool is_leased_to_one_of(const char *path, const struct cx_strings *ids)
{
        CX_BUF text = CX_BUF_INIT_MAX(4096);
        if (cx_buf_read_file(&text, path) < 0)
                return true; // gone, or nothing of host-local's
        text.data[strcspn(text.data, "\r\n")] = '\0';
        return cx_strings_has(ids, text.data);
}

void cni_keep_leases(struct cni *cni, const struct cx_strings *ids)
{
        CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s/networks/" OWN_NETWORK, cni->state_dir);
        CX_CLEANUP(cx_freep) char *lock = cx_sprintf("%s/lock", folder); // host-local's own
        CX_CLEANUP(cx_closep) int fd = open(lock, O_RDONLY | O_CLOEXEC);
        // A plugin that hangs with the lock must not keep the kubelet from starting.
        int64_t deadline = cx_time_monotonic() + LOCK_PATIENCE;
        while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
                if (errno != EWOULDBLOCK || cx_time_monotonic() > deadline)
                        return;
                nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        }
        if (fd < 0)
                return;
        DIR *dir = opendir(folder);
        struct dirent *entry;
        while (dir && (entry = readdir(dir))) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, entry->d_name);
                // not ".", "lock", "last_reserved_ip.0"
                bool lease = entry->d_name[0] != '.' && entry->d_name[0] != 'l';
                if (lease && !is_leased_to_one_of(path, ids) && unlink(path) == 0)
                        cx_info("Gave back an address that no pod has", "address", entry->d_name);
        }
        if (dir)
                closedir(dir);
}

bool cni_is_own(const json_t *attachment)
{
        return cx_json_bool(attachment, "own", false);
}

int cni_add(struct cni *cni, const struct cni_pod *pod, json_t **ret_attachment, struct cx_strings *ret_ips,
            struct cx_error *err)
{
        json_auto_t *config = NULL, *result = NULL;
        bool own = false;
        int r = current_config(cni, &config, &own, err);
        if (r < 0)
                return r;
        size_t i;
        json_t *plugin;
        json_array_foreach (json_object_get(config, "plugins"), i, plugin) {
                const char *type = cx_json_string_or(plugin, "type", "");
                if (idle_plugin(type, pod->port_mappings))
                        continue;
                json_auto_t *conf = plugin_conf(config, plugin, result, pod->port_mappings), *next = NULL;
                r = exec_plugin(cni, &(struct plugin_call){pod, "ADD", type, conf}, &next, err);
                if (r < 0) {
                        json_auto_t *partial = json_pack("{s:O, s:O?}", "config", config, "result", result);
                        CX_ERROR ignored = CX_ERROR_INIT;
                        if (cni_del(cni, pod, partial, &ignored) < 0)
                                cx_debug(2, "Cannot undo a failed network ADD", "err", cx_error_text(&ignored));
                        return r;
                }
                if (next) {
                        json_decref(result);
                        result = cx_steal(&next);
                }
        }
        take_ips(result, ret_ips);
        if (!ret_ips->count)
                return cx_error_set(err, -EPROTO, "the CNI plugins gave no address");
        *ret_attachment = json_pack("{s:O, s:O?, s:b}", "config", config, "result", result, "own", own);
        return 0;
}

int cni_del(struct cni *cni, const struct cni_pod *pod, const json_t *attachment, struct cx_error *err)
{
        json_auto_t *config = json_incref(json_object_get(attachment, "config"));
        bool own = false;
        int r = config ? 0 : current_config(cni, &config, &own, err);
        if (r < 0)
                return r;
        const json_t *plugins = json_object_get(config, "plugins");
        for (size_t i = json_array_size(plugins); i-- > 0;) {
                const json_t *plugin = json_array_get(plugins, i);
                const char *type = cx_json_string_or(plugin, "type", "");
                if (idle_plugin(type, pod->port_mappings))
                        continue;
                json_auto_t *conf =
                        plugin_conf(config, plugin, json_object_get(attachment, "result"), pod->port_mappings);
                r = exec_plugin(cni, &(struct plugin_call){pod, "DEL", type, conf}, NULL, err);
                if (r < 0)
                        return r;
        }
        return 0;
}
