// SPDX-License-Identifier: Apache-2.0
// What a service manager is told of a process by the protocol of sd_notify(3): a datagram to $NOTIFY_SOCKET. Without that
// variable nothing is sent.
#pragma once

#include "libcommon/base/error.h"

#include <stdbool.h>
#include <stdint.h>

// Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment, so that no child speaks in our name: an OCI
// runtime that finds them passes them on into containers. By cx_process_init, before there are threads.
void cx_notify_init(void);
bool cx_notify_wanted(void);
int64_t cx_notify_watchdog(void); // ns within which the process has to say that it lives; 0: it need not

// Sends "READY=1" and the like. 0 also when nobody wants to know; else a negative errno: say it again later.
int cx_notify(const char *state) CX_CHECK;
