// SPDX-License-Identifier: Apache-2.0
// The checks of the Pod Security Standards, each a function over a pod; which level and version has which is the table in
// pod_standards.c. pod_checks_baseline.c and pod_checks_restricted.c have them.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/strings.h"

#include <jansson.h>

struct pod_subject {
        const json_t *annotations;
        const json_t *spec;
        const json_t *security; // spec.securityContext
};
struct pod_finding {
        const char *reason; // a constant; NULL: nothing is forbidden
        struct cx_buf detail;
};
typedef void (*pod_check_fn)(const struct pod_subject *pod, struct pod_finding *finding);

// What the two files share. A context is a securityContext of a pod or a container, or NULL.
typedef bool (*pod_context_fn)(const json_t *context, void *found);
// Names of the containers for whose context it is so, in upstream's order.
void pod_containers_with(const struct pod_subject *pod, pod_context_fn is_so, void *found,
                         struct cx_strings *ret_names);
void pod_once(struct cx_strings *list);                                 // sorted, each once
void pod_quote(struct cx_buf *to, const struct cx_strings *list);       // "a", "b"
void pod_containers(struct cx_buf *to, const struct cx_strings *names); // containers "a", "b"
// pod and containers "a", "b"
void pod_setters(struct cx_buf *to, bool pod, const struct cx_strings *containers);
bool pod_seccomp_is_bad(const json_t *context, void *values); // adds what it has to the strings that `values` is

#define POD_CHECK(name) void pod_check_##name(const struct pod_subject *pod, struct pod_finding *finding)
POD_CHECK(app_armor);
POD_CHECK(capabilities_baseline);
POD_CHECK(host_namespaces);
POD_CHECK(host_path_volumes);
POD_CHECK(host_ports);
POD_CHECK(host_handlers);
POD_CHECK(privileged);
POD_CHECK(proc_mount);
POD_CHECK(proc_mount_35);
POD_CHECK(selinux);
POD_CHECK(selinux_31);
POD_CHECK(seccomp_annotations);
POD_CHECK(seccomp_baseline);
POD_CHECK(sysctls);
POD_CHECK(sysctls_27);
POD_CHECK(sysctls_29);
POD_CHECK(sysctls_32);
POD_CHECK(windows_host_process);

POD_CHECK(escalation);
POD_CHECK(escalation_25);
POD_CHECK(capabilities_restricted);
POD_CHECK(capabilities_restricted_25);
POD_CHECK(volumes_restricted);
POD_CHECK(non_root);
POD_CHECK(non_root_35);
POD_CHECK(user);
POD_CHECK(user_35);
POD_CHECK(seccomp_restricted);
POD_CHECK(seccomp_restricted_25);

static inline bool pod_has_user_namespace(const struct pod_subject *pod)
{
        return json_is_false(json_object_get(pod->spec, "hostUsers"));
}
