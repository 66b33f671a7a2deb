// SPDX-License-Identifier: Apache-2.0
// The command line as a table: commands, their flags and their pages of help. Pure data over struct minikube; main.c walks it.
#pragma once

#include "minikube/commands.h"

// A flag whose value goes to a member of struct minikube.
struct minikube_flag {
        const char *name;
        char shorthand; // 0: none
        enum cx_flag_kind kind;
        size_t offset; // of the member
        const char *help;
        int64_t min, max; // of numbers, when min < max
};

// As minikube groups them in its help. Commands of no group are not shown.
enum command_group { HIDDEN, BASIC, IMAGES, CONFIGURATION, NETWORKING, ADVANCED, TROUBLESHOOTING, OTHERS };

struct minikube_command {
        const char *name;
        const char *alias; // NULL: none
        enum command_group group;
        const char *summary;     // a line
        const char *description; // what the summary does not say; NULL: nothing
        const char *examples;    // NULL: none
        const char *usage;       // its words, "NAME [NODE]"; NULL: none
        unsigned min_args, max_args;
        const struct minikube_flag *flags;                // ended by one without a name; NULL: none
        const struct minikube_command *subcommands;       // ended by one without a name; NULL: none
        int (*run)(struct minikube *, struct cx_error *); // NULL: a command of it has to follow
        bool habits;                                      // takes the flags of habits.h
        bool without_profile;                             // no profile is opened for it
        bool keeps_signals;                               // it waits for SIGINT itself, to take back what it did
        bool passes;                                      // what follows is another program's
};
extern const struct minikube_command minikube_commands[];
extern const struct minikube_flag minikube_global_flags[];

// The flags of a command and the global ones, with their targets in `m`; for cx_flags_parse. `changed` has MAX_FLAGS
// members; may be NULL.
#define MAX_FLAGS 40
void command_flags(const struct minikube_command *command, struct minikube *m, bool *changed,
                   struct cx_flag ret_flags[MAX_FLAGS]);
void minikube_defaults(struct minikube *m); // what flags are when they are not given
const struct minikube_command *command_find(const struct minikube_command *among, const char *word); // NULL: none

// help.c. `path`: "minikube node add".
void page_root(FILE *to);
void page_command(const struct minikube_command *command, const char *path, FILE *to);
void page_options(FILE *to);
void page_unknown(const struct minikube_command *among, const char *word, const char *path, FILE *to);
