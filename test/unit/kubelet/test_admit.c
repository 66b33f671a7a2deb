// SPDX-License-Identifier: Apache-2.0
// Which pods a node takes: resources, node affinity, host ports, taints, sysctls.
#include "kubelet/pod/admit.h"
#include "kubelet/runtime/runtime.h"
#include "libcommon/format/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *parse(const char *text)
{
        json_t *json = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_json_parse(text, strlen(text), true, &json, &err) < 0)
                fail_msg("%s: %s", text, cx_error_text(&err));
        return json;
}

#define NODE                                                                                                           \
        "{\"metadata\":{\"name\":\"n1\",\"labels\":{\"disk\":\"ssd\",\"cores\":\"8\",\"odd\":\"x\"}},"                 \
        "\"spec\":{\"taints\":[{\"key\":\"a\",\"effect\":\"NoExecute\"},{\"key\":\"b\",\"effect\":\"NoSchedule\"}]}}"
#define OTHER                                                                                                          \
        "{\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"cpu\":\"1\",\"memory\":\"1Gi\"}},"  \
        "\"ports\":[{\"hostPort\":80,\"containerPort\":80,\"protocol\":\"TCP\"}]}]}}"
#define TOLERANT "\"tolerations\":[{\"key\":\"a\",\"operator\":\"Exists\"}]"
#define AFFINITY(key, operator, values)                                                                                \
        "\"affinity\":{\"nodeAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":{\"nodeSelectorTerms\":["  \
        "{\"matchExpressions\":[{\"key\":\"" key "\",\"operator\":\""                                                  \
        operator"\",\"values\":[" values "]}]}]}}},"
#define REQUESTS(cpu, memory)                                                                                          \
        "\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"cpu\":\"" cpu "\",\"memory\":\"" memory        \
        "\"}}}],"

static const struct {
        const char *spec, *reason; // reason NULL: taken
} cases[] = {
        {TOLERANT, NULL},
        {"\"hostNetwork\":false", "TaintToleration"},
        {"\"tolerations\":[{\"key\":\"a\",\"operator\":\"Equal\",\"value\":\"x\"}]", "TaintToleration"},
        {"\"tolerations\":[{\"operator\":\"Exists\",\"effect\":\"NoSchedule\"}]", "TaintToleration"},
        {"\"tolerations\":[{\"operator\":\"Exists\"}]", NULL},
        // node affinity
        {"\"nodeSelector\":{\"disk\":\"ssd\"}," TOLERANT, NULL},
        {"\"nodeSelector\":{\"disk\":\"hdd\"}," TOLERANT, "NodeAffinity"},
        {AFFINITY("disk", "In", "\"ssd\"") TOLERANT, NULL},
        {AFFINITY("disk", "NotIn", "\"ssd\"") TOLERANT, "NodeAffinity"},
        {AFFINITY("cores", "Gt", "\"7\"") TOLERANT, NULL},
        {AFFINITY("cores", "Gt", "\"8\"") TOLERANT, "NodeAffinity"},
        {AFFINITY("cores", "Lt", "\"9\"") TOLERANT, NULL},
        {AFFINITY("cores", "Lt", "\"8\"") TOLERANT, "NodeAffinity"},
        {AFFINITY("odd", "Gt", "\"1\"") TOLERANT, "NodeAffinity"},
        {AFFINITY("cores", "Gt", "\"few\"") TOLERANT, "NodeAffinity"},
        {AFFINITY("none", "Lt", "\"1\"") TOLERANT, "NodeAffinity"},
        // resources: a CPU and a gibibyte of two and four are taken
        {REQUESTS("1", "3Gi") TOLERANT, NULL},
        {REQUESTS("1001m", "1Gi") TOLERANT, "OutOfcpu"},
        {REQUESTS("1", "3.1Gi") TOLERANT, "OutOfmemory"},
        {REQUESTS("1", "1Gi") "\"overhead\":{\"cpu\":\"1m\"}," TOLERANT, "OutOfcpu"},
        {REQUESTS("500m",
                  "1Gi") "\"initContainers\":[{\"name\":\"i\",\"resources\":{\"requests\":{\"cpu\":\"1\"}}}]," TOLERANT,
         NULL},
        {REQUESTS("500m", "1Gi") "\"initContainers\":[{\"name\":\"i\",\"restartPolicy\":\"Always\",\"resources\":{"
                                 "\"requests\":{\"cpu\":\"501m\"}}}]," TOLERANT,
         "OutOfcpu"},
        {REQUESTS("500m", "1Gi") "\"resources\":{\"requests\":{\"cpu\":\"1500m\"}}," TOLERANT, "OutOfcpu"},
        // host ports
        {"\"containers\":[{\"name\":\"c\",\"ports\":[{\"hostPort\":81,\"protocol\":\"TCP\"}]}]," TOLERANT, NULL},
        {"\"containers\":[{\"name\":\"c\",\"ports\":[{\"hostPort\":80,\"protocol\":\"UDP\"}]}]," TOLERANT, NULL},
        {"\"containers\":[{\"name\":\"c\",\"ports\":[{\"hostPort\":80,\"protocol\":\"TCP\"}]}]," TOLERANT, "NodePorts"},
        {"\"containers\":[{\"name\":\"c\",\"ports\":[{\"hostPort\":80,\"hostIP\":\"10.0.0.1\",\"protocol\":\"TCP\"}]}]"
         "," TOLERANT,
         "NodePorts"},
        // sysctls
        {"\"securityContext\":{\"sysctls\":[{\"name\":\"net.ipv4.tcp_syncookies\",\"value\":\"1\"}]}," TOLERANT, NULL},
        {"\"securityContext\":{\"sysctls\":[{\"name\":\"kernel.msgmax\",\"value\":\"1\"}]}," TOLERANT,
         "SysctlForbidden"},
        {"\"securityContext\":{\"sysctls\":[{\"name\":\"net/core/somaxconn\",\"value\":\"1\"}]}," TOLERANT, NULL},
        {"\"hostNetwork\":true,\"securityContext\":{\"sysctls\":[{\"name\":\"net.core.somaxconn\"}]}," TOLERANT,
         "SysctlForbidden"},
        {"\"securityContext\":{\"sysctls\":[{\"name\":\"kernel/net.core.x\"}]}," TOLERANT, "SysctlForbidden"},
        // what it is made for
        {"\"os\":{\"name\":\"linux\"}," TOLERANT, NULL},
        {"\"os\":{\"name\":\"windows\"}," TOLERANT, "PodOSNotSupported"},
};

static const char *ask(const json_t *pod, bool is_static)
{
        json_auto_t *node = parse(NODE), *others = parse("[" OTHER "]");
        CX_STRINGS unsafe = CX_STRINGS_INIT;
        cx_strings_add(&unsafe, "net.core.*");
        CX_BUF message = CX_BUF_INIT;
        return admission_refusal(&(struct admission){.pod = pod,
                                                     .node = node,
                                                     .others = others,
                                                     .milli_cpu = 2000,
                                                     .memory = INT64_C(4) << 30,
                                                     .pods = 2,
                                                     .unsafe_sysctls = &unsafe,
                                                     .is_static = is_static},
                                 &message);
}

static void table(void **state)
{
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_CLEANUP(cx_freep) char *text = cx_sprintf("{\"spec\":{%s}}", cases[i].spec);
                json_auto_t *pod = parse(text);
                const char *reason = ask(pod, false);
                if (!cx_streq(reason, cases[i].reason) && (reason || cases[i].reason))
                        fail_msg("%s: %s", text, reason ? reason : "taken");
        }
}

// What the node itself was told to run is not asked about taints and resources.
// Two spellings of a kernel parameter: the first separator tells which it is.
static void sysctl_names(void **state)
{
        (void)state;
        static const char *const names[][2] = {{"kernel.shmmax", "kernel.shmmax"},
                                               {"net/core/somaxconn", "net.core.somaxconn"},
                                               {"net.ipv4.conf.eth0/1.mtu", "net.ipv4.conf.eth0/1.mtu"},
                                               {"net/ipv4/conf/eth0.1/mtu", "net.ipv4.conf.eth0/1.mtu"},
                                               {"", ""}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++) {
                CX_CLEANUP(cx_freep) char *name = sandbox_sysctl_name(names[i][0]);
                assert_string_equal(name, names[i][1]);
        }
}

static void static_pods(void **state)
{
        (void)state;
        json_auto_t *pod = parse("{\"spec\":{" REQUESTS("64", "1Gi") "\"hostNetwork\":true}}");
        assert_string_equal(ask(pod, false), "OutOfcpu");
        assert_null(ask(pod, true));
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(sysctl_names),
                                           cmocka_unit_test(static_pods)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
