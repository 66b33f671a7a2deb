// SPDX-License-Identifier: Apache-2.0
// What a write of pods/resize takes, and what it refuses.
#include "apiserver/strategy/pods_resize.h"
#include "libcommon/format/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static json_t *parse(const char *text)
{
        char *copy = strdup(text);
        for (char *p = copy; (p = strchr(p, '\''));)
                *p = '"';
        json_t *json = json_loads(copy, 0, NULL);
        assert_non_null(json);
        free(copy);
        return json;
}

static const char old_text[] =
        "{'metadata':{'name':'p','labels':{'a':'b'},'resourceVersion':'1'},'spec':{'nodeName':'n','containers':["
        "{'name':'c','image':'i','resources':{'requests':{'cpu':'1','memory':'1Gi','x/"
        "y':'1'},'limits':{'memory':'2Gi','x/y':'1'}}},"
        "{'name':'d','image':'i'}],'initContainers':[{'name':'i','resources':{'requests':{'cpu':'1'}}},"
        "{'name':'s','restartPolicy':'Always','resources':{'requests':{'cpu':'1'}}}]},'status':{'qosClass':'Burstable'}"
        "}";

// The pod with the resources of one container replaced.
static json_t *changed(const char *container, const char *resources)
{
        json_t *pod = parse(old_text);
        static const char *const lists[] = {"spec.containers", "spec.initContainers"};
        for (size_t i = 0; i < 2; i++) {
                json_t *found = cx_json_find(cx_json_get(pod, lists[i]), "name", container);
                if (found)
                        json_object_set_new(found, "resources", parse(resources));
        }
        return pod;
}

static void takes_only_resources(void **state)
{
        (void)state;
        json_auto_t *old = parse(old_text);
        json_auto_t *pod =
                parse("{'metadata':{'name':'p','labels':{'a':'other'},'resourceVersion':'7'},'spec':{'nodeName':'m',"
                      "'containers':[{'name':'new'},{'name':'c','image':'j','resources':{'requests':{'cpu':'2'}},"
                      "'resizePolicy':[{'resourceName':'cpu','restartPolicy':'RestartContainer'}]}]},'status':{}}");
        json_auto_t *wanted = json_deep_copy(old);
        json_t *c = json_array_get(cx_json_get(wanted, "spec.containers"), 0);
        json_object_set_new(c, "resources", parse("{'requests':{'cpu':'2'}}"));
        json_object_set_new(c, "resizePolicy", parse("[{'resourceName':'cpu','restartPolicy':'RestartContainer'}]"));
        cx_json_set_string(wanted, "metadata.resourceVersion", "7");
        pods_resize_prepare(pod, old);
        assert_true(json_equal(pod, wanted));
}

static void refusals(void **state)
{
        (void)state;
        static const struct {
                const char *container, *resources, *field, *message;
        } cases[] = {
                {"c", "{'requests':{'cpu':'2','memory':'1Gi','x/y':'1'},'limits':{'memory':'4Gi','x/y':'1','cpu':'3'}}",
                 NULL, NULL},
                {"d", "{'requests':{'cpu':'2'}}", NULL, NULL},
                {"s", "{'requests':{'cpu':'2'}}", NULL, NULL},
                {"c", "{'requests':{'cpu':'2','x/y':'1'},'limits':{'memory':'4Gi','x/y':'1'}}",
                 "spec.containers[0].resources.requests", "Forbidden: resource requests cannot be removed"},
                {"c", "{'requests':{'cpu':'2','memory':'1Gi','x/y':'1'},'limits':{'x/y':'1'}}",
                 "spec.containers[0].resources.limits", "Forbidden: resource limits cannot be removed"},
                {"s", "{}", "spec.initContainers[1].resources.requests",
                 "Forbidden: resource requests cannot be removed"},
                {"c", "{'requests':{'cpu':'1','memory':'1Gi','x/y':'2'},'limits':{'memory':'2Gi','x/y':'2'}}", "spec",
                 "Forbidden: only cpu and memory resources are mutable"},
                {"i", "{'requests':{'cpu':'2'}}", "spec", "Forbidden: only cpu and memory resources are mutable"},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                json_auto_t *old = parse(old_text);
                json_auto_t *pod = changed(cases[i].container, cases[i].resources);
                CX_ERROR causes = CX_ERROR_INIT;
                pods_resize_validate(pod, old, &causes);
                if (!cases[i].field) {
                        assert_int_equal(causes.n_causes, 0);
                        continue;
                }
                assert_int_equal(causes.n_causes, 1);
                assert_string_equal(causes.causes[0].field, cases[i].field);
                assert_string_equal(causes.causes[0].message, cases[i].message);
        }
}

static void quality_of_service(void **state)
{
        (void)state;
        json_auto_t *old = parse("{'spec':{'containers':[{'name':'c'}]},'status':{'qosClass':'BestEffort'}}");
        json_auto_t *pod = parse("{'spec':{'containers':[{'name':'c','resources':{'requests':{'cpu':'1'}}}]}}");
        CX_ERROR causes = CX_ERROR_INIT;
        pods_resize_validate(pod, old, &causes);
        assert_int_equal(causes.n_causes, 1);
        assert_string_equal(causes.causes[0].message,
                            "Invalid value: \"Burstable\": Pod QOS Class may not change as a result of resizing");
        cx_error_release(&causes);
        cx_json_set_string(
                json_object_get(old, "metadata") ? old : (json_object_set_new(old, "metadata", json_object()), old),
                "metadata.name", "p");
        json_object_set_new(json_object_get(old, "metadata"), "annotations",
                            parse("{'kubernetes.io/config.mirror':'x'}"));
        CX_ERROR mirror = CX_ERROR_INIT;
        pods_resize_validate(pod, old, &mirror);
        assert_string_equal(mirror.causes[0].message, "Forbidden: static pods cannot be resized");
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(takes_only_resources), cmocka_unit_test(refusals),
                                           cmocka_unit_test(quality_of_service)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
