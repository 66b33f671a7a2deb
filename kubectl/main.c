// SPDX-License-Identifier: Apache-2.0
// kubectl: finds the command among the words, runs it, shows its error, exits.
#include "kubectl/commands.h"
#include "kubectl/complete.h"
#include "kubectl/ctl/ctl.h"
#include "kubectl/ctl/plugin.h"
#include "libcommon/base/process.h"

#include <signal.h>

// How many elements of argv the flag at argv[0] takes, as far as the global flags tell.
static int flag_length(const struct cx_flag *globals, char **argv)
{
        const char *arg = argv[0];
        bool is_long = arg[1] == '-';
        if (strchr(arg, '=') || (!is_long && arg[2]))
                return 1;
        for (const struct cx_flag *flag = globals; flag->name; flag++)
                if (is_long ? strcmp(flag->name, arg + 2) == 0 : flag->shorthand == arg[1])
                        return flag->kind == CX_FLAG_BOOL || flag->bare_value || !argv[1] ? 1 : 2;
        return 1;
}

// The index of the next word of the command; 0 when there is none.
static int next_word(const struct cx_flag *globals, int argc, char **argv, int from)
{
        for (int i = from; i < argc;) {
                if (strcmp(argv[i], "--") == 0)
                        return 0;
                if (argv[i][0] != '-' || !argv[i][1])
                        return i;
                i += flag_length(globals, &argv[i]);
        }
        return 0;
}

// Whether `list` (" a b ") has the word.
static bool word_in(const char *list, const char *word)
{
        CX_CLEANUP(cx_freep) char *wanted = cx_sprintf(" %s ", word);
        return !strchr(word, ' ') && strstr(list, wanted);
}

static const struct command *find_command(const struct command *among, const char *word)
{
        for (; among->name; among++)
                if (strcmp(among->name, word) == 0 || (among->aliases && word_in(among->aliases, word)))
                        return among;
        return NULL;
}

static void remove_word(int *argc, char **argv, int at)
{
        memmove(&argv[at], &argv[at + 1], (size_t)(*argc - at) * sizeof *argv);
        (*argc)--;
}

// A group of commands that is followed by no command of its own: all the words are blamed.
static void unknown_subcommand(const struct ctl *ctl, int argc, char **argv, int from, struct cx_buf *to)
{
        const struct cx_flag *globals = ctl_global_flags((struct ctl *)ctl);
        cx_buf_add(to, "error: unknown command \"");
        for (int i = from, n = 0; (i = next_word(globals, argc, argv, i)); i++, n++)
                cx_buf_printf(to, "%s%s", n ? " " : "", argv[i]);
        cx_buf_printf(to, "\"\nSee 'kubectl %s -h' for help and examples\n", ctl->path);
}

// kubectl alone, or a group of commands without one: what there is. A group is meant to be followed by a command, so that
// is a failure unless help was asked for.
static const struct command *show_help(struct ctl *ctl, int argc, char **argv, int *ret_status)
{
        CX_BUF text = CX_BUF_INIT;
        CX_STRINGS words = CX_STRINGS_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        const struct cx_flag *const tables[] = {ctl_global_flags(ctl)};
        bool asked = ctl->help || (ctl->command && ctl->command->helps);
        *ret_status = 0;
        if (cx_flags_parse(tables, 1, argc, argv, &words, NULL, &err) < 0) {
                fprintf(stderr, "error: %s\nSee 'kubectl%s%s --help' for usage.\n", cx_error_text(&err),
                        *ctl->path ? " " : "", ctl->path);
                *ret_status = 1;
                return NULL;
        }
        asked = asked || ctl->help;
        if (ctl->command)
                help_command(ctl, NULL, &text);
        else
                help_root(kubectl_commands, &text);
        fputs(text.data, ctl->command && !asked ? stderr : stdout);
        *ret_status = ctl->command && !asked;
        return NULL;
}

// Takes the command's words out of argv. NULL with the exit code when there is nothing to run.
static const struct command *take_command(struct ctl *ctl, int *argc, char **argv, int *ret_status)
{
        const struct cx_flag *globals = ctl_global_flags(ctl);
        const struct command *among = kubectl_commands, *command = NULL;
        bool help = false;
        int at;
        CX_BUF text = CX_BUF_INIT;
        for (int from = 1; (at = next_word(globals, *argc, argv, from)); from = at) {
                if (!command && strcmp(argv[at], "help") == 0) {
                        help = true;
                        remove_word(argc, argv, at);
                        continue;
                }
                const struct command *found = find_command(among, argv[at]);
                if (!found && command && command->run)
                        break;
                if (!found) {
                        if (!command && !help)
                                plugin_exec(*argc, argv);
                        if (command && command->helps)
                                break;
                        if (command && !help)
                                unknown_subcommand(ctl, *argc, argv, from, &text);
                        else
                                help_unknown(argv[at], ctl->path, among, &text);
                        fputs(text.data, stderr);
                        *ret_status = 1;
                        return NULL;
                }
                size_t n = strlen(ctl->path);
                snprintf(ctl->path + n, sizeof ctl->path - n, "%s%s", n ? " " : "", found->name);
                remove_word(argc, argv, at);
                command = found;
                if (!command->subcommands)
                        break;
                among = command->subcommands;
        }
        ctl->command = command;
        ctl->help = help;
        if (command && command->run)
                return command;
        return show_help(ctl, *argc, argv, ret_status);
}

void ctl_release(struct ctl *ctl)
{
        cx_kubeconfig_release(&ctl->config);
        cx_rest_free(ctl->rest);
        free(ctl->namespace);
        cx_strings_release(&ctl->as_groups);
        cx_strings_release(&ctl->warned);
}

int main(int argc, char **argv)
{
        cx_process_init();
        cx_process_unblock_signals();
        signal(SIGPIPE, SIG_DFL);
        static struct ctl ctl = {.warned_lock = PTHREAD_MUTEX_INITIALIZER};
        int status = 0;
        ctl.commands = kubectl_commands;
        if (argc > 1 && (strcmp(argv[1], "__complete") == 0 || strcmp(argv[1], "__completeNoDesc") == 0)) {
                complete(&ctl, argc - 2, argv + 2);
                ctl_release(&ctl);
                return 0;
        }
        const struct command *command = take_command(&ctl, &argc, argv, &status);
        if (!command)
                return status;
        CX_ERROR err = CX_ERROR_INIT;
        int r = command->run(&ctl, argc, argv, &err);
        if (r < 0 && err.code)
                ctl_report(&ctl, &err);
        ctl_show_errors(&ctl);
        if (fflush(stdout) != 0)
                ctl.status = ctl.status ? ctl.status : 1;
        status = ctl.status;
        ctl_release(&ctl);
        return status;
}
