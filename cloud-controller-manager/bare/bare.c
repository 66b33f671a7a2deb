// SPDX-License-Identifier: Apache-2.0
// The ConfigMap is parsed when it changes. One that is wrong is said, and what held before holds on. Addresses are written
// down first (book.h) and shown afterwards, so that a balancer that somebody has seen is one that nobody else gets.
#include "cloud-controller-manager/bare/bare.h"

#include "cloud-controller-manager/bare/book.h"
#include "cloud-controller-manager/bare/choose.h"

#define ACCOUNT "cloud-provider" // upstream's name for what providers may do besides their controllers
#define ABSENT "it is not there, so there are no addresses to give"
#define TRIES 8

struct bare {
        struct cloud *cloud;
        struct cx_informer *services, *config_maps, *leases;
        struct cx_events *events;
        pthread_mutex_t lock; // guards what follows
        struct bare_config config;
        bool configured, absent;
        char *complaint; // why there is no configuration, or not the newest
        struct book book;
        bool loaded; // the book, by the worker of balancers
};

// Whether the Service of a use is there.
static bool service_lives(void *context, const json_t *use)
{
        const struct bare *self = context;
        CX_OBJECT *service = cx_informer_get_key(self->services, cx_json_string_or(use, "service", ""));
        return service && cx_streq(service->uid, cx_json_string(use, "uid"));
}

static void on_config(void *context, const struct cx_object *old CX_UNUSED, const struct cx_object *now)
{
        struct bare *self = context;
        struct bare_config config = {0};
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *json = now ? cx_object_json(now) : NULL;
        int r = now ? bare_config_parse(json, &config, &err) : cx_error_set(&err, -ENOENT, ABSENT);
        if (r < 0 && now) {
                cx_err(&err, "The configuration does not change", "configMap", CONFIG_NAMESPACE "/" CONFIG_NAME);
                cx_event_object(self->events, "v1", "ConfigMap", now, "Warning", "InvalidConfiguration", "%s",
                                cx_error_text(&err));
        }
        pthread_mutex_lock(&self->lock);
        free(cx_steal(&self->complaint));
        self->complaint = r < 0 ? cx_strdup(cx_error_text(&err)) : NULL;
        if (r == 0 || !now) { // without a ConfigMap there are no pools
                bare_config_release(&self->config);
                self->config = config;
                self->configured = r == 0;
                self->absent = !now;
        }
        pthread_mutex_unlock(&self->lock);
        cloud_changed(self->cloud);
}

static void on_lease(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct bare *self = context;
        const char *const path[] = {"metadata", "annotations", BOOK_ADDRESS};
        if (now)
                return;
        json_auto_t *lease = cx_object_json(old);
        const char *address = json_string_value(cx_json_at(lease, path, CX_ARRAY_SIZE(path)));
        if (address && book_lost(&self->book, address, old->uid))
                cloud_changed(self->cloud);
}

static void *bare_open(struct cloud *cloud, struct manager *manager)
{
        struct bare *self = cx_alloc(sizeof *self);
        *self = (struct bare){.cloud = cloud,
                              .services = manager_informer(manager, "", "services"),
                              .events = manager_recorder(manager, "cloud-provider-bare"),
                              .book = {.rest = manager_rest_of(manager, ACCOUNT),
                                       .namespace = CONFIG_NAMESPACE,
                                       .lives = service_lives,
                                       .context = self}};
        pthread_mutex_init(&self->lock, NULL);
        book_init(&self->book);
        self->config_maps = cx_informers_add(
                manager->informers,
                &(struct cx_informer_options){.ref = {"", "v1", "configmaps", CONFIG_NAMESPACE, CONFIG_NAME}});
        cx_informer_on_event(self->config_maps, on_config, self);
        self->leases = cx_informers_add(
                manager->informers,
                &(struct cx_informer_options){.ref = {"coordination.k8s.io", "v1", "leases", CONFIG_NAMESPACE},
                                              .label_selector = BOOK_LABEL "=address"});
        cx_informer_on_event(self->leases, on_lease, self);
        self->complaint = cx_strdup(ABSENT);
        self->absent = true;
        return self;
}

static void bare_close(void *context)
{
        struct bare *self = context;
        bare_config_release(&self->config);
        book_release(&self->book);
        pthread_mutex_destroy(&self->lock);
        free(self->complaint);
        free(self);
}

// --- load balancers ---

static int bare_serves(void *context, const char *class)
{
        struct bare *self = context;
        pthread_mutex_lock(&self->lock);
        int serves = self->configured || self->absent || !class ? address_pools_serve(&self->config, class) : -EAGAIN;
        pthread_mutex_unlock(&self->lock);
        return serves;
}

static int choose(struct bare *self, const struct address_claim *claim, struct cx_strings *ret_addresses,
                  struct cx_error *err)
{
        CX_MAP uses = CX_MAP_INIT;
        book_copy_uses(&self->book, &uses);
        pthread_mutex_lock(&self->lock);
        int r = self->configured ? addresses_choose(&self->config, &uses, claim, ret_addresses, err)
                                 : cx_error_set(err, self->absent ? -ENOSPC : -EAGAIN, "ConfigMap %s/%s: %s",
                                                CONFIG_NAMESPACE, CONFIG_NAME, cx_str(self->complaint));
        pthread_mutex_unlock(&self->lock);
        return r;
}

// Chooses and takes. 1: somebody was faster.
static int take(struct bare *self, const struct address_claim *claim, struct cx_strings *ret_addresses,
                struct cx_error *err)
{
        int r = choose(self, claim, ret_addresses, err);
        for (size_t i = 0; r == 0 && i < ret_addresses->count; i++)
                r = book_take(&self->book, ret_addresses->items[i], claim->use, err);
        return r;
}

static int take_until_done(struct bare *self, const struct address_claim *claim, struct cx_strings *ret_addresses,
                           struct cx_error *err)
{
        int r = 1;
        for (int tries = 0; r == 1 && tries < TRIES; tries++) {
                cx_strings_release(ret_addresses);
                r = take(self, claim, ret_addresses, err);
        }
        return r == 1 ? cx_error_reason(err, CX_REASON_CONFLICT, "others keep taking the addresses first") : r;
}

// The informers have filled when a worker asks for the first time.
static int load(struct bare *self, struct cx_error *err)
{
        CX_OBJECTS leases = CX_OBJECTS_INIT;
        if (self->loaded)
                return 0;
        cx_informer_list(self->leases, NULL, &leases);
        for (size_t i = 0; i < leases.count; i++) {
                json_auto_t *lease = cx_object_json(leases.items[i]);
                book_note(&self->book, lease);
        }
        int r = book_sweep(&self->book, err);
        self->loaded = r == 0;
        return r < 0 ? cx_error_wrap(err, "cannot give back addresses of Services that have gone") : 0;
}

static json_t *ingress_of(const struct cx_strings *addresses)
{
        json_t *ingress = json_array();
        for (size_t i = 0; i < addresses->count; i++)
                json_array_append_new(ingress, json_pack("{s:s, s:s}", "ip", addresses->items[i], "ipMode", "VIP"));
        return ingress;
}

static int bare_ensure(void *context, const struct cloud_service *service, json_t **ret_ingress, struct cx_error *err)
{
        struct bare *self = context;
        ADDRESS_CLAIM claim = {0};
        CX_STRINGS addresses = CX_STRINGS_INIT;
        int r = load(self, err);
        if (r < 0)
                return r;
        r = address_claim_parse(service->json, &claim, err);
        if (r == 0)
                r = take_until_done(self, &claim, &addresses, err);
        if (r == 0)
                r = book_drop(&self->book, service->object->key, service->object->uid, &addresses, err);
        if (r == 0) {
                *ret_ingress = ingress_of(&addresses);
        } else if (r == -ENOSPC || r == -EINVAL) { // what it asks for now it cannot have: nor what it had
                CX_ERROR why = CX_ERROR_INIT;
                if (book_drop(&self->book, service->object->key, service->object->uid, NULL, &why) == 0)
                        *ret_ingress = json_array();
        }
        return r;
}

static int bare_release(void *context, const char *key, const char *uid, struct cx_error *err)
{
        struct bare *self = context;
        int r = load(self, err);
        return r < 0 ? r : book_drop(&self->book, key, uid, NULL, err);
}

// --- machines ---

static void add_addresses(json_t *to, const char *type, const struct cx_strings *addresses)
{
        for (size_t i = 0; i < addresses->count; i++)
                json_array_append_new(to, json_pack("{s:s, s:s}", "type", type, "address", addresses->items[i]));
}

// What a node says of itself will do where nothing is listed: the address that its kubelet was given.
static json_t *provided_addresses(const json_t *node)
{
        static const char *const path[] = {"metadata", "annotations", "alpha.kubernetes.io/provided-node-ip"};
        const char *text = json_string_value(cx_json_at(node, path, CX_ARRAY_SIZE(path)));
        json_t *list = json_array();
        CX_STRINGS addresses = CX_STRINGS_INIT, good = CX_STRINGS_INIT;
        cx_strings_split(&addresses, cx_str(text), ',');
        for (size_t i = 0; i < addresses.count; i++)
                if (cx_is_address(addresses.items[i]))
                        cx_strings_add(&good, addresses.items[i]);
        add_addresses(list, "InternalIP", &good);
        return list;
}

static void copy_machine(const struct bare_machine *machine, struct cloud_machine *to)
{
        to->shut_down = machine->shut_down;
        to->provider_id = cx_strdup(machine->provider_id);
        to->type = machine->type ? cx_strdup(machine->type) : NULL;
        to->addresses = json_array();
        add_addresses(to->addresses, "InternalIP", &machine->internal);
        add_addresses(to->addresses, "ExternalIP", &machine->external);
}

static int bare_look(void *context, const json_t *node, struct cloud_machine *ret_machine, struct cx_error *err)
{
        struct bare *self = context;
        const char *name = cx_json_string_or(node, "metadata.name", "");
        struct cloud_machine answer = {.exists = true};
        pthread_mutex_lock(&self->lock);
        bool configured = self->configured;
        const struct bare_machine *machine = bare_config_machine(&self->config, name);
        if (machine)
                copy_machine(machine, &answer);
        else if (self->config.lists_machines)
                answer.exists = false;
        else
                answer.provider_id = cx_sprintf("bare://%s", name);
        pthread_mutex_unlock(&self->lock);
        if (!configured) { // nothing is gone because nobody could say
                cloud_machine_release(&answer);
                return cx_error_set(err, -EAGAIN, "ConfigMap %s/%s is not there", CONFIG_NAMESPACE, CONFIG_NAME);
        }
        if (!json_array_size(answer.addresses) && answer.exists) {
                json_decref(answer.addresses);
                answer.addresses = provided_addresses(node);
        }
        if (json_array_size(answer.addresses))
                json_array_append_new(answer.addresses, json_pack("{s:s, s:s}", "type", "Hostname", "address", name));
        else
                json_decref(cx_steal(&answer.addresses));
        *ret_machine = answer;
        return 0;
}

static int bare_look_zone(void *context, const json_t *node, struct cloud_zone *ret_zone,
                          struct cx_error *err CX_UNUSED)
{
        struct bare *self = context;
        pthread_mutex_lock(&self->lock);
        const struct bare_machine *machine =
                bare_config_machine(&self->config, cx_json_string_or(node, "metadata.name", ""));
        if (machine)
                *ret_zone = (struct cloud_zone){machine->zone ? cx_strdup(machine->zone) : NULL,
                                                machine->region ? cx_strdup(machine->region) : NULL};
        pthread_mutex_unlock(&self->lock);
        return 0;
}

static const struct cloud_balancers balancers = {bare_serves, bare_ensure, bare_release};
static const struct cloud_instances instances = {bare_look};
static const struct cloud_zones zones = {bare_look_zone};

const struct cloud_provider bare_provider = {.name = "bare",
                                             .open = bare_open,
                                             .close = bare_close,
                                             .balancers = &balancers,
                                             .instances = &instances,
                                             .zones = &zones};
