// SPDX-License-Identifier: Apache-2.0
// What volumes stand on: operations and their back-off, mount options, fsGroup's walk, the list of volumes in use, and the
// records of CSI volumes.
#include "kubelet/csi/record.h"
#include "kubelet/volume/binds.h"
#include "kubelet/volume/in_use.h"
#include "kubelet/volume/local.h"
#include "kubelet/volume/operations.h"
#include "kubelet/volume/ownership.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/base/tree.h"
#include "libcommon/format/json.h"

#include <fcntl.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

// --- operations ---

struct work {
        int runs, result, freed;
        sem_t *gate; // opened by the test when it is to end
};

static int do_work(void *context, struct cx_error *err)
{
        struct work *w = context;
        w->runs++;
        if (w->gate)
                sem_wait(w->gate);
        return w->result < 0 && w->result != -EAGAIN ? cx_error_set(err, w->result, "no luck") : w->result;
}

static void done_with(void *context)
{
        ((struct work *)context)->freed++;
}

static int attempt(struct operations *o, struct work *w, int64_t *again, struct cx_error *err)
{
        const struct volume_operation operation = {
                .key = "set/u/v", .owner = "u", .run = do_work, .free_context = done_with, .context = w};
        return operations_do(o, &operation, again, err);
}

static void failures_wait(void **state CX_UNUSED)
{
        struct operations *o = operations_new(0, NULL, NULL);
        struct work w = {.result = -EIO};
        int64_t again = 0;
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(attempt(o, &w, &again, &err), -EIO);
        assert_string_equal(cx_error_text(&err), "no luck");
        assert_int_equal(again, CX_NS_PER_S / 2);
        // Until its back-off is over it is neither run nor told again.
        assert_int_equal(attempt(o, &w, &again, NULL), -EINPROGRESS);
        assert_int_equal(w.runs, 1);
        assert_true(again > 0 && again <= CX_NS_PER_S / 2);
        assert_int_equal(w.freed, 2); // the context is taken over in any case
        // Who starts over knows of no failure.
        assert_true(operations_forget(o, "set/u/"));
        w.result = 0;
        assert_int_equal(attempt(o, &w, &again, NULL), 0);
        assert_int_equal(w.runs, 2);
        // To wait for others is no failure.
        w.result = -EAGAIN;
        assert_int_equal(attempt(o, &w, &again, NULL), -EINPROGRESS);
        assert_true(again < CX_NS_PER_S / 2);
        operations_free(o);
}

static void told(void *context, const char *owner)
{
        assert_string_equal(owner, "u");
        sem_post(context);
}

static void beside_the_caller(void **state CX_UNUSED)
{
        sem_t gate, end;
        sem_init(&gate, 0, 0);
        sem_init(&end, 0, 0);
        struct operations *o = operations_new(2, told, &end);
        struct work w = {.result = -EIO, .gate = &gate};
        int64_t again = 0;
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(attempt(o, &w, &again, &err), -EINPROGRESS);
        assert_true(again == INT64_MAX);
        assert_int_equal(attempt(o, &w, &again, &err), -EINPROGRESS);
        assert_false(operations_forget(o, "set/u/")); // it runs
        sem_post(&gate);
        sem_wait(&end); // until its end is told
        assert_int_equal(attempt(o, &w, &again, &err), -EIO);
        assert_int_equal(w.runs, 1);
        operations_free(o);
}

// --- mount options ---

static void options(void **state CX_UNUSED)
{
        static const struct {
                const char *list;
                bool read_only;
                int result;
                unsigned long flags;
                const char *data;
        } cases[] = {{"[]", false, 0, 0, NULL},
                     {"[]", true, 0, 1, NULL},
                     {"[\"ro\",\"noatime\"]", false, 0, 1 | 1024, NULL},
                     {"[\"nosuid\",\"vers=4.2\",\"hard\"]", false, 0, 2, "vers=4.2,hard"},
                     {"[\"bind\"]", false, -EINVAL, 0, NULL},
                     {"[\"remount\"]", false, -EINVAL, 0, NULL},
                     {"[\"a,bind\"]", false, -EINVAL, 0, NULL},
                     {"[\"\"]", false, -EINVAL, 0, NULL},
                     {"[7]", false, -EINVAL, 0, NULL}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *list = NULL;
                MOUNT_OPTIONS o = {0};
                assert_int_equal(cx_json_parse(cases[i].list, strlen(cases[i].list), true, &list, NULL), 0);
                assert_int_equal(mount_options_parse(list, cases[i].read_only, &o, NULL), cases[i].result);
                assert_int_equal(o.flags, cases[i].flags);
                assert_true(cx_streq(o.data, cases[i].data));
        }
}

// --- fsGroup ---

static int make_folder(void **state)
{
        char *folder = cx_strdup("/tmp/cx-storage-XXXXXX");
        *state = folder;
        return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
        int r = cx_remove_tree(*state, NULL);
        free(*state);
        return r;
}

static struct stat look(const char *folder, const char *name)
{
        struct stat st = {0};
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, name);
        assert_int_equal(lstat(path, &st), 0);
        return st;
}

static void group(void **state)
{
        const char *folder = *state;
        CX_CLEANUP(cx_freep) char *volume = cx_sprintf("%s/volume", folder);
        CX_CLEANUP(cx_freep) char *outside = cx_sprintf("%s/outside", folder);
        CX_CLEANUP(cx_freep) char *link = cx_sprintf("%s/link", volume);
        CX_CLEANUP(cx_freep) char *file = cx_sprintf("%s/a/file", volume);
        CX_CLEANUP(cx_freep) char *inner = cx_sprintf("%s/a", volume);
        assert_int_equal(cx_mkdir_all(inner, 0700, NULL), 0);
        assert_int_equal(chmod(volume, 0700), 0);
        assert_int_equal(cx_write_file(file, "x", 1, 0600, false, NULL), 0);
        assert_int_equal(cx_write_file(outside, "x", 1, 0600, false, NULL), 0);
        assert_int_equal(symlink(outside, link), 0);
        int at = open(inner, O_RDONLY | O_DIRECTORY | O_CLOEXEC); // deeper than any path
        for (int i = 0; i < 40; i++) {
                char name[201];
                memset(name, 'n', 200);
                name[200] = '\0';
                assert_int_equal(mkdirat(at, name, 0700), 0);
                int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                close(at);
                at = next;
        }
        struct volume_job job = {.name = "v", .gid = 4711};
        assert_int_equal(ownership_apply(&job, volume, false, NULL), 0);
        struct stat deep;
        assert_int_equal(fstat(at, &deep), 0);
        close(at);
        assert_int_equal(deep.st_gid, 4711);
        assert_int_equal(look(volume, "a/file").st_gid, 4711);
        assert_int_equal(look(volume, "a/file").st_mode & 07777, 0660);
        assert_int_equal(look(volume, ".").st_mode & 07777, 02770);
        assert_int_equal(look(volume, "link").st_gid, 4711); // itself
        assert_int_equal(look(folder, "outside").st_gid, 0); // and not what it names
        assert_int_equal(look(folder, "outside").st_mode & 07777, 0600);
        // With the root right, everything below is left alone when that is the policy.
        assert_int_equal(chown(file, 0, 0), 0);
        json_auto_t *pod =
                json_pack("{s:{s:{s:s}}}", "spec", "securityContext", "fsGroupChangePolicy", "OnRootMismatch");
        job.pod = pod;
        assert_int_equal(ownership_apply(&job, volume, false, NULL), 0);
        assert_int_equal(look(volume, "a/file").st_gid, 0);
        assert_int_equal(chown(volume, 0, 0), 0);
        assert_int_equal(ownership_apply(&job, volume, false, NULL), 0);
        assert_int_equal(look(volume, "a/file").st_gid, 4711);
        struct volume_usage usage;
        assert_int_equal(local_usage(volume, &usage, NULL), 0);
        assert_int_equal(usage.inodes_used, 44);
}

// --- volumes in use ---

static void in_use(void **state CX_UNUSED)
{
        struct in_use *u = in_use_new();
        assert_false(in_use_add(u, "b"));
        assert_false(in_use_add(u, "a"));
        json_auto_t *list = in_use_list(u);
        assert_int_equal(json_array_size(list), 2);
        assert_string_equal(json_string_value(json_array_get(list, 0)), "a");
        assert_false(in_use_add(u, "c")); // after the list was made
        in_use_reported(u, list);
        assert_true(in_use_add(u, "a"));
        assert_false(in_use_add(u, "c"));
        in_use_remove(u, "a");
        assert_false(in_use_add(u, "a")); // it has to be reported anew
        in_use_free(u);
}

// --- CSI records ---

static void records(void **state)
{
        CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s/u1/volumes/kubernetes.io~csi/v", (char *)*state);
        CX_CLEANUP(cx_freep) char *file = cx_sprintf("%s/vol_data.json", folder);
        CSI_RECORD read = {0};
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(csi_record_read(folder, &read, NULL), -ENOENT);
        assert_int_equal(cx_mkdir_all(folder, 0750, NULL), 0);
        const struct csi_record wrote = {.driver = (char *)"d",
                                         .handle = (char *)"h/1",
                                         .volume = (char *)"v",
                                         .attachable = true,
                                         .block = true,
                                         .done = true};
        assert_int_equal(csi_record_write(folder, &wrote, NULL), 0);
        assert_int_equal(csi_record_read(folder, &read, NULL), 0);
        assert_string_equal(read.driver, "d");
        assert_string_equal(read.handle, "h/1");
        assert_true(read.attachable && read.block && read.done && !read.ephemeral && read.when > 0);
        assert_true(csi_record_others(*state, "u2", &wrote));
        assert_false(csi_record_others(*state, "u1", &wrote));
        assert_false(
                csi_record_others(*state, "u2", &(struct csi_record){.driver = (char *)"d", .handle = (char *)"h/2"}));
        csi_record_release(&read);
        // Of another boot, nothing is mounted any more.
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        json_auto_t *json = NULL;
        assert_int_equal(cx_buf_read_file(&text, file), 0);
        assert_int_equal(cx_json_parse(text.data, text.length, true, &json, NULL), 0);
        json_object_set_new(json, "boot", json_string("another"));
        CX_CLEANUP(cx_freep) char *other = cx_json_text(json);
        assert_int_equal(cx_write_file(file, other, strlen(other), 0600, false, NULL), 0);
        assert_int_equal(csi_record_read(folder, &read, NULL), 0);
        assert_false(read.done);
        csi_record_release(&read);
        assert_int_equal(cx_write_file(file, "{", 1, 0600, false, NULL), 0);
        assert_int_equal(csi_record_read(folder, &read, &err), -EBADMSG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(failures_wait), cmocka_unit_test(beside_the_caller),
                cmocka_unit_test(options),       cmocka_unit_test_setup_teardown(group, make_folder, drop_folder),
                cmocka_unit_test(in_use),        cmocka_unit_test_setup_teardown(records, make_folder, drop_folder),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
