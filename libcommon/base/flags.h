// SPDX-License-Identifier: Apache-2.0
// Command-line flags as tables, parsed as pflag parses them: `--name value`, `--name=value`, `-n value`, `-nvalue`,
// grouped short booleans (`-it`), flags and arguments mixed, `--` ends the flags. Targets keep their value (the
// default) when the flag is absent. Called once, before threads.
#pragma once

#include "libcommon/base/alloc.h"
#include "libcommon/base/error.h"
#include "libcommon/base/strings.h"

enum cx_flag_kind {
        CX_FLAG_BOOL,     // bool *
        CX_FLAG_STRING,   // const char ** (borrowed from argv)
        CX_FLAG_INT,      // int64_t *
        CX_FLAG_DURATION, // int64_t *, nanoseconds
        CX_FLAG_LIST,     // struct cx_strings *: repeated; not split
        CX_FLAG_CSV,      // struct cx_strings *: repeated and split at commas
};

struct cx_flag {
        const char *name;
        char shorthand; // 0 for none
        enum cx_flag_kind kind;
        void *target;
        const char *help;
        const char *bare_value; // value when given without one (`--dry-run`); NULL: a value is needed (but for bools)
        bool *changed;          // set to true when given; may be NULL
        int64_t min, max;       // for CX_FLAG_INT, when min < max
};

// Parses argv[1..]; what is not a flag goes to ret_args, in order, as copies.
// `tables` is an array of `n_tables` flag arrays, each ended by an entry without a name. After `--`, everything is an
// argument; ret_dash (may be NULL) is the number of arguments before it, or -1.
// "unknown flag: --foo", "flag needs an argument: --foo", as pflag says.
int cx_flags_parse(const struct cx_flag *const *tables, size_t n_tables, int argc, char **argv,
                   struct cx_strings *ret_args, int *ret_dash, struct cx_error *err) CX_CHECK;
// For "unknown flag: --foo", the flag that may have been meant, without its dashes; NULL: none is near, or the error is
// another.
const char *cx_flags_suggest(const struct cx_flag *const *tables, size_t n_tables, const char *error_text);
struct cx_buf;
void cx_flags_help(const struct cx_flag *table, struct cx_buf *to); // pflag's usage lines
