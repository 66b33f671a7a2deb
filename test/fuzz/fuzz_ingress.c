// SPDX-License-Identifier: Apache-2.0
// An Ingress, a Service and an EndpointSlice made of the fuzzer's decisions and of its bytes as texts: whatever they are, what is
// written for the proxy has the proxy's own lines, and others only of the few forms that stand here.
#include "addons/ingress/config.h"
#include "addons/ingress/slots.h"
#include "libcommon/format/json.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct decisions {
        const uint8_t *next, *end;
};

static unsigned decide(struct decisions *d, unsigned of)
{
        return d->next < d->end ? *d->next++ % of : 0;
}

// A text: a usual one, or as many bytes as the next one says.
static json_t *text_of(struct decisions *d, const char *const *usual, size_t count)
{
        char text[64];
        unsigned choice = decide(d, (unsigned)count + 4), length = 0;
        if (choice < count)
                return json_string(usual[choice]);
        for (unsigned left = decide(d, sizeof text); left && d->next < d->end; left--)
                text[length++] = (char)(*d->next++ & 127);
        json_t *json = json_stringn(text, length);
        return json ? json : json_string("");
}
#define TEXT(d, ...)                                                                                                   \
        text_of((d), (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static json_t *backend(struct decisions *d)
{
        return json_pack("{s:{s:o, s:{s:o, s:i}}}", "service", "name", TEXT(d, "a", "b"), "port", "name",
                         TEXT(d, "web", ""), "number", (int)decide(d, 200));
}

static json_t *rules(struct decisions *d)
{
        json_t *list = json_array();
        for (unsigned left = decide(d, 4); left; left--) {
                json_t *paths = json_array();
                for (unsigned more = decide(d, 4); more; more--)
                        json_array_append_new(
                                paths,
                                json_pack("{s:o, s:o, s:o}", "path",
                                          TEXT(d, "/", "/a(/|$)(.*)", "/a/(.*)", "/%2e%2e/x;y", "/a b"), "pathType",
                                          TEXT(d, "Exact", "Prefix", "ImplementationSpecific"), "backend", backend(d)));
                json_array_append_new(list,
                                      json_pack("{s:o, s:{s:o}}", "host", TEXT(d, "x.org", "*.x.org", "", "X.org\n"),
                                                "http", "paths", paths));
        }
        return list;
}

static json_t *annotations(struct decisions *d)
{
        static const char *const names[] = {"rewrite-target",
                                            "auth-secret",
                                            "auth-realm",
                                            "auth-type",
                                            "whitelist-source-range",
                                            "denylist-source-range",
                                            "permanent-redirect",
                                            "app-root",
                                            "affinity",
                                            "session-cookie-name",
                                            "session-cookie-samesite",
                                            "session-cookie-max-age",
                                            "proxy-connect-timeout",
                                            "proxy-read-timeout",
                                            "proxy-body-size",
                                            "limit-rps",
                                            "backend-protocol",
                                            "use-regex",
                                            "force-ssl-redirect"};
        json_t *object = json_object();
        for (unsigned left = decide(d, 6); left; left--) {
                CX_CLEANUP(cx_freep)
                char *name = cx_sprintf(ANNOTATION_PREFIX "%s", names[decide(d, CX_ARRAY_SIZE(names))]);
                json_object_set_new(object, name,
                                    TEXT(d, "true", "/$2", "10.0.0.0/9", "10", "8m", "https://x/|;\n", "cookie", "Lax",
                                         "basic", "a\nb", "GRPC"));
        }
        return object;
}

static void add(struct cx_objects *list, const json_t *json, void *projection, void (*release)(void *))
{
        struct cx_object *object = cx_object_new(json, NULL, 0);
        object->projection = projection;
        object->free_projection = release;
        cx_objects_add(list, object);
        cx_object_unref(object);
}

// --- what may be written ---

static bool consists_of(const char *text, size_t length, const char *characters)
{
        for (size_t i = 0; i < length; i++)
                if (!text[i] || !strchr(characters, text[i]))
                        return false;
        return length;
}
#define WORDS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"

static void check_maps(const struct cx_map maps[MAP_COUNT])
{
        for (int i = 0; i < MAP_COUNT; i++)
                CX_MAP_FOREACH (&maps[i], entry) {
                        const char *value = entry->value;
                        assert(consists_of(entry->key, strlen(entry->key), WORDS "%*|"));
                        assert(consists_of(value, strlen(value), WORDS "%*|"));
                        assert(config_is_safe(entry->key) && config_is_safe(value));
                }
}

static void check_line(const char *line, size_t length)
{
        static const char *const forms[] = {"backend b", "  server ", "  cookie ", "  timeout connect ",
                                            "  dynamic-cookie-key "};
        bool known = length == 0;
        for (size_t i = 0; i < CX_ARRAY_SIZE(forms); i++)
                known |= length > strlen(forms[i]) && strncmp(line, forms[i], strlen(forms[i])) == 0;
        assert(known);
        assert(!length || consists_of(line, length, WORDS " :[]=\""));
}

// What comes behind the lines that are there without any object.
static void check_config(const struct slots *slots)
{
        const struct config config = {
                .folder = "/f", .http_port = 80, .https_port = 443, .cookie_key = "k", .max_connections = 9};
        CX_BUF fixed = CX_BUF_INIT, text = CX_BUF_INIT;
        config_write(&config, &(struct slots){0}, &fixed);
        config_write(&config, slots, &text);
        assert(text.length >= fixed.length && memcmp(text.data, fixed.data, fixed.length) == 0);
        for (const char *line = text.data + fixed.length; *line; line += strcspn(line, "\n") + 1)
                check_line(line, strcspn(line, "\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct decisions d = {data, data + size};
        CX_OBJECTS ingresses = CX_OBJECTS_INIT, classes = CX_OBJECTS_INIT, services = CX_OBJECTS_INIT,
                   slices = CX_OBJECTS_INIT;
        CX_MAP secrets = CX_MAP_INIT;
        struct cx_map maps[MAP_COUNT];
        struct slots slots = {0};
        struct secret_view secret = {0};
        PLAN plan = {0};
        cx_map_set(&secrets, "ns/cert", &secret);
        json_auto_t *class = json_pack("{s:{s:s}, s:{s:s}}", "metadata", "name", "c", "spec", "controller", "x.io/y");
        add(&classes, class, ingress_class_project(NULL, class), ingress_class_free);
        json_auto_t *service = json_pack("{s:{s:s, s:s}, s:{s:o, s:[{s:o, s:i}]}}", "metadata", "namespace", "ns",
                                         "name", "a", "spec", "type", TEXT(&d, "ClusterIP", "ExternalName"), "ports",
                                         "name", TEXT(&d, "web", ""), "port", (int)decide(&d, 200));
        add(&services, service, target_project(NULL, service), target_free);
        json_auto_t *slice = json_pack("{s:{s:s, s:s, s:{s:s}}, s:o, s:[{s:o, s:i}], s:[{s:[o]}, {s:[o]}]}", "metadata",
                                       "namespace", "ns", "name", "s", "labels", "kubernetes.io/service-name", "a",
                                       "addressType", TEXT(&d, "IPv4", "IPv6"), "ports", "name", TEXT(&d, "web", ""),
                                       "port", (int)decide(&d, 200) * 331, "endpoints", "addresses",
                                       TEXT(&d, "10.0.0.1", "fd00::1"), "addresses", TEXT(&d, "10.0.0.2"));
        add(&slices, slice, target_slice_project(NULL, slice), target_slice_free);
        for (unsigned left = 1 + decide(&d, 3); left; left--) {
                json_auto_t *ingress =
                        json_pack("{s:{s:s, s:s, s:o}, s:{s:s, s:o, s:o, s:[{s:[o], s:o}]}}", "metadata", "namespace",
                                  "ns", "name", "i", "annotations", annotations(&d), "spec", "ingressClassName", "c",
                                  "defaultBackend", backend(&d), "rules", rules(&d), "tls", "hosts",
                                  TEXT(&d, "x.org", "*.x.org"), "secretName", TEXT(&d, "cert", "none"));
                add(&ingresses, ingress, ingress_project(NULL, ingress), ingress_free);
        }
        struct plan_config config = {.controller_class = "x.io/y", .default_backend = "ns/a"};
        struct plan_input input = {&ingresses, &classes, &services, &slices, &secrets};
        plan_build(&config, &input, &plan);
        (void)slots_assign(&slots, &plan, true);
        slots_reset(&slots, &plan);
        config_maps(&plan, &slots, maps);
        check_maps(maps);
        check_config(&slots);
        for (int i = 0; i < MAP_COUNT; i++)
                cx_map_release(&maps[i]);
        slots_release(&slots);
        return 0;
}
