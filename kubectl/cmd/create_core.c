// SPDX-License-Identifier: Apache-2.0
// create namespace, configmap, secret, service, serviceaccount, quota, priorityclass, token.
#include "api/names.h"
#include "base/process.h"
#include "base/time.h"
#include "kubectl/cmd/commands.h"
#include "net/pki.h"

#include <dirent.h>
#include <sys/stat.h>

static void release_create(struct cx_create *create)
{
        cx_output_release(&create->output);
}
#define CREATE CX_CLEANUP(release_create) struct cx_create

// Parses flags and wants exactly one name (or more, when `n` says).
static int begin(struct cx_ctl *ctl, struct cx_create *create, const struct cx_flag *flags, int argc, char **argv,
                 struct cx_strings *args, size_t n, struct cx_error *err)
{
        int r = cx_ctl_parse(ctl, flags, argc, argv, args, NULL, err);
        if (r == 0)
                r = cx_create_prepare(ctl, create, err);
        if (r == 0 && args->count != n)
                return cx_ctl_usage_error(ctl, err, "exactly one NAME is required, got %zu", args->count);
        return r;
}

CX_COMMAND(create_namespace)
{
        CREATE create = {0};
        const struct cx_flag flags[] = {CX_CREATE_FLAGS(&create), {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = begin(ctl, &create, flags, argc, argv, &args, 1, err);
        if (r < 0)
                return r;
        return cx_create_object(ctl, &create,
                                json_pack("{s:s,s:s,s:{s:s},s:{},s:{}}", "apiVersion", "v1", "kind", "Namespace",
                                          "metadata", "name", args.items[0], "spec", "status"),
                                err);
}

// --- data of config maps and secrets --------------------------------------------------------------------------------
struct data_sources {
        struct cx_strings literals, files, env_files;
        bool secret;
};

static int add_data(const struct data_sources *from, json_t *object, const char *key, const char *data, size_t length,
                    struct cx_error *err)
{
        const char *why = cx_check_config_key(key);
        json_t *map = cx_json_object_at(object, "data"), *binary = json_object_get(object, "binaryData");
        if (why)
                return cx_error_set(err, -EINVAL, "\"%s\" is not a valid key name for a %s: %s", key,
                                    from->secret ? "Secret" : "ConfigMap", why);
        if (json_object_get(map, key) || json_object_get(binary, key))
                return cx_error_set(err, -EEXIST,
                                    "cannot add key \"%s\", another key by that name already exists in %s", key,
                                    from->secret ? "Data for Secret" : "Data for ConfigMap");
        json_t *text = from->secret ? NULL : json_stringn(data, length);
        if (text) {
                json_object_set_new(map, key, text);
                return 0;
        }
        CX_BUF encoded = CX_BUF_INIT;
        cx_base64_encode(data, length, &encoded);
        json_object_set_new(from->secret ? map : cx_json_object_at(object, "binaryData"), key,
                            json_stringn(encoded.data, encoded.length));
        return 0;
}

static int add_file(const struct data_sources *from, json_t *object, const char *key, const char *path,
                    struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(4 << 20);
        int r = cx_buf_read_file(&text, path);
        if (r < 0)
                return cx_error_set(err, r, "error reading %s: %s", path,
                                    r == -ENOENT ? "no such file or directory" : strerror(-r));
        return add_data(from, object, key, text.data, text.length, err);
}

static int add_folder(const struct data_sources *from, json_t *object, const char *path, struct cx_error *err)
{
        struct dirent **entries;
        int n = scandir(path, &entries, NULL, alphasort), r = 0;
        for (int i = 0; i < n; i++) {
                CX_CLEANUP(cx_freep) char *name = cx_sprintf("%s/%s", path, entries[i]->d_name);
                struct stat st;
                if (r == 0 && stat(name, &st) == 0 && S_ISREG(st.st_mode))
                        r = add_file(from, object, entries[i]->d_name, name, err);
                free(entries[i]);
        }
        if (n >= 0)
                free(entries);
        return n < 0 ? cx_error_set(err, -errno, "error listing files in %s: %s", path, strerror(errno)) : r;
}

static int add_from_file(const struct data_sources *from, json_t *object, const char *source, struct cx_error *err)
{
        const char *equals = strchr(source, '=');
        struct stat st;
        if (equals) {
                if (equals == source || !equals[1])
                        return cx_error_set(err, -EINVAL, "%s for file path %s missing",
                                            equals == source ? "key name" : "file path", source);
                CX_CLEANUP(cx_freep) char *key = cx_strndup(source, (size_t)(equals - source));
                return add_file(from, object, key, equals + 1, err);
        }
        if (stat(source, &st) < 0)
                return cx_error_set(err, -ENOENT, "error reading %s: no such file or directory", source);
        if (S_ISDIR(st.st_mode))
                return add_folder(from, object, source, err);
        const char *slash = strrchr(source, '/');
        return add_file(from, object, slash ? slash + 1 : source, source, err);
}

static int add_env_file(const struct data_sources *from, json_t *object, const char *path, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(4 << 20);
        int r = cx_buf_read_file(&text, path);
        if (r < 0)
                return cx_error_set(err, r, "env config file %s cannot be read: %s", path, strerror(-r));
        char *save;
        for (char *line = strtok_r(text.data, "\n", &save); r == 0 && line; line = strtok_r(NULL, "\n", &save)) {
                line += strspn(line, " \t\r");
                size_t length = strlen(line);
                if (length && line[length - 1] == '\r')
                        line[--length] = 0;
                if (!*line || *line == '#')
                        continue;
                char *equals = strchr(line, '=');
                const char *value = equals ? equals + 1 : getenv(line);
                if (equals)
                        *equals = 0;
                const char *why = cx_check_env_name(line);
                if (why)
                        return cx_error_set(err, -EINVAL, "\"%s\" is not a valid key name: %s", line, why);
                if (value)
                        r = add_data(from, object, line, value, strlen(value), err);
        }
        return r;
}

static int fill_data(const struct data_sources *from, json_t *object, struct cx_error *err)
{
        int r = 0;
        if (from->env_files.count && (from->files.count || from->literals.count))
                return cx_error_set(err, -EINVAL, "from-env-file cannot be combined with from-file or from-literal");
        for (size_t i = 0; r == 0 && i < from->files.count; i++)
                r = add_from_file(from, object, from->files.items[i], err);
        for (size_t i = 0; r == 0 && i < from->literals.count; i++) {
                const char *literal = from->literals.items[i], *equals = strchr(literal, '=');
                if (!equals || equals == literal)
                        return cx_error_set(err, -EINVAL, "invalid literal source %s, expected key=value", literal);
                CX_CLEANUP(cx_freep) char *key = cx_strndup(literal, (size_t)(equals - literal));
                r = add_data(from, object, key, equals + 1, strlen(equals + 1), err);
        }
        for (size_t i = 0; r == 0 && i < from->env_files.count; i++)
                r = add_env_file(from, object, from->env_files.items[i], err);
        return r;
}

static void release_sources(struct data_sources *from)
{
        cx_strings_release(&from->literals);
        cx_strings_release(&from->files);
        cx_strings_release(&from->env_files);
}
#define SOURCE_FLAGS(from)                                                                                             \
        {"from-literal", 0, CX_FLAG_LIST, &(from)->literals, "KEY=VALUE; may be repeated."},                           \
                {"from-file", 0, CX_FLAG_CSV, &(from)->files, "[KEY=]FILE, or a folder; may be repeated."},            \
        {                                                                                                              \
                "from-env-file", 0, CX_FLAG_CSV, &(from)->env_files, "File of KEY=VALUE lines."                        \
        }

CX_COMMAND(create_configmap)
{
        CREATE create = {0};
        CX_CLEANUP(release_sources) struct data_sources from = {0};
        const struct cx_flag flags[] = {CX_CREATE_FLAGS(&create), SOURCE_FLAGS(&from), {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = begin(ctl, &create, flags, argc, argv, &args, 1, err);
        if (r < 0)
                return r;
        json_auto_t *object = json_pack("{s:s,s:s,s:{s:s}}", "apiVersion", "v1", "kind", "ConfigMap", "metadata",
                                        "name", args.items[0]);
        r = fill_data(&from, object, err);
        return r < 0 ? r : cx_create_object(ctl, &create, json_incref(object), err);
}

CX_COMMAND(create_secret_generic)
{
        CREATE create = {0};
        CX_CLEANUP(release_sources) struct data_sources from = {.secret = true};
        const char *type = NULL;
        const struct cx_flag flags[] = {CX_CREATE_FLAGS(&create),
                                        SOURCE_FLAGS(&from),
                                        {"type", 0, CX_FLAG_STRING, &type, "The type of the secret."},
                                        {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = begin(ctl, &create, flags, argc, argv, &args, 1, err);
        if (r < 0)
                return r;
        json_auto_t *object =
                json_pack("{s:s,s:s,s:{s:s}}", "apiVersion", "v1", "kind", "Secret", "metadata", "name", args.items[0]);
        if (type)
                json_object_set_new(object, "type", json_string(type));
        r = fill_data(&from, object, err);
        return r < 0 ? r : cx_create_object(ctl, &create, json_incref(object), err);
}

CX_COMMAND(create_secret_tls)
{
        CREATE create = {0};
        const char *cert = NULL, *key = NULL;
        const struct data_sources from = {.secret = true};
        const struct cx_flag flags[] = {CX_CREATE_FLAGS(&create),
                                        {"cert", 0, CX_FLAG_STRING, &cert, "Path to the PEM certificate."},
                                        {"key", 0, CX_FLAG_STRING, &key, "Path to the PEM key."},
                                        {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = begin(ctl, &create, flags, argc, argv, &args, 1, err);
        if (r < 0)
                return r;
        if (!cert || !key)
                return cx_error_set(err, -EINVAL, "key and cert must be specified");
        json_auto_t *object = json_pack("{s:s,s:s,s:{s:s},s:s}", "apiVersion", "v1", "kind", "Secret", "metadata",
                                        "name", args.items[0], "type", "kubernetes.io/tls");
        r = add_file(&from, object, "tls.crt", cert, err);
        if (r == 0)
                r = add_file(&from, object, "tls.key", key, err);
        return r < 0 ? r : cx_create_object(ctl, &create, json_incref(object), err);
}

CX_COMMAND(create_secret_registry)
{
        CREATE create = {0};
        const char *server = "https://index.docker.io/v1/", *user = NULL, *password = NULL, *email = NULL;
        CX_CLEANUP(release_sources) struct data_sources from = {.secret = true};
        const struct cx_flag flags[] = {
                CX_CREATE_FLAGS(&create),
                {"docker-server", 0, CX_FLAG_STRING, &server, "Address of the registry."},
                {"docker-username", 0, CX_FLAG_STRING, &user, "User name."},
                {"docker-password", 0, CX_FLAG_STRING, &password, "Password."},
                {"docker-email", 0, CX_FLAG_STRING, &email, "E-mail address."},
                {"from-file", 0, CX_FLAG_CSV, &from.files, "A file of the docker client's config."},
                {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = begin(ctl, &create, flags, argc, argv, &args, 1, err);
        if (r < 0)
                return r;
        json_auto_t *object = json_pack("{s:s,s:s,s:{s:s},s:s}", "apiVersion", "v1", "kind", "Secret", "metadata",
                                        "name", args.items[0], "type", "kubernetes.io/dockerconfigjson");
        if (from.files.count) {
                const char *file = from.files.items[0], *equals = strchr(file, '=');
                r = add_file(&from, object, ".dockerconfigjson", equals ? equals + 1 : file, err);
                return r < 0 ? r : cx_create_object(ctl, &create, json_incref(object), err);
        }
        if (!user || !password)
                return cx_error_set(err, -EINVAL,
                                    "either --from-file or the combination of --docker-username, --docker-password and "
                                    "--docker-server is required");
        CX_BUF auth = CX_BUF_INIT;
        CX_CLEANUP(cx_freep) char *pair = cx_sprintf("%s:%s", user, password);
        cx_base64_encode(pair, strlen(pair), &auth);
        json_auto_t *entry = json_pack("{s:s,s:s}", "username", user, "password", password);
        if (email)
                json_object_set_new(entry, "email", json_string(email));
        json_object_set_new(entry, "auth", json_string(auth.data));
        json_auto_t *config = json_pack("{s:{s:O}}", "auths", server, entry);
        CX_CLEANUP(cx_freep) char *text = cx_json_text(config);
        r = add_data(&from, object, ".dockerconfigjson", text, strlen(text), err);
        return r < 0 ? r : cx_create_object(ctl, &create, json_incref(object), err);
}

CX_COMMAND(create_serviceaccount)
{
        CREATE create = {0};
        const struct cx_flag flags[] = {CX_CREATE_FLAGS(&create), {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = begin(ctl, &create, flags, argc, argv, &args, 1, err);
        if (r < 0)
                return r;
        return cx_create_object(ctl, &create,
                                json_pack("{s:s,s:s,s:{s:s}}", "apiVersion", "v1", "kind", "ServiceAccount", "metadata",
                                          "name", args.items[0]),
                                err);
}

// --- services -------------------------------------------------------------------------------------------------------
// "80", "80:8080", "80:http"
static int parse_port(const char *text, int64_t node_port, json_t *ports, struct cx_error *err)
{
        const char *colon = strchr(text, ':');
        CX_CLEANUP(cx_freep) char *first = cx_strndup(text, colon ? (size_t)(colon - text) : strlen(text));
        int64_t port, target;
        if (cx_parse_int(first, 0, 65535, &port) < 0)
                return cx_error_set(err, -EINVAL, "strconv.ParseInt: parsing \"%s\": invalid syntax", first);
        json_t *entry = json_pack("{s:s,s:I,s:s}", "name", text, "port", (json_int_t)port, "protocol", "TCP");
        for (char *p = first; *p; p++)
                ;
        CX_CLEANUP(cx_freep) char *name = cx_strdup(text);
        for (char *p = name; *p; p++)
                if (*p == ':')
                        *p = '-';
        json_object_set_new(entry, "name", json_string(name));
        if (!colon)
                json_object_set_new(entry, "targetPort", json_integer(port));
        else if (cx_parse_int(colon + 1, 1, 65535, &target) == 0)
                json_object_set_new(entry, "targetPort", json_integer(target));
        else
                json_object_set_new(entry, "targetPort", json_string(colon + 1));
        if (node_port)
                json_object_set_new(entry, "nodePort", json_integer(node_port));
        json_array_append_new(ports, entry);
        return 0;
}

static int create_service(struct cx_ctl *ctl, int argc, char **argv, const char *type, struct cx_error *err)
{
        CREATE create = {0};
        CX_STRINGS args = CX_STRINGS_INIT, tcp = CX_STRINGS_INIT;
        const char *cluster_ip = NULL, *external = NULL;
        int64_t node_port = 0;
        const struct cx_flag flags[] = {
                CX_CREATE_FLAGS(&create),
                {"tcp", 0, CX_FLAG_CSV, &tcp, "PORT:TARGET pairs."},
                {"clusterip", 0, CX_FLAG_STRING, &cluster_ip, "The cluster IP, or None."},
                {"node-port", 0, CX_FLAG_INT, &node_port, "The node port.", NULL, NULL, 0, 65535},
                {"external-name", 0, CX_FLAG_STRING, &external, "The name that an ExternalName service stands for."},
                {0}};
        int r = begin(ctl, &create, flags, argc, argv, &args, 1, err);
        if (r < 0)
                return r;
        json_auto_t *ports = json_array();
        for (size_t i = 0; r == 0 && i < tcp.count; i++)
                r = parse_port(tcp.items[i], strcmp(type, "NodePort") == 0 ? node_port : 0, ports, err);
        if (r < 0)
                return r;
        if (!tcp.count && !cx_streq(cluster_ip, "None") && strcmp(type, "ExternalName") != 0)
                return cx_error_set(err, -EINVAL, "at least one tcp port specifier must be provided");
        json_auto_t *object =
                json_pack("{s:s,s:s,s:{s:s,s:{s:s}},s:{s:s,s:{s:s}},s:{s:{}}}", "apiVersion", "v1", "kind", "Service",
                          "metadata", "name", args.items[0], "labels", "app", args.items[0], "spec", "type", type,
                          "selector", "app", args.items[0], "status", "loadBalancer");
        json_t *spec = json_object_get(object, "spec");
        if (json_array_size(ports))
                json_object_set(spec, "ports", ports);
        if (cluster_ip)
                json_object_set_new(spec, "clusterIP", json_string(cluster_ip));
        if (strcmp(type, "ExternalName") == 0) {
                if (!external)
                        return cx_error_set(err, -EINVAL, "required flag(s) \"external-name\" not set");
                json_object_set_new(spec, "externalName", json_string(external));
        }
        return cx_create_object(ctl, &create, json_incref(object), err);
}

CX_COMMAND(create_service_clusterip)
{
        return create_service(ctl, argc, argv, "ClusterIP", err);
}

CX_COMMAND(create_service_nodeport)
{
        return create_service(ctl, argc, argv, "NodePort", err);
}

CX_COMMAND(create_service_loadbalancer)
{
        return create_service(ctl, argc, argv, "LoadBalancer", err);
}

CX_COMMAND(create_service_externalname)
{
        return create_service(ctl, argc, argv, "ExternalName", err);
}

CX_COMMAND(create_quota)
{
        CREATE create = {0};
        CX_STRINGS args = CX_STRINGS_INIT, hard = CX_STRINGS_INIT, scopes = CX_STRINGS_INIT;
        const struct cx_flag flags[] = {CX_CREATE_FLAGS(&create),
                                        {"hard", 0, CX_FLAG_CSV, &hard, "RESOURCE=QUANTITY pairs."},
                                        {"scopes", 0, CX_FLAG_CSV, &scopes, "Scopes of the quota."},
                                        {0}};
        int r = begin(ctl, &create, flags, argc, argv, &args, 1, err);
        if (r < 0)
                return r;
        json_auto_t *limits = json_object(), *list = json_array();
        for (size_t i = 0; i < hard.count; i++) {
                char *equals = strchr(hard.items[i], '=');
                if (!equals)
                        return cx_error_set(err, -EINVAL, "invalid argument syntax %s, expected <resource>=<value>",
                                            hard.items[i]);
                *equals = 0;
                json_object_set_new(limits, hard.items[i], json_string(equals + 1));
        }
        for (size_t i = 0; i < scopes.count; i++)
                json_array_append_new(list, json_string(scopes.items[i]));
        json_t *object = json_pack("{s:s,s:s,s:{s:s},s:{}}", "apiVersion", "v1", "kind", "ResourceQuota", "metadata",
                                   "name", args.items[0], "spec");
        if (hard.count)
                (void)cx_json_set(object, "spec.hard", json_incref(limits));
        if (scopes.count)
                (void)cx_json_set(object, "spec.scopes", json_incref(list));
        return cx_create_object(ctl, &create, object, err);
}

CX_COMMAND(create_priorityclass)
{
        CREATE create = {0};
        CX_STRINGS args = CX_STRINGS_INIT;
        int64_t value = 0;
        bool global = false;
        const char *description = NULL, *preemption = "PreemptLowerPriority";
        const struct cx_flag flags[] = {
                CX_CREATE_FLAGS(&create),
                {"value", 0, CX_FLAG_INT, &value, "The priority.", NULL, NULL, INT32_MIN, INT32_MAX},
                {"global-default", 0, CX_FLAG_BOOL, &global, "The class of pods that name none."},
                {"description", 0, CX_FLAG_STRING, &description, "When to use the class."},
                {"preemption-policy", 0, CX_FLAG_STRING, &preemption, "PreemptLowerPriority or Never."},
                {0}};
        int r = begin(ctl, &create, flags, argc, argv, &args, 1, err);
        if (r < 0)
                return r;
        json_t *object = json_pack("{s:s,s:s,s:{s:s},s:I,s:s}", "apiVersion", "scheduling.k8s.io/v1", "kind",
                                   "PriorityClass", "metadata", "name", args.items[0], "value", (json_int_t)value,
                                   "preemptionPolicy", preemption);
        if (global)
                json_object_set_new(object, "globalDefault", json_true());
        if (description)
                json_object_set_new(object, "description", json_string(description));
        return cx_create_object(ctl, &create, object, err);
}

CX_COMMAND(create_token)
{
        CX_STRINGS args = CX_STRINGS_INIT, audiences = CX_STRINGS_INIT;
        CX_OUTPUT output = {0};
        int64_t duration = 0;
        const char *kind = NULL, *name = NULL, *uid = NULL;
        const struct cx_flag flags[] = {
                CX_OUTPUT_FLAGS(&output),
                {"audience", 0, CX_FLAG_CSV, &audiences, "Audience of the token; may be repeated."},
                {"duration", 0, CX_FLAG_DURATION, &duration, "Lifetime of the token."},
                {"bound-object-kind", 0, CX_FLAG_STRING, &kind, "Kind of an object to bind the token to."},
                {"bound-object-name", 0, CX_FLAG_STRING, &name, "Name of the object."},
                {"bound-object-uid", 0, CX_FLAG_STRING, &uid, "UID of the object."},
                {0}};
        int r = cx_ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0)
                r = cx_output_parse(ctl, &output, err);
        if (r == 0)
                r = cx_ctl_connect(ctl, err);
        if (r < 0)
                return r;
        if (args.count != 1)
                return cx_ctl_usage_error(ctl, err, "exactly one NAME is required, got %zu", args.count);
        json_auto_t *request = json_pack("{s:s,s:s,s:{}}", "apiVersion", "authentication.k8s.io/v1", "kind",
                                         "TokenRequest", "spec"),
                    *answer = NULL;
        json_t *spec = json_object_get(request, "spec");
        for (size_t i = 0; i < audiences.count; i++)
                json_array_append_new(cx_json_array_at(spec, "audiences"), json_string(audiences.items[i]));
        if (duration)
                json_object_set_new(spec, "expirationSeconds", json_integer(duration / CX_NS_PER_S));
        if (kind) {
                json_t *bound = json_pack("{s:s,s:s,s:s}", "kind", kind, "apiVersion", "v1", "name", cx_str(name));
                if (uid)
                        json_object_set_new(bound, "uid", json_string(uid));
                json_object_set_new(spec, "boundObjectRef", bound);
        }
        CX_BUF path = CX_BUF_INIT, text = CX_BUF_INIT;
        cx_rest_path(&path,
                     CX_REF(.group = "", .version = "v1", .resource = "serviceaccounts", .namespace = ctl->namespace,
                            .name = args.items[0]),
                     "token");
        r = cx_ctl_json(ctl, "POST", path.data, NULL, request, &answer, err);
        if (r < 0) {
                if (err && cx_error_is(err, CX_REASON_NOT_FOUND))
                        err->reason = CX_REASON_UNKNOWN;
                return cx_error_wrap(err, "failed to create token");
        }
        const char *token = cx_json_string(answer, "status.token");
        if (!token)
                return cx_error_set(err, -EPROTO, "failed to create token: no token in server response");
        if (output.form == CX_OUTPUT_DEFAULT) {
                CX_OUT("%s\n", token);
                return 0;
        }
        r = cx_output_object(&output, answer, &text, err);
        fputs(text.data, stdout);
        return r;
}
