// SPDX-License-Identifier: Apache-2.0
// iptables and ip6tables, by family: the one place that runs them. Every call waits for the lock of other writers, and
// blocks. A rule is a NULL-ended list of words: table, chain, then what iptables takes ("nat", "POSTROUTING", "-s", …).
#pragma once

#include "libcommon/base/address.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"

#define CX_IPTABLES_WORDS 40 // of a rule, at most

// Adds the rule unless it is there: at the end of its chain, or `first` of all.
int cx_iptables_ensure(enum cx_family family, const char *const *rule, bool first, struct cx_error *err) CX_CHECK;
// Removes every copy of the rule that there is.
void cx_iptables_remove(enum cx_family family, const char *const *rule);
bool cx_iptables_has_chain(enum cx_family family, const char *table, const char *chain);

// A whole table as iptables-save prints it, appended; a last line without its end gets one.
int cx_iptables_save(enum cx_family family, const char *table, struct cx_buf *ret_text, struct cx_error *err) CX_CHECK;
// Gives a text to iptables-restore, which applies each table in one step and leaves alone what the text does not name.
int cx_iptables_restore(enum cx_family family, const struct cx_buf *text, struct cx_error *err) CX_CHECK;
