// SPDX-License-Identifier: Apache-2.0
// What pods ask for their containers' security: enforced in the runtime configuration, or refused.
#include "kubelet/runtime/confine.h"
#include "kubelet/runtime/seccomp.h"
#include "kubelet/runtime/spec.h"
#include "libcommon/base/process.h"
#include "libcommon/base/tree.h"
#include "libcommon/format/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

static char root[] = "/tmp/cx-security-XXXXXX";

static void make(const char *path, const char *text)
{
        CX_ERROR err = CX_ERROR_INIT;
        CX_CLEANUP(cx_freep) char *full = cx_sprintf("%s/%s", root, path);
        CX_CLEANUP(cx_freep) char *folder = cx_strndup(full, (size_t)(strrchr(full, '/') - full));
        assert_int_equal(cx_mkdir_all(folder, 0755, &err), 0);
        assert_int_equal(cx_write_file(full, text, strlen(text), 0644, false, &err), 0);
}

static bool seccomp_by_default; // as seccompDefault says

// The runtime configuration of a container of a pod with these contexts, in an image that runs as `user`; NULL with *ret_r
// when it is refused.
static json_t *build_as(const char *user, const char *pod_context, const char *context, int *ret_r)
{
        json_auto_t *pod = json_pack("{s:{s:o}}", "spec", "securityContext", json_loads(pod_context, 0, NULL));
        json_auto_t *container = json_pack("{s:s, s:o}", "name", "c", "securityContext", json_loads(context, 0, NULL));
        json_auto_t *image = json_pack("{s:s}", "User", user);
        assert_non_null(pod);
        assert_non_null(container);
        CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s/seccomp", root);
        CX_STRINGS args = CX_STRINGS_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        cx_strings_add(&args, "true");
        json_t *spec = NULL;
        *ret_r = spec_build(&(struct spec_input){.pod = pod,
                                                 .container = container,
                                                 .image_config = image,
                                                 .rootfs = root,
                                                 .args = &args,
                                                 .env = &(struct cx_strings){0},
                                                 .cgroups_path = "/x",
                                                 .seccomp_folder = folder,
                                                 .seccomp_by_default = seccomp_by_default},
                            &spec, &err);
        return spec;
}

// Every field, with a value that cannot be enforced or is not one.
static void refused(void **state)
{
        (void)state;
        static const struct {
                const char *pod, *container;
                int code;
        } cases[] = {
                {"{}", "{\"procMount\": \"Unmasked\"}", -EINVAL},
                {"{}", "{\"procMount\": \"Unmasked\", \"privileged\": true}", -EINVAL},
                {"{}", "{\"procMount\": \"Other\"}", -EINVAL},
                {"{}", "{\"seccompProfile\": {\"type\": \"Localhost\", \"localhostProfile\": \"none.json\"}}", -ENOENT},
                {"{}", "{\"seccompProfile\": {\"type\": \"Localhost\", \"localhostProfile\": \"bad.json\"}}", -EBADMSG},
                {"{}", "{\"seccompProfile\": {\"type\": \"Localhost\", \"localhostProfile\": \"../out.json\"}}",
                 -ENOENT},
                {"{}", "{\"seccompProfile\": {\"type\": \"Localhost\", \"localhostProfile\": \"link.json\"}}", -ENOENT},
                {"{}", "{\"seccompProfile\": {\"type\": \"Localhost\"}}", -EINVAL},
                {"{}", "{\"seccompProfile\": {\"type\": \"Default\"}}", -EINVAL},
                {"{\"seccompProfile\": {}}", "{}", -EINVAL},
                {"{\"appArmorProfile\": {\"type\": \"Localhost\", \"localhostProfile\": \"no-such\"}}", "{}", -EINVAL},
                {"{}", "{\"appArmorProfile\": {\"type\": \"Localhost\", \"localhostProfile\": \"no-such\"}}", -EINVAL},
                {"{\"seLinuxOptions\": {\"type\": \"spc_t\"}}", "{}", -EINVAL},
                {"{}", "{\"seLinuxOptions\": {\"level\": \"s0:c1,c2\"}}", -EINVAL},
                {"{}", "{\"windowsOptions\": {\"hostProcess\": true}}", -EINVAL},
                {"{}", "{\"capabilities\": {\"add\": [\"NET_ADMINN\"]}}", -EINVAL},
                {"{}", "{\"capabilities\": {\"drop\": [\"RAW\"]}}", -EINVAL},
                {"{\"supplementalGroupsPolicy\": \"Some\"}", "{}", -EINVAL},
                {"{\"supplementalGroups\": [-1]}", "{}", -EINVAL},
                {"{\"fsGroup\": 4294967296}", "{}", -EINVAL},
                {"{\"runAsUser\": -2}", "{}", -EINVAL},
                {"{}", "{\"runAsGroup\": 4294967296}", -EINVAL},
                {"{\"runAsNonRoot\": true}", "{}", -EINVAL},
                {"{\"runAsNonRoot\": true}", "{\"runAsUser\": 0}", -EINVAL},
                {"{}", "{\"readOnlyRootFilesystem\": \"yes\"}", -EINVAL},
                {"{}", "{\"readOnlyRootFileSystem\": true}", -EINVAL},
                {"{\"privileged\": true}", "{}", -EINVAL}, // a field of the other
                {"{}", "{\"fsGroup\": 1}", -EINVAL},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                int r = 0;
                json_auto_t *spec = build_as("", cases[i].pod, cases[i].container, &r);
                if (spec || r != cases[i].code)
                        fail_msg("%s %s: %d", cases[i].pod, cases[i].container, r);
        }
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *own_users = json_pack("{s:{s:b}}", "spec", "hostUsers", 0);
        assert_int_equal(confine_check(own_users, NULL, &err), -EINVAL);
}

static bool has(const json_t *list, const char *text)
{
        size_t i;
        json_t *item;
        json_array_foreach ((json_t *)list, i, item) {
                if (cx_streq(json_string_value(item), text))
                        return true;
        }
        return false;
}

static bool allows(const json_t *filter, const char *name)
{
        size_t i;
        json_t *rule;
        json_array_foreach (json_object_get(filter, "syscalls"), i, rule) {
                if (cx_streq(cx_json_string(rule, "action"), "SCMP_ACT_ALLOW") && !json_object_get(rule, "args") &&
                    has(json_object_get(rule, "names"), name))
                        return true;
        }
        return false;
}

// A path with indices: "mounts[4].options".
static const json_t *at(const json_t *json, const char *path)
{
        CX_CLEANUP(cx_freep) char *copy = cx_strdup(path);
        char *rest = copy;
        for (char *part; json && (part = strsep(&rest, "["));) {
                if (part != copy) {
                        json = json_array_get(json, (size_t)strtoul(part, &part, 10));
                        part += strspn(part, "].");
                }
                json = *part ? cx_json_get(json, part) : json;
        }
        return json;
}

static void enforced(void **state)
{
        (void)state;
        static const struct {
                const char *user, *pod, *container, *path, *value; // the value's JSON; "-": absent
        } cases[] = {
                {"", "{}", "{}", "linux.seccomp", "-"},
                {"", "{\"seccompProfile\": {\"type\": \"RuntimeDefault\"}}", "{}", "linux.seccomp.defaultAction",
                 "\"SCMP_ACT_ERRNO\""},
                {"", "{\"seccompProfile\": {\"type\": \"RuntimeDefault\"}}",
                 "{\"seccompProfile\": {\"type\": \"Unconfined\"}}", "linux.seccomp", "-"},
                {"", "{}", "{\"seccompProfile\": {\"type\": \"Localhost\", \"localhostProfile\": \"a/good.json\"}}",
                 "linux.seccomp.defaultAction", "\"SCMP_ACT_LOG\""},
                {"", "{\"seccompProfile\": {\"type\": \"RuntimeDefault\"}}",
                 "{\"capabilities\": {\"add\": [\"SYS_ADMIN\"]}}", "linux.seccomp.defaultAction", "\"SCMP_ACT_ERRNO\""},
                {"", "{\"seccompProfile\": {\"type\": \"RuntimeDefault\"}}", "{\"privileged\": true}", "linux.seccomp",
                 "-"},
                {"", "{}", "{\"procMount\": \"Default\"}", "linux.maskedPaths[0]", "\"/proc/acpi\""},
                {"", "{}", "{}", "linux.readonlyPaths[3]", "\"/proc/sys\""},
                {"", "{}", "{\"privileged\": true}", "linux.maskedPaths", "-"},
                {"", "{}", "{}", "linux.resources.devices[0].allow", "false"},
                {"", "{}", "{\"allowPrivilegeEscalation\": false}", "process.noNewPrivileges", "true"},
                {"", "{}", "{\"allowPrivilegeEscalation\": true}", "process.noNewPrivileges", "false"},
                {"", "{}", "{\"readOnlyRootFilesystem\": true}", "root.readonly", "true"},
                {"", "{}", "{\"capabilities\": {\"drop\": [\"ALL\"]}}", "process.capabilities.bounding", "[]"},
                {"", "{}", "{\"capabilities\": {\"drop\": [\"ALL\"], \"add\": [\"CHOWN\"]}}",
                 "process.capabilities.bounding", "[\"CAP_CHOWN\"]"},
                {"", "{\"runAsUser\": 7}", "{\"runAsUser\": 8}", "process.user.uid", "8"},
                {"", "{\"runAsUser\": 7}", "{}", "process.user.uid", "7"},
                {"", "{\"runAsUser\": 7}", "{}", "process.capabilities.effective", "[]"},
                {"", "{\"runAsGroup\": 9}", "{}", "process.user.gid", "9"},
                {"bob", "{}", "{}", "process.user.uid", "1001"},
                {"bob", "{\"supplementalGroups\": [5], \"fsGroup\": 6}", "{}", "process.user.additionalGids",
                 "[1002,77,6,5]"},
                {"bob", "{\"supplementalGroupsPolicy\": \"Strict\"}", "{}", "process.user.additionalGids", "[1002]"},
                {"1001", "{\"runAsNonRoot\": true}", "{}", "process.user.uid", "1001"},
                {"", "{\"seLinuxOptions\": {}, \"seLinuxChangePolicy\": \"Recursive\"}",
                 "{\"appArmorProfile\": {\"type\": \"Unconfined\"}}", "process.apparmorProfile", "-"},
                {"", "{\"fsGroupChangePolicy\": \"OnRootMismatch\", \"sysctls\": []}", "{}", "mounts[4].options",
                 "[\"nosuid\",\"noexec\",\"nodev\",\"ro\"]"}, // /sys, also in the host's network
                {"", "{}", "{}", "mounts[5].options", "[\"nosuid\",\"noexec\",\"nodev\",\"relatime\",\"ro\"]"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                int r = 0;
                json_auto_t *spec = build_as(cases[i].user, cases[i].pod, cases[i].container, &r);
                const json_t *value = at(spec, cases[i].path);
                CX_CLEANUP(cx_freep) char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
                if (!spec || !cx_streq(text ? text : "-", cases[i].value))
                        fail_msg("%s %s: %d, %s is %s", cases[i].pod, cases[i].container, r, cases[i].path, text);
        }
        int r = 0;
        assert_null(build_as("bob", "{\"runAsNonRoot\": true}", "{}", &r)); // a name proves nothing
        assert_int_equal(r, -EINVAL);
}

// What the default filter lets through, and what only with a capability.
static void default_filter(void **state)
{
        (void)state;
        static const struct {
                const char *call, *capability; // NULL: never without arguments being looked at
        } cases[] = {{"read", ""},
                     {"openat", ""},
                     {"clone", "CAP_SYS_ADMIN"},
                     {"clone3", "CAP_SYS_ADMIN"},
                     {"unshare", "CAP_SYS_ADMIN"},
                     {"mount", "CAP_SYS_ADMIN"},
                     {"setns", "CAP_SYS_ADMIN"},
                     {"open_tree", "CAP_SYS_ADMIN"},
                     {"bpf", "CAP_BPF"},
                     {"reboot", "CAP_SYS_BOOT"},
                     {"init_module", "CAP_SYS_MODULE"},
                     {"open_by_handle_at", "CAP_DAC_READ_SEARCH"},
                     {"settimeofday", "CAP_SYS_TIME"},
                     {"iopl", "CAP_SYS_RAWIO"},
                     {"process_vm_writev", "CAP_SYS_PTRACE"},
                     {"syslog", "CAP_SYSLOG"},
                     {"io_uring_setup", NULL},
                     {"io_uring_enter", NULL},
                     {"io_uring_register", NULL},
                     {"keyctl", NULL},
                     {"add_key", NULL},
                     {"request_key", NULL},
                     {"kexec_load", NULL},
                     {"userfaultfd", NULL},
                     {"swapon", NULL},
                     {"socket", NULL},
                     {"personality", NULL}};
        json_auto_t *none = json_array(), *plain = seccomp_default(none);
        json_auto_t *admin = json_pack("[s]", "CAP_SYS_ADMIN"), *as_admin = seccomp_default(admin);
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *set = json_pack("[s]", cases[i].capability ? cases[i].capability : "CAP_SYS_ADMIN");
                json_auto_t *with = seccomp_default(set);
                bool by_nothing = cx_streq(cases[i].capability, "");
                if (allows(plain, cases[i].call) != by_nothing || allows(with, cases[i].call) != !!cases[i].capability)
                        fail_msg("%s", cases[i].call);
        }
        assert_false(allows(as_admin, "kexec_load")); // it widens the filter, and does not drop it
        const json_t *rules = json_object_get(plain, "syscalls"), *last = NULL;
        last = json_array_get(rules, json_array_size(rules) - 1);
        assert_int_equal(json_integer_value(at(last, "args[0].value")), 0x7e020000);
        last = json_array_get(rules, json_array_size(rules) - 2);
        assert_int_equal(cx_json_int(last, "errnoRet", 0), ENOSYS);
}

static void profiles(void **state)
{
        (void)state;
        static const char *const bad[] = {
                "",
                "[]",
                "7",
                "{}",
                "{\"defaultAction\": \"SCMP_ACT_NOTIFY\"}",
                "{\"defaultAction\": 3}",
                "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerPath\": \"/run/x\"}",
                "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": {}}",
                "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"a b\"], \"action\": "
                "\"SCMP_ACT_ERRNO\"}]}",
                "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"name\": \"mkdir\", \"action\": "
                "\"SCMP_ACT_ERRNO\"}]}",
                "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"a\"], \"action\": "
                "\"SCMP_ACT_ERRNO\", \"args\": [{\"index\": 6, \"value\": 1, \"op\": \"SCMP_CMP_EQ\"}]}]}",
                "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"defaultErrnoRet\": 5000}"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(bad); i++) {
                CX_ERROR err = CX_ERROR_INIT;
                json_auto_t *profile = NULL;
                if (seccomp_parse(bad[i], strlen(bad[i]), &profile, &err) != -EBADMSG)
                        fail_msg("%s", bad[i]);
        }
        // The default is a profile, too.
        json_auto_t *none = json_array(), *own = seccomp_default(none), *again = NULL;
        CX_CLEANUP(cx_freep) char *text = cx_json_text(own);
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(seccomp_parse(text, strlen(text), &again, &err), 0);
}

static void apparmor(void **state)
{
        (void)state;
        static const char loaded[] = "docker-default (enforce)\nmine (complain)\ncri-containerd.apparmor.d (enforce)\n";
        static const char ours[] = "cri-containerd.apparmor.d (enforce)\ncoxswain-default (enforce)\n";
        static const struct {
                const char *type, *profile, *loaded;
                int code;
                const char *name;
        } cases[] = {{"Unconfined", NULL, NULL, 0, NULL},
                     {"RuntimeDefault", NULL, NULL, -EINVAL, NULL},
                     {"RuntimeDefault", NULL, loaded, 0, "cri-containerd.apparmor.d"},
                     {"RuntimeDefault", NULL, ours, 0, "coxswain-default"},
                     {"RuntimeDefault", NULL, "mine (complain)\n", -EINVAL, NULL},
                     {NULL, NULL, ours, 0, "coxswain-default"},
                     {NULL, NULL, loaded, 0, "cri-containerd.apparmor.d"},
                     {NULL, NULL, "mine (complain)\n", 0, NULL},
                     {NULL, NULL, NULL, 0, NULL},
                     {"Unconfined", NULL, ours, 0, NULL},
                     {"Localhost", "mine", loaded, 0, "mine"},
                     {"Localhost", "min", loaded, -EINVAL, NULL},
                     {"Localhost", "mine", NULL, -EINVAL, NULL}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *profile =
                        json_pack("{s:s*, s:s*}", "type", cases[i].type, "localhostProfile", cases[i].profile);
                const char *name = NULL;
                CX_ERROR err = CX_ERROR_INIT;
                assert_int_equal(confine_apparmor(profile, cases[i].loaded, &name, &err), cases[i].code);
                assert_true(cx_streq(name, cases[i].name) || (!name && !cases[i].name));
        }
}

// seccompDefault is for whoever asks for nothing.
static void by_default(void **state)
{
        (void)state;
        static const struct {
                const char *context;
                bool filtered;
        } cases[] = {{"{}", true},
                     {"{\"seccompProfile\": {\"type\": \"Unconfined\"}}", false},
                     {"{\"privileged\": true}", false}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                int r;
                seccomp_by_default = true;
                json_auto_t *spec = build_as("", "{}", cases[i].context, &r);
                seccomp_by_default = false;
                assert_int_equal(r, 0);
                assert_int_equal(cx_json_get(spec, "linux.seccomp") != NULL, cases[i].filtered);
        }
}

int main(void)
{
        if (!mkdtemp(root))
                return 1;
        make("etc/passwd", "root:x:0:0::/root:/bin/sh\nbob:x:1001:1002::/:/bin/sh\n");
        make("etc/group", "root:x:0:\nbob:x:1002:\nwheel:x:77:bob\n");
        make("seccomp/a/good.json", "{\"defaultAction\": \"SCMP_ACT_LOG\"}");
        make("seccomp/bad.json", "{\"defaultAction\": \"ALLOW\"}");
        make("out.json", "{\"defaultAction\": \"SCMP_ACT_ALLOW\"}");
        CX_CLEANUP(cx_freep) char *link = cx_sprintf("%s/seccomp/link.json", root);
        if (symlink("../out.json", link) < 0)
                return 1;
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(refused),        cmocka_unit_test(enforced), cmocka_unit_test(by_default),
                cmocka_unit_test(default_filter), cmocka_unit_test(profiles), cmocka_unit_test(apparmor),
        };
        int r = cmocka_run_group_tests(tests, NULL, NULL);
        return cx_remove_tree(root, NULL) < 0 ? 1 : r;
}
