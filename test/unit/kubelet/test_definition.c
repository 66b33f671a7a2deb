// SPDX-License-Identifier: Apache-2.0
// When a container counts as changed: by any field but its resources, and never by an upgrade alone.
#include "kubelet/pod/definition.h"
#include "kubelet/runtime/runtime_internal.h"
#include "libcommon/base/process.h"
#include "libcommon/base/tree.h"
#include "libcommon/format/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static json_t *parse(const char *text)
{
        json_t *json = NULL;
        assert_int_equal(cx_json_parse(text, strlen(text), true, &json, NULL), 0);
        return json;
}

#define MADE "{\"name\":\"c\",\"image\":\"i:1\",\"env\":[{\"name\":\"A\",\"value\":\"1\"}],\"resources\":{}}"

static void hashes(void **state)
{
        (void)state;
        static const struct {
                const char *container;
                bool same;
        } cases[] = {
                {MADE, true},
                {"{\"image\":\"i:1\",\"name\":\"c\",\"env\":[{\"value\":\"1\",\"name\":\"A\"}]}", true},
                {"{\"name\":\"c\",\"image\":\"i:1\",\"env\":[{\"name\":\"A\",\"value\":\"1\"}],"
                 "\"resources\":{\"limits\":{\"cpu\":\"1\"}},\"resizePolicy\":[{\"resourceName\":\"cpu\"}]}",
                 true},
                {"{\"name\":\"c\",\"image\":\"i:2\",\"env\":[{\"name\":\"A\",\"value\":\"1\"}]}", false},
                {"{\"name\":\"c\",\"image\":\"i:1\",\"env\":[{\"name\":\"A\",\"value\":\"2\"}]}", false},
                {"{\"name\":\"c\",\"image\":\"i:1\",\"env\":[{\"name\":\"A\",\"value\":\"1\"}],\"tty\":true}", false},
        };
        json_auto_t *made = parse(MADE);
        CX_CLEANUP(cx_freep) char *hash = definition_hash(made);
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *container = parse(cases[i].container);
                CX_CLEANUP(cx_freep) char *other = definition_hash(container);
                assert_int_equal(strcmp(hash, other) == 0, cases[i].same);
        }
}

static char folder[] = "/tmp/cx-definition-XXXXXX";
static struct runtime runtime;
static const struct kubelet kubelet = {.runtime = &runtime};

static int set_up(void **state)
{
        if (!mkdtemp(folder))
                return -1;
        pthread_mutex_init(&runtime.lock, NULL);
        struct container *c = cx_alloc(sizeof *c);
        c->refs = 1;
        char **texts[] = {&c->id,       &c->data,   &c->sandbox_id,  &c->pod_uid,  &c->pod_namespace,
                          &c->pod_name, &c->name,   &c->image,       &c->image_id, &c->image_ref,
                          &c->log_path, &c->cgroup, &c->message_path};
        for (size_t i = 0; i < CX_ARRAY_SIZE(texts); i++)
                *texts[i] = cx_strdup("x");
        c->folder = cx_strdup(folder);
        free(c->data);
        c->data = cx_strdup(folder);
        *state = c;
        return 0;
}

static int tear_down(void **state)
{
        container_unref(*state);
        pthread_mutex_destroy(&runtime.lock);
        return cx_remove_tree(folder, NULL);
}

// The record that a restarted kubelet would read.
static int64_t recorded_generation(void)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/container.json", folder);
        CX_BUF text = CX_BUF_INIT;
        json_auto_t *record = NULL;
        assert_int_equal(cx_buf_read_file(&text, path), 0);
        assert_int_equal(cx_json_parse(text.data, text.length, true, &record, NULL), 0);
        return cx_json_int(record, "generation", -2);
}

static void record(struct container *c, const char *hash, int64_t generation)
{
        CX_CLEANUP(cx_freep) char *copy = cx_strdup(hash);
        assert_int_equal(container_define(&runtime, c, &(struct container_definition){copy, generation}, NULL), 0);
}

static void changes(void **state)
{
        struct container *c = *state;
        json_auto_t *made = parse(MADE), *newer = parse("{\"name\":\"c\",\"image\":\"i:2\"}");
        json_auto_t *with_default =
                parse("{\"name\":\"c\",\"image\":\"i:1\",\"env\":[{\"name\":\"A\",\"value\":\"1\"}],"
                      "\"newField\":\"Default\"}");
        json_auto_t *pod1 = parse("{\"metadata\":{\"generation\":1}}"),
                    *pod2 = parse("{\"metadata\":{\"generation\":2}}");
        json_auto_t *pod3 = parse("{\"metadata\":{\"generation\":3}}");
        CX_CLEANUP(cx_freep) char *hash = definition_hash(made);
        record(c, hash, 1);
        assert_false(definition_changed(&kubelet, pod1, made, c));
        assert_true(definition_changed(&kubelet, pod2, newer, c));
        // Something else of the pod changed: known from now on.
        assert_false(definition_changed(&kubelet, pod2, made, c));
        assert_int_equal(recorded_generation(), 2);
        // Another version fills in a default; what comes after is compared with that.
        assert_false(definition_changed(&kubelet, pod2, with_default, c));
        assert_false(definition_changed(&kubelet, pod3, with_default, c));
        assert_true(definition_changed(&kubelet, pod2, made, c));
}

static void earlier_records(void **state)
{
        struct container *c = *state;
        json_auto_t *made = parse(MADE), *newer = parse("{\"name\":\"c\",\"image\":\"i:2\"}");
        json_auto_t *pod = parse("{\"metadata\":{\"generation\":5}}");
        record(c, "i:1", DEFINITION_IS_IMAGE);
        assert_true(definition_changed(&kubelet, pod, newer, c));
        assert_false(definition_changed(&kubelet, pod, made, c));
        assert_int_equal(recorded_generation(), 5);
        assert_false(definition_changed(&kubelet, pod, made, c));
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(hashes), cmocka_unit_test(changes),
                                           cmocka_unit_test(earlier_records)};
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
