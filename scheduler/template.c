// SPDX-License-Identifier: Apache-2.0
// The table of templates. A template is found by a text made of everything that it is parsed from; only a text that is new
// is parsed.
#include "scheduler/template.h"

#include "libcommon/base/map.h"
#include "libcommon/format/json.h"

#include <pthread.h>

struct templates {
        pthread_mutex_t lock; // guards the map and the reference counts
        struct cx_map by_key;
};

struct templates *templates_new(void)
{
        struct templates *self = cx_alloc(sizeof *self);
        pthread_mutex_init(&self->lock, NULL);
        return self;
}

void templates_free(struct templates *self)
{
        if (!self)
                return;
        cx_map_release(&self->by_key);
        pthread_mutex_destroy(&self->lock);
        free(self);
}

static void template_free(struct template *self)
{
        release_affinity(self);
        for (size_t i = 0; i < self->requests.n_extended; i++)
                free(self->requests.extended[i].name);
        free(self->requests.extended);
        for (size_t i = 0; i < self->tolerations.count; i++) {
                free(self->tolerations.items[i].key);
                free(self->tolerations.items[i].value);
        }
        for (size_t i = 0; i < self->n_labels; i++) {
                free((char *)self->labels[i].key);
                free((char *)self->labels[i].value);
        }
        free(self->labels);
        free(self->tolerations.items);
        free(self->ports.items);
        free(self->key);
        free(self->namespace);
        free(self->owner_uid);
        free(self->scheduler);
        free(self);
}

static void add_part(struct cx_buf *key, const json_t *value)
{
        if (value)
                cx_json_dump(value, key);
        cx_buf_add_char(key, '\n');
}

static const json_t *controller_of(const json_t *pod)
{
        size_t i;
        json_t *owner;
        json_array_foreach (cx_json_get(pod, "metadata.ownerReferences"), i, owner)
                if (json_is_true(json_object_get(owner, "controller")))
                        return owner;
        return NULL;
}

// The uid of the controller whose pods the system spreads; "" for others (Jobs and DaemonSets are not spread).
static const char *spreading_owner(const json_t *pod)
{
        const json_t *owner = controller_of(pod);
        const char *kind = cx_json_string_or(owner, "kind", "");
        if (strcmp(kind, "ReplicaSet") != 0 && strcmp(kind, "StatefulSet") != 0 &&
            strcmp(kind, "ReplicationController") != 0)
                return "";
        return cx_json_string_or(owner, "uid", "");
}

static void add_containers(struct cx_buf *key, const json_t *containers)
{
        size_t i;
        json_t *container;
        json_array_foreach (containers, i, container) {
                add_part(key, json_object_get(container, "resources"));
                add_part(key, json_object_get(container, "restartPolicy"));
                add_part(key, json_object_get(container, "ports"));
        }
        cx_buf_add(key, "--\n");
}

static void make_key(const json_t *pod, struct cx_buf *key)
{
        static const char *const parts[] = {
                "nodeSelector", "affinity",      "tolerations", "topologySpreadConstraints", "overhead", "resources",
                "priority",     "schedulerName", "hostNetwork", "preemptionPolicy"};
        const json_t *metadata = json_object_get(pod, "metadata"), *spec = json_object_get(pod, "spec");
        cx_buf_printf(key, "%s\n%s\n", cx_json_string_or(metadata, "namespace", ""), spreading_owner(pod));
        add_part(key, json_object_get(metadata, "labels"));
        for (size_t i = 0; i < CX_ARRAY_SIZE(parts); i++)
                add_part(key, json_object_get(spec, parts[i]));
        add_containers(key, json_object_get(spec, "initContainers"));
        add_containers(key, json_object_get(spec, "containers"));
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

enum taint_effect taint_effect_of(const char *text)
{
        return cx_streq(text, "NoSchedule")         ? EFFECT_NO_SCHEDULE
               : cx_streq(text, "PreferNoSchedule") ? EFFECT_PREFER_NO_SCHEDULE
               : cx_streq(text, "NoExecute")        ? EFFECT_NO_EXECUTE
                                                    : EFFECT_ALL;
}

bool tolerates(const struct toleration *toleration, const struct taint *taint)
{
        if (toleration->effect != EFFECT_ALL && toleration->effect != taint->effect)
                return false;
        if (*toleration->key && strcmp(toleration->key, taint->key) != 0)
                return false;
        return toleration->exists || (*toleration->key && strcmp(toleration->value, taint->value) == 0);
}

static void parse_tolerations(const json_t *list, struct template *to)
{
        size_t i;
        json_t *from;
        json_array_foreach (list, i, from) {
                struct toleration *toleration = LIST_ADD(&to->tolerations);
                toleration->key = cx_strdup(cx_json_string_or(from, "key", ""));
                toleration->value = cx_strdup(cx_json_string_or(from, "value", ""));
                toleration->exists = cx_streq(cx_json_string(from, "operator"), "Exists");
                toleration->effect = taint_effect_of(cx_json_string(from, "effect"));
        }
}

static void parse_ports(const json_t *containers, struct template *to)
{
        size_t i, j;
        json_t *container, *from;
        json_array_foreach (containers, i, container)
                json_array_foreach (json_object_get(container, "ports"), j, from) {
                        int64_t number = cx_json_int(from, "hostPort", 0);
                        if (number < 1 || number > 65535)
                                continue;
                        struct host_port *port = LIST_ADD(&to->ports);
                        const char *ip = cx_json_string_or(from, "hostIP", "");
                        port->ip = *ip && strcmp(ip, "0.0.0.0") != 0 && strcmp(ip, "::") != 0 ? cx_hash(ip, strlen(ip))
                                                                                              : 0;
                        port->port = (uint16_t)number;
                        port->protocol = *cx_json_string_or(from, "protocol", "TCP");
                }
}

static struct template *parse(const json_t *pod, const char *key)
{
        const json_t *spec = json_object_get(pod, "spec");
        struct template *self = cx_alloc(sizeof *self);
        self->key = cx_strdup(key);
        self->group = -1;
        self->namespace = cx_strdup(cx_json_string_or(pod, "metadata.namespace", ""));
        self->owner_uid = cx_strdup(spreading_owner(pod));
        self->scheduler = cx_strdup(cx_json_string_or(spec, "schedulerName", "default-scheduler"));
        self->priority = cx_json_int(spec, "priority", 0);
        self->never_preempts = cx_streq(cx_json_string(spec, "preemptionPolicy"), "Never");
        parse_labels(cx_json_get(pod, "metadata.labels"), self);
        parse_requests(spec, self);
        parse_ports(json_object_get(spec, "initContainers"), self);
        parse_ports(json_object_get(spec, "containers"), self);
        parse_tolerations(json_object_get(spec, "tolerations"), self);
        parse_affinity(spec, self);
        parse_spread(spec, self);
        return self;
}

struct template *templates_get(struct templates *self, const json_t *pod)
{
        CX_BUF key = CX_BUF_INIT;
        make_key(pod, &key);
        pthread_mutex_lock(&self->lock);
        struct template *template = cx_map_get(&self->by_key, key.data);
        if (!template) {
                template = parse(pod, key.data);
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
                template_free(template);
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
        const char *node = cx_json_string(pod, "spec.nodeName"), *phase = cx_json_string(pod, "status.phase");
        info->node = node && *node ? cx_strdup(node) : NULL;
        const char *nominated = cx_json_string(pod, "status.nominatedNodeName");
        info->nominated = nominated && *nominated ? cx_strdup(nominated) : NULL;
        info->terminal = cx_streq(phase, "Succeeded") || cx_streq(phase, "Failed");
        info->gates = (int)cx_json_count(pod, "spec.schedulingGates");
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
