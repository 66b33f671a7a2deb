// SPDX-License-Identifier: Apache-2.0
// What the metrics APIs say: metrics.k8s.io of pods, and what adapters serve as custom.metrics.k8s.io and
// external.metrics.k8s.io. All block. Errors are upstream's sentences.
#pragma once

#include "controller-manager/autoscaling/replicas.h"
#include "libcommon/client/rest.h"

// Pods as they are (a list's items), with room for figures: the caller frees both.
struct measured_pods {
        json_t *list; // of pods
        struct scaled_pods pods;
};
void measured_pods_release(struct measured_pods *pods);
#define MEASURED_PODS CX_CLEANUP(measured_pods_release) struct measured_pods
int measured_pods_list(struct cx_rest *rest, const char *namespace, const char *selector,
                       struct measured_pods *ret_pods, struct cx_error *err) CX_CHECK;
int64_t measured_pods_ready(const struct measured_pods *pods); // how many run and are ready

// Fills in what the pods use of a resource; `container` NULL: all of them.
int metrics_of_resource(struct cx_rest *rest, const char *namespace, const char *selector, const char *resource,
                        const char *container, struct measured_pods *pods, struct cx_error *err) CX_CHECK;
// Fills in what the pods request of it. -ENOENT: one of them requests none.
int requests_of_pods(const char *resource, const char *container, struct measured_pods *pods, struct cx_error *err)
        CX_CHECK;
// Fills in a metric of each pod. `metric`: a MetricIdentifier.
int metrics_of_pods(struct cx_rest *rest, const char *namespace, const char *selector, const json_t *metric,
                    struct measured_pods *pods, struct cx_error *err) CX_CHECK;
// A metric of one object (`object`: a CrossVersionObjectReference, whose resource is `resource`: "deployments.apps").
int metric_of_object(struct cx_rest *rest, const char *namespace, const json_t *object, const char *resource,
                     const json_t *metric, int64_t *ret_milli, struct cx_error *err) CX_CHECK;
// The sum of all series of an external metric.
int metric_from_outside(struct cx_rest *rest, const char *namespace, const json_t *metric, int64_t *ret_milli,
                        struct cx_error *err) CX_CHECK;
