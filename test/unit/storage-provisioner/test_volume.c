// SPDX-License-Identifier: Apache-2.0
// The volume that a claim gets, and what is refused.
#include "addons/storage-provisioner/volume.h"

#include "libcommon/format/json.h"
#include "test/unit/quoted_json.h"

#include <errno.h>

#define CLAIM(spec)                                                                                                    \
        "{'metadata': {'namespace': 'ns', 'name': 'c', 'uid': 'u', 'resourceVersion': '7'}, 'spec': {"                 \
        "'storageClassName': 'standard', 'accessModes': ['ReadWriteOnce'], 'resources': {'requests': {'storage': "     \
        "'1Gi'}}" spec "}}"

static int make(const char *claim, const char *class, json_t **ret_volume, struct cx_error *err)
{
        json_auto_t *c = quoted_json(claim), *k = quoted_json(class);
        const struct new_volume wanted = {"pvc-u", "/r/pvc-u", "coxswain.dev/local", "host", false};
        return volume_make(&wanted, c, k, ret_volume, err);
}

static void test_made(void **state)
{
        (void)state;
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *volume = NULL, *kept = NULL;
        assert_int_equal(make(CLAIM(""), "{'reclaimPolicy': 'Delete'}", &volume, &err), 0);
        json_auto_t *wanted = quoted_json(
                "{'apiVersion': 'v1', 'kind': 'PersistentVolume', 'metadata': {'name': 'pvc-u', 'annotations': "
                "{'pv.kubernetes.io/provisioned-by': 'coxswain.dev/local', 'coxswain.dev/quota': 'none'}, "
                "'finalizers': ['external-provisioner.volume.kubernetes.io/finalizer']}, 'spec': {'capacity': "
                "{'storage': '1Gi'}, 'accessModes': ['ReadWriteOnce'], 'persistentVolumeReclaimPolicy': 'Delete', "
                "'storageClassName': 'standard', 'volumeMode': 'Filesystem', 'local': {'path': '/r/pvc-u'}, "
                "'nodeAffinity': {'required': {'nodeSelectorTerms': [{'matchExpressions': [{'key': "
                "'kubernetes.io/hostname', 'operator': 'In', 'values': ['host']}]}]}}, 'claimRef': {'apiVersion': "
                "'v1', 'kind': 'PersistentVolumeClaim', 'namespace': 'ns', 'name': 'c', 'uid': 'u', "
                "'resourceVersion': '7'}}}");
        assert_true(json_equal(volume, wanted));
        assert_int_equal(make(CLAIM(""), "{'reclaimPolicy': 'Retain'}", &kept, &err), 0);
        assert_string_equal(cx_json_string(kept, "spec.persistentVolumeReclaimPolicy"), "Retain");
        assert_null(cx_json_get(kept, "metadata.finalizers")); // it goes and leaves its folder
}

static void test_refused(void **state)
{
        (void)state;
        static const struct {
                const char *claim, *class, *why;
        } table[] = {
                {CLAIM(", 'volumeMode': 'Block'"), "{}", "volumeMode Block is not made of folders"},
                {CLAIM(", 'selector': {}"), "{}", "claim Selector is not supported"},
                {CLAIM(", 'dataSource': {'kind': 'PersistentVolumeClaim', 'name': 'x'}"), "{}", "dataSource"},
                {CLAIM(", 'dataSourceRef': {'kind': 'PersistentVolumeClaim', 'name': 'x'}"), "{}", "dataSource"},
                {CLAIM(""), "{'parameters': {'path': '/etc'}}", "the parameter \"path\""},
                {CLAIM(""), "{'mountOptions': ['ro']}", "mountOptions"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                CX_ERROR err = CX_ERROR_INIT;
                json_t *volume = NULL;
                assert_int_equal(make(table[i].claim, table[i].class, &volume, &err), -EINVAL);
                assert_null(volume);
                if (!strstr(cx_error_text(&err), table[i].why))
                        fail_msg("%s", cx_error_text(&err));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_made), cmocka_unit_test(test_refused)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
