// SPDX-License-Identifier: Apache-2.0
// metrics-server: what nodes and pods use, for kubectl top and for autoscaling, behind the aggregator of the API server.
// Only the API server gets at them: by a certificate of the front proxies' authority with one of the names that are allowed.
// It has authorized what it passes on.
#include "addons/metrics-server/api.h"
#include "libcommon/base/time.h"
#include "libcommon/client/component.h"

static struct cx_strings address_types, allowed_names;
static struct nodes_options options = {.resolution = 15 * CX_NS_PER_S, .address_types = &address_types};
static struct api api;
static struct cx_component component;

static const struct cx_flag flags[] = {
        {.name = "metric-resolution",
         .kind = CX_FLAG_DURATION,
         .target = &options.resolution,
         .help = "How often kubelets are asked; at least 10s."},
        {.name = "kubelet-certificate-authority",
         .kind = CX_FLAG_STRING,
         .target = &options.ca_file,
         .help = "CA of kubelets' certificates; the cluster's by default."},
        {.name = "kubelet-insecure-tls",
         .kind = CX_FLAG_BOOL,
         .target = &options.insecure,
         .help = "Do not verify kubelets' certificates. For tests only."},
        {.name = "kubelet-preferred-address-types",
         .kind = CX_FLAG_CSV,
         .target = &address_types,
         .help = "Which of a node's addresses to ask at, the best first."},
        {.name = "kubelet-port",
         .kind = CX_FLAG_INT,
         .target = &options.port,
         .help = "Port of kubelets; 0: the one that the node tells.",
         .min = 0,
         .max = 65535},
        {.name = "requestheader-client-ca-file",
         .kind = CX_FLAG_STRING,
         .target = &component.front_proxy_ca_file,
         .help = "CA of the API server's certificate as a front proxy."},
        {.name = "requestheader-allowed-names",
         .kind = CX_FLAG_CSV,
         .target = &allowed_names,
         .help = "Common names of the API server's certificate as a front proxy; any when empty."},
        {0},
};

static int start(struct cx_component *self, struct cx_error *err)
{
        static const char *const usual[] = {"Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP"};
        if (options.resolution < 10 * CX_NS_PER_S)
                return cx_error_set(err, -EINVAL, "--metric-resolution: must be 10s at least");
        if (self->port && !self->front_proxy_ca_file)
                return cx_error_set(err, -EINVAL,
                                    "--requestheader-client-ca-file is needed: nobody else's requests are served");
        for (size_t i = 0; !address_types.count && i < CX_ARRAY_SIZE(usual); i++)
                cx_strings_add(&address_types, usual[i]);
        int r = nodes_new(self, &options, &api.nodes, err);
        if (r < 0)
                return r;
        api.pods = api_add_pods(self->informers);
        nodes_start(api.nodes);
        cx_informers_start(self->informers);
        return 0;
}

static void stop(struct cx_component *self CX_UNUSED)
{
        nodes_free(api.nodes);
        cx_strings_release(&address_types);
        cx_strings_release(&allowed_names);
}

static bool ready(struct cx_component *self CX_UNUSED)
{
        return cx_informer_synced(api.pods) && nodes_ready(api.nodes);
}

static bool is_front_proxy(struct cx_http_request *request)
{
        const char *name = cx_http_front_proxy(request);
        return name && (!allowed_names.count || cx_strings_has(&allowed_names, name));
}

static bool serve(struct cx_component *self CX_UNUSED, struct cx_http_request *request)
{
        const char *path = cx_http_path(request);
        if (is_front_proxy(request)) {
                if (!api_serve(&api, request))
                        cx_http_respond_text(request, 404, "404 page not found\n");
                return true;
        }
        if (!cx_has_prefix(path, "/apis") && !cx_has_prefix(path, "/openapi"))
                return false;
        CX_ERROR err = CX_ERROR_INIT;
        (void)cx_error_reason(&err, CX_REASON_UNAUTHORIZED, "Unauthorized");
        cx_http_respond_error(request, &err);
        return true;
}

static struct cx_component component = {
        .name = "metrics-server",
        .description = "Serves what nodes and pods use (metrics.k8s.io).",
        .secure_port = 10250,
        .flags = flags,
        .start = start,
        .stop = stop,
        .ready = ready,
        .serve = serve,
};

int main(int argc, char **argv)
{
        return cx_component_main(&component, argc, argv);
}
