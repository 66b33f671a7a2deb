// SPDX-License-Identifier: Apache-2.0
// Volumes from set-up to tear-down: where they lie, their modes, what is refused, and that a tear-down which fails removes
// nothing that it should not.
#include "kubelet/volume/mounts.h"
#include "kubelet/volume/plugins/plugins.h"
#include "kubelet/volume/refs.h"
#include "libcommon/base/process.h"
#include "libcommon/base/tree.h"
#include "libcommon/format/json.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

// A plugin for everything: its volumes end only when they are allowed to.
static bool may_end;
static size_t ended;

static int fake_set_up(struct volume_job *job, struct cx_error *err)
{
        return cx_mkdir_all(job->folder, 0755, err);
}

static int fake_tear_down(const struct volume_place *place, struct cx_error *err)
{
        if (!may_end)
                return cx_error_set(err, -EBUSY, "volume %s is in use", place->name);
        ended++;
        return cx_remove_tree(place->folder, err);
}

static int fake_expand(struct volume_job *job, int64_t bytes, struct cx_error *err)
{
        return bytes > 100 ? cx_error_set(err, -ENOSPC, "%s: too much", job->folder) : 0;
}

static int fake_block(struct volume_job *job CX_UNUSED, char **ret_device, struct cx_error *err CX_UNUSED)
{
        *ret_device = cx_strdup("/dev/fake");
        return 0;
}

static const struct volume_plugin fake = {.source = "fake",
                                          .folder = "example~fake",
                                          .set_up = fake_set_up,
                                          .tear_down = fake_tear_down,
                                          .expand = fake_expand,
                                          .block = fake_block};
static const struct volume_plugin *const plugins[] = {&empty_dir_plugin,
                                                      &host_path_plugin,
                                                      &config_map_plugin,
                                                      &secret_plugin,
                                                      &downward_api_plugin,
                                                      &projected_plugin,
                                                      &fake,
                                                      NULL};

struct place {
        char folder[32], state[48];
        struct kubelet kubelet;
        struct refs *refs;
        struct volumes *volumes;
};

static int set_up(void **state)
{
        struct place *p = cx_alloc(sizeof *p);
        memcpy(p->folder, "/tmp/cx-volumes-XXXXXX", sizeof "/tmp/cx-volumes-XXXXXX");
        if (!mkdtemp(p->folder))
                return -1;
        snprintf(p->state, sizeof p->state, "%s/state", p->folder);
        p->kubelet = (struct kubelet){.root = p->folder, .state = p->state};
        p->refs = refs_new(NULL, NULL, NULL);
        p->volumes =
                volumes_new(&(struct volumes_options){.kubelet = &p->kubelet, .refs = p->refs, .plugins = plugins});
        may_end = false;
        ended = 0;
        *state = p;
        return 0;
}

static int tear_down(void **state)
{
        struct place *p = *state;
        volumes_free(p->volumes);
        refs_free(p->refs);
        int r = cx_remove_tree(p->folder, NULL);
        free(p);
        return r;
}

// Errors keep their code only where there is something to keep them in.
static int ending(const struct place *p)
{
        CX_ERROR err = CX_ERROR_INIT;
        int64_t again = 0;
        return volumes_tear_down(p->volumes, "u1", &again, &err);
}

static int setting_up(const struct place *p, const json_t *pod)
{
        CX_ERROR err = CX_ERROR_INIT;
        struct volumes_progress progress;
        return volumes_set_up(p->volumes, pod, &progress, &err);
}

static json_t *pod_with(const char *volumes)
{
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("{\"metadata\":{\"uid\":\"u1\",\"name\":\"p\",\"namespace\":\"ns\",\"labels\":{\"a\":"
                                "\"b\"}},\"spec\":{\"volumes\":%s}}",
                                volumes);
        json_t *pod = NULL;
        assert_int_equal(cx_json_parse(text, strlen(text), true, &pod, NULL), 0);
        return pod;
}

static mode_t mode_of(const struct place *p, const char *path)
{
        CX_CLEANUP(cx_freep) char *full = cx_sprintf("%s/%s", p->folder, path);
        struct stat st;
        return stat(full, &st) == 0 ? st.st_mode & 07777 : 0;
}

static void life(void **state)
{
        struct place *p = *state;
        json_auto_t *pod = pod_with("[{\"name\":\"e\",\"emptyDir\":{}},{\"name\":\"f\",\"fake\":{}},"
                                    "{\"name\":\"d\",\"downwardAPI\":{\"defaultMode\":288,\"items\":[{\"path\":\"n\","
                                    "\"fieldRef\":{\"fieldPath\":\"metadata.name\"}}]}}]");
        struct volumes_progress progress;
        assert_int_equal(volumes_set_up(p->volumes, pod, &progress, NULL), 0);
        assert_true(progress.again == INT64_MAX);
        // Nobody but root comes in; what is inside is the containers'.
        assert_int_equal(mode_of(p, "pods/u1"), 0750);
        assert_int_equal(mode_of(p, "pods/u1/volumes/kubernetes.io~empty-dir"), 0750);
        assert_int_equal(mode_of(p, "pods/u1/volumes/kubernetes.io~empty-dir/e"), 0777);
        assert_int_equal(mode_of(p, "state/pods/u1"), 0750);
        assert_int_equal(mode_of(p, "state/pods/u1/volumes/kubernetes.io~downward-api/d/n"), 0440);
        // Set up again, it leaves alone what containers have changed.
        CX_CLEANUP(cx_freep) char *own = cx_sprintf("%s/pods/u1/volumes/kubernetes.io~empty-dir/e", p->folder);
        assert_int_equal(chmod(own, 0700), 0);
        assert_int_equal(volumes_set_up(p->volumes, pod, &progress, NULL), 0);
        assert_int_equal(mode_of(p, "pods/u1/volumes/kubernetes.io~empty-dir/e"), 0700);
        CX_STRINGS uids = CX_STRINGS_INIT;
        volumes_pods(p->volumes, &uids);
        assert_int_equal(uids.count, 1);
        // One that cannot be ended stays, and the pod's folder with it; the others go.
        CX_ERROR err = CX_ERROR_INIT;
        int64_t again = 0;
        assert_int_equal(volumes_tear_down(p->volumes, "u1", &again, &err), -EBUSY);
        assert_non_null(strstr(cx_error_text(&err), "volume f is in use"));
        assert_int_equal(mode_of(p, "pods/u1/volumes/example~fake/f"), 0755);
        assert_int_equal(mode_of(p, "pods/u1/volumes/kubernetes.io~empty-dir/e"), 0);
        assert_int_equal(mode_of(p, "state/pods/u1"), 0);
        may_end = true;
        assert_int_equal(ending(p), 0);
        assert_int_equal(ended, 1);
        assert_int_equal(mode_of(p, "pods/u1"), 0);
}

static void unknown_kinds(void **state)
{
        struct place *p = *state;
        json_auto_t *pod = pod_with("[{\"name\":\"x\",\"iscsi\":{}}]");
        struct volumes_progress progress;
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(volumes_set_up(p->volumes, pod, &progress, &err), -EAGAIN);
        assert_string_equal(progress.reason, "FailedMount");
        assert_string_equal(
                cx_error_text(&err),
                "Unable to attach or mount volumes: unmounted volumes=[x], unattached volumes=[], failed to "
                "process volumes=[x]: no volume plugin matched for volume \"x\": iscsi volumes are not "
                "supported by this kubelet; a CSI driver may have them");
        // A claim is nothing without an apiserver; what else the pod has is set up all the same.
        json_auto_t *claims = pod_with("[{\"name\":\"c\",\"persistentVolumeClaim\":{\"claimName\":\"data\"}},"
                                       "{\"name\":\"e\",\"emptyDir\":{}}]");
        cx_error_release(&err);
        assert_int_equal(volumes_set_up(p->volumes, claims, &progress, &err), -EAGAIN);
        assert_non_null(strstr(cx_error_text(&err), "error processing PVC ns/data: there is no apiserver to ask"));
        assert_int_equal(mode_of(p, "pods/u1/volumes/kubernetes.io~empty-dir/e"), 0777);
        assert_int_equal(ending(p), 0);
        // What a kubelet of another version left is not ours to remove.
        CX_CLEANUP(cx_freep) char *left = cx_sprintf("%s/pods/u1/volumes/example~other/data", p->folder);
        assert_int_equal(cx_mkdir_all(left, 0755, NULL), 0);
        assert_int_equal(ending(p), -ENOTSUP);
        assert_int_equal(access(left, F_OK), 0);
}

static void refusals(void **state)
{
        struct place *p = *state;
        json_auto_t *pod = pod_with("[{\"name\":\"e\",\"emptyDir\":{}},{\"name\":\"h\",\"hostPath\":{\"path\":\"/\"}},"
                                    "{\"name\":\"f\",\"fake\":{}}]");
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(volumes_expand(p->volumes, pod, "e", 10, &err), -ENOTSUP);
        assert_string_equal(cx_error_text(&err), "volume \"e\": emptyDir volumes cannot be expanded");
        assert_int_equal(volumes_expand(p->volumes, pod, "f", 10, NULL), 0);
        assert_int_equal(volumes_expand(p->volumes, pod, "f", 1000, NULL), -ENOSPC);
        assert_int_equal(volumes_expand(p->volumes, pod, "none", 10, NULL), -ENOENT);
        char *device = NULL;
        bool read_only = true;
        assert_int_equal(volumes_device(p->volumes, pod, "h", &device, &read_only, NULL), -ENOTSUP);
        assert_int_equal(volumes_device(p->volumes, pod, "f", &device, &read_only, NULL), 0);
        assert_false(read_only);
        assert_string_equal(device, "/dev/fake");
        free(device);
        struct volume_usage usage;
        assert_int_equal(volumes_stats(p->volumes, pod, "h", &usage, NULL), -ENOTSUP);
        assert_int_equal(volumes_stats(p->volumes, pod, "e", &usage, NULL), -ENOENT); // not set up
        // A container that wants a device of a volume that is none does not start without it.
        json_auto_t *container =
                json_pack("{s:s, s:[{s:s, s:s}]}", "name", "c", "volumeDevices", "name", "e", "devicePath", "/dev/x");
        VOLUME_MOUNTS mounts = {0};
        CX_STRINGS env = CX_STRINGS_INIT;
        assert_int_equal(volume_mounts_make(p->volumes, pod, container, &env, &mounts, NULL), -ENOTSUP);
        json_auto_t *lost =
                json_pack("{s:s, s:[{s:s, s:s}]}", "name", "c", "volumeMounts", "name", "none", "mountPath", "/x");
        cx_error_release(&err);
        assert_true(volume_mounts_make(p->volumes, pod, lost, &env, &mounts, &err) < 0);
        assert_string_equal(cx_error_text(&err), "cannot find volume \"none\" to mount into container \"c\"");
}

static void usage(void **state)
{
        struct place *p = *state;
        json_auto_t *pod = pod_with("[{\"name\":\"e\",\"emptyDir\":{}}]");
        assert_int_equal(setting_up(p, pod), 0);
        CX_CLEANUP(cx_freep) char *file = cx_sprintf("%s/pods/u1/volumes/kubernetes.io~empty-dir/e/x", p->folder);
        CX_BUF data = CX_BUF_INIT;
        for (int i = 0; i < 65536; i++)
                cx_buf_add_char(&data, 'x');
        assert_int_equal(cx_write_file(file, data.data, data.length, 0644, true, NULL), 0);
        struct volume_usage u = {0};
        assert_int_equal(volumes_stats(p->volumes, pod, "e", &u, NULL), 0);
        assert_true(u.used >= 65536 && u.capacity > u.available && u.inodes_used == 2);
}

static void host_path_types(void **state)
{
        struct place *p = *state;
        json_auto_t *device =
                pod_with("[{\"name\":\"h\",\"hostPath\":{\"path\":\"/dev/null\",\"type\":\"CharDevice\"}}]");
        assert_int_equal(setting_up(p, device), 0);
        json_auto_t *wrong =
                pod_with("[{\"name\":\"h\",\"hostPath\":{\"path\":\"/dev/null\",\"type\":\"BlockDevice\"}}]");
        struct volumes_progress progress;
        CX_ERROR err = CX_ERROR_INIT;
        assert_true(volumes_set_up(p->volumes, wrong, &progress, &err) < 0);
        assert_string_equal(cx_error_text(&err),
                            "MountVolume.SetUp failed for volume \"h\" : hostPath type check failed: "
                            "/dev/null is not a block device");
        static const struct {
                const char *type;
                bool exists; // of the folder itself
                int result;
        } cases[] = {{"", false, 0},
                     {"Directory", true, 0},
                     {"Directory", false, -EINVAL},
                     {"File", true, -EINVAL},
                     {"DirectoryOrCreate", false, 0},
                     {"FileOrCreate", false, 0},
                     {"Socket", true, -EINVAL},
                     {"Other", true, -EINVAL}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s%zu", p->folder, cases[i].exists ? "" : "n", i);
                if (cases[i].exists)
                        assert_int_equal(cx_mkdir_all(path, 0755, NULL), 0);
                CX_CLEANUP(cx_freep)
                char *text = cx_sprintf("[{\"name\":\"h\",\"hostPath\":{\"path\":\"%s\",\"type\":\"%s\"}}]", path,
                                        cases[i].type);
                json_auto_t *pod = pod_with(text);
                assert_int_equal(setting_up(p, pod), cases[i].result);
        }
}

#define MUST(condition)                                                                                                \
        do {                                                                                                           \
                if (!(condition)) {                                                                                    \
                        fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition);                                \
                        _exit(1);                                                                                      \
                }                                                                                                      \
        } while (0)

// A volume in memory that somebody is in, and a file system that somebody mounted within a folder.
static void end_with_mounts(const struct place *p)
{
        json_auto_t *pod = pod_with("[{\"name\":\"m\",\"emptyDir\":{\"medium\":\"Memory\",\"sizeLimit\":\"1Mi\"}},"
                                    "{\"name\":\"e\",\"emptyDir\":{}}]");
        MUST(setting_up(p, pod) == 0);
        CX_CLEANUP(cx_freep) char *memory = cx_sprintf("%s/pods/u1/volumes/kubernetes.io~empty-dir/m", p->state);
        CX_CLEANUP(cx_freep) char *disk = cx_sprintf("%s/pods/u1/volumes/kubernetes.io~empty-dir/e/inner", p->folder);
        CX_CLEANUP(cx_freep) char *other = cx_sprintf("%s/other", p->folder);
        CX_CLEANUP(cx_freep) char *precious = cx_sprintf("%s/precious", disk);
        CX_CLEANUP(cx_freep) char *original = cx_sprintf("%s/precious", other);
        struct volume_usage u = {0};
        MUST(volumes_stats(p->volumes, pod, "m", &u, NULL) == 0 && u.capacity == 1 << 20);
        MUST(cx_mkdir_all(disk, 0755, NULL) == 0 && cx_mkdir_all(other, 0755, NULL) == 0);
        MUST(mount(other, disk, NULL, MS_BIND, NULL) == 0);
        MUST(cx_write_file(precious, "x", 1, 0600, false, NULL) == 0);
        int busy_memory = open(memory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int busy_disk = open(disk, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        MUST(ending(p) == -EBUSY);
        MUST(access(precious, F_OK) == 0 && access(memory, F_OK) == 0);
        close(busy_memory);
        MUST(ending(p) == -EBUSY);
        MUST(access(precious, F_OK) == 0 && access(memory, F_OK) < 0);
        close(busy_disk);
        MUST(ending(p) == 0);
        MUST(access(disk, F_OK) < 0 && access(original, F_OK) == 0);
}

static void mounts(void **state)
{
        pid_t pid = fork();
        if (pid == 0) {
                if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                        _exit(77);
                end_with_mounts(*state);
                _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
                print_message("[  SKIPPED ] no mount namespaces here\n");
                return;
        }
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(life, set_up, tear_down),
                cmocka_unit_test_setup_teardown(unknown_kinds, set_up, tear_down),
                cmocka_unit_test_setup_teardown(refusals, set_up, tear_down),
                cmocka_unit_test_setup_teardown(usage, set_up, tear_down),
                cmocka_unit_test_setup_teardown(host_path_types, set_up, tear_down),
                cmocka_unit_test_setup_teardown(mounts, set_up, tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
