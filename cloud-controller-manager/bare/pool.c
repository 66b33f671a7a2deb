// SPDX-License-Identifier: Apache-2.0
// Two YAML lists, each item by a table of its members. What is not in the table is refused: a misspelt limit must not
// open a pool to everybody.
#include "cloud-controller-manager/bare/pool.h"

#include "libcommon/base/map.h"
#include "libcommon/format/json.h"
#include "libcommon/format/yaml.h"

#define MAX_POOLS 64
#define MAX_RANGES 64
#define MAX_MACHINES 5000

static struct address_range range_of_network(const struct cx_network *network)
{
        struct address_range range = {network->base, network->base};
        int bits = cx_address_bits(network->base.family);
        for (int bit = network->prefix; bit < bits; bit++)
                range.last.bytes[bit / 8] |= (unsigned char)(0x80 >> (bit % 8));
        if (network->prefix >= bits - 1)
                return range;
        range.first = cx_address_next(range.first);
        if (network->base.family == CX_IPV4)
                range.last.bytes[3]--; // it ends in a 1
        return range;
}

// Why no balancer can have addresses of the range; NULL: it can.
static const char *why_unfit(const struct address_range *range)
{
        const struct cx_address *ends[] = {&range->first, &range->last};
        for (size_t i = 0; i < CX_ARRAY_SIZE(ends); i++) {
                if (cx_address_is_unspecified(ends[i]) || cx_address_is_loopback(ends[i]))
                        return "is of this machine alone";
                if (cx_address_is_link_local(ends[i]))
                        return "is of one link alone";
                if (cx_address_is_multicast(ends[i]))
                        return "is a multicast address";
        }
        return NULL;
}

int address_range_parse(const char *text, struct address_range *ret_range, struct cx_error *err)
{
        struct address_range range;
        struct cx_network network;
        const char *dash = strchr(text, '-');
        CX_CLEANUP(cx_freep) char *first = cx_strndup(text, dash ? (size_t)(dash - text) : strlen(text));
        if (cx_network_parse(text, &network) == 0)
                range = range_of_network(&network);
        else if (cx_address_parse(first, &range.first) < 0 ||
                 cx_address_parse(dash ? dash + 1 : text, &range.last) < 0 || range.first.family != range.last.family ||
                 cx_address_compare(&range.first, &range.last) > 0)
                return cx_error_set(err, -EINVAL,
                                    "\"%s\" is no range of addresses: FIRST-LAST, one address, or a network is needed",
                                    text);
        const char *why = why_unfit(&range);
        if (why)
                return cx_error_set(err, -EINVAL, "\"%s\": %s", text, why);
        *ret_range = range;
        return 0;
}

bool address_range_has(const struct address_range *range, const struct cx_address *address)
{
        return address->family == range->first.family && cx_address_compare(address, &range->first) >= 0 &&
               cx_address_compare(address, &range->last) <= 0;
}

bool address_pool_has(const struct address_pool *pool, const struct cx_address *address)
{
        for (size_t i = 0; i < pool->n_ranges; i++)
                if (address_range_has(&pool->ranges[i], address))
                        return true;
        return false;
}

// --- members ---

struct config_member {
        const char *name;
        enum config_member_kind { TEXT, BOOL, NOT_BOOL, TEXTS, RANGES, SELECTOR, ADDRESSES } kind;
        size_t offset;
};

static int wrong(struct cx_error *err, const char *name, const char *needed)
{
        return cx_error_set(err, -EINVAL, "%s: %s is needed", name, needed);
}

static int take_texts(const json_t *value, const char *name, struct cx_strings *to, struct cx_error *err)
{
        size_t i;
        json_t *item;
        if (!json_is_array(value))
                return wrong(err, name, "a list of texts");
        json_array_foreach (value, i, item) {
                if (!json_is_string(item))
                        return wrong(err, name, "a list of texts");
                cx_strings_add(to, json_string_value(item));
        }
        return 0;
}

static int take_ranges(const json_t *value, const char *name, struct address_pool *pool, struct cx_error *err)
{
        CX_STRINGS texts = CX_STRINGS_INIT;
        int r = take_texts(value, name, &texts, err);
        if (r == 0 && (texts.count == 0 || texts.count > MAX_RANGES))
                r = wrong(err, name, "one range at least, and 64 at most,");
        if (r < 0)
                return r;
        pool->ranges = cx_alloc(texts.count * sizeof *pool->ranges);
        for (size_t i = 0; r == 0 && i < texts.count; i++)
                r = address_range_parse(texts.items[i], &pool->ranges[pool->n_ranges++], err);
        return r < 0 ? cx_error_wrap(err, "%s", name) : 0;
}

static int take_addresses(const json_t *value, const char *name, struct bare_machine *machine, struct cx_error *err)
{
        const char *key;
        json_t *list;
        int r = json_is_object(value) ? 0 : wrong(err, name, "{internal: […], external: […]}");
        json_object_foreach ((json_t *)value, key, list) {
                struct cx_strings *to = strcmp(key, "internal") == 0   ? &machine->internal
                                        : strcmp(key, "external") == 0 ? &machine->external
                                                                       : NULL;
                if (r == 0)
                        r = to ? take_texts(list, name, to, err) : wrong(err, name, "{internal: […], external: […]}");
                for (size_t i = 0; r == 0 && i < to->count; i++)
                        if (!cx_is_address(to->items[i]))
                                r = cx_error_set(err, -EINVAL, "%s: \"%s\" is no IP address", name, to->items[i]);
        }
        return r;
}

static int take_member(const json_t *value, const struct config_member *member, void *item, struct cx_error *err)
{
        void *at = (char *)item + member->offset;
        switch (member->kind) {
        case TEXT:
                if (!json_string_length(value))
                        return wrong(err, member->name, "a text");
                *(char **)at = cx_strdup(json_string_value(value));
                return 0;
        case BOOL:
        case NOT_BOOL:
                if (!json_is_boolean(value))
                        return wrong(err, member->name, "true or false");
                *(bool *)at = json_is_true(value) == (member->kind == BOOL);
                return 0;
        case TEXTS:
                return take_texts(value, member->name, at, err);
        case RANGES:
                return take_ranges(value, member->name, item, err);
        case ADDRESSES:
                return take_addresses(value, member->name, item, err);
        default:
                if (cx_selector_from_json(value, at, err) < 0)
                        return cx_error_wrap(err, "%s", member->name);
                return 0;
        }
}

static int take_members(const json_t *from, const struct config_member *members, size_t count, void *item,
                        struct cx_error *err)
{
        const char *key;
        json_t *value;
        if (!json_is_object(from))
                return cx_error_set(err, -EINVAL, "an object is needed");
        json_object_foreach ((json_t *)from, key, value) {
                size_t i = 0;
                while (i < count && strcmp(members[i].name, key) != 0)
                        i++;
                if (i == count)
                        return cx_error_set(err, -EINVAL, "unknown member \"%s\"", key);
                int r = take_member(value, &members[i], item, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

// --- the lists ---

#define AT(field) offsetof(struct address_pool, field)
static const struct config_member pool_members[] = {{"name", TEXT, AT(name)},
                                                    {"addresses", RANGES, AT(ranges)},
                                                    {"namespaces", TEXTS, AT(namespaces)},
                                                    {"classes", TEXTS, AT(classes)},
                                                    {"selector", SELECTOR, AT(selector)},
                                                    {"autoAssign", NOT_BOOL, AT(only_when_asked)}};
#undef AT
#define AT(field) offsetof(struct bare_machine, field)
static const struct config_member machine_members[] = {
        {"name", TEXT, AT(name)},         {"providerID", TEXT, AT(provider_id)},
        {"zone", TEXT, AT(zone)},         {"region", TEXT, AT(region)},
        {"type", TEXT, AT(type)},         {"addresses", ADDRESSES, 0},
        {"shutdown", BOOL, AT(shut_down)}};

static int parse_pool(const json_t *from, void *item, struct cx_error *err)
{
        struct address_pool *pool = item;
        int r = take_members(from, pool_members, CX_ARRAY_SIZE(pool_members), pool, err);
        return r < 0 || pool->n_ranges ? r : wrong(err, "addresses", "a list of ranges");
}

static int parse_machine(const json_t *from, void *item, struct cx_error *err)
{
        struct bare_machine *machine = item;
        int r = take_members(from, machine_members, CX_ARRAY_SIZE(machine_members), machine, err);
        if (r == 0 && machine->name && !machine->provider_id)
                machine->provider_id = cx_sprintf("bare://%s", machine->name);
        return r;
}

// The list of a member of the ConfigMap, whose items begin with their name, which is unique.
static int parse_list(const json_t *config_map, const char *member, size_t most, size_t size,
                      int (*parse)(const json_t *from, void *item, struct cx_error *err), void *ret_items,
                      size_t *ret_count, struct cx_error *err)
{
        json_auto_t *documents = NULL;
        CX_MAP names = CX_MAP_INIT;
        const json_t *text = json_object_get(json_object_get(config_map, "data"), member), *list;
        int r = cx_yaml_parse(cx_str(json_string_value(text)), json_string_length(text), &documents, err);
        if (r < 0)
                return cx_error_wrap(err, "data.%s", member);
        list = json_array_get(documents, 0);
        if (list && !json_is_null(list) && !json_is_array(list))
                return cx_error_set(err, -EINVAL, "data.%s: a list is needed", member);
        if (json_array_size(list) > most)
                return cx_error_set(err, -EINVAL, "data.%s: %zu items at most", member, most);
        char *items = cx_alloc((json_array_size(list) + 1) * size);
        *(void **)ret_items = items;
        for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
                void *item = items + i * size;
                ++*ret_count;
                r = parse(json_array_get(list, i), item, err);
                const char *name = *(char **)item; // both structs begin with it
                if (r == 0 && !name)
                        r = wrong(err, "name", "a text");
                if (r == 0 && cx_map_has(&names, name))
                        r = cx_error_set(err, -EINVAL, "the name \"%s\" is there twice", name);
                if (r < 0)
                        return cx_error_wrap(err, "data.%s[%zu]", member, i);
                cx_map_set(&names, name, items);
        }
        return r;
}

int bare_config_parse(const json_t *config_map, struct bare_config *ret_config, struct cx_error *err)
{
        static const char *const known[] = {"pools", "machines"};
        struct bare_config config = {0};
        const char *key;
        json_t *value;
        json_object_foreach (json_object_get(config_map, "data"), key, value)
                if (strcmp(key, known[0]) != 0 && strcmp(key, known[1]) != 0)
                        return cx_error_set(err, -EINVAL, "data: unknown member \"%s\"", key);
        config.lists_machines = json_object_get(json_object_get(config_map, "data"), "machines");
        int r = parse_list(config_map, "pools", MAX_POOLS, sizeof *config.pools, parse_pool, &config.pools,
                           &config.n_pools, err);
        if (r == 0)
                r = parse_list(config_map, "machines", MAX_MACHINES, sizeof *config.machines, parse_machine,
                               &config.machines, &config.n_machines, err);
        if (r < 0)
                bare_config_release(&config);
        else
                *ret_config = config;
        return r;
}

void bare_config_release(struct bare_config *config)
{
        for (size_t i = 0; i < config->n_pools; i++) {
                struct address_pool *pool = &config->pools[i];
                free(pool->name);
                free(pool->ranges);
                cx_strings_release(&pool->namespaces);
                cx_strings_release(&pool->classes);
                cx_selector_release(&pool->selector);
        }
        for (size_t i = 0; i < config->n_machines; i++) {
                struct bare_machine *machine = &config->machines[i];
                free(machine->name);
                free(machine->provider_id);
                free(machine->zone);
                free(machine->region);
                free(machine->type);
                cx_strings_release(&machine->internal);
                cx_strings_release(&machine->external);
        }
        free(config->pools);
        free(config->machines);
        *config = (struct bare_config){0};
}

const struct bare_machine *bare_config_machine(const struct bare_config *config, const char *name)
{
        for (size_t i = 0; i < config->n_machines; i++)
                if (strcmp(config->machines[i].name, name) == 0)
                        return &config->machines[i];
        return NULL;
}
