// SPDX-License-Identifier: Apache-2.0
// A claim is read once; each family is then looked for by itself.
#include "cloud-controller-manager/bare/choose.h"

#include "libcommon/format/json.h"

static const char *annotation(const json_t *service, const char *name)
{
        const char *const path[] = {"metadata", "annotations", name};
        const char *text = json_string_value(cx_json_at(service, path, CX_ARRAY_SIZE(path)));
        return text && *text ? text : NULL;
}

// --- the claim ---

static int take_wanted(struct address_claim *claim, const char *text, const char *where, struct cx_error *err)
{
        struct cx_address address;
        if (cx_address_parse(text, &address) < 0)
                return cx_error_set(err, -EINVAL, "%s: \"%s\" is no IP address", where, text);
        for (size_t i = 0; i < claim->n_families; i++)
                if (claim->families[i] == address.family && claim->wanted[i].family == CX_FAMILY_NONE) {
                        claim->wanted[i] = address;
                        return 0;
                }
        return cx_error_set(err, -EINVAL, "%s: \"%s\" is one more than the Service has IP families for", where, text);
}

static int take_all_wanted(struct address_claim *claim, struct cx_error *err)
{
        const char *listed = annotation(claim->service, ANNOTATION_ADDRESSES);
        const char *field = cx_json_string_or(claim->service, "spec.loadBalancerIP", "");
        if (listed && *field)
                return cx_error_set(err, -EINVAL,
                                    "spec.loadBalancerIP and the annotation " ANNOTATION_ADDRESSES
                                    " exclude each other: leave one out");
        if (*field)
                return take_wanted(claim, field, "spec.loadBalancerIP", err);
        CX_STRINGS texts = CX_STRINGS_INIT;
        cx_strings_split(&texts, cx_str(listed), ',');
        int r = 0;
        for (size_t i = 0; listed && r == 0 && i < texts.count; i++)
                r = take_wanted(claim, texts.items[i] + strspn(texts.items[i], " "), "annotation " ANNOTATION_ADDRESSES,
                                err);
        return r;
}

static void take_families(struct address_claim *claim)
{
        const json_t *families = cx_json_get(claim->service, "spec.ipFamilies");
        for (size_t i = 0; i < json_array_size(families) && claim->n_families < 2; i++)
                claim->families[claim->n_families++] =
                        cx_streq(json_string_value(json_array_get(families, i)), "IPv6") ? CX_IPV6 : CX_IPV4;
        if (!claim->n_families)
                claim->families[claim->n_families++] = CX_IPV4;
        claim->all = !cx_streq(cx_json_string(claim->service, "spec.ipFamilyPolicy"), "PreferDualStack");
}

static json_t *use_of(const json_t *service)
{
        CX_CLEANUP(cx_freep)
        char *key = cx_sprintf("%s/%s", cx_json_string_or(service, "metadata.namespace", ""),
                               cx_json_string_or(service, "metadata.name", ""));
        json_t *ports = json_array(), *port;
        json_t *use = json_pack("{s:s, s:s, s:o}", "service", key, "uid",
                                cx_json_string_or(service, "metadata.uid", ""), "ports", ports);
        size_t i;
        json_array_foreach (cx_json_get(service, "spec.ports"), i, port) {
                CX_CLEANUP(cx_freep)
                char *text = cx_sprintf("%s/%ld", cx_json_string_or(port, "protocol", "TCP"),
                                        (long)cx_json_int(port, "port", 0));
                json_array_append_new(ports, json_string(text));
        }
        const char *sharing = annotation(service, ANNOTATION_SHARING);
        if (sharing)
                json_object_set_new(use, "sharing", json_string(sharing));
        if (cx_streq(cx_json_string(service, "spec.externalTrafficPolicy"), "Local")) {
                CX_CLEANUP(cx_freep) char *selector = cx_labels_text(cx_json_get(service, "spec.selector"));
                json_object_set_new(use, "local", json_string(cx_str(selector)));
        }
        return use;
}

int address_claim_parse(const json_t *service, struct address_claim *ret_claim, struct cx_error *err)
{
        struct address_claim claim = {.service = service, .pool = annotation(service, ANNOTATION_POOL)};
        take_families(&claim);
        int r = take_all_wanted(&claim, err);
        if (r < 0)
                return r;
        claim.use = use_of(service);
        *ret_claim = claim;
        return 0;
}

void address_claim_release(struct address_claim *claim)
{
        json_decref(claim->use);
        *claim = (struct address_claim){0};
}

// --- what may be had ---

static bool pool_takes_class(const struct address_pool *pool, const char *class)
{
        return class ? cx_strings_has(&pool->classes, class) : pool->classes.count == 0;
}

bool address_pools_serve(const struct bare_config *config, const char *class)
{
        bool serves = !class;
        for (size_t i = 0; i < config->n_pools; i++)
                serves |= pool_takes_class(&config->pools[i], class);
        return serves;
}

static bool pool_serves(const struct address_pool *pool, const struct address_claim *claim)
{
        const json_t *service = claim->service;
        return pool_takes_class(pool, cx_json_string(service, "spec.loadBalancerClass")) &&
               (!pool->namespaces.count ||
                cx_strings_has(&pool->namespaces, cx_json_string_or(service, "metadata.namespace", ""))) &&
               cx_selector_matches(&pool->selector, cx_json_get(service, "metadata.labels")) &&
               (!claim->pool || strcmp(claim->pool, pool->name) == 0);
}

static bool ports_meet(const json_t *a, const json_t *b)
{
        for (size_t i = 0; i < json_array_size(a); i++)
                for (size_t j = 0; j < json_array_size(b); j++)
                        if (json_equal(json_array_get(a, i), json_array_get(b, j)))
                                return true;
        return false;
}

static bool same_member(const json_t *a, const json_t *b, const char *name)
{
        return cx_streq(json_string_value(json_object_get(a, name)), json_string_value(json_object_get(b, name)));
}

static bool may_share(const json_t *a, const json_t *b)
{
        return json_object_get(a, "sharing") && same_member(a, b, "sharing") && same_member(a, b, "local") &&
               !ports_meet(cx_json_get(a, "ports"), cx_json_get(b, "ports"));
}

// The Service in whose way an address is; NULL: it may be had.
static const char *taken_by(const json_t *uses, const json_t *use)
{
        size_t i;
        json_t *other;
        json_array_foreach (uses, i, other)
                if (!same_member(other, use, "uid") && !may_share(other, use))
                        return cx_json_string_or(other, "service", "another");
        return NULL;
}

static bool uses_it(const json_t *uses, const json_t *use)
{
        return cx_json_find(uses, "uid", cx_json_string_or(use, "uid", ""));
}

static bool is_served(const struct bare_config *config, const struct address_claim *claim,
                      const struct cx_address *address)
{
        for (size_t i = 0; i < config->n_pools; i++)
                if (address_pool_has(&config->pools[i], address) && pool_serves(&config->pools[i], claim))
                        return true;
        return false;
}

static int choose_wanted(const struct bare_config *config, const struct cx_map *uses, const struct address_claim *claim,
                         const struct cx_address *wanted, char to[CX_ADDRESS_TEXT], struct cx_error *err)
{
        cx_address_format(wanted, to);
        if (!is_served(config, claim, wanted))
                return cx_error_set(err, -ENOSPC, "the address %s is in no pool that serves the Service", to);
        const char *other = taken_by(cx_map_get(uses, to), claim->use);
        return other ? cx_error_set(err, -ENOSPC, "the address %s is taken by Service %s", to, other) : 0;
}

// An address that the Service has, by what is written down or by its status.
static bool choose_present(const struct bare_config *config, const struct cx_map *uses,
                           const struct address_claim *claim, enum cx_family family, char to[CX_ADDRESS_TEXT])
{
        CX_STRINGS candidates = CX_STRINGS_INIT;
        CX_MAP_FOREACH (uses, entry) {
                if (uses_it(entry->value, claim->use))
                        cx_strings_add(&candidates, entry->key);
        }
        cx_strings_sort(&candidates);
        const json_t *ingress = cx_json_get(claim->service, "status.loadBalancer.ingress");
        for (size_t i = 0; i < json_array_size(ingress); i++)
                cx_strings_add(&candidates, cx_json_string_or(json_array_get(ingress, i), "ip", ""));
        for (size_t i = 0; i < candidates.count; i++) {
                struct cx_address address;
                if (cx_address_parse(candidates.items[i], &address) < 0 || address.family != family ||
                    !is_served(config, claim, &address))
                        continue;
                cx_address_format(&address, to);
                if (!taken_by(cx_map_get(uses, to), claim->use))
                        return true;
        }
        return false;
}

static bool choose_new(const struct bare_config *config, const struct cx_map *uses, const struct address_claim *claim,
                       enum cx_family family, char to[CX_ADDRESS_TEXT])
{
        for (size_t i = 0; i < config->n_pools; i++) {
                const struct address_pool *pool = &config->pools[i];
                if (!pool_serves(pool, claim) || (pool->only_when_asked && !claim->pool))
                        continue;
                for (size_t j = 0; j < pool->n_ranges; j++) {
                        const struct address_range *range = &pool->ranges[j];
                        struct cx_address at = range->first;
                        // As many steps as there are addresses in use, and one more, at most.
                        for (bool more = at.family == family; more; at = cx_address_next(at)) {
                                cx_address_format(&at, to);
                                if (!taken_by(cx_map_get(uses, to), claim->use))
                                        return true;
                                more = cx_address_compare(&at, &range->last) < 0;
                        }
                }
        }
        return false;
}

static int no_address(const struct bare_config *config, const struct address_claim *claim, enum cx_family family,
                      struct cx_error *err)
{
        const char *kind = family == CX_IPV4 ? "IPv4" : "IPv6";
        for (size_t i = 0; i < config->n_pools; i++)
                for (size_t j = 0; j < config->pools[i].n_ranges; j++)
                        if (pool_serves(&config->pools[i], claim) && config->pools[i].ranges[j].first.family == family)
                                return cx_error_set(err, -ENOSPC,
                                                    "no %s address is left for the Service in the pools of ConfigMap "
                                                    "%s/%s",
                                                    kind, CONFIG_NAMESPACE, CONFIG_NAME);
        return cx_error_set(
                err, -ENOSPC,
                "no pool of ConfigMap %s/%s serves the Service with %s addresses; see its namespace, class, "
                "labels, and annotation " ANNOTATION_POOL,
                CONFIG_NAMESPACE, CONFIG_NAME, kind);
}

int addresses_choose(const struct bare_config *config, const struct cx_map *uses, const struct address_claim *claim,
                     struct cx_strings *ret_addresses, struct cx_error *err)
{
        CX_STRINGS chosen = CX_STRINGS_INIT;
        CX_ERROR why = CX_ERROR_INIT;
        for (size_t i = 0; i < claim->n_families; i++) {
                char address[CX_ADDRESS_TEXT];
                int r = 0;
                if (claim->wanted[i].family != CX_FAMILY_NONE)
                        r = choose_wanted(config, uses, claim, &claim->wanted[i], address, err);
                else if (!choose_present(config, uses, claim, claim->families[i], address) &&
                         !choose_new(config, uses, claim, claim->families[i], address)) {
                        if (claim->all)
                                return no_address(config, claim, claim->families[i], err);
                        cx_error_release(&why);
                        (void)no_address(config, claim, claim->families[i], &why);
                        continue;
                }
                if (r < 0)
                        return r;
                cx_strings_add(&chosen, address);
        }
        if (!chosen.count)
                return cx_error_move(err, &why);
        for (size_t i = 0; i < chosen.count; i++)
                cx_strings_add(ret_addresses, chosen.items[i]);
        return 0;
}
