// SPDX-License-Identifier: Apache-2.0
// create configmap and secret: data from literals, files, folders and files of KEY=VALUE lines.
#include "kubectl/cmd/commands.h"
#include "libcommon/api/names.h"
#include "libcommon/base/process.h"
#include "libcommon/format/base64.h"
#include "libcommon/net/pki.h"

#include <dirent.h>
#include <sys/stat.h>

struct data_sources {
        struct cx_strings literals, files, env_files;
        bool secret, append_hash;
};

static int add_data(const struct data_sources *from, json_t *object, const char *key, const char *data, size_t length,
                    struct cx_error *err)
{
        const char *why = cx_check_config_key(key);
        json_t *map = cx_json_object_at(object, "data"), *binary = json_object_get(object, "binaryData");
        if (why)
                return cx_error_set(
                        err, -EINVAL, "\"%s\" is not %s %s", key,
                        from->secret ? "valid key name for a Secret" : "a valid key name for a ConfigMap:", why);
        if (json_object_get(map, key) || json_object_get(binary, key))
                return cx_error_set(
                        err, -EEXIST,
                        "cannot add key \"%s\", another key by that name already exists in Data for %s \"%s\"", key,
                        from->secret ? "Secret" : "ConfigMap", cx_json_string_or(object, "metadata.name", ""));
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
                if (strchr(equals + 1, '='))
                        return cx_error_set(err, -EINVAL, "key names or file paths cannot contain '='");
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
                // Stricter than the API, which takes any printable name.
                size_t good = strspn(line, "-._abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
                if (line[good] || (*line >= '0' && *line <= '9') || !*line)
                        return cx_error_set(err, -EINVAL,
                                            "\"%s\" is not a valid key name: a valid environment variable name must "
                                            "consist of alphabetic characters, digits, '_', '-', or '.', and must not "
                                            "start with a digit (e.g. 'my.env-name',  or 'MY_ENV.NAME',  or "
                                            "'MyEnvName1', regex used for validation is '[-._a-zA-Z][-._a-zA-Z0-9]*')",
                                            line);
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
#define HASH_FLAG(from)                                                                                                \
        {                                                                                                              \
                "append-hash", 0, CX_FLAG_BOOL, &(from)->append_hash, "Append a hash of the content to the name."      \
        }
#define SOURCE_FLAGS(from)                                                                                             \
        {"from-literal", 0, CX_FLAG_LIST, &(from)->literals, "KEY=VALUE; may be repeated."},                           \
                {"from-file", 0, CX_FLAG_CSV, &(from)->files, "[KEY=]FILE, or a folder; may be repeated."},            \
                {"from-env-file", 0, CX_FLAG_CSV, &(from)->env_files, "File of KEY=VALUE lines."}, HASH_FLAG(from)

// The suffix that kustomize gives: ten letters of the SHA-256 of the content without its name.
static void append_hash(json_t *object)
{
        const char *kind = cx_json_string_or(object, "kind", ""),
                   *name = cx_json_string_or(object, "metadata.name", "");
        json_auto_t *content = json_pack("{s:s,s:s}", "kind", kind, "name", "");
        const json_t *data = json_object_get(object, "data"), *binary = json_object_get(object, "binaryData");
        json_object_set_new(content, "data",
                            data                          ? json_deep_copy(data)
                            : strcmp(kind, "Secret") == 0 ? json_null()
                                                          : json_string(""));
        if (json_object_size(binary))
                json_object_set_new(content, "binaryData", json_deep_copy(binary));
        if (strcmp(kind, "Secret") == 0)
                json_object_set_new(content, "type", json_string(cx_json_string_or(object, "type", "Opaque")));
        CX_BUF text = CX_BUF_INIT;
        char digest[65];
        json_dump_escaped(content, JSON_COMPACT, &text);
        cx_sha256_hex(text.data, text.length, digest);
        for (char *p = digest; *p; p++) {
                static const char from[] = "013ae", to[] = "ghkmt"; // no vowels, no digits that look like letters
                const char *found = strchr(from, *p);
                if (found)
                        *p = to[found - from];
        }
        CX_CLEANUP(cx_freep) char *whole = cx_sprintf("%s-%.10s", name, digest);
        (void)cx_json_set(object, "metadata.name", json_string(whole));
}

COMMAND(create_configmap)
{
        CREATE create = {0};
        CX_CLEANUP(release_sources) struct data_sources from = {0};
        const struct cx_flag flags[] = {CREATE_FLAGS(&create), SOURCE_FLAGS(&from), {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = create_begin(ctl, &create, flags, NULL, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        json_auto_t *object = json_pack("{s:s,s:s,s:{s:s}}", "apiVersion", "v1", "kind", "ConfigMap", "metadata",
                                        "name", args.items[0]);
        r = fill_data(&from, object, err);
        if (r == 0 && from.append_hash)
                append_hash(object);
        return r < 0 ? r : ctl_create_object(ctl, &create, json_incref(object), err);
}

COMMAND(create_secret_generic)
{
        CREATE create = {0};
        CX_CLEANUP(release_sources) struct data_sources from = {.secret = true};
        const char *type = NULL;
        const struct cx_flag flags[] = {CREATE_FLAGS(&create),
                                        SOURCE_FLAGS(&from),
                                        {"type", 0, CX_FLAG_STRING, &type, "The type of the secret."},
                                        {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = create_begin(ctl, &create, flags, NULL, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        json_auto_t *object =
                json_pack("{s:s,s:s,s:{s:s}}", "apiVersion", "v1", "kind", "Secret", "metadata", "name", args.items[0]);
        if (type)
                json_object_set_new(object, "type", json_string(type));
        r = fill_data(&from, object, err);
        if (r == 0 && from.append_hash)
                append_hash(object);
        return r < 0 ? r : ctl_create_object(ctl, &create, json_incref(object), err);
}

static int read_pem(const char *path, struct cx_buf *to, struct cx_error *err)
{
        int r = cx_buf_read_file(to, path);
        return r < 0 ? cx_error_set(err, r, "Cannot read file %s, open %s: %s", path, path,
                                    r == -ENOENT ? "no such file or directory" : strerror(-r))
                     : 0;
}

// The key must be the certificate's.
static int check_pair(const char *cert, const char *key, struct cx_error *err)
{
        EVP_PKEY *public_key = NULL, *private_key = NULL;
        int r = 0;
        if (!strstr(cert, "-----BEGIN "))
                return cx_error_set(err, -EINVAL, "tls: failed to find any PEM data in certificate input");
        if (!strstr(key, "-----BEGIN "))
                return cx_error_set(err, -EINVAL, "tls: failed to find any PEM data in key input");
        if (!strstr(cert, "-----BEGIN CERTIFICATE-----"))
                return cx_error_set(err, -EINVAL,
                                    "tls: failed to find certificate PEM data in certificate input, but did find a "
                                    "private key; PEM inputs may have been switched");
        if (cx_pki_load_public_key(cert, &public_key, NULL) < 0)
                return cx_error_set(err, -EINVAL, "x509: malformed certificate");
        if (cx_pki_load_private_key(key, &private_key, NULL) < 0)
                r = cx_error_set(err, -EINVAL, "tls: failed to parse private key");
        else if (EVP_PKEY_eq(public_key, private_key) != 1)
                r = cx_error_set(err, -EINVAL, "tls: private key does not match public key");
        EVP_PKEY_free(public_key);
        EVP_PKEY_free(private_key);
        return r;
}

COMMAND(create_secret_tls)
{
        CREATE create = {0};
        const char *cert = NULL, *key = NULL;
        CX_CLEANUP(release_sources) struct data_sources from = {.secret = true};
        const struct cx_flag flags[] = {CREATE_FLAGS(&create),
                                        HASH_FLAG(&from),
                                        {"cert", 0, CX_FLAG_STRING, &cert, "Path to the PEM certificate."},
                                        {"key", 0, CX_FLAG_STRING, &key, "Path to the PEM key."},
                                        {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        CX_BUF certificate = CX_BUF_INIT_MAX(4 << 20), private_key = CX_BUF_INIT_MAX(4 << 20);
        int r = create_begin(ctl, &create, flags, NULL, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        if (!cert || !key)
                return cx_error_set(err, -EINVAL, "key and cert must be specified");
        json_auto_t *object = json_pack("{s:s,s:s,s:{s:s},s:s}", "apiVersion", "v1", "kind", "Secret", "metadata",
                                        "name", args.items[0], "type", "kubernetes.io/tls");
        r = read_pem(cert, &certificate, err);
        if (r == 0)
                r = read_pem(key, &private_key, err);
        if (r == 0)
                r = check_pair(certificate.data, private_key.data, err);
        if (r == 0)
                r = add_data(&from, object, "tls.crt", certificate.data, certificate.length, err);
        if (r == 0)
                r = add_data(&from, object, "tls.key", private_key.data, private_key.length, err);
        if (r == 0 && from.append_hash)
                append_hash(object);
        return r < 0 ? r : ctl_create_object(ctl, &create, json_incref(object), err);
}

COMMAND(create_secret_registry)
{
        CREATE create = {0};
        const char *server = "https://index.docker.io/v1/", *user = NULL, *password = NULL, *email = NULL;
        CX_CLEANUP(release_sources) struct data_sources from = {.secret = true};
        const struct cx_flag flags[] = {
                CREATE_FLAGS(&create),
                {"docker-server", 0, CX_FLAG_STRING, &server, "Address of the registry."},
                {"docker-username", 0, CX_FLAG_STRING, &user, "User name."},
                {"docker-password", 0, CX_FLAG_STRING, &password, "Password."},
                {"docker-email", 0, CX_FLAG_STRING, &email, "E-mail address."},
                HASH_FLAG(&from),
                {"from-file", 0, CX_FLAG_CSV, &from.files, "A file of the docker client's config."},
                {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = create_begin(ctl, &create, flags, NULL, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        json_auto_t *object = json_pack("{s:s,s:s,s:{s:s},s:s}", "apiVersion", "v1", "kind", "Secret", "metadata",
                                        "name", args.items[0], "type", "kubernetes.io/dockerconfigjson");
        if (from.files.count) {
                const char *file = from.files.items[0], *equals = strchr(file, '=');
                r = add_file(&from, object, ".dockerconfigjson", equals ? equals + 1 : file, err);
                if (r == 0 && from.append_hash)
                        append_hash(object);
                return r < 0 ? r : ctl_create_object(ctl, &create, json_incref(object), err);
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
        if (r == 0 && from.append_hash)
                append_hash(object);
        return r < 0 ? r : ctl_create_object(ctl, &create, json_incref(object), err);
}
