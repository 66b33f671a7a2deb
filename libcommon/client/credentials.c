// SPDX-License-Identifier: Apache-2.0
// From a kubeconfig's context (and kubectl's overriding flags), or from a pod's service account, to what a client needs.
#include "libcommon/client/kubeconfig.h"
#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"

#define MAX_FILE ((size_t)1 << 20)
#define SERVERS_EXTENSION "coxswain/servers"
#define MAX_SERVERS 16
#define POD_FOLDER "/var/run/secrets/kubernetes.io/serviceaccount"

static int read_text(const char *path, const char *what, char **ret_text, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(MAX_FILE);
        int r = cx_buf_read_file(&text, path);
        if (r < 0)
                return cx_error_set(err, r, "unable to read %s %s: %s", what, path, strerror(-r));
        free(*ret_text);
        *ret_text = cx_buf_detach(&text);
        return 0;
}

// Says whose file it is: the cluster's or the user's.
static int read_named(const char *path, const char *field, const char *owner, char **ret_text, struct cx_error *err)
{
        CX_ERROR why = CX_ERROR_INIT;
        int r = read_text(path, field, ret_text, &why);
        if (r < 0)
                cx_error_set(err, r, "unable to read %s %s for %s due to open %s: %s",
                             strcmp(field, "client-certificate") == 0 ? "client-cert" : field, path, cx_str(owner),
                             path, r == -ENOENT ? "no such file or directory" : cx_error_text(&why));
        return r;
}

// The contents named by `flag` (a file), or `field`-data, or `field` (a file) of a body.
static int read_pem(const char *flag, const json_t *body, const char *field, const char *owner, char **ret_pem,
                    char **ret_file, struct cx_error *err)
{
        if (flag) {
                *ret_file = cx_strdup(flag);
                return read_named(flag, field, owner, ret_pem, err);
        }
        char data_field[64];
        snprintf(data_field, sizeof data_field, "%s-data", field);
        const char *data = json_string_value(json_object_get(body, data_field));
        if (data && *data) {
                CX_BUF pem = CX_BUF_INIT_MAX(MAX_FILE);
                if (cx_base64_decode(data, strlen(data), &pem) < 0 || strlen(pem.data) != pem.length)
                        return cx_error_set(err, -EINVAL, "%s is not base64 of a PEM text", data_field);
                *ret_pem = cx_buf_detach(&pem);
                return 0;
        }
        const char *path = json_string_value(json_object_get(body, field));
        if (!path || !*path)
                return 0;
        *ret_file = cx_strdup(path);
        return read_named(path, field, owner, ret_pem, err);
}

static char *dup_field(const char *flag, const json_t *body, const char *field)
{
        const char *value = flag ? flag : json_string_value(json_object_get(body, field));
        return value && *value ? cx_strdup(value) : NULL;
}

static char *with_scheme(const char *server)
{
        bool has = cx_has_prefix(server, "http://") || cx_has_prefix(server, "https://");
        return cx_sprintf("%s%s", has ? "" : "https://", server);
}

// The extension coxswain/servers of a cluster: {servers: [URL, ...]}. Upstream's clients keep it, and leave it alone.
static int read_servers(const json_t *cluster, struct cx_strings *to, struct cx_error *err)
{
        const json_t *found = cx_json_find(json_object_get(cluster, "extensions"), "name", SERVERS_EXTENSION);
        const json_t *list = cx_json_get(found, "extension.servers");
        if (found && (!json_is_array(list) || json_array_size(list) > MAX_SERVERS))
                return cx_error_set(err, -EINVAL,
                                    "extension " SERVERS_EXTENSION
                                    " of a cluster: servers must be a list of at most %d URLs",
                                    MAX_SERVERS);
        size_t i;
        json_t *item;
        json_array_foreach ((json_t *)list, i, item) {
                const char *text = json_string_value(item);
                if (!text || !*text)
                        return cx_error_set(err, -EINVAL,
                                            "extension " SERVERS_EXTENSION " of a cluster: servers[%zu] is no URL", i);
                CX_CLEANUP(cx_freep) char *server = with_scheme(text);
                cx_strings_add(to, server);
        }
        return 0;
}

static int resolve_cluster(const struct cx_kubeconfig_overrides *flags, const char *name, const json_t *cluster,
                           struct cx_credentials *to, struct cx_error *err)
{
        to->server = dup_field(flags->server, cluster, "server");
        if (!to->server)
                to->server = cx_strdup("http://localhost:8080");
        char *whole = with_scheme(to->server);
        free(to->server);
        to->server = whole;
        if (!flags->server) {
                int r = read_servers(cluster, &to->servers, err);
                if (r < 0)
                        return r;
        }
        to->insecure = flags->insecure_skip_tls_verify || cx_json_bool(cluster, "insecure-skip-tls-verify", false);
        to->server_name = dup_field(flags->tls_server_name, cluster, "tls-server-name");
        if (to->insecure && !flags->certificate_authority)
                return 0;
        return read_pem(flags->certificate_authority, cluster, "certificate-authority", name, &to->ca_pem, &to->ca_file,
                        err);
}

static int resolve_user(const struct cx_kubeconfig_overrides *flags, const char *name, const json_t *user,
                        struct cx_credentials *to, struct cx_error *err)
{
        to->token = dup_field(flags->token, flags->username ? NULL : user, "token");
        if (!to->token)
                to->token_file = dup_field(NULL, user, "tokenFile");
        to->username = dup_field(flags->username, user, "username");
        to->password = dup_field(flags->password, user, "password");
        to->impersonate = dup_field(flags->as, user, "as");
        if (json_object_get(user, "exec") && !to->token)
                return cx_error_set(err, -ENOTSUP, "credential plugins (users[].user.exec) are not supported");
        int r = read_pem(flags->client_certificate, user, "client-certificate", name, &to->cert_pem, &to->cert_file,
                         err);
        if (r < 0)
                return r;
        return read_pem(flags->client_key, user, "client-key", name, &to->key_pem, &to->key_file, err);
}

int cx_kubeconfig_resolve(const struct cx_kubeconfig *config, const struct cx_kubeconfig_overrides *overrides,
                          struct cx_credentials *ret_credentials, struct cx_error *err)
{
        static const struct cx_kubeconfig_overrides none;
        const struct cx_kubeconfig_overrides *flags = overrides ? overrides : &none;
        const char *context_name = flags->context ? flags->context : cx_kubeconfig_current_context(config);
        const json_t *context = cx_kubeconfig_context(config, context_name);
        if (context_name && !context) {
                if (flags->context)
                        return cx_error_set(err, -ENOENT, "context \"%s\" does not exist", context_name);
                return cx_error_set(err, -ENOENT, "current-context \"%s\" was not found in the kubeconfig",
                                    context_name);
        }
        const char *cluster_name = flags->cluster ? flags->cluster : cx_json_string(context, "cluster");
        const char *user_name = flags->user ? flags->user : cx_json_string(context, "user");
        const json_t *cluster = cx_kubeconfig_cluster(config, cluster_name);
        const json_t *user = cx_kubeconfig_user(config, user_name);
        if (cluster_name && *cluster_name && !cluster)
                return cx_error_set(err, -ENOENT, "no server found for cluster \"%s\"", cluster_name);
        if (user_name && *user_name && !user)
                return cx_error_set(err, -ENOENT, "auth info \"%s\" does not exist", user_name);
        CX_CREDENTIALS credentials = CX_CREDENTIALS_INIT;
        int r = resolve_cluster(flags, cluster_name, cluster, &credentials, err);
        if (r == 0)
                r = resolve_user(flags, user_name, user, &credentials, err);
        if (r < 0)
                return r;
        credentials.namespace = dup_field(flags->namespace, context, "namespace");
        *ret_credentials = credentials;
        credentials = (struct cx_credentials)CX_CREDENTIALS_INIT;
        return 0;
}

int cx_credentials_in_cluster(struct cx_credentials *ret_credentials, struct cx_error *err)
{
        const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
        if (!host || !*host || !port || !*port)
                return cx_error_set(err, -ENOENT,
                                    "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and "
                                    "KUBERNETES_SERVICE_PORT must be defined");
        CX_CREDENTIALS credentials = CX_CREDENTIALS_INIT;
        int r = read_text(POD_FOLDER "/token", "token", &credentials.token, err);
        if (r == 0)
                r = read_text(POD_FOLDER "/ca.crt", "certificate-authority", &credentials.ca_pem, err);
        if (r < 0)
                return r;
        credentials.ca_file = cx_strdup(POD_FOLDER "/ca.crt");
        CX_ERROR ignored = CX_ERROR_INIT;
        if (read_text(POD_FOLDER "/namespace", "namespace", &credentials.namespace, &ignored) < 0)
                credentials.namespace = NULL;
        credentials.token_file = cx_strdup(POD_FOLDER "/token");
        bool v6 = strchr(host, ':') != NULL;
        credentials.server = cx_sprintf("https://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port);
        *ret_credentials = credentials;
        credentials = (struct cx_credentials)CX_CREDENTIALS_INIT;
        return 0;
}

void cx_credentials_release(struct cx_credentials *credentials)
{
        free(credentials->server);
        cx_strings_release(&credentials->servers);
        free(credentials->ca_file);
        free(credentials->cert_file);
        free(credentials->key_file);
        free(credentials->namespace);
        free(credentials->ca_pem);
        free(credentials->cert_pem);
        if (credentials->key_pem)
                explicit_bzero(credentials->key_pem, strlen(credentials->key_pem));
        free(credentials->key_pem);
        free(credentials->token);
        free(credentials->token_file);
        free(credentials->username);
        free(credentials->password);
        free(credentials->server_name);
        free(credentials->impersonate);
        *credentials = (struct cx_credentials)CX_CREDENTIALS_INIT;
}
