// SPDX-License-Identifier: Apache-2.0
// Pages of help in minikube's form, made of the table of commands.
#include "libcommon/base/buf.h"
#include "libcommon/base/time.h"
#include "minikube/command.h"
#include "minikube/habits.h"

#include <stdio.h>

static const char *const titles[] = {[BASIC] = "Basic Commands",
                                     [IMAGES] = "Images Commands",
                                     [CONFIGURATION] = "Configuration and Management Commands",
                                     [NETWORKING] = "Networking and Connectivity Commands",
                                     [ADVANCED] = "Advanced Commands",
                                     [TROUBLESHOOTING] = "Troubleshooting Commands",
                                     [OTHERS] = "Other Commands"};

void page_root(FILE *to)
{
        fprintf(to, "minikube runs Kubernetes clusters on this machine, for learning and for development.\n");
        for (size_t group = BASIC; group < CX_ARRAY_SIZE(titles); group++) {
                fprintf(to, "\n%s:\n", titles[group]);
                for (const struct minikube_command *c = minikube_commands; c->name; c++)
                        if (c->group == group)
                                fprintf(to, "  %-16s %s\n", c->name, c->summary);
        }
        fprintf(to, "\nUse \"minikube <command> --help\" for more information about a given command.\n");
}

// What the flag is when it is not given.
static void add_default(const struct minikube_flag *flag, const struct minikube *defaults, struct cx_buf *to)
{
        const char *member = (const char *)defaults + flag->offset;
        char time[CX_TIME_TEXT];
        switch (flag->kind) {
        case CX_FLAG_BOOL:
                cx_buf_add(to, *(const bool *)member ? "true" : "false");
                break;
        case CX_FLAG_INT:
                cx_buf_printf(to, "%ld", (long)*(const int64_t *)member);
                break;
        case CX_FLAG_DURATION:
                cx_duration_format(*(const int64_t *)member, time);
                cx_buf_add(to, time);
                break;
        case CX_FLAG_STRING:
                cx_buf_printf(to, "'%s'", cx_str(*(const char *const *)member));
                break;
        case CX_FLAG_LIST:
        case CX_FLAG_CSV:
                cx_buf_add(to, "[]");
                break;
        }
}

static void print_flags(const struct minikube_flag *flags, FILE *to)
{
        struct minikube defaults;
        minikube_defaults(&defaults);
        for (const struct minikube_flag *flag = flags; flag->name; flag++) {
                CX_BUF value = CX_BUF_INIT;
                add_default(flag, &defaults, &value);
                fprintf(to, "    %s--%s=%s:\n        %s\n%s",
                        flag->shorthand ? (char[]){'-', flag->shorthand, ',', ' ', 0} : "", flag->name, value.data,
                        flag->help, flag[1].name ? "\n" : "");
        }
}

static void print_habits(FILE *to)
{
        fprintf(to, "\nFlags that decide nothing here, and are taken:\n ");
        for (const struct habit *habit = habits; habit->name; habit++)
                fprintf(to, "%s--%s%s", (habit - habits) % 5 == 0 && habit > habits ? "\n  " : " ", habit->name,
                        habit[1].name ? "," : "\n");
}

void page_options(FILE *to)
{
        fprintf(to, "The following options can be passed to any command:\n\n");
        print_flags(minikube_global_flags, to);
}

void page_command(const struct minikube_command *command, const char *path, FILE *to)
{
        fprintf(to, "%s\n", command->summary);
        if (command->description)
                fprintf(to, "\n%s\n", command->description);
        if (command->examples)
                fprintf(to, "\nExamples:\n%s", command->examples);
        if (command->subcommands) {
                fprintf(to, "\nAvailable Commands:\n");
                for (const struct minikube_command *c = command->subcommands; c->name; c++)
                        fprintf(to, "  %-14s %s\n", c->name, c->summary);
        }
        if (command->flags) {
                fprintf(to, "\nOptions:\n");
                print_flags(command->flags, to);
        }
        if (command->habits)
                print_habits(to);
        fprintf(to, "\nUsage:\n  %s%s%s [flags] [options]\n\n", path, command->usage ? " " : "",
                cx_str(command->usage));
        if (command->subcommands)
                fprintf(to, "Use \"%s <command> --help\" for more information about a given command.\n", path);
        fprintf(to, "Use \"minikube options\" for a list of global command-line options (applies to all commands).\n");
}

void page_unknown(const struct minikube_command *among, const char *word, const char *path, FILE *to)
{
        bool first = true;
        fprintf(to, "Error: unknown command \"%s\" for \"%s\"\n", word, path);
        for (const struct minikube_command *c = among; c->name; c++) {
                if (c->name[0] == '_' || (among == minikube_commands && c->group == HIDDEN) ||
                    (cx_edit_distance(word, c->name) > 2 && !(*word && cx_has_prefix(c->name, word))))
                        continue;
                fprintf(to, "%s\t%s\n", first ? "\nDid you mean this?\n" : "", c->name);
                first = false;
        }
        fprintf(to, "%sRun '%s --help' for usage.\n", first ? "" : "\n", path);
}
