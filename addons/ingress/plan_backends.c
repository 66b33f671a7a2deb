// SPDX-License-Identifier: Apache-2.0
// From a Service's port to the addresses of its pods.
#include "addons/ingress/plan_internal.h"
#include "libcommon/base/buf.h"

static void free_objects(void *objects)
{
        cx_objects_release(objects);
        free(objects);
}

void plan_index(struct plan_builder *b)
{
        b->slices.free_value = free_objects;
        for (size_t i = 0; i < b->input->services->count; i++)
                cx_map_set(&b->services, b->input->services->items[i]->key, (void *)b->input->services->items[i]);
        for (size_t i = 0; i < b->input->slices->count; i++) {
                const char *service = TARGET_SLICE(b->input->slices->items[i])->service;
                if (!service)
                        continue;
                struct cx_objects *list = cx_map_get(&b->slices, service);
                if (!list)
                        cx_map_set(&b->slices, service, list = cx_alloc(sizeof *list));
                cx_objects_add(list, b->input->slices->items[i]);
        }
}

static void add_endpoints(const struct target_slice *slice, const char *port_name, bool ready, struct cx_strings *to)
{
        char text[CX_ENDPOINT_TEXT];
        for (size_t i = 0; i < slice->n_ports; i++)
                for (size_t j = 0; strcmp(slice->ports[i].name, port_name) == 0 && j < slice->n_endpoints; j++) {
                        const struct target_endpoint *endpoint = &slice->endpoints[j];
                        if (ready ? endpoint->ready : endpoint->serving)
                                cx_strings_add(to,
                                               cx_address_format_port(&endpoint->address, slice->ports[i].port, text));
                }
}

static void keep_once(struct cx_strings *list)
{
        size_t kept = 0;
        cx_strings_sort(list);
        for (size_t i = 0; i < list->count; i++) {
                if (kept && strcmp(list->items[kept - 1], list->items[i]) == 0)
                        free(list->items[i]);
                else
                        list->items[kept++] = list->items[i];
        }
        list->count = kept;
}

// Those that are ready; when none is, those that still serve while they end.
static void find_servers(const struct plan_builder *b, const char *service, const char *port_name,
                         struct cx_strings *to)
{
        const struct cx_objects *slices = cx_map_get(&b->slices, service);
        for (int ready = 1; slices && !to->count && ready >= 0; ready--)
                for (size_t i = 0; i < slices->count; i++)
                        add_endpoints(TARGET_SLICE(slices->items[i]), port_name, ready, to);
        keep_once(to);
}

static const struct target_port *find_port(const struct target_service *target, const struct backend_ref *ref)
{
        for (size_t i = 0; i < target->n_ports; i++) {
                const struct target_port *port = &target->ports[i];
                if (ref->port_name ? strcmp(port->name, ref->port_name) == 0 : !ref->port || port->port == ref->port)
                        return port;
        }
        return NULL;
}

void plan_backend_free(void *value)
{
        struct plan_backend *backend = value;
        free(backend->key);
        free(backend->profile);
        cx_strings_release(&backend->servers);
        free(backend);
}

static const struct plan_backend *backend_for(struct plan_builder *b, const char *service,
                                              const struct target_port *port)
{
        bool tls = b->settings && b->settings->tls_backend, http2 = b->settings && b->settings->http2_backend;
        CX_CLEANUP(cx_freep)
        char *key = cx_sprintf("%s:%d%s%s%s%s", service, port->port, tls ? " tls" : "", http2 ? " http2" : "",
                               b->profile ? " " : "", cx_str(b->profile));
        struct plan_backend *backend = cx_map_get(&b->plan->backends, key);
        if (backend)
                return backend;
        backend = cx_alloc(sizeof *backend);
        backend->profile = cx_strdup(cx_str(b->profile));
        backend->tls = tls;
        backend->http2 = http2;
        find_servers(b, service, port->name, &backend->servers);
        cx_map_set(&b->plan->backends, key, backend);
        backend->key = cx_steal(&key);
        return backend;
}

const struct plan_backend *plan_resolve(struct plan_builder *b, const char *namespace, const struct backend_ref *ref,
                                        const char *where)
{
        if (!ref->service) {
                if (ref->resource)
                        plan_complain(b, "ResourceBackend",
                                      "%s: only Services are supported as backends; its requests get 503", where);
                return NULL;
        }
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s/%s", namespace, ref->service);
        const struct cx_object *service = cx_map_get(&b->services, key);
        cx_map_set(&b->plan->services, key, NULL);
        if (!service) {
                plan_complain(b, "ServiceNotFound", "%s: there is no Service %s; its requests get 503", where, key);
                return NULL;
        }
        if (TARGET(service)->external_name) {
                plan_complain(
                        b, "ExternalName",
                        "%s: the Service %s is of type ExternalName, which could lead anywhere inside the cluster: "
                        "its requests get 503",
                        where, key);
                return NULL;
        }
        const struct target_port *port = find_port(TARGET(service), ref);
        if (!port) {
                CX_CLEANUP(cx_freep) char *number = cx_sprintf("%d", ref->port);
                plan_complain(b, "PortNotFound", "%s: the Service %s has no TCP port %s; its requests get 503", where,
                              key, ref->port_name ? ref->port_name : number);
                return NULL;
        }
        return backend_for(b, key, port);
}
