// SPDX-License-Identifier: Apache-2.0
// Profiles: their configuration on disk, the names of what belongs to them, and the first network that is free.
#include "minikube/profile.h"

#include "libcommon/api/names.h"
#include "libcommon/base/address.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"
#include "libcommon/format/json.h"

#include <dirent.h>
#include <limits.h>
#include <stdarg.h>

#define FIRST_SUBNET 49 // 192.168.49.0/24, then .58, as minikube counts
#define SUBNET_STEP 9

char *minikube_home(void)
{
        const char *own = getenv("MINIKUBE_HOME"), *home = getenv("HOME");
        if (own && *own)
                return cx_sprintf("%s/.minikube", own);
        return cx_sprintf("%s/.minikube", home && *home ? home : "/root");
}

static char *own_folder(void)
{
        char path[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
        path[n > 0 ? n : 0] = '\0';
        char *slash = strrchr(path, '/');
        if (slash)
                *slash = '\0';
        return cx_strdup(path);
}

// It names namespaces, control groups and folders, and is part of the nodes' names.
static const char *check_name(const char *name)
{
        const char *why = cx_check_dns1123_label(name);
        return why || strlen(name) <= 40 ? why : "must be no more than 40 characters";
}

int profile_open(const char *name, struct profile *ret_profile, struct cx_error *err)
{
        const char *why = check_name(name);
        if (why)
                return cx_error_set(err, -EINVAL, "MK_USAGE: profile name \"%s\" is not valid: %s", name, why);
        struct profile p = {.name = cx_strdup(name), .home = minikube_home(), .binaries = own_folder(), .nodes = 1};
        p.folder = cx_sprintf("%s/profiles/%s", p.home, name);
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/config.json", p.folder);
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        json_auto_t *config = NULL;
        if (cx_buf_read_file(&text, path) == 0) {
                CX_ERROR problem = CX_ERROR_INIT;
                if (cx_json_parse(text.data, text.length, true, &config, &problem) < 0)
                        p.broken = cx_sprintf("%s: %s", path, cx_error_text(&problem));
                p.exists = !p.broken;
                int64_t nodes = cx_json_int(config, "nodes", 1), index = cx_json_int(config, "index", 0);
                p.nodes = nodes >= 1 && nodes <= MAX_NODES ? (int)nodes : 1;
                p.index = index >= 0 && index <= MAX_INDEX ? (int)index : 0;
                // The first node is there as long as the cluster is.
                p.gone = (unsigned)cx_json_int(config, "gone", 0) & ~1U;
                p.stopped = (unsigned)cx_json_int(config, "stopped", 0) & ~1U;
                p.small = json_is_true(json_object_get(config, "small"));
                p.registry_config = cx_strdup(cx_json_string(config, "registryConfig"));
                const json_t *extra = json_object_get(config, "extraConfig");
                for (size_t i = 0; i < json_array_size(extra); i++)
                        cx_strings_add(&p.extra, cx_str(json_string_value(json_array_get(extra, i))));
                const json_t *addons = json_object_get(config, "addons");
                p.has_addons = json_is_array(addons);
                for (size_t i = 0; i < json_array_size(addons); i++)
                        cx_strings_add(&p.addons, cx_str(json_string_value(json_array_get(addons, i))));
        }
        *ret_profile = p;
        return 0;
}

int profile_save(const struct profile *p, struct cx_error *err)
{
        json_auto_t *config = json_pack("{s:s,s:i,s:I,s:I,s:i,s:b,s:s*}", "name", p->name, "nodes", p->nodes, "gone",
                                        (json_int_t)p->gone, "stopped", (json_int_t)p->stopped, "index", p->index,
                                        "small", p->small, "registryConfig", p->registry_config);
        json_t *extra = cx_json_array_at(config, "extraConfig");
        for (size_t i = 0; i < p->extra.count; i++)
                json_array_append_new(extra, json_string(p->extra.items[i]));
        json_t *addons = cx_json_array_at(config, "addons");
        for (size_t i = 0; i < p->addons.count; i++)
                json_array_append_new(addons, json_string(p->addons.items[i]));
        CX_CLEANUP(cx_freep) char *text = cx_json_text(config);
        CX_CLEANUP(cx_freep) char *path = profile_path(p, "config.json");
        int r = cx_mkdir_all(p->folder, 0700, err);
        return r < 0 ? r : cx_write_file(path, text, strlen(text), 0600, true, err);
}

void profile_contents_release(struct profile *p)
{
        free(p->name);
        free(p->folder);
        free(p->home);
        free(p->binaries);
        free(p->registry_config);
        free(p->broken);
        cx_strings_release(&p->extra);
        cx_strings_release(&p->addons);
        *p = (struct profile){0};
}

int profile_list(struct cx_strings *ret_names, struct cx_error *err CX_UNUSED)
{
        CX_CLEANUP(cx_freep) char *home = minikube_home();
        CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s/profiles", home);
        DIR *dir = opendir(folder);
        for (struct dirent *entry; dir && (entry = readdir(dir));) {
                if (!check_name(entry->d_name))
                        cx_strings_add(ret_names, entry->d_name);
        }
        if (dir)
                closedir(dir);
        cx_strings_sort(ret_names);
        return 0;
}

struct subnet_search {
        struct cx_network network;
        bool found;
};

static void look_inside(void *context, const struct cx_interface *interface)
{
        struct subnet_search *search = context;
        search->found = search->found || cx_network_has(&search->network, &interface->address);
}

bool profile_subnet_taken(int index)
{
        struct subnet_search search = {.network = {.base = {.family = CX_IPV4, .bytes = {192, 168}}, .prefix = 24}};
        search.network.base.bytes[2] = (unsigned char)(FIRST_SUBNET + SUBNET_STEP * index);
        cx_interfaces_each(look_inside, &search);
        return search.found;
}

char *profile_path(const struct profile *profile, const char *format, ...)
{
        CX_BUF path = CX_BUF_INIT;
        va_list args;
        cx_buf_printf(&path, "%s/", profile->folder);
        va_start(args, format);
        cx_buf_vprintf(&path, format, args);
        va_end(args);
        return cx_buf_detach(&path);
}

bool node_there(const struct profile *profile, int node)
{
        return node >= 0 && node < profile->nodes && !(profile->gone & 1U << node);
}

bool node_runs(const struct profile *profile, int node)
{
        return node_there(profile, node) && !(profile->stopped & 1U << node);
}

int node_count(const struct profile *profile)
{
        int count = 0;
        for (int node = 0; node < profile->nodes; node++)
                count += node_there(profile, node);
        return count;
}

int node_count_running(const struct profile *profile)
{
        int count = 0;
        for (int node = 0; node < profile->nodes; node++)
                count += node_runs(profile, node);
        return count;
}

char *node_name(const struct profile *profile, int node)
{
        return node == 0 ? cx_strdup(profile->name) : cx_sprintf("%s-m%02d", profile->name, node + 1);
}

static char *address(const struct profile *profile, const char *rest)
{
        return cx_sprintf("192.168.%d.%s", FIRST_SUBNET + SUBNET_STEP * profile->index, rest);
}

char *node_address(const struct profile *profile, int node)
{
        return address(profile, CX_INT(2 + node));
}

char *host_address(const struct profile *profile)
{
        return address(profile, "1");
}

char *bridge_name(const struct profile *profile)
{
        return cx_sprintf("mk-%d", profile->index);
}

char *balancer_cidr(const struct profile *profile)
{
        return address(profile, "128/25");
}

char *cgroup_root(const struct profile *profile, int node)
{
        CX_CLEANUP(cx_freep) char *name = node_name(profile, node);
        return cx_sprintf("/coxswain/%s/%s", profile->name, name);
}
