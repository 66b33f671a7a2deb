// SPDX-License-Identifier: Apache-2.0
// kubectl __complete WORDS... CURRENT: what may stand where the last word is being typed.
#pragma once

#include "kubectl/ctl/ctl.h"

// Prints the candidates and the directive. `argv` are the words after "__complete", the last of them being typed.
void complete(struct ctl *ctl, int argc, char **argv);
