// SPDX-License-Identifier: Apache-2.0
// minikube completion, version and options. The scripts ask `minikube __complete WORDS...` what may follow: a candidate a line,
// a tab and its description behind it.
#include "libcommon/base/version.h"
#include "minikube/command.h"
#include "minikube/services.h"

#include <stdio.h>

static const char bash[] =
        "# bash completion for minikube: source <(minikube completion bash)\n"
        "__minikube_complete() {\n"
        "        local item\n"
        "        COMPREPLY=()\n"
        "        while IFS=$'\\t' read -r item _; do\n"
        "                [[ $item != \"${COMP_WORDS[COMP_CWORD]}\"* ]] || COMPREPLY+=(\"$item\")\n"
        "        done < <(\"${COMP_WORDS[0]}\" __complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
        "}\n"
        "complete -o default -F __minikube_complete minikube\n";

static const char zsh[] =
        "#compdef minikube\n"
        "# zsh completion for minikube: source <(minikube completion zsh)\n"
        "_minikube() {\n"
        "        local line tab=$'\\t'\n"
        "        local -a candidates\n"
        "        for line in ${(f)\"$(${words[1]} __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)\"}; do\n"
        "                line=${line//:/\\\\:}\n"
        "                candidates+=(\"${line/$tab/:}\")\n"
        "        done\n"
        "        _describe -V completions candidates || _files\n"
        "}\n"
        "compdef _minikube minikube\n";

static const char fish[] = "# fish completion for minikube: minikube completion fish | source\n"
                           "function __minikube_complete\n"
                           "        set -l words (commandline -opc) (commandline -ct)\n"
                           "        $words[1] __complete $words[2..-1] 2>/dev/null\n"
                           "end\n"
                           "complete -c minikube -f -a '(__minikube_complete)'\n";

int command_completion(struct minikube *m, struct cx_error *err)
{
        static const struct {
                const char *name, *script;
        } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(shells); i++)
                if (strcmp(shells[i].name, m->args.items[0]) == 0)
                        return fputs(shells[i].script, stdout) < 0;
        return cx_error_set(err, -EINVAL,
                            "MK_USAGE: there is no completion for \"%s\"; there is for bash, zsh and fish",
                            m->args.items[0]);
}

static void print_candidate(const char *before, const char *name, const char *what, const char *typed)
{
        CX_CLEANUP(cx_freep) char *word = cx_sprintf("%s%s", before, name);
        if (cx_has_prefix(word, typed))
                printf("%s\t%.*s\n", word, (int)strcspn(what, "\n"), what);
}

static void complete_flags(const struct minikube_command *command, const char *typed)
{
        struct minikube values;
        struct cx_flag flags[MAX_FLAGS];
        minikube_defaults(&values);
        command_flags(command, &values, NULL, flags);
        for (const struct cx_flag *flag = flags; flag->name; flag++)
                print_candidate("--", flag->name, flag->help, typed);
}

static void complete_profiles(const char *typed)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        if (profile_list(&names, &err) == 0)
                for (size_t i = 0; i < names.count; i++)
                        print_candidate("", names.items[i], "profile", typed);
}

int command_complete(struct minikube *m, struct cx_error *err CX_UNUSED)
{
        const struct minikube_command *command = NULL, *among = minikube_commands;
        const char *typed = m->args.count ? m->args.items[m->args.count - 1] : "";
        for (size_t i = 0; i + 1 < m->args.count && among; i++) {
                const struct minikube_command *found = command_find(among, m->args.items[i]);
                if (found) {
                        command = found;
                        among = found->subcommands;
                }
        }
        const char *before = m->args.count > 1 ? m->args.items[m->args.count - 2] : "";
        if (strcmp(before, "-p") == 0 || strcmp(before, "--profile") == 0 ||
            (command && command->run == command_profile))
                complete_profiles(typed);
        if (*typed == '-')
                complete_flags(command, typed);
        for (const struct minikube_command *c = among; c && c->name; c++)
                if (among != minikube_commands || c->group != HIDDEN)
                        print_candidate("", c->name, c->summary, typed);
        return 0;
}

int command_version(struct minikube *m CX_UNUSED, struct cx_error *err CX_UNUSED)
{
        return printf("minikube version: " CX_VERSION "\n") < 0;
}

int command_options(struct minikube *m CX_UNUSED, struct cx_error *err CX_UNUSED)
{
        page_options(stdout);
        return 0;
}

int command_supervise(struct minikube *m, struct cx_error *err CX_UNUSED)
{
        return supervise(&m->profile);
}
