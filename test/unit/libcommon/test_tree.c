// SPDX-License-Identifier: Apache-2.0
// Removal of folders: however deep, and never of what is mounted or lies elsewhere.
#include "libcommon/base/buf.h"
#include "libcommon/base/flags.h"
#include "libcommon/base/mounts.h"
#include "libcommon/base/process.h"
#include "libcommon/base/tree.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void make_file(const char *folder, const char *name)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, name);
        assert_int_equal(cx_write_file(path, "x", 1, 0600, false, NULL), 0);
}

static bool there(const char *folder, const char *name)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, name);
        struct stat st;
        return lstat(path, &st) == 0;
}

static char *make_folder(const char *folder, const char *name)
{
        char *path = cx_sprintf("%s/%s", folder, name);
        assert_int_equal(cx_mkdir_all(path, 0755, NULL), 0);
        return path;
}

// A folder in a folder, and so on: its path is far longer than any that the kernel takes.
static void nest(const char *folder, int depth, const char *name)
{
        int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (int i = 0; i < depth; i++) {
                assert_int_equal(mkdirat(fd, name, 0755), 0);
                int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                assert_true(below >= 0);
                int file = openat(below, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
                close(file);
                close(fd);
                fd = below;
        }
        close(fd);
}

static void deep(void **state)
{
        char folder[] = "/tmp/cx-tree-XXXXXX";
        char name[201] = {0};
        (void)state;
        memset(name, 'n', sizeof name - 1);
        assert_non_null(mkdtemp(folder));
        nest(folder, 100, name); // 20 kB of path
        nest(folder, 3000, "d"); // more levels than open files
        assert_int_equal(cx_remove_tree(folder, NULL), 0);
        assert_int_equal(access(folder, F_OK), -1);
        assert_int_equal(cx_remove_tree(folder, NULL), 0); // absent is success
}

static void wide(void **state)
{
        char folder[] = "/tmp/cx-tree-XXXXXX";
        (void)state;
        assert_non_null(mkdtemp(folder));
        for (int i = 0; i < 300; i++) {
                char name[16];
                snprintf(name, sizeof name, "d%d", i);
                CX_CLEANUP(cx_freep) char *path = make_folder(folder, name);
                make_file(path, "file");
                make_file(folder, name + 1);
        }
        assert_int_equal(cx_remove_tree(folder, NULL), 0);
        assert_int_equal(access(folder, F_OK), -1);
}

static void links(void **state)
{
        char folder[] = "/tmp/cx-tree-XXXXXX", other[] = "/tmp/cx-tree-XXXXXX";
        (void)state;
        assert_non_null(mkdtemp(folder));
        assert_non_null(mkdtemp(other));
        make_file(other, "kept");
        CX_CLEANUP(cx_freep) char *link_path = cx_sprintf("%s/link", folder);
        assert_int_equal(symlink(other, link_path), 0);
        assert_int_equal(cx_remove_tree(link_path, NULL), 0); // the link itself
        assert_int_equal(symlink(other, link_path), 0);
        assert_int_equal(cx_remove_tree(folder, NULL), 0);
        assert_true(there(other, "kept"));
        assert_int_equal(cx_remove_tree(other, NULL), 0);
}

// Runs `body` in a mount namespace of its own; false where this machine does not allow that.
static bool alone(void (*body)(const char *folder))
{
        char folder[] = "/tmp/cx-tree-XXXXXX";
        assert_non_null(mkdtemp(folder));
        pid_t pid = fork();
        if (pid == 0) {
                if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                        _exit(77);
                body(folder);
                _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
                print_message("[  SKIPPED ] no mount namespaces here\n");
                assert_int_equal(cx_remove_tree(folder, NULL), 0);
                return false;
        }
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_int_equal(cx_remove_tree(folder, NULL), 0);
        return true;
}

#define MUST(condition)                                                                                                \
        do {                                                                                                           \
                if (!(condition)) {                                                                                    \
                        fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition);                                \
                        _exit(1);                                                                                      \
                }                                                                                                      \
        } while (0)

// A file system below, and a bind mount of the same one: both stay as they are, and so does all beside them.
static void with_mounts(const char *folder)
{
        CX_CLEANUP(cx_freep) char *tree = make_folder(folder, "tree");
        CX_CLEANUP(cx_freep) char *memory = make_folder(tree, "a/with blank");
        CX_CLEANUP(cx_freep) char *bound = make_folder(tree, "b/bound");
        CX_CLEANUP(cx_freep) char *data = make_folder(folder, "data");
        CX_CLEANUP(cx_freep) char *beside = make_folder(folder, "tree2");
        make_file(data, "precious");
        make_file(tree, "beside");
        MUST(mount("tmpfs", memory, "tmpfs", 0, NULL) == 0);
        MUST(mount("tmpfs", beside, "tmpfs", 0, NULL) == 0);
        make_file(memory, "precious");
        MUST(cx_remove_tree(tree, NULL) == -EBUSY);
        MUST(there(memory, "precious") && there(tree, "beside"));
        int busy = open(memory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        MUST(mount(data, bound, NULL, MS_BIND, NULL) == 0);
        MUST(cx_unmount_below(tree, false, NULL) == -EBUSY); // the bind mount has gone, the busy one stays
        MUST(!there(bound, "precious") && there(memory, "precious"));
        MUST(cx_remove_tree(tree, NULL) == -EBUSY);
        MUST(there(memory, "precious"));
        close(busy);
        MUST(cx_unmount_below(tree, false, NULL) == 0);
        MUST(cx_remove_tree(tree, NULL) == 0);
        MUST(there(data, "precious"));
        CX_STRINGS points = CX_STRINGS_INIT;
        MUST(cx_mounts_below(folder, &points, NULL) == 0); // a name that only begins alike is another folder
        MUST(points.count == 1 && cx_has_suffix(points.items[0], "/tree2"));
}

// The walk does not go by the table alone: a mount may come after it was read.
static void with_late_mount(const char *folder)
{
        CX_CLEANUP(cx_freep) char *tree = make_folder(folder, "tree");
        CX_CLEANUP(cx_freep) char *bound = make_folder(tree, "b/bound");
        CX_CLEANUP(cx_freep) char *data = make_folder(folder, "data");
        make_file(data, "precious");
        MUST(mount(data, bound, NULL, MS_BIND, NULL) == 0);
        MUST(mount("tmpfs", "/proc", "tmpfs", 0, NULL) == 0); // a table that knows of nothing
        MUST(mkdir("/proc/self", 0755) == 0);
        MUST(cx_write_file("/proc/self/mountinfo", "", 0, 0644, false, NULL) == 0);
        int r = cx_remove_tree(tree, NULL);
        MUST(r == -EXDEV || r == -EBUSY);
        MUST(there(data, "precious") && there(bound, "precious"));
}

static void mounts(void **state)
{
        (void)state;
        if (alone(with_mounts))
                assert_true(alone(with_late_mount));
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(deep), cmocka_unit_test(wide), cmocka_unit_test(links),
                                           cmocka_unit_test(mounts)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
