// SPDX-License-Identifier: Apache-2.0
// The thread that ends watches whose time is up and makes bookmarks due. One per process; freed after the HTTP server.
#pragma once

#include "base/error.h"

struct cx_watch_reaper;
int cx_watch_reaper_new(struct cx_watch_reaper **ret_reaper, struct cx_error *err) CX_CHECK;
void cx_watch_reaper_free(struct cx_watch_reaper *reaper);
