// SPDX-License-Identifier: Apache-2.0
// PodSecurity: pods have to comply with the standard that their namespace's labels name. What the cluster's administrator says of it,
// and what the plugin's files share. pod_security.c is about pods and what makes them, pod_security_namespace.c about the labels,
// pod_security_settings.c about --admission-control-config-file. Which pods comply: pod_standards.h.
#pragma once

#include "apiserver/admission/plugin.h"
#include "apiserver/admission/pod_standards.h"

// Immutable once the server serves; any thread.
struct pod_security {
        struct pod_policy defaults;
        struct cx_strings usernames, runtime_classes, namespaces; // who and what is exempt
        // pod_security_evaluations_total, pod_security_exemptions_total, pod_security_errors_total; NULL: not counted
        struct cx_metric *evaluations, *exemptions, *errors;
        struct cx_series *usual[2]; // of pods that are made, or changed, where nothing is asked for
};
// Settings as they are without a file. What the server has, or these when it has none.
extern const struct pod_security pod_security_default;
const struct pod_security *pod_security_of(const struct apiserver *api);
// A part of the configuration file, NULL for none. Refuses what is not known, in upstream's words what cannot be meant.
int pod_security_new(const json_t *settings, struct cx_metrics *metrics, struct pod_security **ret_security,
                     struct cx_error *err) CX_CHECK;
void pod_security_free(struct pod_security *security);
CX_DEFINE_CLEANUP(struct pod_security, pod_security_freep, pod_security_free)

// "a: b", or "[a: b, c: d]"; owned by the caller.
char *pod_security_causes(const struct cx_error *causes);
bool pod_security_is_exempt_class(const struct pod_security *security, const char *class); // "" is not
int pod_security_check_namespace(const struct admission_request *request, struct cx_error *err) CX_CHECK;
// Exported for tests: warnings about the pods that are there, of which `most` are looked at, in `time` ns.
void pod_security_try(const struct pod_security *security, struct cache *pods, const char *namespace,
                      const struct pod_standard *standard, size_t most, int64_t time, struct cx_strings *ret_warnings);
