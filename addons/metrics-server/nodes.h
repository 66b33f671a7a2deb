// SPDX-License-Identifier: Apache-2.0
// Asks every kubelet of the cluster at a fixed pace, and keeps the last two answers of each. A kubelet that does not answer
// holds up no other one. Any thread may call.
#pragma once

#include "addons/metrics-server/samples.h"
#include "libcommon/client/component.h"

struct nodes;
struct nodes_options {
        int64_t resolution;                     // ns between two questions to a kubelet
        const char *ca_file;                    // of the kubelets' serving certificates; NULL: the kubeconfig's
        bool insecure;                          // do not verify them
        const struct cx_strings *address_types; // in the order of preference
        int64_t port;                           // 0: the one that the node tells
};
// `component` gives the client's credentials, the informers and the metrics. Options are borrowed.
int nodes_new(struct cx_component *component, const struct nodes_options *options, struct nodes **ret_nodes,
              struct cx_error *err) CX_CHECK;
void nodes_start(struct nodes *nodes); // once the informers run
void nodes_free(struct nodes *nodes);
struct cx_informer *nodes_informer(struct nodes *nodes);
bool nodes_ready(struct nodes *nodes); // whether any kubelet has answered twice

// What the node uses; false: not known yet.
bool nodes_usage(struct nodes *nodes, const char *name, struct usage *ret_usage);
// What each container of the pod on the node uses, added to a new array of {"name", "usage"}; false when one of them is not
// known yet. ret_usage: of the container that was looked at first.
bool nodes_pod_usage(struct nodes *nodes, const char *node, const char *pod_key, json_t **ret_containers,
                     struct usage *ret_usage);
json_t *usage_json(const struct usage *usage); // {"cpu": "12n", "memory": "4Ki"}
