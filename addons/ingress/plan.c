// SPDX-License-Identifier: Apache-2.0
// Which Ingresses are ours, in the order of their age; then hosts, paths and certificates: whoever came first has them.
#include "addons/ingress/plan.h"

#include "addons/ingress/grammar.h"
#include "addons/ingress/plan_internal.h"
#include "libcommon/net/pki.h"

#define MAX_PROBLEMS 32 // of an Ingress

void plan_complain(struct plan_builder *b, const char *reason, const char *format, ...)
{
        struct plan_ingress *ingress = b->ingress;
        CX_BUF text = CX_BUF_INIT_MAX(4096);
        va_list args;
        va_start(args, format);
        cx_buf_vprintf(&text, format, args);
        va_end(args);
        if (!ingress || ingress->n_problems == MAX_PROBLEMS)
                return;
        for (size_t i = 0; i < ingress->n_problems; i++)
                if (strcmp(ingress->problems[i].message, text.data) == 0)
                        return;
        ingress->problems = cx_realloc_array(ingress->problems, ingress->n_problems + 1, sizeof *ingress->problems);
        ingress->problems[ingress->n_problems++] = (struct plan_problem){reason, cx_buf_detach(&text)};
}

static void on_annotation(void *context, const char *reason, const char *message)
{
        plan_complain(context, reason, "%s", message);
}

void plan_id(const struct cx_object *ingress, char to[PLAN_ID])
{
        char digest[65];
        cx_sha256_hex(ingress->key, strlen(ingress->key), digest);
        memcpy(to, digest, PLAN_ID - 1);
        to[PLAN_ID - 1] = '\0';
}

// --- whose it is ---

static const struct cx_object *find_class(const struct cx_objects *classes, const char *name)
{
        for (size_t i = 0; i < classes->count; i++)
                if (strcmp(classes->items[i]->name, name) == 0)
                        return classes->items[i];
        return NULL;
}

// The newest default class is the default, as for the API server.
static const struct cx_object *default_class(const struct cx_objects *classes)
{
        const struct cx_object *found = NULL;
        for (size_t i = 0; i < classes->count; i++) {
                const struct cx_object *class = classes->items[i];
                if (INGRESS_CLASS(class)->is_default &&
                    (!found || class->created > found->created ||
                     (class->created == found->created && strcmp(class->name, found->name) < 0)))
                        found = class;
        }
        return found;
}

bool ingress_is_ours(const struct plan_config *config, const struct cx_objects *classes, const struct cx_object *object)
{
        const struct ingress *ingress = INGRESS(object);
        const char *name = ingress->class ? ingress->class : ingress->legacy_class;
        const struct cx_object *class = name ? find_class(classes, name) : default_class(classes);
        return !object->deleted && class && strcmp(INGRESS_CLASS(class)->controller, config->controller_class) == 0;
}

static int by_age(const void *a, const void *b)
{
        const struct cx_object *x = *(const struct cx_object *const *)a, *y = *(const struct cx_object *const *)b;
        if (x->created != y->created)
                return x->created < y->created ? -1 : 1;
        return strcmp(x->key, y->key);
}

static void collect(struct plan_builder *b)
{
        struct plan *plan = b->plan;
        for (size_t i = 0; i < b->input->ingresses->count; i++)
                if (ingress_is_ours(b->config, b->input->classes, b->input->ingresses->items[i]))
                        cx_objects_add(&plan->objects, b->input->ingresses->items[i]);
        if (plan->objects.count)
                qsort(plan->objects.items, plan->objects.count, sizeof *plan->objects.items, by_age);
        plan->n_ingresses = plan->objects.count;
        plan->ingresses = cx_alloc_array(plan->n_ingresses + 1, sizeof *plan->ingresses);
        for (size_t i = 0; i < plan->n_ingresses; i++)
                plan->ingresses[i].object = plan->objects.items[i];
}

// --- certificates ---

static bool covers(const char *name, const char *host)
{
        const char *dot = strchr(host, '.');
        return strcmp(name, host) == 0 || (cx_has_prefix(name, "*.") && dot && strcmp(name + 1, dot) == 0);
}

static void check_certificate(struct plan_builder *b, const char *secret, const struct secret_view *view,
                              const char *host)
{
        for (size_t i = 0; i < view->names.count; i++)
                if (covers(view->names.items[i], host))
                        return;
        plan_complain(b, "CertificateMismatch",
                      "the certificate of the Secret %s is not for the host %s: clients will refuse it", secret, host);
}

static void take_certificate(struct plan_builder *b, const char *secret, const char *host)
{
        const struct secret_view *view = secret ? cx_map_get(b->input->secrets, secret) : NULL;
        const char *wrong = !secret ? NULL : !view ? "does not exist" : view->certificate_problem;
        const char *taken = cx_map_get(&b->plan->certificates, host);
        if (taken && *taken && secret && strcmp(taken, secret) != 0)
                plan_complain(b, "Conflict",
                              "the host %s has its certificate from the Secret %s of an older Ingress already", host,
                              taken);
        if (taken)
                return;
        if (wrong)
                plan_complain(b, "CertificateProblem", "the Secret %s %s: the host %s gets the default certificate",
                              secret, wrong, host);
        cx_map_set(&b->plan->certificates, host, cx_strdup(secret && !wrong ? secret : ""));
        if (secret && !wrong)
                check_certificate(b, secret, view, host);
}

static void take_tls(struct plan_builder *b, const struct ingress_tls *tls)
{
        const struct cx_object *object = b->ingress->object;
        CX_CLEANUP(cx_freep) char *secret = tls->secret ? cx_sprintf("%s/%s", object->namespace, tls->secret) : NULL;
        for (size_t i = 0; i < tls->hosts.count; i++)
                take_certificate(b, secret, tls->hosts.items[i]);
        for (size_t i = 0; !tls->hosts.count && i < INGRESS(object)->n_rules; i++) {
                const char *host = INGRESS(object)->rules[i].host;
                if (host && strcmp(host, "*") != 0)
                        take_certificate(b, secret, host);
        }
}

static bool has_tls(const struct plan *plan, const char *host)
{
        const char *dot = strchr(host, '.');
        CX_CLEANUP(cx_freep) char *wild = cx_sprintf("*%s", dot ? dot : "");
        return cx_map_has(&plan->certificates, host) || (dot && cx_map_has(&plan->certificates, wild));
}

// --- routes ---

// "*.example.com" is looked up as ".example.com".
static const char *host_key(const char *host)
{
        return cx_has_prefix(host, "*.") ? host + 1 : host;
}

// "host/a/b", or "host/a/b/" of a prefix; encoded. Blank elements at the end of a prefix count for nothing.
static char *route_key(const char *host, const char *path, bool exact)
{
        CX_BUF key = CX_BUF_INIT;
        size_t length = strlen(path);
        while (!exact && length && path[length - 1] == '/')
                length--;
        CX_CLEANUP(cx_freep) char *trimmed = cx_strndup(path, length);
        grammar_encode(host_key(host), &key);
        grammar_encode_path(trimmed, &key);
        if (!exact)
                cx_buf_add(&key, "%2F");
        return cx_buf_detach(&key);
}

static struct plan_route *route_for(struct plan_builder *b, const struct plan_backend *backend, const char *host,
                                    const struct path_match *match)
{
        struct plan_route *route = cx_alloc(sizeof *route);
        const struct settings *s = b->settings;
        route->depth = match->depth;
        route->owner = b->ingress->object;
        if (s->refused)
                return route;
        route->backend = backend;
        memcpy(route->flags, b->flags, sizeof route->flags);
        char *rewrite = strchr(route->flags, FLAG_REWRITE);
        if (rewrite && !match->catches) // nothing is caught: the target is all that is left
                *rewrite = FLAG_REPLACE;
        if (s->force_ssl_redirect || (s->ssl_redirect && has_tls(b->plan, host)))
                route->flags[strlen(route->flags)] = FLAG_SSL;
        return route;
}

static void enter_route(struct plan_builder *b, const char *host, const struct ingress_path *path)
{
        bool exact = path->type == PATH_EXACT;
        struct path_match match;
        bool understood = plan_match_path(b->settings, path, &match);
        CX_CLEANUP(cx_freep) char *prefix = match.prefix;
        CX_CLEANUP(cx_freep) char *key = route_key(host, prefix, exact);
        CX_CLEANUP(cx_freep) char *where = cx_sprintf("host %s, path %s", host, path->path);
        struct cx_map *routes = exact ? &b->plan->exact : &b->plan->prefix;
        const struct plan_route *taken = cx_map_get(routes, key);
        if (taken) {
                if (taken->owner != b->ingress->object)
                        plan_complain(b, "Conflict", "%s: the older Ingress %s has it already", where,
                                      taken->owner->key);
                return;
        }
        const struct plan_backend *backend = plan_resolve(b, b->ingress->object->namespace, &path->backend, where);
        cx_map_set(routes, key, route_for(b, understood ? backend : NULL, host, &match));
        cx_map_set(&b->plan->hosts, host_key(host), NULL);
        b->ingress->n_routes++;
}

static void enter_rules(struct plan_builder *b)
{
        const struct ingress *ingress = INGRESS(b->ingress->object);
        for (size_t i = 0; i < ingress->n_rules; i++) {
                const struct ingress_rule *rule = &ingress->rules[i];
                if (!rule->host)
                        plan_complain(b, "InvalidHost",
                                      "spec.rules[%zu].host is not a DNS name: the rule has no effect", i);
                for (size_t j = 0; rule->host && j < rule->n_paths; j++)
                        if (rule->paths[j].path)
                                enter_route(b, rule->host, &rule->paths[j]);
                        else
                                plan_complain(
                                        b, "InvalidPath",
                                        "spec.rules[%zu].http.paths[%zu].path must begin with \"/\" and have 1024 "
                                        "characters at most, none of them a control character: it has no effect",
                                        i, j);
        }
}

static void enter_default_at(struct plan_builder *b, const struct plan_backend *backend, const char *host)
{
        CX_CLEANUP(cx_freep) char *key = route_key(host, "/", false);
        if (cx_map_has(&b->plan->prefix, key))
                return;
        cx_map_set(&b->plan->prefix, key, route_for(b, backend, host, &(struct path_match){0}));
        cx_map_set(&b->plan->hosts, host_key(host), NULL);
}

// What is left of its hosts, and of the hosts that nobody has.
static void enter_default(struct plan_builder *b)
{
        const struct ingress *ingress = INGRESS(b->ingress->object);
        if (!ingress->default_backend.service && !ingress->default_backend.resource)
                return;
        const struct plan_backend *backend =
                plan_resolve(b, b->ingress->object->namespace, &ingress->default_backend, "default backend");
        for (size_t i = 0; i < ingress->n_rules; i++)
                if (ingress->rules[i].host)
                        enter_default_at(b, backend, ingress->rules[i].host);
        enter_default_at(b, backend, "*");
        b->ingress->n_routes++;
}

static void for_each_ingress(struct plan_builder *b, void (*enter)(struct plan_builder *b), struct settings *settings)
{
        for (size_t i = 0; i < b->plan->n_ingresses; i++) {
                b->ingress = &b->plan->ingresses[i];
                b->settings = &settings[i];
                plan_id(b->ingress->object, b->id);
                enter(b);
        }
        b->ingress = NULL;
        b->settings = NULL;
}

static void enter_tls(struct plan_builder *b)
{
        const struct ingress *ingress = INGRESS(b->ingress->object);
        for (size_t i = 0; i < ingress->n_tls; i++)
                take_tls(b, &ingress->tls[i]);
}

static void with_settings(struct plan_builder *b, void (*enter)(struct plan_builder *b))
{
        memset(b->flags, 0, sizeof b->flags);
        plan_enter_settings(b);
        enter(b);
        free(b->profile);
        b->profile = NULL;
}

static void enter_routes(struct plan_builder *b)
{
        const struct cx_object *object = b->ingress->object;
        settings_init(b->settings, object->namespace, INGRESS(object), on_annotation, b);
        with_settings(b, enter_rules);
}

static void enter_defaults(struct plan_builder *b)
{
        if (INGRESS(b->ingress->object)->default_backend.service ||
            INGRESS(b->ingress->object)->default_backend.resource)
                with_settings(b, enter_default);
}

// The controller's own backend: below every host, known or not, behind everything else.
static void enter_own_default(struct plan_builder *b)
{
        const char *name = b->config->default_backend, *slash = name ? strchr(name, '/') : NULL;
        if (!slash)
                return;
        CX_CLEANUP(cx_freep) char *namespace = cx_strndup(name, (size_t)(slash - name));
        const struct backend_ref ref = {.service = (char *)slash + 1};
        struct plan_route *route = cx_alloc(sizeof *route);
        route->backend = plan_resolve(b, namespace, &ref, "default backend");
        cx_map_set(&b->plan->prefix, "%2F", route);
}

void plan_build(const struct plan_config *config, const struct plan_input *input, struct plan *plan)
{
        *plan = (struct plan){.exact = CX_MAP_INIT_FREE(free),
                              .prefix = CX_MAP_INIT_FREE(free),
                              .backends = CX_MAP_INIT_FREE(plan_backend_free),
                              .certificates = CX_MAP_INIT_FREE(free),
                              .users = CX_MAP_INIT_FREE(free)};
        for (int i = 0; i < SETTING_COUNT; i++)
                plan->settings[i].free_value = free;
        struct plan_builder b = {.config = config, .input = input, .plan = plan};
        plan_index(&b);
        collect(&b);
        struct settings *settings = cx_alloc_array(plan->n_ingresses + 1, sizeof *settings);
        for_each_ingress(&b, enter_tls, settings);
        for_each_ingress(&b, enter_routes, settings);
        for_each_ingress(&b, enter_defaults, settings);
        for (size_t i = 0; i < plan->n_ingresses; i++)
                settings_release(&settings[i]);
        free(settings);
        enter_own_default(&b);
        cx_map_release(&b.services);
        cx_map_release(&b.slices);
}

void plan_release(struct plan *plan)
{
        for (size_t i = 0; i < plan->n_ingresses; i++) {
                for (size_t j = 0; j < plan->ingresses[i].n_problems; j++)
                        free(plan->ingresses[i].problems[j].message);
                free(plan->ingresses[i].problems);
        }
        free(plan->ingresses);
        struct cx_map *const maps[] = {&plan->hosts,        &plan->exact, &plan->prefix,  &plan->backends,
                                       &plan->certificates, &plan->users, &plan->services};
        for (size_t i = 0; i < CX_ARRAY_SIZE(maps); i++)
                cx_map_release(maps[i]);
        for (int i = 0; i < SETTING_COUNT; i++)
                cx_map_release(&plan->settings[i]);
        cx_objects_release(&plan->objects);
        *plan = (struct plan){0};
}
