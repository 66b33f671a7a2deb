// SPDX-License-Identifier: Apache-2.0
// Control groups of v2, in a folder that looks like a v2 tree: what is written into which file, and what is read from them.
#include "kubelet/pod/cgroups.h"
#include "kubelet/runtime/cgroup.h"
#include "kubelet/runtime/cgroup_io.h"
#include "kubelet/runtime/runtime_internal.h"
#include "kubelet/runtime/spec.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"
#include "libcommon/base/tree.h"
#include "libcommon/format/json.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

static char root[] = "/tmp/cx-cgroup-XXXXXX";

static void put(const char *group, const char *file, const char *text)
{
        CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s%s", root, group);
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, file);
        assert_int_equal(cx_mkdir_all(folder, 0755, NULL), 0);
        assert_int_equal(cx_write_file(path, text, strlen(text), 0644, false, NULL), 0);
}

static void has(const char *group, const char *file, const char *text)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s%s/%s", root, group, file);
        CX_BUF got = CX_BUF_INIT;
        assert_true(cx_buf_read_file(&got, path) >= 0);
        assert_string_equal(got.data, text);
}

// The kernel makes a group's files with its folder; here they are made beforehand, empty.
static void group(const char *path)
{
        static const char *const files[] = {"cpu.weight", "cpu.max", "memory.max", "pids.max",
                                            "cgroup.subtree_control"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(files); i++)
                put(path, files[i], "");
}

static void limits(void **state)
{
        (void)state;
        static const struct {
                struct cgroup_limits limits;
                const char *weight, *cpu_max, *memory, *pids;
        } cases[] = {
                {{.cpu_shares = 2}, "1", "", "", ""},
                {{.cpu_shares = 1024}, "39", "", "", ""},
                {{.cpu_shares = 262144}, "10000", "", "", ""},
                {{.cpu_quota_us = 25000}, "", "25000 100000", "", ""},
                {{.cpu_quota_us = -1}, "", "max 100000", "", ""},
                {{.memory = 67108864}, "", "", "67108864", ""},
                {{.memory = -1}, "", "", "max", ""},
                {{.pids = 512}, "", "", "", "512"},
                {{.cpu_shares = 512, .cpu_quota_us = 50000, .memory = 1 << 20, .pids = 7},
                 "20",
                 "50000 100000",
                 "1048576",
                 "7"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_ERROR err = CX_ERROR_INIT;
                group("/k/podx");
                assert_int_equal(cgroup_apply("/k/podx", &cases[i].limits, &err), 0);
                has("/k/podx", "cpu.weight", cases[i].weight);
                has("/k/podx", "cpu.max", cases[i].cpu_max);
                has("/k/podx", "memory.max", cases[i].memory);
                has("/k/podx", "pids.max", cases[i].pids);
        }
}

// Burstable pods weigh what they ask for; of the others only the tier itself is written.
static void tiers(void **state)
{
        (void)state;
        static const struct {
                const char *pods, *burstable;
        } cases[] = {
                {"[]", "1"},
                {"[{'spec': {'containers': [{'name': 'c', 'resources': {'requests': {'cpu': '250m'}}}]}},"
                 " {'spec': {'containers': [{'name': 'c', 'resources': {'requests': {'cpu': '750m'}}}]}},"
                 " {'spec': {'containers': [{'name': 'c', 'resources': {'requests': {'cpu': '1', 'memory': '1Mi'},"
                 "                                                      'limits': {'cpu': '1', 'memory': '1Mi'}}}]}},"
                 " {'spec': {'containers': [{'name': 'c'}]}}]",
                 "39"},
                {"[{'spec': {'containers': [{'name': 'c', 'resources': {'requests': {'memory': '1Mi'}}}]}}]", "1"}};
        struct runtime rt = {.cgroup_root = (char[]){"/w"}};
        struct kubelet k = {.runtime = &rt, .allocatable_cpu = 2000, .pods_memory = 1 << 30};
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_ERROR err = CX_ERROR_INIT;
                CX_CLEANUP(cx_freep) char *text = cx_strdup(cases[i].pods);
                for (char *p = text; *p; p++)
                        *p = (char)(*p == '\'' ? '"' : *p);
                json_auto_t *pods = NULL;
                assert_int_equal(cx_json_parse(text, strlen(text), false, &pods, &err), 0);
                group("/w/kubepods");
                group("/w/kubepods/burstable");
                group("/w/kubepods/besteffort");
                assert_int_equal(pod_tiers_weigh(&k, pods, &err), 0);
                has("/w/kubepods", "cpu.weight", "79");
                has("/w/kubepods", "memory.max", "1073741824");
                has("/w/kubepods/burstable", "cpu.weight", cases[i].burstable);
                has("/w/kubepods/burstable", "memory.max", "");
                has("/w/kubepods/besteffort", "cpu.weight", "1");
        }
}

static void controllers(void **state)
{
        (void)state;
        CX_ERROR err = CX_ERROR_INIT;
        struct cgroup_limits none = {0};
        put("", "cgroup.subtree_control", "cpuset cpu io memory\n");
        put("/c", "cgroup.subtree_control", "cpuset cpu io memory pids\n");
        put("/c/podx", "cgroup.subtree_control", "");
        assert_int_equal(cgroup_apply("/c/podx", &none, &err), 0);
        // Only what is missing is asked for (a file takes the words over its beginning), and nothing of the group itself.
        has("", "cgroup.subtree_control", "+pidst cpu io memory\n");
        has("/c", "cgroup.subtree_control", "cpuset cpu io memory pids\n");
        has("/c/podx", "cgroup.subtree_control", "");
        // A file that is not there is an error that names it.
        struct cgroup_limits memory = {.memory = 4096};
        assert_int_equal(cgroup_apply("/c/pody", &memory, &err), -ENOENT);
        assert_non_null(strstr(cx_error_text(&err), "/c/pody/memory.max"));
}

static void usage(void **state)
{
        (void)state;
        struct cgroup_usage u = {0};
        assert_int_equal(cgroup_usage("/none", &u), -ENOENT);
        put("/u", "cpu.stat", "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n");
        put("/u", "memory.current", "1000000\n");
        put("/u", "memory.stat",
            "anon 400000\nfile 300000\ninactive_file_x 7\ninactive_anon 1\ninactive_file 250000\npgfault 12\n");
        put("/u", "pids.current", "3\n");
        assert_int_equal(cgroup_usage("/u", &u), 0);
        assert_int_equal(u.cpu_ns, 1500000);
        assert_int_equal(u.memory_usage, 1000000);
        assert_int_equal(u.memory_working_set, 750000);
        assert_int_equal(u.memory_rss, 400000);
        assert_int_equal(u.page_faults, 12);
        assert_int_equal(u.pids, 3);
        // More inactive pages than memory (read a moment later) is a working set of nothing.
        put("/u", "memory.current", "1000\n");
        assert_int_equal(cgroup_usage("/u", &u), 0);
        assert_int_equal(u.memory_working_set, 0);
}

static void tree(void **state)
{
        (void)state;
        CX_ERROR err = CX_ERROR_INIT;
        CX_CLEANUP(cx_freep) char *inner = cx_sprintf("%s/t/podx/c1/nested", root);
        CX_CLEANUP(cx_freep) char *top = cx_sprintf("%s/t/podx", root);
        assert_int_equal(cx_mkdir_all(inner, 0755, &err), 0);
        json_auto_t *children = cgroup_children("/t");
        assert_int_equal(json_array_size(children), 1);
        assert_string_equal(json_string_value(json_array_get(children, 0)), "podx");
        assert_int_equal(cgroup_remove("/t/podx", &err), 0);
        assert_int_equal(access(top, F_OK), -1);
        assert_int_equal(cgroup_remove("/t/podx", &err), 0); // again
        assert_int_equal(cgroup_remove("/", &err), -EINVAL);
}

static void spec(void **state)
{
        (void)state;
        json_auto_t *container = json_pack("{s:s, s:{s:{s:s, s:s}, s:{s:s}}}", "name", "c", "resources", "limits",
                                           "cpu", "250m", "memory", "64Mi", "requests", "cpu", "100m");
        json_auto_t *pod = json_pack("{s:{s:[O]}}", "spec", "containers", container), *image = json_object();
        CX_STRINGS args = CX_STRINGS_INIT;
        cx_strings_add(&args, "true");
        struct spec_input in = {.pod = pod,
                                .container = container,
                                .image_config = image,
                                .rootfs = root,
                                .shm = "/dev/shm",
                                .resolv_conf = "/etc/resolv.conf",
                                .hosts = "/etc/hosts",
                                .args = &args,
                                .env = &(struct cx_strings){0},
                                .cgroups_path = "/k/podx/c",
                                .pids_limit = 10,
                                .devices = (struct spec_device[]){{.path = (char *)"/dev/a", .major = 7, .minor = 3},
                                                                  {.path = (char *)"/dev/b", .read_only = true}},
                                .n_devices = 2};
        for (int v2 = 0; v2 < 2; v2++) {
                CX_ERROR err = CX_ERROR_INIT;
                json_auto_t *built = NULL;
                in.cgroup_v2 = v2;
                assert_int_equal(spec_build(&in, &built, &err), 0);
                const json_t *resources = cx_json_get(built, "linux.resources");
                // runc turns shares and quota into weight and max by itself.
                assert_int_equal(cx_json_int(resources, "cpu.shares", 0), 102);
                assert_int_equal(cx_json_int(resources, "cpu.quota", 0), 25000);
                assert_int_equal(cx_json_int(resources, "memory.limit", 0), 67108864);
                assert_int_equal(cx_json_int(resources, "pids.limit", 0), 10);
                const json_t *unified = json_object_get(resources, "unified");
                const char *together = json_string_value(json_object_get(unified, "memory.oom.group"));
                assert_true(cx_streq(together, "1") == (v2 == 1));
                bool own_group = cx_json_find(cx_json_get(built, "linux.namespaces"), "type", "cgroup") != NULL;
                assert_true(own_group == (v2 == 1));
                // A device is given and allowed; what is not said stays forbidden.
                const json_t *devices = cx_json_get(built, "linux.devices"),
                             *rules = json_object_get(resources, "devices");
                assert_int_equal(json_array_size(devices), 2);
                assert_string_equal(cx_json_string(json_array_get(devices, 0), "path"), "/dev/a");
                assert_int_equal(json_array_size(rules), 3);
                assert_false(cx_json_bool(json_array_get(rules, 0), "allow", true));
                assert_int_equal(cx_json_int(json_array_get(rules, 1), "major", 0), 7);
                assert_int_equal(cx_json_int(json_array_get(rules, 1), "minor", 0), 3);
                assert_string_equal(cx_json_string(json_array_get(rules, 1), "access"), "rw");
                assert_string_equal(cx_json_string(json_array_get(rules, 2), "access"), "r");
        }
}

static const struct cgroup_io *io_of(const struct cgroup_io *list, size_t count, const char *device)
{
        for (size_t i = 0; i < count; i++)
                if (strcmp(list[i].device, device) == 0)
                        return &list[i];
        return NULL;
}

static void io_is(const struct cgroup_io *io, uint64_t read_bytes, uint64_t written_bytes, uint64_t reads,
                  uint64_t writes)
{
        assert_non_null(io);
        assert_int_equal(io->read_bytes, read_bytes);
        assert_int_equal(io->written_bytes, written_bytes);
        assert_int_equal(io->reads, reads);
        assert_int_equal(io->writes, writes);
}

// Devices 4095:* are nobody's, and so keep their numbers as names.
static void io_of_v2(void **state)
{
        (void)state;
        struct cgroup_io list[MAX_IO_DEVICES];
        put("/io", "io.stat",
            "4095:1 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n"
            "4095:2 \n4095:3 rbytes=1 wbytes=0 rios=18446744073709551615 wios=0 dbytes=0 dios=0\nnonsense\n");
        size_t count = cgroup_io_read("/io", list);
        assert_int_equal(count, 2);
        io_is(io_of(list, count, "4095:1"), 4096, 8192, 1, 2);
        io_is(io_of(list, count, "4095:3"), 1, 0, UINT64_MAX, 0);
        assert_int_equal(cgroup_io_read("/none", list), 0);
}

static void io_of_v1(void **state)
{
        (void)state;
        struct cgroup_io list[MAX_IO_DEVICES];
        CX_BUF many = CX_BUF_INIT;
        cgroup_use(root, false);
        put("/blkio/io", "blkio.throttle.io_service_bytes",
            "4095:1 Read 4096\n4095:1 Write 8192\n4095:1 Sync 8192\n4095:1 Total 12288\nTotal 12288\n");
        put("/blkio/io", "blkio.throttle.io_serviced", "4095:1 Read 1\n4095:1 Write 2\n4095:4 Write 7\nTotal 10\n");
        size_t count = cgroup_io_read("/io", list);
        assert_int_equal(count, 2);
        io_is(io_of(list, count, "4095:1"), 4096, 8192, 1, 2);
        io_is(io_of(list, count, "4095:4"), 0, 0, 0, 7);
        for (int i = 0; i < 100; i++)
                cx_buf_printf(&many, "4095:%d Read 1\n", i);
        put("/blkio/many", "blkio.throttle.io_serviced", many.data);
        assert_int_equal(cgroup_io_read("/many", list), MAX_IO_DEVICES);
        cgroup_use(root, true);
}

static void take_in_v1(void **state)
{
        (void)state;
        static const char *const hierarchies[] = {"memory", "systemd", "unified"};
        cgroup_use(root, false);
        for (size_t i = 0; i < CX_ARRAY_SIZE(hierarchies); i++) {
                CX_CLEANUP(cx_freep) char *folder = cx_sprintf("/%s/conmon", hierarchies[i]);
                put(folder, "cgroup.procs", "");
        }
        cgroup_take_in("/conmon", 4242);
        for (size_t i = 0; i < CX_ARRAY_SIZE(hierarchies); i++) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s/conmon/cgroup.procs", root, hierarchies[i]);
                CX_BUF text = CX_BUF_INIT;
                assert_int_equal(cx_buf_read_file(&text, path), 0);
                assert_string_equal(text.data, "4242");
        }
        cgroup_use(root, true);
}

int main(void)
{
        if (!mkdtemp(root))
                return 1;
        cgroup_use(root, true);
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(limits),   cmocka_unit_test(tiers),    cmocka_unit_test(controllers),
                cmocka_unit_test(usage),    cmocka_unit_test(tree),     cmocka_unit_test(spec),
                cmocka_unit_test(io_of_v2), cmocka_unit_test(io_of_v1), cmocka_unit_test(take_in_v1),
        };
        int r = cmocka_run_group_tests(tests, NULL, NULL);
        return cx_remove_tree(root, NULL) < 0 ? 1 : r;
}
