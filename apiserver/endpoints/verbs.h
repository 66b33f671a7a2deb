// SPDX-License-Identifier: Apache-2.0
// The verbs on plain objects: each answers the call. Writes block.
#pragma once

#include "apiserver/request/call.h"

// write.c
void handle_create(struct call *call);
void handle_update(struct call *call);
void handle_patch(struct call *call); // of all kinds, server-side apply among them
void handle_delete(struct call *call);
void handle_delete_collection(struct call *call);
// read.c
void handle_get(struct call *call);
void handle_list(struct call *call);
// Gets, and lists and watches that need no consistent read: answered without a worker. False: hand it to one.
bool handle_read_inline(struct call *call);
