// SPDX-License-Identifier: Apache-2.0
// The volumes of pods, below pods/<uid>/volumes/kubernetes.io~<plugin>/<name> as upstream lays them out: emptyDir, hostPath,
// configMap, secret, projected, downwardAPI. Calls about one pod come from one thread at a time.
#pragma once

#include "kubelet/base/kubelet.h"

struct refs;
struct spec_mount;
struct volumes;
struct volumes *volumes_new(const struct kubelet *kubelet, struct refs *refs);
void volumes_free(struct volumes *volumes);
// Sets up what is missing and brings projected volumes up to date; cheap when nothing changed. The error is the sentence
// of the FailedMount event. ret_again: ns until a token wants renewal, INT64_MAX for never.
int volumes_set_up(struct volumes *volumes, const json_t *pod, int64_t *ret_again, struct cx_error *err) CX_CHECK;
// Where a volume of the pod is; owned by the caller, NULL when the pod has no such volume.
char *volumes_path(const struct volumes *volumes, const json_t *pod, const char *name, bool *ret_read_only);
// The bind mounts of a container. `env` expands subPathExpr.
int volumes_mounts(struct volumes *volumes, const json_t *pod, const json_t *container, const struct cx_strings *env,
                   struct spec_mount **ret_mounts, size_t *ret_count, struct cx_error *err) CX_CHECK;
void spec_mounts_free(struct spec_mount *mounts, size_t count);
// Unmounts and removes the whole folder of a pod.
int volumes_tear_down(struct volumes *volumes, const char *pod_uid, struct cx_error *err) CX_CHECK;
// Uids of pods that have a folder.
void volumes_pods(const struct volumes *volumes, struct cx_strings *ret_uids);

// A field of a pod as the downward API names it ("metadata.labels['a']", "status.podIP"); owned, NULL when unknown.
// `pod` carries the status to be read.
char *downward_field(const json_t *pod, const char *path);
// resourceFieldRef; owned.
int downward_resource(const struct kubelet *kubelet, const json_t *pod, const json_t *ref,
                      const char *default_container, char **ret_text, struct cx_error *err) CX_CHECK;
// Base64 of a Secret's data (or a ConfigMap's binaryData); owned, terminated. -EINVAL.
int decode_bytes(const char *text, char **ret_data, size_t *ret_length) CX_CHECK;
