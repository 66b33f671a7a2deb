// SPDX-License-Identifier: Apache-2.0
// Whether this node takes a pod that was bound to it: resources, node affinity, host ports, taints, sysctls. The scheduler
// has looked at most of it before; a pod with a node of its own choice, a static pod or a race come through here only.
#pragma once

#include "kubelet/base/kubelet.h"

struct admission {
        const json_t *pod;
        const json_t *node;                      // NULL: not known yet, its labels and taints are not looked at
        const json_t *others;                    // pods that this node has already (objects)
        int64_t milli_cpu, memory, pods;         // what the node has for pods
        const struct cx_strings *unsafe_sysctls; // allowed ones; a trailing "*" stands for any end
        bool is_static;
};
// The part of that which is about resources: the reason (a constant) when there is too little left of one; NULL when there is
// enough.
const char *admission_lacks(const struct admission *admission, struct cx_buf *ret_message);
// NULL when it is taken; else the reason (a constant) that the pod's status gets, with its sentence in ret_message.
const char *admission_refusal(const struct admission *admission, struct cx_buf *ret_message);
