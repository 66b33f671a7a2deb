// SPDX-License-Identifier: Apache-2.0
// The process-wide context of kube-apiserver and the call: one request on its way through the chain.
#pragma once

#include "apiserver/request_info.h"
#include "apiserver/storage/store.h"
#include "libcommon/base/map.h"
#include "libcommon/net/http_server.h"
#include "libcommon/schema/engine.h"

struct token_service;
struct rbac;
struct kubelet_client;
struct watch_reaper;
struct cx_metrics;
struct cx_metric;

struct apiserver_options {
        const char *bind_address, *advertise_address;
        int64_t secure_port;
        struct cx_strings etcd_servers;
        const char *etcd_ca_file, *etcd_cert_file, *etcd_key_file;
        const char *tls_cert_file, *tls_key_file, *client_ca_file;
        struct cx_strings service_account_key_files;
        const char *service_account_signing_key_file, *service_account_issuer;
        struct cx_strings api_audiences;
        const char *service_cluster_ip_range, *service_node_port_range;
        struct cx_strings authorization_modes, enable_admission, disable_admission;
        const char *kubelet_client_cert_file, *kubelet_client_key_file, *kubelet_ca_file;
        const char *token_auth_file;
        bool enable_bootstrap_token_auth, anonymous_auth, allow_privileged;
        int64_t event_ttl, min_request_timeout, max_request_bytes, service_account_max_token_expiration;
};

struct apiserver {
        struct apiserver_options options;
        struct cx_etcd *etcd;
        struct store *store;
        struct token_service *tokens;
        struct rbac *rbac;
        struct kubelet_client *kubelets;
        struct watch_reaper *watches;
        struct relays *relays;
        struct cx_metrics *metrics;
        struct cx_metric *requests, *durations; // apiserver_request_total, apiserver_request_duration_seconds
        struct cx_http_server *server;
        uint32_t service_network, service_mask; // host order
        int node_port_first, node_port_last;
        int64_t repair_revision; // store revision of the last allocator repair; keeper's
        atomic_bool stopping;
        atomic_bool ready;
        pthread_mutex_t documents_lock;
        struct cx_map documents; // OpenAPI and the like, made on first use; under documents_lock
};

struct user {
        char *name, *uid;
        struct cx_strings groups;
        json_t *extra; // object of arrays of strings, or NULL
};
#define USER_INIT                                                                                                      \
        {                                                                                                              \
                0                                                                                                      \
        }
void user_release(struct user *user);
bool user_in_group(const struct user *user, const char *group);

struct call {
        struct apiserver *api;
        struct cx_http_request *request;
        struct request_info info;
        struct user user;
        const struct cx_resource *resource;       // NULL for non-resource paths
        const struct cx_subresource *subresource; // NULL for the resource itself
        bool dry_run;
        bool no_page;  // nothing of the API has this path
        bool applying; // server-side apply: the object comes with the managedFields that it is to have
        enum cx_field_validation field_validation;
        struct cx_strings warnings;
        struct cx_duplicates duplicates; // keys that the body has twice
        struct waiter waiter;            // of a read that waits for the cache
};
void call_free(void *call);

// Not found, forbidden and the like about the call's object, with upstream's sentences: `pods "x" not found`.
int call_not_found(const struct call *call, const char *name, struct cx_error *err);
int call_forbidden(const struct call *call, const char *name, const char *why, struct cx_error *err);
// "pods" or "deployments.apps": how upstream names a resource in messages.
void qualified_resource(const struct cx_resource *resource, char to[512]);
