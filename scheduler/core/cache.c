// SPDX-License-Identifier: Apache-2.0
// Nodes that exist are dense in an array, so that a cycle is a walk over it. A node that is gone but still has pods, or
// is not there yet, lives in the map only. Columns are made when a cycle asks for them and dropped when labels change;
// those that no cycle has used lately make room for others, so that pods cannot grow them without end.
#include "scheduler/core/cache.h"

#include "libcommon/api/resources.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define MAX_COLUMNS 16

int resource_base(const char *name)
{
        static const char *const names[] = {
                [RESOURCE_CPU] = "cpu", [RESOURCE_MEMORY] = "memory", [RESOURCE_EPHEMERAL] = "ephemeral-storage"};
        for (int i = 0; i < RESOURCE_BASE; i++)
                if (strcmp(name, names[i]) == 0)
                        return i;
        return -1;
}

uint64_t resource_id(const char *name)
{
        return cx_hash(name, strlen(name));
}

uint64_t image_id(const char *name)
{
        const char *slash = strrchr(name, '/');
        CX_CLEANUP(cx_freep)
        char *tagged = cx_sprintf("%s%s", name, strchr(slash ? slash : name, ':') ? "" : ":latest");
        return cx_hash(tagged, strlen(tagged));
}

static void parse_images(const json_t *images, struct node_info *to)
{
        size_t i, j;
        json_t *image, *name;
        json_array_foreach (images, i, image)
                json_array_foreach (json_object_get(image, "names"), j, name)
                        *LIST_ADD(&to->images) = (struct resource_amount){image_id(cx_str(json_string_value(name))),
                                                                          cx_json_int(image, "sizeBytes", 0)};
}

void *node_project(void *context CX_UNUSED, const json_t *node)
{
        struct node_info *info = cx_alloc(sizeof *info);
        info->unschedulable = cx_json_bool(node, "spec.unschedulable", false);
        const char *name;
        json_t *value;
        json_object_foreach (cx_json_get(node, "status.allocatable"), name, value) {
                struct cx_quantity quantity;
                if (cx_quantity_from_json(value, &quantity) < 0)
                        continue;
                int64_t amount = cx_resource_units(name, &quantity);
                int base = resource_base(name);
                if (base >= 0)
                        info->allocatable[base] = amount;
                else if (strcmp(name, "pods") == 0)
                        info->max_pods = amount;
                else
                        *LIST_ADD(&info->extended) = (struct resource_amount){resource_id(name), amount};
        }
        cx_taints_parse(cx_json_get(node, "spec.taints"), &info->taints);
        parse_images(cx_json_get(node, "status.images"), info);
        return info;
}

void node_free_projection(void *projection)
{
        struct node_info *info = projection;
        cx_taints_release(&info->taints);
        free(info->extended.items);
        free(info->images.items);
        free(info);
}

static void free_object(void *object)
{
        cx_object_unref(object);
}

static void free_pod(void *value)
{
        struct cached_pod *pod = value;
        free(pod->key);
        free(pod);
}

void cache_init(struct node_cache *cache, struct templates *templates)
{
        *cache = (struct node_cache){.templates = templates,
                                     .plugins = templates_plugins(templates),
                                     .pods = CX_MAP_INIT_FREE(free_pod),
                                     .namespaces = CX_MAP_INIT_FREE(free_object)};
        volumes_init(&cache->volumes);
}

static void free_node(const struct plugins *plugins, struct node *node)
{
        for (size_t i = 0; i < plugins->count; i++)
                if (plugins->items[i]->release_node)
                        plugins->items[i]->release_node(node->states + plugins->node_at[i]);
        if (node->object)
                cx_object_unref(node->object);
        free(node->states);
        free(node->groups.items);
        free(node->running.items);
        free(node->name);
        free(node);
}

void cache_release(struct node_cache *cache)
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
        free(cache->images.items);
        free(cache->nodes);
        CX_MAP_FOREACH (&cache->by_name, entry)
                free_node(cache->plugins, entry->value);
        cx_map_release(&cache->by_name);
        cx_map_release(&cache->namespaces);
        volumes_release(&cache->volumes);
}

static void invalidate_columns(struct node_cache *cache)
{
        for (size_t i = 0; i < cache->columns.count; i++)
                cache->columns.items[i]->valid = false;
}

static struct node *get_or_make(struct node_cache *cache, const char *name)
{
        struct node *node = cx_map_get(&cache->by_name, name);
        if (node)
                return node;
        node = cx_alloc(sizeof *node);
        node->name = cx_strdup(name);
        node->index = -1;
        node->states = cx_alloc(cache->plugins->node_size + 1);
        cx_map_set(&cache->by_name, name, node);
        return node;
}

static void drop_if_unused(struct node_cache *cache, struct node *node)
{
        if (node->index < 0 && node->pods == 0)
                free_node(cache->plugins, cx_map_take(&cache->by_name, node->name));
}

static bool same_taints(const struct node_info *a, const struct node_info *b)
{
        if (a->unschedulable != b->unschedulable || a->taints.count != b->taints.count)
                return false;
        for (size_t i = 0; i < a->taints.count; i++) {
                const struct cx_taint *x = &a->taints.items[i], *y = &b->taints.items[i];
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
                    a->extended.items[i].amount != b->extended.items[i].amount)
                        return false;
        return true;
}

// The place of an image in the list, or where it belongs.
static size_t image_place(const struct node_cache *cache, uint64_t id)
{
        size_t low = 0, high = cache->images.count;
        while (low < high) {
                size_t middle = (low + high) / 2;
                if (cache->images.items[middle].id < id)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static bool has_image_at(const struct node_cache *cache, size_t at, uint64_t id)
{
        return at < cache->images.count && cache->images.items[at].id == id;
}

static void count_images(struct node_cache *cache, const struct node_info *info, int sign)
{
        for (size_t i = 0; i < info->images.count; i++) {
                uint64_t id = info->images.items[i].id;
                size_t at = image_place(cache, id);
                if (!has_image_at(cache, at, id)) {
                        (void)LIST_ADD(&cache->images);
                        memmove(&cache->images.items[at + 1], &cache->images.items[at],
                                (cache->images.count - 1 - at) * sizeof *cache->images.items);
                        cache->images.items[at] = (struct image_count){id, 0};
                }
                struct image_count *image = &cache->images.items[at];
                image->nodes += sign;
                if (!image->nodes)
                        memmove(image, image + 1, (--cache->images.count - at) * sizeof *image);
        }
}

int cache_image_nodes(const struct node_cache *cache, uint64_t id)
{
        size_t at = image_place(cache, id);
        return has_image_at(cache, at, id) ? cache->images.items[at].nodes : 0;
}

unsigned cache_set_node(struct node_cache *cache, const struct cx_object *object)
{
        struct node *node = get_or_make(cache, object->name);
        const struct cx_object *old = node->object;
        unsigned changes = 0;
        node->object = cx_object_ref(object);
        node->info = object->projection;
        count_images(cache, node->info, 1);
        if (old)
                count_images(cache, NODE_INFO(old), -1);
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
        if (changes & (NODE_ADDED | NODE_LABELS))
                invalidate_columns(cache);
        return changes;
}

void cache_remove_node(struct node_cache *cache, const char *name)
{
        struct node *node = cx_map_get(&cache->by_name, name);
        if (!node || node->index < 0)
                return;
        struct node *last = cache->nodes[--cache->n_nodes];
        cache->nodes[node->index] = last;
        last->index = node->index;
        node->index = -1;
        count_images(cache, node->info, -1);
        cx_object_unref(node->object);
        node->object = NULL;
        node->info = NULL;
        invalidate_columns(cache);
        drop_if_unused(cache, node);
}

struct node *cache_node(struct node_cache *cache, const char *name)
{
        struct node *node = cx_map_get(&cache->by_name, name);
        return node && node->index >= 0 ? node : NULL;
}

static void count_outreach(struct node_cache *cache, const struct template *template, int sign)
{
        const struct plugins *plugins = cache->plugins;
        for (size_t i = 0; i < plugins->count; i++)
                if (plugins->items[i]->reaches_out &&
                    plugins->items[i]->reaches_out(template->states + plugins->pod_at[i]))
                        cache->reaching_out[i] += sign;
}

static int group_of(struct node_cache *cache, struct template *template)
{
        if (template->group >= 0)
                return template->group;
        size_t at = 0;
        while (at < cache->groups.count && cache->groups.items[at].template)
                at++;
        if (at == cache->groups.count)
                LIST_ADD(&cache->groups);
        cache->groups.items[at] = (struct group){.template = template_ref(cache->templates, template)};
        count_outreach(cache, template, 1);
        return template->group = (int)at;
}

static void count_group(struct node_cache *cache, struct node *node, struct template *template, int change,
                        int terminating)
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
                count_outreach(cache, template, -1);
                all->template = NULL;
                template->group = -1;
                template_unref(cache->templates, template);
        }
}

// Adds a pod to its node's figures (sign 1) or takes it away (-1).
static void account(struct node_cache *cache, const struct cached_pod *pod, int sign)
{
        const struct plugins *plugins = cache->plugins;
        struct node *node = pod->node;
        node->pods += sign;
        for (size_t i = 0; i < plugins->count; i++)
                if (plugins->items[i]->count)
                        plugins->items[i]->count(node->states + plugins->node_at[i],
                                                 pod->template->states + plugins->pod_at[i], sign);
        count_group(cache, node, pod->template, sign, pod->terminating ? sign : 0);
}

static void put_pod(struct node_cache *cache, const char *key, struct cached_pod pod)
{
        struct cached_pod *entry = cx_alloc(sizeof *entry);
        struct node *node = pod.node;
        *entry = pod;
        entry->key = cx_strdup(key);
        entry->place = node->running.count;
        *LIST_ADD(&node->running) = entry;
        template_ref(cache->templates, pod.template);
        cx_map_set(&cache->pods, key, entry);
        cache->n_assumed += pod.assumed;
        account(cache, entry, 1);
}

// Of one that was taken out of the map.
static void drop_pod(struct node_cache *cache, struct cached_pod *pod)
{
        struct node *node = pod->node;
        struct cached_pod *last = node->running.items[--node->running.count];
        node->running.items[pod->place] = last;
        last->place = pod->place;
        cache->n_assumed -= pod->assumed;
        account(cache, pod, -1);
        template_unref(cache->templates, pod->template);
        drop_if_unused(cache, node);
        free_pod(pod);
}

bool cache_remove_pod(struct node_cache *cache, const char *key)
{
        struct cached_pod *pod = cx_map_take(&cache->pods, key);
        if (pod)
                drop_pod(cache, pod);
        return pod;
}

void cache_hide(struct node_cache *cache, const struct cached_pod *pod)
{
        account(cache, pod, -1);
}

void cache_show(struct node_cache *cache, const struct cached_pod *pod)
{
        account(cache, pod, 1);
}

void cache_set_pod(struct node_cache *cache, const char *key, struct template *template, const char *node,
                   bool terminating, int64_t created)
{
        struct cached_pod *pod = cx_map_get(&cache->pods, key);
        if (pod && pod->template == template && strcmp(pod->node->name, node) == 0 && pod->terminating == terminating) {
                cache->n_assumed -= pod->assumed;
                pod->assumed = false;
                return;
        }
        // The new one first, so that neither node nor group is dropped in between.
        struct cached_pod *old = cx_map_take(&cache->pods, key);
        put_pod(cache, key,
                (struct cached_pod){.template = template,
                                    .node = get_or_make(cache, node),
                                    .terminating = terminating,
                                    .created = created});
        if (old)
                drop_pod(cache, old);
}

void cache_assume(struct node_cache *cache, const char *key, struct template *template, struct node *node)
{
        put_pod(cache, key,
                (struct cached_pod){.template = template, .node = node, .assumed = true, .created = cx_time_now()});
}

bool cache_forget(struct node_cache *cache, const char *key)
{
        const struct cached_pod *pod = cx_map_get(&cache->pods, key);
        return pod && pod->assumed && cache_remove_pod(cache, key);
}

void cache_set_namespace(struct node_cache *cache, const char *name, const struct cx_object *object)
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

static void fill_column(struct node_cache *cache, struct column *column)
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

const struct column *cache_column(struct node_cache *cache, const char *key)
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
