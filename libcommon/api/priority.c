// SPDX-License-Identifier: Apache-2.0
#include "libcommon/api/priority.h"

#include "libcommon/base/flags.h"

const struct cx_priority_class cx_system_priority_classes[2] = {
        {"system-cluster-critical",
         "Used for system critical pods that must run in the cluster, but can be moved to another node if "
         "necessary.",
         2000000000},
        {"system-node-critical", "Used for system critical pods that must not be moved from their current node.",
         2000001000},
};

const struct cx_priority_class *cx_system_priority_class(const char *name)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(cx_system_priority_classes); i++)
                if (cx_streq(cx_system_priority_classes[i].name, name))
                        return &cx_system_priority_classes[i];
        return NULL;
}
