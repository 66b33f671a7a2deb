// SPDX-License-Identifier: Apache-2.0
// Every field of PodSecurityContext and SecurityContext is in a table here, with the values that this node can enforce: a
// container is refused rather than run with less than its pod asks for.
#include "kubelet/runtime/confine.h"

#include "kubelet/runtime/privileges.h"
#include "libcommon/base/buf.h"
#include "libcommon/format/json.h"

#define IN_POD 1
#define IN_CONTAINER 2

// Says why the value cannot be; nothing when it can.
typedef void checker(const json_t *value, struct cx_buf *ret_why);

static void boolean(const json_t *value, struct cx_buf *ret_why)
{
        if (!json_is_boolean(value))
                cx_buf_add(ret_why, "is neither true nor false");
}

static void id(const json_t *value, struct cx_buf *ret_why)
{
        if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > INT32_MAX)
                cx_buf_printf(ret_why, "must be between 0 and %d", INT32_MAX);
}

static void ids(const json_t *value, struct cx_buf *ret_why)
{
        size_t i;
        json_t *item;
        if (!json_is_array(value) || json_array_size(value) > (size_t)SUPPLEMENTAL_GROUPS_MAX)
                cx_buf_printf(ret_why, "takes at most %zu groups", (size_t)SUPPLEMENTAL_GROUPS_MAX);
        json_array_foreach ((json_t *)value, i, item) {
                if (!ret_why->length)
                        id(item, ret_why);
        }
}

static void one_of(const json_t *value, const char *const *values, struct cx_buf *ret_why)
{
        const char *text = cx_str(json_string_value(value));
        for (size_t i = 0; values[i]; i++)
                if (strcmp(values[i], text) == 0)
                        return;
        cx_buf_printf(ret_why, "cannot be \"%s\"", text);
}

static void groups_policy(const json_t *value, struct cx_buf *ret_why)
{
        one_of(value, (const char *const[]){"Merge", "Strict", NULL}, ret_why);
}

static void change_policy(const json_t *value, struct cx_buf *ret_why)
{
        one_of(value, (const char *const[]){"Always", "OnRootMismatch", NULL}, ret_why);
}

static void label_policy(const json_t *value, struct cx_buf *ret_why)
{
        one_of(value, (const char *const[]){"Recursive", "MountOption", NULL}, ret_why);
}

static void proc_mount(const json_t *value, struct cx_buf *ret_why)
{
        if (cx_streq(json_string_value(value), "Unmasked"))
                cx_buf_add(ret_why, "cannot be \"Unmasked\" without a user namespace, which this node has not");
        else
                one_of(value, (const char *const[]){"Default", NULL}, ret_why);
}

static void profile(const json_t *value, struct cx_buf *ret_why)
{
        const char *type = cx_json_string_or(value, "type", "");
        one_of(json_object_get(value, "type"), (const char *const[]){"RuntimeDefault", "Unconfined", "Localhost", NULL},
               ret_why);
        if (!ret_why->length && (strcmp(type, "Localhost") == 0) != !!*cx_json_string_or(value, "localhostProfile", ""))
                cx_buf_add(ret_why, "has a localhostProfile when its type is Localhost, and then only");
}

// What a pod asks of SELinux would not be, so only that it asks for nothing is taken.
static void no_label(const json_t *value, struct cx_buf *ret_why)
{
        const char *key;
        json_t *part;
        bool asks = false;
        json_object_foreach ((json_t *)value, key, part) {
                asks = asks || *cx_str(json_string_value(part));
        }
        if (asks)
                cx_buf_add(ret_why, "cannot be enforced: this node sets no SELinux labels");
}

static void no_windows(const json_t *value, struct cx_buf *ret_why)
{
        if (json_object_size(value))
                cx_buf_add(ret_why, "is for Windows, which this node is not");
}

static void capabilities(const json_t *value, struct cx_buf *ret_why)
{
        static const char *const lists[] = {"add", "drop"};
        for (size_t l = 0; l < CX_ARRAY_SIZE(lists); l++) {
                size_t i;
                json_t *name;
                json_array_foreach (json_object_get(value, lists[l]), i, name) {
                        if (!ret_why->length && !capability_known(cx_str(json_string_value(name))))
                                cx_buf_printf(ret_why, "names \"%s\", which is no capability",
                                              cx_str(json_string_value(name)));
                }
        }
}

static void elsewhere(const json_t *value CX_UNUSED, struct cx_buf *ret_why CX_UNUSED)
{
        // sysctls: the pod is not admitted with one that is not allowed.
}

static const struct {
        const char *name;
        int where;
        checker *check;
} fields[] = {{"allowPrivilegeEscalation", IN_CONTAINER, boolean},
              {"appArmorProfile", IN_POD | IN_CONTAINER, profile},
              {"capabilities", IN_CONTAINER, capabilities},
              {"fsGroup", IN_POD, id},
              {"fsGroupChangePolicy", IN_POD, change_policy},
              {"privileged", IN_CONTAINER, boolean},
              {"procMount", IN_CONTAINER, proc_mount},
              {"readOnlyRootFilesystem", IN_CONTAINER, boolean},
              {"runAsGroup", IN_POD | IN_CONTAINER, id},
              {"runAsNonRoot", IN_POD | IN_CONTAINER, boolean},
              {"runAsUser", IN_POD | IN_CONTAINER, id},
              {"seLinuxChangePolicy", IN_POD, label_policy},
              {"seLinuxOptions", IN_POD | IN_CONTAINER, no_label},
              {"seccompProfile", IN_POD | IN_CONTAINER, profile},
              {"supplementalGroups", IN_POD, ids},
              {"supplementalGroupsPolicy", IN_POD, groups_policy},
              {"sysctls", IN_POD, elsewhere},
              {"windowsOptions", IN_POD | IN_CONTAINER, no_windows}};

static int check_context(const json_t *context, int where, struct cx_error *err)
{
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)context, key, value) {
                CX_BUF why = CX_BUF_INIT_MAX(1024);
                size_t i = 0;
                if (json_is_null(value))
                        continue;
                while (i < CX_ARRAY_SIZE(fields) && (!(fields[i].where & where) || strcmp(fields[i].name, key) != 0))
                        i++;
                if (i < CX_ARRAY_SIZE(fields))
                        fields[i].check(value, &why);
                else
                        cx_buf_add(&why, "is not known here");
                if (why.length)
                        return cx_error_set(err, -EINVAL, "securityContext.%s %s", key, why.data);
        }
        return 0;
}

int confine_check(const json_t *pod, const json_t *container, struct cx_error *err)
{
        if (json_is_false(cx_json_get(pod, "spec.hostUsers")))
                return cx_error_set(err, -EINVAL,
                                    "hostUsers cannot be false: this node has no user namespaces for pods");
        int r = check_context(cx_json_get(pod, "spec.securityContext"), IN_POD, err);
        return r < 0 ? r : check_context(json_object_get(container, "securityContext"), IN_CONTAINER, err);
}

// --- AppArmor --------------------------------------------------------------------------------------------------------

// What AppArmor says of itself lists a profile a line, "NAME (MODE)".
static bool is_loaded(const char *list, const char *name)
{
        for (const char *line = list; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
                if (strncmp(line, name, strlen(name)) == 0 && strncmp(line + strlen(name), " (", 2) == 0)
                        return true;
        return false;
}

int confine_apparmor(const json_t *profile, const char *loaded, const char **ret_name, struct cx_error *err)
{
        // Ours, which the package brings; and the one of containerd, where that was loaded.
        static const char *const defaults[] = {"coxswain-default", "cri-containerd.apparmor.d"};
        const char *type = cx_json_string_or(profile, "type", "");
        const char *name = defaults[is_loaded(loaded, defaults[0]) || !is_loaded(loaded, defaults[1]) ? 0 : 1];
        *ret_name = NULL;
        if (strcmp(type, "Unconfined") == 0 || (!*type && !is_loaded(loaded, name)))
                return 0;
        if (strcmp(type, "Localhost") == 0)
                name = cx_json_string_or(profile, "localhostProfile", "");
        if (!loaded)
                return cx_error_set(err, -EINVAL, "Cannot enforce AppArmor: AppArmor is not enabled on the host");
        if (!is_loaded(loaded, name))
                return cx_error_set(err, -EINVAL, "Cannot enforce AppArmor: profile \"%s\" is not loaded", name);
        *ret_name = name;
        return 0;
}
