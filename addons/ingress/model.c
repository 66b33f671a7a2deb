// SPDX-License-Identifier: Apache-2.0
// Ingresses and what they refer to, as the controller sees them.
#include "addons/ingress/model.h"

#include "addons/ingress/grammar.h"
#include "libcommon/format/json.h"

#define MAX_ANNOTATION 4096

static char *name_at(const json_t *json, const char *path)
{
        const char *text = cx_json_string(json, path);
        return grammar_is_name(text) ? cx_strdup(text) : NULL;
}

static int port_at(const json_t *json, const char *path)
{
        int64_t port = cx_json_int(json, path, 0);
        return port >= 1 && port <= 65535 ? (int)port : 0;
}

// --- Ingresses ---

static struct backend_ref backend_of(const json_t *json)
{
        return (struct backend_ref){.service = name_at(json, "service.name"),
                                    .port_name = name_at(json, "service.port.name"),
                                    .port = port_at(json, "service.port.number"),
                                    .resource = json_object_get(json, "resource")};
}

static void backend_release(struct backend_ref *backend)
{
        free(backend->service);
        free(backend->port_name);
}

static enum path_type path_type_of(const json_t *path)
{
        const char *text = cx_json_string_or(path, "pathType", "");
        return strcmp(text, "Exact") == 0 ? PATH_EXACT : strcmp(text, "Prefix") == 0 ? PATH_PREFIX : PATH_ANY;
}

static struct ingress_rule rule_of(const json_t *json)
{
        const char *host = cx_json_string_or(json, "host", "");
        const json_t *paths = cx_json_get(json, "http.paths"), *from;
        struct ingress_rule rule = {.paths = cx_alloc_array(json_array_size(paths) + 1, sizeof *rule.paths)};
        rule.host = !*host ? cx_strdup("*") : grammar_is_host(host) ? cx_strdup(host) : NULL;
        size_t i;
        json_array_foreach (paths, i, from) {
                const char *path = cx_json_string_or(from, "path", "/");
                rule.paths[rule.n_paths++] =
                        (struct ingress_path){.path = grammar_is_route(path) ? cx_strdup(path) : NULL,
                                              .type = path_type_of(from),
                                              .backend = backend_of(json_object_get(from, "backend"))};
        }
        return rule;
}

static struct ingress_tls tls_of(const json_t *json)
{
        struct ingress_tls tls = {.secret = name_at(json, "secretName")};
        size_t i;
        const json_t *host;
        json_array_foreach (json_object_get(json, "hosts"), i, host)
                if (grammar_is_host(json_string_value(host)))
                        cx_strings_add(&tls.hosts, json_string_value(host));
        return tls;
}

static void take_annotations(const json_t *json, struct ingress *to)
{
        json_t *from = cx_json_get(json, "metadata.annotations"), *value;
        const char *name;
        to->annotations = cx_alloc_array(json_object_size(from) + 1, sizeof *to->annotations);
        json_object_foreach (from, name, value) {
                const char *text = json_string_value(value);
                if (!text)
                        continue;
                if (strcmp(name, "kubernetes.io/ingress.class") == 0 && strlen(text) <= 253)
                        to->legacy_class = cx_strdup(text);
                if (cx_has_prefix(name, ANNOTATION_PREFIX))
                        to->annotations[to->n_annotations++] = (struct annotation){
                                .name = cx_strdup(name + strlen(ANNOTATION_PREFIX)),
                                .value = cx_strdup(strlen(text) <= MAX_ANNOTATION ? text : "")}; // "": refused
        }
}

static void take_addresses(const json_t *json, struct cx_strings *to)
{
        size_t i;
        const json_t *from;
        json_array_foreach (cx_json_get(json, "status.loadBalancer.ingress"), i, from)
                cx_strings_add(to, cx_json_string_or(from, "ip", cx_json_string_or(from, "hostname", "")));
        cx_strings_sort(to);
}

void *ingress_project(void *context CX_UNUSED, const json_t *json)
{
        struct ingress *self = cx_alloc(sizeof *self);
        const json_t *spec = json_object_get(json, "spec"), *rules = json_object_get(spec, "rules"),
                     *tls = json_object_get(spec, "tls"), *from;
        self->class = cx_strdup(cx_json_string(spec, "ingressClassName"));
        self->default_backend = backend_of(json_object_get(spec, "defaultBackend"));
        self->rules = cx_alloc_array(json_array_size(rules) + 1, sizeof *self->rules);
        self->tls = cx_alloc_array(json_array_size(tls) + 1, sizeof *self->tls);
        size_t i;
        json_array_foreach (rules, i, from)
                self->rules[self->n_rules++] = rule_of(from);
        json_array_foreach (tls, i, from)
                self->tls[self->n_tls++] = tls_of(from);
        take_annotations(json, self);
        take_addresses(json, &self->addresses);
        return self;
}

static void rule_release(struct ingress_rule *rule)
{
        for (size_t i = 0; i < rule->n_paths; i++) {
                free(rule->paths[i].path);
                backend_release(&rule->paths[i].backend);
        }
        free(rule->paths);
        free(rule->host);
}

void ingress_free(void *projection)
{
        struct ingress *self = projection;
        for (size_t i = 0; i < self->n_rules; i++)
                rule_release(&self->rules[i]);
        for (size_t i = 0; i < self->n_tls; i++) {
                free(self->tls[i].secret);
                cx_strings_release(&self->tls[i].hosts);
        }
        for (size_t i = 0; i < self->n_annotations; i++) {
                free(self->annotations[i].name);
                free(self->annotations[i].value);
        }
        backend_release(&self->default_backend);
        cx_strings_release(&self->addresses);
        free(self->rules);
        free(self->tls);
        free(self->annotations);
        free(self->class);
        free(self->legacy_class);
        free(self);
}

bool ingress_same_annotations(const struct ingress *a, const struct ingress *b)
{
        if (a->n_annotations != b->n_annotations || !cx_streq(a->legacy_class, b->legacy_class))
                return false;
        for (size_t i = 0; i < a->n_annotations; i++)
                if (strcmp(a->annotations[i].name, b->annotations[i].name) != 0 ||
                    strcmp(a->annotations[i].value, b->annotations[i].value) != 0)
                        return false;
        return true;
}

// --- IngressClasses ---

void *ingress_class_project(void *context CX_UNUSED, const json_t *json)
{
        struct ingress_class *self = cx_alloc(sizeof *self);
        const json_t *annotations = cx_json_get(json, "metadata.annotations");
        self->controller = cx_strdup(cx_json_string_or(json, "spec.controller", ""));
        self->is_default = cx_streq(
                json_string_value(json_object_get(annotations, "ingressclass.kubernetes.io/is-default-class")), "true");
        return self;
}

void ingress_class_free(void *projection)
{
        struct ingress_class *self = projection;
        free(self->controller);
        free(self);
}

// --- Services and EndpointSlices ---

static void ports_of(const json_t *list, struct target_port **ret_ports, size_t *ret_count)
{
        struct target_port *ports = cx_alloc_array(json_array_size(list) + 1, sizeof *ports);
        size_t i, n = 0;
        const json_t *from;
        json_array_foreach (list, i, from) {
                const char *name = cx_json_string_or(from, "name", "");
                int port = port_at(from, "port");
                if (port && strcmp(cx_json_string_or(from, "protocol", "TCP"), "TCP") == 0 &&
                    (!*name || grammar_is_name(name)))
                        ports[n++] = (struct target_port){cx_strdup(name), port};
        }
        *ret_ports = ports;
        *ret_count = n;
}

static void free_target_ports(struct target_port *ports, size_t count)
{
        for (size_t i = 0; i < count; i++)
                free(ports[i].name);
        free(ports);
}

void *target_project(void *context CX_UNUSED, const json_t *json)
{
        struct target_service *self = cx_alloc(sizeof *self);
        const json_t *spec = json_object_get(json, "spec");
        self->external_name = cx_streq(cx_json_string(spec, "type"), "ExternalName");
        ports_of(json_object_get(spec, "ports"), &self->ports, &self->n_ports);
        return self;
}

void target_free(void *projection)
{
        struct target_service *self = projection;
        free_target_ports(self->ports, self->n_ports);
        free(self);
}

// An endpoint that is none of the node's own: slices are written by users as well.
static bool endpoint_of(const json_t *json, struct target_endpoint *ret_endpoint)
{
        const char *text = json_string_value(json_array_get(json_object_get(json, "addresses"), 0));
        if (!text || cx_address_parse(text, &ret_endpoint->address) < 0)
                return false;
        cx_address_unmap(&ret_endpoint->address);
        ret_endpoint->ready = cx_json_bool(json, "conditions.ready", true);
        ret_endpoint->serving = cx_json_bool(json, "conditions.serving", ret_endpoint->ready);
        return !cx_address_why_special(&ret_endpoint->address);
}

void *target_slice_project(void *context CX_UNUSED, const json_t *json)
{
        struct target_slice *self = cx_alloc(sizeof *self);
        const char *type = cx_json_string_or(json, "addressType", ""),
                   *namespace = cx_json_string(json, "metadata.namespace");
        const char *service =
                json_string_value(json_object_get(cx_json_get(json, "metadata.labels"), "kubernetes.io/service-name"));
        const json_t *list = json_object_get(json, "endpoints"), *from;
        if (!service || !namespace || (strcmp(type, "IPv4") != 0 && strcmp(type, "IPv6") != 0))
                return self;
        self->service = cx_sprintf("%s/%s", namespace, service);
        ports_of(json_object_get(json, "ports"), &self->ports, &self->n_ports);
        self->endpoints = cx_alloc_array(json_array_size(list) + 1, sizeof *self->endpoints);
        size_t i;
        json_array_foreach (list, i, from)
                self->n_endpoints += endpoint_of(from, &self->endpoints[self->n_endpoints]);
        return self;
}

void target_slice_free(void *projection)
{
        struct target_slice *self = projection;
        free_target_ports(self->ports, self->n_ports);
        free(self->endpoints);
        free(self->service);
        free(self);
}
