// SPDX-License-Identifier: Apache-2.0
// Project quotas: how much a folder may hold, where its file system counts (XFS, ext4; mounted with prjquota). Any thread.
#pragma once

#include "libcommon/base/error.h"

#include <stdint.h>

// Whether the file system of the open folder enforces project quotas.
bool quota_works(int folder);
// Limits the folder, and all that will come into it, to `bytes`; an earlier limit is replaced. -EOPNOTSUPP: it cannot.
int quota_set(int folder, int64_t bytes, struct cx_error *err) CX_CHECK;
// The project of a folder that has a limit of its own; 0: it has none. And what is left of one when its folder is gone.
uint32_t quota_project(int folder);
int64_t quota_used(int folder); // bytes of a folder with a limit of its own; 0: it has none
void quota_forget(int parent, uint32_t project);
