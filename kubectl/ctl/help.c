// SPDX-License-Identifier: Apache-2.0
// Usage texts, from the command table and the flag tables.
#include "kubectl/ctl/ctl.h"

static void list_commands(const struct command *commands, const char *group, struct cx_buf *to)
{
        int width = 15;
        for (const struct command *c = commands; c->name; c++)
                if ((int)strlen(c->name) > width)
                        width = (int)strlen(c->name);
        for (const struct command *c = commands; c->name; c++)
                if (c->group && cx_streq(c->group, group))
                        cx_buf_printf(to, "  %-*s %s\n", width, c->name, c->summary);
}

void help_root(const struct command *commands, struct cx_buf *to)
{
        cx_buf_add(to, "kubectl controls the Kubernetes cluster manager.\n");
        CX_STRINGS groups = CX_STRINGS_INIT;
        for (const struct command *c = commands; c->name; c++)
                if (c->group && !cx_strings_has(&groups, c->group))
                        cx_strings_add(&groups, c->group);
        for (size_t i = 0; i < groups.count; i++) {
                cx_buf_printf(to, "\n%s:\n", groups.items[i]);
                list_commands(commands, groups.items[i], to);
        }
        cx_buf_add(to,
                   "\nUsage:\n  kubectl [flags] [options]\n\n"
                   "Use \"kubectl <command> --help\" for more information about a given command.\n"
                   "Use \"kubectl options\" for a list of global command-line options (applies to all commands).\n");
}

void help_command(const struct ctl *ctl, const struct cx_flag *flags, struct cx_buf *to)
{
        const struct command *command = ctl->command;
        cx_buf_printf(to, "%s.\n", command->summary);
        if (command->example)
                cx_buf_printf(to, "\nExamples:\n%s", command->example);
        if (command->subcommands) {
                cx_buf_add(to, "\nAvailable Commands:\n");
                list_commands(command->subcommands, "", to);
        }
        if (flags && flags->name) {
                cx_buf_add(to, "\nOptions:\n");
                cx_flags_help(flags, to);
        }
        cx_buf_printf(to, "\nUsage:\n  kubectl %s %s%s\n\n", ctl->path,
                      command->run ? cx_str(command->usage) : "SUBCOMMAND", flags ? " [options]" : "");
        if (command->subcommands)
                cx_buf_printf(to, "Use \"kubectl %s <command> --help\" for more information about a given command.\n",
                              ctl->path);
        cx_buf_add(to,
                   "Use \"kubectl options\" for a list of global command-line options (applies to all commands).\n");
}

void help_unknown(const char *word, const char *path, const struct command *among, struct cx_buf *to)
{
        cx_buf_printf(to, "error: unknown command \"%s\" for \"kubectl%s%s\"\n", word, *path ? " " : "", path);
        bool first = true;
        for (const struct command *c = among; c->name; c++) {
                if (cx_edit_distance(word, c->name) > 2 && !cx_has_prefix(c->name, word))
                        continue;
                cx_buf_printf(to, "%s\t%s\n", first ? "\nDid you mean this?\n" : "", c->name);
                first = false;
        }
}
