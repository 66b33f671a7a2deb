// SPDX-License-Identifier: Apache-2.0
// The volumes of pods: what is set up for a pod, where it lies, and that it goes with the pod. Plugins (plugin.h) do the
// work. Calls about one pod come from one thread at a time, those that only look from any.
#pragma once

#include "kubelet/volume/plugin.h"

struct volumes;
// `plugins`: the table, NULL-ended, kept by the caller.
struct volumes *volumes_new(const struct kubelet *kubelet, struct refs *refs,
                            const struct volume_plugin *const *plugins);
void volumes_free(struct volumes *volumes);
// Sets up what is missing and brings the rest up to date; cheap when nothing changed. The error is the sentence of the
// FailedMount event. ret_again: ns until it has to be called again, should nothing happen before.
int volumes_set_up(struct volumes *volumes, const json_t *pod, int64_t *ret_again, struct cx_error *err) CX_CHECK;
// Ends the pod's volumes and removes its folders. When one cannot be ended (it is in use, say) the others are all the same,
// what is still mounted stays as it is, and the call is to be made again.
int volumes_tear_down(struct volumes *volumes, const char *pod_uid, struct cx_error *err) CX_CHECK;
// Where a volume of the pod is, owned by the caller, and whether containers may only read it.
int volumes_path(const struct volumes *volumes, const json_t *pod, const char *name, char **ret_path,
                 bool *ret_read_only, struct cx_error *err) CX_CHECK;
// What plugins may not be able to do: -ENOTSUP, and the error names the plugin.
int volumes_expand(struct volumes *volumes, const json_t *pod, const char *name, int64_t bytes, struct cx_error *err)
        CX_CHECK;
int volumes_device(struct volumes *volumes, const json_t *pod, const char *name, char **ret_device,
                   struct cx_error *err) CX_CHECK;
// How much is in a volume; may be as old as a minute. Any thread.
int volumes_stats(struct volumes *volumes, const json_t *pod, const char *name, struct volume_usage *ret_usage,
                  struct cx_error *err) CX_CHECK;
// The folder of the pod's mounts of parts of volumes (mounts.c); owned by the caller.
char *volumes_subpaths(const struct volumes *volumes, const char *pod_uid);
// Uids of pods that have a folder.
void volumes_pods(const struct volumes *volumes, struct cx_strings *ret_uids);
