// SPDX-License-Identifier: Apache-2.0
// cluster-dns: any bytes as a query (answered from a zone whose informers have not synced), and any bytes as an upstream
// server's answer to a fixed query.
#include "addons/dns/resolver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct resolver *resolver;
        static struct zone zone = {.domain = "cluster.local", .ttl = 5};
        static const uint8_t query[] = "\1\2\1\0\0\1\0\0\0\0\0\0\1a\2bc\0\0\1\0\1";
        if (!resolver) {
                zone_init(&zone, cx_informers_new(NULL), "cluster.local");
                resolver = resolver_new(&zone, NULL);
        }
        CX_CLEANUP(cx_freep) uint8_t *answer = NULL;
        size_t length = 0;
        if (size && data[0] & 1)
                (void)!dns_check_answer(query, sizeof query - 1, data + 1, size - 1);
        else if (size)
                (void)!resolver_answer(resolver, &(struct dns_query){data + 1, size - 1, data[0] & 2, 0}, &answer,
                                       &length);
        return 0;
}
