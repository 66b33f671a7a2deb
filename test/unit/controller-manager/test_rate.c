// SPDX-License-Identifier: Apache-2.0
// How fast an autoscaler may go: rules, windows and bounds.
#include "controller-manager/autoscaling/rate.h"

#include "libcommon/base/time.h"
#include "test/unit/quoted_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define S CX_US_PER_S
#define NOW (100000 * S)
#define RULES_UP                                                                                                       \
        "'policies':[{'type':'Pods','value':4,'periodSeconds':60},{'type':'Percent','value':50,'periodSeconds':60}]"

struct row {
        const char *behavior; // NULL: none
        int64_t current, wanted, min, max, replicas;
        const char *limited; // NULL: it is not
};

static const struct row rows[] = {
        // without a behavior: twice the size or four, and the bounds
        {NULL, 3, 4, 1, 10, 4, NULL},
        {NULL, 3, 8, 1, 10, 6, "ScaleUpLimit"},
        {NULL, 1, 8, 1, 10, 4, "ScaleUpLimit"},
        {NULL, 8, 12, 1, 10, 10, "TooManyReplicas"},
        {NULL, 3, 1, 2, 10, 2, "TooFewReplicas"},
        {NULL, 3, 3, 1, 10, 3, NULL},
        // up: the policy that allows most, or least, or none
        {"{'scaleUp':{'selectPolicy':'Max'," RULES_UP "}}", 2, 100, 1, 200, 6, "ScaleUpLimit"},
        {"{'scaleUp':{'selectPolicy':'Max'," RULES_UP "}}", 20, 100, 1, 200, 30, "ScaleUpLimit"},
        {"{'scaleUp':{'selectPolicy':'Min'," RULES_UP "}}", 2, 100, 1, 200, 3, "ScaleUpLimit"},
        {"{'scaleUp':{'selectPolicy':'Min'," RULES_UP "}}", 20, 100, 1, 200, 24, "ScaleUpLimit"},
        {"{'scaleUp':{'selectPolicy':'Disabled'," RULES_UP "}}", 20, 100, 1, 200, 20, "ScaleUpLimit"},
        {"{'scaleUp':{" RULES_UP "}}", 2, 5, 1, 200, 5, NULL},
        {"{'scaleUp':{" RULES_UP "}}", 2, 6, 1, 5, 5, "TooManyReplicas"},
        {"{'scaleUp':{'policies':[{'type':'Percent','value':10,'periodSeconds':60}]}}", 3, 9, 1, 20, 4, "ScaleUpLimit"},
        {"{'scaleUp':{'policies':[{'type':'Percent','value':100,'periodSeconds':15}]}}", 3, 9, 1, 20, 6,
         "ScaleUpLimit"},
        // down
        {"{'scaleDown':{'policies':[{'type':'Pods','value':2,'periodSeconds':60}]}}", 10, 3, 1, 20, 8,
         "ScaleDownLimit"},
        {"{'scaleDown':{'policies':[{'type':'Percent','value':10,'periodSeconds':60}]}}", 10, 3, 1, 20, 9,
         "ScaleDownLimit"},
        {"{'scaleDown':{'policies':[{'type':'Percent','value':55,'periodSeconds':60}]}}", 5, 1, 1, 20, 2,
         "ScaleDownLimit"},
        {"{'scaleDown':{'policies':[{'type':'Percent','value':100,'periodSeconds':15}]}}", 10, 0, 1, 20, 1,
         "TooFewReplicas"},
        {"{'scaleDown':{'selectPolicy':'Min','policies':[{'type':'Pods','value':2,'periodSeconds':60},"
         "{'type':'Percent','value':50,'periodSeconds':60}]}}",
         10, 3, 1, 20, 8, "ScaleDownLimit"},
        {"{'scaleDown':{'selectPolicy':'Max','policies':[{'type':'Pods','value':2,'periodSeconds':60},"
         "{'type':'Percent','value':50,'periodSeconds':60}]}}",
         10, 3, 1, 20, 5, "ScaleDownLimit"},
        {"{'scaleDown':{'selectPolicy':'Disabled','policies':[{'type':'Pods','value':2,'periodSeconds':60}]}}", 10, 3,
         1, 20, 10, "ScaleDownLimit"},
        {"{'scaleDown':{'policies':[{'type':'Pods','value':2,'periodSeconds':60}]}}", 10, 9, 1, 20, 9, NULL},
};

static struct rate_answer ask(struct rate_memory *memory, const char *behavior, int64_t now, int64_t current,
                              int64_t wanted, int64_t min, int64_t max)
{
        json_auto_t *json = behavior ? quoted_json(behavior) : NULL;
        struct rate_answer answer;
        rate_apply(memory,
                   &(struct rate_question){.now = now,
                                           .current = current,
                                           .wanted = wanted,
                                           .min = min,
                                           .max = max,
                                           .behavior = json,
                                           .down_stabilization = 300 * S},
                   &answer);
        return answer;
}

static void test_rules(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct rate_memory memory = {0};
                const struct row *row = &rows[i];
                struct rate_answer answer =
                        ask(&memory, row->behavior, NOW, row->current, row->wanted, row->min, row->max);
                if (answer.replicas != row->replicas || answer.limited != (row->limited != NULL) ||
                    (row->limited && strcmp(answer.limited_reason, row->limited) != 0))
                        fail_msg("row %zu: %lld %s", i, (long long)answer.replicas, answer.limited_reason);
                rate_memory_release(&memory);
        }
}

// What was added or removed within a policy's period counts against it.
static void test_periods(void **state)
{
        static const char pods[] = "{'scaleUp':{'policies':[{'type':'Pods','value':4,'periodSeconds':60}]},"
                                   "'scaleDown':{'policies':[{'type':'Pods','value':4,'periodSeconds':60}],"
                                   "'stabilizationWindowSeconds':0}}";
        struct rate_memory memory = {0};
        (void)state;
        rate_note_scaling(&memory, NOW - 30 * S, 2, 5);
        assert_int_equal(ask(&memory, pods, NOW, 5, 50, 1, 100).replicas, 6);
        assert_int_equal(ask(&memory, pods, NOW + 31 * S, 5, 50, 1, 100).replicas, 9); // that is over
        rate_note_scaling(&memory, NOW + 40 * S, 9, 6);
        assert_int_equal(ask(&memory, pods, NOW + 50 * S, 6, 1, 1, 100).replicas, 5);
        // what went may come back beside what may be added
        assert_int_equal(ask(&memory, pods, NOW + 50 * S, 6, 50, 1, 100).replicas, 13);
        rate_memory_release(&memory);
}

static void test_stabilization(void **state)
{
        static const char both[] = "{'scaleUp':{'stabilizationWindowSeconds':60,'policies':[{'type':'Pods','value':100,"
                                   "'periodSeconds':60}]},'scaleDown':{'stabilizationWindowSeconds':60,'policies':["
                                   "{'type':'Pods','value':100,'periodSeconds':60}]}}";
        struct rate_memory memory = {0};
        struct rate_answer answer;
        (void)state;
        rate_note_first(&memory, NOW, 5);
        answer = ask(&memory, NULL, NOW + 15 * S, 5, 2, 1, 10); // five were right a moment ago
        assert_int_equal(answer.replicas, 5);
        assert_string_equal(answer.able_reason, "ScaleDownStabilized");
        answer = ask(&memory, NULL, NOW + 299 * S, 5, 3, 1, 10);
        assert_int_equal(answer.replicas, 5);
        answer = ask(&memory, NULL, NOW + 301 * S, 5, 2, 1, 10); // the highest since: three
        assert_int_equal(answer.replicas, 3);
        rate_memory_release(&memory);

        assert_int_equal(ask(&memory, both, NOW, 5, 5, 1, 50).replicas, 5);
        answer = ask(&memory, both, NOW + 15 * S, 5, 9, 1, 50);
        assert_int_equal(answer.replicas, 5);
        assert_string_equal(answer.able_reason, "ScaleUpStabilized");
        assert_int_equal(ask(&memory, both, NOW + 61 * S, 5, 8, 1, 50).replicas, 8); // the lowest since
        assert_int_equal(ask(&memory, both, NOW + 62 * S, 8, 7, 1, 50).replicas, 8); // it was more
        assert_string_equal(ask(&memory, both, NOW + 200 * S, 8, 8, 1, 50).able_reason, "ReadyForNewScale");
        rate_memory_release(&memory);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rules),
                cmocka_unit_test(test_periods),
                cmocka_unit_test(test_stabilization),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
