// SPDX-License-Identifier: Apache-2.0
// What the proxy says on its standard error: a thread takes it in, logs what is an alert and keeps the last one; the rest tells
// of every server that comes and goes. When nobody listens any more, the proxy goes on without being heard.
#pragma once

#include "libcommon/base/error.h"

struct voice;
// ret_fd: what the proxy gets as its standard error; the caller closes it.
int voice_new(struct voice **ret_voice, int *ret_fd, struct cx_error *err) CX_CHECK;
char *voice_last_alert(struct voice *voice); // owned by the caller; NULL: none
void voice_unref(struct voice *voice);       // the thread ends when the proxy does
CX_DEFINE_CLEANUP(struct voice, voice_unrefp, voice_unref)
