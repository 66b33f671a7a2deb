// SPDX-License-Identifier: Apache-2.0
// What the proxy says on its standard error: a thread takes it in, logs what is an alert and keeps the first one, which tells the
// cause of those that follow; the rest tells of every server that comes and goes. When nobody listens any more, the proxy goes on
// without being heard.
#pragma once

#include "libcommon/base/error.h"

struct voice;
// ret_fd: what the proxy gets as its standard error; the caller closes it.
int voice_new(struct voice **ret_voice, int *ret_fd, struct cx_error *err) CX_CHECK;
void voice_forget(struct voice *voice); // what was said so far
// The first alert since then; waits a moment for one that is on its way. Owned by the caller; NULL: none.
char *voice_first_alert(struct voice *voice);
void voice_unref(struct voice *voice); // the thread ends when the proxy does
CX_DEFINE_CLEANUP(struct voice, voice_unrefp, voice_unref)
