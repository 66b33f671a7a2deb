// SPDX-License-Identifier: Apache-2.0
// Builds the environment: services, envFrom, env with their sources, and what the image says below them.
#include "kubelet/pod/env.h"

#include "kubelet/base/expand.h"
#include "kubelet/volume/downward.h"
#include "kubelet/volume/refs.h"
#include "libcommon/api/names.h"
#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"

#include <ctype.h>

#define SECRET_MAX ((size_t)4 << 20)

// Sets NAME=value, in place when the name is there already.
static void env_set(struct cx_strings *env, const char *name, const char *value)
{
        size_t n = strlen(name);
        for (size_t i = 0; i < env->count; i++)
                if (strncmp(env->items[i], name, n) == 0 && env->items[i][n] == '=') {
                        free(env->items[i]);
                        env->items[i] = cx_sprintf("%s=%s", name, value);
                        return;
                }
        CX_CLEANUP(cx_freep) char *pair = cx_sprintf("%s=%s", name, value);
        cx_strings_add(env, pair);
}

static char *service_name(const char *name)
{
        char *upper = cx_strdup(name);
        for (char *p = upper; *p; p++)
                *p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
        return upper;
}

static void add_service(struct cx_strings *env, const json_t *service)
{
        const char *ip = cx_json_string_or(service, "spec.clusterIP", "");
        const json_t *ports = cx_json_get(service, "spec.ports");
        if (!*ip || strcmp(ip, "None") == 0 || !json_array_size(ports))
                return;
        CX_CLEANUP(cx_freep) char *prefix = service_name(cx_json_string_or(service, "metadata.name", ""));
        CX_BUF name = CX_BUF_INIT;
        CX_BUF value = CX_BUF_INIT;
#define SET(value_text, ...)                                                                                           \
        do {                                                                                                           \
                cx_buf_clear(&name);                                                                                   \
                cx_buf_printf(&name, __VA_ARGS__);                                                                     \
                env_set(env, name.data, value_text);                                                                   \
        } while (0)
        long long first = cx_json_int(json_array_get(ports, 0), "port", 0);
        SET(ip, "%s_SERVICE_HOST", prefix);
        SET(CX_INT(first), "%s_SERVICE_PORT", prefix);
        size_t i;
        json_t *port;
        json_array_foreach ((json_t *)ports, i, port) {
                const char *port_name = cx_json_string_or(port, "name", "");
                if (!*port_name)
                        continue;
                CX_CLEANUP(cx_freep) char *upper = service_name(port_name);
                SET(CX_INT(cx_json_int(port, "port", 0)), "%s_SERVICE_PORT_%s", prefix, upper);
        }
        json_array_foreach ((json_t *)ports, i, port) {
                const char *protocol = cx_json_string_or(port, "protocol", "");
                CX_CLEANUP(cx_freep) char *lower = cx_strdup(protocol);
                for (char *p = lower; *p; p++)
                        *p = (char)tolower((unsigned char)*p);
                long long number = cx_json_int(port, "port", 0);
                cx_buf_clear(&value);
                cx_buf_printf(&value, strchr(ip, ':') ? "%s://[%s]:%lld" : "%s://%s:%lld", lower, ip, number);
                if (i == 0)
                        SET(value.data, "%s_PORT", prefix);
                SET(value.data, "%s_PORT_%lld_%s", prefix, number, protocol);
                SET(lower, "%s_PORT_%lld_%s_PROTO", prefix, number, protocol);
                SET(CX_INT(number), "%s_PORT_%lld_%s_PORT", prefix, number, protocol);
                SET(ip, "%s_PORT_%lld_%s_ADDR", prefix, number, protocol);
        }
#undef SET
}

// Services of the pod's namespace (unless turned off) and the API's own, which every container gets.
static void add_services(const struct kubelet *k, const json_t *pod, struct cx_strings *env)
{
        if (!k->services)
                return;
        const char *namespace = cx_json_string_or(pod, "metadata.namespace", "");
        CX_OBJECT *api = cx_informer_get(k->services, "default", "kubernetes");
        json_auto_t *api_json = api ? cx_object_json(api) : NULL;
        add_service(env, api_json);
        if (!cx_json_bool(pod, "spec.enableServiceLinks", false))
                return;
        CX_OBJECTS list = CX_OBJECTS_INIT;
        cx_informer_list(k->services, namespace, &list);
        for (size_t i = 0; i < list.count; i++) {
                json_auto_t *service = cx_object_json(list.items[i]);
                add_service(env, service);
        }
}

// Where the values of a container's variables come from.
struct env_source {
        const struct kubelet *kubelet;
        struct refs *refs;
        const json_t *pod, *container;
};

static int fetch(const struct env_source *s, bool secret, const json_t *ref, json_t **ret_object, struct cx_error *err)
{
        CX_ERROR failure = CX_ERROR_INIT;
        int r = refs_get(s->refs,
                         &(struct ref_key){.pod_uid = cx_json_string_or(s->pod, "metadata.uid", ""),
                                           .resource = secret ? "secrets" : "configmaps",
                                           .namespace = cx_json_string_or(s->pod, "metadata.namespace", ""),
                                           .name = cx_json_string_or(ref, "name", "")},
                         ret_object, &failure);
        if (r < 0 && failure.reason == CX_REASON_NOT_FOUND && cx_json_bool(ref, "optional", false))
                return 1;
        return r < 0 ? cx_error_move(err, &failure) : 0;
}

// The decoded value; NULL when it is not base64, or has a zero byte, which cannot be in a variable.
static char *secret_value(const char *encoded)
{
        CX_BUF data = CX_BUF_INIT_MAX(SECRET_MAX);
        if (!encoded || cx_base64_decode(encoded, strlen(encoded), &data) < 0 || strlen(data.data) != data.length)
                return NULL;
        return cx_buf_detach(&data);
}

static int add_from(const struct env_source *s, const json_t *from, struct cx_strings *env, struct cx_error *err)
{
        const json_t *ref = json_object_get(from, "configMapRef");
        bool secret = !ref;
        if (secret)
                ref = json_object_get(from, "secretRef");
        json_auto_t *object = NULL;
        int r = fetch(s, secret, ref, &object, err);
        if (r != 0)
                return r < 0 ? r : 0;
        const char *key;
        json_t *value;
        json_object_foreach (json_object_get(object, "data"), key, value) {
                CX_CLEANUP(cx_freep) char *name = cx_sprintf("%s%s", cx_json_string_or(from, "prefix", ""), key);
                CX_CLEANUP(cx_freep)
                char *decoded = secret ? secret_value(json_string_value(value)) : cx_strdup(json_string_value(value));
                if (!cx_check_env_name(name) && decoded)
                        env_set(env, name, decoded);
        }
        return 0;
}

// The value of one `valueFrom`; 1 when it is optional and absent.
static int value_from(const struct env_source *s, const json_t *source, char **ret_value, struct cx_error *err)
{
        const json_t *ref;
        if ((ref = json_object_get(source, "fieldRef"))) {
                *ret_value = downward_field(s->pod, cx_json_string_or(ref, "fieldPath", ""));
                return *ret_value ? 0
                                  : cx_error_set(err, -EINVAL, "unsupported fieldPath: %s",
                                                 cx_json_string_or(ref, "fieldPath", ""));
        }
        if ((ref = json_object_get(source, "resourceFieldRef")))
                return downward_resource(s->kubelet, s->pod, ref, cx_json_string(s->container, "name"), ret_value, err);
        ref = json_object_get(source, "configMapKeyRef");
        bool secret = !ref;
        if (secret)
                ref = json_object_get(source, "secretKeyRef");
        if (!ref)
                return cx_error_set(err, -EINVAL, "a variable has a source of an unknown kind");
        json_auto_t *object = NULL;
        int r = fetch(s, secret, ref, &object, err);
        if (r != 0)
                return r;
        const char *key = cx_json_string_or(ref, "key", "");
        const char *text = json_string_value(json_object_get(json_object_get(object, "data"), key));
        *ret_value = secret ? secret_value(text) : cx_strdup(text);
        if (*ret_value)
                return 0;
        if (cx_json_bool(ref, "optional", false))
                return 1;
        return cx_error_set(err, -ENOENT, "couldn't find key %s in %s %s/%s", key, secret ? "Secret" : "ConfigMap",
                            cx_json_string_or(s->pod, "metadata.namespace", ""), cx_json_string_or(ref, "name", ""));
}

int env_build(const struct kubelet *k, struct refs *refs, const json_t *pod, const json_t *container,
              struct cx_strings *ret_env, struct cx_error *err)
{
        const struct env_source from = {k, refs, pod, container};
        CX_STRINGS env = CX_STRINGS_INIT;
        add_services(k, pod, &env);
        size_t i;
        json_t *item;
        json_array_foreach (json_object_get(container, "envFrom"), i, item) {
                int r = add_from(&from, item, &env, err);
                if (r < 0)
                        return r;
        }
        json_array_foreach (json_object_get(container, "env"), i, item) {
                const char *name = cx_json_string_or(item, "name", "");
                const json_t *source = json_object_get(item, "valueFrom");
                CX_CLEANUP(cx_freep) char *value = NULL;
                int r = 0;
                if (source)
                        r = value_from(&from, source, &value, err);
                else
                        value = expand(cx_json_string_or(item, "value", ""), &env);
                if (r < 0)
                        return r;
                if (r == 0)
                        env_set(&env, name, value);
        }
        *ret_env = env;
        env = (struct cx_strings)CX_STRINGS_INIT;
        return 0;
}

void env_merge_image(const json_t *image_config, const struct cx_strings *env, struct cx_strings *ret_all)
{
        size_t i;
        json_t *item;
        json_array_foreach (json_object_get(image_config, "Env"), i, item) {
                const char *pair = cx_str(json_string_value(item));
                if (strchr(pair, '=') && !expand_lookup(env, pair, strcspn(pair, "=")))
                        cx_strings_add(ret_all, pair);
        }
        for (i = 0; i < env->count; i++)
                cx_strings_add(ret_all, env->items[i]);
}

static void add_args(const json_t *list, const struct cx_strings *env, struct cx_strings *ret_args)
{
        size_t i;
        json_t *item;
        json_array_foreach ((json_t *)list, i, item) {
                CX_CLEANUP(cx_freep)
                char *text =
                        env ? expand(cx_str(json_string_value(item)), env) : cx_strdup(cx_str(json_string_value(item)));
                cx_strings_add(ret_args, text);
        }
}

void args_build(const json_t *container, const json_t *image_config, const struct cx_strings *env,
                struct cx_strings *ret_args)
{
        const json_t *command = json_object_get(container, "command"), *args = json_object_get(container, "args");
        if (json_array_size(command))
                add_args(command, env, ret_args);
        else
                add_args(json_object_get(image_config, "Entrypoint"), NULL, ret_args);
        if (json_array_size(args))
                add_args(args, env, ret_args);
        else if (!json_array_size(command))
                add_args(json_object_get(image_config, "Cmd"), NULL, ret_args);
}
