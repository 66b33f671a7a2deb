// SPDX-License-Identifier: Apache-2.0
// Services, ConfigMaps, Secrets, claims.
#include "api/names.h"
#include "schema/validate/validate.h"

#include <arpa/inet.h>

#define MAX_DATA (1024 * 1024)

static bool is_ip(const char *text)
{
        unsigned char address[16];
        return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

static void check_service_port(struct cx_validator *v, const json_t *port, const char *type, bool several)
{
        const json_t *target = json_object_get(port, "targetPort");
        if (!json_object_get(port, "port"))
                cx_invalid(v, "port", NULL, "must be between 1 and 65535, inclusive");
        if (several && !*cx_json_string_or(port, "name", ""))
                cx_required(v, "name", NULL);
        cx_check_text(v, port, "name", cx_check_dns1123_label);
        if (json_is_string(target))
                cx_check_text(v, port, "targetPort", cx_check_port_name);
        else if (target && (json_integer_value(target) < 1 || json_integer_value(target) > 65535))
                cx_invalid(v, "targetPort", target, "must be between 1 and 65535, inclusive");
        if (strcmp(type, "ClusterIP") == 0 && cx_json_int(port, "nodePort", 0))
                cx_forbidden(v, "nodePort", "may not be used when `type` is 'ClusterIP'");
}

static void check_service_ports(struct cx_validator *v, const json_t *spec, const char *type)
{
        const json_t *ports = json_object_get(spec, "ports");
        json_auto_t *names = json_object();
        size_t i;
        json_t *port;
        json_array_foreach (ports, i, port) {
                const char *name = cx_json_string_or(port, "name", "");
                size_t length = cx_enter(v, ".ports[%zu]", i);
                check_service_port(v, port, type, json_array_size(ports) > 1);
                if (*name && json_object_get(names, name))
                        cx_duplicate(v, "name", json_object_get(port, "name"));
                json_object_set_new(names, name, json_true());
                cx_leave(v, length);
        }
}

static void check_service(struct cx_validator *v, const json_t *spec)
{
        const char *type = cx_json_string_or(spec, "type", "ClusterIP");
        const char *ip = cx_json_string_or(spec, "clusterIP", "");
        bool headless = strcmp(ip, "None") == 0, external = strcmp(type, "ExternalName") == 0;
        const char *key, *wrong;
        json_t *value;
        size_t i;
        if (!cx_json_count(spec, "ports") && !headless && !external)
                cx_required(v, "ports", NULL);
        check_service_ports(v, spec, type);
        if (external && !*cx_json_string_or(spec, "externalName", ""))
                cx_required(v, "externalName", NULL);
        if (external)
                cx_check_text(v, spec, "externalName", cx_check_dns1123_subdomain);
        if (headless && (strcmp(type, "NodePort") == 0 || strcmp(type, "LoadBalancer") == 0))
                cx_invalid_text(v, "clusterIPs[0]", ip,
                                *type == 'N' ? "may not be set to 'None' for NodePort services"
                                             : "may not be set to 'None' for LoadBalancer services");
        if (*ip && !headless && !is_ip(ip))
                cx_invalid_text(v, "clusterIPs[0]", ip,
                                "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
        json_array_foreach (json_object_get(spec, "externalIPs"), i, value) {
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("externalIPs[%zu]", i);
                if (!is_ip(cx_str(json_string_value(value))))
                        cx_invalid(v, field, value, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
        }
        json_object_foreach (json_object_get(spec, "selector"), key, value) {
                if ((wrong = cx_check_qualified_name(key)))
                        cx_invalid_text(v, "selector", key, wrong);
                if ((wrong = cx_check_label_value(cx_str(json_string_value(value)))))
                        cx_invalid(v, "selector", value, wrong);
        }
}

static size_t check_keys(struct cx_validator *v, const json_t *object, const char *map)
{
        size_t total = 0;
        const char *key;
        json_t *value;
        json_object_foreach (json_object_get(object, map), key, value) {
                const char *wrong = cx_check_config_key(key);
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("%s[%s]", map, key);
                if (wrong)
                        cx_invalid_text(v, field, key, wrong);
                total += json_string_length(value);
        }
        return total;
}

static void check_config_map(struct cx_validator *v, const json_t *object)
{
        const char *key;
        json_t *value;
        size_t total = check_keys(v, object, "data") + check_keys(v, object, "binaryData") * 3 / 4;
        json_object_foreach (json_object_get(object, "binaryData"), key, value) {
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("data[%s]", key);
                if (json_object_get(json_object_get(object, "data"), key))
                        cx_invalid_text(v, field, key, "duplicate of key present in binaryData");
        }
        if (total > MAX_DATA)
                cx_too_long(v, "", MAX_DATA);
}

static void check_secret(struct cx_validator *v, const json_t *object)
{
        static const struct {
                const char *type, *key;
        } needed[] = {{"kubernetes.io/tls", "tls.crt"},
                      {"kubernetes.io/tls", "tls.key"},
                      {"kubernetes.io/dockerconfigjson", ".dockerconfigjson"},
                      {"kubernetes.io/dockercfg", ".dockercfg"},
                      {"kubernetes.io/ssh-auth", "ssh-privatekey"}};
        const json_t *data = json_object_get(object, "data"), *text = json_object_get(object, "stringData");
        if (check_keys(v, object, "data") * 3 / 4 + check_keys(v, object, "stringData") > MAX_DATA)
                cx_too_long(v, "data", MAX_DATA);
        for (size_t i = 0; i < CX_ARRAY_SIZE(needed); i++) {
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("data[%s]", needed[i].key);
                if (cx_streq(cx_json_string(object, "type"), needed[i].type) && !json_object_get(data, needed[i].key) &&
                    !json_object_get(text, needed[i].key))
                        cx_required(v, field, NULL);
        }
}

static void check_claim(struct cx_validator *v, const json_t *spec)
{
        if (!cx_json_get(spec, "resources.requests.storage"))
                cx_required(v, "resources[storage]", NULL);
}

const struct cx_check cx_checks_core[] = {
        {"core.v1.ServiceSpec", check_service},
        {"core.v1.ConfigMap", check_config_map},
        {"core.v1.Secret", check_secret},
        {"core.v1.PersistentVolumeClaimSpec", check_claim},
        {NULL, NULL},
};
