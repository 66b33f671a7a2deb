// SPDX-License-Identifier: Apache-2.0
// Command-line flags as tables, parsed as pflag parses them: `--name value`, `--name=value`, `-n value`, `-nvalue`,
// grouped short booleans (`-it`), flags and arguments mixed, `--` ends the flags. Targets keep their value (the
// default) when the flag is absent. Called once, before threads.
#pragma once

#include "base/alloc.h"
#include "base/error.h"

enum cx_flag_kind {
        CX_FLAG_BOOL,     // bool *
        CX_FLAG_STRING,   // const char ** (borrowed from argv)
        CX_FLAG_INT,      // int64_t *
        CX_FLAG_DURATION, // int64_t *, nanoseconds
        CX_FLAG_LIST,     // struct cx_strings *: repeated; not split
        CX_FLAG_CSV,      // struct cx_strings *: repeated and split at commas
};

struct cx_strings {
        char **items; // owned
        size_t count;
};
#define CX_STRINGS_INIT                                                                                                \
        {                                                                                                              \
                0                                                                                                      \
        }
#define CX_STRINGS CX_CLEANUP(cx_strings_release) struct cx_strings
void cx_strings_add(struct cx_strings *list, const char *text);
void cx_strings_add_length(struct cx_strings *list, const char *text, size_t length);
void cx_strings_split(struct cx_strings *list, const char *text, char separator); // empty parts are kept
bool cx_strings_has(const struct cx_strings *list, const char *text);
void cx_strings_sort(struct cx_strings *list);
char *cx_strings_join(const struct cx_strings *list, const char *separator); // owned by the caller
void cx_strings_release(struct cx_strings *list);

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

// Parses argv[1..]; what is not a flag goes to ret_args (borrowed pointers into argv, in order, added as copies).
// `tables` is an array of `n_tables` flag arrays, each ended by an entry without a name. After `--`, everything is an
// argument; ret_dash (may be NULL) is the number of arguments before it, or -1.
// "unknown flag: --foo", "flag needs an argument: --foo", as pflag says.
int cx_flags_parse(const struct cx_flag *const *tables, size_t n_tables, int argc, char **argv,
                   struct cx_strings *ret_args, int *ret_dash, struct cx_error *err) CX_CHECK;
struct cx_buf;
void cx_flags_help(const struct cx_flag *table, struct cx_buf *to); // pflag's usage lines
