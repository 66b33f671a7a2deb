// SPDX-License-Identifier: Apache-2.0
// KubeProxyConfiguration: what counts, what says nothing, what is refused.
#include "kube-proxy/config.h"
#include "libcommon/base/time.h"

#include <setjmp.h>
#include <stdarg.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define HEAD "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"

static struct {
        const char *name;
        bool all;
        int64_t period, burst;
        struct cx_strings addresses;
} to;
static bool given;
static const struct proxy_field fields[] = {
        {"hostnameOverride", CX_FLAG_STRING, &to.name, &given},
        {"iptables.masqueradeAll", CX_FLAG_BOOL, &to.all, NULL},
        {"iptables.syncPeriod", CX_FLAG_DURATION, &to.period, NULL},
        {"clientConnection.burst", CX_FLAG_INT, &to.burst, NULL},
        {"nodePortAddresses", CX_FLAG_CSV, &to.addresses, NULL},
        {0},
};

static int parse(const char *text, json_t **ret_config, struct cx_error *err)
{
        return proxy_config_parse(text, strlen(text), fields, ret_config, err);
}

static void test_fields(void **state CX_UNUSED)
{
        json_auto_t *config = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        // As kubeadm writes it: full of fields that say nothing.
        const char *text = HEAD "hostnameOverride: n1\nbindAddressHardFail: false\nclusterCIDR: \"\"\n"
                                "conntrack: {maxPerCore: null, min: null, tcpEstablishedTimeout: null}\n"
                                "ipvs: {excludeCIDRs: null, strictARP: false, syncPeriod: 0s}\noomScoreAdj: null\n"
                                "logging: {flushFrequency: 0, options: {json: {infoBufferSize: \"0\"}}, verbosity: 0}\n"
                                "iptables: {masqueradeAll: true, syncPeriod: 7s}\nclientConnection: {burst: 9}\n"
                                "nodePortAddresses: [10.0.0.0/8, primary]\n";
        assert_int_equal(parse(text, &config, &err), 0);
        assert_string_equal(to.name, "n1");
        assert_true(to.all);
        assert_int_equal(to.period, 7 * CX_NS_PER_S);
        assert_int_equal(to.burst, 9);
        assert_int_equal(to.addresses.count, 2);
        given = true;
        to.name = "flag";
        json_auto_t *again = NULL;
        assert_int_equal(parse(text, &again, &err), 0);
        assert_string_equal(to.name, "flag");
        given = false;
        cx_strings_release(&to.addresses);
}

static void test_refused(void **state CX_UNUSED)
{
        static const struct {
                const char *text, *why;
        } rows[] = {
                {"kind: KubeProxyConfiguration\n",
                 "must be one document of apiVersion kubeproxy.config.k8s.io/v1alpha1 and kind KubeProxyConfiguration"},
                {HEAD "---\n" HEAD,
                 "must be one document of apiVersion kubeproxy.config.k8s.io/v1alpha1 and kind KubeProxyConfiguration"},
                {HEAD "ipvs: {strictARP: true}\n", "field ipvs.strictARP is not supported: leave it out"},
                {HEAD "conntrack: {maxPerCore: 32768}\n", "field conntrack.maxPerCore is not supported: leave it out"},
                {HEAD "hostNameOverride: a\n", "field hostNameOverride is not supported: leave it out"},
                {HEAD "hostnameOverride: 7\n", "field hostnameOverride has the wrong type or value"},
                {HEAD "iptables: {syncPeriod: soon}\n", "field iptables.syncPeriod has the wrong type or value"},
                {HEAD "iptables: {masqueradeAll: 1}\n", "field iptables.masqueradeAll has the wrong type or value"},
                {HEAD "nodePortAddresses: [1]\n", "field nodePortAddresses has the wrong type or value"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(rows); i++) {
                json_auto_t *config = NULL;
                CX_ERROR err = CX_ERROR_INIT;
                assert_int_equal(parse(rows[i].text, &config, &err), -EINVAL);
                assert_string_equal(cx_error_text(&err), rows[i].why);
        }
        cx_strings_release(&to.addresses);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_fields), cmocka_unit_test(test_refused)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
