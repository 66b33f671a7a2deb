// SPDX-License-Identifier: Apache-2.0
// Folders of volumes: open to everybody, limited where the file system can, and nothing but they ever touched.
#include "addons/storage-provisioner/folders.h"

#include "addons/storage-provisioner/quota.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (1 << 20)

struct place {
        char base[64], root[96];
        struct folders folders;
};

static void begin(struct place *p)
{
        CX_ERROR err = CX_ERROR_INIT;
        snprintf(p->base, sizeof p->base, "/tmp/coxswain-folders-XXXXXX");
        assert_non_null(mkdtemp(p->base));
        snprintf(p->root, sizeof p->root, "%s/root", p->base);
        assert_int_equal(folders_open(&p->folders, p->root, &err), 0);
}

static void end(struct place *p)
{
        const char *const remove[] = {"rm", "-rf", "--one-file-system", p->base, NULL};
        folders_close(&p->folders);
        assert_int_equal(cx_run_ok(remove, NULL, NULL), 0);
}

static bool there(const struct place *p, const char *path)
{
        CX_CLEANUP(cx_freep) char *whole = cx_sprintf("%s/%s", p->base, path);
        return access(whole, F_OK) == 0;
}

static void write_text(const struct place *p, const char *path)
{
        CX_CLEANUP(cx_freep) char *whole = cx_sprintf("%s/%s", p->base, path);
        assert_int_equal(cx_write_file(whole, "x", 1, 0644, false, NULL), 0);
}

static void test_make(void **state)
{
        (void)state;
        struct place p;
        struct stat st;
        CX_ERROR err = CX_ERROR_INIT;
        begin(&p);
        mode_t before = umask(077);
        assert_int_equal(folders_make(&p.folders, "pvc-1", MIB, &err), 0);
        umask(before);
        CX_CLEANUP(cx_freep) char *path = folders_path(&p.folders, "pvc-1");
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0777);
        write_text(&p, "root/pvc-1/data");
        assert_int_equal(folders_make(&p.folders, "pvc-1", MIB, &err), 0); // again: nothing is lost
        assert_true(there(&p, "root/pvc-1/data"));
        assert_int_equal(folders_grow(&p.folders, "pvc-1", 2 * MIB, &err), 0);
        assert_int_equal(folders_grow(&p.folders, "pvc-9", 2 * MIB, &err), -ENOENT);
        struct room room;
        cx_error_release(&err);
        assert_int_equal(folders_room(&p.folders, &room, &err), 0);
        assert_true(room.free > 0 && room.free <= room.size && room.enforced == p.folders.quota);
        end(&p);
}

static void test_names(void **state)
{
        (void)state;
        static const char *const bad[] = {"", ".", "..", "../x", "a/b", "/etc", ".hidden"};
        struct place p;
        begin(&p);
        for (size_t i = 0; i < CX_ARRAY_SIZE(bad); i++) {
                CX_ERROR a = CX_ERROR_INIT, b = CX_ERROR_INIT, c = CX_ERROR_INIT;
                assert_int_equal(folders_make(&p.folders, bad[i], MIB, &a), -EINVAL);
                assert_int_equal(folders_grow(&p.folders, bad[i], MIB, &b), -EINVAL);
                assert_int_equal(folders_remove(&p.folders, bad[i], &c), -EINVAL);
        }
        end(&p);
}

static void test_links(void **state)
{
        (void)state;
        struct place p;
        CX_ERROR err = CX_ERROR_INIT;
        begin(&p);
        CX_CLEANUP(cx_freep) char *outside = cx_sprintf("%s/outside", p.base);
        CX_CLEANUP(cx_freep) char *link = folders_path(&p.folders, "pvc-1");
        CX_CLEANUP(cx_freep) char *inner = cx_sprintf("%s/pvc-2/link", p.root);
        assert_int_equal(mkdir(outside, 0700), 0);
        write_text(&p, "outside/data");
        assert_int_equal(symlink(outside, link), 0);
        assert_true(folders_make(&p.folders, "pvc-1", MIB, &err) < 0);
        cx_error_release(&err);
        assert_int_equal(folders_remove(&p.folders, "pvc-1", &err), 0); // the link itself
        assert_false(there(&p, "root/pvc-1"));
        assert_int_equal(folders_make(&p.folders, "pvc-2", MIB, &err), 0);
        assert_int_equal(symlink(outside, inner), 0);
        assert_int_equal(folders_remove(&p.folders, "pvc-2", &err), 0);
        assert_false(there(&p, "root/pvc-2"));
        assert_true(there(&p, "outside/data"));
        assert_int_equal(folders_remove(&p.folders, "pvc-2", &err), 0); // absent is removed
        end(&p);
}

static int remove_mounted(void)
{
        struct place p;
        CX_ERROR err = CX_ERROR_INIT;
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return 77;
        begin(&p);
        assert_int_equal(folders_make(&p.folders, "pvc-1", MIB, &err), 0);
        write_text(&p, "root/pvc-1/data");
        CX_CLEANUP(cx_freep) char *inner = cx_sprintf("%s/pvc-1/inner", p.root);
        assert_int_equal(mkdir(inner, 0700), 0);
        assert_int_equal(mount("none", inner, "tmpfs", 0, NULL), 0);
        assert_int_equal(folders_remove(&p.folders, "pvc-1", &err), -EBUSY);
        assert_true(there(&p, "root/pvc-1/data"));
        cx_error_release(&err);
        assert_int_equal(umount(inner), 0);
        assert_int_equal(folders_remove(&p.folders, "pvc-1", &err), 0);
        end(&p);
        return 0;
}

static int status_of(int (*run)(void))
{
        int status;
        pid_t pid = fork();
        if (pid == 0)
                _exit(run());
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_mounts(void **state)
{
        (void)state;
        int status = status_of(remove_mounted);
        if (status == 77)
                print_message("not tried: no mount may be made here\n");
        else
                assert_int_equal(status, 0);
}

static bool keeps(void *context, const char *name)
{
        return strcmp(name, context) == 0;
}

static void test_sweep(void **state)
{
        (void)state;
        struct place p;
        CX_ERROR err = CX_ERROR_INIT;
        begin(&p);
        assert_int_equal(folders_make(&p.folders, "pvc-known", MIB, &err), 0);
        assert_int_equal(folders_make(&p.folders, "pvc-full", MIB, &err), 0);
        assert_int_equal(folders_make(&p.folders, "pvc-empty", MIB, &err), 0);
        write_text(&p, "root/pvc-full/data");
        folders_sweep(&p.folders, keeps, (void *)"pvc-known");
        assert_true(there(&p, "root/pvc-known"));
        assert_true(there(&p, "root/pvc-full/data")); // whoever it belongs to
        assert_false(there(&p, "root/pvc-empty"));
        end(&p);
}

// --- quotas: on a file system of our own, where the kernel has them --------------------------------------------------

// As somebody whom the limits concern: they do not those who have CAP_SYS_RESOURCE.
static int fill_up(const struct place *p, const char *name, size_t size)
{
        assert_int_equal(seteuid(65534), 0);
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/data", name);
        CX_CLEANUP(cx_freep) char *block = cx_alloc(MIB);
        CX_CLEANUP(cx_closep) int fd = openat(p->folders.fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        assert_true(fd >= 0);
        while (size >= MIB && write(fd, block, MIB) == MIB)
                size -= MIB;
        int r = size >= MIB ? -errno : 0;
        r = fsync(fd) < 0 ? -errno : r;
        assert_int_equal(seteuid(0), 0);
        return r;
}

static void check_quota(struct place *p)
{
        CX_ERROR err = CX_ERROR_INIT;
        assert_true(p->folders.quota);
        assert_int_equal(folders_make(&p->folders, "pvc-1", 4 * MIB, &err), 0);
        assert_int_equal(folders_make(&p->folders, "pvc-2", 4 * MIB, &err), 0);
        CX_CLEANUP(cx_closep) int first = openat(p->folders.fd, "pvc-1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        uint32_t project = quota_project(first);
        assert_int_not_equal(project, 0);
        assert_true(fill_up(p, "pvc-1", 8 * MIB) < 0);
        assert_int_equal(fill_up(p, "pvc-2", 3 * MIB), 0); // the other one has its own
        struct room room;
        assert_int_equal(folders_room(&p->folders, &room, &err), 0);
        assert_true(room.enforced && room.used >= 6 * MIB && room.used <= 8 * MIB);
        assert_int_equal(folders_grow(&p->folders, "pvc-1", 12 * MIB, &err), 0);
        assert_int_equal(quota_project(first), project);
        assert_int_equal(fill_up(p, "pvc-1", 8 * MIB), 0);
        assert_int_equal(folders_remove(&p->folders, "pvc-1", &err), 0);
        assert_int_equal(folders_remove(&p->folders, "pvc-2", &err), 0);
}

static int use_device(const char *type, const char *image, const char *mounted)
{
        struct place p = {0};
        CX_ERROR err = CX_ERROR_INIT;
        const char *const mounting[] = {"mount", "-t", type, "-o", "loop,prjquota", image, mounted, NULL};
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            cx_run_ok(mounting, NULL, NULL) < 0)
                return 77;
        snprintf(p.root, sizeof p.root, "%s/root", mounted);
        int r = folders_open(&p.folders, p.root, &err);
        if (r == 0 && p.folders.quota)
                check_quota(&p);
        bool works = p.folders.quota;
        folders_close(&p.folders);
        return umount(mounted) < 0 || r < 0 ? 1 : works ? 0 : 77;
}

static void test_quota(void **state)
{
        (void)state;
        static const char *const makers[][8] = {
                {"mkfs.ext4", "-q", "-O", "quota,project", "-E", "quotatype=prjquota", NULL}, {"mkfs.xfs", "-q", NULL}};
        static const char *const types[] = {"ext4", "xfs"};
        char base[] = "/tmp/coxswain-quota-XXXXXX";
        assert_non_null(mkdtemp(base));
        CX_CLEANUP(cx_freep) char *image = cx_sprintf("%s/image", base);
        CX_CLEANUP(cx_freep) char *mounted = cx_sprintf("%s/mounted", base);
        assert_int_equal(mkdir(mounted, 0700), 0);
        for (size_t i = 0; i < CX_ARRAY_SIZE(types); i++) {
                const char *argv[10] = {0};
                size_t n = 0;
                for (; makers[i][n]; n++)
                        argv[n] = makers[i][n];
                argv[n] = image;
                CX_CLEANUP(cx_closep) int fd = open(image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
                assert_int_equal(ftruncate(fd, 320LL * MIB), 0);
                if (cx_run_ok(argv, NULL, NULL) < 0)
                        continue;
                pid_t pid = fork();
                int status;
                if (pid == 0)
                        _exit(use_device(types[i], image, mounted));
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_true(WIFEXITED(status));
                if (WEXITSTATUS(status) == 77)
                        print_message("%s: not tried, this kernel has no project quotas there\n", types[i]);
                else
                        assert_int_equal(WEXITSTATUS(status), 0);
        }
        (void)unlink(image);
        assert_int_equal(rmdir(mounted), 0);
        assert_int_equal(rmdir(base), 0);
}

int main(void)
{
        cx_process_init();
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_make),  cmocka_unit_test(test_names),
                                           cmocka_unit_test(test_links), cmocka_unit_test(test_mounts),
                                           cmocka_unit_test(test_sweep), cmocka_unit_test(test_quota)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
