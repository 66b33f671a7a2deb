// SPDX-License-Identifier: Apache-2.0
// Flags of minikube start that people type from habit, and that decide nothing here: they are taken, and a line says why
// nothing comes of them.
#pragma once

#include "minikube/commands.h"

struct habit {
        const char *name;
        bool is_switch; // needs no value
        const char *why;
};
extern const struct habit habits[]; // MAX_HABITS at most, ended by one without a name

void habits_tell(const struct minikube *m);
// -ENOTSUP in minikube's words when it is not the version of Kubernetes that this is. `version` may be NULL.
int habits_check_version(const char *version, struct cx_error *err) CX_CHECK;
