// SPDX-License-Identifier: Apache-2.0
// The generated tables and their look-ups.
#include "libcommon/base/alloc.h"
#include "libcommon/schema/schema.h"
#include "libcommon/schema/schema_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_every_resource_is_found(void **state)
{
        (void)state;
        size_t count;
        const struct cx_resource *all = cx_schema_resources(&count);
        assert_in_range(count, 60, 200);
        assert_string_equal(all[0].group, "");
        for (size_t i = 0; i < count; i++) {
                const struct cx_resource *r = &all[i];
                assert_ptr_equal(cx_schema_resource(r->group, r->version, r->resource), r);
                assert_non_null(cx_schema_kind(r->group, r->version, r->kind->kind));
                assert_non_null(r->kind->type);
                if (r->verbs & CX_VERB_LIST)
                        assert_non_null(cx_schema_kind(r->group, r->version, r->list_kind));
                if (r->verbs & CX_VERB_GET)
                        assert_non_null(r->columns[0].name);
                for (const struct cx_subresource *sub = r->subresources; sub->name; sub++) {
                        assert_non_null(cx_schema_kind(sub->group, sub->version, sub->kind));
                        assert_ptr_equal(cx_resource_subresource(r, sub->name), sub);
                }
        }
        assert_null(cx_schema_resource("apps", "v1", "deployment"));
        assert_null(cx_schema_resource("apps", "v2", "deployments"));
        assert_null(cx_schema_kind("", "v1", "Deployment"));
}

static void test_types_are_sorted_and_linked(void **state)
{
        (void)state;
        for (size_t i = 0; i < cx_schema_table_n_types; i++) {
                const struct cx_type *type = &cx_schema_table_types[i];
                assert_ptr_equal(cx_schema_type(type->name), type);
                for (size_t j = 0; j < type->n_fields; j++) {
                        const struct cx_field *field = &type->fields[j];
                        assert_ptr_equal(cx_type_field(type, field->name), field);
                        assert_int_equal(field->of == CX_OF_OBJECT, field->type != NULL);
                        if (field->list_type == CX_LIST_MAP)
                                assert_non_null(field->map_keys);
                }
                assert_null(cx_type_field(type, "noSuchField"));
        }
        assert_null(cx_schema_type("core.v1.Nothing"));
}

static void test_attributes_of_known_fields(void **state)
{
        (void)state;
        const struct cx_type *pod = cx_schema_type("core.v1.PodSpec");
        const struct cx_field *containers = cx_type_field(pod, "containers");
        assert_int_equal(containers->shape, CX_SHAPE_LIST);
        assert_int_equal(containers->list_type, CX_LIST_MAP);
        assert_string_equal(containers->map_keys[0], "name");
        assert_string_equal(containers->merge_key, "name");
        assert_true(containers->flags & CX_FIELD_PATCH_MERGE);
        assert_true(containers->flags & CX_FIELD_REQUIRED);
        assert_int_equal(containers->proto_tag, 2);
        assert_string_equal(cx_type_field(pod, "restartPolicy")->default_json, "\"Always\"");
        assert_true(cx_type_field(pod, "volumes")->flags & CX_FIELD_PATCH_RETAIN_KEYS);
        const struct cx_field *port = cx_type_field(cx_schema_type("core.v1.ContainerPort"), "containerPort");
        assert_int_equal(port->min, 1);
        assert_int_equal(port->max, 65535);
        const struct cx_field *exec = cx_type_field(cx_schema_type("core.v1.Probe"), "exec");
        assert_int_equal(exec->proto_tag, 1);
        assert_int_equal(exec->proto_inner_tag, 1);
        const struct cx_field *extra = cx_type_field(cx_schema_type("authentication.v1.UserInfo"), "extra");
        assert_int_equal(extra->shape, CX_SHAPE_MAP_OF_LIST);
        assert_true(cx_schema_type("apps.v1.Deployment")->defaulted);
        assert_false(cx_schema_type("meta.v1.ObjectMeta")->defaulted);
        assert_string_equal(cx_schema_resource("events.k8s.io", "v1", "events")->storage_group, "");
}

static void test_words_of_users(void **state)
{
        (void)state;
        static const struct {
                const char *word, *group, *resource;
        } cases[] = {
                {"pods", "", "pods"},
                {"po", "", "pods"},
                {"pod", "", "pods"},
                {"Pod", "", "pods"},
                {"svc", "", "services"},
                {"deploy", "apps", "deployments"},
                {"deployment.apps", "apps", "deployments"},
                {"deployments.v1.apps", "apps", "deployments"},
                {"pods.v1.", "", "pods"},
                {"events", "", "events"},
                {"events.events.k8s.io", "events.k8s.io", "events"},
                {"events.v1.events.k8s.io", "events.k8s.io", "events"},
                {"crd", "apiextensions.k8s.io", "customresourcedefinitions"},
                {"hpa.v1.autoscaling", "autoscaling", "horizontalpodautoscalers"},
                {"netpol", "networking.k8s.io", "networkpolicies"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                const struct cx_resource *r = cx_schema_find(cases[i].word);
                assert_non_null(r);
                assert_string_equal(r->group, cases[i].group);
                assert_string_equal(r->resource, cases[i].resource);
        }
        assert_string_equal(cx_schema_find("hpa")->version, "v2");
        assert_null(cx_schema_find("nonsense"));
        assert_null(cx_schema_find("pods.apps"));
        assert_null(cx_schema_find(""));
        assert_null(cx_schema_find("."));
}

static void test_api_versions(void **state)
{
        (void)state;
        char group[64], version[32], text[128];
        assert_true(cx_split_api_version("apps/v1", group, version));
        assert_string_equal(group, "apps");
        assert_string_equal(version, "v1");
        assert_true(cx_split_api_version("v1", group, version));
        assert_string_equal(group, "");
        assert_false(cx_split_api_version("", group, version));
        assert_false(cx_split_api_version("a/b/c", group, version));
        assert_false(cx_split_api_version("/v1", group, version));
        assert_false(cx_split_api_version("apps/", group, version));
        assert_string_equal(cx_join_api_version(text, "apps", "v1"), "apps/v1");
        assert_string_equal(cx_join_api_version(text, "", "v1"), "v1");
}

// Texts that many fields may share: those of the fields that every kind or list has.
static bool is_implied(const char *name)
{
        static const char *const implied[] = {"apiVersion", "kind", "metadata", "items"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(implied); i++)
                if (strcmp(name, implied[i]) == 0)
                        return true;
        return false;
}

static size_t count_text(const char *description)
{
        size_t count = 0;
        for (size_t i = 0; i < cx_schema_table_n_types; i++) {
                const struct cx_type *type = &cx_schema_table_types[i];
                for (size_t j = 0; j < type->n_fields; j++)
                        count += strcmp(cx_str(type->fields[j].description), description) == 0;
        }
        return count;
}

// A description is a sentence, and more than the name again.
static void check_words(const char *type, const char *field, const char *description)
{
        if (!description || strlen(description) < 8 || description[strlen(description) - 1] != '.' ||
            strcspn(description, " ") == strlen(description) || strstr(description, "  "))
                fail_msg("%s.%s has no proper description: %s", type, cx_str(field), cx_str(description));
}

static void test_everything_is_described(void **state)
{
        (void)state;
        for (size_t i = 0; i < cx_schema_table_n_types; i++) {
                const struct cx_type *type = &cx_schema_table_types[i];
                check_words(type->name, NULL, type->description);
                for (size_t j = 0; j < type->n_fields; j++) {
                        const struct cx_field *field = &type->fields[j];
                        check_words(type->name, field->name, field->description);
                        if (!is_implied(field->name) && count_text(field->description) > 3)
                                fail_msg("%s.%s has the words of more than two others: %s", type->name, field->name,
                                         field->description);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_resource_is_found),
                cmocka_unit_test(test_types_are_sorted_and_linked),
                cmocka_unit_test(test_attributes_of_known_fields),
                cmocka_unit_test(test_words_of_users),
                cmocka_unit_test(test_api_versions),
                cmocka_unit_test(test_everything_is_described),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
