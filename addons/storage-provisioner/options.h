// SPDX-License-Identifier: Apache-2.0
// What a provisioner is given.
#pragma once

#include "addons/storage-provisioner/folders.h"
#include "libcommon/client/events.h"
#include "libcommon/client/informer.h"

struct provisioner_options { // all are borrowed and must outlive the provisioner
        struct cx_rest *rest;
        struct cx_informers *informers;
        struct cx_events *events;
        const struct folders *folders;
        const char *name; // of classes: "coxswain.dev/local"
        const char *node;
        int64_t overcommit; // percent of what there is that may be promised; 0: by default (room.h)
};
