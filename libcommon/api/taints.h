// SPDX-License-Identifier: Apache-2.0
// Taints of nodes and the tolerations of pods, taken from their JSON once. Immutable when parsed; any thread may ask.
#pragma once

#include "libcommon/base/macro.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cx_taint_effect {
        CX_EFFECT_ANY, // of a toleration without an effect
        CX_EFFECT_NO_SCHEDULE,
        CX_EFFECT_PREFER_NO_SCHEDULE,
        CX_EFFECT_NO_EXECUTE
};
struct cx_taint {
        char *key, *value;
        enum cx_taint_effect effect;
};
struct cx_taints {
        struct cx_taint *items;
        size_t count;
};
struct cx_toleration {
        char *key, *value; // key "": any
        bool exists;       // operator Exists
        enum cx_taint_effect effect;
        int64_t seconds; // tolerationSeconds; -1: for ever
};
struct cx_tolerations {
        struct cx_toleration *items;
        size_t count;
};
#define CX_TAINTS CX_CLEANUP(cx_taints_release) struct cx_taints
#define CX_TOLERATIONS CX_CLEANUP(cx_tolerations_release) struct cx_tolerations

// From Node.spec.taints and PodSpec.tolerations (NULL: none). Entries with an effect or operator that is not known are
// left out: such a taint keeps nobody away, and such a toleration tolerates nothing.
void cx_taints_parse(const json_t *array, struct cx_taints *ret_taints);
void cx_taints_release(struct cx_taints *taints);
void cx_tolerations_parse(const json_t *array, struct cx_tolerations *ret_tolerations);
void cx_tolerations_release(struct cx_tolerations *tolerations);

bool cx_tolerates(const struct cx_toleration *toleration, const struct cx_taint *taint);
// The first toleration that tolerates it; NULL when none does.
const struct cx_toleration *cx_tolerations_find(const struct cx_tolerations *tolerations, const struct cx_taint *taint);
// The first taint with one of `effects` (a set of 1 << effect) that is not tolerated; NULL when all are.
const struct cx_taint *cx_taints_untolerated(const struct cx_taints *taints, const struct cx_tolerations *tolerations,
                                             unsigned effects);
// "NoSchedule"; "" for any.
const char *cx_taint_effect_text(enum cx_taint_effect effect);
// False when the text is not an effect; NULL and "" are CX_EFFECT_ANY.
bool cx_taint_effect_parse(const char *text, enum cx_taint_effect *ret_effect);
