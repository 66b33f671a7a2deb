// SPDX-License-Identifier: Apache-2.0
// Names taken apart from the right, label by label, and looked up in the informers.
#include "addons/dns/zone.h"

#include "libcommon/base/address.h"
#include "libcommon/format/json.h"

#define BY_SERVICE "service"
#define BY_ADDRESS "address"
#define TTL 5
#define MAX_LABELS 16

// --- what is kept of the objects ---

struct port {
        char *name, *protocol; // lower case; name may be ""
        uint16_t number;
};
struct zone_service {
        char *cluster_ip, *external_name; // NULL when there is none; a headless service has neither
        struct port *ports;
        size_t n_ports;
};
struct zone_endpoint {
        char *address, *hostname; // hostname NULL: the address with dashes
};
struct zone_slice {
        struct zone_endpoint *endpoints; // those that are ready
        size_t n_endpoints;
        struct port *ports;
        size_t n_ports;
};

static char *lower(const char *text)
{
        char *copy = cx_strdup(cx_str(text));
        for (char *p = copy; *p; p++)
                if (*p >= 'A' && *p <= 'Z')
                        *p = (char)(*p - 'A' + 'a');
        return copy;
}

static struct port *read_ports(const json_t *list, size_t *ret_count)
{
        size_t n = json_array_size(list);
        struct port *ports = cx_alloc_array(n, sizeof *ports);
        for (size_t i = 0; i < n; i++) {
                const json_t *port = json_array_get(list, i);
                int64_t number = cx_json_int(port, "port", 0);
                ports[i] = (struct port){.name = lower(cx_json_string(port, "name")),
                                         .protocol = lower(cx_json_string_or(port, "protocol", "TCP")),
                                         .number = number > 0 && number < 65536 ? (uint16_t)number : 0};
        }
        *ret_count = n;
        return ports;
}

static void free_ports(struct port *ports, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                free(ports[i].name);
                free(ports[i].protocol);
        }
        free(ports);
}

static void *project_service(void *context CX_UNUSED, const json_t *object)
{
        struct zone_service *service = cx_alloc(sizeof *service);
        const char *ip = cx_json_string(object, "spec.clusterIP");
        if (cx_streq(cx_json_string(object, "spec.type"), "ExternalName"))
                service->external_name = lower(cx_json_string_or(object, "spec.externalName", ""));
        else if (ip && *ip && strcmp(ip, "None") != 0)
                service->cluster_ip = cx_strdup(ip);
        service->ports = read_ports(cx_json_get(object, "spec.ports"), &service->n_ports);
        return service;
}

static void free_service(void *projection)
{
        struct zone_service *service = projection;
        free(service->cluster_ip);
        free(service->external_name);
        free_ports(service->ports, service->n_ports);
        free(service);
}

static void *project_slice(void *context CX_UNUSED, const json_t *object)
{
        struct zone_slice *slice = cx_alloc(sizeof *slice);
        const json_t *endpoints = json_object_get(object, "endpoints");
        slice->ports = read_ports(json_object_get(object, "ports"), &slice->n_ports);
        if (!cx_streq(cx_json_string(object, "addressType"), "IPv4"))
                return slice;
        for (size_t i = 0; i < json_array_size(endpoints); i++) {
                const json_t *endpoint = json_array_get(endpoints, i);
                const char *address = json_string_value(json_array_get(json_object_get(endpoint, "addresses"), 0));
                if (!address || !cx_json_bool(endpoint, "conditions.ready", true))
                        continue;
                slice->endpoints = cx_realloc_array(slice->endpoints, slice->n_endpoints + 1, sizeof *slice->endpoints);
                const char *hostname = cx_json_string(endpoint, "hostname");
                slice->endpoints[slice->n_endpoints++] = (struct zone_endpoint){
                        .address = cx_strdup(address), .hostname = hostname && *hostname ? lower(hostname) : NULL};
        }
        return slice;
}

static void free_slice(void *projection)
{
        struct zone_slice *slice = projection;
        for (size_t i = 0; i < slice->n_endpoints; i++) {
                free(slice->endpoints[i].address);
                free(slice->endpoints[i].hostname);
        }
        free(slice->endpoints);
        free_ports(slice->ports, slice->n_ports);
        free(slice);
}

static void slice_service(void *context CX_UNUSED, const struct cx_object *object, struct cx_strings *keys)
{
        const char *service = cx_object_label(object, "kubernetes.io/service-name");
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s/%s", object->namespace, cx_str(service));
        if (service)
                cx_strings_add(keys, key);
}

static void slice_addresses(void *context CX_UNUSED, const struct cx_object *object, struct cx_strings *keys)
{
        const struct zone_slice *slice = object->projection;
        for (size_t i = 0; i < slice->n_endpoints; i++)
                cx_strings_add(keys, slice->endpoints[i].address);
}

static void service_address(void *context CX_UNUSED, const struct cx_object *object, struct cx_strings *keys)
{
        const struct zone_service *service = object->projection;
        if (service->cluster_ip)
                cx_strings_add(keys, service->cluster_ip);
}

void zone_init(struct zone *zone, struct cx_informers *informers, const char *domain)
{
        zone->domain = domain;
        zone->ttl = TTL;
        struct cx_informer_options options = {.ref = {.group = "", .version = "v1", .resource = "services"},
                                              .drop_bytes = true,
                                              .project = project_service,
                                              .free_projection = free_service};
        zone->services = cx_informers_add(informers, &options);
        cx_informer_add_index(zone->services, BY_ADDRESS, service_address, NULL);
        options = (struct cx_informer_options){
                .ref = {.group = "discovery.k8s.io", .version = "v1", .resource = "endpointslices"},
                .drop_bytes = true,
                .project = project_slice,
                .free_projection = free_slice};
        zone->slices = cx_informers_add(informers, &options);
        cx_informer_add_index(zone->slices, BY_SERVICE, slice_service, NULL);
        cx_informer_add_index(zone->slices, BY_ADDRESS, slice_addresses, NULL);
        options = (struct cx_informer_options){.ref = {.group = "", .version = "v1", .resource = "namespaces"},
                                               .drop_bytes = true,
                                               .metadata_only = true};
        zone->namespaces = cx_informers_add(informers, &options);
}

// --- records ---

static void push(ldns_rr_list *list, const struct zone *zone, const char *name, ldns_rr_type type, ldns_rdf **data,
                 size_t count)
{
        ldns_rr *record = ldns_rr_new();
        ldns_rr_set_owner(record, ldns_dname_new_frm_str(name));
        ldns_rr_set_type(record, type);
        ldns_rr_set_class(record, LDNS_RR_CLASS_IN);
        ldns_rr_set_ttl(record, zone->ttl);
        bool good = ldns_rr_owner(record) != NULL;
        for (size_t i = 0; i < count; i++) {
                good &= data[i] != NULL;
                if (data[i])
                        ldns_rr_push_rdf(record, data[i]);
        }
        if (good)
                ldns_rr_list_push_rr(list, record);
        else
                ldns_rr_free(record);
}

static void push_address(ldns_rr_list *list, const struct zone *zone, const char *name, const char *address)
{
        push(list, zone, name, LDNS_RR_TYPE_A, (ldns_rdf *[]){ldns_rdf_new_frm_str(LDNS_RDF_TYPE_A, address)}, 1);
}

static void push_name(ldns_rr_list *list, const struct zone *zone, const char *name, ldns_rr_type type,
                      const char *target)
{
        push(list, zone, name, type, (ldns_rdf *[]){ldns_dname_new_frm_str(target)}, 1);
}

static void push_srv(ldns_rr_list *list, const struct zone *zone, const char *name, uint16_t weight, uint16_t port,
                     const char *target)
{
        push(list, zone, name, LDNS_RR_TYPE_SRV,
             (ldns_rdf *[]){ldns_native2rdf_int16(LDNS_RDF_TYPE_INT16, 0),
                            ldns_native2rdf_int16(LDNS_RDF_TYPE_INT16, weight),
                            ldns_native2rdf_int16(LDNS_RDF_TYPE_INT16, port), ldns_dname_new_frm_str(target)},
             4);
}

ldns_rr *zone_soa(const struct zone *zone)
{
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("%s. %u IN SOA ns.dns.%s. hostmaster.%s. 1 7200 1800 86400 %u", zone->domain, zone->ttl,
                                zone->domain, zone->domain, zone->ttl);
        ldns_rr *record = NULL;
        return ldns_rr_new_frm_str(&record, text, 0, NULL, NULL) == LDNS_STATUS_OK ? record : NULL;
}

// --- names below the domain ---

// Labels of a name from the left, as pointers into a copy.
struct labels {
        char *copy, *at[MAX_LABELS];
        size_t count;
};

static bool split(const char *name, size_t length, struct labels *ret_labels)
{
        *ret_labels = (struct labels){.copy = cx_strndup(name, length)};
        char *p = ret_labels->copy;
        while (*p) {
                if (ret_labels->count == MAX_LABELS)
                        return false;
                ret_labels->at[ret_labels->count++] = p;
                p += strcspn(p, ".");
                if (*p)
                        *p++ = '\0';
        }
        return true;
}

static char *dashed(const char *address)
{
        char *text = cx_strdup(address);
        for (char *p = text; *p; p++)
                if (*p == '.')
                        *p = '-';
        return text;
}

static bool is_named(const struct zone_endpoint *endpoint, const char *host)
{
        if (endpoint->hostname)
                return strcmp(endpoint->hostname, host) == 0;
        CX_CLEANUP(cx_freep) char *own = dashed(endpoint->address);
        return strcmp(own, host) == 0;
}

static void slices_of(const struct zone *zone, const struct cx_object *service, struct cx_objects *ret_slices)
{
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s/%s", service->namespace, service->name);
        cx_informer_by_index(zone->slices, BY_SERVICE, key, ret_slices);
}

static bool port_matches(const struct port *port, const char *name, const char *protocol)
{
        return (!name || strcmp(port->name, name) == 0) && (!protocol || strcmp(port->protocol, protocol) == 0);
}

static bool wants(ldns_rr_type asked, ldns_rr_type type)
{
        return asked == type || asked == LDNS_RR_TYPE_ANY;
}

// The service itself: its address, its endpoints' addresses when headless, or its alias.
static enum zone_result answer_service(const struct zone *zone, const char *name, const struct cx_object *object,
                                       ldns_rr_type type, ldns_rr_list *answers)
{
        const struct zone_service *service = object->projection;
        if (service->external_name) {
                push_name(answers, zone, name, LDNS_RR_TYPE_CNAME, service->external_name);
                return ZONE_ANSWER;
        }
        if (service->cluster_ip) {
                if (wants(type, LDNS_RR_TYPE_A) && strchr(service->cluster_ip, '.'))
                        push_address(answers, zone, name, service->cluster_ip);
                return ZONE_ANSWER;
        }
        CX_OBJECTS slices = CX_OBJECTS_INIT;
        size_t found = 0;
        slices_of(zone, object, &slices);
        for (size_t i = 0; i < slices.count; i++) {
                const struct zone_slice *slice = slices.items[i]->projection;
                for (size_t j = 0; j < slice->n_endpoints; j++, found++)
                        if (wants(type, LDNS_RR_TYPE_A))
                                push_address(answers, zone, name, slice->endpoints[j].address);
        }
        return found ? ZONE_ANSWER : ZONE_NO_NAME;
}

// One endpoint of a headless service by its host name.
static enum zone_result answer_endpoint(const struct zone *zone, const char *name, const struct cx_object *object,
                                        const char *host, ldns_rr_type type, ldns_rr_list *answers)
{
        const struct zone_service *service = object->projection;
        CX_OBJECTS slices = CX_OBJECTS_INIT;
        enum zone_result result = ZONE_NO_NAME;
        if (service->cluster_ip || service->external_name)
                return ZONE_NO_NAME;
        slices_of(zone, object, &slices);
        for (size_t i = 0; i < slices.count; i++) {
                const struct zone_slice *slice = slices.items[i]->projection;
                for (size_t j = 0; j < slice->n_endpoints; j++) {
                        if (!is_named(&slice->endpoints[j], host))
                                continue;
                        result = ZONE_ANSWER;
                        if (wants(type, LDNS_RR_TYPE_A))
                                push_address(answers, zone, name, slice->endpoints[j].address);
                }
        }
        return result;
}

static void headless_srv(const struct zone *zone, const char *name, const char *base, const struct zone_slice *slice,
                         const struct port *port, ldns_rr_list *answers, ldns_rr_list *extra)
{
        for (size_t j = 0; j < slice->n_endpoints; j++) {
                const struct zone_endpoint *endpoint = &slice->endpoints[j];
                CX_CLEANUP(cx_freep)
                char *host = endpoint->hostname ? cx_strdup(endpoint->hostname) : dashed(endpoint->address);
                CX_CLEANUP(cx_freep) char *target = cx_sprintf("%s.%s", host, base);
                push_srv(answers, zone, name, 100, port->number, target);
                push_address(extra, zone, target, endpoint->address);
        }
}

// SRV for named ports; `port` and `protocol` NULL: all of them.
static enum zone_result answer_srv(const struct zone *zone, const char *name, const char *base,
                                   const struct cx_object *object, const char *port, const char *protocol, bool asked,
                                   ldns_rr_list *answers, ldns_rr_list *extra)
{
        const struct zone_service *service = object->projection;
        enum zone_result result = ZONE_NO_NAME;
        if (service->cluster_ip) {
                for (size_t i = 0; i < service->n_ports; i++) {
                        if (!*service->ports[i].name || !port_matches(&service->ports[i], port, protocol))
                                continue;
                        result = ZONE_ANSWER;
                        if (asked)
                                push_srv(answers, zone, name, 100, service->ports[i].number, base);
                }
                if (result == ZONE_ANSWER && asked)
                        push_address(extra, zone, base, service->cluster_ip);
                return result;
        }
        CX_OBJECTS slices = CX_OBJECTS_INIT;
        slices_of(zone, object, &slices);
        for (size_t i = 0; i < slices.count; i++) {
                const struct zone_slice *slice = slices.items[i]->projection;
                for (size_t j = 0; j < slice->n_ports; j++) {
                        if (!*slice->ports[j].name || !port_matches(&slice->ports[j], port, protocol))
                                continue;
                        result = ZONE_ANSWER;
                        if (asked)
                                headless_srv(zone, name, base, slice, &slice->ports[j], answers, extra);
                }
        }
        return result;
}

// [host.|_port._proto.]service.namespace.svc
static enum zone_result lookup_service(const struct zone *zone, const char *name, const struct labels *l,
                                       ldns_rr_type type, ldns_rr_list *answers, ldns_rr_list *extra)
{
        size_t n = l->count; // the last label is "svc"
        if (n == 1)
                return ZONE_ANSWER;
        const char *namespace = l->at[n - 2];
        if (n == 2) {
                CX_OBJECT *object = cx_informer_get(zone->namespaces, NULL, namespace);
                return object ? ZONE_ANSWER : ZONE_NO_NAME;
        }
        CX_OBJECT *service = cx_informer_get(zone->services, namespace, l->at[n - 3]);
        if (!service)
                return ZONE_NO_NAME;
        CX_CLEANUP(cx_freep) char *base = cx_sprintf("%s.%s.svc.%s", l->at[n - 3], namespace, zone->domain);
        if (n == 3) {
                if (type == LDNS_RR_TYPE_SRV)
                        return answer_srv(zone, name, base, service, NULL, NULL, true, answers, extra) == ZONE_ANSWER
                                       ? ZONE_ANSWER
                                       : answer_service(zone, name, service, LDNS_RR_TYPE_A, extra);
                return answer_service(zone, name, service, type, answers);
        }
        if (n == 4 && l->at[0][0] != '_')
                return answer_endpoint(zone, name, service, l->at[0], type, answers);
        if (n == 4)
                return answer_srv(zone, name, base, service, NULL, l->at[0] + 1, false, answers, extra);
        if (n == 5 && l->at[0][0] == '_' && l->at[1][0] == '_')
                return answer_srv(zone, name, base, service, l->at[0] + 1, l->at[1] + 1, wants(type, LDNS_RR_TYPE_SRV),
                                  answers, extra);
        return ZONE_NO_NAME;
}

// a-b-c-d.namespace.pod
static enum zone_result lookup_pod(const struct zone *zone, const char *name, const struct labels *l, ldns_rr_type type,
                                   ldns_rr_list *answers)
{
        if (l->count == 1)
                return ZONE_ANSWER;
        CX_OBJECT *namespace = cx_informer_get(zone->namespaces, NULL, l->at[l->count - 2]);
        if (!namespace)
                return ZONE_NO_NAME;
        if (l->count == 2)
                return ZONE_ANSWER;
        CX_CLEANUP(cx_freep) char *text = cx_strdup(l->at[0]);
        for (char *p = text; *p; p++)
                if (*p == '-')
                        *p = '.';
        if (l->count != 3 || !cx_is_ipv4(text))
                return ZONE_NO_NAME;
        if (wants(type, LDNS_RR_TYPE_A))
                push_address(answers, zone, name, text);
        return ZONE_ANSWER;
}

// d.c.b.a.in-addr.arpa: services' and endpoints' addresses; others belong to somebody else.
static enum zone_result lookup_reverse(const struct zone *zone, const char *name, ldns_rr_type type,
                                       ldns_rr_list *answers)
{
        unsigned d[4];
        int end = 0;
        if (sscanf(name, "%3u.%3u.%3u.%3u.in-addr.arpa%n", &d[0], &d[1], &d[2], &d[3], &end) != 4 || !end || name[end])
                return ZONE_NOT_OURS;
        CX_CLEANUP(cx_freep) char *address = cx_sprintf("%u.%u.%u.%u", d[3], d[2], d[1], d[0]);
        CX_OBJECTS found = CX_OBJECTS_INIT;
        cx_informer_by_index(zone->services, BY_ADDRESS, address, &found);
        for (size_t i = 0; i < found.count; i++) {
                CX_CLEANUP(cx_freep)
                char *target =
                        cx_sprintf("%s.%s.svc.%s", found.items[i]->name, found.items[i]->namespace, zone->domain);
                if (wants(type, LDNS_RR_TYPE_PTR))
                        push_name(answers, zone, name, LDNS_RR_TYPE_PTR, target);
        }
        if (found.count)
                return ZONE_ANSWER;
        cx_informer_by_index(zone->slices, BY_ADDRESS, address, &found);
        for (size_t i = 0; i < found.count; i++) {
                const struct zone_slice *slice = found.items[i]->projection;
                const char *service = cx_object_label(found.items[i], "kubernetes.io/service-name");
                for (size_t j = 0; service && j < slice->n_endpoints; j++) {
                        const struct zone_endpoint *endpoint = &slice->endpoints[j];
                        if (strcmp(endpoint->address, address) != 0 || !endpoint->hostname)
                                continue;
                        CX_CLEANUP(cx_freep)
                        char *target = cx_sprintf("%s.%s.%s.svc.%s", endpoint->hostname, service,
                                                  found.items[i]->namespace, zone->domain);
                        if (wants(type, LDNS_RR_TYPE_PTR))
                                push_name(answers, zone, name, LDNS_RR_TYPE_PTR, target);
                }
        }
        return found.count ? ZONE_ANSWER : ZONE_NOT_OURS;
}

enum zone_result zone_lookup(const struct zone *zone, const char *name, ldns_rr_type type, ldns_rr_list *answers,
                             ldns_rr_list *extra)
{
        size_t length = strlen(name), domain = strlen(zone->domain);
        bool synced = cx_informer_synced(zone->services) && cx_informer_synced(zone->slices) &&
                      cx_informer_synced(zone->namespaces);
        if (cx_has_suffix(name, ".in-addr.arpa"))
                return synced ? lookup_reverse(zone, name, type, answers) : ZONE_NOT_READY;
        bool is_domain = strcmp(name, zone->domain) == 0;
        if (!is_domain && !(length > domain && cx_has_suffix(name, zone->domain) && name[length - domain - 1] == '.'))
                return ZONE_NOT_OURS;
        if (is_domain)
                return ZONE_ANSWER;
        if (!synced)
                return ZONE_NOT_READY;
        struct labels labels;
        enum zone_result result = ZONE_NO_NAME;
        if (split(name, length - domain - 1, &labels) && labels.count) {
                const char *last = labels.at[labels.count - 1];
                if (strcmp(last, "svc") == 0)
                        result = lookup_service(zone, name, &labels, type, answers, extra);
                else if (strcmp(last, "pod") == 0)
                        result = lookup_pod(zone, name, &labels, type, answers);
                else if (strcmp(last, "dns-version") == 0 && labels.count == 1) {
                        if (wants(type, LDNS_RR_TYPE_TXT))
                                push(answers, zone, name, LDNS_RR_TYPE_TXT,
                                     (ldns_rdf *[]){ldns_rdf_new_frm_str(LDNS_RDF_TYPE_STR, "1.1.0")}, 1);
                        result = ZONE_ANSWER;
                }
        }
        free(labels.copy);
        return result;
}
