// SPDX-License-Identifier: Apache-2.0
// API groups and versions that other servers serve: the APIServices that name a Service. Requests to them are passed on in
// the name of who asks (aggregate.c), their documents become part of ours (aggregate_documents.c), and a thread looks
// whether they answer (api_service_check.c). What this server serves itself it goes on to serve.
#pragma once

#include "apiserver/endpoints/backend.h"

struct api_services;

// One of them. Its description never changes: an APIService that is changed becomes another one. What the checks found is
// guarded by the lock.
struct api_service {
        atomic_int references;
        char *name, *group, *version;
        char *uid;
        json_t *spec;
        int64_t group_priority, version_priority;
        char *ca_pem; // NULL: the system's authorities
        char *server_name;
        bool insecure;
        struct service_ref at; // its parts are owned
        struct kept_client *client;
        pthread_mutex_t lock; // guards what follows
        int64_t next_check;   // monotonic ns
        bool available, placed;
        json_t *discovery;  // one version of apidiscovery.k8s.io/v2; NULL: not known yet
        json_t *openapi_v2; // NULL: none
        char *openapi_tag;  // its ETag; NULL: none
        char *openapi_v3;   // the URL of its document in the index; NULL: none
};
void api_service_unref(struct api_service *service);
CX_DEFINE_CLEANUP(struct api_service, api_service_unrefp, api_service_unref)
#define API_SERVICE CX_CLEANUP(api_service_unrefp) struct api_service

struct api_services *api_services_new(struct apiserver *api);
void api_services_free(struct api_services *services);

// The one that serves the group and version; new reference or NULL. Does not block.
struct api_service *api_services_find(struct api_services *services, const char *group, const char *version);
// All of them, by group, in the order of discovery: the more important group first, then the more important version.
struct api_service_list {
        struct api_service **items; // references
        size_t count;
};
void api_services_list(struct api_services *services, struct api_service_list *ret_list);
void api_service_list_release(struct api_service_list *list);
#define API_SERVICE_LIST CX_CLEANUP(api_service_list_release) struct api_service_list

// The client that the service is asked by; backend_client_unref gives it back.
int api_service_client(struct apiserver *api, struct api_service *service, struct backend_client **ret_client,
                       struct cx_error *err) CX_CHECK;
// Where it is now: "https://ADDRESS:PORT", owned by the caller; NULL when nobody is there. Takes no time.
char *api_service_url(struct apiserver *api, const struct api_service *service);
bool api_service_is_available(struct api_service *service);

// api_service_check.c: looks after all of them, from now on until it is stopped.
struct api_service_checks;
struct api_service_checks *api_service_checks_start(struct apiserver *api);
void api_service_checks_stop(struct api_service_checks *checks);
