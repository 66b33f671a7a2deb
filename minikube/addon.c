// SPDX-License-Identifier: Apache-2.0
// minikube addons list, enable and disable.
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "minikube/addons.h"
#include "minikube/certs.h"
#include "minikube/commands.h"
#include "minikube/out.h"
#include "minikube/registries.h"
#include "minikube/services.h"

#include <stdio.h>

#define MAINTAINER "Coxswain"

static int list_json(const struct profile *profile)
{
        size_t count;
        const struct addon *all = addons_all(&count);
        json_auto_t *list = json_object();
        for (size_t i = 0; i < count; i++)
                json_object_set_new(list, all[i].name,
                                    json_pack("{s:s, s:s}", "Profile", profile->name, "Status",
                                              addon_is_on(profile, all[i].name) ? "enabled" : "disabled"));
        CX_CLEANUP(cx_freep) char *text = cx_json_text(list);
        printf("%s\n", text);
        return 0;
}

static void print_line(size_t name, size_t profile)
{
        static const char dashes[] = "------------------------------------------------------------";
        printf("|-%.*s-|-%.*s-|--------------|------------|\n", (int)name, dashes, (int)profile, dashes);
}

// A title stands in the middle of its column.
static void print_title(const char *title, size_t width)
{
        size_t length = strlen(title), left = (width - length) / 2;
        printf("| %*s%s%*s ", (int)left, "", title, (int)(width - length - left), "");
}

static void list_table(const struct profile *profile)
{
        size_t count, width = strlen("ADDON NAME"), profile_width = strlen("PROFILE");
        const struct addon *all = addons_all(&count);
        for (size_t i = 0; i < count; i++)
                width = strlen(all[i].name) > width ? strlen(all[i].name) : width;
        profile_width = strlen(profile->name) > profile_width ? strlen(profile->name) : profile_width;
        print_line(width, profile_width);
        print_title("ADDON NAME", width);
        print_title("PROFILE", profile_width);
        printf("|    STATUS    | MAINTAINER |\n");
        print_line(width, profile_width);
        CX_CLEANUP(cx_freep) char *enabled = cx_sprintf("enabled %s  ", out_sign(stdout, "✅"));
        for (size_t i = 0; i < count; i++) {
                const char *state = addon_is_on(profile, all[i].name) ? enabled : "disabled    ";
                printf("| %-*s | %-*s | %s | %-10s |\n", (int)width, all[i].name, (int)profile_width, profile->name,
                       state, MAINTAINER);
        }
        print_line(width, profile_width);
}

static int list(const struct minikube *m, struct cx_error *err)
{
        int r = need_profile(m, err);
        if (r < 0)
                return r;
        if (cx_streq(m->output, "json"))
                return list_json(&m->profile);
        if (m->output && !cx_streq(m->output, "list") && !cx_streq(m->output, "table"))
                return cx_error_set(err, -EINVAL, "MK_USAGE: -o: \"%s\" must be list or json", m->output);
        list_table(&m->profile);
        return 0;
}

// The services first when it comes, so that they start while the manifest is brought; last when it goes.
static int change(struct minikube *m, const struct addon *addon, bool on, struct cx_error *err)
{
        CX_CLEANUP(cx_rest_freep) struct cx_rest *rest = NULL;
        const struct profile *profile = &m->profile;
        int64_t deadline = cx_time_monotonic() + m->wait_timeout;
        int r = on ? certs_make(profile, err) : 0; // the profile may be older than the addon
        if (r == 0)
                r = registries_make(profile, err);
        if (r == 0)
                r = admin_client(profile, CX_NS_PER_S, &rest, err);
        if (r == 0 && addon->service)
                r = supervisor_replace(profile, err);
        if (r < 0)
                return r;
        return on ? addon_apply(profile, rest, addon, deadline, err) : addon_remove(profile, rest, addon, err);
}

int addon_set(struct minikube *m, const char *name, bool on, struct cx_error *err)
{
        LOCK lock = LOCK_INIT;
        int r = addon_check(name, on, err);
        if (r == 0)
                r = need_profile(m, err);
        if (r == 0)
                r = take_profile(&m->profile, &lock, err);
        if (r == 0)
                r = need_running(m, err);
        if (r < 0)
                return r;
        addon_turn(&m->profile, name, on);
        r = profile_save(&m->profile, err);
        return r < 0 ? r : change(m, addon_find(name), on, err);
}

static int turn(struct minikube *m, const char *name, bool on, struct cx_error *err)
{
        int r = addon_set(m, name, on, err);
        if (r < 0)
                return r;
        if (on)
                out(stdout, "🌟  The '%s' addon is enabled\n", name);
        else
                out(stdout, "🌑  \"The '%s' addon is disabled\n", name);
        return 0;
}

int command_addons_list(struct minikube *m, struct cx_error *err)
{
        return list(m, err);
}

int command_addons_enable(struct minikube *m, struct cx_error *err)
{
        return turn(m, m->args.items[0], true, err);
}

int command_addons_disable(struct minikube *m, struct cx_error *err)
{
        return turn(m, m->args.items[0], false, err);
}
