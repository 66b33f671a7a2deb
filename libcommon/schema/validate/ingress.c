// SPDX-License-Identifier: Apache-2.0
// Ingresses and their classes.
#include "libcommon/api/names.h"
#include "libcommon/base/address.h"
#include "libcommon/schema/validate/validate.h"

#define MAX_CONTROLLER 250

static const char *check_host(const char *host)
{
        if (cx_is_address(host))
                return "must be a DNS name, not an IP address";
        if (cx_has_prefix(host, "*."))
                return cx_check_dns1123_subdomain(host + 2);
        return strchr(host, '*')
                       ? "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain"
                       : cx_check_dns1123_subdomain(host);
}

static void check_service_backend(struct cx_validator *v, const json_t *service)
{
        bool named = *cx_json_string_or(service, "port.name", "");
        int64_t number = cx_json_int(service, "port.number", 0);
        if (!*cx_json_string_or(service, "name", ""))
                cx_required(v, "service.name", NULL);
        cx_check_text(v, service, "name", cx_check_dns1035_label);
        if (named && number)
                cx_invalid_text(v, "", "", "cannot set both port name & port number");
        else if (!named && !number)
                cx_required(v, "", "port name or number is required");
        else if (!named && (number < 1 || number > 65535))
                cx_invalid(v, "service.port.number", cx_json_get(service, "port.number"),
                           "must be between 1 and 65535, inclusive");
        size_t length = cx_enter(v, ".service.port");
        cx_check_text(v, json_object_get(service, "port"), "name", cx_check_port_name);
        cx_leave(v, length);
}

static void check_backend(struct cx_validator *v, const json_t *backend)
{
        const json_t *service = json_object_get(backend, "service"), *resource = json_object_get(backend, "resource");
        if (service && resource)
                cx_invalid_text(v, "", "", "cannot set both resource and service backends");
        else if (service)
                check_service_backend(v, service);
        else if (!resource)
                cx_invalid_text(v, "", "", "resource or service backend is required");
}

static void check_path(struct cx_validator *v, const json_t *path)
{
        static const char *const anywhere[] = {"//", "/./", "/../", "%2f", "%2F"}, *const at_the_end[] = {"/..", "/."};
        const char *text = cx_json_string_or(path, "path", "");
        bool free_form = cx_streq(cx_json_string(path, "pathType"), "ImplementationSpecific");
        if (*text != '/' && (*text || !free_form))
                cx_invalid_text(v, "path", text, "must be an absolute path");
        for (size_t i = 0; !free_form && i < CX_ARRAY_SIZE(anywhere); i++) {
                CX_CLEANUP(cx_freep) char *why = cx_sprintf("must not contain '%s'", anywhere[i]);
                if (strstr(text, anywhere[i]))
                        cx_invalid_text(v, "path", text, why);
        }
        for (size_t i = 0; !free_form && i < CX_ARRAY_SIZE(at_the_end); i++) {
                CX_CLEANUP(cx_freep) char *why = cx_sprintf("cannot end with '%s'", at_the_end[i]);
                if (cx_has_suffix(text, at_the_end[i]))
                        cx_invalid_text(v, "path", text, why);
        }
}

static void check_rule(struct cx_validator *v, const json_t *rule)
{
        cx_check_text(v, rule, "host", check_host);
        const json_t *http = json_object_get(rule, "http");
        if (http && !cx_json_count(http, "paths"))
                cx_required(v, "http.paths", NULL);
}

static void check_ingress(struct cx_validator *v, const json_t *spec)
{
        const json_t *annotations = cx_json_get(v->root, "metadata.annotations"),
                     *legacy = json_object_get(annotations, "kubernetes.io/ingress.class");
        if (!cx_json_count(spec, "rules") && !json_object_get(spec, "defaultBackend"))
                cx_invalid(v, "", spec, "either `defaultBackend` or `rules` must be specified");
        cx_check_text(v, spec, "ingressClassName", cx_check_dns1123_subdomain);
        // Upstream lets be what was there before it said so.
        if (legacy && json_object_get(spec, "ingressClassName") && !cx_json_string(v->root, "metadata.resourceVersion"))
                cx_invalid_text(v, "ingressClassName", cx_json_string_or(spec, "ingressClassName", ""),
                                "can not be set when the annotation kubernetes.io/ingress.class is also set");
}

static void check_tls(struct cx_validator *v, const json_t *tls)
{
        cx_check_texts(v, tls, "hosts", check_host);
        cx_check_text(v, tls, "secretName", cx_check_dns1123_subdomain);
}

static void check_class(struct cx_validator *v, const json_t *spec)
{
        const char *controller = cx_json_string_or(spec, "controller", ""), *slash = strchr(controller, '/');
        CX_CLEANUP(cx_freep) char *domain = cx_strndup(controller, slash ? (size_t)(slash - controller) : 0);
        if (!*controller)
                cx_required(v, "controller", NULL);
        else if (strlen(controller) > MAX_CONTROLLER)
                cx_too_long(v, "controller", MAX_CONTROLLER);
        else if (!slash || !slash[1] || cx_check_dns1123_subdomain(domain))
                cx_invalid_text(v, "controller", controller,
                                "must be a domain-prefixed path (such as \"acme.io/foo\")");
}

const struct cx_check cx_checks_ingress[] = {
        {"networking.v1.IngressSpec", check_ingress},
        {"networking.v1.IngressRule", check_rule},
        {"networking.v1.HTTPIngressPath", check_path},
        {"networking.v1.IngressBackend", check_backend},
        {"networking.v1.IngressTLS", check_tls},
        {"networking.v1.IngressClassSpec", check_class},
        {NULL, NULL},
};
