// SPDX-License-Identifier: Apache-2.0
// Expansion, arguments, downward fields, QoS, resolv.conf, atomic volumes, static pods, CNI configuration, settings.
#include "kubelet/base/config.h"
#include "kubelet/base/expand.h"
#include "kubelet/pod/container_status.h"
#include "kubelet/pod/env.h"
#include "kubelet/pod/kill.h"
#include "kubelet/pod/manifests.h"
#include "kubelet/pod/message.h"
#include "kubelet/pod/model.h"
#include "kubelet/pod/resolv.h"
#include "kubelet/runtime/cgroup.h"
#include "kubelet/volume/atomic_writer.h"
#include "kubelet/volume/downward.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/base/tree.h"
#include "libcommon/format/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static json_t *parse(const char *text)
{
        json_t *json = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_json_parse(text, strlen(text), true, &json, &err) < 0)
                fail_msg("%s", cx_error_text(&err));
        return json;
}

static void expansion(void **state)
{
        (void)state;
        CX_STRINGS env = CX_STRINGS_INIT;
        cx_strings_add(&env, "A=1");
        cx_strings_add(&env, "LONG=x y");
        static const char *const cases[][2] = {
                {"$(A)", "1"}, {"$$(A)", "$(A)"}, {"$(B)", "$(B)"}, {"$A", "$A"}, {"a$(LONG)b$(A", "ax yb$(A"},
                {"$", "$"},    {"$$", "$"},       {"", ""}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_CLEANUP(cx_freep) char *out = expand(cases[i][0], &env);
                assert_string_equal(out, cases[i][1]);
        }
}

static void arguments(void **state)
{
        (void)state;
        json_auto_t *image = parse("{\"Entrypoint\":[\"e\"],\"Cmd\":[\"c\"]}");
        static const char *const cases[][2] = {{"{}", "e c"},
                                               {"{\"args\":[\"a\"]}", "e a"},
                                               {"{\"command\":[\"x\"]}", "x"},
                                               {"{\"command\":[\"x\"],\"args\":[\"a\"]}", "x a"}};
        CX_STRINGS env = CX_STRINGS_INIT;
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *container = parse(cases[i][0]);
                CX_STRINGS args = CX_STRINGS_INIT;
                args_build(container, image, &env, &args);
                CX_CLEANUP(cx_freep) char *joined = cx_strings_join(&args, " ");
                assert_string_equal(joined, cases[i][1]);
        }
}

static void downward(void **state)
{
        (void)state;
        json_auto_t *pod = parse("{\"metadata\":{\"name\":\"p\",\"labels\":{\"b\":\"2\",\"a.io/x\":\"q\\\"\"}},"
                                 "\"status\":{\"podIPs\":[{\"ip\":\"1\"},{\"ip\":\"2\"}]}}");
        static const char *const cases[][2] = {{"metadata.name", "p"},
                                               {"metadata.labels['a.io/x']", "q\""},
                                               {"metadata.labels", "a.io/x=\"q\\\"\"\nb=\"2\""},
                                               {"status.podIPs", "1,2"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_CLEANUP(cx_freep) char *out = downward_field(pod, cases[i][0]);
                assert_string_equal(out, cases[i][1]);
        }
        assert_null(downward_field(pod, "spec.none"));
}

static void qos(void **state)
{
        (void)state;
        json_auto_t *none = parse("{\"spec\":{\"containers\":[{\"name\":\"a\"}]}}");
        json_auto_t *some = parse("{\"spec\":{\"containers\":[{\"resources\":{\"requests\":{\"memory\":\"1Gi\"}}}]}}");
        json_auto_t *all = parse("{\"spec\":{\"containers\":[{\"resources\":{\"limits\":{\"cpu\":\"1\",\"memory\":"
                                 "\"1Gi\"},\"requests\":{"
                                 "\"cpu\":\"1\",\"memory\":\"1Gi\"}}}]}}");
        const int64_t node = INT64_C(4) << 30;
        assert_int_equal(oom_score_adj(none, NULL, node), 1000);
        assert_int_equal(oom_score_adj(all, NULL, node), -997);
        json_t *container = json_array_get(cx_json_get(some, "spec.containers"), 0);
        assert_in_range(oom_score_adj(some, container, node), 749, 751);
        assert_int_equal(cgroup_shares(500), 512);
        assert_int_equal(cgroup_shares(0), 2);
        assert_int_equal(cgroup_quota(250), 25000);
        assert_int_equal(cgroup_v2_weight(1024), 39);
}

static void restarts(void **state)
{
        (void)state;
        static const struct {
                const char *policy;
                int code;
                bool again;
        } cases[] = {{"Always", 0, true},    {"Always", 1, true}, {"OnFailure", 0, false},
                     {"OnFailure", 2, true}, {"Never", 0, false}, {"Never", 1, false}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *pod = json_pack("{s:{s:s, s:[{s:s}]}}", "spec", "restartPolicy", cases[i].policy,
                                             "containers", "name", "c");
                struct container_state ended = {.status = CONTAINER_EXITED, .exit_code = cases[i].code};
                assert_int_equal(should_restart(pod, json_array_get(cx_json_get(pod, "spec.containers"), 0), &ended),
                                 cases[i].again);
        }
}

// What a container waits for that nothing else is known of: upstream's word depends on the pod alone.
static void waiting_reasons(void **state)
{
        (void)state;
        static const char *const cases[][2] = {
                {"{\"spec\":{\"containers\":[{}]}}", "ContainerCreating"},
                {"{\"spec\":{\"initContainers\":[],\"containers\":[{}]}}", "ContainerCreating"},
                {"{\"spec\":{\"initContainers\":[{}],\"containers\":[{}]}}", "PodInitializing"},
                {"{\"spec\":{\"initContainers\":[{\"restartPolicy\":\"Always\"}],\"containers\":[{}]}}",
                 "PodInitializing"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *pod = parse(cases[i][0]);
                assert_string_equal(default_waiting_reason(pod), cases[i][1]);
        }
}

// What `kubectl logs` says of a container that has none.
static void logs_that_are_not(void **state)
{
        (void)state;
        static const struct {
                const char *status; // of the container; NULL: none yet
                bool previous;
                const char *text;
        } cases[] = {
                {NULL, false, "container \"c\" in pod \"p\" is not available"},
                {"{\"name\":\"c\",\"state\":{\"waiting\":{\"reason\":\"ContainerCreating\"}}}", false,
                 "container \"c\" in pod \"p\" is waiting to start: ContainerCreating"},
                {"{\"name\":\"c\",\"state\":{\"waiting\":{\"reason\":\"CreateContainerConfigError\"}}}", false,
                 "container \"c\" in pod \"p\" is waiting to start: CreateContainerConfigError"},
                {"{\"name\":\"c\",\"state\":{\"waiting\":{\"reason\":\"ErrImagePull\"}}}", false,
                 "container \"c\" in pod \"p\" is waiting to start: image can't be pulled"},
                {"{\"name\":\"c\",\"state\":{\"waiting\":{\"reason\":\"ImagePullBackOff\"}}}", false,
                 "container \"c\" in pod \"p\" is waiting to start: trying and failing to pull image"},
                {"{\"name\":\"c\",\"state\":{}}", false,
                 "container \"c\" in pod \"p\" is waiting to start - no logs yet"},
                {"{\"name\":\"c\",\"state\":{\"terminated\":{}}}", false, "container \"c\" in pod \"p\" is terminated"},
                {"{\"name\":\"c\",\"state\":{\"waiting\":{}},\"lastState\":{\"terminated\":{}}}", false,
                 "container \"c\" in pod \"p\" is terminated"},
                {"{\"name\":\"c\",\"state\":{\"running\":{}}}", true,
                 "previous terminated container \"c\" in pod \"p\" not found"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *pod =
                        json_pack("{s:{s:s},s:{s:[]}}", "metadata", "name", "p", "status", "containerStatuses");
                if (cases[i].status)
                        json_array_append_new(cx_json_get(pod, "status.containerStatuses"), parse(cases[i].status));
                CX_CLEANUP(cx_freep) char *text = why_no_logs(pod, "c", cases[i].previous);
                assert_string_equal(text, cases[i].text);
        }
}

static void deadlines(void **state)
{
        (void)state;
        static const struct {
                int64_t started, stopped, grace, deadline; // s
        } cases[] = {{100, 0, 30, 130},                    // the hook runs
                     {100, 100, 30, 130},                  // no hook
                     {100, 110, 30, 130}, {100, 129, 30, 131},
                     {100, 130, 30, 132}, {100, 100, 1, 102}, // never at once after the signal
                     {100, 105, 0, 100}};                     // but by force
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct ending end = {.phase = KILL_TERM,
                                     .started = cases[i].started * CX_NS_PER_S,
                                     .stopped = cases[i].stopped * CX_NS_PER_S,
                                     .grace = cases[i].grace * CX_NS_PER_S};
                assert_int_equal(kill_deadline(&end), cases[i].deadline * CX_NS_PER_S);
        }
}

static void put_file(const char *path, const struct cx_buf *text)
{
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(cx_write_file(path, text->data, text->length, 0600, false, &err), 0);
}

static void messages(void **state)
{
        (void)state;
        char root[] = "/tmp/cx-message-XXXXXX";
        assert_non_null(mkdtemp(root));
        CX_CLEANUP(cx_freep) char *file = cx_sprintf("%s/file", root);
        CX_CLEANUP(cx_freep) char *log = cx_sprintf("%s/log", root);
        struct termination end = {
                .file = file, .log = log, .policy = "FallbackToLogsOnError", .failed = true, .max = 12288};
        CX_BUF text = CX_BUF_INIT;
        static const char stamp[] = "2026-01-01T00:00:00.000000000+00:00 stdout";
        for (int i = 0; i < 200; i++)
                cx_buf_printf(&text, "%s F line %d\n", stamp, i);
        put_file(log, &text);
        json_auto_t *lines = termination_message(&end);
        assert_true(cx_has_prefix(json_string_value(lines), "line 120\nline 121\n")); // 80 lines
        assert_true(cx_has_suffix(json_string_value(lines), "\nline 199\n"));
        cx_buf_clear(&text);
        for (int i = 0; i < 90; i++)
                cx_buf_printf(&text, "%s F %0100d\n", stamp, i);
        put_file(log, &text);
        json_auto_t *bytes = termination_message(&end);
        assert_int_equal(strlen(json_string_value(bytes)), 2048);
        cx_buf_clear(&text);
        for (int i = 0; i < 1000; i++) // a line that was flushed letter by letter
                cx_buf_printf(&text, "%s P x\n", stamp);
        put_file(log, &text);
        json_auto_t *pieces = termination_message(&end);
        assert_int_equal(strlen(json_string_value(pieces)), 1000);
        end.failed = false;
        assert_null(termination_message(&end));
        cx_buf_clear(&text);
        for (int i = 0; i < 3000; i++)
                cx_buf_add(&text, "\xc3\xa4");
        put_file(file, &text);
        end.max = 1001; // between the two bytes of a letter
        json_auto_t *letters = termination_message(&end);
        assert_int_equal(strlen(json_string_value(letters)), 1000);
        assert_true(cx_has_prefix(json_string_value(letters), "\xc3\xa4"));
        // A link to elsewhere is not read.
        assert_int_equal(unlink(file), 0);
        assert_int_equal(symlink("/etc/passwd", file), 0);
        assert_null(termination_message(&end));
        static const struct {
                const char *spec;
                size_t share;
        } shares[] = {{"{\"containers\":[{}]}", 12288},
                      {"{\"containers\":[{},{}],\"initContainers\":[{}]}", 4096},
                      {"{\"containers\":[{},{}],\"initContainers\":[{}],\"ephemeralContainers\":[{}]}", 3072}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(shares); i++) {
                json_auto_t *pod = json_pack("{s:o}", "spec", parse(shares[i].spec));
                assert_int_equal(termination_message_share(pod), shares[i].share);
        }
        assert_int_equal(cx_remove_tree(root, NULL), 0);
}

static void resolver(void **state)
{
        (void)state;
        struct kubelet k = {.cluster_domain = "cluster.local", .resolv_conf = ""};
        cx_strings_add(&k.cluster_dns, "10.96.0.10");
        json_auto_t *first = parse("{\"metadata\":{\"namespace\":\"ns\"},\"spec\":{\"dnsPolicy\":\"ClusterFirst\","
                                   "\"dnsConfig\":{\"options\":[{\"name\":"
                                   "\"ndots\",\"value\":\"2\"},{\"name\":\"edns0\"}]}}}");
        CX_CLEANUP(cx_freep) char *text = pod_resolv_conf(&k, first);
        assert_string_equal(text, "search ns.svc.cluster.local svc.cluster.local cluster.local\n"
                                  "nameserver 10.96.0.10\noptions ndots:2 edns0\n");
        json_auto_t *none = parse("{\"spec\":{\"dnsPolicy\":\"None\",\"dnsConfig\":{\"nameservers\":[\"1.1.1.1\"]}}}");
        CX_CLEANUP(cx_freep) char *own = pod_resolv_conf(&k, none);
        assert_string_equal(own, "nameserver 1.1.1.1\n");
        cx_strings_release(&k.cluster_dns);
}

static void content_is(const char *folder, const char *name, const char *text)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, name);
        CX_BUF data = CX_BUF_INIT;
        assert_int_equal(cx_buf_read_file(&data, path), 0);
        assert_string_equal(data.data, text);
}

static void atomic_volumes(void **state)
{
        (void)state;
        char folder[] = "/tmp/cx-atomic-XXXXXX";
        assert_non_null(mkdtemp(folder));
        CX_MAP payload = CX_MAP_INIT_FREE(payload_free_file);
        bool changed = false;
        assert_int_equal(payload_add(&payload, "a", "1", 1, 0644, NULL), 0);
        assert_int_equal(payload_add(&payload, "d/b", "2", 1, 0600, NULL), 0);
        assert_int_equal(payload_add(&payload, "../x", "2", 1, 0600, NULL), -EINVAL);
        assert_int_equal(payload_add(&payload, "/x", "2", 1, 0600, NULL), -EINVAL);
        assert_int_equal(payload_add(&payload, "d/../x", "2", 1, 0600, NULL), -EINVAL);
        assert_int_equal(atomic_write(folder, &payload, -1, &changed, NULL), 0);
        assert_true(changed);
        content_is(folder, "a", "1");
        content_is(folder, "d/b", "2");
        assert_int_equal(atomic_write(folder, &payload, -1, &changed, NULL), 0);
        assert_false(changed);
        assert_true(cx_map_remove(&payload, "d/b"));
        assert_int_equal(payload_add(&payload, "a", "new", 3, 0644, NULL), 0);
        assert_int_equal(atomic_write(folder, &payload, -1, &changed, NULL), 0);
        assert_true(changed);
        content_is(folder, "a", "new");
        CX_CLEANUP(cx_freep) char *gone = cx_sprintf("%s/d", folder);
        assert_int_equal(access(gone, F_OK), -1);
        assert_int_equal(cx_remove_tree(folder, NULL), 0);
}

static void manifests(void **state)
{
        (void)state;
        static const char yaml[] = "kind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: c, image: i}]}\n";
        json_auto_t *pod = NULL, *other = NULL;
        assert_int_equal(manifest_parse(yaml, sizeof yaml - 1, "f", "n1", &pod, NULL), 0);
        assert_string_equal(cx_json_string(pod, "metadata.name"), "x-n1");
        assert_string_equal(cx_json_string(pod, "metadata.namespace"), "default");
        assert_string_equal(cx_json_string(pod, "spec.restartPolicy"), "Always");
        assert_int_equal(manifest_parse(yaml, sizeof yaml - 1, "f", "n2", &other, NULL), 0);
        assert_string_not_equal(cx_json_string(pod, "metadata.uid"), cx_json_string(other, "metadata.uid"));
        json_t *none = NULL;
        assert_true(manifest_parse("kind: Service\n", 14, "f", "n1", &none, NULL) < 0);
}

static void cni_config(void **state)
{
        (void)state;
        json_auto_t *config = cni_default_config("10.1.0.0/24", 0, "/s");
        json_auto_t *overlay = cni_default_config("10.1.0.0/24", 1450, "/s");
        json_t *bridge = json_array_get(json_object_get(config, "plugins"), 0);
        assert_string_equal(cx_json_string(bridge, "type"), "bridge");
        assert_string_equal(cx_json_string(bridge, "ipam.dataDir"), "/s");
        assert_true(cx_json_bool(bridge, "hairpinMode", false));
        assert_true(cx_json_bool(bridge, "forceAddress", false));
        assert_null(json_object_get(bridge, "mtu"));
        assert_int_equal(cx_json_int(json_array_get(json_object_get(overlay, "plugins"), 0), "mtu", 0), 1450);
        json_t *range = json_array_get(json_array_get(cx_json_get(bridge, "ipam.ranges"), 0), 0);
        assert_string_equal(cx_json_string(range, "subnet"), "10.1.0.0/24");
}

static void settings(void **state)
{
        (void)state;
        char file[] = "/tmp/cx-config-XXXXXX";
        static const char yaml[] = "kind: KubeletConfiguration\nclusterDNS: [1.2.3.4]\nmaxPods: 7\nport: 99\n"
                                   "authentication: {anonymous: {enabled: true}}\n"
                                   "systemReserved: {memory: 1Gi}\nkubeReserved: {cpu: 100m}\n"
                                   "evictionHard: {memory.available: 5%}\n";
        CX_CLEANUP(cx_closep) int fd = mkstemp(file);
        assert_int_equal(write(fd, yaml, sizeof yaml - 1), sizeof yaml - 1);
        char *argv[] = {(char *)"kubelet",
                        (char *)"--config",
                        file,
                        (char *)"--port=10250",
                        (char *)"--system-reserved=memory=2Gi",
                        NULL};
        static struct kubelet_settings s;
        assert_int_equal(kubelet_settings_load(&s, 5, argv, NULL), 0);
        assert_int_equal(s.reserved.memory, (int64_t)2 << 30); // the flag wins
        assert_int_equal(s.reserved.milli_cpu, 100);
        assert_int_equal(threshold_of(&s.reserved.memory_available, 1000), 50);
        assert_int_equal(s.max_pods, 7);
        assert_int_equal(s.port, 10250); // the flag wins
        assert_true(s.anonymous_auth);
        assert_string_equal(s.cluster_dns.items[0], "1.2.3.4");
        unlink(file);
        char *bad[] = {(char *)"kubelet", (char *)"--none", NULL};
        CX_ERROR err = CX_ERROR_INIT;
        static struct kubelet_settings t;
        assert_true(kubelet_settings_load(&t, 2, bad, &err) < 0);
        assert_string_equal(cx_error_text(&err), "unknown flag: --none");
        cx_strings_release(&s.cluster_dns);
        cx_strings_release(&s.system_reserved);
        cx_strings_release(&s.kube_reserved);
        cx_strings_release(&s.eviction_hard);
        free((char *)s.cert_dir);
        json_decref(s.file);
        free((char *)s.log_root);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(expansion),         cmocka_unit_test(arguments),
                cmocka_unit_test(downward),          cmocka_unit_test(qos),
                cmocka_unit_test(restarts),          cmocka_unit_test(waiting_reasons),
                cmocka_unit_test(logs_that_are_not), cmocka_unit_test(deadlines),
                cmocka_unit_test(messages),          cmocka_unit_test(resolver),
                cmocka_unit_test(manifests),         cmocka_unit_test(atomic_volumes),
                cmocka_unit_test(cni_config),        cmocka_unit_test(settings),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
