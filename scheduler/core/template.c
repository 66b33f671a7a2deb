// SPDX-License-Identifier: Apache-2.0
// The table of templates. The text that a template is found by is made of all fields that anybody declares; only a text
// that is new is parsed, each plugin's part from a view of the pod that has this plugin's fields alone.
#include "scheduler/core/template.h"

#include "libcommon/api/pod.h"
#include "libcommon/api/storage.h"
#include "libcommon/base/map.h"
#include "libcommon/format/json.h"
#include "scheduler/core/fields.h"
#include "scheduler/core/list.h"

#include <pthread.h>

// What the framework itself reads.
static const char *const common_fields[] = {"metadata.labels",    "metadata.namespace",    "spec.priority",
                                            "spec.schedulerName", "spec.preemptionPolicy", NULL};

struct templates {
        const struct profiles *profiles;
        const struct plugins *plugins;
        LIST(struct field_path, fields); // everybody's; none is below another
        pthread_mutex_t lock;            // guards the map and the reference counts
        struct cx_map by_key;
};

static void add_fields(struct templates *self, const char *const *paths)
{
        for (; paths && *paths; paths++) {
                bool covered = false;
                for (size_t i = 0; i < self->fields.count; i++)
                        covered = covered || field_covers(self->fields.items[i].path, *paths);
                for (size_t i = 0; i < self->fields.count && !covered;)
                        if (field_covers(*paths, self->fields.items[i].path))
                                self->fields.items[i] = self->fields.items[--self->fields.count];
                        else
                                i++;
                if (!covered)
                        *LIST_ADD(&self->fields) = field_parse(*paths);
        }
}

struct templates *templates_new(const struct profiles *profiles)
{
        struct templates *self = cx_alloc(sizeof *self);
        const struct plugins *plugins = profiles->plugins;
        self->profiles = profiles;
        self->plugins = plugins;
        add_fields(self, common_fields);
        for (size_t i = 0; i < plugins->count; i++)
                add_fields(self, plugins->items[i]->fields);
        pthread_mutex_init(&self->lock, NULL);
        return self;
}

void templates_free(struct templates *self)
{
        if (!self)
                return;
        cx_map_release(&self->by_key);
        pthread_mutex_destroy(&self->lock);
        free(self->fields.items);
        free(self);
}

const struct plugins *templates_plugins(const struct templates *self)
{
        return self->plugins;
}

static void template_free(const struct plugins *plugins, struct template *self)
{
        for (size_t i = 0; i < plugins->count; i++)
                if (plugins->items[i]->release_pod)
                        plugins->items[i]->release_pod(self->states + plugins->pod_at[i]);
        for (size_t i = 0; i < self->n_labels; i++) {
                free((char *)self->labels[i].key);
                free((char *)self->labels[i].value);
        }
        free(self->labels);
        free(self->states);
        free(self->key);
        free(self->namespace);
        free(self);
}

static int compare_pairs(const void *a, const void *b)
{
        return strcmp(((const struct cx_object_pair *)a)->key, ((const struct cx_object_pair *)b)->key);
}

static void parse_labels(const json_t *labels, struct template *to)
{
        to->labels = cx_alloc_array(json_object_size(labels) + 1, sizeof *to->labels);
        const char *name;
        json_t *value;
        json_object_foreach ((json_t *)labels, name, value)
                to->labels[to->n_labels++] =
                        (struct cx_object_pair){cx_strdup(name), cx_strdup(cx_str(json_string_value(value)))};
        qsort(to->labels, to->n_labels, sizeof *to->labels, compare_pairs);
}

static void parse_common(const struct profiles *profiles, const json_t *whole, struct template *to)
{
        json_auto_t *pod = fields_view(common_fields, whole);
        const json_t *spec = json_object_get(pod, "spec");
        to->namespace = cx_strdup(cx_json_string_or(pod, "metadata.namespace", ""));
        to->profile = profiles_find(profiles, cx_json_string_or(spec, "schedulerName", "default-scheduler"));
        to->priority = cx_json_int(spec, "priority", 0);
        to->never_preempts = cx_streq(cx_json_string(spec, "preemptionPolicy"), "Never");
        parse_labels(cx_json_get(pod, "metadata.labels"), to);
}

static struct template *parse(const struct templates *templates, const json_t *pod, const char *key)
{
        const struct plugins *plugins = templates->plugins;
        struct template *self = cx_alloc(sizeof *self);
        self->key = cx_strdup(key);
        self->group = -1;
        parse_common(templates->profiles, pod, self);
        self->states = cx_alloc(plugins->pod_size + 1);
        for (size_t i = 0; i < plugins->count; i++) {
                if (!plugins->items[i]->parse)
                        continue;
                json_auto_t *view = fields_view(plugins->items[i]->fields, pod);
                plugins->items[i]->parse(self->states + plugins->pod_at[i], view);
        }
        return self;
}

// An ephemeral volume as its claim, which has the pod's name in its own and belongs to the pod.
static json_t *as_claim(const json_t *pod, const json_t *volume)
{
        CX_CLEANUP(cx_freep)
        char *name = cx_ephemeral_claim_name(cx_json_string_or(pod, "metadata.name", ""),
                                             cx_json_string_or(volume, "name", ""));
        return json_pack("{s:{s:s}, s:{s:s}}", "persistentVolumeClaim", "claimName", name, "ephemeral", "owner",
                         cx_json_string_or(pod, "metadata.uid", ""));
}

// The pod with its ephemeral volumes replaced by their claims; NULL when it has none.
static json_t *name_claims(const json_t *pod)
{
        const json_t *spec = json_object_get(pod, "spec"), *volumes = json_object_get(spec, "volumes");
        size_t i, n_ephemeral = 0;
        json_t *volume;
        json_array_foreach (volumes, i, volume)
                n_ephemeral += json_object_get(volume, "ephemeral") != NULL;
        if (!n_ephemeral)
                return NULL;
        json_t *named = json_copy((json_t *)pod), *named_spec = json_copy((json_t *)spec), *list = json_array();
        json_array_foreach (volumes, i, volume)
                json_array_append_new(list, json_object_get(volume, "ephemeral") ? as_claim(pod, volume)
                                                                                 : json_incref(volume));
        json_object_set_new(named_spec, "volumes", list);
        json_object_set_new(named, "spec", named_spec);
        return named;
}

struct template *templates_get(struct templates *self, const json_t *given)
{
        json_auto_t *named = name_claims(given);
        const json_t *pod = named ? named : given;
        CX_BUF key = CX_BUF_INIT;
        for (size_t i = 0; i < self->fields.count; i++)
                field_write(&self->fields.items[i], pod, &key);
        pthread_mutex_lock(&self->lock);
        struct template *template = cx_map_get(&self->by_key, key.data);
        if (!template) {
                template = parse(self, pod, key.data);
                cx_map_set(&self->by_key, template->key, template);
        }
        template->refs++;
        pthread_mutex_unlock(&self->lock);
        return template;
}

struct template *template_ref(struct templates *self, struct template *template)
{
        pthread_mutex_lock(&self->lock);
        template->refs++;
        pthread_mutex_unlock(&self->lock);
        return template;
}

void template_unref(struct templates *self, struct template *template)
{
        pthread_mutex_lock(&self->lock);
        bool last = --template->refs == 0;
        if (last)
                cx_map_take(&self->by_key, template->key);
        pthread_mutex_unlock(&self->lock);
        if (last)
                template_free(self->plugins, template);
}

size_t templates_count(struct templates *self)
{
        pthread_mutex_lock(&self->lock);
        size_t count = self->by_key.count;
        pthread_mutex_unlock(&self->lock);
        return count;
}

const char *template_label(const struct template *template, const char *key)
{
        size_t low = 0, high = template->n_labels;
        while (low < high) {
                size_t middle = (low + high) / 2;
                int order = strcmp(template->labels[middle].key, key);
                if (order == 0)
                        return template->labels[middle].value;
                if (order < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

static const char *get_label(void *template, const char *key)
{
        return template_label(template, key);
}

bool template_matches(const struct template *template, const struct cx_selector *selector)
{
        return cx_selector_matches_with(selector, get_label, (void *)template);
}

void *pod_project(void *context, const json_t *pod)
{
        struct pod_info *info = cx_alloc(sizeof *info);
        info->templates = context;
        info->template = templates_get(context, pod);
        const char *node = cx_json_string(pod, "spec.nodeName");
        info->node = node && *node ? cx_strdup(node) : NULL;
        const char *nominated = cx_json_string(pod, "status.nominatedNodeName");
        info->nominated = nominated && *nominated ? cx_strdup(nominated) : NULL;
        info->terminal = cx_pod_is_terminal(pod);
        const struct scheduler_profile *profile = info->template->profile;
        info->gated = (!profile || profile->gates) && cx_json_count(pod, "spec.schedulingGates") > 0;
        return info;
}

void pod_free_projection(void *projection)
{
        struct pod_info *info = projection;
        template_unref(info->templates, info->template);
        free(info->node);
        free(info->nominated);
        free(info);
}
