// SPDX-License-Identifier: Apache-2.0
// kubectl completion SHELL: a script that asks `kubectl __complete WORDS...` (kubectl/complete.c) what may follow. The
// answer is a candidate a line, a tab and its description behind it, and at the end ":N": 2 is "no blank after it", 4 is "no
// file names".
#include "kubectl/cmd/commands.h"

static const char bash[] =
        "# bash completion for kubectl: source <(kubectl completion bash)\n"
        "__kubectl_complete() {\n"
        "        local line=${COMP_LINE:0:COMP_POINT} current out directive item typed\n"
        "        local -a words\n"
        "        read -ra words <<<\"$line\"\n"
        "        [[ $line != *[[:space:]] ]] || words+=(\"\")\n"
        "        current=${words[${#words[@]}-1]}\n"
        "        out=$(\"${words[0]}\" __complete \"${words[@]:1}\" 2>/dev/null) || return\n"
        "        directive=${out##*:}\n"
        "        [[ $current != --*=* ]] || current=${current#*=}\n"
        "        # readline replaces only what follows its last break character\n"
        "        typed=${current%\"${COMP_WORDS[COMP_CWORD]}\"}\n"
        "        [[ ${COMP_WORDS[COMP_CWORD]} != '=' && ${COMP_WORDS[COMP_CWORD]} != ':' ]] || typed=$current\n"
        "        COMPREPLY=()\n"
        "        while IFS=$'\\t' read -r item _; do\n"
        "                [[ -z $item || $item == :* || $item != \"$current\"* ]] || "
        "COMPREPLY+=(\"${item#\"$typed\"}\")\n"
        "        done <<<\"$out\"\n"
        "        (((directive & 2) == 0)) || compopt -o nospace\n"
        "        (((directive & 4) != 0)) || compopt -o default\n"
        "}\n"
        "complete -F __kubectl_complete kubectl\n";

static const char zsh[] = "#compdef kubectl\n"
                          "# zsh completion for kubectl: source <(kubectl completion zsh)\n"
                          "_kubectl() {\n"
                          "        local out line directive tab=$'\\t'\n"
                          "        local -a candidates options\n"
                          "        out=$(${words[1]} __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null) || return\n"
                          "        directive=${out##*:}\n"
                          "        for line in ${(f)out}; do\n"
                          "                [[ $line == :* ]] && continue\n"
                          "                line=${line//:/\\\\:}\n"
                          "                candidates+=(\"${line/$tab/:}\")\n"
                          "        done\n"
                          "        [[ $words[CURRENT] == --*=* ]] && compset -P '*='\n"
                          "        (( directive & 2 )) && options=(-S '')\n"
                          "        _describe -V completions candidates $options && return\n"
                          "        (( directive & 4 )) || _files\n"
                          "}\n"
                          "compdef _kubectl kubectl\n";

static const char fish[] =
        "# fish completion for kubectl: kubectl completion fish | source\n"
        "function __kubectl_complete\n"
        "        set -l words (commandline -opc) (commandline -ct)\n"
        "        for line in ($words[1] __complete $words[2..-1] 2>/dev/null)\n"
        "                string match -q ':*' -- $line; or echo (string match -r -- '^--[^=]*=' $words[-1])$line\n"
        "        end\n"
        "end\n"
        "complete -c kubectl -f -a '(__kubectl_complete)'\n";

static const char powershell[] =
        "# PowerShell completion for kubectl: kubectl completion powershell | Out-String | Invoke-Expression\n"
        "Register-ArgumentCompleter -Native -CommandName kubectl -ScriptBlock {\n"
        "        param($word, $ast, $cursor)\n"
        "        $words = @($ast.CommandElements | Select-Object -Skip 1 | ForEach-Object { \"$_\" })\n"
        "        if (-not $word) { $words += '\"\"' }\n"
        "        & kubectl __complete @words 2>$null | Where-Object { $_ -notlike ':*' } | ForEach-Object {\n"
        "                $parts = $_ -split \"`t\", 2\n"
        "                $help = if ($parts.Count -gt 1) { $parts[1] } else { $parts[0] }\n"
        "                [System.Management.Automation.CompletionResult]::new($parts[0], $parts[0], 'ParameterValue', "
        "$help)\n"
        "        }\n"
        "}\n";

COMMAND(completion)
{
        static const struct {
                const char *shell, *script;
        } scripts[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}, {"powershell", powershell}};
        const struct cx_flag flags[] = {{0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        if (!args.count)
                return ctl_usage_error(ctl, err, "Shell not specified.");
        if (args.count > 1)
                return ctl_usage_error(ctl, err, "Too many arguments. Expected only the shell type.");
        for (size_t i = 0; i < CX_ARRAY_SIZE(scripts); i++)
                if (strcmp(args.items[0], scripts[i].shell) == 0) {
                        fputs(scripts[i].script, stdout);
                        return 0;
                }
        return ctl_usage_error(ctl, err, "Unsupported shell type \"%s\".", args.items[0]);
}
