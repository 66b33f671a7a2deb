// SPDX-License-Identifier: Apache-2.0
// Several controllers ask for parts of one resource: everybody finds what it asked for.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "libcommon/schema/schema.h"
#include "test/unit/controller-manager/world.h"

static void take_image(void *part, const json_t *pod)
{
        *(char **)part = cx_strdup(cx_json_string_or(pod, "spec.image", ""));
}

static void release_image(void *part)
{
        free(*(char **)part);
}

static void take_urgent(void *part, const json_t *pod)
{
        *(bool *)part = cx_json_bool(pod, "spec.urgent", false);
}

static const struct object_part image_part = {sizeof(char *), take_image, release_image};
static const struct object_part urgent_part = {sizeof(bool), take_urgent, NULL};

#define POD "{'metadata': {'name': 'p', 'namespace': 'a', 'uid': 'u'}, 'spec': {'image': 'i', 'urgent': true}}"

static void test_union(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        world_put(&w, "/api/v1/namespaces/a/pods/p", POD);
        struct manager *m = &w.manager;
        const struct cx_resource *pods = cx_schema_resource("", "v1", "pods");
        struct cx_informer *informer = manager_metadata_informer(m, pods); // whoever is first, it is the same one
        assert_ptr_equal(manager_part_informer(m, "", "pods", &urgent_part), informer);
        assert_ptr_equal(manager_part_informer(m, "", "pods", &image_part), informer);
        assert_ptr_equal(manager_part_informer(m, "", "pods", &urgent_part), informer);
        assert_ptr_equal(manager_metadata_informer(m, pods), informer);
        world_start(&w, 1);
        const struct cx_object *pod = cx_informer_get(informer, "a", "p");
        assert_string_equal(*(char *const *)object_part(pod, &image_part), "i");
        assert_true(*(const bool *)object_part(pod, &urgent_part));
        assert_null(pod->bytes); // nobody asked for the whole
        cx_object_unref(pod);
        world_stop(&w);
        world_release(&w);
}

static void test_whole(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        world_put(&w, "/api/v1/namespaces/a/pods/p", POD);
        struct cx_informer *informer = manager_part_informer(&w.manager, "", "pods", &urgent_part);
        assert_ptr_equal(manager_informer(&w.manager, "", "pods"), informer);
        world_start(&w, 1);
        const struct cx_object *pod = cx_informer_get(informer, "a", "p");
        assert_true(*(const bool *)object_part(pod, &urgent_part));
        json_auto_t *json = cx_object_json(pod);
        assert_string_equal(cx_json_string(json, "spec.image"), "i");
        cx_object_unref(pod);
        world_stop(&w);
        world_release(&w);
}

int main(void)
{
        cx_process_init();
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_union), cmocka_unit_test(test_whole)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
