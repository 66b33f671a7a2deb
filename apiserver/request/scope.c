// SPDX-License-Identifier: Apache-2.0
#include "apiserver/request/scope.h"

struct scope scope_own(struct apiserver *api, const struct cx_resource *resource, const char *namespace,
                       const char *name)
{
        static char own_name[] = "system:apiserver", masters[] = "system:masters", all[] = "system:authenticated";
        static char *groups[] = {masters, all};
        static const struct user own = {.name = own_name, .groups = {.items = groups, .count = 2}};
        return (struct scope){.api = api,
                              .user = &own,
                              .resource = resource,
                              .namespace = cx_str(namespace),
                              .name = cx_str(name),
                              .manager = "kube-apiserver"};
}
