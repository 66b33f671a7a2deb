// SPDX-License-Identifier: Apache-2.0
// Data is safe as long as a volume is taken away only from where it is not mounted any more. A node that does not answer is
// given time; one that somebody has declared out of service is not.
#include "controller-manager/storage/attach_plan.h"

#include "libcommon/api/storage.h"

enum detach_step plan_detach(const struct attachment_facts *facts)
{
        if (facts->wanted)
                return DETACH_NOT;
        if (!facts->mounted || facts->out_of_service)
                return DETACH_NOW;
        return !facts->node_ready && facts->unwanted >= FORCED_DETACH_NS ? DETACH_NOW : DETACH_WAITS;
}

bool is_for_one_node(unsigned access)
{
        return access && !(access & (CX_READ_WRITE_MANY | CX_READ_ONLY_MANY));
}
