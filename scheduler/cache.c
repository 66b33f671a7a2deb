// SPDX-License-Identifier: Apache-2.0
// Nodes that exist are dense in an array, so that a cycle is a walk over it. A node that is gone but still has pods, or is
// not there yet, lives in the map only. Columns are made when a cycle asks for them and dropped when labels change; those
// that no cycle has used lately make room for others, so that pods cannot grow them without end.
#include "scheduler/cache.h"

#include "libcommon/api/quantity.h"
#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define MAX_COLUMNS 16
#define HOSTNAME "kubernetes.io/hostname"

static void parse_taints(const json_t *spec, struct node_info *to)
{
        size_t i;
        json_t *from;
        json_array_foreach (json_object_get(spec, "taints"), i, from) {
                struct taint *taint = LIST_ADD(&to->taints);
                taint->key = cx_strdup(cx_json_string_or(from, "key", ""));
                taint->value = cx_strdup(cx_json_string_or(from, "value", ""));
                taint->effect = taint_effect_of(cx_json_string(from, "effect"));
        }
}

void *node_project(void *context CX_UNUSED, const json_t *node)
{
        struct node_info *info = cx_alloc(sizeof *info);
        info->unschedulable = cx_json_bool(node, "spec.unschedulable", false);
        const char *name;
        json_t *value;
        json_object_foreach (cx_json_get(node, "status.allocatable"), name, value) {
                if (strcmp(name, "cpu") == 0) {
                        info->allocatable[RESOURCE_CPU] = cx_quantity_milli_of(value);
                } else if (strcmp(name, "memory") == 0) {
                        info->allocatable[RESOURCE_MEMORY] = cx_quantity_value_of(value);
                } else if (strcmp(name, "ephemeral-storage") == 0) {
                        info->allocatable[RESOURCE_EPHEMERAL] = cx_quantity_value_of(value);
                } else if (strcmp(name, "pods") == 0) {
                        info->max_pods = cx_quantity_value_of(value);
                } else {
                        struct node_extended *extended = LIST_ADD(&info->extended);
                        *extended = (struct node_extended){.id = resource_id(name),
                                                           .allocatable = cx_quantity_value_of(value)};
                }
        }
        parse_taints(json_object_get(node, "spec"), info);
        return info;
}

void node_free_projection(void *projection)
{
        struct node_info *info = projection;
        for (size_t i = 0; i < info->taints.count; i++) {
                free(info->taints.items[i].key);
                free(info->taints.items[i].value);
        }
        free(info->taints.items);
        free(info->extended.items);
        free(info);
}

static void free_node(void *value)
{
        struct node *node = value;
        if (node->object)
                cx_object_unref(node->object);
        free(node->extended.items);
        free(node->groups.items);
        free(node->ports.items);
        free(node->name);
        free(node);
}

static void free_object(void *object)
{
        cx_object_unref(object);
}

void cache_init(struct cache *cache, struct templates *templates)
{
        *cache = (struct cache){.templates = templates,
                                .by_name = CX_MAP_INIT_FREE(free_node),
                                .pods = CX_MAP_INIT_FREE(free),
                                .namespaces = CX_MAP_INIT_FREE(free_object)};
}

void cache_release(struct cache *cache)
{
        CX_MAP_FOREACH (&cache->pods, entry)
                template_unref(cache->templates, ((struct cached_pod *)entry->value)->template);
        cx_map_release(&cache->pods);
        for (size_t i = 0; i < cache->groups.count; i++)
                if (cache->groups.items[i].template)
                        template_unref(cache->templates, cache->groups.items[i].template);
        free(cache->groups.items);
        for (size_t i = 0; i < cache->columns.count; i++) {
                free(cache->columns.items[i]->key);
                free(cache->columns.items[i]->values);
                free(cache->columns.items[i]);
        }
        free(cache->columns.items);
        free(cache->nodes);
        cx_map_release(&cache->by_name);
        cx_map_release(&cache->namespaces);
}

static void invalidate_columns(struct cache *cache)
{
        for (size_t i = 0; i < cache->columns.count; i++)
                cache->columns.items[i]->valid = false;
}

static struct node *get_or_make(struct cache *cache, const char *name)
{
        struct node *node = cx_map_get(&cache->by_name, name);
        if (node)
                return node;
        node = cx_alloc(sizeof *node);
        node->name = cx_strdup(name);
        node->index = -1;
        cx_map_set(&cache->by_name, name, node);
        return node;
}

static void drop_if_unused(struct cache *cache, struct node *node)
{
        if (node->index < 0 && node->pods == 0) {
                CX_CLEANUP(cx_freep) char *name = cx_strdup(node->name);
                cx_map_remove(&cache->by_name, name);
        }
}

static bool same_taints(const struct node_info *a, const struct node_info *b)
{
        if (a->unschedulable != b->unschedulable || a->taints.count != b->taints.count)
                return false;
        for (size_t i = 0; i < a->taints.count; i++) {
                const struct taint *x = &a->taints.items[i], *y = &b->taints.items[i];
                if (x->effect != y->effect || strcmp(x->key, y->key) != 0 || strcmp(x->value, y->value) != 0)
                        return false;
        }
        return true;
}

static bool same_allocatable(const struct node_info *a, const struct node_info *b)
{
        if (memcmp(a->allocatable, b->allocatable, sizeof a->allocatable) != 0 || a->max_pods != b->max_pods ||
            a->extended.count != b->extended.count)
                return false;
        for (size_t i = 0; i < a->extended.count; i++)
                if (a->extended.items[i].id != b->extended.items[i].id ||
                    a->extended.items[i].allocatable != b->extended.items[i].allocatable)
                        return false;
        return true;
}

static struct node_extended *extended_of(struct node *node, uint64_t id)
{
        for (size_t i = 0; i < node->extended.count; i++)
                if (node->extended.items[i].id == id)
                        return &node->extended.items[i];
        struct node_extended *extended = LIST_ADD(&node->extended);
        extended->id = id;
        return extended;
}

static void take_allocatable(struct node *node)
{
        for (size_t i = 0; i < node->extended.count; i++)
                node->extended.items[i].allocatable = 0;
        for (size_t i = 0; i < node->info->extended.count; i++)
                extended_of(node, node->info->extended.items[i].id)->allocatable =
                        node->info->extended.items[i].allocatable;
}

unsigned cache_set_node(struct cache *cache, const struct cx_object *object)
{
        struct node *node = get_or_make(cache, object->name);
        const struct cx_object *old = node->object;
        unsigned changes = 0;
        node->object = cx_object_ref(object);
        node->info = object->projection;
        if (!old) {
                node->index = (int)cache->n_nodes;
                cache->nodes = cx_realloc_array(cache->nodes, cache->n_nodes + 1, sizeof(struct node *));
                cache->nodes[cache->n_nodes++] = node;
                changes = NODE_ADDED;
        } else {
                changes |= cx_object_same_labels(old, object) ? 0 : NODE_LABELS;
                changes |= same_taints(NODE_INFO(old), node->info) ? 0 : NODE_TAINTS;
                changes |= same_allocatable(NODE_INFO(old), node->info) ? 0 : NODE_ALLOCATABLE;
                cx_object_unref(old);
        }
        if (changes & (NODE_ADDED | NODE_ALLOCATABLE))
                take_allocatable(node);
        if (changes & (NODE_ADDED | NODE_LABELS))
                invalidate_columns(cache);
        return changes;
}

void cache_remove_node(struct cache *cache, const char *name)
{
        struct node *node = cx_map_get(&cache->by_name, name);
        if (!node || node->index < 0)
                return;
        struct node *last = cache->nodes[--cache->n_nodes];
        cache->nodes[node->index] = last;
        last->index = node->index;
        node->index = -1;
        cx_object_unref(node->object);
        node->object = NULL;
        node->info = NULL;
        invalidate_columns(cache);
        drop_if_unused(cache, node);
}

struct node *cache_node(struct cache *cache, const char *name)
{
        struct node *node = cx_map_get(&cache->by_name, name);
        return node && node->index >= 0 ? node : NULL;
}

static bool has_pod_affinity(const struct template *template)
{
        return template->affinity.count || template->anti_affinity.count || template->preferred_pods.count;
}

static int group_of(struct cache *cache, struct template *template)
{
        if (template->group >= 0)
                return template->group;
        size_t at = 0;
        while (at < cache->groups.count && cache->groups.items[at].template)
                at++;
        if (at == cache->groups.count)
                LIST_ADD(&cache->groups);
        cache->groups.items[at] = (struct group){.template = template_ref(cache->templates, template)};
        cache->affinity_groups += has_pod_affinity(template);
        return template->group = (int)at;
}

static void count_group(struct cache *cache, struct node *node, struct template *template, int change, int terminating)
{
        int group = group_of(cache, template);
        struct node_group *entry = NULL;
        for (size_t i = 0; i < node->groups.count && !entry; i++)
                if (node->groups.items[i].group == group)
                        entry = &node->groups.items[i];
        if (!entry) {
                entry = LIST_ADD(&node->groups);
                entry->group = group;
        }
        entry->count += change;
        entry->terminating += terminating;
        if (entry->count == 0)
                *entry = node->groups.items[--node->groups.count];
        struct group *all = &cache->groups.items[group];
        all->pods += change;
        if (all->pods == 0) {
                cache->affinity_groups -= has_pod_affinity(template);
                all->template = NULL;
                template->group = -1;
                template_unref(cache->templates, template);
        }
}

static void count_ports(struct node *node, const struct template *template, int change)
{
        for (size_t i = 0; i < template->ports.count; i++) {
                const struct host_port *port = &template->ports.items[i];
                struct used_port *used = NULL;
                for (size_t j = 0; j < node->ports.count && !used; j++)
                        if (node->ports.items[j].port.ip == port->ip && node->ports.items[j].port.port == port->port &&
                            node->ports.items[j].port.protocol == port->protocol)
                                used = &node->ports.items[j];
                if (!used) {
                        used = LIST_ADD(&node->ports);
                        used->port = *port;
                }
                used->refs += change;
                if (used->refs == 0)
                        *used = node->ports.items[--node->ports.count];
        }
}

// Adds a pod to its node's figures (sign 1) or takes it away (-1).
static void account(struct cache *cache, const struct cached_pod *pod, int sign)
{
        struct node *node = pod->node;
        const struct template *template = pod->template;
        node->pods += sign;
        for (int i = 0; i < RESOURCE_BASE; i++)
                node->requested[i] += sign * template->requests.base[i];
        for (int i = 0; i < 2; i++)
                node->nonzero[i] += sign * template->nonzero[i];
        for (size_t i = 0; i < template->requests.n_extended; i++)
                extended_of(node, template->requests.extended[i].id)->requested +=
                        sign * template->requests.extended[i].amount;
        count_ports(node, template, sign);
        count_group(cache, node, pod->template, sign, pod->terminating ? sign : 0);
}

static void put_pod(struct cache *cache, const char *key, struct cached_pod pod)
{
        struct cached_pod *entry = cx_alloc(sizeof *entry);
        *entry = pod;
        template_ref(cache->templates, pod.template);
        cx_map_set(&cache->pods, key, entry);
        account(cache, entry, 1);
}

bool cache_remove_pod(struct cache *cache, const char *key)
{
        struct cached_pod *pod = cx_map_take(&cache->pods, key);
        if (!pod)
                return false;
        account(cache, pod, -1);
        template_unref(cache->templates, pod->template);
        drop_if_unused(cache, pod->node);
        free(pod);
        return true;
}

void cache_hide(struct cache *cache, const struct cached_pod *pod)
{
        account(cache, pod, -1);
}

void cache_show(struct cache *cache, const struct cached_pod *pod)
{
        account(cache, pod, 1);
}

void cache_set_pod(struct cache *cache, const char *key, struct template *template, const char *node, bool terminating,
                   int64_t created)
{
        struct cached_pod *pod = cx_map_get(&cache->pods, key);
        if (pod && pod->template == template && strcmp(pod->node->name, node) == 0 && pod->terminating == terminating) {
                pod->assumed = false;
                return;
        }
        // The new one first, so that neither node nor group is dropped in between.
        struct cached_pod *old = cx_map_take(&cache->pods, key);
        put_pod(cache, key, (struct cached_pod){template, get_or_make(cache, node), false, terminating, created});
        if (old) {
                account(cache, old, -1);
                template_unref(cache->templates, old->template);
                drop_if_unused(cache, old->node);
                free(old);
        }
}

void cache_assume(struct cache *cache, const char *key, struct template *template, struct node *node)
{
        put_pod(cache, key, (struct cached_pod){template, node, true, false, cx_time_now()});
}

bool cache_forget(struct cache *cache, const char *key)
{
        const struct cached_pod *pod = cx_map_get(&cache->pods, key);
        return pod && pod->assumed && cache_remove_pod(cache, key);
}

void cache_set_namespace(struct cache *cache, const char *name, const struct cx_object *object)
{
        if (object)
                cx_map_set(&cache->namespaces, name, (void *)cx_object_ref(object));
        else
                cx_map_remove(&cache->namespaces, name);
}

const char *node_label(const struct node *node, const char *key)
{
        return cx_object_label(node->object, key);
}

static void fill_column(struct cache *cache, struct column *column)
{
        CX_MAP numbers = CX_MAP_INIT;
        free(column->values);
        column->values = cx_alloc_array(cache->n_nodes + 1, sizeof(int));
        column->n_values = 0;
        for (size_t i = 0; i < cache->n_nodes; i++) {
                const char *value = node_label(cache->nodes[i], column->key);
                if (!value) {
                        column->values[i] = -1;
                        continue;
                }
                intptr_t number = (intptr_t)cx_map_get(&numbers, value);
                if (!number) {
                        number = ++column->n_values;
                        cx_map_set(&numbers, value, (void *)number);
                }
                column->values[i] = (int)number - 1;
        }
        column->valid = true;
}

const struct column *cache_column(struct cache *cache, const char *key)
{
        struct column *column = NULL, *oldest = NULL;
        for (size_t i = 0; i < cache->columns.count; i++) {
                struct column *candidate = cache->columns.items[i];
                if (strcmp(candidate->key, key) == 0)
                        column = candidate;
                else if (candidate->used != cache->cycle && (!oldest || candidate->used < oldest->used))
                        oldest = candidate;
        }
        if (!column && oldest && cache->columns.count >= MAX_COLUMNS) {
                column = oldest;
                free(column->key);
                column->key = cx_strdup(key);
                column->valid = false;
        }
        if (!column) {
                column = cx_alloc(sizeof *column);
                column->key = cx_strdup(key);
                *LIST_ADD(&cache->columns) = column;
        }
        if (!column->valid)
                fill_column(cache, column);
        column->used = cache->cycle;
        return column;
}
