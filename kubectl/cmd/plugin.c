// SPDX-License-Identifier: Apache-2.0
// kubectl plugin list.
#include "kubectl/cmd/commands.h"

#include <dirent.h>
#include <sys/stat.h>

struct found_plugins {
        bool name_only;
        struct cx_strings seen; // paths of those shown
        size_t warnings;
};

static void warn(struct found_plugins *plugins, const char *format, const char *path, const char *other)
{
        fflush(stdout);
        fprintf(stderr, "  - warning: ");
        fprintf(stderr, format, path, other);
        fputc('\n', stderr);
        plugins->warnings++;
}

static void verify(struct found_plugins *plugins, const struct command *commands, const char *path, const char *name)
{
        struct stat st;
        const char *word = name + strlen("kubectl-");
        for (const struct command *c = commands; c->name; c++)
                if (strcmp(c->name, word) == 0)
                        warn(plugins, "%s overwrites existing command: \"kubectl %s\"", name, word);
        if (stat(path, &st) == 0 && !(st.st_mode & 0111))
                warn(plugins, "%s identified as a kubectl plugin, but it is not executable%s", path, "");
        for (size_t i = 0; i < plugins->seen.count; i++) {
                const char *slash = strrchr(plugins->seen.items[i], '/');
                if (slash && strcmp(slash + 1, name) == 0) {
                        warn(plugins, "%s is overshadowed by a similarly named plugin: %s", path,
                             plugins->seen.items[i]);
                        return;
                }
        }
}

static void list_folder(struct found_plugins *plugins, const struct command *commands, const char *folder)
{
        struct dirent **entries;
        int n = scandir(folder, &entries, NULL, alphasort);
        if (n < 0)
                return;
        for (int i = 0; i < n; i++) {
                CX_CLEANUP(cx_freep) char *name = cx_strdup(entries[i]->d_name);
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, name);
                struct stat st;
                free(entries[i]);
                if (!cx_has_prefix(name, "kubectl-") || stat(path, &st) < 0 || S_ISDIR(st.st_mode))
                        continue;
                if (!plugins->seen.count)
                        OUT("The following compatible plugins are available:\n\n");
                OUT("%s\n", plugins->name_only ? name : path);
                verify(plugins, commands, path, name);
                cx_strings_add(&plugins->seen, path);
        }
        free(entries);
}

COMMAND(plugin_list)
{
        struct found_plugins plugins = {0};
        const struct cx_flag flags[] = {
                {"name-only", 0, CX_FLAG_BOOL, &plugins.name_only, "Show names instead of whole paths."}, {0}};
        CX_STRINGS args = CX_STRINGS_INIT, folders = CX_STRINGS_INIT, done = CX_STRINGS_INIT;
        const char *path = getenv("PATH");
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        cx_strings_split(&folders, path ? path : "", ':');
        for (size_t i = 0; i < folders.count; i++) {
                if (!*folders.items[i] || cx_strings_has(&done, folders.items[i]))
                        continue;
                cx_strings_add(&done, folders.items[i]);
                list_folder(&plugins, ctl->commands, folders.items[i]);
        }
        if (!plugins.seen.count)
                r = cx_error_set(err, -ENOENT, "unable to find any kubectl plugins in your PATH");
        else if (plugins.warnings == 1)
                r = cx_error_set(err, -EINVAL, "one plugin warning was found");
        else if (plugins.warnings)
                r = cx_error_set(err, -EINVAL, "%zu plugin warnings were found", plugins.warnings);
        cx_strings_release(&plugins.seen);
        return r;
}
