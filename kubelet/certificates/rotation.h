// SPDX-License-Identifier: Apache-2.0
// Keeps one certificate of the node (kubelet/certificates/pair.h) good for as long as the process lives: a thread asks for the
// next when 70 to 90 % of its life is over (each kubelet at another moment), when it has expired, when there is none, or when it
// lacks a name. What failed is tried again with growing delays.
#pragma once

#include "kubelet/certificates/request.h"

struct rotation_options { // all is borrowed, for ever
        struct cx_rest *rest;
        const char *bootstrap_kubeconfig; // who asks when the own certificate has expired; NULL: nobody
        const char *folder, *name;
        struct certificate_want want;
        void (*made)(void *context, const char *path); // a new one is there; may be NULL
        void *context;
};
int rotation_start(const struct rotation_options *options, struct cx_error *err) CX_CHECK;
// When a certificate is to be replaced: `share` (0 to 1000) says where in the time that is meant for it. Seconds since the epoch.
int64_t rotation_due(int64_t not_before, int64_t not_after, int64_t share);
