// SPDX-License-Identifier: Apache-2.0
// Watches, and the thread that ends those whose time is up and makes bookmarks due: one per process, freed after the
// HTTP server.
#pragma once

#include "apiserver/request/call.h"

void handle_watch(struct call *call);

int watch_reaper_new(struct watch_reaper **ret_reaper, struct cx_error *err) CX_CHECK;
void watch_reaper_free(struct watch_reaper *reaper);
