// SPDX-License-Identifier: Apache-2.0
// Discovery and OpenAPI documents.
#include "libcommon/format/json.h"
#include "test/unit/libcommon/schema_test.h"

static struct cx_resource_set all; // that is generated

static int list_all(void **state)
{
        size_t count;
        const struct cx_resource *resources = cx_schema_resources(&count),
                                 **items = cx_alloc_array(count, sizeof *items);
        for (size_t i = 0; i < count; i++)
                items[i] = &resources[i];
        all = (struct cx_resource_set){items, count};
        *state = items;
        return 0;
}

static int free_list(void **state)
{
        free(*state);
        return 0;
}

static void test_legacy_discovery(void **state)
{
        (void)state;
        json_auto_t *groups = cx_discovery_groups(&all), *core = cx_discovery_resources(&all, "", "v1");
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
        assert_null(cx_discovery_resources(&all, "apps", "v2"));
        assert_null(cx_discovery_group(&all, "nothing"));
        assert_null(cx_discovery_group(&all, ""));
        json_auto_t *apps = cx_discovery_group(&all, "apps");
        assert_string_equal(cx_json_string(apps, "kind"), "APIGroup");
}

static void test_aggregated_discovery(void **state)
{
        (void)state;
        json_auto_t *list = cx_discovery_aggregated(&all, false), *core = cx_discovery_aggregated(&all, true);
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
        json_auto_t *metadata = quoted_json("{'name':'apps'}");
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

// The schemas are what clients show: each has words, and each of its properties. Returns how many there are.
static size_t check_descriptions(const json_t *schemas)
{
        size_t count = 0;
        const char *name, *property;
        json_t *schema, *value;
        json_object_foreach ((json_t *)schemas, name, schema) {
                if (!*cx_json_string_or(schema, "description", ""))
                        fail_msg("%s has no description", name);
                json_object_foreach (json_object_get(schema, "properties"), property, value) {
                        if (!*cx_json_string_or(value, "description", ""))
                                fail_msg("%s.%s has no description", name, property);
                        count++;
                }
        }
        return count;
}

// Compares without the description, which may be written anew.
static void assert_schema(const json_t *schema, const char *expected)
{
        json_auto_t *plain = json_copy((json_t *)schema);
        assert_int_equal(json_object_del(plain, "description"), 0);
        assert_json(plain, expected);
}

static void test_openapi_v3(void **state)
{
        (void)state;
        json_auto_t *index = cx_openapi_v3_index(&all);
        const char *path;
        json_t *entry;
        json_object_foreach (json_object_get(index, "paths"), path, entry) {
                json_auto_t *document = cx_openapi_v3(&all, path);
                assert_non_null(document);
                assert_true(cx_has_prefix(cx_json_string(entry, "serverRelativeURL"), "/openapi/v3/"));
                assert_true(check_refs(document, cx_json_get(document, "components.schemas"), "#/components/schemas/") >
                            10);
                assert_true(check_descriptions(cx_json_get(document, "components.schemas")) > 10);
        }
        assert_null(cx_openapi_v3(&all, "apis/apps/v9"));
        assert_null(cx_openapi_v3(&all, "api/apps/v1"));
        assert_null(cx_openapi_v3(&all, ""));
        json_auto_t *apps = cx_openapi_v3(&all, "apis/apps/v1");
        const json_t *schemas = cx_json_get(apps, "components.schemas");
        const json_t *spec = json_object_get(schemas, "io.k8s.api.core.v1.PodSpec");
        assert_schema(cx_json_get(spec, "properties.volumes"),
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
        json_auto_t *document = cx_openapi_v2(&all);
        const json_t *definitions = json_object_get(document, "definitions");
        assert_true(check_refs(document, definitions, "#/definitions/") > 1000);
        assert_true(check_descriptions(definitions) > 1000);
        assert_schema(
                json_object_get(cx_json_get(json_object_get(definitions, "io.k8s.api.core.v1.Container"), "properties"),
                                "ports"),
                "{'type':'array','items':{'$ref':'#/definitions/io.k8s.api.core.v1.ContainerPort'},"
                "'x-kubernetes-list-type':'map','x-kubernetes-list-map-keys':['containerPort','protocol'],"
                "'x-kubernetes-patch-strategy':'merge','x-kubernetes-patch-merge-key':'containerPort'}");
}

// --- the same in protobuf: a reader of its own, so that it does not repeat the writer's mistakes ---

struct wire {
        const unsigned char *p, *end;
};

static uint64_t read_varint(struct wire *w)
{
        uint64_t value = 0;
        for (unsigned shift = 0;; shift += 7) {
                assert_true(w->p < w->end && shift < 64);
                value |= (uint64_t)(*w->p & 0x7f) << shift;
                if (!(*w->p++ & 0x80))
                        return value;
        }
}

// The next field: its number, and its bytes in *ret_value (length-delimited) or its value in *ret_number. 0 at the end.
static unsigned next_field(struct wire *w, struct wire *ret_value, uint64_t *ret_number)
{
        if (w->p == w->end)
                return 0;
        uint64_t key = read_varint(w);
        if ((key & 7) == 0) {
                *ret_number = read_varint(w);
                return (unsigned)(key >> 3);
        }
        assert_int_equal(key & 7, 2);
        uint64_t length = read_varint(w);
        assert_true(length <= (uint64_t)(w->end - w->p));
        *ret_value = (struct wire){w->p, w->p + length};
        w->p += length;
        return (unsigned)(key >> 3);
}

// The only field with this number.
static struct wire one_field(struct wire w, unsigned number)
{
        struct wire value, found = {0};
        uint64_t ignored;
        for (unsigned n; (n = next_field(&w, &value, &ignored));)
                if (n == number) {
                        assert_null(found.p);
                        found = value;
                }
        assert_non_null(found.p);
        return found;
}

static void assert_text(struct wire w, const char *text)
{
        assert_int_equal(w.end - w.p, strlen(text));
        assert_memory_equal(w.p, text, strlen(text));
}

// The value of the entry with this name in a list of named entries.
static struct wire named(struct wire list, unsigned number, const char *name)
{
        struct wire entry, value;
        uint64_t ignored;
        for (unsigned n; (n = next_field(&list, &entry, &ignored));) {
                value = one_field(entry, 1);
                if (n == number && (size_t)(value.end - value.p) == strlen(name) &&
                    memcmp(value.p, name, strlen(name)) == 0)
                        return one_field(entry, 2);
        }
        fail_msg("no entry %s", name);
        return list;
}

static size_t count_fields(struct wire w, unsigned number)
{
        struct wire value;
        uint64_t ignored;
        size_t count = 0;
        for (unsigned n; (n = next_field(&w, &value, &ignored));)
                count += n == number;
        return count;
}

static void test_openapi_v2_protobuf(void **state)
{
        (void)state;
        json_auto_t *document = cx_openapi_v2(&all);
        CX_BUF bytes = CX_BUF_INIT;
        assert_int_equal(cx_openapi_v2_protobuf(document, &bytes, NULL), 0);
        struct wire root = {(unsigned char *)bytes.data, (unsigned char *)bytes.data + bytes.length};
        assert_text(one_field(root, 1), "2.0");
        struct wire paths = one_field(root, 8), definitions = one_field(root, 9);
        assert_int_equal(count_fields(paths, 2), cx_json_count(document, "paths"));
        assert_int_equal(count_fields(definitions, 1), cx_json_count(document, "definitions"));

        struct wire container = named(definitions, 1, "io.k8s.api.core.v1.Container");
        assert_text(one_field(one_field(container, 22), 1), "object");
        assert_text(one_field(container, 4), cx_json_string(json_object_get(json_object_get(document, "definitions"),
                                                                            "io.k8s.api.core.v1.Container"),
                                                            "description"));
        struct wire ports = named(one_field(container, 25), 1, "ports");
        assert_text(one_field(one_field(one_field(ports, 23), 1), 1), "#/definitions/io.k8s.api.core.v1.ContainerPort");
        assert_text(one_field(named(ports, 31, "x-kubernetes-list-map-keys"), 2), "[\"containerPort\",\"protocol\"]");

        struct wire item = named(paths, 2, "/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
        struct wire patch = one_field(item, 8);
        assert_text(one_field(patch, 5), "patchNamespacedDeployment");
        assert_int_equal(count_fields(patch, 7), 4);
        struct wire ok = named(one_field(patch, 9), 1, "200");
        assert_text(one_field(one_field(one_field(one_field(ok, 1), 2), 1), 1),
                    "#/definitions/io.k8s.api.apps.v1.Deployment");
        struct wire parameter, query;
        uint64_t unique = 0;
        while (next_field(&patch, &parameter, &unique) != 8)
                ;
        query = one_field(one_field(one_field(parameter, 1), 2), 3);
        assert_text(one_field(query, 4), "dryRun");
        assert_text(one_field(query, 6), "string");
        for (unsigned n = 1; n && n != 21;)
                n = next_field(&query, &parameter, &unique);
        assert_int_equal(unique, 1);
}

static void test_openapi_v2_protobuf_refuses(void **state)
{
        (void)state;
        static const char *const documents[] = {"{'surprise':1}",
                                                "[]",
                                                "{'swagger':2}",
                                                "{'paths':[]}",
                                                "{'definitions':{'a':{'uniqueItems':'x'}}}",
                                                "{'paths':{'/':{'get':{'parameters':[{'name':'x','in':'nowhere'}]}}}}"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(documents); i++) {
                json_auto_t *document = quoted_json(documents[i]);
                CX_BUF bytes = CX_BUF_INIT;
                assert_int_equal(cx_openapi_v2_protobuf(document, &bytes, NULL), -EINVAL);
        }
        json_auto_t *rest =
                quoted_json("{'definitions':{'a':{'maximum':1.5,'maxLength':-1,'readOnly':true,'enum':['x',1],"
                            "'additionalProperties':false,'allOf':[{},{}]}}}");
        CX_BUF bytes = CX_BUF_INIT;
        assert_int_equal(cx_openapi_v2_protobuf(rest, &bytes, NULL), 0);
        static const unsigned char expected[] = "\x4a\x37\x0a\x35\x0a\x01"
                                                "a"
                                                "\x12\x30"
                                                "\x39\0\0\0\0\0\0\xf8\x3f"
                                                "\x58\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                                                "\xd8\x01\x01"
                                                "\xa2\x01\x05\x12\x03\"x\"\xa2\x01\x03\x12\x01"
                                                "1"
                                                "\xaa\x01\x02\x10\0"
                                                "\xc2\x01\0\xc2\x01\0";
        assert_int_equal(bytes.length, sizeof expected - 1);
        assert_memory_equal(bytes.data, expected, sizeof expected - 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_legacy_discovery),    cmocka_unit_test(test_aggregated_discovery),
                cmocka_unit_test(test_openapi_v3),          cmocka_unit_test(test_openapi_v2),
                cmocka_unit_test(test_openapi_v2_protobuf), cmocka_unit_test(test_openapi_v2_protobuf_refuses),
        };
        return cmocka_run_group_tests(tests, list_all, free_list);
}
