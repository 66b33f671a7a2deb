// SPDX-License-Identifier: Apache-2.0
// The checks are a table. A check that changed has a row for each version in which it did; one of the restricted level may take the
// place of one that is laxer. What is forbidden is told in the table's order, which is upstream's: by name, baseline first.
#include "apiserver/admission/pod_standards.h"

#include "apiserver/admission/pod_checks.h"
#include "libcommon/format/json.h"

const char *const pod_level_names[POD_LEVELS] = {"privileged", "baseline", "restricted"};
const char *const pod_mode_names[POD_MODES] = {"enforce", "audit", "warn"};

static const struct pod_check {
        const char *id;
        enum pod_level level;
        int since; // v1.SINCE
        pod_check_fn run;
        const char *instead_of; // the baseline check that is not asked then; NULL: none
} checks[] = {
        {"appArmorProfile", POD_BASELINE, 0, pod_check_app_armor},
        {"capabilities_baseline", POD_BASELINE, 0, pod_check_capabilities_baseline},
        {"hostNamespaces", POD_BASELINE, 0, pod_check_host_namespaces},
        {"hostPathVolumes", POD_BASELINE, 0, pod_check_host_path_volumes},
        {"hostPorts", POD_BASELINE, 0, pod_check_host_ports},
        {"hostProbesAndHostLifecycle", POD_BASELINE, 34, pod_check_host_handlers},
        {"privileged", POD_BASELINE, 0, pod_check_privileged},
        {"procMount", POD_BASELINE, 0, pod_check_proc_mount},
        {"procMount", POD_BASELINE, 35, pod_check_proc_mount_35},
        {"seLinuxOptions", POD_BASELINE, 0, pod_check_selinux},
        {"seLinuxOptions", POD_BASELINE, 31, pod_check_selinux_31},
        {"seccompProfile_baseline", POD_BASELINE, 0, pod_check_seccomp_annotations},
        {"seccompProfile_baseline", POD_BASELINE, 19, pod_check_seccomp_baseline},
        {"sysctls", POD_BASELINE, 0, pod_check_sysctls},
        {"sysctls", POD_BASELINE, 27, pod_check_sysctls_27},
        {"sysctls", POD_BASELINE, 29, pod_check_sysctls_29},
        {"sysctls", POD_BASELINE, 32, pod_check_sysctls_32},
        {"windowsHostProcess", POD_BASELINE, 0, pod_check_windows_host_process},
        {"allowPrivilegeEscalation", POD_RESTRICTED, 8, pod_check_escalation},
        {"allowPrivilegeEscalation", POD_RESTRICTED, 25, pod_check_escalation_25},
        {"capabilities_restricted", POD_RESTRICTED, 22, pod_check_capabilities_restricted, "capabilities_baseline"},
        {"capabilities_restricted", POD_RESTRICTED, 25, pod_check_capabilities_restricted_25, "capabilities_baseline"},
        {"procMount_restricted", POD_RESTRICTED, 35, pod_check_proc_mount, "procMount"},
        {"restrictedVolumes", POD_RESTRICTED, 0, pod_check_volumes_restricted, "hostPathVolumes"},
        {"runAsNonRoot", POD_RESTRICTED, 0, pod_check_non_root},
        {"runAsNonRoot", POD_RESTRICTED, 35, pod_check_non_root_35},
        {"runAsUser", POD_RESTRICTED, 23, pod_check_user},
        {"runAsUser", POD_RESTRICTED, 35, pod_check_user_35},
        {"seccompProfile_restricted", POD_RESTRICTED, 19, pod_check_seccomp_restricted, "seccompProfile_baseline"},
        {"seccompProfile_restricted", POD_RESTRICTED, 25, pod_check_seccomp_restricted_25, "seccompProfile_baseline"},
};

// --- levels and versions ---------------------------------------------------------------------------------------------

const char *pod_level_parse(const char *text, enum pod_level *ret_level)
{
        for (size_t i = 0; i < POD_LEVELS; i++)
                if (cx_streq(text, pod_level_names[i])) {
                        *ret_level = (enum pod_level)i;
                        return NULL;
                }
        *ret_level = POD_RESTRICTED;
        return "must be one of privileged, baseline, restricted";
}

const char *pod_version_parse(const char *text, int64_t *ret_minor)
{
        int64_t minor = 0;
        *ret_minor = POD_LATEST;
        if (strcmp(text, "latest") == 0)
                return NULL;
        const char *at = cx_has_prefix(text, "v1.") ? text + 3 : "";
        bool good = *at && (*at != '0' || !at[1]);
        for (; good && *at; at++)
                good = *at >= '0' && *at <= '9' && !__builtin_mul_overflow(minor, 10, &minor) &&
                       !__builtin_add_overflow(minor, *at - '0', &minor);
        if (!good)
                return "must be \"latest\" or \"v1.x\"";
        *ret_minor = minor;
        return NULL;
}

void pod_standard_text(const struct pod_standard *standard, char to[POD_STANDARD_TEXT])
{
        const char *level = pod_level_names[standard->level];
        if (standard->minor == POD_LATEST)
                (void)snprintf(to, POD_STANDARD_TEXT, "%s:latest", level);
        else
                (void)snprintf(to, POD_STANDARD_TEXT, "%s:v1.%lld", level, (long long)standard->minor);
}

// --- what a namespace asks for ---------------------------------------------------------------------------------------

static void wrong_label(struct cx_error *wrong, const char *key, const char *value, const char *why)
{
        CX_CLEANUP(cx_freep) char *field = cx_sprintf("metadata.labels[%s]", key);
        cx_error_cause(wrong, "FieldValueInvalid", field, "Invalid value: \"%s\": %s", value, why);
}

struct pod_policy pod_policy_of(pod_label_fn label, const void *context, const struct pod_policy *defaults,
                                struct cx_error *wrong)
{
        struct pod_policy policy = *defaults;
        bool level_said[POD_MODES] = {0}, version_said[POD_MODES] = {0}, enforce_is_good = false;
        for (size_t mode = 0; mode < POD_MODES; mode++) {
                char key[64];
                struct pod_standard *standard = &policy.of[mode];
                (void)snprintf(key, sizeof key, POD_SECURITY "%s", pod_mode_names[mode]);
                const char *value = label(context, key);
                const char *why = value ? pod_level_parse(value, &standard->level) : NULL;
                level_said[mode] = value;
                enforce_is_good |= mode == POD_ENFORCE && value && !why;
                if (why)
                        wrong_label(wrong, key, value, why);
                if (why && mode != POD_ENFORCE) // what only tells must not tell of everything
                        standard->level = POD_PRIVILEGED;
                (void)snprintf(key, sizeof key, POD_SECURITY "%s-version", pod_mode_names[mode]);
                value = label(context, key);
                why = value ? pod_version_parse(value, &standard->minor) : NULL;
                version_said[mode] = value;
                if (why)
                        wrong_label(wrong, key, value, why);
                policy.said[mode] = level_said[mode] || version_said[mode];
        }
        // Who makes what makes pods is warned of what will be refused.
        if (!level_said[POD_WARN] && enforce_is_good && policy.of[POD_ENFORCE].level > policy.of[POD_WARN].level) {
                policy.of[POD_WARN].level = policy.of[POD_ENFORCE].level;
                if (!version_said[POD_WARN])
                        policy.of[POD_WARN].minor = policy.of[POD_ENFORCE].minor;
        }
        return policy;
}

bool pod_policy_is_privileged(const struct pod_policy *policy)
{
        for (size_t mode = 0; mode < POD_MODES; mode++)
                if (policy->of[mode].level != POD_PRIVILEGED)
                        return false;
        return true;
}

bool pod_policy_equal(const struct pod_policy *a, const struct pod_policy *b)
{
        for (size_t mode = 0; mode < POD_MODES; mode++) {
                const struct pod_standard *one = &a->of[mode], *other = &b->of[mode];
                bool both = one->level == POD_PRIVILEGED && other->level == POD_PRIVILEGED;
                if (!both && !pod_standard_equal(one, other))
                        return false;
        }
        return true;
}

// --- whether a pod complies ------------------------------------------------------------------------------------------

static bool is_in(const struct pod_check *check, int64_t minor)
{
        return minor == POD_LATEST || check->since <= minor;
}

// Whether the next row is the same check, and in this version already.
static bool is_outdated(size_t i, int64_t minor)
{
        return i + 1 < CX_ARRAY_SIZE(checks) && strcmp(checks[i].id, checks[i + 1].id) == 0 &&
               is_in(&checks[i + 1], minor);
}

static bool is_replaced(const struct pod_check *check, int64_t minor)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(checks); i++)
                if (cx_streq(checks[i].instead_of, check->id) && is_in(&checks[i], minor))
                        return true;
        return false;
}

static bool is_asked(size_t i, const struct pod_standard *standard)
{
        const struct pod_check *check = &checks[i];
        if (check->level > standard->level || !is_in(check, standard->minor) || is_outdated(i, standard->minor))
                return false;
        return standard->level != POD_RESTRICTED || !is_replaced(check, standard->minor);
}

void pod_standard_check(const struct pod_standard *standard, const json_t *pod, struct pod_verdict *ret_verdict)
{
        const json_t *spec = json_object_get(pod, "spec");
        const struct pod_subject subject = {.annotations = cx_json_get(pod, "metadata.annotations"),
                                            .spec = spec,
                                            .security = json_object_get(spec, "securityContext")};
        for (size_t i = 0; i < CX_ARRAY_SIZE(checks); i++) {
                struct pod_finding finding = {.detail = CX_BUF_INIT};
                if (!is_asked(i, standard))
                        continue;
                checks[i].run(&subject, &finding);
                if (finding.reason) {
                        const char *comma = ret_verdict->reasons.length ? ", " : "";
                        cx_buf_printf(&ret_verdict->reasons, "%s%s", comma, finding.reason);
                        cx_buf_printf(&ret_verdict->details, "%s%s (%s)", comma, finding.reason, finding.detail.data);
                }
                cx_buf_release(&finding.detail);
        }
}

void pod_verdict_release(struct pod_verdict *verdict)
{
        cx_buf_release(&verdict->reasons);
        cx_buf_release(&verdict->details);
}
