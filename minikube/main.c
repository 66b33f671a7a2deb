// SPDX-License-Identifier: Apache-2.0
// minikube: a cluster on this machine, each node a network namespace. Finds the command among the words, its flags among
// the rest (configuration first, the command line over it), runs it, and shows its error.
#include "libcommon/base/buf.h"
#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "minikube/command.h"
#include "minikube/config.h"
#include "minikube/out.h"

#include <stdio.h>

#define EXIT_USAGE 14
#define MAX_DEPTH 3

// minikube's name for a kind of error, where the message does not begin with one: "MK_USAGE: …".
static bool has_name(const char *text)
{
        size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
        return length > 2 && text[length] == ':';
}

static int fail(const struct cx_error *err)
{
        static const struct {
                int code, status;
                const char *name;
        } statuses[] = {{-ENOENT, 85, "GUEST_NOT_FOUND"},
                        {-EINVAL, EXIT_USAGE, "MK_USAGE"},
                        {-EHOSTDOWN, 83, "GUEST_STATUS"},
                        {-ESRCH, 115, "SVC_NOT_FOUND"},
                        {-EADDRNOTAVAIL, 119, "SVC_UNREACHABLE"},
                        {-EPERM, 57, "DRV_NEEDS_ROOT"},
                        {-ENOPKG, 65, "PROVIDER_NOT_FOUND"},
                        {-EEXIST, 81, "GUEST_CONFLICT"},
                        {-EADDRINUSE, 71, "IF_CONFLICT"},
                        {-ENOTSUP, 106, "K8S_UNSUPPORTED"},
                        {0, 80, "GUEST_ERROR"}};
        const char *text = cx_error_text(err);
        size_t i = 0;
        while (statuses[i].code && statuses[i].code != err->code)
                i++;
        // Advice has a sign of its own.
        if (cx_has_prefix(text, "🤷"))
                out(stderr, "%s\n", text);
        else
                out(stderr, "❌  Exiting due to %s%s%s\n", has_name(text) ? "" : statuses[i].name,
                    has_name(text) ? "" : ": ", text);
        return statuses[i].status;
}

// --- finding the command ---

struct typed {
        const struct minikube_command *command; // NULL: none was named
        char path[128];                         // "minikube node add"
        const char *unknown;                    // a word that is no command
        const struct minikube_command *among;   // where it was looked for
        char **own;                             // minikube's part without the command's words; own[0] is the program
        int n_own;
        char **passed; // the other program's part
        int n_passed;
};

static const struct minikube_flag *find_flag(const struct minikube_flag *flags, const char *word)
{
        for (const struct minikube_flag *f = flags; f && f->name; f++)
                if (word[1] == '-' ? strcmp(f->name, word + 2) == 0 : word[1] && f->shorthand == word[1])
                        return f;
        return NULL;
}

// Whether the flag's value is the next word. Commands may come after their flags: all flags of all commands count.
static bool takes_next(const struct minikube_command *commands, const char *word)
{
        const struct minikube_flag *flag = find_flag(minikube_global_flags, word);
        if (strchr(word, '=') || (word[1] != '-' && word[1] && word[2]))
                return false;
        for (const struct minikube_command *c = commands; !flag && c->name; c++) {
                flag = find_flag(c->flags, word);
                if (!flag && c->subcommands && takes_next(c->subcommands, word))
                        return true;
        }
        return flag && flag->kind != CX_FLAG_BOOL;
}

// A word that is no flag goes on to name the command, as long as there is one of that name.
static bool take_word(struct typed *line, const char *word)
{
        const struct minikube_command *among = line->command ? line->command->subcommands : minikube_commands;
        const struct minikube_command *found = among ? command_find(among, word) : NULL;
        if (found) {
                line->command = found;
                size_t length = strlen(line->path);
                snprintf(line->path + length, sizeof line->path - length, " %s", found->name);
                return true;
        }
        if (among && (!line->command || !line->command->run)) {
                line->unknown = word;
                line->among = among;
        }
        return false;
}

// What of another program's words are minikube's flags: those before "--", when nothing but flags is there.
static void split_passed(struct typed *line, int argc, char **argv, int at)
{
        int dash = at;
        if (at < argc && (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0)) {
                line->own[line->n_own++] = argv[at];
                return;
        }
        while (dash < argc && strcmp(argv[dash], "--") != 0 && argv[dash][0] == '-')
                dash += takes_next(minikube_commands, argv[dash]) ? 2 : 1;
        bool ours = dash < argc && strcmp(argv[dash], "--") == 0;
        for (int i = at; ours && i < dash; i++)
                line->own[line->n_own++] = argv[i];
        line->passed = argv + (ours ? dash + 1 : at);
        line->n_passed = argc - (ours ? dash + 1 : at);
}

static void read_line(int argc, char **argv, struct typed *line)
{
        bool words = true; // the command's may follow
        *line = (struct typed){.path = "minikube", .own = cx_alloc_array((size_t)argc + 1, sizeof(char *))};
        line->own[line->n_own++] = argv[0];
        for (int i = 1; i < argc; i++) {
                const char *word = argv[i];
                if (words && word[0] != '-' && (!line->command || line->command->subcommands) &&
                    take_word(line, word)) {
                        if (line->command->passes) {
                                split_passed(line, argc, argv, i + 1);
                                return;
                        }
                        continue;
                }
                line->own[line->n_own++] = argv[i];
                words = words && word[0] == '-' && strcmp(word, "--") != 0;
                if (words && i + 1 < argc && takes_next(minikube_commands, word))
                        line->own[line->n_own++] = argv[++i];
        }
}

// --- running it ---

// `minikube help node add` is `minikube node add --help`.
static int help(const struct typed *line)
{
        struct typed asked = *line;
        CX_CLEANUP(cx_freep) char **own = NULL;
        if (line->command && strcmp(line->command->name, "help") == 0) {
                read_line(line->n_own, line->own, &asked);
                own = asked.own;
        }
        if (asked.unknown) {
                page_unknown(asked.among, asked.unknown, asked.path, stderr);
                return EXIT_USAGE;
        }
        if (asked.command)
                page_command(asked.command, asked.path, stdout);
        else
                page_root(stdout);
        return 0;
}

static int bad_line(const struct typed *line, const struct cx_flag *flags, const char *text)
{
        const char *meant = cx_flags_suggest((const struct cx_flag *const[]){flags}, 1, text);
        fprintf(stderr, "Error: %s\n", text);
        if (meant)
                fprintf(stderr, "Did you mean --%s?\n", meant);
        fprintf(stderr, "See '%s --help' for usage.\n", line->path);
        return EXIT_USAGE;
}

static int check_args(const struct typed *line, const struct minikube *m, struct cx_error *err)
{
        const struct minikube_command *command = line->command;
        if (m->args.count < command->min_args)
                return cx_error_set(err, -EINVAL, "MK_USAGE: usage: %s %s", line->path, cx_str(command->usage));
        if (m->args.count > command->max_args)
                return cx_error_set(err, -EINVAL, "MK_USAGE: %s does not take \"%s\"", line->path,
                                    m->args.items[command->max_args]);
        return 0;
}

static int run(const struct typed *line, struct minikube *m)
{
        CX_ERROR err = CX_ERROR_INIT;
        int r = check_args(line, m, &err);
        if (r == 0 && !line->command->without_profile)
                r = profile_open(m->profile_name, &m->profile, &err);
        if (!line->command->keeps_signals)
                cx_process_unblock_signals();
        if (r == 0)
                r = line->command->run(m, &err);
        return r < 0 ? fail(&err) : r;
}

static int parse(const struct typed *line, struct minikube *m)
{
        bool changed[MAX_FLAGS] = {0};
        struct cx_flag flags[MAX_FLAGS];
        CX_STRINGS none = CX_STRINGS_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        command_flags(line->command, m, changed, flags);
        const struct cx_flag *const tables[] = {flags};
        CX_CLEANUP(cx_freep) char **configured = NULL;
        int n = config_flags(flags, &m->configured, &configured, &err);
        if (n >= 0 && cx_flags_parse(tables, 1, n, configured, &none, NULL, &err) < 0) {
                fprintf(stderr, "In the configuration: ");
                return bad_line(line, flags, cx_error_text(&err));
        }
        if (n < 0)
                return fail(&err);
        memset(changed, 0, sizeof changed);
        if (cx_flags_parse(tables, 1, line->n_own, line->own, &m->args, NULL, &err) < 0)
                return bad_line(line, flags, cx_error_text(&err));
        for (size_t i = 0; flags[i].name; i++)
                m->nodes_changed |= strcmp(flags[i].name, "nodes") == 0 && changed[i];
        return 0;
}

static int dispatch(struct typed *line, struct minikube *m)
{
        bool asks = line->command && strcmp(line->command->name, "help") == 0;
        int r = asks ? 0 : parse(line, m);
        if (r != 0 && !line->unknown)
                return r;
        for (int i = 1; i < line->n_own && strcmp(line->own[i], "--") != 0; i++) // also beside what is wrong
                m->help |= strcmp(line->own[i], "--help") == 0 || strcmp(line->own[i], "-h") == 0;
        if (line->unknown && !asks) {
                page_unknown(line->among, line->unknown, line->path, stderr);
                return EXIT_USAGE;
        }
        if (m->help || asks || !line->command || !line->command->run)
                return help(line);
        for (int i = 0; i < line->n_passed; i++)
                cx_strings_add(&m->args, line->passed[i]);
        cx_log_settings.verbosity = (int)m->verbosity;
        return run(line, m);
}

// Debian's users do not have the folders of the administrator's programs in their PATH, even as root.
static void complete_path(void)
{
        static const char *const folders[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                              "/usr/bin",        "/sbin",          "/bin"};
        CX_STRINGS path = CX_STRINGS_INIT;
        cx_strings_split(&path, cx_str(getenv("PATH")), ':');
        for (size_t i = 0; i < CX_ARRAY_SIZE(folders); i++)
                if (!cx_strings_has(&path, folders[i]))
                        cx_strings_add(&path, folders[i]);
        CX_CLEANUP(cx_freep) char *text = cx_strings_join(&path, ":");
        setenv("PATH", *text == ':' ? text + 1 : text, 1);
}

int main(int argc, char **argv)
{
        struct minikube m;
        struct typed line;
        cx_process_init();
        complete_path();
        minikube_defaults(&m);
        CX_CLEANUP(cx_freep) char *active = config_profile();
        m.profile_name = active;
        read_line(argc, argv, &line);
        int status = dispatch(&line, &m);
        free(line.own);
        profile_contents_release(&m.profile);
        cx_strings_release(&m.args);
        cx_strings_release(&m.extra_config);
        cx_strings_release(&m.addons);
        cx_strings_release(&m.configured);
        return status;
}
