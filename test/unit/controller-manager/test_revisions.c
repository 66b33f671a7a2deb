// SPDX-License-Identifier: Apache-2.0
// The history of what pods are made of.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "controller-manager/workloads/revisions.h"
#include "test/unit/controller-manager/world.h"

static const struct owner_kind set_kind = {"apps", "v1", "statefulsets", "StatefulSet"};

#define REVISIONS "/apis/apps/v1/namespaces/a/controllerrevisions/"

struct fixture {
        struct world w;
        struct cx_object *set;
        struct owner owner;
        struct cx_selector selector;
        struct revision_history history;
};

static void fixture_init(struct fixture *f)
{
        world_init(&f->w);
        world_put(&f->w, "/apis/apps/v1/namespaces/a/statefulsets/db",
                  "{'metadata': {'name': 'db', 'namespace': 'a', 'uid': 'set'}}");
        json_auto_t *set = quoted_json("{'metadata': {'name': 'db', 'namespace': 'a', 'uid': 'set'}}");
        json_auto_t *labels = quoted_json("{'app': 'db'}");
        f->set = cx_object_new(set, NULL, 0);
        f->owner = (struct owner){&set_kind, f->set};
        f->selector = (struct cx_selector){0};
        cx_selector_from_map(labels, &f->selector);
        f->history =
                (struct revision_history){f->w.api->rest, revisions_informer(&f->w.manager), &f->owner, &f->selector};
        world_start(&f->w, 1);
}

static void fixture_release(struct fixture *f)
{
        cx_selector_release(&f->selector);
        cx_object_unref(f->set);
        world_stop(&f->w);
        world_release(&f->w);
}

static int64_t update(struct fixture *f, const char *data, int64_t *collisions, struct controller_revisions *revisions,
                      char **ret_name)
{
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *json = quoted_json(data), *labels = quoted_json("{'app': 'db'}");
        size_t index;
        int r = revisions_update(&f->history, &(struct revision_content){json, labels}, collisions, revisions, &index,
                                 &err);
        if (r < 0)
                fail_msg("%s", cx_error_text(&err));
        if (ret_name)
                *ret_name = cx_strdup(revisions->items[index].name);
        return revisions->items[index].number;
}

static void test_history(void **state)
{
        (void)state;
        struct fixture f;
        fixture_init(&f);
        struct controller_revisions all = {0};
        int64_t collisions = 0;
        CX_CLEANUP(cx_freep) char *first = NULL, *again = NULL;
        assert_int_equal(update(&f, "{'image': 'v1', 'b': 1}", &collisions, &all, &first), 1);
        assert_int_equal(update(&f, "{'b': 1, 'image': 'v1'}", &collisions, &all, &again), 1); // the same
        assert_string_equal(first, again);
        assert_int_equal(update(&f, "{'image': 'v2'}", &collisions, &all, NULL), 2);
        assert_int_equal(update(&f, "{'image': 'v3'}", &collisions, &all, NULL), 3);
        assert_int_equal(world_count(&f.w, REVISIONS), 3);
        // Back to the first: no new one, but the newest number.
        free(again);
        assert_int_equal(update(&f, "{'image': 'v1', 'b': 1}", &collisions, &all, &again), 4);
        assert_string_equal(first, again);
        assert_int_equal(world_count(&f.w, REVISIONS), 3);
        assert_int_equal(collisions, 0);
        revisions_release(&all);
        // What the informer shows is the same.
        FAKE_WAIT(cx_informer_count(f.history.informer) == 3);
        CX_CLEANUP(cx_freep) char *path = cx_sprintf(REVISIONS "%s", first);
        CX_CLEANUP(cx_freep) char *number = world_text(&f.w, path, "revision");
        assert_string_equal(number, "4");
        CX_ERROR err = CX_ERROR_INIT;
        FAKE_WAIT(({
                CX_OBJECT *object = cx_informer_get(f.history.informer, "a", first);
                json_auto_t *json = cx_object_json(object);
                cx_json_int(json, "revision", 0) == 4;
        }));
        assert_int_equal(revisions_claim(&f.history, &all, &err), 0);
        assert_int_equal(all.count, 3);
        assert_int_equal(all.items[0].number, 2);
        assert_string_equal(all.items[2].name, first);
        CX_CLEANUP(cx_freep) char *named = cx_sprintf("db-%s", all.items[2].hash);
        assert_string_equal(named, first);
        revisions_release(&all);
        fixture_release(&f);
}

static void test_collision(void **state)
{
        (void)state;
        struct fixture f;
        fixture_init(&f);
        struct controller_revisions all = {0};
        json_auto_t *data = quoted_json("{'image': 'v1'}");
        CX_CLEANUP(cx_freep) char *name = revision_name("db", data, 0);
        CX_CLEANUP(cx_freep) char *second = revision_name("db", data, 1);
        assert_string_not_equal(name, second);
        CX_CLEANUP(cx_freep) char *path = cx_sprintf(REVISIONS "%s", name);
        CX_CLEANUP(cx_freep)
        char *other = cx_sprintf("{'metadata': {'name': '%s', 'namespace': 'a', 'uid': 'x'}, 'data': {'image': 'no'}, "
                                 "'revision': 7}",
                                 name);
        world_put(&f.w, path, other);
        int64_t collisions = 0;
        CX_CLEANUP(cx_freep) char *made = NULL;
        assert_int_equal(update(&f, "{'image': 'v1'}", &collisions, &all, &made), 1);
        assert_int_equal(collisions, 1);
        assert_string_equal(made, second);
        revisions_release(&all);
        // Ours, which the informer has not shown yet, is none.
        assert_int_equal(update(&f, "{'image': 'v1'}", &collisions, &all, NULL), 1);
        assert_int_equal(collisions, 1);
        revisions_release(&all);
        fixture_release(&f);
}

static void test_numbers(void **state)
{
        (void)state;
        CX_ERROR err = CX_ERROR_INIT;
        struct controller_revision items[] = {{.number = 3}, {.number = INT64_C(1) << 40}};
        struct controller_revisions all = {items, 2};
        int64_t next;
        assert_int_equal(revisions_next(&all, &next, &err), 0);
        assert_int_equal(next, (INT64_C(1) << 40) + 1);
        items[1].number = INT64_MAX;
        assert_int_equal(revisions_next(&all, &next, &err), -EOVERFLOW);
        all.count = 0;
        cx_error_release(&err);
        assert_int_equal(revisions_next(&all, &next, &err), 0);
        assert_int_equal(next, 1);
}

static void test_truncate(void **state)
{
        (void)state;
        struct fixture f;
        fixture_init(&f);
        struct controller_revisions all = {0};
        int64_t collisions = 0;
        CX_STRINGS in_use = CX_STRINGS_INIT;
        for (int i = 1; i <= 6; i++) {
                CX_CLEANUP(cx_freep) char *data = cx_sprintf("{'image': 'v%d'}", i);
                CX_CLEANUP(cx_freep) char *name = NULL;
                assert_int_equal(update(&f, data, &collisions, &all, &name), i);
                if (i == 1 || i == 6) // what the oldest pods and the newest are made of
                        cx_strings_add(&in_use, name);
        }
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(revisions_truncate(&f.history, &in_use, 10, &all, &err), 0);
        assert_int_equal(all.count, 6);
        assert_int_equal(revisions_truncate(&f.history, &in_use, 2, &all, &err), 0);
        assert_int_equal(world_count(&f.w, REVISIONS), 4);
        static const int64_t left[] = {1, 4, 5, 6};
        assert_int_equal(all.count, 4);
        for (size_t i = 0; i < all.count; i++)
                assert_int_equal(all.items[i].number, left[i]);
        assert_int_equal(revisions_truncate(&f.history, &in_use, 0, &all, &err), 0);
        assert_int_equal(all.count, 2);
        revisions_release(&all);
        fixture_release(&f);
}

static void test_adoption(void **state)
{
        (void)state;
        struct fixture f;
        fixture_init(&f);
        world_put(&f.w, REVISIONS "old",
                  "{'metadata': {'name': 'old', 'namespace': 'a', 'uid': 'o', 'labels': {'app': "
                  "'db'}}, 'data': {'image': 'v1'}, 'revision': 2}");
        FAKE_WAIT(cx_informer_count(f.history.informer) == 1);
        CX_ERROR err = CX_ERROR_INIT;
        struct controller_revisions all = {0};
        assert_int_equal(revisions_claim(&f.history, &all, &err), 0);
        assert_int_equal(all.count, 1);
        CX_CLEANUP(cx_freep) char *owners = world_text(&f.w, REVISIONS "old", "metadata.ownerReferences");
        assert_non_null(strstr(owners, "\"uid\":\"set\""));
        // It holds the data under a name that we would not give: it is the revision all the same.
        int64_t collisions = 0;
        CX_CLEANUP(cx_freep) char *name = NULL;
        assert_int_equal(update(&f, "{'image': 'v1'}", &collisions, &all, &name), 2);
        assert_string_equal(name, "old");
        revisions_release(&all);
        fixture_release(&f);
}

int main(void)
{
        cx_process_init();
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_history),  cmocka_unit_test(test_collision), cmocka_unit_test(test_numbers),
                cmocka_unit_test(test_truncate), cmocka_unit_test(test_adoption),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
