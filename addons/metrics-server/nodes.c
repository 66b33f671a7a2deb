// SPDX-License-Identifier: Apache-2.0
#include "addons/metrics-server/nodes.h"

#include "libcommon/base/address.h"
#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/random.h"
#include "libcommon/base/time.h"
#include "libcommon/client/kubeconfig.h"
#include "libcommon/client/workqueue.h"
#include "libcommon/format/json.h"

#include <pthread.h>

#define WORKERS 8
#define MAX_ANSWER ((size_t)32 << 20)

struct node_samples {
        struct samples before, after;
        bool two; // there is a `before`
};

struct nodes {
        struct nodes_options options;
        struct cx_http_client *http;
        struct cx_informer *informer;
        struct cx_workqueue *queue; // of nodes' names
        struct cx_workers *workers;
        pthread_mutex_t lock; // guards known
        struct cx_map known;  // name -> struct node_samples
        bool stop;            // polled by the questions that are under way
        struct cx_metric *requests;
};

// --- what a node object says of its kubelet --------------------------------------------------------------------------

static const char *address_of(const struct nodes *self, const json_t *node)
{
        for (size_t i = 0; i < self->options.address_types->count; i++) {
                const json_t *address = cx_json_find(cx_json_get(node, "status.addresses"), "type",
                                                     self->options.address_types->items[i]);
                if (address)
                        return cx_json_string(address, "address");
        }
        return NULL;
}

// The projection: the URL to ask at; NULL: it has no address.
static void *project(void *context, const json_t *node)
{
        struct nodes *self = context;
        const char *address = address_of(self, node);
        int64_t port = self->options.port ? self->options.port
                                          : cx_json_int(node, "status.daemonEndpoints.kubeletEndpoint.Port", 10250);
        if (!address || strpbrk(address, "/?#@"))
                return NULL;
        return cx_sprintf(strchr(address, ':') ? "https://[%s]:%ld/metrics/resource"
                                               : "https://%s:%ld/metrics/resource",
                          address, (long)port);
}

// --- asking ----------------------------------------------------------------------------------------------------------

static void free_node(void *value)
{
        struct node_samples *node = value;
        samples_release(&node->before);
        samples_release(&node->after);
        free(node);
}

static void keep(struct nodes *self, const char *name, struct samples *samples_steal)
{
        pthread_mutex_lock(&self->lock);
        struct node_samples *node = cx_map_get(&self->known, name);
        if (!node) {
                cx_map_set(&self->known, name, node = cx_alloc(sizeof *node));
                samples_init(&node->before);
                samples_init(&node->after);
                samples_release(&node->after);
                node->after = *samples_steal;
        } else if (samples_steal->node.at > node->after.node.at) {
                samples_release(&node->before);
                node->before = node->after;
                node->after = *samples_steal;
                node->two = true;
        } else { // the kubelet has not looked again
                samples_release(samples_steal);
        }
        pthread_mutex_unlock(&self->lock);
}

static int scrape(struct nodes *self, const char *name, const char *url, struct cx_error *err)
{
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        struct samples samples;
        int r = cx_http_do(self->http,
                           &(struct cx_http_call){.path = url,
                                                  .accept = "text/plain; version=0.0.4",
                                                  .timeout = self->options.resolution * 2 / 3,
                                                  .max_reply = MAX_ANSWER,
                                                  .cancel = &self->stop},
                           &reply, err);
        if (r == 0 && reply.code != 200)
                r = cx_error_set(err, -EPROTO, "request failed, status: \"%d\"", reply.code);
        if (r < 0)
                return r;
        samples_init(&samples);
        r = samples_parse(reply.body.data, reply.body.length, cx_time_now() * 1000, &samples, err);
        if (r == 0 && (samples.node.has & SAMPLE_WHOLE) != SAMPLE_WHOLE)
                r = cx_error_set(err, -EPROTO, "the kubelet does not tell what the node uses");
        if (r == 0)
                keep(self, name, &samples);
        else
                samples_release(&samples);
        return r;
}

static int reconcile(void *context, const char *name, int64_t *retry_after, struct cx_error *err CX_UNUSED)
{
        struct nodes *self = context;
        CX_OBJECT *node = cx_informer_get(self->informer, NULL, name);
        CX_ERROR why = CX_ERROR_INIT;
        int64_t begun = cx_time_monotonic();
        if (!node) {
                pthread_mutex_lock(&self->lock);
                cx_map_remove(&self->known, name);
                pthread_mutex_unlock(&self->lock);
                return 0;
        }
        int r = node->projection ? scrape(self, name, node->projection, &why)
                                 : cx_error_set(&why, -ENOENT, "it has no address");
        cx_metric_add(self->requests, 1, r < 0 ? "false" : "true");
        if (r < 0 && !__atomic_load_n(&self->stop, __ATOMIC_ACQUIRE))
                cx_err(&why, "Failed to scrape node", "node", name);
        int64_t left = self->options.resolution - (cx_time_monotonic() - begun);
        *retry_after = left > CX_NS_PER_S ? left : CX_NS_PER_S;
        return 0;
}

static void on_node(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct nodes *self = context;
        if (!old || !now) // otherwise it comes back by itself
                cx_workqueue_add(self->queue, (now ? now : old)->name);
}

// --- life ------------------------------------------------------------------------------------------------------------

static int make_client(struct nodes *self, const struct cx_component *component, struct cx_error *err)
{
        CX_CREDENTIALS credentials = CX_CREDENTIALS_INIT;
        CX_KUBECONFIG config = CX_KUBECONFIG_INIT;
        int r = component->kubeconfig && *component->kubeconfig
                        ? cx_kubeconfig_load(component->kubeconfig, false, &config, err)
                        : cx_credentials_in_cluster(&credentials, err);
        if (r == 0 && !credentials.server)
                r = cx_kubeconfig_resolve(&config, &(struct cx_kubeconfig_overrides){0}, &credentials, err);
        if (r < 0)
                return r;
        const char *ca_file = self->options.ca_file;
        return cx_http_client_new(&(struct cx_http_client_options){.ca_pem = ca_file ? NULL : credentials.ca_pem,
                                                                   .cert_pem = credentials.cert_pem,
                                                                   .key_pem = credentials.key_pem,
                                                                   .ca_file = ca_file ? ca_file : credentials.ca_file,
                                                                   .cert_file = credentials.cert_file,
                                                                   .key_file = credentials.key_file,
                                                                   .bearer_token = credentials.token,
                                                                   .bearer_token_file = credentials.token_file,
                                                                   .insecure = self->options.insecure,
                                                                   .max_idle = 4},
                                  &self->http, err);
}

int nodes_new(struct cx_component *component, const struct nodes_options *options, struct nodes **ret_nodes,
              struct cx_error *err)
{
        static const char *const labels[] = {"success", NULL};
        struct nodes *self = cx_alloc(sizeof *self);
        self->options = *options;
        int r = make_client(self, component, err);
        if (r < 0) {
                free(self);
                return r;
        }
        pthread_mutex_init(&self->lock, NULL);
        self->known = (struct cx_map)CX_MAP_INIT_FREE(free_node);
        self->queue = cx_workqueue_new("nodes");
        self->requests = cx_metrics_counter(component->metrics, "metrics_server_kubelet_request_total",
                                            "Questions to kubelets, by whether they were answered.", labels);
        self->informer =
                cx_informers_add(component->informers, &(struct cx_informer_options){.ref = {"", "v1", "nodes"},
                                                                                     .drop_bytes = true,
                                                                                     .project = project,
                                                                                     .free_projection = free,
                                                                                     .context = self});
        cx_informer_on_event(self->informer, on_node, self);
        *ret_nodes = self;
        return 0;
}

void nodes_start(struct nodes *self)
{
        self->workers = cx_workers_start(self->queue, WORKERS, reconcile, self);
}

void nodes_free(struct nodes *self)
{
        if (!self)
                return;
        __atomic_store_n(&self->stop, true, __ATOMIC_RELEASE);
        cx_workers_stop(self->workers);
        cx_workqueue_free(self->queue);
        cx_http_client_free(self->http);
        cx_map_release(&self->known);
        pthread_mutex_destroy(&self->lock);
        free(self);
}

struct cx_informer *nodes_informer(struct nodes *self)
{
        return self->informer;
}

// --- what is known ---------------------------------------------------------------------------------------------------

bool nodes_ready(struct nodes *self)
{
        bool ready = false;
        pthread_mutex_lock(&self->lock);
        CX_MAP_FOREACH (&self->known, entry) {
                const struct node_samples *node = entry->value;
                ready = ready || node->two;
        }
        pthread_mutex_unlock(&self->lock);
        return ready;
}

bool nodes_usage(struct nodes *self, const char *name, struct usage *ret_usage)
{
        pthread_mutex_lock(&self->lock);
        const struct node_samples *node = cx_map_get(&self->known, name);
        bool known = node && node->two && usage_between(&node->before.node, &node->after.node, ret_usage);
        pthread_mutex_unlock(&self->lock);
        return known;
}

json_t *usage_json(const struct usage *usage)
{
        char cpu[32], memory[32];
        (void)snprintf(cpu, sizeof cpu, usage->cpu_nano ? "%llun" : "%llu", (unsigned long long)usage->cpu_nano);
        bool whole = usage->memory && usage->memory % 1024 == 0;
        (void)snprintf(memory, sizeof memory, whole ? "%lluKi" : "%llu",
                       (unsigned long long)(whole ? usage->memory / 1024 : usage->memory));
        return json_pack("{s:s,s:s}", "cpu", cpu, "memory", memory);
}

static bool add_containers(const struct nodes *self, const struct node_samples *node, const char *key, json_t *to,
                           struct usage *ret_usage)
{
        const struct pod_samples *after = cx_map_get(&node->after.pods, key),
                                 *before = cx_map_get(&node->before.pods, key);
        for (size_t i = 0; after && i < after->count; i++) {
                const struct container_sample *container = &after->items[i];
                struct sample scratch;
                struct usage usage;
                const struct sample *from = sample_before(pod_sample(before, container->name), &container->sample,
                                                          self->options.resolution, &scratch);
                if (!usage_between(from, &container->sample, &usage))
                        return false;
                if (i == 0 || usage.at < ret_usage->at)
                        *ret_usage = usage;
                json_array_append_new(to, json_pack("{s:s,s:o}", "name", container->name, "usage", usage_json(&usage)));
        }
        return after && after->count;
}

bool nodes_pod_usage(struct nodes *self, const char *name, const char *pod_key, json_t **ret_containers,
                     struct usage *ret_usage)
{
        json_t *containers = json_array();
        pthread_mutex_lock(&self->lock);
        const struct node_samples *node = cx_map_get(&self->known, name);
        bool known = node && add_containers(self, node, pod_key, containers, ret_usage);
        pthread_mutex_unlock(&self->lock);
        if (known)
                *ret_containers = containers;
        else
                json_decref(containers);
        return known;
}
