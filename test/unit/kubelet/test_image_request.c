// SPDX-License-Identifier: Apache-2.0
// What is asked of a node's images by a file, and what is no good question.
#include "kubelet/image/request.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"
#include "libcommon/base/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
        char folder[32];
        struct image_store *store;
};

static void make_place(struct place *place)
{
        CX_CLEANUP(cx_freep) char *layer = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        struct layer_content content = {.bytes = 1, .diff_id = "diff"};
        snprintf(place->folder, sizeof place->folder, "/tmp/cx-request-XXXXXX");
        assert_non_null(mkdtemp(place->folder));
        assert_int_equal(image_store_open(place->folder, &place->store, &err), 0);
        assert_int_equal(image_store_layer_begin(place->store, "sha256:l", &layer, &err), 0);
        assert_int_equal(image_store_layer_commit(place->store, "sha256:l", layer, &content, &err), 0);
        assert_int_equal(image_store_put(place->store,
                                         json_pack("{s:s,s:[s],s:[],s:[s],s:[s],s:i,s:{}}", "id", "sha256:i",
                                                   "repoTags", "docker.io/library/web:v1", "repoDigests", "layers",
                                                   "sha256:l", "diffIDs", "diff", "size", 1, "config"),
                                         &err),
                         0);
}

static void test_requests(void **state)
{
        static const struct {
                const char *text;
                int result;
                const char *words; // of the error
        } rows[] = {
                {"{\"verb\":\"tag\",\"image\":\"web:v1\",\"name\":\"mine/web\"}", 0, NULL},
                {"{\"verb\":\"tag\",\"image\":\"web:v1\",\"name\":\"UPPER\"}", -EINVAL, NULL},
                {"{\"verb\":\"tag\",\"image\":\"web:v1\"}", -EINVAL, NULL},
                {"{\"verb\":\"tag\",\"image\":\"other\",\"name\":\"x\"}", -ENOENT,
                 "there is no image docker.io/library/other:latest"},
                {"{\"verb\":\"save\",\"image\":\"mine/web:latest\"}", 0, NULL},
                {"{\"verb\":\"save\",\"image\":\"other\"}", -ENOENT, "there is no image"},
                {"{\"verb\":\"remove\",\"image\":\"mine/web\"}", 0, NULL},
                {"{\"verb\":\"remove\",\"image\":\"mine/web\"}", -ENOENT,
                 "there is no image docker.io/mine/web:latest"},
                {"{\"verb\":\"remove\",\"image\":\"../../etc\"}", -EINVAL, NULL},
                {"{\"verb\":\"run\",\"image\":\"web:v1\"}", -EINVAL, "nothing like \"run\""},
                {"{\"image\":\"web:v1\"}", -EINVAL, "nothing like"},
                {"{\"verb\":1,\"image\":2}", -EINVAL, NULL},
                {"[]", -EINVAL, NULL},
                {"{", -EINVAL, NULL},
        };
        struct place place;
        (void)state;
        make_place(&place);
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/1.request", place.folder);
        CX_CLEANUP(cx_freep) char *saved = cx_sprintf("%s/1.saved", place.folder);
        for (size_t i = 0; i < CX_ARRAY_SIZE(rows); i++) {
                CX_ERROR err = CX_ERROR_INIT, written = CX_ERROR_INIT;
                assert_int_equal(cx_write_file(path, rows[i].text, strlen(rows[i].text), 0600, false, &written), 0);
                int r = image_request(place.store, NULL, path, &err);
                if (rows[i].result == 0 ? r != 0 : r >= 0 || (rows[i].result == -ENOENT && r != -ENOENT))
                        fail_msg("%s: %d, %s", rows[i].text, r, cx_error_text(&err));
                assert_true(!rows[i].words || strstr(cx_error_text(&err), rows[i].words));
        }
        assert_int_equal(access(saved, R_OK), 0);
        json_auto_t *left = image_store_find(place.store, "docker.io/library/web:v1");
        assert_non_null(left);
        image_store_free(place.store);
        assert_int_equal(cx_remove_tree(place.folder, NULL), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_requests)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
