// SPDX-License-Identifier: Apache-2.0
// The process of the proxy: HAProxy in master-worker mode, in a session of its own, so that it goes on when the controller was
// killed; the next controller finds it by its pid file, and loads its own configuration into it. The listening sockets go
// from one generation of workers to the next: no connection is refused meanwhile.
#pragma once

#include "libcommon/base/error.h"

struct haproxy;
struct haproxy_options {
        const char *executable;       // path, or a name to look up in PATH
        const char *folder;           // that holds haproxy.cfg, control.sock and haproxy.pid
        void (*ended)(void *context); // it ended by itself; on a thread of its own
        void *context;
};
struct haproxy *haproxy_new(const struct haproxy_options *options);
// Starts it with haproxy.cfg, or has the one that runs load it; returns when the generation of that configuration serves.
int haproxy_load(struct haproxy *haproxy, int generation, struct cx_error *err) CX_CHECK;
bool haproxy_runs(struct haproxy *haproxy);
void haproxy_stop(struct haproxy *haproxy); // gives what it is doing a few seconds
void haproxy_free(struct haproxy *haproxy); // leaves it running
