// SPDX-License-Identifier: Apache-2.0
// Candidates come from the command table, from the flag tables that commands parse (ctl->on_parse), and from the server:
// types from discovery, names by listing. What cannot be had is not offered; nothing is ever said about it.
#include "kubectl/complete.h"

#include "kubectl/cmd/commands.h"
#include "kubectl/commands.h"

enum {
        NO_BLANK = 2,
        NO_FILES = 4,
};

// What the words of a command are.
static const struct {
        const char *path,
                *what; // "@types": a type, then names of it; "@kubeconfig LIST"; "=words"; else names of that type
} arguments[] = {
        {"get", "@types"},
        {"describe", "@types"},
        {"delete", "@types"},
        {"edit", "@types"},
        {"label", "@types"},
        {"annotate", "@types"},
        {"patch", "@types"},
        {"wait", "@types"},
        {"explain", "@types"},
        {"apply view-last-applied", "@types"},
        {"logs", "pods"},
        {"exec", "pods"},
        {"attach", "pods"},
        {"port-forward", "pods"},
        {"cp", "pods"},
        {"debug", "pods"},
        {"why", "pods"},
        {"cordon", "nodes"},
        {"uncordon", "nodes"},
        {"drain", "nodes"},
        {"taint", "=node nodes"},
        {"scale", "=deployment replicaset replicationcontroller statefulset"},
        {"autoscale", "=deployment replicaset replicationcontroller statefulset"},
        {"expose", "=deployment pod replicaset replicationcontroller service"},
        {"rollout history", "=deployment daemonset statefulset"},
        {"rollout pause", "=deployment"},
        {"rollout restart", "=deployment daemonset statefulset"},
        {"rollout resume", "=deployment"},
        {"rollout status", "=deployment daemonset statefulset"},
        {"rollout undo", "=deployment daemonset statefulset"},
        {"certificate approve", "certificatesigningrequests"},
        {"certificate deny", "certificatesigningrequests"},
        {"create token", "serviceaccounts"},
        {"config use-context", "@kubeconfig contexts"},
        {"config set-context", "@kubeconfig contexts"},
        {"config get-contexts", "@kubeconfig contexts"},
        {"config delete-context", "@kubeconfig contexts"},
        {"config rename-context", "@kubeconfig contexts"},
        {"config set-cluster", "@kubeconfig clusters"},
        {"config delete-cluster", "@kubeconfig clusters"},
        {"config delete-user", "@kubeconfig users"},
        {"completion", "=bash zsh fish powershell"},
};

// What the values of flags are.
static const struct {
        const char *flag, *what;
} values[] = {
        {"namespace", "namespaces"},
        {"context", "@kubeconfig contexts"},
        {"cluster", "@kubeconfig clusters"},
        {"user", "@kubeconfig users"},
        {"dry-run", "=client none server"},
        {"validate", "=ignore strict warn"},
        {"cascade", "=background foreground orphan"},
        {"output", "=json yaml kyaml name go-template go-template-file template templatefile jsonpath jsonpath-as-json "
                   "jsonpath-file custom-columns custom-columns-file wide"},
};

struct candidates {
        struct ctl *ctl;
        const char *current; // what is typed of the word
        const struct cx_flag *flags;
        int directive;
};

static void offer(const struct candidates *c, const char *text, const char *help)
{
        if (cx_has_prefix(text, c->current))
                OUT("%s%s%s\n", text, help && *help ? "\t" : "", cx_str(help));
}

static void offer_names(struct candidates *c, const char *type, const char *before)
{
        const struct mapping *mapping;
        CX_ERROR ignored = CX_ERROR_INIT;
        if (ctl_connect(c->ctl, &ignored) < 0 || mapping_find(c->ctl, type, &mapping, &ignored) < 0) {
                cx_error_release(&ignored);
                return;
        }
        struct info all = {.mapping = mapping, .namespace = mapping->namespaced ? c->ctl->namespace : NULL};
        CX_BUF path = CX_BUF_INIT;
        info_path(&all, NULL, &path);
        json_auto_t *items = list_objects(c->ctl, path.data, &ignored);
        cx_error_release(&ignored);
        size_t i;
        json_t *item;
        json_array_foreach (items, i, item) {
                CX_CLEANUP(cx_freep)
                char *text = cx_sprintf("%s%s", before, cx_json_string_or(item, "metadata.name", ""));
                offer(c, text, NULL);
        }
}

static void offer_types(struct candidates *c)
{
        CX_ERROR ignored = CX_ERROR_INIT;
        CX_STRINGS seen = CX_STRINGS_INIT;
        if (discovery_load(c->ctl, false, &ignored) < 0) {
                cx_error_release(&ignored);
                return;
        }
        const struct discovery *d = c->ctl->discovery;
        for (size_t i = 0; i < d->n_all; i++) {
                const struct mapping *m = d->all[i];
                CX_CLEANUP(cx_freep) char *text = cx_sprintf("%s%s%s", m->resource, *m->group ? "." : "", m->group);
                if (!cx_strings_has(&seen, text))
                        cx_strings_add(&seen, text);
        }
        cx_strings_sort(&seen);
        for (size_t i = 0; i < seen.count; i++)
                offer(c, seen.items[i], NULL);
}

static void offer_kubeconfig(struct candidates *c, const char *list)
{
        CX_ERROR ignored = CX_ERROR_INIT;
        size_t i;
        json_t *entry;
        if (ctl_config(c->ctl, &ignored) == 0)
                json_array_foreach (json_object_get(c->ctl->config.merged, list), i, entry)
                        offer(c, cx_json_string_or(entry, "name", ""), NULL);
        cx_error_release(&ignored);
}

// The words of `what`; with `first` the one before them on the command line (NULL: none).
static void offer_kind(struct candidates *c, const char *what, const char *first)
{
        static const char kubeconfig[] = "@kubeconfig ";
        const char *slash = strchr(c->current, '/');
        c->directive = NO_FILES;
        if (cx_has_prefix(what, kubeconfig)) {
                offer_kubeconfig(c, what + strlen(kubeconfig));
                return;
        }
        if (slash && *what != '=') { // TYPE/NAME
                CX_CLEANUP(cx_freep) char *type = cx_strndup(c->current, (size_t)(slash - c->current));
                CX_CLEANUP(cx_freep) char *before = cx_sprintf("%s/", type);
                offer_names(c, type, before);
                return;
        }
        if (*what != '@' && *what != '=') {
                offer_names(c, what, "");
                return;
        }
        if (first && !strchr(first, '/')) {
                offer_names(c, first, "");
        } else if (*what == '@') {
                offer_types(c);
        } else {
                CX_STRINGS words = CX_STRINGS_INIT;
                cx_strings_split(&words, what + 1, ' ');
                for (size_t i = 0; i < words.count; i++)
                        offer(c, words.items[i], NULL);
        }
}

static void offer_value(struct candidates *c, const char *flag)
{
        c->directive = NO_FILES;
        for (size_t i = 0; i < CX_ARRAY_SIZE(values); i++)
                if (strcmp(values[i].flag, flag) == 0) {
                        offer_kind(c, values[i].what, NULL);
                        return;
                }
        c->directive = 0;
}

static void offer_commands(struct candidates *c, const struct command *commands)
{
        c->directive = NO_FILES;
        for (const struct command *command = commands; command->name; command++)
                if (command->group)
                        offer(c, command->name, command->summary);
}

static void offer_flags(struct candidates *c)
{
        const struct cx_flag *const tables[] = {c->flags, ctl_global_flags(c->ctl)};
        c->directive = NO_FILES;
        for (size_t i = 0; i < CX_ARRAY_SIZE(tables); i++)
                for (const struct cx_flag *flag = tables[i]; flag && flag->name; flag++) {
                        CX_CLEANUP(cx_freep)
                        char *text = cx_sprintf("--%s%s", flag->name,
                                                flag->kind == CX_FLAG_BOOL || flag->bare_value ? "" : "=");
                        if (text[strlen(text) - 1] == '=' && cx_has_prefix(text, c->current))
                                c->directive |= NO_BLANK;
                        offer(c, text, flag->help);
                }
}

// The flag that the word is, when it wants a value from the next one; NULL else.
static const struct cx_flag *wants_value(const struct candidates *c, const char *word)
{
        const struct cx_flag *const tables[] = {c->flags, ctl_global_flags(c->ctl)};
        if (word[0] != '-' || !word[1] || strchr(word, '='))
                return NULL;
        for (size_t i = 0; i < CX_ARRAY_SIZE(tables); i++)
                for (const struct cx_flag *flag = tables[i]; flag && flag->name; flag++) {
                        bool is = word[1] == '-' ? strcmp(word + 2, flag->name) == 0
                                                 : flag->shorthand == word[1] && !word[2];
                        if (is)
                                return flag->kind == CX_FLAG_BOOL || flag->bare_value ? NULL : flag;
                }
        return NULL;
}

// Called by ctl_parse with the flags of the command; its words are those that are complete.
static void on_parse(struct ctl *ctl, const struct cx_flag *flags, int argc, char **argv)
{
        struct candidates *c = ctl->on_parse_context;
        CX_STRINGS args = CX_STRINGS_INIT;
        CX_ERROR ignored = CX_ERROR_INIT;
        const struct cx_flag *last;
        const struct cx_flag *tables[] = {flags, ctl_global_flags(ctl)};
        c->flags = flags;
        last = argc > 1 ? wants_value(c, argv[argc - 1]) : NULL;
        (void)!cx_flags_parse(tables, 2, last ? argc - 1 : argc, argv, &args, NULL, &ignored);
        cx_error_release(&ignored);
        const char *equals = cx_has_prefix(c->current, "--") ? strchr(c->current, '=') : NULL;
        if (last) {
                offer_value(c, last->name);
        } else if (equals) {
                CX_CLEANUP(cx_freep) char *name = cx_strndup(c->current + 2, (size_t)(equals - c->current - 2));
                c->current = equals + 1;
                offer_value(c, name);
        } else if (*c->current == '-') {
                offer_flags(c);
        } else if (ctl->command && ctl->command->subcommands && !args.count) {
                offer_commands(c, ctl->command->subcommands);
        } else {
                c->directive = NO_FILES;
                for (size_t i = 0; i < CX_ARRAY_SIZE(arguments); i++)
                        if (strcmp(arguments[i].path, ctl->path) == 0)
                                offer_kind(c, arguments[i].what, args.count ? args.items[0] : NULL);
        }
}

void complete(struct ctl *ctl, int argc, char **argv)
{
        static const struct cx_flag none[] = {{0}};
        const struct command *among = kubectl_commands;
        struct candidates c = {.ctl = ctl, .current = argc ? argv[argc - 1] : "", .directive = NO_FILES};
        CX_CLEANUP(cx_freep) char **words = cx_alloc_array((size_t)argc + 1, sizeof *words);
        int n = 1;
        words[0] = (char *)"kubectl";
        for (int i = 0; i + 1 < argc; i++) {
                const struct command *found = NULL;
                for (const struct command *command = among; command && command->name && !found; command++)
                        if (strcmp(command->name, argv[i]) == 0)
                                found = command;
                bool taken = i && wants_value(&c, argv[i - 1]);
                if (!found || taken) {
                        words[n++] = argv[i];
                        continue;
                }
                size_t length = strlen(ctl->path);
                snprintf(ctl->path + length, sizeof ctl->path - length, "%s%s", length ? " " : "", found->name);
                ctl->command = found;
                among = found->subcommands;
        }
        ctl->on_parse = on_parse;
        ctl->on_parse_context = &c;
        CX_ERROR ignored = CX_ERROR_INIT;
        if (ctl->command && ctl->command->run)
                (void)!ctl->command->run(ctl, n, words, &ignored);
        else if (ctl->command || *c.current == '-' || (n > 1 && wants_value(&c, words[n - 1])))
                on_parse(ctl, none, n, words);
        else
                offer_commands(&c, kubectl_commands);
        cx_error_release(&ignored);
        OUT(":%d\n", c.directive);
        fflush(stdout);
        fprintf(stderr, "Completion ended with directive: %s%s%s\n",
                c.directive & NO_BLANK ? "ShellCompDirectiveNoSpace" : "",
                c.directive == (NO_BLANK | NO_FILES) ? ", " : "",
                c.directive & NO_FILES ? "ShellCompDirectiveNoFileComp"
                : c.directive          ? ""
                                       : "ShellCompDirectiveDefault");
}
