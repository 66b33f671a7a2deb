// SPDX-License-Identifier: Apache-2.0
// Finds the pods behind a Service, with their addresses and ports, for Endpoints and EndpointSlices.
#include "controller-manager/endpoints/endpoints.h"

#include "libcommon/api/pod.h"
#include "libcommon/api/selector.h"

static void take_port(struct pod_address *address, const json_t *port)
{
        const char *name = cx_json_string(port, "name");
        if (!name)
                return;
        address->ports = cx_realloc_array(address->ports, address->n_ports + 1, sizeof *address->ports);
        address->ports[address->n_ports++] =
                (struct named_port){cx_strdup(name), cx_strdup(cx_json_string_or(port, "protocol", "TCP")),
                                    (int)cx_json_int(port, "containerPort", 0)};
}

static void take_address(void *part, const json_t *pod)
{
        struct pod_address *address = part;
        const json_t *spec = json_object_get(pod, "spec"), *status = json_object_get(pod, "status");
        address->hostname = cx_strdup(cx_json_string(spec, "hostname"));
        address->subdomain = cx_strdup(cx_json_string(spec, "subdomain"));
        size_t i;
        json_t *entry;
        json_array_foreach (json_object_get(status, "podIPs"), i, entry) {
                const char *ip = cx_json_string(entry, "ip");
                if (ip)
                        cx_strings_add(&address->ips, ip);
        }
        const char *ip = cx_json_string(status, "podIP");
        if (!address->ips.count && ip && *ip)
                cx_strings_add(&address->ips, ip);
        CX_POD_FOREACH(walk, spec, CX_POD_TEMPLATE)
        {
                if (walk.list == CX_POD_INIT && !cx_container_is_sidecar(walk.container))
                        continue;
                json_array_foreach (json_object_get(walk.container, "ports"), i, entry)
                        take_port(address, entry);
        }
}

static void release_address(void *part)
{
        struct pod_address *address = part;
        free(address->hostname);
        free(address->subdomain);
        cx_strings_release(&address->ips);
        for (size_t i = 0; i < address->n_ports; i++) {
                free(address->ports[i].name);
                free(address->ports[i].protocol);
        }
        free(address->ports);
}

const struct object_part pod_address_part = {sizeof(struct pod_address), take_address, release_address};

struct cx_informer *endpoints_pods(struct manager *manager)
{
        manager_part_informer(manager, "", "pods", &pod_address_part);
        return pods_informer(manager);
}

bool service_is_selecting(const json_t *service)
{
        return json_object_size(cx_json_get(service, "spec.selector")) > 0 &&
               !cx_streq(cx_json_string(service, "spec.type"), "ExternalName");
}

bool service_is_headless(const json_t *service)
{
        return cx_streq(cx_json_string(service, "spec.clusterIP"), "None");
}

json_t *service_families(const json_t *service)
{
        json_t *families = cx_json_get(service, "spec.ipFamilies");
        if (json_array_size(families))
                return json_deep_copy(families);
        const char *ip = cx_json_string_or(service, "spec.clusterIP", "");
        return json_pack("[s]", strchr(ip, ':') ? "IPv6" : "IPv4");
}

static int resolve_port(const struct pod_address *address, const json_t *port)
{
        const json_t *target = json_object_get(port, "targetPort");
        const char *protocol = cx_json_string_or(port, "protocol", "TCP"), *name = json_string_value(target);
        if (!name) {
                int64_t number = json_integer_value(target);
                return (int)(number ? number : cx_json_int(port, "port", 0));
        }
        for (size_t i = 0; i < address->n_ports; i++)
                if (cx_streq(address->ports[i].name, name) && cx_streq(address->ports[i].protocol, protocol))
                        return address->ports[i].port;
        return -1;
}

static char *resolve_ports(const struct pod_address *address, const json_t *service)
{
        json_auto_t *ports = json_array();
        size_t i;
        json_t *port;
        json_array_foreach (cx_json_get(service, "spec.ports"), i, port) {
                int number = resolve_port(address, port);
                if (number < 0)
                        continue;
                json_t *entry = json_pack("{s:s, s:i, s:s}", "name", cx_json_string_or(port, "name", ""), "port",
                                          number, "protocol", cx_json_string_or(port, "protocol", "TCP"));
                if (json_object_get(port, "appProtocol"))
                        json_object_set(entry, "appProtocol", json_object_get(port, "appProtocol"));
                json_array_append_new(ports, entry);
        }
        return cx_json_text(ports);
}

static const char *ip_of_family(const struct pod_address *address, const char *family)
{
        bool v6 = cx_streq(family, "IPv6");
        for (size_t i = 0; i < address->ips.count; i++)
                if ((strchr(address->ips.items[i], ':') != NULL) == v6)
                        return address->ips.items[i];
        return NULL;
}

static int compare_backends(const void *a, const void *b)
{
        const struct pod_backend *x = a, *y = b;
        int order = strcmp(x->ports, y->ports);
        return order ? order : strcmp(x->ip, y->ip) ? strcmp(x->ip, y->ip) : strcmp(x->pod->uid, y->pod->uid);
}

void backends_find(const struct cx_informer *pods, const json_t *service, const char *family, struct pod_backends *ret)
{
        *ret = (struct pod_backends){0};
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        cx_selector_from_map(cx_json_get(service, "spec.selector"), &selector);
        CX_OBJECTS all = CX_OBJECTS_INIT;
        cx_informer_list(pods, cx_json_string(service, "metadata.namespace"), &all);
        bool publish = cx_json_bool(service, "spec.publishNotReadyAddresses", false);
        bool headless = service_is_headless(service), portless = !cx_json_count(service, "spec.ports");
        for (size_t i = 0; i < all.count; i++) {
                const struct cx_object *pod = all.items[i];
                bool ready = POD_STATE(pod)->ready;
                const char *ip = ip_of_family(POD_ADDRESS(pod), family);
                if (!ip || pod_is_terminal(pod) || !cx_object_matches(pod, &selector))
                        continue;
                CX_CLEANUP(cx_freep) char *ports = resolve_ports(POD_ADDRESS(pod), service);
                if (strcmp(ports, "[]") == 0 && !(headless && portless))
                        continue;
                cx_objects_add(&ret->pods, pod);
                ret->items = cx_realloc_array(ret->items, ret->count + 1, sizeof *ret->items);
                bool terminating = pod->deleted != 0;
                ret->items[ret->count++] = (struct pod_backend){.pod = pod,
                                                                .ip = ip,
                                                                .ready = (ready && !terminating) || publish,
                                                                .serving = ready,
                                                                .terminating = terminating,
                                                                .ports = cx_steal(&ports)};
        }
        if (ret->count)
                qsort(ret->items, ret->count, sizeof *ret->items, compare_backends);
}

void backends_release(struct pod_backends *backends)
{
        for (size_t i = 0; i < backends->count; i++)
                free(backends->items[i].ports);
        free(backends->items);
        cx_objects_release(&backends->pods);
}

// Whether the two versions of a pod look the same in endpoints.
static bool same_to_services(const struct cx_object *a, const struct cx_object *b)
{
        const struct pod_state *x = POD_STATE(a), *y = POD_STATE(b);
        const struct cx_strings *ips = &POD_ADDRESS(a)->ips, *others = &POD_ADDRESS(b)->ips;
        if (x->ready != y->ready || x->phase != y->phase || !a->deleted != !b->deleted || !cx_streq(x->node, y->node) ||
            ips->count != others->count || !cx_object_same_labels(a, b))
                return false;
        for (size_t i = 0; i < ips->count; i++)
                if (strcmp(ips->items[i], others->items[i]) != 0)
                        return false;
        return true;
}

void endpoints_on_pod(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct endpoints_watch *watch = context;
        const struct cx_object *pod = now ? now : old;
        if (!pod || (old && now && same_to_services(old, now)))
                return;
        if (!POD_ADDRESS(pod)->ips.count && !(old && POD_ADDRESS(old)->ips.count))
                return;
        CX_OBJECTS services = CX_OBJECTS_INIT;
        cx_informer_list(watch->services, pod->namespace, &services);
        for (size_t i = 0; i < services.count; i++) {
                json_auto_t *service = cx_object_json(services.items[i]);
                if (!service_is_selecting(service))
                        continue;
                CX_SELECTOR selector = CX_SELECTOR_INIT;
                cx_selector_from_map(cx_json_get(service, "spec.selector"), &selector);
                if (cx_object_matches(pod, &selector) || (old && cx_object_matches(old, &selector)))
                        cx_workqueue_add(watch->queue, services.items[i]->key);
        }
}

json_t *pod_target_ref(const struct cx_object *pod)
{
        return json_pack("{s:s, s:s, s:s, s:s}", "kind", "Pod", "namespace", pod->namespace, "name", pod->name, "uid",
                         pod->uid);
}
