// SPDX-License-Identifier: Apache-2.0
// fsGroup: gives what is in a volume to the pod's group. Any thread.
#pragma once

#include "kubelet/volume/plugin.h"

// Nothing without an fsGroup. With the policy OnRootMismatch nothing either when the folder itself is the group's already;
// so the folder comes last. Read-only volumes are made readable alone.
int ownership_apply(const struct volume_job *job, const char *folder, bool read_only, struct cx_error *err) CX_CHECK;
