// SPDX-License-Identifier: Apache-2.0
// The volumes of pods: what is set up for a pod, where it lies, and that it goes with the pod. Plugins (plugin.h) do the
// work. Calls about one pod come from one thread at a time, those that only look from any.
#pragma once

#include "kubelet/volume/plugin.h"

struct volumes;
struct volumes_options {
        const struct kubelet *kubelet;
        struct refs *refs;
        const struct volume_plugin *const *plugins;          // the table, NULL-ended; kept by the caller
        int threads;                                         // for plugins that are slow; 0: they run in the caller's
        void (*changed)(void *context, const char *pod_uid); // something that a pod waits for has ended; may be NULL
        void *context;
};
struct volumes *volumes_new(const struct volumes_options *options);
void volumes_free(struct volumes *volumes);
const struct kubelet *volumes_kubelet(const struct volumes *volumes);
struct volumes_progress {
        int64_t again;      // ns until the call has to be made again, should nothing happen before
        const char *reason; // of the event about an error; a constant
};
// Sets up what is missing and brings the rest up to date; cheap when nothing changed. -EINPROGRESS, without an error: some
// of it is under way, and its end will be told. Else the error is the sentence of an event.
int volumes_set_up(struct volumes *volumes, const json_t *pod, struct volumes_progress *ret_progress,
                   struct cx_error *err) CX_CHECK;
// Ends the pod's volumes and removes its folders. When one cannot be ended (it is in use, say) the others are all the same,
// what is still mounted stays as it is, and the call is to be made again. -EINPROGRESS, without an error: some of it is under
// way; ret_again is as above.
int volumes_tear_down(struct volumes *volumes, const char *pod_uid, int64_t *ret_again, struct cx_error *err) CX_CHECK;
// Where a volume of the pod is, owned by the caller, and what containers may not do with it.
struct volume_access {
        bool read_only, no_exec;
};
int volumes_path(struct volumes *volumes, const json_t *pod, const char *name, char **ret_path,
                 struct volume_access *ret_access, struct cx_error *err) CX_CHECK;
// What plugins may not be able to do: -ENOTSUP, and the error names the plugin.
int volumes_expand(struct volumes *volumes, const json_t *pod, const char *name, int64_t bytes, struct cx_error *err)
        CX_CHECK;
int volumes_device(struct volumes *volumes, const json_t *pod, const char *name, char **ret_device, bool *ret_read_only,
                   struct cx_error *err) CX_CHECK;
// How much is in a volume; may be as old as a minute. Any thread.
int volumes_stats(struct volumes *volumes, const json_t *pod, const char *name, struct volume_usage *ret_usage,
                  struct cx_error *err) CX_CHECK;
// What is in a volume that counts for the pod's ephemeral storage, as it is now; 0 for all others. Takes as long as there are
// files.
int volumes_used(struct volumes *volumes, const json_t *pod, const json_t *volume, int64_t *ret_bytes,
                 struct cx_error *err) CX_CHECK;
// The folder of the pod's mounts of parts of volumes (mounts.c); owned by the caller.
char *volumes_subpaths(const struct volumes *volumes, const char *pod_uid);
// Ids of images that volumes are.
void volumes_images(const struct volumes *volumes, struct cx_strings *ret_ids);
// Uids of pods that have a folder.
void volumes_pods(const struct volumes *volumes, struct cx_strings *ret_uids);
