// SPDX-License-Identifier: Apache-2.0
// Annotations as the proxy has them: entries of its maps, flags of routes, lines of a backend's own.
#include "addons/ingress/grammar.h"
#include "addons/ingress/plan_internal.h"

#define MAX_DEPTH 8 // of config.c

static void enter(struct plan_builder *b, char flag, enum setting_kind kind, const char *key, const char *value)
{
        if (flag && !strchr(b->flags, flag))
                b->flags[strlen(b->flags)] = flag;
        cx_map_set(&b->plan->settings[kind], key, cx_strdup(value));
}

static void enter_number(struct plan_builder *b, char flag, enum setting_kind kind, int64_t number)
{
        if (number)
                enter(b, flag, kind, b->id, CX_INT(number));
}

static void enter_text(struct plan_builder *b, char flag, enum setting_kind kind, const char *text)
{
        CX_BUF value = CX_BUF_INIT;
        if (!text)
                return;
        grammar_encode(text, &value);
        enter(b, flag, kind, b->id, value.data);
}

// A network as the hexadecimal digits that its addresses begin with: up to eight beginnings when it ends within a digit.
static void enter_network(struct plan_builder *b, char flag, enum setting_kind kind, const struct cx_network *network)
{
        CX_BUF key = CX_BUF_INIT;
        cx_buf_printf(&key, "%s|%c|", b->id, network->base.family == CX_IPV4 ? '4' : '6');
        int rest = network->prefix % 4;
        for (int i = 0; i < network->prefix / 4; i++)
                cx_buf_printf(&key, "%X", i % 2 ? network->base.bytes[i / 2] & 15 : network->base.bytes[i / 2] >> 4);
        if (!rest) {
                enter(b, flag, kind, key.data, "1");
                return;
        }
        int at = network->prefix / 4, byte = network->base.bytes[at / 2], first = at % 2 ? byte & 15 : byte >> 4;
        for (int i = 0; i < 1 << (4 - rest); i++) {
                CX_CLEANUP(cx_freep) char *beginning = cx_sprintf("%s%X", key.data, first + i);
                enter(b, flag, kind, beginning, "1");
        }
}

static void enter_networks(struct plan_builder *b, char flag, enum setting_kind kind, const struct network_list *list)
{
        for (size_t i = 0; i < list->count; i++)
                enter_network(b, flag, kind, &list->items[i]);
}

// Where the target of a rewrite has what a path's pattern caught: "$1" or "$2" at its end. 0: nowhere; -1: not understood.
static int caught_in(const char *target)
{
        const char *dollar = strchr(target, '$');
        if (!dollar)
                return 0;
        return (dollar[1] == '1' || dollar[1] == '2') && !dollar[2] ? dollar[1] - '0' : -1;
}

static void enter_rewrite(struct plan_builder *b, const char *target)
{
        if (!target)
                return;
        int caught = caught_in(target);
        CX_CLEANUP(cx_freep) char *fixed = cx_strndup(target, strcspn(target, "$"));
        if (caught < 0) {
                b->settings->refused = true;
                plan_complain(b, "Refused",
                              "annotation " ANNOTATION_PREFIX
                              "rewrite-target: $1 or $2 may be at its end and nowhere else; "
                              "until then all its paths answer 503");
        }
        enter_text(b, caught ? FLAG_REWRITE : FLAG_REPLACE, SETTING_REWRITE, fixed);
}

static void enter_users(struct plan_builder *b)
{
        const struct settings *s = b->settings;
        if (!s->auth_secret)
                return;
        const struct secret_view *secret = cx_map_get(b->input->secrets, s->auth_secret);
        const char *wrong = !secret ? "does not exist" : s->auth_map ? NULL : secret->users_problem;
        if (wrong)
                plan_complain(b, "AuthSecret", "the Secret %s of the users %s; until then nobody gets in",
                              s->auth_secret, wrong);
        cx_map_set(&b->plan->users, b->id, cx_sprintf("%s%s", s->auth_secret, s->auth_map ? " map" : ""));
        enter_text(b, FLAG_AUTH, SETTING_REALM, s->auth_realm ? s->auth_realm : "Authentication Required");
}

static char *profile_of(const struct settings *s)
{
        CX_BUF text = CX_BUF_INIT;
        if (s->sticky) {
                cx_buf_printf(&text, "cookie %s insert indirect nocache httponly%s dynamic",
                              s->cookie_name ? s->cookie_name : "INGRESSCOOKIE", s->cookie_secure ? " secure" : "");
                if (s->cookie_max_age)
                        cx_buf_printf(&text, " attr \"Max-Age=%lld\"", (long long)s->cookie_max_age);
                if (s->same_site)
                        cx_buf_printf(&text, " attr \"SameSite=%s\"", s->same_site);
                cx_buf_add(&text, "\n");
        }
        if (s->connect_timeout)
                cx_buf_printf(&text, "timeout connect %llds\n", (long long)s->connect_timeout);
        return text.length ? cx_buf_detach(&text) : NULL;
}

// --- paths ---

#define PATTERN_CHARACTERS "()[]{}|*+?^$\\"

static int elements(const char *path)
{
        int n = 0;
        for (; *path; path++)
                n += path[0] == '/' && path[1] && path[1] != '/';
        return n;
}

// Of patterns, those that take a beginning away: "/app(/|$)(.*)" and "/app/(.*)". Others would need an engine that a hostile
// pattern can keep busy.
bool plan_match_path(const struct settings *s, const struct ingress_path *path, struct path_match *ret_match)
{
        static const struct {
                const char *end;
                int caught;
        } patterns[] = {{"(/|$)(.*)", 2}, {"/(.*)", 1}};
        int caught = s->rewrite_target ? caught_in(s->rewrite_target) : 0;
        bool pattern = path->type == PATH_ANY && (s->use_regex || caught), found = false;
        size_t length = strlen(path->path);
        for (size_t i = 0; pattern && !found && i < CX_ARRAY_SIZE(patterns); i++) {
                found = cx_has_suffix(path->path, patterns[i].end) && (!caught || caught == patterns[i].caught);
                length -= found ? strlen(patterns[i].end) : 0;
        }
        ret_match->prefix = cx_strndup(path->path, length);
        ret_match->depth = elements(ret_match->prefix);
        ret_match->catches = found;
        size_t plain = pattern ? strcspn(ret_match->prefix, PATTERN_CHARACTERS) : length;
        if (plain == length)
                return ret_match->depth <= MAX_DEPTH;
        // What stands before the pattern, by whole elements.
        ret_match->prefix[plain] = '\0';
        strrchr(ret_match->prefix, '/')[1] = '\0';
        return false;
}

// A path that is not understood might have been to protect what others of the Ingress lead to.
static void check_paths(struct plan_builder *b)
{
        const struct ingress *ingress = INGRESS(b->ingress->object);
        for (size_t i = 0; i < ingress->n_rules; i++)
                for (size_t j = 0; j < ingress->rules[i].n_paths; j++) {
                        const struct ingress_path *path = &ingress->rules[i].paths[j];
                        struct path_match match = {0};
                        if (path->path && !plan_match_path(b->settings, path, &match)) {
                                b->settings->refused = true;
                                plan_complain(b, "Refused",
                                              "path %s: of patterns, only \"/some/path(/|$)(.*)\" with $2 and "
                                              "\"/some/path/(.*)\" with $1 in the rewrite-target are supported; until "
                                              "then all "
                                              "its paths answer 503",
                                              path->path);
                        }
                        free(match.prefix);
                }
}

void plan_enter_settings(struct plan_builder *b)
{
        const struct settings *s = b->settings;
        enter_number(b, FLAG_BODY, SETTING_BODY, s->body_size);
        enter_number(b, FLAG_TIMEOUT, SETTING_TIMEOUT, s->server_timeout);
        enter_number(b, FLAG_LIMIT, SETTING_RATE, s->rps * 5);
        enter_number(b, FLAG_LIMIT, SETTING_MINUTE, s->rpm);
        enter_number(b, FLAG_LIMIT, SETTING_CONNECTIONS, s->connections);
        enter_networks(b, FLAG_ALLOW, SETTING_ALLOW, &s->allow);
        enter_networks(b, FLAG_DENY, SETTING_DENY, &s->deny);
        enter_rewrite(b, s->rewrite_target);
        enter_text(b, FLAG_ROOT, SETTING_ROOT, s->app_root);
        if (s->redirect) {
                CX_CLEANUP(cx_freep) char *value = cx_sprintf("%d|%s", s->redirect_code, s->redirect);
                enter_text(b, FLAG_REDIRECT, SETTING_REDIRECT, value);
        }
        enter_users(b);
        check_paths(b);
        free(b->profile);
        b->profile = profile_of(s);
}
