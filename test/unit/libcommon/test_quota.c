// SPDX-License-Identifier: Apache-2.0
// What quotas count: names and their kinds, usage, scopes, and what must be said.
#include "libcommon/api/quota.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "test/unit/quoted_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_names(void **state)
{
        (void)state;
        static const struct {
                const char *name, *resource, *group; // resource NULL: none
        } cases[] = {
                {"pods", "pods", ""},
                {"count/pods", "pods", ""},
                {"limits.memory", "pods", ""},
                {"hugepages-2Mi", "pods", ""},
                {"requests.hugepages-2Mi", "pods", ""},
                {"requests.example.com/gpu", "pods", ""},
                {"requests.storage", "persistentvolumeclaims", ""},
                {"gold.storageclass.storage.k8s.io/requests.storage", "persistentvolumeclaims", ""},
                {"services.nodeports", "services", ""},
                {"fast.deviceclass.resource.k8s.io/devices", "resourceclaims", "resource.k8s.io"},
                {"count/deployments.apps", "deployments", "apps"},
                {"count/widgets.a.example.com", "widgets", "a.example.com"},
                {"secrets", "secrets", ""},
                {"requests.kubernetes.io/x", NULL, NULL},
                {"example.com/gpu", NULL, NULL},
                {"widgets", NULL, NULL},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct cx_quota_kind kind;
                bool known = cx_quota_kind_of(cases[i].name, &kind);
                if (known != (cases[i].resource != NULL))
                        fail_msg("%s", cases[i].name);
                if (!known)
                        continue;
                assert_string_equal(kind.resource, cases[i].resource);
                assert_string_equal(kind.group, cases[i].group);
                assert_true(cx_quota_concerns(&kind, cases[i].name));
        }
}

#define NOW "2026-01-01T00:01:00Z"
#define CLAIM(rest) "{'spec': {'storageClassName': 'gold', 'resources': {'requests': {'storage': '1500m'}}}" rest "}"

static void test_usage(void **state)
{
        (void)state;
        static const struct {
                const char *group, *resource, *object, *usage;
        } cases[] = {
                {"", "pods",
                 "{'spec': {'initContainers': [{'resources': {'requests': {'cpu': '1'}}}], 'containers': "
                 "[{'resources': "
                 "{'requests': {'cpu': '100m', 'memory': '1Gi', 'example.com/gpu': '2', 'hugepages-2Mi': '4Mi', "
                 "'kubernetes.io/no': '1'}, 'limits': {'memory': '2Gi', 'example.com/gpu': '2', 'hugepages-2Mi': "
                 "'4Mi'}}}]}}",
                 "count/pods=1 pods=1 cpu=1 requests.cpu=1 memory=1Gi requests.memory=1Gi requests.example.com/gpu=2 "
                 "hugepages-2Mi=4Mi requests.hugepages-2Mi=4Mi limits.memory=2Gi"},
                {"", "pods",
                 "{'spec': {'overhead': {'cpu': '1'}, 'resources': {'requests': {'cpu': '2'}}, 'containers': [{}]}}",
                 "count/pods=1 pods=1 cpu=3 requests.cpu=3"},
                {"", "pods", "{'spec': {'containers': [{}]}, 'status': {'phase': 'Failed'}}", "count/pods=1"},
                {"", "pods",
                 "{'metadata': {'deletionTimestamp': '2026-01-01T00:00:00Z', 'deletionGracePeriodSeconds': 30}, "
                 "'spec': "
                 "{'containers': [{}]}}",
                 "count/pods=1"},
                {"", "pods",
                 "{'metadata': {'deletionTimestamp': '2026-01-01T00:00:00Z', 'deletionGracePeriodSeconds': 60}, "
                 "'spec': "
                 "{'containers': [{}]}}",
                 "count/pods=1 pods=1"},
                {"", "services", "{'spec': {'type': 'ClusterIP', 'ports': [{}, {}]}}",
                 "count/services=1 services=1 services.loadbalancers=0 services.nodeports=0"},
                {"", "services", "{'spec': {'type': 'NodePort', 'ports': [{}, {}]}}",
                 "count/services=1 services=1 services.loadbalancers=0 services.nodeports=2"},
                {"", "services", "{'spec': {'type': 'LoadBalancer', 'ports': [{}, {}]}}",
                 "count/services=1 services=1 services.loadbalancers=1 services.nodeports=2"},
                {"", "services",
                 "{'spec': {'type': 'LoadBalancer', 'allocateLoadBalancerNodePorts': false, 'ports': [{'nodePort': "
                 "30000}, {}]}}",
                 "count/services=1 services=1 services.loadbalancers=1 services.nodeports=1"},
                {"", "persistentvolumeclaims", CLAIM(""),
                 "count/persistentvolumeclaims=1 persistentvolumeclaims=1 "
                 "gold.storageclass.storage.k8s.io/persistentvolumeclaims=1 requests.storage=2 "
                 "gold.storageclass.storage.k8s.io/requests.storage=2"},
                {"", "persistentvolumeclaims",
                 "{'metadata': {'annotations': {'volume.beta.kubernetes.io/storage-class': 'old'}}, 'spec': "
                 "{'storageClassName': 'gold'}}",
                 "count/persistentvolumeclaims=1 persistentvolumeclaims=1 "
                 "old.storageclass.storage.k8s.io/persistentvolumeclaims=1"},
                {"", "persistentvolumeclaims",
                 "{'spec': {'resources': {'requests': {'storage': '1Gi'}}}, 'status': {'allocatedResources': "
                 "{'storage': '3Gi'}}}",
                 "count/persistentvolumeclaims=1 persistentvolumeclaims=1 requests.storage=3Gi"},
                {"resource.k8s.io", "resourceclaims",
                 "{'spec': {'devices': {'requests': [{'exactly': {'deviceClassName': 'a', 'count': 2}}, {'exactly': "
                 "{'deviceClassName': 'b', 'allocationMode': 'All'}}, {'firstAvailable': [{'deviceClassName': 'a', "
                 "'count': 3}, {'deviceClassName': 'a'}, {'deviceClassName': 'c'}]}]}}}",
                 "count/resourceclaims.resource.k8s.io=1 a.deviceclass.resource.k8s.io/devices=5 "
                 "b.deviceclass.resource.k8s.io/devices=32 c.deviceclass.resource.k8s.io/devices=1"},
                {"", "secrets", "{}", "count/secrets=1 secrets=1"},
                {"", "endpoints", "{}", "count/endpoints=1"},
                {"apps", "deployments", "{}", "count/deployments.apps=1"},
        };
        int64_t now;
        assert_int_equal(cx_time_parse(NOW, &now), 0);
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct cx_quota_kind kind = cx_quota_kind_make(cases[i].group, cases[i].resource);
                json_auto_t *object = quoted_json(cases[i].object);
                CX_RESOURCE_LIST usage = {0};
                CX_BUF text = CX_BUF_INIT;
                cx_quota_usage(&kind, object, now, &usage);
                for (size_t j = 0; j < usage.count; j++) {
                        char amount[CX_QUANTITY_TEXT];
                        cx_quantity_format(&usage.items[j].amount, amount);
                        cx_buf_printf(&text, "%s%s=%s", j ? " " : "", usage.items[j].name, amount);
                }
                assert_string_equal(text.data, cases[i].usage);
        }
}

#define SELECT(scope, operator, ...)                                                                                   \
        "{'scopeSelector': {'matchExpressions': [{'scopeName': '" scope "', 'operator': '"                             \
        operator"', 'values': [" __VA_ARGS__ "]}]}}"
#define SCOPES(...) "{'scopes': [" __VA_ARGS__ "]}"

static void test_scopes(void **state)
{
        (void)state;
        static const struct {
                const char *resource, *spec, *object;
                bool taken;
        } cases[] = {
                {"pods", "{}", "{}", true},
                {"pods", SCOPES("'Terminating'"), "{'spec': {'activeDeadlineSeconds': 0}}", true},
                {"pods", SCOPES("'NotTerminating'"), "{'spec': {'activeDeadlineSeconds': 5}}", false},
                {"pods", SCOPES("'Terminating'"), "{'spec': {}}", false},
                {"pods", SCOPES("'BestEffort'"), "{'spec': {'containers': [{}]}}", true},
                {"pods", SCOPES("'BestEffort', 'Terminating'"), "{'spec': {'containers': [{}]}}", false},
                {"pods", SCOPES("'NotBestEffort'"), "{'spec': {'containers': [{}]}}", false},
                {"pods", SCOPES("'NotBestEffort'"),
                 "{'spec': {'containers': [{'resources': {'requests': {'cpu': '1'}}}]}}", true},
                {"pods", SELECT("PriorityClass", "In", "'a', 'b'"), "{'spec': {'priorityClassName': 'b'}}", true},
                {"pods", SELECT("PriorityClass", "In", "'a'"), "{'spec': {}}", false},
                {"pods", SELECT("PriorityClass", "NotIn", "'a'"), "{'spec': {}}", true},
                {"pods", SELECT("PriorityClass", "NotIn", "'a'"), "{'spec': {'priorityClassName': 'a'}}", false},
                {"pods", SELECT("PriorityClass", "Exists"), "{'spec': {'priorityClassName': 'a'}}", true},
                {"pods", SCOPES("'PriorityClass'"), "{'spec': {}}", false},
                {"pods", SELECT("PriorityClass", "DoesNotExist"), "{'spec': {}}", true},
                {"pods", SELECT("CrossNamespacePodAffinity", "Exists"), "{'spec': {}}", false},
                {"pods", SELECT("CrossNamespacePodAffinity", "Exists"),
                 "{'spec': {'affinity': {'podAntiAffinity': {'preferredDuringSchedulingIgnoredDuringExecution': "
                 "[{'podAffinityTerm': {'namespaces': ['x']}}]}}}}",
                 true},
                {"pods", SELECT("CrossNamespacePodAffinity", "Exists"),
                 "{'spec': {'affinity': {'podAffinity': {'requiredDuringSchedulingIgnoredDuringExecution': "
                 "[{'namespaceSelector': {}}]}}}}",
                 true},
                {"pods", SELECT("VolumeAttributesClass", "DoesNotExist"), "{'spec': {}}", false},
                {"pods", SCOPES("'Unknown'"), "{'spec': {}}", false},
                {"services", SCOPES("'NotTerminating'"), "{}", false},
                {"persistentvolumeclaims", SELECT("VolumeAttributesClass", "In", "'fast'"),
                 "{'spec': {'volumeAttributesClassName': 'slow'}, 'status': {'currentVolumeAttributesClassName': "
                 "'fast'}}",
                 true},
                {"persistentvolumeclaims", SELECT("VolumeAttributesClass", "NotIn", "'fast'"),
                 "{'spec': {'volumeAttributesClassName': 'fast'}}", false},
                {"persistentvolumeclaims", SELECT("VolumeAttributesClass", "Exists"), "{'spec': {}}", false},
                {"persistentvolumeclaims", SCOPES("'BestEffort'"), "{'spec': {}}", false},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct cx_quota_kind kind = cx_quota_kind_make("", cases[i].resource);
                json_auto_t *spec = quoted_json(cases[i].spec), *object = quoted_json(cases[i].object);
                if (cx_quota_takes(&kind, spec, object) != cases[i].taken)
                        fail_msg("case %zu: %s %s", i, cases[i].spec, cases[i].object);
        }
}

static void test_unspecified(void **state)
{
        (void)state;
        static const struct {
                const char *resource, *hard, *object, *text;
        } cases[] = {
                {"pods", "{'pods': '1'}", "{'spec': {'containers': [{'name': 'a'}]}}", ""},
                {"pods",
                 "{'requests.memory': '1', 'cpu': '1', 'requests.storage': '1', 'limits.ephemeral-storage': '1'}",
                 "{'spec': {'containers': [{'name': 'b'}, {'name': 'c', 'resources': {'requests': {'cpu': '1'}}}], "
                 "'initContainers': [{'name': 'a'}]}}",
                 "must specify cpu for: a,b; requests.memory for: a,b,c"},
                {"pods", "{'limits.cpu': '1'}",
                 "{'spec': {'containers': [{'name': 'b', 'resources': {'requests': {'cpu': '1'}}}]}}",
                 "must specify limits.cpu for: b"},
                {"pods", "{'limits.cpu': '1'}",
                 "{'spec': {'resources': {'requests': {'cpu': '1'}}, 'containers': [{'name': 'b'}]}}", ""},
                {"services", "{'limits.cpu': '1'}", "{}", ""},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct cx_quota_kind kind = cx_quota_kind_make("", cases[i].resource);
                json_auto_t *hard = quoted_json(cases[i].hard), *object = quoted_json(cases[i].object);
                CX_CLEANUP(cx_freep) char *text = cx_quota_unspecified(&kind, hard, object);
                assert_string_equal(cx_str(text), cases[i].text);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_usage),
                cmocka_unit_test(test_scopes),
                cmocka_unit_test(test_unspecified),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
