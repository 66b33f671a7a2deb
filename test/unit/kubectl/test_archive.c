// SPDX-License-Identifier: Apache-2.0
// Archives of kubectl cp: there and back, and those that somebody made to harm.
#include "kubectl/cmd/archive.h"

#include "libcommon/base/flags.h"
#include "libcommon/base/tree.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
        char folder[64];
        int saved; // standard error
};

static int set_up(void **state)
{
        struct place *p = cx_alloc(sizeof *p);
        strncpy(p->folder, "/tmp/coxswain-archive.XXXXXX", sizeof p->folder - 1);
        if (!mkdtemp(p->folder) || chdir(p->folder) < 0)
                return -1;
        int fd = open("stderr", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        p->saved = dup(STDERR_FILENO);
        dup2(fd, STDERR_FILENO);
        close(fd);
        *state = p;
        return 0;
}

static int tear_down(void **state)
{
        struct place *p = *state;
        dup2(p->saved, STDERR_FILENO);
        close(p->saved);
        if (chdir("/") < 0)
                return -1;
        CX_ERROR err = CX_ERROR_INIT;
        int r = cx_remove_tree(p->folder, &err);
        free(p);
        return r;
}

static void write_text(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        close(fd);
}

static char *text_of(const char *path)
{
        CX_BUF text = CX_BUF_INIT;
        return cx_buf_read_file(&text, path) < 0 ? NULL : cx_buf_detach(&text);
}

static void assert_text(const char *path, const char *wanted)
{
        CX_CLEANUP(cx_freep) char *text = text_of(path);
        if (!text || strcmp(text, wanted) != 0)
                fail_msg("%s: %s", path, text ? text : "absent");
}

static int unpack(const char *file, const char *prefix, const char *destination, struct cx_error *err)
{
        CX_CLEANUP(cx_closep) int fd = open(file, O_RDONLY | O_CLOEXEC);
        return archive_unpack(fd, &(struct archive_place){prefix, destination, " (hint)"}, err);
}

static void there_and_back(void **state)
{
        (void)state;
        CX_ERROR err = CX_ERROR_INIT;
        char long_name[220];
        memset(long_name, 'n', sizeof long_name - 1);
        long_name[sizeof long_name - 1] = '\0';
        CX_CLEANUP(cx_freep) char *deep = cx_sprintf("in/%s", long_name);
        CX_CLEANUP(cx_freep) char *back = cx_sprintf("out/%s", long_name);
        assert_int_equal(mkdir("in", 0755) | mkdir("in/sub", 0755) | mkdir("in/empty", 0755), 0);
        write_text("in/small", "small");
        write_text("in/sub/none", "");
        write_text(deep, "long");
        assert_int_equal(symlink("small", "in/link"), 0);
        int fd = open("a.tar", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_int_equal(archive_pack("in", "named/so", fd, &err), 0);
        assert_int_equal(unpack("a.tar", "named/so", "out", &err), 0);
        struct stat info;
        assert_text("out/small", "small");
        assert_text("out/sub/none", "");
        assert_text(back, "long");
        assert_int_equal(stat("out/empty", &info), 0);
        assert_int_equal(lstat("out/link", &info), -1);
        // A single file, in place of one that is there, and into folders that are not.
        fd = open("b.tar", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_int_equal(archive_pack("in/small", "f", fd, &err), 0);
        write_text("file", "what was there before");
        assert_int_equal(unpack("b.tar", "f", "file", &err), 0);
        assert_text("file", "small");
        assert_int_equal(unpack("b.tar", "f", "new/folder/file", &err), 0);
        assert_text("new/folder/file", "small");
        assert_int_equal(unpack("b.tar", "f", "out/", &err), -EISDIR);
        CX_ERROR other = CX_ERROR_INIT;
        assert_int_equal(unpack("b.tar", "g", "file", &other), -EPROTO);
        assert_string_equal(cx_error_text(&other), "tar contents corrupted");
}

static void add(struct archive *a, const char *name, unsigned type, const char *target, bool hard)
{
        struct archive_entry *e = archive_entry_new();
        archive_entry_set_pathname(e, name);
        archive_entry_set_filetype(e, type);
        archive_entry_set_perm(e, 0755);
        archive_entry_set_size(e, type == AE_IFREG && !hard ? 4 : 0);
        if (hard)
                archive_entry_set_hardlink(e, target);
        else if (target)
                archive_entry_set_symlink(e, target);
        assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
        if (type == AE_IFREG && !hard)
                assert_int_equal(archive_write_data(a, "evil", 4), 4);
        archive_entry_free(e);
}

static void hostile(void **state)
{
        (void)state;
        CX_ERROR err = CX_ERROR_INIT;
        struct archive *a = archive_write_new();
        archive_write_set_format_pax_restricted(a);
        assert_int_equal(archive_write_open_filename(a, "h.tar"), ARCHIVE_OK);
        add(a, "d/good", AE_IFREG, NULL, false);
        add(a, "d/../escaped", AE_IFREG, NULL, false);
        add(a, "d/x/../../../escaped", AE_IFREG, NULL, false);
        add(a, "d/link", AE_IFLNK, "..", false);
        add(a, "d/link/escaped", AE_IFREG, NULL, false);
        add(a, "d/there/escaped", AE_IFREG, NULL, false); // a link of the user's own that leads out
        add(a, "d/there-file", AE_IFREG, NULL, false);
        add(a, "d/hard", AE_IFREG, "d/../secret", true);
        add(a, "d/hard-up", AE_IFREG, "d/there/secret", true);
        add(a, "d/second", AE_IFREG, "d/good", true);
        add(a, "d/pipe", AE_IFIFO, NULL, false);
        archive_write_close(a);
        archive_write_free(a);
        struct stat info;
        write_text("secret", "secret");
        assert_int_equal(mkdir("dest", 0755), 0);
        assert_int_equal(symlink("..", "dest/there"), 0);
        assert_int_equal(symlink("../secret", "dest/there-file"), 0);
        assert_int_equal(unpack("h.tar", "d", "dest", &err), 0);
        assert_text("dest/good", "evil");
        assert_text("dest/second", "evil");
        assert_text("dest/link/escaped", "evil"); // a folder: no link was made
        assert_text("secret", "secret");
        static const char *const absent[] = {"escaped", "../escaped", "dest/hard", "dest/hard-up", "dest/pipe"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(absent); i++)
                if (lstat(absent[i], &info) == 0)
                        fail_msg("%s was made", absent[i]);
        CX_CLEANUP(cx_freep) char *said = text_of("stderr");
        assert_non_null(strstr(said, "warning: skipping symlink: \"link\" -> \"..\" (hint)"));
        assert_non_null(strstr(said, "warning: file \"d/../escaped\" is outside target destination, skipping"));
        assert_non_null(strstr(said, "warning: skipping special file: \"pipe\""));
}

static void others_names(void **state)
{
        (void)state;
        static const char *const names[] = {"other/file", "dangerous", "/abs"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++) {
                CX_ERROR err = CX_ERROR_INIT;
                struct archive *a = archive_write_new();
                archive_write_set_format_ustar(a);
                assert_int_equal(archive_write_open_filename(a, "o.tar"), ARCHIVE_OK);
                add(a, names[i], AE_IFREG, NULL, false);
                archive_write_close(a);
                archive_write_free(a);
                assert_int_equal(unpack("o.tar", "d", "place", &err), -EPROTO);
        }
}

static void cut_off(void **state)
{
        (void)state;
        CX_ERROR err = CX_ERROR_INIT;
        write_text("f", "0123456789");
        int fd = open("c.tar", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_int_equal(archive_pack("f", "f", fd, &err), 0);
        assert_int_equal(truncate("c.tar", 515), 0);
        assert_true(unpack("c.tar", "f", "g", &err) < 0);
}

static void clean(void **state)
{
        (void)state;
        static const char *const cases[][2] = {{"/a/b", "a/b"},  {"a//./b/", "a/b"}, {"../../a", "a"}, {".", ""},
                                               {"/a/../b", "b"}, {"..", ""},         {"/", ""},        {"a/b/..", "a"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_CLEANUP(cx_freep) char *got = archive_clean(cases[i][0]);
                assert_string_equal(got, cases[i][1]);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(there_and_back, set_up, tear_down),
                cmocka_unit_test_setup_teardown(hostile, set_up, tear_down),
                cmocka_unit_test_setup_teardown(others_names, set_up, tear_down),
                cmocka_unit_test_setup_teardown(cut_off, set_up, tear_down),
                cmocka_unit_test(clean),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
