// SPDX-License-Identifier: Apache-2.0
// Brings the manifests of addons to a cluster: object by object, so that what is there already is left or brought in line.
#include "libcommon/base/address.h"
#include "libcommon/base/time.h"
#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"
#include "libcommon/format/yaml.h"
#include "libcommon/schema/schema.h"
#include "minikube/addons.h"
#include "minikube/certs.h"
#include "minikube/commands.h"
#include "minikube/services.h"

#include <poll.h>

#define PAUSE_MS 25
#define REMOVAL_PATIENCE (60 * CX_NS_PER_S)
#define MODE "addonmanager.kubernetes.io/mode"

// The manifest, with what it leaves open filled in.
static void fill(const char *manifest, const char *address, const char *balancers, const char *ca, struct cx_buf *to)
{
        const struct {
                const char *mark, *text;
        } open[] = {{"@FIRST_NODE@", address}, {"@BALANCERS@", balancers}, {"@CA@", ca}};
        while (*manifest) {
                size_t length = strcspn(manifest, "@"), i;
                cx_buf_append(to, manifest, length);
                manifest += length;
                for (i = 0; i < CX_ARRAY_SIZE(open) && !cx_has_prefix(manifest, open[i].mark); i++)
                        ;
                if (i < CX_ARRAY_SIZE(open)) {
                        cx_buf_add(to, open[i].text);
                        manifest += strlen(open[i].mark);
                } else if (*manifest) {
                        cx_buf_append(to, manifest++, 1);
                }
        }
}

static int parse(const struct profile *profile, const struct addon *addon, json_t **ret_objects, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/ca.crt", profile->home);
        CX_CLEANUP(cx_freep) char *ca = NULL;
        CX_CLEANUP(cx_freep) char *address = node_address(profile, 0);
        CX_CLEANUP(cx_freep) char *balancers = balancer_cidr(profile);
        CX_BUF encoded = CX_BUF_INIT, text = CX_BUF_INIT;
        int r = certs_read(path, &ca, err);
        if (r < 0)
                return r;
        cx_base64_encode(ca, strlen(ca), &encoded);
        fill(addon->manifest, address, balancers, encoded.data, &text);
        return cx_yaml_parse(text.data, text.length, ret_objects, err);
}

static struct cx_ref ref_of(const json_t *object)
{
        const char *api_version = cx_json_string_or(object, "apiVersion", ""), *slash = strchr(api_version, '/');
        CX_CLEANUP(cx_freep) char *group = slash ? cx_strndup(api_version, (size_t)(slash - api_version)) : NULL;
        const struct cx_resource *resource = cx_schema_resource_by_kind(
                group ? group : "", slash ? slash + 1 : api_version, cx_json_string_or(object, "kind", ""));
        if (!resource)
                abort(); // manifests are ours
        return (struct cx_ref){resource->group, resource->version, resource->resource,
                               resource->namespaced ? cx_json_string(object, "metadata.namespace") : NULL,
                               cx_json_string(object, "metadata.name")};
}

static int bring(struct cx_rest *rest, const json_t *object, struct cx_error *err)
{
        const json_t *labels = cx_json_get(object, "metadata.labels");
        const struct cx_ref ref = ref_of(object);
        int r = cx_rest_create(rest, &ref, object, NULL, err);
        if (r == 0 || !cx_error_is(err, CX_REASON_ALREADY_EXISTS))
                return r;
        cx_error_release(err);
        return cx_streq(json_string_value(json_object_get(labels, MODE)), "EnsureExists")
                       ? 0
                       : cx_rest_patch(rest, &ref, NULL, CX_PATCH_MERGE, object, NULL, err);
}

static bool all_run(const struct profile *profile, const struct addon *addon)
{
        for (int node = 0; node < (addon->on_first ? 1 : profile->nodes); node++) {
                CX_CLEANUP(cx_freep) char *name = node_name(profile, node);
                CX_CLEANUP(cx_freep) char *service = cx_sprintf("%s-%s", addon->service, name);
                if (node_runs(profile, node) && !service_pid(profile, service))
                        return false;
        }
        return true;
}

static bool is_available(struct cx_rest *rest, const char *name)
{
        json_auto_t *service = NULL;
        if (cx_rest_get(rest, CX_REF("apiregistration.k8s.io", "v1", "apiservices", NULL, name), &service, NULL) < 0)
                return false;
        const json_t *condition = cx_json_find(cx_json_get(service, "status.conditions"), "type", "Available");
        return cx_streq(cx_json_string(condition, "status"), "True");
}

static bool takes_connections(const struct profile *profile, int port)
{
        CX_CLEANUP(cx_freep) char *text = node_address(profile, 0);
        struct cx_address address;
        struct sockaddr_storage server;
        if (cx_address_parse(text, &address) < 0)
                abort(); // of a network of ours
        socklen_t size = cx_address_to_socket(&address, port, &server);
        CX_CLEANUP(cx_closep) int fd = socket(server.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        return fd >= 0 && connect(fd, (struct sockaddr *)&server, size) == 0;
}

static bool works(const struct profile *profile, struct cx_rest *rest, const struct addon *addon)
{
        return (!addon->service || all_run(profile, addon)) &&
               (!addon->port || takes_connections(profile, addon->port)) &&
               (!addon->api_service || is_available(rest, addon->api_service));
}

int addon_apply(const struct profile *profile, struct cx_rest *rest, const struct addon *addon, int64_t deadline,
                struct cx_error *err)
{
        json_auto_t *objects = NULL;
        int r = addon->manifest ? parse(profile, addon, &objects, err) : 0;
        for (size_t i = 0; r == 0 && i < json_array_size(objects); i++)
                r = bring(rest, json_array_get(objects, i), err);
        while (r == 0 && !works(profile, rest, addon)) {
                if (cx_time_monotonic() > deadline)
                        return cx_error_set(err, -ETIMEDOUT, "addon '%s' does not work yet; see the logs in %s/logs",
                                            addon->name, profile->folder);
                (void)poll(NULL, 0, PAUSE_MS);
        }
        return r < 0 ? cx_error_wrap(err, "addon '%s'", addon->name) : r;
}

int addons_apply(const struct profile *profile, struct cx_rest *rest, int64_t deadline, struct cx_error *err)
{
        size_t count;
        const struct addon *addons = addons_all(&count);
        int r = 0;
        for (size_t i = 0; r == 0 && i < count; i++)
                if (addon_is_on(profile, addons[i].name))
                        r = addon_apply(profile, rest, &addons[i], deadline, err);
        return r;
}

// Until an object is gone that takes others along: who enables the addon again at once must find nothing that ends.
static int wait_gone(struct cx_rest *rest, const struct cx_ref *ref, struct cx_error *err)
{
        int64_t deadline = cx_time_monotonic() + REMOVAL_PATIENCE;
        for (;;) {
                int r = cx_rest_get(rest, ref, NULL, err);
                if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                        cx_error_release(err);
                        return 0;
                }
                if (r < 0)
                        return r;
                if (cx_time_monotonic() > deadline)
                        return cx_error_set(err, -ETIMEDOUT, "%s %s has not gone yet", ref->resource, ref->name);
                (void)poll(NULL, 0, PAUSE_MS);
        }
}

int addon_remove(const struct profile *profile, struct cx_rest *rest, const struct addon *addon, struct cx_error *err)
{
        json_auto_t *objects = NULL;
        int r = addon->manifest ? parse(profile, addon, &objects, err) : 0;
        for (size_t i = json_array_size(objects); r == 0 && i-- > 0;) {
                const struct cx_ref ref = ref_of(json_array_get(objects, i));
                r = cx_rest_delete(rest, &ref, &(struct cx_delete_options)CX_DELETE_OPTIONS_INIT, err);
                if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                        cx_error_release(err);
                        r = 0;
                }
                if (r == 0 && strcmp(ref.resource, "namespaces") == 0)
                        r = wait_gone(rest, &ref, err);
        }
        return r;
}
