// SPDX-License-Identifier: Apache-2.0
// The restricted level: what keeps a container as far from its machine as is known. Windows has none of seccomp, capabilities and
// privilege escalation, so a pod that says that it is for Windows need not speak of them, since v1.25.
#include "apiserver/admission/pod_checks.h"
#include "libcommon/api/pod.h"
#include "libcommon/format/json.h"

static bool is_for_windows(const struct pod_subject *pod)
{
        return cx_streq(cx_json_string(pod->spec, "os.name"), "windows");
}

// --- privilege escalation --------------------------------------------------------------------------------------------

static bool may_escalate(const json_t *context, void *found CX_UNUSED)
{
        return !json_is_false(json_object_get(context, "allowPrivilegeEscalation"));
}

POD_CHECK(escalation)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        pod_containers_with(pod, may_escalate, NULL, &names);
        if (!names.count)
                return;
        pod_containers(&finding->detail, &names);
        cx_buf_add(&finding->detail, " must set securityContext.allowPrivilegeEscalation=false");
        finding->reason = "allowPrivilegeEscalation != false";
}

POD_CHECK(escalation_25)
{
        if (!is_for_windows(pod))
                pod_check_escalation(pod, finding);
}

// --- capabilities ----------------------------------------------------------------------------------------------------

static bool keeps_some(const json_t *context, void *found CX_UNUSED)
{
        size_t i;
        json_t *item;
        json_array_foreach (cx_json_get(context, "capabilities.drop"), i, item)
                if (cx_streq(json_string_value(item), "ALL"))
                        return false;
        return true;
}

static bool adds_some(const json_t *context, void *found)
{
        bool bad = false;
        size_t i;
        json_t *item;
        json_array_foreach (cx_json_get(context, "capabilities.add"), i, item) {
                if (cx_streq(json_string_value(item), "NET_BIND_SERVICE"))
                        continue;
                cx_strings_add(found, cx_str(json_string_value(item)));
                bad = true;
        }
        return bad;
}

POD_CHECK(capabilities_restricted)
{
        CX_STRINGS added = CX_STRINGS_INIT, keep = CX_STRINGS_INIT, add = CX_STRINGS_INIT;
        pod_containers_with(pod, keeps_some, NULL, &keep);
        pod_containers_with(pod, adds_some, &added, &add);
        if (!keep.count && !add.count)
                return;
        if (keep.count) {
                pod_containers(&finding->detail, &keep);
                cx_buf_add(&finding->detail, " must set securityContext.capabilities.drop=[\"ALL\"]");
        }
        if (add.count) {
                pod_once(&added);
                cx_buf_add(&finding->detail, keep.count ? "; " : "");
                pod_containers(&finding->detail, &add);
                cx_buf_add(&finding->detail, " must not include ");
                pod_quote(&finding->detail, &added);
                cx_buf_add(&finding->detail, " in securityContext.capabilities.add");
        }
        finding->reason = "unrestricted capabilities";
}

POD_CHECK(capabilities_restricted_25)
{
        if (!is_for_windows(pod))
                pod_check_capabilities_restricted(pod, finding);
}

// --- volumes ---------------------------------------------------------------------------------------------------------

// NULL: it is allowed.
static const char *restricted_type(const json_t *volume)
{
        static const char *const allowed[] = {"configMap", "csi",   "downwardAPI",           "emptyDir",
                                              "ephemeral", "image", "persistentVolumeClaim", "projected",
                                              "secret"};
        static const char *const forbidden[] = {"hostPath",
                                                "gcePersistentDisk",
                                                "awsElasticBlockStore",
                                                "gitRepo",
                                                "nfs",
                                                "iscsi",
                                                "glusterfs",
                                                "rbd",
                                                "flexVolume",
                                                "cinder",
                                                "cephfs",
                                                "flocker",
                                                "fc",
                                                "azureFile",
                                                "vsphereVolume",
                                                "quobyte",
                                                "azureDisk",
                                                "photonPersistentDisk",
                                                "scaleIO",
                                                "portworxVolume",
                                                "storageos"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(allowed); i++)
                if (json_object_get(volume, allowed[i]))
                        return NULL;
        for (size_t i = 0; i < CX_ARRAY_SIZE(forbidden); i++)
                if (json_object_get(volume, forbidden[i]))
                        return forbidden[i];
        return "unknown";
}

POD_CHECK(volumes_restricted)
{
        CX_STRINGS names = CX_STRINGS_INIT, types = CX_STRINGS_INIT;
        size_t i;
        const json_t *volume;
        json_array_foreach (json_object_get(pod->spec, "volumes"), i, volume) {
                const char *type = restricted_type(volume);
                if (!type)
                        continue;
                cx_strings_add(&names, cx_json_string_or(volume, "name", ""));
                cx_strings_add(&types, type);
        }
        if (!names.count)
                return;
        pod_once(&types);
        cx_buf_add(&finding->detail, names.count == 1 ? "volume " : "volumes ");
        pod_quote(&finding->detail, &names);
        cx_buf_printf(&finding->detail, " %s restricted volume %s ", names.count == 1 ? "uses" : "use",
                      types.count == 1 ? "type" : "types");
        pod_quote(&finding->detail, &types);
        finding->reason = "restricted volume types";
}

// --- users -----------------------------------------------------------------------------------------------------------

static bool lets_root(const json_t *context, void *found CX_UNUSED)
{
        return json_is_false(json_object_get(context, "runAsNonRoot"));
}

static bool is_silent_on_root(const json_t *context, void *found CX_UNUSED)
{
        return !json_is_boolean(json_object_get(context, "runAsNonRoot"));
}

POD_CHECK(non_root)
{
        CX_STRINGS wrong = CX_STRINGS_INIT, silent = CX_STRINGS_INIT;
        bool own = lets_root(pod->security, NULL);
        pod_containers_with(pod, lets_root, NULL, &wrong);
        if (!json_is_true(json_object_get(pod->security, "runAsNonRoot")))
                pod_containers_with(pod, is_silent_on_root, NULL, &silent);
        if (own || wrong.count) {
                pod_setters(&finding->detail, own, &wrong);
                cx_buf_add(&finding->detail, " must not set securityContext.runAsNonRoot=false");
        } else if (silent.count) {
                cx_buf_add(&finding->detail, "pod or ");
                pod_containers(&finding->detail, &silent);
                cx_buf_add(&finding->detail, " must set securityContext.runAsNonRoot=true");
        } else {
                return;
        }
        finding->reason = "runAsNonRoot != true";
}

POD_CHECK(non_root_35)
{
        if (!pod_has_user_namespace(pod))
                pod_check_non_root(pod, finding);
}

static bool is_root(const json_t *context, void *found CX_UNUSED)
{
        return cx_json_int(context, "runAsUser", 1) == 0;
}

POD_CHECK(user)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        bool own = is_root(pod->security, NULL);
        pod_containers_with(pod, is_root, NULL, &names);
        if (!own && !names.count)
                return;
        pod_setters(&finding->detail, own, &names);
        cx_buf_add(&finding->detail, " must not set runAsUser=0");
        finding->reason = "runAsUser=0";
}

POD_CHECK(user_35)
{
        if (!pod_has_user_namespace(pod))
                pod_check_user(pod, finding);
}

// --- seccomp ---------------------------------------------------------------------------------------------------------

static bool has_no_seccomp(const json_t *context, void *found CX_UNUSED)
{
        return !json_object_get(context, "seccompProfile");
}

POD_CHECK(seccomp_restricted)
{
        CX_STRINGS silent = CX_STRINGS_INIT;
        pod_check_seccomp_baseline(pod, finding); // what is said must not be bad here, either
        if (finding->reason)
                return;
        if (has_no_seccomp(pod->security, NULL))
                pod_containers_with(pod, has_no_seccomp, NULL, &silent);
        if (!silent.count)
                return;
        cx_buf_add(&finding->detail, "pod or ");
        pod_containers(&finding->detail, &silent);
        cx_buf_add(&finding->detail,
                   " must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"");
        finding->reason = "seccompProfile";
}

POD_CHECK(seccomp_restricted_25)
{
        if (!is_for_windows(pod))
                pod_check_seccomp_restricted(pod, finding);
}
