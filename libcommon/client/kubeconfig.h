// SPDX-License-Identifier: Apache-2.0
// kubeconfig files: loading (one file, the $KUBECONFIG list merged, or the pod's own credentials), resolving a context to
// what a client needs, and editing with an atomic save that keeps what it does not know. Not for sharing between threads.
#pragma once

#include "libcommon/base/error.h"
#include "libcommon/base/strings.h"

#include <jansson.h>

struct cx_kubeconfig {
        struct cx_kubeconfig_file {
                char *path;
                json_t *document; // the file as it is: a Config object
                bool exists, changed;
        } * files; // first one wins when several set the same
        size_t n_files;
        json_t *merged; // one Config; the entries are those of the files (shared, do not edit)
};
#define CX_KUBECONFIG_INIT                                                                                             \
        {                                                                                                              \
                0                                                                                                      \
        }
#define CX_KUBECONFIG CX_CLEANUP(cx_kubeconfig_release) struct cx_kubeconfig

// `path` NULL: $KUBECONFIG (missing files are skipped), else ~/.kube/config. With an explicit path the file must exist
// unless `may_be_missing`.
int cx_kubeconfig_load(const char *path, bool may_be_missing, struct cx_kubeconfig *ret_config, struct cx_error *err)
        CX_CHECK;
int cx_kubeconfig_parse(const char *text, size_t length, struct cx_kubeconfig *ret_config, struct cx_error *err)
        CX_CHECK;
void cx_kubeconfig_release(struct cx_kubeconfig *config);

const char *cx_kubeconfig_current_context(const struct cx_kubeconfig *config); // NULL when none
// The body of a named entry ("clusters"/"cluster", "users"/"user", "contexts"/"context"); borrowed or NULL.
const json_t *cx_kubeconfig_cluster(const struct cx_kubeconfig *config, const char *name);
const json_t *cx_kubeconfig_user(const struct cx_kubeconfig *config, const char *name);
const json_t *cx_kubeconfig_context(const struct cx_kubeconfig *config, const char *name);

// Edits: in the file that has the entry, else in the first. `body` is stolen; NULL removes the entry (false when there was
// none). cx_kubeconfig_save then writes the changed files (mode 0600, parent folder made, lock file beside as upstream).
bool cx_kubeconfig_set(struct cx_kubeconfig *config, const char *list, const char *name, json_t *body_steal);
void cx_kubeconfig_set_current(struct cx_kubeconfig *config, const char *context); // NULL unsets
int cx_kubeconfig_save(struct cx_kubeconfig *config, struct cx_error *err) CX_CHECK;

// What a client needs, with the files read. All owned, all may be NULL but server.
struct cx_credentials {
        char *server, *namespace;  // namespace of the context; NULL when it sets none
        struct cx_strings servers; // further ones that are as good (the cluster's extension coxswain/servers)
        char *ca_pem, *cert_pem, *key_pem;
        char *ca_file, *cert_file, *key_file; // where these are from; NULL: from the kubeconfig itself
        char *token, *token_file, *username, *password;
        char *server_name, *impersonate;
        bool insecure;
};
#define CX_CREDENTIALS_INIT                                                                                            \
        {                                                                                                              \
                0                                                                                                      \
        }
#define CX_CREDENTIALS CX_CLEANUP(cx_credentials_release) struct cx_credentials
struct cx_kubeconfig_overrides { // kubectl's flags of these names; all may be NULL
        const char *context, *cluster, *user, *server, *token, *username, *password, *namespace;
        const char *certificate_authority, *client_certificate, *client_key, *tls_server_name, *as;
        bool insecure_skip_tls_verify;
};
int cx_kubeconfig_resolve(const struct cx_kubeconfig *config, const struct cx_kubeconfig_overrides *overrides,
                          struct cx_credentials *ret_credentials, struct cx_error *err) CX_CHECK;
// From /var/run/secrets/kubernetes.io/serviceaccount and KUBERNETES_SERVICE_HOST/PORT. -ENOENT when not in a pod.
int cx_credentials_in_cluster(struct cx_credentials *ret_credentials, struct cx_error *err) CX_CHECK;
void cx_credentials_release(struct cx_credentials *credentials);
