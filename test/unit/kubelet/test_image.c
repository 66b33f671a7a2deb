// SPDX-License-Identifier: Apache-2.0
// Image references, registries.yaml, authentication challenges, credentials and hostile layers.
#include "kubelet/image/docker_auth.h"
#include "kubelet/image/export.h"
#include "kubelet/image/import.h"
#include "kubelet/image/pull.h"
#include "kubelet/image/reference.h"
#include "kubelet/image/registry.h"
#include "kubelet/image/store.h"
#include "kubelet/image/unpack.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/base/tree.h"
#include "libcommon/format/json.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cmocka.h>

static void references(void **state)
{
        (void)state;
        static const struct {
                const char *text, *full;
        } good[] = {{"busybox", "docker.io/library/busybox:latest"},
                    {"a/b:v1", "docker.io/a/b:v1"},
                    {"localhost/x", "localhost/x:latest"},
                    {"127.0.0.1:5000/x/y:1.2_3", "127.0.0.1:5000/x/y:1.2_3"},
                    {"index.docker.io/library/z", "docker.io/library/z:latest"},
                    {"q.io/a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                     "q.io/a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(good); i++) {
                IMAGE_REF ref = IMAGE_REF_INIT;
                assert_int_equal(image_ref_parse(good[i].text, &ref, NULL), 0);
                CX_CLEANUP(cx_freep) char *full = image_ref_format(&ref);
                assert_string_equal(full, good[i].full);
        }
        static const char *const bad[] = {"",     "UPPER", "a b",    "a:",   "x@sha256:12",
                                          "a//b", "-a",    "a:tag!", "../a", "h.io/"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(bad); i++) {
                IMAGE_REF ref = IMAGE_REF_INIT;
                assert_int_equal(image_ref_parse(bad[i], &ref, NULL), -EINVAL);
        }
}

static void registries(void **state)
{
        (void)state;
        static const char yaml[] = "mirrors:\n"
                                   "  docker.io:\n"
                                   "    endpoint: [\"http://m:5000\", \"https://n/v2/\"]\n"
                                   "    rewrite: {\"^library/(.*)\": \"hub/$1\"}\n"
                                   "configs:\n"
                                   "  \"m:5000\": {auth: {username: u, password: p}}\n"
                                   "  registry-1.docker.io: {tls: {insecure_skip_verify: true}}\n";
        struct registries *r = NULL;
        assert_int_equal(registries_parse(yaml, sizeof yaml - 1, &r, NULL), 0);
        REGISTRY_ENDPOINTS list = {0};
        assert_int_equal(registries_endpoints(r, "docker.io", "library/x", &list, NULL), 0);
        assert_int_equal(list.count, 3);
        assert_string_equal(list.items[0].base, "http://m:5000/v2");
        assert_string_equal(list.items[0].repository, "hub/x");
        assert_string_equal(list.items[0].username, "u");
        assert_string_equal(list.items[1].base, "https://n/v2");
        assert_string_equal(list.items[2].base, "https://registry-1.docker.io/v2");
        assert_string_equal(list.items[2].repository, "library/x");
        assert_true(list.items[2].insecure);
        REGISTRY_ENDPOINTS plain = {0};
        assert_int_equal(registries_endpoints(r, "127.0.0.1:5000", "x", &plain, NULL), 0);
        assert_string_equal(plain.items[0].base, "http://127.0.0.1:5000/v2");
        registries_free(r);
        // An endpoint that is the registry itself says how to reach it: it is tried once, and gets its pull secrets.
        static const char own[] = "mirrors: {\"r:5000\": {endpoint: [\"http://m\", \"http://r:5000\"]}}";
        REGISTRY_ENDPOINTS itself = {0};
        assert_int_equal(registries_parse(own, strlen(own), &r, NULL), 0);
        assert_int_equal(registries_endpoints(r, "r:5000", "x", &itself, NULL), 0);
        assert_int_equal(itself.count, 2);
        assert_true(itself.items[0].mirror);
        assert_false(itself.items[1].mirror);
        assert_string_equal(itself.items[1].base, "http://r:5000/v2");
        registries_free(r);
        CX_ERROR err = CX_ERROR_INIT;
        assert_true(registries_parse("a: [", 4, &r, &err) < 0);
}

static void challenges(void **state)
{
        (void)state;
        char scheme[16];
        json_auto_t *p = NULL;
        assert_int_equal(
                registry_parse_challenge(
                        "Bearer realm=\"https://a/token\",service=\"r\", scope=\"repository:x:pull,push\"", scheme, &p),
                0);
        assert_string_equal(scheme, "bearer");
        assert_string_equal(cx_json_string(p, "scope"), "repository:x:pull,push");
        json_t *q = NULL;
        assert_true(registry_parse_challenge("Bearer realm=\"open", scheme, &q) < 0);
        assert_true(registry_parse_challenge("", scheme, &q) < 0);
        static const struct {
                const char *base, *realm;
                bool good;
        } realms[] = {{"https://r/v2", "https://t/token", true},
                      {"https://r/v2", "http://t/token", false},
                      {"http://r/v2", "http://t/token", true},
                      {"http://r/v2", "file:///etc/passwd", false},
                      {"https://r/v2", NULL, false},
                      {"http://r/v2", "", false}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(realms); i++)
                assert_true(registry_realm_good(realms[i].base, realms[i].realm) == realms[i].good);
}

static void credentials(void **state)
{
        (void)state;
        json_auto_t *configs = json_pack("[{s:{s:{s:s}, s:{s:s, s:s}}}]", "auths", "https://index.docker.io/v1/",
                                         "auth", "dTpw", "q.io/team", "username", "t", "password", "s");
        struct docker_auth auth = {0};
        assert_true(docker_auth_find(configs, "docker.io", "library/x", &auth));
        assert_string_equal(auth.username, "u");
        assert_string_equal(auth.password, "p");
        docker_auth_release(&auth);
        assert_true(docker_auth_find(configs, "q.io", "team/x", &auth));
        assert_string_equal(auth.username, "t");
        docker_auth_release(&auth);
        assert_false(docker_auth_find(configs, "q.io", "teamwork", &auth));
        assert_false(docker_auth_find(configs, "other.io", "team/x", &auth));
}

static void platforms(void **state)
{
        (void)state;
        json_auto_t *index = json_pack("{s:[{s:s, s:{s:s, s:s}}, {s:s, s:{s:s, s:s}}]}", "manifests", "digest", "a",
                                       "platform", "os", "linux", "architecture", "arm64", "digest", "b", "platform",
                                       "os", "linux", "architecture", "amd64");
        assert_string_equal(cx_json_string(registry_pick_platform(index, "linux", "amd64"), "digest"), "b");
        assert_null(registry_pick_platform(index, "linux", "s390x"));
}

struct entry {
        const char *path, *link;
        unsigned type;
        const char *hard;
};

static int unpack(const char *folder, const struct entry *entries, size_t n, const struct unpack_limits *limits)
{
        CX_CLEANUP(cx_freep) char *file = cx_sprintf("%s.tar", folder);
        struct archive *a = archive_write_new();
        archive_write_set_format_pax_restricted(a);
        archive_write_add_filter_gzip(a);
        assert_int_equal(archive_write_open_filename(a, file), ARCHIVE_OK);
        for (size_t i = 0; i < n; i++) {
                struct archive_entry *e = archive_entry_new();
                archive_entry_set_pathname(e, entries[i].path);
                archive_entry_set_filetype(e, entries[i].type ? entries[i].type : AE_IFREG);
                archive_entry_set_perm(e, entries[i].type == AE_IFDIR ? 0755 : 0644);
                archive_entry_set_uid(e, getuid());
                archive_entry_set_gid(e, getgid());
                if (entries[i].link)
                        archive_entry_set_symlink(e, entries[i].link);
                if (entries[i].hard)
                        archive_entry_set_hardlink(e, entries[i].hard);
                bool has_data = !entries[i].type && !entries[i].hard;
                archive_entry_set_size(e, has_data ? 4 : 0);
                archive_write_header(a, e);
                if (has_data)
                        archive_write_data(a, "data", 4);
                archive_entry_free(e);
        }
        archive_write_close(a);
        archive_write_free(a);
        CX_CLEANUP(cx_closep) int fd = open(file, O_RDONLY | O_CLOEXEC);
        CX_ERROR err = CX_ERROR_INIT;
        struct layer_content content;
        int r = unpack_layer(fd, folder, limits, &content, &err);
        unlink(file);
        return r;
}

// Packs `length` bytes as gzip does, and unpacks them as a layer.
static int unpack_packed(const char *folder, const void *data, size_t length, bool gzip, struct layer_content *ret)
{
        CX_CLEANUP(cx_freep) char *file = cx_sprintf("%s.raw", folder);
        struct archive *a = archive_write_new();
        archive_write_set_format_raw(a);
        if (gzip)
                archive_write_add_filter_gzip(a);
        assert_int_equal(archive_write_open_filename(a, file), ARCHIVE_OK);
        struct archive_entry *e = archive_entry_new();
        archive_entry_set_filetype(e, AE_IFREG);
        archive_write_header(a, e);
        assert_int_equal(archive_write_data(a, data, length), (int)length);
        archive_entry_free(e);
        archive_write_close(a);
        archive_write_free(a);
        CX_CLEANUP(cx_closep) int fd = open(file, O_RDONLY | O_CLOEXEC);
        CX_ERROR err = CX_ERROR_INIT;
        const struct unpack_limits limits = {.max_bytes = 1 << 20};
        int r = unpack_layer(fd, folder, &limits, ret, &err);
        unlink(file);
        return r;
}

// A layer is known by what it holds, however it is compressed and whatever follows its archive; that counts for its size too.
static void diff_ids(void **state)
{
        (void)state;
        char root[] = "/tmp/cx-diff-XXXXXX";
        assert_non_null(mkdtemp(root));
        static char data[4 << 20];
        struct layer_content plain, packed, longer;
        assert_int_equal(unpack_packed(root, data, 1024, false, &plain), 0);
        // sha256 of 1,024 zeros
        assert_string_equal(plain.diff_id, "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
        assert_int_equal(unpack_packed(root, data, 1024, true, &packed), 0);
        assert_string_equal(plain.diff_id, packed.diff_id);
        assert_int_equal(unpack_packed(root, data, 400000, true, &longer), 0);
        assert_string_not_equal(plain.diff_id, longer.diff_id);
        assert_int_equal(unpack_packed(root, data, sizeof data, true, &longer), -EFBIG); // a few kB when packed
        assert_int_equal(unpack_packed(root, data, 0, false, &plain), 0);
        assert_string_equal(plain.diff_id, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_int_equal(cx_remove_tree(root, NULL), 0);
}

static void layers(void **state)
{
        (void)state;
        char outer[] = "/tmp/cx-unpack-XXXXXX";
        assert_non_null(mkdtemp(outer));
        CX_CLEANUP(cx_freep) char *root = cx_sprintf("%s/root", outer);
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/escaped", outer);
        mkdir(root, 0755);
        static const struct entry up[] = {{"../escaped", NULL, 0, NULL}};
        assert_int_equal(unpack(root, up, 1, NULL), -EPERM);
        static const struct entry deep[] = {{"a/../../escaped", NULL, 0, NULL}};
        assert_int_equal(unpack(root, deep, 1, NULL), -EPERM);
        // A link out of the root is followed inside of it.
        static const struct entry link[] = {{"out", "/..", AE_IFLNK, NULL}, {"out/escaped", NULL, 0, NULL}};
        assert_int_equal(unpack(root, link, 2, NULL), 0);
        assert_int_equal(access(path, F_OK), -1);
        CX_CLEANUP(cx_freep) char *inside = cx_sprintf("%s/escaped", root);
        assert_int_equal(access(inside, F_OK), 0);
        static const struct entry hard[] = {{"h", NULL, 0, "../../etc/passwd"}};
        assert_int_equal(unpack(root, hard, 1, NULL), -EPERM);
        static const struct entry good[] = {
                {"d/", NULL, AE_IFDIR, NULL}, {"d/f", NULL, 0, NULL}, {"d/g", NULL, 0, "d/f"}};
        assert_int_equal(unpack(root, good, 3, NULL), 0);
        CX_CLEANUP(cx_freep) char *g = cx_sprintf("%s/d/g", root);
        struct stat st;
        assert_int_equal(stat(g, &st), 0);
        assert_int_equal(st.st_nlink, 2);
        struct unpack_limits small = {.max_bytes = 5};
        static const struct entry two[] = {{"x", NULL, 0, NULL}, {"y", NULL, 0, NULL}};
        assert_int_equal(unpack(root, two, 2, &small), -EFBIG);
        if (geteuid() == 0) {
                static const struct entry white[] = {{"w/.wh.gone", NULL, 0, NULL}};
                assert_int_equal(unpack(root, white, 1, NULL), 0);
                CX_CLEANUP(cx_freep) char *w = cx_sprintf("%s/w/gone", root);
                assert_int_equal(lstat(w, &st), 0);
                assert_true(S_ISCHR(st.st_mode) && st.st_rdev == 0);
        }
        assert_int_equal(cx_remove_tree(outer, NULL), 0);
}

static void add_layer(struct image_store *s, const char *digest)
{
        CX_CLEANUP(cx_freep) char *folder = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        struct layer_content content = {.bytes = 1000};
        snprintf(content.diff_id, sizeof content.diff_id, "diff %s", digest);
        for (char *p = content.diff_id; *p; p++)
                *p = *p == ' ' ? '-' : *p;
        int r = image_store_layer_begin(s, digest, &folder, &err);
        if (r == 0)
                r = image_store_layer_commit(s, digest, folder, &content, &err);
        assert_true(r >= 0);
}

static json_t *record(const char *id, const char *tag, const char *layers, const char *diff_ids)
{
        json_t *list = json_loads(layers, 0, NULL), *diffs = json_loads(diff_ids, 0, NULL);
        return json_pack("{s:s, s:[s], s:[], s:o, s:o, s:i, s:{}}", "id", id, "repoTags", tag, "repoDigests", "layers",
                         list, "diffIDs", diffs, "size", 2000, "config");
}

static bool has_layer(struct image_store *s, const char *digest)
{
        CX_CLEANUP(cx_freep) char *folder = NULL;
        int r = image_store_layer_begin(s, digest, &folder, NULL);
        if (r == 0)
                image_store_layer_abort(s, digest, folder);
        return r == 1;
}

// The id of an image is public, so anybody's manifest may claim it: its layers must be what the configuration says.
static void claims(void **state)
{
        (void)state;
        char root[] = "/tmp/cx-store-XXXXXX";
        assert_non_null(mkdtemp(root));
        struct image_store *s = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(image_store_open(root, &s, &err), 0);
        add_layer(s, "sha256:good");
        add_layer(s, "sha256:evil");
        const char *good = "[\"sha256:good\"]", *its_diff = "[\"diff-sha256:good\"]";
        assert_int_equal(image_store_put(s, record("sha256:id", "docker.io/library/nginx:1", good, its_diff), &err), 0);
        static const char *const wrong[][2] = {{"[\"sha256:evil\"]", "[\"diff-sha256:good\"]"},
                                               {"[\"sha256:good\", \"sha256:evil\"]", "[\"diff-sha256:good\"]"},
                                               {"[\"sha256:good\"]", "[\"diff-sha256:good\", \"x\"]"},
                                               {"[\"sha256:good\"]", "[7]"},
                                               {"[\"sha256:good\"]", "{}"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(wrong); i++) {
                CX_ERROR told = CX_ERROR_INIT;
                json_t *mine = record("sha256:id", "evil.io/x:1", wrong[i][0], wrong[i][1]);
                assert_int_equal(image_store_put(s, mine, &told), -EBADMSG);
                json_auto_t *nginx = image_store_find(s, "docker.io/library/nginx:1");
                assert_string_equal(json_string_value(json_array_get(json_object_get(nginx, "layers"), 0)),
                                    "sha256:good");
                assert_null(image_store_find(s, "evil.io/x:1"));
        }
        image_store_free(s);
        // What layers hold is known after a restart too; a layer of which it is not known counts for no new image.
        assert_int_equal(image_store_open(root, &s, &err), 0);
        assert_true(has_layer(s, "sha256:good"));
        CX_CLEANUP(cx_freep) char *old = cx_sprintf("%s/layers/1/digest", root);
        assert_int_equal(cx_write_file(old, "sha256:good 1000\n", 17, 0600, false, &err), 0);
        image_store_free(s);
        assert_int_equal(image_store_open(root, &s, &err), 0);
        json_auto_t *kept = image_store_find(s, "sha256:id");
        assert_non_null(kept);
        assert_false(has_layer(s, "sha256:good"));
        image_store_free(s);
        assert_int_equal(cx_remove_tree(root, NULL), 0);
}

static void digests_of_names(void **state)
{
        (void)state;
        json_auto_t *image = json_pack("{s:s, s:[s, s]}", "id", "sha256:i", "repoDigests", "evil.io/x@sha256:1",
                                       "docker.io/library/nginx@sha256:2");
        assert_string_equal(image_record_digest(image, "nginx:1"), "docker.io/library/nginx@sha256:2");
        assert_string_equal(image_record_digest(image, "evil.io/x"), "evil.io/x@sha256:1");
        assert_string_equal(image_record_digest(image, "evil.io/xx"), "sha256:i");
}

static void add_image(struct image_store *s, const char *id, const char *tag, const char *shared, const char *own)
{
        CX_ERROR err = CX_ERROR_INIT;
        add_layer(s, shared);
        add_layer(s, own);
        CX_CLEANUP(cx_freep) char *layers = cx_sprintf("[\"%s\", \"%s\"]", shared, own);
        CX_CLEANUP(cx_freep) char *diffs = cx_sprintf("[\"diff-%s\", \"diff-%s\"]", shared, own);
        assert_int_equal(image_store_put(s, record(id, tag, layers, diffs), &err), 0);
}

static int64_t collect(struct image_store *s, const char *in_use, int64_t bytes, int64_t min_age)
{
        CX_STRINGS used = CX_STRINGS_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        int64_t freed = -1;
        if (in_use)
                cx_strings_add(&used, in_use);
        assert_int_equal(image_store_collect(s, &used, bytes, min_age, &freed, &err), 0);
        return freed;
}

static bool has_image(struct image_store *s, const char *id)
{
        json_auto_t *list = image_store_list(s);
        return cx_json_find(list, "id", id) != NULL;
}

static void collecting(void **state)
{
        (void)state;
        char root[] = "/tmp/cx-store-XXXXXX";
        assert_non_null(mkdtemp(root));
        struct image_store *s = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(image_store_open(root, &s, &err), 0);
        add_image(s, "sha256:a", "r/a:1", "sha256:base", "sha256:la");
        add_image(s, "sha256:b", "r/b:1", "sha256:base", "sha256:lb");
        add_image(s, "sha256:c", "r/c:1", "sha256:base", "sha256:lc");
        // What is in use stays, young ones stay, nothing goes when nothing is wanted.
        assert_int_equal(collect(s, "sha256:a", 1, 3600 * CX_NS_PER_S), 0);
        assert_int_equal(collect(s, NULL, 0, 0), 0);
        // The least recently used goes first; being in use when it was last looked at counts as a use.
        assert_int_equal(collect(s, "sha256:a", 0, 0), 0);
        json_auto_t *used = image_store_find(s, "r/b:1");
        assert_int_equal(collect(s, NULL, 500, 0), 1000); // c; its other layer is others' too
        assert_false(has_image(s, "sha256:c"));
        assert_false(has_layer(s, "sha256:lc"));
        assert_true(has_layer(s, "sha256:base"));
        assert_int_equal(collect(s, "sha256:b", 5000, 0), 1000); // a, but nothing that b needs
        assert_true(has_image(s, "sha256:b"));
        assert_true(has_layer(s, "sha256:base") && has_layer(s, "sha256:lb"));
        // While an image is being pulled, what it asked for stays: layers just made, and those of an image that goes.
        image_store_hold(s);
        add_layer(s, "sha256:new");
        add_layer(s, "sha256:base");
        assert_int_equal(collect(s, NULL, 100000, 0), 1000); // b and its own layer
        assert_true(has_layer(s, "sha256:new") && has_layer(s, "sha256:base"));
        assert_false(has_layer(s, "sha256:lb"));
        image_store_let_go(s);
        // What a pull that failed has left goes when there is need.
        assert_int_equal(collect(s, NULL, 100000, 0), 2000);
        assert_false(has_layer(s, "sha256:new"));
        image_store_free(s);
        assert_int_equal(cx_remove_tree(root, NULL), 0);
}

static void names(void **state)
{
        (void)state;
        char root[] = "/tmp/cx-store-XXXXXX";
        assert_non_null(mkdtemp(root));
        struct image_store *s = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(image_store_open(root, &s, &err), 0);
        add_image(s, "sha256:a", "r/a:1", "sha256:base", "sha256:la");
        add_image(s, "sha256:b", "r/b:1", "sha256:base", "sha256:lb");
        assert_int_equal(image_store_tag(s, "r/a:1", "r/other:1", &err), 0);
        assert_int_equal(image_store_tag(s, "r/b:1", "r/a:1", &err), 0); // moves
        json_auto_t *moved = image_store_find(s, "r/a:1"), *other = image_store_find(s, "r/other:1");
        assert_string_equal(cx_json_string(moved, "id"), "sha256:b");
        assert_string_equal(cx_json_string(other, "id"), "sha256:a");
        assert_int_equal(image_store_tag(s, "r/none:1", "r/x:1", NULL), -ENOENT);
        assert_int_equal(image_store_untag(s, "r/none:1", NULL), -ENOENT);
        // One name of two, then the last: it goes when it is not in use.
        assert_int_equal(image_store_untag(s, "r/a:1", &err), 0);
        assert_null(image_store_find(s, "r/a:1"));
        collect(s, NULL, 0, 0);
        assert_true(has_image(s, "sha256:b"));
        assert_int_equal(image_store_untag(s, "r/b:1", &err), 0);
        collect(s, "sha256:b", 0, 0);
        assert_true(has_image(s, "sha256:b") && has_layer(s, "sha256:lb"));
        collect(s, NULL, 0, 3600 * CX_NS_PER_S);
        assert_true(has_image(s, "sha256:b")); // a pod may just be about to use it
        collect(s, NULL, 0, 0);
        assert_false(has_image(s, "sha256:b"));
        assert_false(has_layer(s, "sha256:lb"));
        assert_true(has_layer(s, "sha256:base"));
        assert_int_equal(image_store_untag(s, "sha256:a", &err), 0); // by its id: all of them
        assert_null(image_store_find(s, "r/other:1"));
        image_store_free(s);
        assert_int_equal(cx_remove_tree(root, NULL), 0);
}

static struct image_store *store_in(const char *folder, const char *name)
{
        CX_CLEANUP(cx_freep) char *root = cx_sprintf("%s/%s", folder, name);
        struct image_store *s = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(image_store_open(root, &s, &err), 0);
        return s;
}

// What is saved is what is loaded: files, links, and what an upper layer removes of a lower one.
static void saving(void **state)
{
        (void)state;
        char outer[] = "/tmp/cx-save-XXXXXX";
        assert_non_null(mkdtemp(outer));
        struct image_store *one = store_in(outer, "one"), *two = store_in(outer, "two");
        CX_CLEANUP(cx_freep) char *folder = NULL;
        CX_CLEANUP(cx_freep) char *archive = cx_sprintf("%s/image.tar", outer);
        CX_ERROR err = CX_ERROR_INIT;
        struct layer_content content = {.bytes = 1000, .diff_id = "diff-sha256:l"};
        assert_int_equal(image_store_layer_begin(one, "sha256:l", &folder, &err), 0);
        CX_CLEANUP(cx_freep) char *fs = cx_sprintf("%s/fs", folder);
        static const struct entry entries[] = {{"d/", NULL, AE_IFDIR, NULL},  {"d/f", NULL, 0, NULL},
                                               {"d/g", NULL, 0, "d/f"},       {"d/s", "/etc/x", AE_IFLNK, NULL},
                                               {"w/.wh.gone", NULL, 0, NULL}, {"o/.wh..wh..opq", NULL, 0, NULL}};
        assert_int_equal(unpack(fs, entries, geteuid() == 0 ? 6 : 4, NULL), 0);
        assert_int_equal(image_store_layer_commit(one, "sha256:l", folder, &content, &err), 0);
        assert_int_equal(image_store_put(one,
                                         record("sha256:i", "docker.io/r/i:1", "[\"sha256:l\"]", "[\"diff-sha256:l\"]"),
                                         &err),
                         0);
        int r = image_export(one, "docker.io/r/i:1", archive, &err);
        if (r < 0)
                fail_msg("%s", cx_error_text(&err));
        assert_int_equal(image_export(one, "docker.io/r/none:1", archive, NULL), -ENOENT);
        assert_int_equal(image_import(two, archive, &err), 0);
        json_auto_t *loaded = image_store_find(two, "docker.io/r/i:1");
        assert_non_null(loaded);
        CX_CLEANUP(cx_freep)
        char *root =
                image_store_layer_folder(two, json_string_value(json_array_get(json_object_get(loaded, "layers"), 0)));
        struct stat st;
        char link[64], opaque[2] = "";
        CX_CLEANUP(cx_freep) char *file = cx_sprintf("%s/d/g", root);
        CX_CLEANUP(cx_freep) char *symbolic = cx_sprintf("%s/d/s", root);
        CX_CLEANUP(cx_freep) char *gone = cx_sprintf("%s/w/gone", root);
        CX_CLEANUP(cx_freep) char *covers = cx_sprintf("%s/o", root);
        assert_int_equal(stat(file, &st), 0);
        assert_int_equal(st.st_nlink, 2);
        assert_int_equal(st.st_size, 4);
        assert_int_equal(readlink(symbolic, link, sizeof link), 6);
        if (geteuid() == 0) {
                assert_int_equal(lstat(gone, &st), 0);
                assert_true(S_ISCHR(st.st_mode) && st.st_rdev == 0);
                assert_int_equal(getxattr(covers, "trusted.overlay.opaque", opaque, 2), 1);
                assert_string_equal(opaque, "y");
        }
        image_store_free(one);
        image_store_free(two);
        assert_int_equal(cx_remove_tree(outer, NULL), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(references),  cmocka_unit_test(registries), cmocka_unit_test(challenges),
                cmocka_unit_test(credentials), cmocka_unit_test(platforms),  cmocka_unit_test(layers),
                cmocka_unit_test(diff_ids),    cmocka_unit_test(claims),     cmocka_unit_test(digests_of_names),
                cmocka_unit_test(collecting),  cmocka_unit_test(names),      cmocka_unit_test(saving),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
