// SPDX-License-Identifier: Apache-2.0
// What the files of the volumes share.
#pragma once

#include "kubelet/volume/volumes.h"
#include "libcommon/base/map.h"

#include <pthread.h>

struct volumes {
        const struct kubelet *kubelet;
        struct refs *refs;
        char *pods, *state_pods; // folders: of what is kept on disk; of the rest, and secrets, which never reach a disk
        pthread_mutex_t lock;    // guards tokens
        struct cx_map tokens;    // "uid/audience/seconds" → token
};
struct volume_job {
        struct volumes *volumes;
        const json_t *pod, *volume;
        const char *folder;
        int64_t gid;   // fsGroup or -1
        int64_t uid;   // that all containers run as, or -1
        int64_t again; // out: ns until a renewal is due
};
// Collects the files of a configMap, secret, downwardAPI or projected volume.
int volume_payload(struct volume_job *job, struct cx_map *payload, struct cx_error *err) CX_CHECK;
// A bound service account token, cached until 80 % of its life. Owned by the caller.
int token_get(struct volumes *volumes, const json_t *pod, const char *audience, int64_t seconds, char **ret_token,
              int64_t *ret_again, struct cx_error *err) CX_CHECK;
void tokens_forget(struct volumes *volumes, const char *pod_uid);
void token_free(void *token);
