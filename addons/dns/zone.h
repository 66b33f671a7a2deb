// SPDX-License-Identifier: Apache-2.0
// The cluster's names, answered from informers (Kubernetes DNS-Based Service Discovery, version 1.1.0): services, headless
// services and their endpoints, SRV, ExternalName, pods by address, and reverse look-ups. Any thread.
#pragma once

#include "libcommon/client/informer.h"

#include <ldns/ldns.h>

struct zone {
        const char *domain; // "cluster.local", without dots at its ends
        struct cx_informer *services, *slices, *namespaces;
        uint32_t ttl;
};

void zone_init(struct zone *zone, struct cx_informers *informers, const char *domain);

enum zone_result {
        ZONE_NOT_OURS,  // to be forwarded
        ZONE_ANSWER,    // records may be empty: the name exists without such data
        ZONE_NO_NAME,   // NXDOMAIN
        ZONE_NOT_READY, // the informers are not synced: SERVFAIL
};
// `name` is lower-case without the final dot. Answers are pushed to `answers`, addresses of SRV targets to `extra`.
enum zone_result zone_lookup(const struct zone *zone, const char *name, ldns_rr_type type, ldns_rr_list *answers,
                             ldns_rr_list *extra);
// The SOA record of the domain, for negative answers. Owned by the caller.
ldns_rr *zone_soa(const struct zone *zone);
