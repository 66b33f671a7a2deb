// SPDX-License-Identifier: Apache-2.0
// Brings rules into the kernel with iptables-restore: everything once, then only the chains that changed, in one atomic
// commit a table. Used by one thread.
#pragma once

#include "kube-proxy/rules.h"

struct applier;
struct applier *applier_new(void);
void applier_free(struct applier *applier);
// After a failure, or applier_forget, the next call writes everything and removes stale chains. Takes rules->chains.
// ret_written: rules that were written, also on failure.
int applier_apply(struct applier *applier, struct ruleset *rules, size_t *ret_written, struct cx_error *err) CX_CHECK;
void applier_forget(struct applier *applier);
bool applier_intact(void); // false when somebody flushed the tables
// Removes everything that any kube-proxy made here.
int applier_cleanup(struct cx_error *err) CX_CHECK;

// Forgets the connections of UDP clients that would go on to endpoints that are gone, or to nowhere although there are
// endpoints now; and those of TCP clients that an endpoint which is gone has not answered yet: the kernel would lead each
// further SYN to it, too, where the next one may reach an endpoint that is there. `old` may be NULL: nothing is known.
void conntrack_clean(const struct ruleset *old, const struct ruleset *now);

// The texts for iptables-restore (for tests): `written` are chains as they are now, NULL: take `saved`, the output of
// iptables-save.
void applier_difference(const struct cx_map written[TABLE_COUNT], const char *saved, const struct ruleset *rules,
                        struct cx_buf *to);
void applier_cleanup_text(const char *saved, struct cx_buf *to);
