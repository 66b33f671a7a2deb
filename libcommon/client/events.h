// SPDX-License-Identifier: Apache-2.0
// The event recorder: core/v1 Events about objects, written by a thread of its own from a bounded queue (what does not fit
// is dropped) at a hundred a second after a burst: events never hold up the work. The same event again raises the count of
// the first by a patch; many alike events of one source about one object are combined, and more than a burst of 25
// (refilled one in five minutes) are dropped. Any thread may record.
#pragma once

#include "libcommon/client/object.h"
#include "libcommon/client/rest.h"

struct cx_events;
// `host` may be NULL. `component` is the reporting source: "kubelet", "replicaset-controller".
struct cx_events *cx_events_new(struct cx_rest *rest, const char *component, const char *host);
// Gives what is queued two seconds to get out. What is recorded later, which it may be, is dropped.
void cx_events_stop(struct cx_events *events);
void cx_events_free(struct cx_events *events); // stops first

struct cx_event_about { // all but kind and name may be NULL
        const char *api_version, *kind, *namespace, *name, *uid, *resource_version, *field_path;
};
// A recorder for another component that shares the thread; free it before the first.
struct cx_events *cx_events_for(struct cx_events *events, const char *component);
// `type` is "Normal" or "Warning".
void cx_event(struct cx_events *events, const struct cx_event_about *about, const char *type, const char *reason,
              const char *format, ...) CX_PRINTF(5, 6);
// About an informer's object.
void cx_event_object(struct cx_events *events, const char *api_version, const char *kind,
                     const struct cx_object *object, const char *type, const char *reason, const char *format, ...)
        CX_PRINTF(7, 8);
