// SPDX-License-Identifier: Apache-2.0
// Extenders: services that have a say in where pods go, asked over HTTP (kubescheduler.config.k8s.io/v1, extenders). They are
// asked without the scheduler's lock; all of this blocks. Immutable once made; any thread.
#pragma once

#include "libcommon/client/object.h"
#include "scheduler/core/framework.h"

struct extenders;
// `list` is the file's, checked. *ret_extenders is NULL when there are none.
int extenders_new(const json_t *list, struct extenders **ret_extenders, struct cx_error *err) CX_CHECK;
void extenders_free(struct extenders *self);
// Whether any of them cares about the pod.
bool extenders_care(const struct extenders *self, const json_t *pod);

// What to ask about: the candidates by name, and how a node's whole object is found (an owned reference or NULL).
struct extender_question {
        const json_t *pod;
        const struct cx_strings *nodes;
        json_t *(*node)(void *context, const char *name);
        void *context;
};
// What they say of each candidate. An extender that fails is an error, unless it may be ignored.
int extenders_judge(const struct extenders *self, const struct extender_question *question,
                    struct verdicts *ret_verdicts, struct cx_error *err) CX_CHECK;
// Whether they agree that these pods (an array of whole objects) leave the node for this one; they may want fewer to.
int extenders_preempt(const struct extenders *self, const json_t *pod, const char *node, json_t *victims,
                      bool *ret_agreed, struct cx_error *err) CX_CHECK;
// Binds through the extender that does so for this pod: 0 or an error in *ret_result. False when there is none.
bool extenders_bind(const struct extenders *self, const json_t *pod, const char *node, int *ret_result,
                    struct cx_error *err);
