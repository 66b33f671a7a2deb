// SPDX-License-Identifier: Apache-2.0
// metrics.k8s.io/v1beta1 as the aggregator asks for it: discovery, OpenAPI, NodeMetrics and PodMetrics.
#pragma once

#include "addons/metrics-server/nodes.h"

struct api {
        struct nodes *nodes;
        struct cx_informer *pods; // their projection is their node's name
};
struct cx_informer *api_add_pods(struct cx_informers *informers);
// Answers; false when the path is none of the API's. Whoever comes here has been let in.
bool api_serve(struct api *api, struct cx_http_request *request);
