// SPDX-License-Identifier: Apache-2.0
// minikube profile, profile list and update-context.
#include "libcommon/base/version.h"
#include "libcommon/format/json.h"
#include "minikube/commands.h"
#include "minikube/config.h"
#include "minikube/grid.h"
#include "minikube/out.h"

#include <stdio.h>

static void add_profile(const struct profile *p, bool active, struct grid *table, json_t *valid)
{
        CX_CLEANUP(cx_freep) char *address = node_address(p, 0);
        const char *state = cluster_state(p);
        bool current = context_is_current(p);
        int nodes = node_count(p);
        const char *cells[] = {p->name,    "none", "coxswain",    address,           CX_INT(API_PORT),
                               CX_VERSION, state,  CX_INT(nodes), active ? "*" : "", current ? "*" : ""};
        for (size_t i = 0; i < CX_ARRAY_SIZE(cells); i++)
                grid_add(table, cells[i]);
        json_array_append_new(valid, json_pack("{s:s,s:s,s:i,s:b,s:b}", "Name", p->name, "Status", state, "Nodes",
                                               nodes, "Active", active, "ActiveKubeContext", current));
}

static void add_profiles(const struct cx_strings *names, struct grid *table, json_t *valid, json_t *invalid)
{
        static const char *const titles[] = {"Profile",        "VM Driver",         "Runtime", "IP",
                                             "Port",           "Version",           "Status",  "Nodes",
                                             "Active Profile", "Active Kubecontext"};
        CX_CLEANUP(cx_freep) char *active = config_profile();
        for (size_t i = 0; i < CX_ARRAY_SIZE(titles); i++)
                grid_add(table, titles[i]);
        for (size_t i = 0; i < names->count; i++) {
                PROFILE_CONTENTS p = {0};
                CX_ERROR err = CX_ERROR_INIT;
                if (profile_open(names->items[i], &p, &err) < 0 || !p.exists)
                        json_array_append_new(invalid, json_pack("{s:s}", "Name", names->items[i]));
                else
                        add_profile(&p, strcmp(p.name, active) == 0, table, valid);
        }
}

static void warn_invalid(const json_t *invalid)
{
        size_t n = json_array_size(invalid);
        if (!n)
                return;
        fflush(stdout);
        out(stderr, "❗  Found %zu invalid profile(s) !\n", n);
        for (size_t i = 0; i < n; i++)
                fprintf(stderr, "     %s\n", cx_json_string(json_array_get(invalid, i), "Name"));
        out(stderr, "💡  You can delete them using the following command(s):\n");
        for (size_t i = 0; i < n; i++)
                fprintf(stderr, "     $ minikube delete -p %s\n", cx_json_string(json_array_get(invalid, i), "Name"));
}

int command_profile_list(struct minikube *m, struct cx_error *err)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        GRID table = GRID_INIT(10);
        bool json = cx_streq(m->output, "json");
        if (m->output && !json && strcmp(m->output, "table") != 0)
                return cx_error_set(err, -EINVAL, "MK_USAGE: invalid output format: %s. Valid values: 'table', 'json'",
                                    m->output);
        int r = profile_list(&names, err);
        if (r < 0)
                return r;
        json_auto_t *valid = json_array(), *invalid = json_array();
        add_profiles(&names, &table, valid, invalid);
        if (json) {
                json_auto_t *both = json_pack("{s:O,s:O}", "invalid", invalid, "valid", valid);
                CX_CLEANUP(cx_freep) char *text = cx_json_text(both);
                printf("%s\n", text);
                return 0;
        }
        if (json_array_size(valid))
                grid_print(&table);
        warn_invalid(invalid);
        return json_array_size(valid)
                       ? 0
                       : cx_error_set(err, -EINVAL, "MK_USAGE_NO_PROFILE: No minikube profile was found.");
}

static int use_context(const struct profile *profile, struct cx_error *err)
{
        LOCK machine = LOCK_INIT;
        int r = machine_lock(&machine, err);
        if (r == 0)
                r = context_check(profile, err);
        return r < 0 ? r : context_write(profile, err);
}

static int choose_profile(const char *name, struct cx_error *err)
{
        PROFILE_CONTENTS profile = {0};
        name = strcmp(name, "default") == 0 ? "minikube" : name;
        int r = profile_open(name, &profile, err);
        if (r < 0)
                return r;
        if (!profile.exists && strcmp(name, "minikube") != 0)
                return cx_error_set(
                        err, -ENOENT,
                        "🤷  Profile \"%s\" not found. Run \"minikube profile list\" to view all profiles.\n"
                        "👉  To start a cluster, run: \"minikube start -p %s\"",
                        name, name);
        r = config_set_profile(strcmp(name, "minikube") == 0 ? NULL : name, err);
        if (r == 0 && profile.exists && strcmp(cluster_state(&profile), "Stopped") != 0)
                r = use_context(&profile, err);
        if (r == 0)
                out(stdout, "✅  minikube profile was successfully set to %s\n", name);
        if (r == 0 && getenv("MINIKUBE_PROFILE"))
                out(stderr, "❗  MINIKUBE_PROFILE=%s is set, and comes first\n", getenv("MINIKUBE_PROFILE"));
        return r;
}

int command_profile(struct minikube *m, struct cx_error *err)
{
        if (m->args.count)
                return choose_profile(m->args.items[0], err);
        printf("%s\n", m->profile.name);
        return 0;
}

int command_update_context(struct minikube *m, struct cx_error *err)
{
        int r = need_running(m, err);
        if (r == 0)
                r = use_context(&m->profile, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *address = node_address(&m->profile, 0);
        out(stdout, "🎉  \"%s\" context has been updated to point to %s:%d\n💗  Current context is \"%s\"\n",
            m->profile.name, address, API_PORT, m->profile.name);
        return 0;
}
