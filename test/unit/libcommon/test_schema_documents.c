// SPDX-License-Identifier: Apache-2.0
// Discovery and OpenAPI documents.
#include "format/json.h"
#include "schema_test.h"

static void test_legacy_discovery(void **state)
{
        (void)state;
        json_auto_t *groups = cx_discovery_groups(), *core = cx_discovery_resources("", "v1");
        const json_t *autoscaling = cx_json_find(json_object_get(groups, "groups"), "name", "autoscaling");
        assert_json(
                autoscaling,
                "{'name':'autoscaling','versions':[{'groupVersion':'autoscaling/v2','version':'v2'},{'groupVersion':"
                "'autoscaling/v1','version':'v1'}],'preferredVersion':{'groupVersion':'autoscaling/v2','version':"
                "'v2'}}");
        assert_json(
                cx_json_find(json_object_get(core, "resources"), "name", "pods"),
                "{'name':'pods','singularName':'pod','namespaced':true,'kind':'Pod','verbs':['create','delete',"
                "'deletecollection','get','list','patch','update','watch'],'shortNames':['po'],'categories':['all']}");
        assert_json(
                cx_json_find(json_object_get(core, "resources"), "name", "pods/eviction"),
                "{'name':'pods/eviction','singularName':'','namespaced':true,'group':'policy','version':'v1','kind':"
                "'Eviction','verbs':['create']}");
        assert_null(cx_discovery_resources("apps", "v2"));
        assert_null(cx_discovery_group("nothing"));
        assert_null(cx_discovery_group(""));
        json_auto_t *apps = cx_discovery_group("apps");
        assert_string_equal(cx_json_string(apps, "kind"), "APIGroup");
}

static void test_aggregated_discovery(void **state)
{
        (void)state;
        json_auto_t *list = cx_discovery_aggregated(false), *core = cx_discovery_aggregated(true);
        assert_int_equal(cx_json_count(core, "items"), 1);
        const json_t *apps = NULL, *item;
        size_t i;
        json_array_foreach (json_object_get(list, "items"), i, item)
                if (cx_streq(cx_json_string(item, "metadata.name"), "apps"))
                        apps = item;
        const json_t *version = json_array_get(json_object_get(apps, "versions"), 0);
        assert_json(
                cx_json_find(json_object_get(version, "resources"), "resource", "deployments"),
                "{'resource':'deployments','responseKind':{'group':'apps','version':'v1','kind':'Deployment'},'scope'"
                ":'Namespaced','singularResource':'deployment','verbs':['create','delete','deletecollection','get',"
                "'list','patch','update','watch'],'shortNames':['deploy'],'categories':['all'],'subresources':[{"
                "'subresource':'scale','responseKind':{'group':'autoscaling','version':'v1','kind':'Scale'},'verbs':"
                "['get','patch','update']},{'subresource':'status','responseKind':{'group':'apps','version':'v1',"
                "'kind':'Deployment'},'verbs':['get','patch','update']}]}");
        json_auto_t *metadata = parse("{'name':'apps'}");
        assert_true(json_equal(json_object_get(apps, "metadata"), metadata));
}

// Every $ref leads somewhere.
static size_t check_refs(const json_t *node, const json_t *schemas, const char *prefix)
{
        size_t count = 0, i;
        const char *key;
        json_t *value;
        json_array_foreach (node, i, value)
                count += check_refs(value, schemas, prefix);
        json_object_foreach ((json_t *)node, key, value) {
                if (strcmp(key, "$ref") == 0 && json_is_string(value)) {
                        assert_true(cx_has_prefix(json_string_value(value), prefix));
                        assert_non_null(json_object_get(schemas, json_string_value(value) + strlen(prefix)));
                        count++;
                }
                count += check_refs(value, schemas, prefix);
        }
        return count;
}

static void test_openapi_v3(void **state)
{
        (void)state;
        json_auto_t *index = cx_openapi_v3_index();
        const char *path;
        json_t *entry;
        json_object_foreach (json_object_get(index, "paths"), path, entry) {
                json_auto_t *document = cx_openapi_v3(path);
                assert_non_null(document);
                assert_true(cx_has_prefix(cx_json_string(entry, "serverRelativeURL"), "/openapi/v3/"));
                assert_true(check_refs(document, cx_json_get(document, "components.schemas"), "#/components/schemas/") >
                            10);
        }
        assert_null(cx_openapi_v3("apis/apps/v9"));
        assert_null(cx_openapi_v3("api/apps/v1"));
        assert_null(cx_openapi_v3(""));
        json_auto_t *apps = cx_openapi_v3("apis/apps/v1");
        const json_t *schemas = cx_json_get(apps, "components.schemas");
        const json_t *spec = json_object_get(schemas, "io.k8s.api.core.v1.PodSpec");
        assert_json(cx_json_get(spec, "properties.volumes"),
                    "{'type':'array','items':{'allOf':[{'$ref':'#/components/schemas/io.k8s.api.core.v1.Volume'}],"
                    "'default':{}},'x-kubernetes-list-type':'map','x-kubernetes-list-map-keys':['name'],"
                    "'x-kubernetes-patch-strategy':'merge,retainKeys','x-kubernetes-patch-merge-key':'name'}");
        assert_json(json_object_get(json_object_get(schemas, "io.k8s.api.apps.v1.Deployment"),
                                    "x-kubernetes-group-version-kind"),
                    "[{'group':'apps','kind':'Deployment','version':'v1'}]");
        const json_t *item = json_object_get(json_object_get(apps, "paths"),
                                             "/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
        const json_t *patch = json_object_get(item, "patch");
        assert_non_null(cx_json_find(json_object_get(patch, "parameters"), "name", "fieldValidation"));
        assert_string_equal(cx_json_string(patch, "x-kubernetes-action"), "patch");
        assert_json(json_object_get(patch, "x-kubernetes-group-version-kind"),
                    "{'group':'apps','kind':'Deployment','version':'v1'}");
        const json_t *content = cx_json_get(patch, "requestBody.content");
        assert_non_null(json_object_get(content, "application/strategic-merge-patch+json"));
        assert_non_null(json_object_get(item, "put"));
        assert_null(json_object_get(item, "post"));
}

static void test_openapi_v2(void **state)
{
        (void)state;
        json_auto_t *document = cx_openapi_v2();
        const json_t *definitions = json_object_get(document, "definitions");
        assert_true(check_refs(document, definitions, "#/definitions/") > 1000);
        assert_json(
                json_object_get(cx_json_get(json_object_get(definitions, "io.k8s.api.core.v1.Container"), "properties"),
                                "ports"),
                "{'type':'array','items':{'$ref':'#/definitions/io.k8s.api.core.v1.ContainerPort'},"
                "'x-kubernetes-list-type':'map','x-kubernetes-list-map-keys':['containerPort','protocol'],"
                "'x-kubernetes-patch-strategy':'merge','x-kubernetes-patch-merge-key':'containerPort'}");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_legacy_discovery),
                cmocka_unit_test(test_aggregated_discovery),
                cmocka_unit_test(test_openapi_v3),
                cmocka_unit_test(test_openapi_v2),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
