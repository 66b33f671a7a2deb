// SPDX-License-Identifier: Apache-2.0
// What kubelets say, and what follows from two answers.
#include "addons/metrics-server/samples.h"

#include "libcommon/base/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define S CX_NS_PER_S

static int parse(const char *text, struct samples *samples)
{
        samples_init(samples);
        return samples_parse(text, strlen(text), 7 * S, samples, NULL);
}

static void test_reads(void **state)
{
        struct samples samples;
        (void)state;
        assert_int_equal(
                parse("# HELP x [STABLE] y\n\nnode_cpu_usage_seconds_total 12.5 5000\n"
                      "node_memory_working_set_bytes 1.5e+06\n"
                      "container_cpu_usage_seconds_total{container=\"a\",namespace=\"n\",pod=\"p\"} 1\n"
                      "container_memory_working_set_bytes{pod=\"p\",namespace=\"n\",container=\"a\",} 4096 6000\n"
                      "container_start_time_seconds{container=\"a\",namespace=\"n\",pod=\"p\"} 3\n"
                      "container_cpu_usage_seconds_total{container=\"b\\\"\\\\\",namespace=\"n\",pod=\"p\"} 2\n"
                      "other{a=\"b\"} 3\n",
                      &samples),
                0);
        assert_int_equal(samples.node.at, 5 * S);
        assert_int_equal(samples.node.cpu_ns, 12500000000);
        assert_int_equal(samples.node.memory, 1500000);
        const struct pod_samples *pod = cx_map_get(&samples.pods, "n/p");
        assert_int_equal(pod->count, 2);
        const struct sample *a = pod_sample(pod, "a");
        assert_int_equal(a->at, 7 * S); // it told no time
        assert_int_equal(a->start, 3 * S);
        assert_int_equal(a->memory, 4096);
        assert_int_equal(a->has, SAMPLE_WHOLE);
        assert_int_equal(pod_sample(pod, "b\"\\")->has, SAMPLE_CPU);
        assert_null(pod_sample(pod, "c"));
        samples_release(&samples);
}

static void test_refuses(void **state)
{
        static const char *const bad[] = {
                "node_cpu_usage_seconds_total\n",
                "node_cpu_usage_seconds_total x\n",
                "container_cpu_usage_seconds_total{container=\"a\n",
                "container_cpu_usage_seconds_total{container=a} 1\n",
                "container_cpu_usage_seconds_total{container=\"a\\x\"} 1\n",
                "container_cpu_usage_seconds_total{=\"a\"} 1\n",
                "container_cpu_usage_seconds_total{container=\"a\"}1\n",
        };
        struct samples samples;
        (void)state;
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                assert_int_equal(parse(bad[i], &samples), -EINVAL);
                samples_release(&samples);
        }
}

static void test_ignores_nonsense(void **state)
{
        struct samples samples;
        (void)state;
        assert_int_equal(parse("node_cpu_usage_seconds_total NaN\nnode_memory_working_set_bytes -1\n"
                               "container_cpu_usage_seconds_total{container=\"a\",namespace=\"n\"} 1\n"
                               "container_memory_working_set_bytes{container=\"a\",namespace=\"n\",pod=\"p\"} +Inf\n",
                               &samples),
                         0);
        assert_int_equal(samples.node.has, 0);
        const struct pod_samples *pod = cx_map_get(&samples.pods, "n/p");
        assert_int_equal(pod_sample(pod, "a")->has, 0);
        samples_release(&samples);
}

// What a hostile kubelet says: no clock of the future holds up what comes, and no figure leaves its bounds.
static void test_hostile(void **state)
{
        struct samples samples;
        struct usage usage;
        (void)state;
        assert_int_equal(
                parse("node_cpu_usage_seconds_total 1 8999999999999\nnode_memory_working_set_bytes 9e17\n", &samples),
                0);
        assert_int_equal(samples.node.at, 7 * S);
        assert_int_equal(samples.node.has, SAMPLE_CPU);
        samples_release(&samples);
        const struct sample first = {.at = 1, .has = SAMPLE_WHOLE};
        const struct sample second = {.at = 2, .cpu_ns = UINT64_C(9000000000000000000), .has = SAMPLE_WHOLE};
        assert_true(usage_between(&first, &second, &usage));
        assert_int_equal(usage.cpu_nano, 100000000000000);
}

static void test_usage(void **state)
{
        const struct sample first = {.at = 10 * S, .start = 1 * S, .cpu_ns = 2 * S, .has = SAMPLE_WHOLE};
        struct sample second = {.at = 30 * S, .start = 1 * S, .cpu_ns = 7 * S, .memory = 99, .has = SAMPLE_WHOLE};
        struct usage usage;
        (void)state;
        assert_true(usage_between(&first, &second, &usage));
        assert_int_equal(usage.window, 20 * S);
        assert_int_equal(usage.cpu_nano, 250000000);
        assert_int_equal(usage.memory, 99);
        assert_int_equal(usage.at, 30 * S);
        assert_false(usage_between(NULL, &second, &usage));
        assert_false(usage_between(&second, &second, &usage)); // no time has passed
        second.cpu_ns = 1 * S;                                 // less than before
        assert_false(usage_between(&first, &second, &usage));
        second.cpu_ns = 7 * S;
        second.has = SAMPLE_CPU;
        assert_false(usage_between(&first, &second, &usage));
}

static void test_before(void **state)
{
        const struct sample first = {.at = 20 * S, .start = 5 * S, .cpu_ns = 2 * S, .has = SAMPLE_WHOLE};
        struct sample second = {.at = 35 * S, .start = 5 * S, .cpu_ns = 7 * S, .has = SAMPLE_WHOLE}, scratch;
        struct usage usage;
        (void)state;
        assert_ptr_equal(sample_before(&first, &second, 15 * S, &scratch), &first);
        second.start = 22 * S; // started anew, 13 s ago: since then
        assert_ptr_equal(sample_before(&first, &second, 15 * S, &scratch), &scratch);
        assert_true(usage_between(&scratch, &second, &usage));
        assert_int_equal(usage.window, 13 * S);
        second.start = 30 * S; // too young for a figure
        assert_null(sample_before(&first, &second, 15 * S, &scratch));
        assert_null(sample_before(NULL, &second, 15 * S, &scratch));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reads),   cmocka_unit_test(test_refuses), cmocka_unit_test(test_ignores_nonsense),
                cmocka_unit_test(test_hostile), cmocka_unit_test(test_usage),   cmocka_unit_test(test_before),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
