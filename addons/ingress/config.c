// SPDX-License-Identifier: Apache-2.0
// The proxy's configuration. One frontend takes everything, finds the route of a request in maps, and does what its flags say;
// a request of a route without flags leaves the rules early.
#include "addons/ingress/config.h"

#include "addons/ingress/grammar.h"

const char *const map_names[MAP_COUNT] = {
        "hosts",
        "exact",
        "prefix",
        [MAP_SETTINGS + SETTING_BODY] = "body",
        [MAP_SETTINGS + SETTING_TIMEOUT] = "timeout",
        [MAP_SETTINGS + SETTING_RATE] = "rate",
        [MAP_SETTINGS + SETTING_MINUTE] = "minute",
        [MAP_SETTINGS + SETTING_CONNECTIONS] = "connections",
        [MAP_SETTINGS + SETTING_ALLOW] = "allow",
        [MAP_SETTINGS + SETTING_DENY] = "deny",
        [MAP_SETTINGS + SETTING_REWRITE] = "rewrite",
        [MAP_SETTINGS + SETTING_REDIRECT] = "redirect",
        [MAP_SETTINGS + SETTING_ROOT] = "root",
        [MAP_SETTINGS + SETTING_REALM] = "realm",
};

bool config_is_safe(const char *text)
{
        return *text && strlen(text) <= 4096 &&
               text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%|*:[]")] == '\0';
}

// --- maps ---

static const struct backend_slot *slot_of(const struct cx_map *by_key, const struct plan_route *route)
{
        return route->backend ? cx_map_get(by_key, route->backend->key) : NULL;
}

// "slot", or "slot|id|flags|depth".
static char *route_value(const struct backend_slot *slot, const struct plan_route *route)
{
        char id[PLAN_ID] = "";
        if (!slot)
                return cx_strdup("none");
        if (!*route->flags)
                return cx_strdup(slot->name);
        if (route->owner)
                plan_id(route->owner, id);
        return cx_sprintf("%s|%s|%s|%d", slot->name, id, route->flags, route->depth);
}

void config_maps(const struct plan *plan, const struct slots *slots, struct cx_map maps[MAP_COUNT])
{
        const struct {
                const struct cx_map *routes;
                int map;
        } routes[] = {{&plan->exact, MAP_EXACT}, {&plan->prefix, MAP_PREFIX}};
        CX_MAP by_key = CX_MAP_INIT;
        for (int i = 0; i < MAP_COUNT; i++)
                maps[i] = (struct cx_map)CX_MAP_INIT_FREE(free);
        for (size_t i = 0; i < slots->count; i++)
                if (slots->items[i]->key)
                        cx_map_set(&by_key, slots->items[i]->key, slots->items[i]);
        CX_MAP_FOREACH (&plan->hosts, host)
                cx_map_set(&maps[MAP_HOSTS], host->key, cx_strdup(host->key));
        for (size_t i = 0; i < CX_ARRAY_SIZE(routes); i++)
                CX_MAP_FOREACH (routes[i].routes, route)
                        cx_map_set(&maps[routes[i].map], route->key,
                                   route_value(slot_of(&by_key, route->value), route->value));
        for (int i = 0; i < SETTING_COUNT; i++)
                CX_MAP_FOREACH (&plan->settings[i], setting)
                        cx_map_set(&maps[MAP_SETTINGS + i], setting->key, cx_strdup(setting->value));
}

// --- the configuration ---

static void write_global(const struct config *c, struct cx_buf *to)
{
        cx_buf_printf(to,
                      "global\n"
                      "  stats socket unix@%s/control.sock mode 600 level admin expose-fd listeners\n"
                      "  stats timeout 1m\n"
                      "  setenv GENERATION %d\n"
                      "  maxconn %d\n"
                      "  hard-stop-after 5m\n"
                      "  mworker-max-reloads 20\n"
                      "  expose-experimental-directives\n"
                      "  ssl-default-bind-options ssl-min-ver TLSv1.2\n"
                      "  ssl-load-extra-files none\n"
                      "  tune.ssl.default-dh-param 2048\n",
                      c->folder, c->generation, c->max_connections);
        if (c->user)
                cx_buf_printf(to, "  user %s\n  group %s\n  chroot %s/jail\n", c->user, c->user, c->folder);
        // A request that never reached a pod, or whose pod went away before it answered, is tried with another one; but for
        // what must not happen twice.
        cx_buf_add(to, "\ndefaults base\n"
                       "  mode http\n"
                       "  balance roundrobin\n"
                       "  option redispatch 1\n"
                       "  retries 3\n"
                       "  retry-on conn-failure empty-response\n"
                       "  timeout connect 2s\n"
                       "  timeout http-request 15s\n"
                       "  timeout http-keep-alive 75s\n"
                       "  timeout client 60s\n"
                       "  timeout server 60s\n"
                       "  timeout queue 5s\n"
                       "  timeout tunnel 1h\n"
                       "\ndefaults slot from base\n"
                       "  http-request set-timeout server var(txn.timeout) if { var(txn.timeout) -m found }\n"
                       "  http-request set-timeout tunnel var(txn.timeout) if { var(txn.timeout) -m found }\n"
                       "  http-request disable-l7-retry unless { method GET HEAD OPTIONS PUT DELETE }\n");
}

static void write_binds(const struct config *c, struct cx_buf *to)
{
        static const char *const addresses[] = {"0.0.0.0", "[::]"};
        cx_buf_add(to, "\nfrontend all from base\n");
        for (int i = 0; i < (c->ipv6 ? 2 : 1); i++) {
                const char *only = i ? " v6only" : "";
                if (c->http_port)
                        cx_buf_printf(to, "  bind %s:%d%s\n", addresses[i], c->http_port, only);
                if (c->https_port)
                        cx_buf_printf(to, "  bind %s:%d%s ssl crt-list %s/certs.list alpn h2,http/1.1\n", addresses[i],
                                      c->https_port, only, c->folder);
        }
        if (c->auth)
                cx_buf_printf(to, "  filter spoe engine auth config %s/auth.cfg\n", c->folder);
}

// "{MAP name}" stands for a map's file.
static void add_rules(const struct config *c, const char *rules, struct cx_buf *to)
{
        static const char mark[] = "{MAP ";
        for (const char *at; (at = strstr(rules, mark)); rules = strchr(at, '}') + 1) {
                const char *name = at + strlen(mark);
                cx_buf_append(to, rules, (size_t)(at - rules));
                cx_buf_printf(to, "%s/maps/%.*s.map", c->folder, (int)strcspn(name, "}"), name);
        }
        cx_buf_add(to, rules);
}

// Headers that pods may believe, then the way to the route. A path is looked up as a server would understand it: decoded, without
// "." and "..", without empty elements; one that is none of these after it was decoded once is refused. It is passed on as it came.
static const char route_rules[] =
        "  http-request del-header _ -m sub\n"
        "  http-request del-header x-forwarded- -m beg\n"
        "  http-request del-header x-original- -m beg\n"
        "  http-request del-header forwarded\n"
        "  http-request del-header proxy\n"
        "  http-request set-var(txn.scheme) str(http)\n"
        "  http-request set-var(txn.scheme) str(https) if { ssl_fc }\n"
        "  http-request set-header X-Real-IP %[src]\n"
        "  http-request set-header X-Forwarded-For %[src]\n"
        "  http-request set-header X-Forwarded-Host %[req.hdr(host)]\n"
        "  http-request set-header X-Forwarded-Port %[dst_port]\n"
        "  http-request set-header X-Forwarded-Proto %[var(txn.scheme)]\n"
        "  http-request set-header X-Forwarded-Scheme %[var(txn.scheme)]\n"
        "  http-request set-header X-Scheme %[var(txn.scheme)]\n"
        "  acl odd path -m sub // /. %\n"
        "  http-request set-var(txn.path) path\n"
        "  http-request set-var(txn.given) path if odd\n"
        "  http-request normalize-uri percent-decode-unreserved strict if { var(txn.given) -m found }\n"
        "  http-request normalize-uri path-merge-slashes if { var(txn.given) -m found }\n"
        "  http-request normalize-uri path-strip-dot if { var(txn.given) -m found }\n"
        "  http-request normalize-uri path-strip-dotdot full if { var(txn.given) -m found }\n"
        "  http-request set-var(txn.clean) path if { var(txn.given) -m found }\n"
        "  http-request set-var(txn.path) path,url_dec if { var(txn.given) -m found }\n"
        "  http-request deny deny_status 400 if { var(txn.path) -m sub // /./ /../ }\n"
        "  http-request deny deny_status 400 if { var(txn.path) -m end /. /.. }\n"
        "  http-request set-path %[var(txn.given)] if { var(txn.given) -m found }\n"
        "  http-request set-var(txn.name) req.hdr(host),host_only,lower,rtrim(.)\n"
        "  http-request set-var(txn.host) var(txn.name),map_str({MAP hosts})\n"
        "  http-request set-var(txn.host) var(txn.name),regsub(^[^.]+,),map_str({MAP hosts}) unless { var(txn.host) -m "
        "found }\n"
        "  http-request set-var(txn.host) str(*) unless { var(txn.host) -m found }\n"
        "  http-request set-var(txn.key) var(txn.host),concat(,txn.path),url_enc\n"
        "  http-request set-var(txn.route) var(txn.key),map_str({MAP exact})\n"
        "  http-request set-var(txn.route) var(txn.key),concat(%2F),map_beg({MAP prefix}) unless { var(txn.route) -m "
        "found }\n"
        "  http-request set-var(txn.route) str(%2F),map_str({MAP prefix}) unless { var(txn.route) -m found }\n"
        "  http-request return status 404 content-type text/plain string \"default backend - 404\\n\" unless "
        "{ var(txn.route) -m found }\n"
        "  http-request set-var(txn.slot) var(txn.route),field(1,|)\n"
        "  http-request set-var(txn.id) var(txn.route),field(2,|) if { var(txn.route) -m sub | }\n"
        "  http-request allow unless { var(txn.id) -m found }\n";

// What the flags of a route ask for. Nobody is asked for a password before it is known where it would go.
static const char flag_rules[] =
        "  http-request set-var(txn.flags) var(txn.route),field(3,|)\n"
        "  http-request set-var(txn.client) src,hex\n"
        "  http-request set-var(txn.family) str(6)\n"
        "  http-request set-var(txn.family) str(4) if { src 0.0.0.0/0 }\n"
        "  http-request set-var(txn.source) var(txn.id),concat(|,txn.family,|),concat(,txn.client)\n"
        "  http-request deny deny_status 403 if { var(txn.flags) -m sub d } { var(txn.source),map_beg({MAP deny}) -m "
        "found }\n"
        "  http-request deny deny_status 403 if { var(txn.flags) -m sub a } !{ var(txn.source),map_beg({MAP allow}) -m "
        "found }\n"
        "  http-request redirect scheme https code 308 if { var(txn.flags) -m sub s } !{ ssl_fc }\n"
        "  http-request set-var(txn.target) var(txn.id),map_str({MAP redirect}),url_dec if { var(txn.flags) -m sub r "
        "}\n"
        "  http-request set-var(txn.code) var(txn.target),field(1,|) if { var(txn.flags) -m sub r }\n"
        "  http-request set-var(txn.target) var(txn.target),field(2,|,0) if { var(txn.flags) -m sub r }\n"
        "  http-request redirect code 301 location %[var(txn.target)] if { var(txn.code) -m str 301 }\n"
        "  http-request redirect code 302 location %[var(txn.target)] if { var(txn.code) -m str 302 }\n"
        "  http-request redirect code 303 location %[var(txn.target)] if { var(txn.code) -m str 303 }\n"
        "  http-request redirect code 307 location %[var(txn.target)] if { var(txn.code) -m str 307 }\n"
        "  http-request redirect code 308 location %[var(txn.target)] if { var(txn.code) -m str 308 }\n"
        "  http-request set-var(txn.target) var(txn.id),map_str({MAP root}),url_dec if { var(txn.flags) -m sub o } { "
        "path / }\n"
        "  http-request redirect code 302 location %[var(txn.target)] if { var(txn.flags) -m sub o } { path / }\n"
        "  http-request set-var(txn.rate) var(txn.id),map_str_int({MAP rate}) if { var(txn.flags) -m sub l }\n"
        "  http-request set-var(txn.minute) var(txn.id),map_str_int({MAP minute}) if { var(txn.flags) -m sub l }\n"
        "  http-request set-var(txn.most) var(txn.id),map_str_int({MAP connections}) if { var(txn.flags) -m sub l }\n"
        "  http-request track-sc0 var(txn.source) table limit_rate if { var(txn.rate) -m found }\n"
        "  http-request track-sc1 var(txn.source) table limit_minute if { var(txn.minute) -m found }\n"
        "  http-request track-sc2 var(txn.source) table limit_connections if { var(txn.most) -m found }\n"
        "  http-request deny deny_status 429 if { var(txn.rate) -m found } { sc0_gpc0_rate,sub(txn.rate) ge 0 }\n"
        "  http-request deny deny_status 429 if { var(txn.minute) -m found } { sc1_gpc0_rate,sub(txn.minute) ge 0 }\n"
        "  http-request deny deny_status 429 if { var(txn.most) -m found } { sc2_conn_cur,sub(txn.most) gt 0 }\n"
        "  http-request sc-inc-gpc0(0) if { var(txn.rate) -m found }\n"
        "  http-request sc-inc-gpc0(1) if { var(txn.minute) -m found }\n";

static const char auth_rules[] =
        "  http-request send-spoe-group auth check if { var(txn.flags) -m sub u }\n"
        "  http-request deny deny_status 503 if { var(txn.flags) -m sub u } !{ var(txn.auth.user) -m found }\n"
        "  http-request set-var(txn.realm) var(txn.id),map_str({MAP realm}),url_dec if { var(txn.flags) -m sub u }\n"
        "  http-request return status 401 content-type text/plain string \"401 Authorization Required\\n\" hdr "
        "WWW-Authenticate "
        "\"Basic realm=\\\"%[var(txn.realm)]\\\"\" if { var(txn.flags) -m sub u } !{ var(txn.auth.user) -m bool }\n";

static const char no_auth_rules[] = "  http-request deny deny_status 503 if { var(txn.flags) -m sub u }\n";

// A limit for bodies holds only where their size is told before them.
static const char body_rules[] =
        "  http-request set-var(txn.size) var(txn.id),map_str_int({MAP body}) if { var(txn.flags) -m sub b }\n"
        "  http-request deny deny_status 413 if { var(txn.size) -m found } { req.body_size,sub(txn.size) gt 0 }\n"
        "  acl told req.hdr(content-length) -m found\n"
        "  http-request return status 411 if { var(txn.size) -m found } { req.hdr(transfer-encoding) -m found }\n"
        "  http-request return status 411 if { var(txn.size) -m found } !told !{ method GET HEAD OPTIONS DELETE }\n"
        "  http-request return status 411 if { var(txn.size) -m found } !told { req.body_len gt 0 }\n"
        "  http-request set-var(txn.timeout) var(txn.id),map_str_int({MAP timeout}) if { var(txn.flags) -m sub t }\n"
        "  acl rewritten var(txn.flags) -m sub f w\n"
        "  http-request set-var(txn.target) var(txn.id),map_str({MAP rewrite}),url_dec if rewritten\n"
        "  http-request set-path %[var(txn.clean)] if rewritten { var(txn.clean) -m found }\n"
        "  http-request set-path %[var(txn.target)] if { var(txn.flags) -m sub f }\n"
        "  acl shortened var(txn.flags) -m sub w\n"
        "  http-request set-var(txn.depth) var(txn.route),field(4,|)\n"
        "  http-request set-var(txn.tail) path,field(2,/,0) if shortened { var(txn.depth) -m str 0 }\n"
        "  http-request set-var(txn.tail) path,field(3,/,0) if shortened { var(txn.depth) -m str 1 }\n"
        "  http-request set-var(txn.tail) path,field(4,/,0) if shortened { var(txn.depth) -m str 2 }\n"
        "  http-request set-var(txn.tail) path,field(5,/,0) if shortened { var(txn.depth) -m str 3 }\n"
        "  http-request set-var(txn.tail) path,field(6,/,0) if shortened { var(txn.depth) -m str 4 }\n"
        "  http-request set-var(txn.tail) path,field(7,/,0) if shortened { var(txn.depth) -m str 5 }\n"
        "  http-request set-var(txn.tail) path,field(8,/,0) if shortened { var(txn.depth) -m str 6 }\n"
        "  http-request set-var(txn.tail) path,field(9,/,0) if shortened { var(txn.depth) -m str 7 }\n"
        "  http-request set-var(txn.tail) path,field(10,/,0) if shortened { var(txn.depth) -m str 8 }\n"
        "  http-request set-path %[var(txn.target)]%[var(txn.tail)] if shortened\n";

static const char tables[] = "\nbackend limit_rate from base\n"
                             "  stick-table type string len 64 size 100k expire 10s store gpc0,gpc0_rate(5s)\n"
                             "\nbackend limit_minute from base\n"
                             "  stick-table type string len 64 size 100k expire 2m store gpc0,gpc0_rate(60s)\n"
                             "\nbackend limit_connections from base\n"
                             "  stick-table type string len 64 size 100k expire 10s store conn_cur\n"
                             "\nbackend none from base\n";

void config_write_server_name(const char *address, struct cx_buf *to)
{
        for (; *address; address++)
                if (*address != '[' && *address != ']')
                        cx_buf_add_char(to, *address);
}

// As for ingress-nginx, nobody is asked whether a pod's certificate is right.
void config_write_server(const struct backend_slot *slot, const char *address, struct cx_buf *to)
{
        const char *options = slot->tls && slot->http2 ? " ssl verify none alpn h2"
                              : slot->tls              ? " ssl verify none"
                              : slot->http2            ? " proto h2"
                                                       : "";
        config_write_server_name(address, to);
        cx_buf_printf(to, " %s%s", address, options);
}

static void write_slot(const struct config *c, const struct backend_slot *slot, struct cx_buf *to)
{
        cx_buf_printf(to, "\nbackend %s from slot\n", slot->name);
        for (const char *line = slot->profile; *line; line += strcspn(line, "\n") + 1)
                cx_buf_printf(to, "  %.*s\n", (int)strcspn(line, "\n"), line);
        if (strstr(slot->profile, " dynamic"))
                cx_buf_printf(to, "  dynamic-cookie-key %s\n", c->cookie_key);
        CX_MAP_FOREACH (&slot->live, server) {
                cx_buf_add(to, "  server ");
                config_write_server(slot, server->key, to);
                cx_buf_add(to, "\n");
        }
}

void config_write(const struct config *c, const struct slots *slots, struct cx_buf *to)
{
        write_global(c, to);
        write_binds(c, to);
        add_rules(c, route_rules, to);
        add_rules(c, flag_rules, to);
        add_rules(c, c->auth ? auth_rules : no_auth_rules, to);
        add_rules(c, body_rules, to);
        cx_buf_add(to, "  use_backend %[var(txn.slot)]\n  default_backend none\n");
        cx_buf_add(to, tables);
        if (c->auth)
                cx_buf_printf(to,
                              "\ndefaults agent\n  mode tcp\n  timeout connect 1s\n  timeout server 1m\n"
                              "\nbackend auth from agent\n"
                              "  server agent unix@%s%s\n",
                              c->user ? "" : c->folder, c->user ? "/auth.sock" : "/jail/auth.sock");
        for (size_t i = 0; i < slots->count; i++)
                write_slot(c, slots->items[i], to);
}

void config_write_auth(struct cx_buf *to)
{
        cx_buf_add(to, "[auth]\n"
                       "spoe-agent auth\n"
                       "  groups check\n"
                       "  option var-prefix auth\n"
                       "  timeout hello 1s\n"
                       "  timeout idle 1m\n"
                       "  timeout processing 5s\n"
                       "  use-backend auth\n"
                       "spoe-message check\n"
                       "  args id=var(txn.id) credentials=req.hdr(authorization)\n"
                       "spoe-group check\n"
                       "  messages check\n");
}
