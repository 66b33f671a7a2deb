// SPDX-License-Identifier: Apache-2.0
// The table of kubectl's commands, ended by an entry without name.
#pragma once

#include "kubectl/ctl/ctl.h"

extern const struct command kubectl_commands[];
