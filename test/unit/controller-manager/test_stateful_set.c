// SPDX-License-Identifier: Apache-2.0
// What a StatefulSet does next, and who owns its claims: the parts that only compute.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "controller-manager/workloads/stateful_set.h"
#include "test/unit/quoted_json.h"

#define MANY 100000

static void test_ordinals(void **state)
{
        (void)state;
        static const struct {
                const char *set, *pod;
                int64_t ordinal;
        } table[] = {{"web", "web-0", 0},
                     {"web", "web-17", 17},
                     {"web", "web-2147483647", INT32_MAX},
                     {"web", "web-4294967293", INT64_C(4294967293)},
                     {"web", "web-99999999999", -1},
                     {"web", "web-01", -1},
                     {"web", "web--1", -1},
                     {"web", "web-", -1},
                     {"web", "web", -1},
                     {"web", "web-1a", -1},
                     {"web", "web-1-0", -1},
                     {"web-1", "web-1-0", 0},
                     {"web", "other-0", -1},
                     {"web", "webs-0", -1}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++)
                assert_int_equal(member_ordinal(table[i].set, table[i].pod), table[i].ordinal);
}

static void test_read(void **state)
{
        (void)state;
        static const struct {
                const char *spec;
                bool rolling;
                int64_t partition, max_unavailable;
        } table[] = {
                {"'updateStrategy': {'type': 'RollingUpdate', 'rollingUpdate': {'partition': 2}}", true, 2, ONE_BY_ONE},
                {"'updateStrategy': {'type': 'RollingUpdate', 'rollingUpdate': {'maxUnavailable': 3}}", true, 0, 3},
                {"'updateStrategy': {'type': 'RollingUpdate', 'rollingUpdate': {'maxUnavailable': '25%'}}", true, 0, 2},
                {"'updateStrategy': {'type': 'RollingUpdate', 'rollingUpdate': {'maxUnavailable': '1%'}}", true, 0, 1},
                {"'updateStrategy': {'type': 'RollingUpdate', 'rollingUpdate': {'maxUnavailable': 'x'}}", true, 0, 1},
                {"'updateStrategy': {'type': 'RollingUpdate'}", true, 4, ONE_BY_ONE},
                {"'updateStrategy': {'type': 'OnDelete'}", false, 0, ONE_BY_ONE},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                CX_CLEANUP(cx_freep)
                char *text =
                        cx_sprintf("{'metadata': {'name': 'web'}, 'spec': {'replicas': 10, 'ordinals': {'start': 5}, "
                                   "'persistentVolumeClaimRetentionPolicy': {'whenDeleted': 'Retain', 'whenScaled': "
                                   "'Delete'}, %s}, 'status': {'currentReplicas': 4}}",
                                   table[i].spec);
                json_auto_t *json = quoted_json(text);
                CX_CLEANUP(cx_freep) char *bytes = json_dumps(json, 0);
                struct cx_object *object = cx_object_new(json, bytes, strlen(bytes));
                struct stateful_set set;
                stateful_set_read(object, &set);
                assert_int_equal(set.rolling, table[i].rolling);
                assert_int_equal(set.partition, table[i].partition);
                assert_int_equal(set.max_unavailable, table[i].max_unavailable);
                assert_false(set.delete_with_set);
                assert_true(set.delete_when_scaled);
                assert_int_equal(member_in_range(&set, 4) + 2 * member_in_range(&set, 5), 2);
                assert_int_equal(member_in_range(&set, 14) + 2 * member_in_range(&set, 15), 1);
                assert_int_equal(member_is_held_back(&set, 6), table[i].partition > 1);
                stateful_set_release(&set);
                cx_object_unref(object);
        }
}

// Members as a text: an ordinal and what it is. Small letters: of the current revision, capitals: of the update's.
//   a available   u not available   p pending   g being deleted   x over   y over and being deleted
static struct members make_members(const char *text)
{
        struct members members = {cx_alloc_array(strlen(text) + 1, sizeof *members.items), 0};
        while (*text) {
                char *at;
                struct member *member = &members.items[members.count++];
                member->ordinal = strtol(text, &at, 10);
                char what = *at | 0x20;
                member->updated = !(*at & 0x20);
                member->current = !member->updated;
                member->available = member->ready = what == 'a';
                member->pending = what == 'p';
                member->going = what == 'g' || what == 'y';
                member->over = what == 'x' || what == 'y';
                text = at + 1 + strspn(at + 1, " ");
        }
        return members;
}

static void put(struct cx_buf *to, const char *what, const struct members *members, const size_t *items, size_t count)
{
        for (size_t i = 0; i < count; i++)
                cx_buf_printf(to, "%s%s%ld", to->length ? " " : "", what, (long)members->items[items[i]].ordinal);
}

// "-1": 1 is ended; "+1": made; "~1": replaced.
static void expect_plan(const struct stateful_set *set, const char *text, const char *wanted)
{
        struct members members = make_members(text);
        struct stateful_plan plan;
        CX_BUF shown = CX_BUF_INIT;
        stateful_plan_make(set, &members, &plan);
        put(&shown, "-", &members, plan.end, plan.n_end);
        for (size_t i = 0; i < plan.n_create && i < 5; i++)
                cx_buf_printf(&shown, "%s+%ld", shown.length ? " " : "", (long)plan.create[i]);
        put(&shown, "~", &members, plan.replace, plan.n_replace);
        if (strcmp(shown.data, wanted) != 0)
                fail_msg("%s: have \"%s\", want \"%s\"", text, shown.data, wanted);
        stateful_plan_release(&plan);
        members_release(&members);
}

static void test_in_order(void **state)
{
        (void)state;
        static const struct {
                int64_t start, replicas;
                const char *members, *wanted;
        } table[] = {
                {0, 3, "", "+0"},
                {0, 0, "", ""},
                {7, 2, "", "+7"},
                {0, INT32_MAX, "0A", "+1"},
                {INT32_MAX, INT32_MAX, "", "+2147483647"},
                // Nothing beyond one that is not available.
                {0, 3, "0P", ""},
                {0, 3, "0U", ""},
                {0, 3, "0G", ""},
                {0, 3, "0A", "+1"},
                {0, 3, "0A 1A 2A", ""},
                {0, 3, "0U 2A", ""},
                {0, 3, "0A 2A", "+1"},
                {0, 3, "1A 2A", "+0"},
                // One that is over goes, and is waited for.
                {0, 3, "0A 1X 2A", "-1"},
                {0, 3, "0A 1Y 2A", ""},
                // Down from the last, one at a time, when all that stay are available.
                {0, 1, "0A 1A 2A", "-2"},
                {0, 1, "0A 1A 2G", ""},
                {0, 1, "0U 1A 2A", ""},
                {0, 1, "0A 1U 2A", "-2"},
                {0, 1, "0A 1U 2U", ""},
                {0, 1, "0A 1A 2U", "-2"},
                {0, 0, "0U", "-0"},
                {0, 0, "0P 1U", ""},
                // The range moved up: what is before it goes, too, after what it has.
                {5, 2, "0A 1A", "+5"},
                {5, 2, "0A 1A 5A 6A", "-1"},
                {5, 2, "0A 5A 6A 9A", "-9"},
                {2, 2, "0A 1G 2A 3A", ""},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                struct stateful_set set = {.start = table[i].start, .replicas = table[i].replicas, .rolling = true};
                expect_plan(&set, table[i].members, table[i].wanted);
                set.deleted = true;
                expect_plan(&set, table[i].members, "");
        }
}

static void test_update_in_order(void **state)
{
        (void)state;
        static const struct {
                int64_t partition, max_unavailable;
                const char *members, *wanted;
        } table[] = {
                {0, 0, "0a 1a 2a 3a", "~3"},
                {0, 0, "0a 1a 2a 3g", ""},
                {0, 0, "0a 1a 2a", "+3"},
                {0, 0, "0a 1a 2a 3P", ""}, // broken: stuck, whatever the next template is
                {0, 0, "0a 1a 2a 3u", ""}, // upstream: to be deleted by hand
                {0, 0, "0a 1a 2a 3A", "~2"},
                {0, 0, "0A 1A 2A 3A", ""},
                {2, 0, "0a 1a 2a 3A", "~2"},
                {2, 0, "0a 1a 2A 3A", ""},
                {9, 0, "0a 1a 2a 3a", ""},
                {INT32_MAX, 0, "0a 1a 2a 3a", ""},
                {0, 2, "0a 1a 2a 3a", "~3 ~2"},
                {0, 9, "0a 1a 2a 3a", "~3 ~2 ~1 ~0"},
                {3, 2, "0a 1a 2a 3a", "~3"},
                {0, 2, "0a 1a 2g 3g", ""},
                {0, 2, "0a 1a 3A", "+2"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                struct stateful_set set = {.replicas = 4,
                                           .rolling = true,
                                           .partition = table[i].partition,
                                           .max_unavailable = table[i].max_unavailable};
                expect_plan(&set, table[i].members, table[i].wanted);
                struct stateful_set by_hand = {.replicas = 4};
                if (strchr(table[i].wanted, '~'))
                        expect_plan(&by_hand, table[i].members, ""); // OnDelete
        }
}

static void test_in_parallel(void **state)
{
        (void)state;
        static const struct {
                int64_t start, replicas, partition, max_unavailable;
                const char *members, *wanted;
        } table[] = {
                {0, 3, 0, 0, "", "+0 +1 +2"},
                {0, 3, 0, 0, "0P 2U", "+1"},
                {0, 3, 0, 0, "0X 1Y 2A", "-0"},
                {0, 1, 0, 0, "0P 1U 2A 3G", "-1 -2"},
                {4, 2, 0, 0, "0A 1A 4A", "-0 -1 +5"},
                {0, INT32_MAX, 0, 0, "", "+0 +1 +2 +3 +4"},
                {INT32_MAX, INT32_MAX, 0, 0, "2147483648A",
                 "+2147483647 +2147483649 +2147483650 +2147483651 +2147483652"},
                // The update: one after the other, and one that is broken mends with the next template.
                {0, 3, 0, 0, "0a 1a 2a", "~2"},
                {0, 3, 0, 0, "0a 1a 2u", "~2"},
                {0, 3, 0, 0, "0u 1u 2U", ""},
                {0, 3, 0, 0, "0u 1u 2A", "~1"},
                {0, 3, 0, 0, "0a 1a", "+2"},
                {0, 3, 0, 0, "0a 1a 2G", ""},
                {0, 3, 1, 0, "0a 1A 2A", ""},
                {0, 3, 0, 0, "0x 1A 2A", "-0"},
                // Several at a time: what is not available counts, but for what waits for the update itself.
                {0, 4, 0, 2, "0a 1a 2a 3a", "~3 ~2"},
                {0, 4, 0, 2, "0a 1a 2a 3G", "~2"},
                {0, 4, 0, 2, "0a 1a 2U 3U", ""},
                {0, 4, 0, 2, "0u 1a 2a 3a", "~3 ~2 ~0"},
                {0, 4, 0, 2, "0u 1u 2u 3u", "~3 ~2 ~1 ~0"},
                {0, 4, 0, 2, "0u 1u 2G 3G", "~1 ~0"},
                {0, 4, 0, 2, "0a 1a 2a", "+3 ~2"},
                {0, 4, 2, 2, "0u 1a 2a 3a", "~3"},
                {0, 4, 2, 2, "0u 1u 2a 3a", ""},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                struct stateful_set set = {.start = table[i].start,
                                           .replicas = table[i].replicas,
                                           .parallel = true,
                                           .rolling = true,
                                           .partition = table[i].partition,
                                           .max_unavailable = table[i].max_unavailable};
                expect_plan(&set, table[i].members, table[i].wanted);
        }
}

// Large sets and large gaps cost no more than what is there and one burst.
static void test_large(void **state)
{
        (void)state;
        struct members members = {cx_alloc_array(MANY, sizeof *members.items), MANY};
        for (int64_t i = 0; i < MANY; i++)
                members.items[i] = (struct member){.ordinal = 2 * i, .available = true, .updated = true};
        for (int parallel = 0; parallel < 2; parallel++) {
                struct stateful_set set = {.replicas = INT32_MAX, .parallel = parallel, .rolling = true};
                struct stateful_plan plan;
                stateful_plan_make(&set, &members, &plan);
                assert_int_equal(plan.n_create, parallel ? POD_BURST : 1);
                assert_int_equal(plan.create[plan.n_create - 1], 2 * plan.n_create - 1);
                stateful_plan_release(&plan);
        }
        members_release(&members);
}

static void test_counts(void **state)
{
        (void)state;
        static const struct {
                int64_t replicas;
                bool rolling;
                const char *members;
                struct stateful_counts wanted;
        } table[] = {
                {3, true, "0a 1u 2A", {3, 2, 2, 2, 1, false}},
                {3, true, "0a 1a 2g", {3, 2, 2, 2, 0, false}},
                {3, true, "0A 1A 2A", {3, 3, 3, 3, 3, true}},
                {3, false, "0A 1A 2A", {3, 3, 3, 0, 3, false}}, // OnDelete
                {2, true, "0A 1A 2A", {3, 3, 3, 0, 3, false}},
                {0, true, "", {0, 0, 0, 0, 0, true}},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                struct stateful_set set = {.replicas = table[i].replicas, .rolling = table[i].rolling};
                struct members members = make_members(table[i].members);
                struct stateful_counts have = stateful_count(&set, &members), want = table[i].wanted;
                assert_int_equal(have.replicas, want.replicas);
                assert_int_equal(have.ready, want.ready);
                assert_int_equal(have.available, want.available);
                assert_int_equal(have.current, want.current);
                assert_int_equal(have.updated, want.updated);
                assert_int_equal(have.complete, want.complete);
                members_release(&members);
        }
}

#define TO_SET(uid)                                                                                                    \
        "{'apiVersion': 'apps/v1', 'kind': 'StatefulSet', 'name': 'web', 'uid': '" uid "', 'controller': true}"
#define TO_POD(uid) "{'apiVersion': 'v1', 'kind': 'Pod', 'name': 'web-1', 'uid': '" uid "', 'controller': true}"
#define PLAIN "{'apiVersion': 'apps/v1', 'kind': 'StatefulSet', 'name': 'web', 'uid': 's'}"
#define OTHER "{'apiVersion': 'v1', 'kind': 'ConfigMap', 'name': 'c', 'uid': 'c'}"
#define BOSS "{'apiVersion': 'v1', 'kind': 'ConfigMap', 'name': 'c', 'uid': 'c', 'controller': true}"

// The uids of the owners, in their order, or "settled".
static char *owners_after(const char *references, const struct claim_owners *owners)
{
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("{'metadata': {'name': 'data-web-1', 'ownerReferences': [%s]}}", references);
        json_auto_t *json = quoted_json(text);
        struct cx_object *claim = cx_object_new(json, NULL, 0);
        CX_BUF shown = CX_BUF_INIT;
        if (claim_is_settled(claim, owners)) {
                cx_buf_add(&shown, "settled");
        } else {
                json_auto_t *now = claim_references(claim, cx_json_get(json, "metadata.ownerReferences"), owners);
                size_t i;
                json_t *reference;
                json_array_foreach (now, i, reference)
                        cx_buf_printf(&shown, "%s%s", i ? " " : "", cx_json_string(reference, "uid"));
        }
        cx_object_unref(claim);
        return cx_buf_detach(&shown);
}

static void test_claim_owners(void **state)
{
        (void)state;
        static const struct {
                bool with_set, when_scaled, in_range;
                const char *references, *wanted;
        } table[] = {
                {false, false, true, "", "settled"},
                {false, false, true, OTHER, "settled"},
                {false, false, true, BOSS, "settled"},
                {false, false, true, TO_SET("s"), ""},
                {false, false, true, OTHER ", " TO_POD("p"), "c"},
                {true, false, true, "", "s"},
                {true, false, true, OTHER, "c s"},
                {true, false, true, PLAIN, "s"}, // not as the controller
                {true, false, true, TO_SET("s"), "settled"},
                {true, false, false, TO_SET("s"), "settled"},
                {true, false, false, TO_POD("p"), "s"},
                {false, true, true, "", "settled"},
                {false, true, true, TO_POD("p"), ""},
                {false, true, false, "", "p"},
                {false, true, false, TO_SET("s"), "p"},
                {false, true, false, TO_POD("p"), "settled"},
                {true, true, true, "", "s"},
                {true, true, true, TO_POD("p"), "s"},
                {true, true, false, TO_SET("s"), "p"},
                {true, true, false, TO_POD("p"), "settled"},
                // Another controller keeps it: nothing of ours on it.
                {true, true, true, BOSS, "settled"},
                {true, false, true, BOSS ", " TO_SET("s"), "c"},
                // A set or pod of the name that has gone: left to the garbage collector.
                {true, false, true, TO_SET("older"), "settled"},
                {true, true, false, TO_POD("older"), "settled"},
        };
        json_auto_t *set_json = quoted_json("{'metadata': {'name': 'web', 'uid': 's'}}");
        json_auto_t *pod_json = quoted_json("{'metadata': {'name': 'web-1', 'uid': 'p'}}");
        struct cx_object *set_object = cx_object_new(set_json, NULL, 0), *pod_object = cx_object_new(pod_json, NULL, 0);
        const struct owner set = {&stateful_set_kind, set_object}, pod = {&pod_kind, pod_object};
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                const struct claim_owners owners = {&set, &pod, table[i].with_set, table[i].when_scaled,
                                                    table[i].in_range};
                CX_CLEANUP(cx_freep) char *have = owners_after(table[i].references, &owners);
                if (strcmp(have, table[i].wanted) != 0)
                        fail_msg("%zu: have \"%s\", want \"%s\"", i, have, table[i].wanted);
        }
        cx_object_unref(set_object);
        cx_object_unref(pod_object);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ordinals),    cmocka_unit_test(test_read),
                cmocka_unit_test(test_in_order),    cmocka_unit_test(test_update_in_order),
                cmocka_unit_test(test_in_parallel), cmocka_unit_test(test_large),
                cmocka_unit_test(test_counts),      cmocka_unit_test(test_claim_owners),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
