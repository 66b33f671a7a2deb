// SPDX-License-Identifier: Apache-2.0
// What a Node object says about this machine.
#include "kubelet/image/registry.h"
#include "kubelet/image/store.h"
#include "kubelet/network/cni.h"
#include "kubelet/node/node.h"
#include "kubelet/runtime/runtime.h"
#include "libcommon/base/address.h"
#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/base/version.h"
#include "libcommon/format/json.h"

#include <net/if.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>

static void add_first(void *context, const struct cx_interface *interface)
{
        struct cx_strings *ips = context;
        char text[CX_ADDRESS_TEXT];
        if (!ips->count && interface->address.family == CX_IPV4 && !(interface->flags & IFF_LOOPBACK))
                cx_strings_add(ips, cx_address_format(&interface->address, text));
}

void node_detect_ips(struct cx_strings *ret_ips)
{
        // The address that traffic to the world would come from; no packet is sent.
        const struct cx_address far = {CX_IPV4, {8, 8, 8, 8}};
        struct sockaddr_storage address;
        struct cx_address own;
        char text[CX_ADDRESS_TEXT];
        socklen_t length = cx_address_to_socket(&far, 53, &address);
        CX_CLEANUP(cx_closep) int fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&address, length) == 0 &&
            getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
            cx_address_from_socket((struct sockaddr *)&address, &own, NULL) == 0)
                cx_strings_add(ret_ips, cx_address_format(&own, text));
        else
                cx_interfaces_each(add_first, ret_ips);
}

static char *first_line(const char *path)
{
        CX_BUF text = CX_BUF_INIT_MAX(4096);
        if (cx_buf_read_file(&text, path) < 0)
                return cx_strdup("");
        text.data[strcspn(text.data, "\n")] = '\0';
        return cx_strdup(text.data);
}

static char *os_image(void)
{
        CX_BUF text = CX_BUF_INIT_MAX(16384);
        const char *p = cx_buf_read_file(&text, "/etc/os-release") == 0 ? strstr(text.data, "PRETTY_NAME=\"") : NULL;
        if (!p)
                return cx_strdup("Linux");
        p += strlen("PRETTY_NAME=\"");
        return cx_strndup(p, strcspn(p, "\"\n"));
}

static json_t *node_info(void)
{
        struct utsname u = {0};
        (void)uname(&u);
        CX_CLEANUP(cx_freep) char *machine = first_line("/etc/machine-id");
        CX_CLEANUP(cx_freep) char *boot = first_line("/proc/sys/kernel/random/boot_id");
        CX_CLEANUP(cx_freep) char *uuid = first_line("/sys/class/dmi/id/product_uuid");
        CX_CLEANUP(cx_freep) char *image = os_image();
        return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "architecture", registry_architecture(),
                         "bootID", boot, "containerRuntimeVersion", "coxswain://" CX_VERSION_NUMBER, "kernelVersion",
                         u.release, "kubeProxyVersion", "", "kubeletVersion", KUBELET_VERSION, "machineID", machine,
                         "operatingSystem", "linux", "osImage", image, "systemUUID", *uuid ? uuid : machine);
}

static json_t *resources(const struct kubelet *k, int64_t milli_cpu, int64_t memory, int64_t storage)
{
        json_t *out = json_object();
        json_object_set_new(out, "cpu",
                            milli_cpu % 1000 ? json_sprintf("%lldm", (long long)milli_cpu)
                                             : json_sprintf("%lld", (long long)milli_cpu / 1000));
        json_object_set_new(out, "memory", json_sprintf("%lldKi", (long long)(memory / 1024)));
        json_object_set_new(out, "ephemeral-storage", json_sprintf("%lldKi", (long long)(storage / 1024)));
        json_object_set_new(out, "pods", json_sprintf("%lld", (long long)k->max_pods));
        json_object_set_new(out, "hugepages-1Gi", json_string("0"));
        json_object_set_new(out, "hugepages-2Mi", json_string("0"));
        return out;
}

// --- below the thresholds ---

static bool memory_low(const struct kubelet *k, const struct node_reserved *r)
{
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        const char *p = cx_buf_read_file(&text, "/proc/meminfo") == 0 ? strstr(text.data, "MemAvailable:") : NULL;
        return p && strtoll(p + 13, NULL, 10) < threshold_of(&r->memory_available, k->node_memory) / 1024;
}

static bool disk_low(const char *root, const struct node_reserved *r)
{
        struct statvfs fs;
        if (statvfs(root, &fs) < 0 || !fs.f_blocks)
                return false;
        int64_t size = (int64_t)fs.f_blocks * (int64_t)fs.f_frsize, left = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
        return left < threshold_of(&r->disk_available, size) ||
               (fs.f_files && (int64_t)fs.f_favail < threshold_of(&r->inodes_free, (int64_t)fs.f_files));
}

static bool pids_low(const struct node_reserved *r)
{
        CX_BUF load = CX_BUF_INIT_MAX(256);
        CX_CLEANUP(cx_freep) char *max = first_line("/proc/sys/kernel/pid_max");
        int running = 0, total = 0;
        if (cx_buf_read_file(&load, "/proc/loadavg") < 0 ||
            sscanf(load.data, "%*f %*f %*f %d/%d", &running, &total) != 2)
                return false;
        int64_t most = strtoll(max, NULL, 10);
        return most - total < threshold_of(&r->pids_available, most) + r->pids;
}

static void add_condition(json_t *list, const json_t *old, const char *type, bool on, const char *reason,
                          const char *message)
{
        const json_t *before = cx_json_find(cx_json_get(old, "status.conditions"), "type", type);
        const char *value = on ? "True" : "False";
        char now[CX_TIME_TEXT];
        cx_time_format(cx_time_now(), now);
        const char *since =
                cx_streq(cx_json_string(before, "status"), value) ? cx_json_string(before, "lastTransitionTime") : NULL;
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "type", type, "status", value,
                                              "lastHeartbeatTime", now, "lastTransitionTime", since ? since : now,
                                              "reason", reason, "message", message));
}

static json_t *conditions(const struct kubelet *k, const struct node_reserved *r, const json_t *old)
{
        json_t *list = json_array();
        bool memory = memory_low(k, r), disk = disk_low(k->root, r), pids = pids_low(r);
        add_condition(list, old, "MemoryPressure", memory,
                      memory ? "KubeletHasInsufficientMemory" : "KubeletHasSufficientMemory",
                      memory ? "kubelet has insufficient memory available" : "kubelet has sufficient memory available");
        add_condition(list, old, "DiskPressure", disk, disk ? "KubeletHasDiskPressure" : "KubeletHasNoDiskPressure",
                      disk ? "kubelet has disk pressure" : "kubelet has no disk pressure");
        add_condition(list, old, "PIDPressure", pids, pids ? "KubeletHasInsufficientPID" : "KubeletHasSufficientPID",
                      pids ? "kubelet has insufficient PID available" : "kubelet has sufficient PID available");
        const char *not_ready = cni_not_ready(k->cni);
        add_condition(list, old, "Ready", !not_ready, not_ready ? "KubeletNotReady" : "KubeletReady",
                      not_ready ? not_ready : "kubelet is posting ready status");
        return list;
}

static json_t *images(const struct kubelet *k)
{
        json_auto_t *records = image_store_list(k->images);
        json_t *list = json_array(), *record;
        size_t i, n;
        json_array_foreach (records, i, record) {
                json_t *names = json_array(), *name;
                static const char *const keys[] = {"repoDigests", "repoTags"};
                for (size_t key = 0; key < CX_ARRAY_SIZE(keys); key++)
                        json_array_foreach (json_object_get(record, keys[key]), n, name)
                                json_array_append(names, name);
                json_array_append_new(
                        list, json_pack("{s:o, s:O}", "names", names, "sizeBytes", json_object_get(record, "size")));
                if (json_array_size(list) == 50)
                        break;
        }
        return list;
}

json_t *node_status(const struct kubelet *k, const struct kubelet_settings *s, const json_t *old)
{
        json_t *addresses = json_array();
        for (size_t i = 0; i < k->node_ips.count; i++)
                json_array_append_new(addresses,
                                      json_pack("{s:s, s:s}", "type", "InternalIP", "address", k->node_ips.items[i]));
        json_array_append_new(addresses, json_pack("{s:s, s:s}", "type", "Hostname", "address", k->node_name));
        struct statvfs fs = {0};
        (void)statvfs(k->root, &fs);
        int64_t storage = (int64_t)fs.f_blocks * (int64_t)fs.f_frsize;
        json_t *capacity = resources(k, k->node_cpus * 1000, k->node_memory, storage);
        json_t *allocatable =
                resources(k, k->allocatable_cpu, k->allocatable_memory, reserved_leave_storage(&s->reserved, storage));
        json_t *out =
                json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:{s:{s:i}}}", "addresses", addresses, "allocatable",
                          allocatable, "capacity", capacity, "conditions", conditions(k, &s->reserved, old), "nodeInfo",
                          node_info(), "images", images(k), "daemonEndpoints", "kubeletEndpoint", "Port", (int)s->port);
        json_object_set_new(out, "runtimeHandlers",
                            json_pack("[{s:s, s:{s:b, s:b}}]", "name", "", "features", "recursiveReadOnlyMounts",
                                      runtime_recursive_read_only(k->runtime), "userNamespaces", 0));
        // Once there are some they are the provider's to say.
        if (cx_streq(s->cloud_provider, "external") && cx_json_count(old, "status.addresses"))
                json_object_del(out, "addresses");
        return out;
}
