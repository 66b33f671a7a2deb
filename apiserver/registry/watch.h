// SPDX-License-Identifier: Apache-2.0
// The thread that ends watches whose time is up and makes bookmarks due. One per process; freed after the HTTP server.
#pragma once

#include "libcommon/base/error.h"

struct watch_reaper;
int watch_reaper_new(struct watch_reaper **ret_reaper, struct cx_error *err) CX_CHECK;
void watch_reaper_free(struct watch_reaper *reaper);
