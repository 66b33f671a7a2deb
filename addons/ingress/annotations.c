// SPDX-License-Identifier: Apache-2.0
// A table of what each annotation sets, and how its text is read.
#include "addons/ingress/annotations.h"

#include "addons/ingress/grammar.h"
#include "libcommon/base/buf.h"

#include <stddef.h>
#include <strings.h>

#define MAX_NETWORKS 256

// A reader gets the field that the table names and returns NULL, or what the value has to be.
typedef const char *(*annotation_reader)(void *field, const char *text);

static const char *read_flag(void *field, const char *text)
{
        bool on = strcmp(text, "true") == 0;
        if (!on && strcmp(text, "false") != 0)
                return "must be \"true\" or \"false\"";
        *(bool *)field = on;
        return NULL;
}

static const char *read_count(void *field, const char *text)
{
        return cx_parse_int(text, 0, 1000000, field) == 0 ? NULL : "must be a number from 0 to 1000000";
}

static const char *read_max_age(void *field, const char *text)
{
        return cx_parse_int(text, 0, INT64_C(1) << 31, field) == 0 ? NULL : "must be a number of seconds";
}

// nginx' times: seconds, or with a unit.
static int64_t seconds_of(const char *text)
{
        static const struct {
                const char *unit;
                int64_t seconds;
        } units[] = {{"s", 1}, {"", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
        size_t digits = strspn(text, "0123456789");
        CX_CLEANUP(cx_freep) char *number = cx_strndup(text, digits);
        int64_t n;
        if (cx_parse_int(number, 1, 1000000, &n) < 0)
                return -1;
        for (size_t i = 0; i < CX_ARRAY_SIZE(units); i++)
                if (strcmp(text + digits, units[i].unit) == 0)
                        return n * units[i].seconds <= 7 * 86400 ? n * units[i].seconds : -1;
        return -1;
}

static const char *read_seconds(void *field, const char *text)
{
        int64_t seconds = seconds_of(text);
        if (seconds < 0)
                return "must be a number of seconds above 0, a week at most";
        *(int64_t *)field = seconds;
        return NULL;
}

// proxy-read-timeout and proxy-send-timeout are one timeout of the proxy: the longer of them.
static const char *read_server_timeout(void *field, const char *text)
{
        int64_t seconds = 0, *longest = field;
        const char *wrong = read_seconds(&seconds, text);
        if (!wrong && seconds * 1000 > *longest)
                *longest = seconds * 1000;
        return wrong;
}

static const char *read_size(void *field, const char *text)
{
        static const char units[] = "kmg";
        size_t digits = strspn(text, "0123456789");
        CX_CLEANUP(cx_freep) char *number = cx_strndup(text, digits);
        const char *unit = text[digits] ? strchr(units, text[digits] | 32) : "";
        int64_t n;
        if (!unit || (text[digits] && text[digits + 1]) || cx_parse_int(number, 0, INT64_C(1) << 30, &n) < 0)
                return "must be a size such as 8m, or 0 for any";
        *(int64_t *)field = n << (*unit ? 10 * (unit - units + 1) : 0);
        return NULL;
}

static const char *read_networks(void *field, const char *text)
{
        struct network_list *list = field;
        CX_STRINGS parts = CX_STRINGS_INIT;
        cx_strings_split(&parts, text, ',');
        if (parts.count > MAX_NETWORKS)
                return "must be 256 networks at most";
        for (size_t i = 0; i < parts.count; i++) {
                char *part = parts.items[i] + strspn(parts.items[i], " ");
                part[strcspn(part, " ")] = '\0';
                struct cx_network network;
                struct cx_address address;
                if (cx_address_parse(part, &address) == 0)
                        network = (struct cx_network){address, cx_address_bits(address.family)};
                else if (cx_network_parse(part, &network) < 0)
                        return "must be addresses or networks such as 10.0.0.0/8, with commas between them";
                list->items = cx_realloc_array(list->items, list->count + 1, sizeof *list->items);
                list->items[list->count++] = network;
        }
        return NULL;
}

static const char *take(void *field, const char *text)
{
        free(*(char **)field);
        *(char **)field = cx_strdup(text);
        return NULL;
}

static const char *read_path(void *field, const char *text)
{
        return grammar_is_path(text) ? take(field, text) : "must be a path that begins with \"/\"";
}

static const char *read_url(void *field, const char *text)
{
        return grammar_is_url(text) ? take(field, text) : "must be a URL that begins with http:// or https://";
}

static const char *read_token(void *field, const char *text)
{
        return grammar_is_token(text) ? take(field, text) : "must be letters, digits, \"_\" and \"-\", 64 at most";
}

static const char *read_phrase(void *field, const char *text)
{
        return grammar_is_phrase(text) ? take(field, text) : "must be printable ASCII without quotes";
}

static const char *read_same_site(void *field, const char *text)
{
        bool known = strcmp(text, "None") == 0 || strcmp(text, "Lax") == 0 || strcmp(text, "Strict") == 0;
        return known ? take(field, text) : "must be None, Lax or Strict";
}

static const char *read_affinity(void *field, const char *text)
{
        *(bool *)field = true;
        return strcmp(text, "cookie") == 0 ? NULL : "must be \"cookie\"";
}

static const char *read_affinity_mode(void *field CX_UNUSED, const char *text)
{
        return strcmp(text, "balanced") == 0 || strcmp(text, "persistent") == 0
                       ? NULL
                       : "must be \"balanced\" or \"persistent\"";
}

static const char *read_auth_type(void *field CX_UNUSED, const char *text)
{
        return strcmp(text, "basic") == 0 ? NULL : "only \"basic\" is supported";
}

static const char *read_auth_secret(void *field, const char *text)
{
        const char *slash = strchr(text, '/');
        CX_CLEANUP(cx_freep) char *namespace = cx_strndup(text, slash ? (size_t)(slash - text) : 0);
        if (!grammar_is_name(slash ? slash + 1 : text) || (slash && !grammar_is_name(namespace)))
                return "must be the name of a Secret";
        return take(field, text);
}

static const char *read_auth_secret_type(void *field, const char *text)
{
        *(bool *)field = strcmp(text, "auth-map") == 0;
        return *(bool *)field || strcmp(text, "auth-file") == 0 ? NULL : "must be \"auth-file\" or \"auth-map\"";
}

static const char *read_backend_protocol(void *field, const char *text)
{
        static const struct {
                const char *name;
                bool tls, http2;
        } protocols[] = {{"HTTP", false, false}, {"HTTPS", true, false}, {"GRPC", false, true}, {"GRPCS", true, true}};
        struct settings *settings = field;
        for (size_t i = 0; i < CX_ARRAY_SIZE(protocols); i++)
                if (strcasecmp(text, protocols[i].name) == 0) {
                        settings->tls_backend = protocols[i].tls;
                        settings->http2_backend = protocols[i].http2;
                        return NULL;
                }
        return "must be HTTP, HTTPS, GRPC or GRPCS";
}

static const char *redirect_to(struct settings *settings, const char *text, int code)
{
        if (!settings->redirect_code)
                settings->redirect_code = code;
        return read_url(&settings->redirect, text);
}

static const char *read_permanent_redirect(void *field, const char *text)
{
        return redirect_to(field, text, 301);
}

static const char *read_temporal_redirect(void *field, const char *text)
{
        return redirect_to(field, text, 302);
}

static const char *read_redirect_code(void *field, const char *text)
{
        int64_t code;
        if (cx_parse_int(text, 301, 308, &code) < 0 || (code > 303 && code < 307))
                return "must be 301, 302, 303, 307 or 308";
        *(int *)field = (int)code;
        return NULL;
}

#define AT(field) offsetof(struct settings, field)
static const struct {
        const char *name;
        size_t offset;
        annotation_reader read;
        bool tunes; // a wrong value changes only how well it works
} supported[] = {
        {"affinity", AT(sticky), read_affinity, true},
        {"affinity-mode", 0, read_affinity_mode, true},
        {"allowlist-source-range", AT(allow), read_networks, false},
        {"app-root", AT(app_root), read_path, true},
        {"auth-realm", AT(auth_realm), read_phrase, false},
        {"auth-secret", AT(auth_secret), read_auth_secret, false},
        {"auth-secret-type", AT(auth_map), read_auth_secret_type, false},
        {"auth-type", 0, read_auth_type, false},
        {"backend-protocol", 0, read_backend_protocol, false},
        {"denylist-source-range", AT(deny), read_networks, false},
        {"force-ssl-redirect", AT(force_ssl_redirect), read_flag, false},
        {"limit-connections", AT(connections), read_count, false},
        {"limit-rpm", AT(rpm), read_count, false},
        {"limit-rps", AT(rps), read_count, false},
        {"permanent-redirect", 0, read_permanent_redirect, false},
        {"permanent-redirect-code", AT(redirect_code), read_redirect_code, true},
        {"proxy-body-size", AT(body_size), read_size, false},
        {"proxy-connect-timeout", AT(connect_timeout), read_seconds, true},
        {"proxy-read-timeout", AT(server_timeout), read_server_timeout, true},
        {"proxy-send-timeout", AT(server_timeout), read_server_timeout, true},
        {"rewrite-target", AT(rewrite_target), read_path, false},
        {"session-cookie-max-age", AT(cookie_max_age), read_max_age, true},
        {"session-cookie-name", AT(cookie_name), read_token, true},
        {"session-cookie-samesite", AT(same_site), read_same_site, true},
        {"session-cookie-secure", AT(cookie_secure), read_flag, false},
        {"ssl-redirect", AT(ssl_redirect), read_flag, false},
        {"temporal-redirect", 0, read_temporal_redirect, false},
        {"use-regex", AT(use_regex), read_flag, false},
        {"whitelist-source-range", AT(allow), read_networks, false},
};
#undef AT

// Without these a route works all the same, and nobody gets in who should not.
static const char *const tuning[] = {
        "affinity-canary-behavior",
        "client-body-buffer-size",
        "client-header-buffer-size",
        "connection-proxy-header",
        "custom-headers",
        "enable-access-log",
        "enable-opentelemetry",
        "enable-opentracing",
        "enable-rewrite-log",
        "http2-push-preload",
        "limit-burst-multiplier",
        "load-balance",
        "opentelemetry-operation-name",
        "opentelemetry-trust-incoming-span",
        "preserve-trailing-slash",
        "proxy-buffer-size",
        "proxy-buffering",
        "proxy-buffers-number",
        "proxy-busy-buffers-size",
        "proxy-http-version",
        "proxy-max-temp-file-size",
        "proxy-next-upstream",
        "proxy-next-upstream-timeout",
        "proxy-next-upstream-tries",
        "proxy-request-buffering",
        "service-upstream",
        "session-cookie-change-on-failure",
        "session-cookie-conditional-samesite-none",
        "session-cookie-expires",
        "session-cookie-path",
        "upstream-hash-by",
        "upstream-hash-by-subset",
        "upstream-hash-by-subset-size",
        "x-forwarded-prefix",
};

static bool only_tunes(const char *name)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(tuning); i++)
                if (strcmp(tuning[i], name) == 0)
                        return true;
        return false;
}

struct settings_reader {
        struct settings *to;
        void (*problem)(void *context, const char *reason, const char *message);
        void *context;
};

static CX_PRINTF(3, 4) void complain(struct settings_reader *reader, bool refuses, const char *format, ...)
{
        va_list args;
        CX_BUF text = CX_BUF_INIT_MAX(2048);
        va_start(args, format);
        cx_buf_vprintf(&text, format, args);
        va_end(args);
        if (refuses)
                cx_buf_add(&text, "; until then all its paths answer 503");
        reader->to->refused |= refuses;
        reader->problem(reader->context, refuses ? "Refused" : "AnnotationIgnored", text.data);
}

static void read_annotation(struct settings_reader *reader, const struct annotation *annotation)
{
        const char *name = annotation->name;
        for (size_t i = 0; i < CX_ARRAY_SIZE(supported); i++) {
                if (strcmp(supported[i].name, name) != 0)
                        continue;
                const char *wrong = supported[i].read((char *)reader->to + supported[i].offset, annotation->value);
                if (wrong)
                        complain(reader, !supported[i].tunes, "annotation " ANNOTATION_PREFIX "%s: the value %s", name,
                                 wrong);
                return;
        }
        if (only_tunes(name))
                complain(reader, false, "annotation " ANNOTATION_PREFIX "%s is not supported: it has no effect", name);
        else
                complain(reader, true, "annotation " ANNOTATION_PREFIX "%s is not supported: remove it", name);
}

// "secret" becomes "namespace/secret"; another namespace's is nobody's to use.
static void place_auth_secret(struct settings_reader *reader, const char *namespace)
{
        struct settings *to = reader->to;
        const char *slash = strchr(to->auth_secret, '/');
        if (!slash) {
                char *full = cx_sprintf("%s/%s", namespace, to->auth_secret);
                free(to->auth_secret);
                to->auth_secret = full;
        } else if (strncmp(to->auth_secret, namespace, (size_t)(slash - to->auth_secret)) != 0 ||
                   namespace[slash - to->auth_secret]) {
                complain(reader, true,
                         "annotation " ANNOTATION_PREFIX
                         "auth-secret: the Secret must be in the Ingress' own namespace");
        }
}

static void check_together(struct settings_reader *reader, const char *namespace, const struct ingress *ingress)
{
        struct settings *to = reader->to;
        bool wants_auth = to->auth_secret;
        for (size_t i = 0; i < ingress->n_annotations; i++)
                wants_auth |= cx_has_prefix(ingress->annotations[i].name, "auth-");
        if (to->auth_secret)
                place_auth_secret(reader, namespace);
        else if (wants_auth && !to->refused)
                complain(reader, true,
                         "annotation " ANNOTATION_PREFIX "auth-secret is missing: it names the Secret with "
                         "the users");
        if (to->redirect && to->app_root)
                complain(reader, false,
                         "annotation " ANNOTATION_PREFIX "app-root has no effect beside a redirect of everything");
}

void settings_init(struct settings *settings, const char *namespace, const struct ingress *ingress,
                   void (*problem)(void *context, const char *reason, const char *message), void *context)
{
        *settings = (struct settings){.ssl_redirect = true};
        struct settings_reader reader = {settings, problem, context};
        for (size_t i = 0; i < ingress->n_annotations; i++)
                read_annotation(&reader, &ingress->annotations[i]);
        check_together(&reader, namespace, ingress);
}

void settings_release(struct settings *settings)
{
        char *const texts[] = {settings->rewrite_target, settings->redirect,  settings->app_root,
                               settings->cookie_name,    settings->same_site, settings->auth_secret,
                               settings->auth_realm};
        for (size_t i = 0; i < CX_ARRAY_SIZE(texts); i++)
                free(texts[i]);
        free(settings->allow.items);
        free(settings->deny.items);
        *settings = (struct settings){0};
}

static void ignore_problem(void *context CX_UNUSED, const char *reason CX_UNUSED, const char *message CX_UNUSED)
{
}

char *settings_auth_secret(const char *namespace, const struct ingress *ingress)
{
        struct settings settings;
        if (!ingress->n_annotations)
                return NULL;
        settings_init(&settings, namespace, ingress, ignore_problem, NULL);
        char *secret = settings.refused ? NULL : cx_steal(&settings.auth_secret);
        settings_release(&settings);
        return secret;
}
