// SPDX-License-Identifier: Apache-2.0
// The status of one container. Called by the pod's worker; pure but for reading termination messages.
#pragma once

#include "kubelet/pod/model.h"

// Whose containers, and of which list.
struct status_subject {
        struct pod *pod;
        const json_t *object;
        const struct containers *list;
        bool init;
};
struct container_tally {
        size_t total, waiting, running, stopped, succeeded, ready;
        bool unstarted; // a waiting container that never ran
};
// A new status, which is added to the tally.
json_t *container_status(const struct status_subject *subject, const json_t *container, struct container_tally *tally);
// Of a container that has not run and of which there is nothing else to say: as upstream, it depends on whether the pod has
// init containers, and not on how far they are.
const char *default_waiting_reason(const json_t *object);
json_t *status_time(int64_t us); // JSON's null for 0
// Why a container has no logs to read, in upstream's words; `pod` has its status. Owned.
char *why_no_logs(const json_t *pod, const char *container, bool previous);
