// SPDX-License-Identifier: Apache-2.0
// How many replicas metrics ask for. Each row of a table is a set of pods, written as one letter and a figure each: "c" counts,
// "m" has no figure, "u" is not ready yet, "p" is pending, "d" is being deleted, "f" has failed.
#include "controller-manager/autoscaling/replicas.h"

#include "libcommon/base/alloc.h"
#include "libcommon/base/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S CX_US_PER_S
#define NOW (100000 * S)

static const struct replica_settings settings = {
        .tolerance_up = 0.1, .tolerance_down = 0.1, .now = NOW, .initialization = 300 * S, .initial_readiness = 30 * S};

static struct scaled_pod pod_of(char letter, int64_t value, int64_t request)
{
        struct scaled_pod pod = {.has_ready = true,
                                 .ready = true,
                                 .started = NOW - 1000 * S,
                                 .ready_since = NOW - 900 * S,
                                 .request = request,
                                 .measured = letter != 'm',
                                 .value = value,
                                 .at = NOW,
                                 .window = 60 * CX_NS_PER_S};
        if (letter == 'u') { // never was ready
                pod.ready = false;
                pod.ready_since = NOW - 999 * S;
        }
        pod.pending = letter == 'p';
        pod.going = letter == 'd';
        pod.failed = letter == 'f';
        return pod;
}

static size_t read_pods(const char *text, int64_t request, struct scaled_pod items[64])
{
        size_t count = 0;
        while (*text) {
                char letter = *text++;
                char *end;
                int64_t value = strtol(text, &end, 10);
                items[count++] = pod_of(letter, value, request);
                text = end + strspn(end, " ");
        }
        return count;
}

struct row {
        const char *pods;
        int64_t current, target, replicas; // replicas -1: nothing can be said
};

// Of pods that request 1000 each, in percent of that.
static const struct row by_utilization[] = {
        {"c300 c500 c700", 3, 30, 5},
        {"c300 c500 c700", 3, 50, 3},
        {"c300 c500 c700", 3, 51, 3},  // within the tolerance
        {"c300 c500 c700", 3, 55, 3},  // 0.909…
        {"c300 c500 c700", 3, 56, 3},  // 0.89: three pods' worth is 2.68
        {"c300 c500 c700", 3, 100, 2}, // 0.5 * 3 = 1.5
        {"c100 c100 c100", 3, 50, 1},  // 0.2 * 3 = 0.6
        {"c1000", 1, 10, 10},
        {"c1000", 1, 100, 1},
        {"c1100", 1, 100, 1}, // 1.1 is within
        {"c1120", 1, 100, 2}, // 1.12 is not
        {"c900", 1, 100, 1},
        {"c880 c880", 2, 100, 2}, // 1.76 rounded up
        {"c0 c0", 2, 50, 0},
        {"c1000 c1000 c1000 c1000", 4, 50, 8},
        {"c333 c333 c333", 3, 30, 3}, // 33 %, 1.1
        {"c340 c340 c340", 3, 30, 4}, // 34 %, 1.13 * 3 = 3.4
        {"c2500", 1, 50, 5},          // more than it requests
        {"c10 c1000", 2, 50, 2},      // 50 %
        {"c10 c1200", 2, 50, 3},      // 60 %, 1.2 * 2 = 2.4
        // some are missing: up, they use nothing
        {"c300 c500 c700 m0", 4, 30, 5}, // (1500 / 4000 = 37 %) 1.23 * 4 = 4.93
        {"c1000 m0", 2, 50, 2},          // 50 % with it: the right size
        {"c1000 m0", 2, 40, 3},          // 50 / 40 * 2 = 2.5
        {"c1000 m0 m0 m0", 4, 50, 4},    // 25 %: it would turn round
        {"c600 m0", 2, 50, 2},           // 30 %: it would turn round
        // down, they use all that they request
        {"c100 c100 m0", 3, 50, 3},           // (1200 / 3000 = 40 %) 0.8 * 3 = 2.4
        {"c100 c100 c100 c100 m0", 5, 50, 3}, // 28 %, 0.56 * 5 = 2.8
        {"c100 m0 m0", 3, 50, 3},             // 70 %: it would turn round
        {"c100 m0", 2, 90, 2},                // 55 %: 1.22
        {"c100 m0", 2, 200, 2},               // the target itself, when that is more: 105 %, 0.525 * 2 = 1.05
        {"c100 c100 m0", 3, 100, 2},          // 40 %, 0.4 * 3 = 1.2
        {"c500 m0", 2, 50, 2},                // exactly: nothing is made of those that are missing
        // some are not ready: up, they use nothing; down, they do not count
        {"c300 c500 c700 u100", 4, 30, 5},
        {"c1000 u1000", 2, 50, 2},    // 50 % with it
        {"c1000 u1000", 2, 30, 4},    // 50 / 30 * 2 = 3.33
        {"c1000 u0 u0 u0", 4, 50, 4}, // it would turn round
        {"c100 c100 u900", 3, 50, 1}, // down: 10 %, 0.2 * 2
        {"c100 u900 m0", 3, 50, 3},   // 10 and 1000 of 2000: turned round
        {"c1000 u0 m0", 3, 30, 3},    // 33 %, 1.1 within: stays
        {"c1000 p0", 2, 50, 2},       // pending counts as not ready
        {"c100 p0 p0", 3, 50, 1},
        // those that go or have failed do not count at all
        {"c300 c500 c700 d9000", 3, 30, 5},
        {"c300 c500 c700 f9000", 3, 30, 5},
        {"c300 c500 c700 d9000 f9000", 4, 50, 4},
        {"d100", 1, 50, -1},
        {"u100", 1, 50, -1},
        {"m0", 1, 50, -1},
        {"p0 d0 f0 m0 u0", 5, 50, -1},
        {"", 0, 50, -1},
};

// In thousandths of each pod's value.
static const struct row by_average[] = {
        {"c20000 c10000 c30000", 3, 15000, 4},
        {"c20000 c10000 c30000", 3, 20000, 3},
        {"c20000 c10000 c30000", 3, 19000, 3}, // within
        {"c20000 c10000 c30000", 3, 40000, 2},
        {"c20000 c10000 c30000", 3, 10000, 6},
        {"c0 c0 c0", 3, 10000, 0},
        {"c1", 1, 1, 1},
        {"c1000000", 1, 1, 1000000},
        {"c100 m0", 2, 50, 2},        // 50 with it
        {"c100 m0", 2, 40, 3},        // 1.25 * 2
        {"c10 m0", 2, 50, 2},         // down: the missing one is as wanted, 30 of 50: 1.2
        {"c10 c10 m0", 3, 50, 2},     // 23 of 50: 1.38
        {"c10 c10 c10 m0", 4, 50, 2}, // 20 of 50: 1.6
        {"c100 u100", 2, 50, 4},      // of any metric but CPU all count that have one
        {"c100 p0", 2, 50, 2},
        {"c100 d500", 1, 50, 2},
        {"c50 m0", 2, 50, 1}, // exactly as wanted: the missing one uses nothing, as upstream
        {"m0", 1, 50, -1},
        {"p0", 1, 50, -1},
};

static void run(const struct row *rows, size_t count, bool utilization)
{
        for (size_t i = 0; i < count; i++) {
                struct scaled_pod items[64];
                struct scaled_pods pods = {items, read_pods(rows[i].pods, 1000, items)};
                struct replica_answer answer = {.replicas = -1};
                CX_ERROR err = CX_ERROR_INIT;
                group_pods(&settings, utilization, &pods);
                int r = utilization
                                ? replicas_by_utilization(&settings, &pods, rows[i].current, rows[i].target, &answer,
                                                          &err)
                                : replicas_by_average(&settings, &pods, rows[i].current, rows[i].target, &answer, &err);
                if ((r < 0 ? -1 : answer.replicas) != rows[i].replicas)
                        fail_msg("\"%s\" of %lld at %lld: %lld, not %lld", rows[i].pods, (long long)rows[i].current,
                                 (long long)rows[i].target, (long long)(r < 0 ? -1 : answer.replicas),
                                 (long long)rows[i].replicas);
        }
}

static void test_utilization(void **state)
{
        (void)state;
        run(by_utilization, sizeof by_utilization / sizeof *by_utilization, true);
}

static void test_average(void **state)
{
        (void)state;
        run(by_average, sizeof by_average / sizeof *by_average, false);
}

static void test_tells(void **state)
{
        struct scaled_pod items[64];
        struct scaled_pods pods = {items, read_pods("c300 c500 m0", 1000, items)};
        struct replica_answer answer;
        (void)state;
        group_pods(&settings, true, &pods);
        assert_int_equal(replicas_by_utilization(&settings, &pods, 3, 30, &answer, NULL), 0);
        assert_int_equal(answer.utilization, 40);
        assert_int_equal(answer.average, 400);
}

// When a CPU figure counts: the pod's age, whether it is ready, since when, and when the figure was taken, in seconds ago.
static void test_starting(void **state)
{
        static const struct {
                bool has_ready, ready;
                int started, since, at;
                enum pod_group group;
        } rows[] = {
                {false, false, 1000, 0, 0, POD_UNREADY}, // it says nothing about itself
                {true, true, -1, 900, 0, POD_UNREADY},   // nor when it started
                {true, true, 100, 90, 0, POD_COUNTS},
                {true, true, 100, 30, 0, POD_UNREADY}, // half of the window was before it was ready
                {true, true, 100, 60, 0, POD_COUNTS},
                {true, true, 100, 90, 31, POD_UNREADY},
                {true, false, 100, 90, 0, POD_UNREADY},
                {true, false, 299, 10, 0, POD_UNREADY},
                {true, false, 301, 10, 0, POD_COUNTS},   // it was ready once
                {true, false, 301, 280, 0, POD_UNREADY}, // it never was
                {true, false, 301, 271, 0, POD_COUNTS},
                {true, true, 301, 1, 0, POD_COUNTS},
        };
        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct scaled_pod pod = pod_of('c', 1, 1);
                struct scaled_pods pods = {&pod, 1};
                pod.has_ready = rows[i].has_ready;
                pod.ready = rows[i].ready;
                pod.started = rows[i].started < 0 ? 0 : NOW - rows[i].started * S;
                pod.ready_since = NOW - rows[i].since * S;
                pod.at = NOW - rows[i].at * S;
                group_pods(&settings, true, &pods);
                if (pod.group != rows[i].group)
                        fail_msg("row %zu: group %d", i, (int)pod.group);
                group_pods(&settings, false, &pods);
                assert_int_equal(pod.group, POD_COUNTS);
        }
}

static void test_values(void **state)
{
        static const struct {
                int64_t value, target, current, ready, replicas;
        } whole[] = {{20000, 10000, 2, 2, 4}, {20000, 20000, 2, 2, 2}, {21900, 20000, 2, 2, 2}, {22100, 20000, 2, 2, 3},
                     {20000, 10000, 4, 2, 4}, {5000, 20000, 4, 4, 1},  {0, 20000, 4, 4, 0},     {1, 20000, 0, 0, 1},
                     {50000, 20000, 0, 0, 3}, {0, 20000, 0, 0, 0}};
        static const struct {
                int64_t value, target, replicas, wanted;
        } share[] = {{100, 50, 2, 2}, {100, 50, 1, 2}, {104, 50, 2, 2}, {111, 50, 2, 3}, {20, 50, 2, 1},
                     {0, 50, 2, 0},   {100, 50, 0, 2}, {0, 50, 0, 0},   {101, 50, 0, 3}};
        (void)state;
        for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
                assert_int_equal(
                        replicas_by_value(&settings, whole[i].value, whole[i].target, whole[i].current, whole[i].ready),
                        whole[i].replicas);
        for (size_t i = 0; i < sizeof share / sizeof *share; i++)
                assert_int_equal(replicas_by_share(&settings, share[i].value, share[i].target, share[i].replicas),
                                 share[i].wanted);
}

static void test_tolerance(void **state)
{
        struct replica_settings own = settings;
        struct scaled_pod items[64];
        struct scaled_pods pods = {items, read_pods("c550", 1000, items)};
        struct replica_answer answer;
        (void)state;
        own.tolerance_up = 0.05;
        group_pods(&own, true, &pods);
        assert_int_equal(replicas_by_utilization(&own, &pods, 1, 50, &answer, NULL), 0);
        assert_int_equal(answer.replicas, 2);
        own.tolerance_up = 0.2;
        assert_int_equal(replicas_by_utilization(&own, &pods, 1, 50, &answer, NULL), 0);
        assert_int_equal(answer.replicas, 1);
}

// Figures of a hostile server: no sum turns round.
static void test_huge(void **state)
{
        struct scaled_pod items[64];
        struct scaled_pods pods = {items, read_pods("c9223372036854775807 c9223372036854775807", 1, items)};
        struct replica_answer answer;
        (void)state;
        group_pods(&settings, false, &pods);
        assert_int_equal(replicas_by_average(&settings, &pods, 2, 1000, &answer, NULL), 0);
        assert_int_equal(answer.replicas, 2147483647);
        assert_int_equal(replicas_by_utilization(&settings, &pods, 2, 50, &answer, NULL), 0);
        assert_int_equal(answer.replicas, 2147483647);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_utilization), cmocka_unit_test(test_average), cmocka_unit_test(test_tells),
                cmocka_unit_test(test_starting),    cmocka_unit_test(test_values),  cmocka_unit_test(test_tolerance),
                cmocka_unit_test(test_huge),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
