// SPDX-License-Identifier: Apache-2.0
// CertificateSigningRequests: nodes' client certificates are approved when the requester may ask for them (RBAC says
// so), and what is approved is signed for the built-in signers of clients, kubelets and kubelets' servers. Upstream lets who
// may join become any node; here a node that is heard of is nobody else's: such a request waits until the node is silent (for
// minutes at most, or it would lie in wait for that) or deleted.
#include "controller-manager/cluster/certificate_requests.h"
#include "controller-manager/core/options.h"

#include "libcommon/base/time.h"
#include "libcommon/format/base64.h"
#include "libcommon/net/tls_files.h"

#define WAITS_FOR_SILENCE (10 * 60 * CX_US_PER_S)

struct signer {
        struct manager *manager;
        struct cx_informer *requests, *nodes;
        struct cx_tls_files files;
        struct cx_tls_texts authority; // the worker's
};

static struct signer *start(struct manager *manager, struct cx_workqueue *queue)
{
        struct signer *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->requests = manager_informer(manager, "certificates.k8s.io", "certificatesigningrequests");
        self->nodes = manager_informer(manager, "", "nodes");
        manager_enqueue_all(self->requests, queue);
        return self;
}

static void *init_approving(struct manager *manager, struct cx_workqueue *queue)
{
        return options_of(manager)->signing_cert_file ? start(manager, queue) : NULL;
}

static void release(void *context)
{
        struct signer *self = context;
        cx_tls_texts_release(&self->authority);
        cx_tls_files_release(&self->files);
        free(self);
}

static void *init_signing(struct manager *manager, struct cx_workqueue *queue)
{
        const struct manager_options *options = options_of(manager);
        if (!options->signing_cert_file || !options->signing_key_file)
                return NULL;
        CX_ERROR err = CX_ERROR_INIT;
        struct cx_tls_files files;
        struct cx_tls_texts authority = {0};
        cx_tls_files_init(&files, options->signing_cert_file, options->signing_key_file, NULL, NULL);
        if (cx_tls_files_read(&files, &authority, &err) < 0) {
                cx_err(&err, "Certificates are not signed");
                cx_tls_files_release(&files);
                return NULL;
        }
        struct signer *self = start(manager, queue);
        self->files = files;
        self->authority = authority;
        return self;
}

// The authority as its files say now.
static const struct cx_tls_texts *authority_of(struct signer *self)
{
        struct cx_tls_texts now = {0};
        if (cx_tls_files_again(&self->files, &now)) {
                cx_tls_texts_release(&self->authority);
                self->authority = now;
        }
        return &self->authority;
}

// A user's certificate needs "client auth" alone; what else a client may have is optional.
static const char *why_no_client(const json_t *request)
{
        size_t i;
        json_t *entry;
        json_array_foreach (cx_json_get(request, "spec.usages"), i, entry) {
                const char *usage = cx_str(json_string_value(entry));
                if (strcmp(usage, "client auth") != 0 && strcmp(usage, "digital signature") != 0 &&
                    strcmp(usage, "key encipherment") != 0)
                        return "invalid usage for client certificate";
        }
        return csr_has_usage(request, "client auth") ? NULL
                                                     : "missing required usage for client certificate: client auth";
}

static int may_ask(struct signer *self, const json_t *request, const char *subresource, bool *ret_allowed,
                   struct cx_error *err)
{
        json_auto_t *review = json_pack("{s:s, s:s, s:{s:s, s:{s:s, s:s, s:s, s:s, s:s}}}", "apiVersion",
                                        "authorization.k8s.io/v1", "kind", "SubjectAccessReview", "spec", "user",
                                        cx_json_string_or(request, "spec.username", ""), "resourceAttributes", "group",
                                        "certificates.k8s.io", "resource", "certificatesigningrequests", "verb",
                                        "create", "subresource", subresource, "version", "*");
        json_t *spec = json_object_get(review, "spec");
        const json_t *groups = cx_json_get(request, "spec.groups"), *extra = cx_json_get(request, "spec.extra");
        if (groups)
                json_object_set_new(spec, "groups", json_deep_copy(groups));
        if (extra)
                json_object_set_new(spec, "extra", json_deep_copy(extra));
        json_auto_t *answer = NULL;
        int r = cx_rest_create(self->manager->rest, CX_REF("authorization.k8s.io", "v1", "subjectaccessreviews"),
                               review, &answer, err);
        *ret_allowed = r == 0 && cx_json_bool(answer, "status.allowed", false);
        return r;
}

// Ready or not, its kubelet says so: the condition of a node that is silent becomes Unknown.
static bool node_lives(const struct cx_object *object)
{
        json_auto_t *node = cx_object_json(object);
        return condition_is(node, "Ready", "True") || condition_is(node, "Ready", "False");
}

// Why nobody but the node itself gets its certificate now, or NULL; owned by the caller. A request does not lie in wait for
// the node to be silent for longer than it takes to see that it is.
static char *why_taken(const struct signer *self, const struct cx_object *request, const struct cx_csr_info *info,
                       int64_t *ret_retry_after)
{
        const char *name = info->common_name + strlen(NODE_USER_PREFIX);
        CX_OBJECT *node = cx_informer_get(self->nodes, NULL, name);
        if (!node)
                return NULL;
        if (node->created <= request->created && cx_time_now() - request->created > WAITS_FOR_SILENCE)
                return cx_sprintf(
                        "node \"%.253s\" was there when it was made, minutes ago. Delete the request, or approve it: "
                        "kubectl certificate approve %s",
                        name, request->name);
        if (!node_lives(node))
                return NULL;
        *ret_retry_after = 5 * CX_NS_PER_S;
        return cx_sprintf(
                "node \"%.253s\" lives, and did not ask for it. When nothing is heard of it any more, or it is "
                "deleted, the request is looked at again",
                name);
}

static int reconcile_approving(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct signer *self = context;
        CX_OBJECT *object = cx_informer_get_key(self->requests, key);
        if (!object)
                return 0;
        json_auto_t *request = cx_object_json(object);
        if (!csr_is_open(request, KUBELET_CLIENT_SIGNER))
                return 0;
        CX_CLEANUP(cx_csr_info_release) struct cx_csr_info info = {0};
        CX_CLEANUP(cx_freep) char *pem = NULL;
        CX_ERROR bad = CX_ERROR_INIT;
        if (csr_parse(request, &pem, &info, &bad) < 0)
                return 0; // not ours to approve
        bool node = csr_is_node(&info) && !info.odd && !info.dns_names.count && !info.ip_addresses.count &&
                    csr_has_usages(request, "client auth");
        bool self_asked = node && cx_streq(info.common_name, cx_json_string(request, "spec.username"));
        bool allowed = false;
        int r = 0;
        CX_CLEANUP(cx_freep)
        char *taken = node && !self_asked ? why_taken(self, object, &info, retry_after) : NULL;
        if (taken) {
                csr_say_not_approved(self->manager, object, taken);
                return 0;
        }
        if (self_asked)
                r = may_ask(self, request, "selfnodeclient", &allowed, err);
        if (r == 0 && node && !allowed)
                r = may_ask(self, request, "nodeclient", &allowed, err);
        if (r < 0 || !allowed)
                return r;
        return csr_approve(self->manager->rest, key, request,
                           "Auto approving kubelet client certificate after SubjectAccessReview.", err);
}

// What the signer would refuse; NULL when it signs.
static const char *why_not(const json_t *request, const char *signer, const struct cx_csr_info *info)
{
        if (cx_streq(signer, CLIENT_SIGNER))
                return why_no_client(request);
        if (!csr_is_node(info))
                return "the subject is not that of a node";
        if (info->odd)
                return "a node's certificate has DNS names and addresses only";
        if (cx_streq(signer, KUBELET_CLIENT_SIGNER)) {
                if (info->dns_names.count || info->ip_addresses.count)
                        return "subject alternative names are not allowed";
                return csr_has_usages(request, "client auth") ? NULL : "invalid usages for a client certificate";
        }
        if (!info->dns_names.count && !info->ip_addresses.count)
                return "a serving certificate needs DNS names or addresses";
        return csr_has_usages(request, "server auth") ? NULL : "invalid usages for a serving certificate";
}

static int write_result(struct signer *self, const char *key, json_t *request, struct cx_error *err)
{
        json_object_set_new(request, "apiVersion", json_string("certificates.k8s.io/v1"));
        json_object_set_new(request, "kind", json_string("CertificateSigningRequest"));
        return cx_rest_update_status(self->manager->rest,
                                     CX_REF("certificates.k8s.io", "v1", "certificatesigningrequests", NULL, key),
                                     request, NULL, err);
}

static int reconcile_signing(void *context, const char *key, int64_t *retry_after CX_UNUSED, struct cx_error *err)
{
        struct signer *self = context;
        CX_OBJECT *object = cx_informer_get_key(self->requests, key);
        if (!object)
                return 0;
        json_auto_t *request = cx_object_json(object);
        const char *signer = cx_json_string_or(request, "spec.signerName", "");
        if (!cx_streq(signer, CLIENT_SIGNER) && !cx_streq(signer, KUBELET_CLIENT_SIGNER) &&
            !cx_streq(signer, KUBELET_SERVING_SIGNER))
                return 0;
        const char *have = cx_json_string_or(request, "status.certificate", "");
        if (*have || !condition_is(request, "Approved", "True") || find_condition(request, "Denied") ||
            find_condition(request, "Failed"))
                return 0;
        struct cx_csr_info info = {0};
        CX_CLEANUP(cx_freep) char *pem = NULL;
        CX_CLEANUP(cx_freep) char *cert = NULL;
        CX_ERROR bad = CX_ERROR_INIT;
        const char *refusal = NULL;
        if (csr_parse(request, &pem, &info, &bad) < 0)
                refusal = cx_error_text(&bad);
        else
                refusal = why_not(request, signer, &info);
        cx_csr_info_release(&info);
        if (refusal) {
                json_t *conditions = cx_json_array_at(cx_json_object_at(request, "status"), "conditions");
                json_array_append_new(conditions, json_pack("{s:s, s:s, s:s, s:s, s:o}", "type", "Failed", "status",
                                                            "True", "reason", "SignerValidationFailure", "message",
                                                            refusal, "lastUpdateTime", json_now()));
                return write_result(self, key, request, err);
        }
        bool server = cx_streq(signer, KUBELET_SERVING_SIGNER);
        int64_t lifetime = options_of(self->manager)->signing_duration / CX_NS_PER_S;
        int64_t asked = cx_json_int(request, "spec.expirationSeconds", lifetime);
        if (asked >= 600 && asked < lifetime)
                lifetime = asked;
        const struct cx_tls_texts *authority = authority_of(self);
        int r = cx_pki_sign_csr(pem, authority->cert, authority->key, server, !server, lifetime, &cert, err);
        if (r < 0)
                return r;
        CX_BUF encoded = CX_BUF_INIT;
        cx_base64_encode(cert, strlen(cert), &encoded);
        json_object_set_new(json_object_get(request, "status"), "certificate", json_string(encoded.data));
        return write_result(self, key, request, err);
}

const struct controller csr_approving_controller = {.name = "certificatesigningrequest-approving-controller",
                                                    .account = "certificate-controller",
                                                    .workers = 1,
                                                    .init = init_approving,
                                                    .reconcile = reconcile_approving,
                                                    .free = release};
const struct controller csr_signing_controller = {.name = "certificatesigningrequest-signing-controller",
                                                  .account = "certificate-controller",
                                                  .workers = 1,
                                                  .init = init_signing,
                                                  .reconcile = reconcile_signing,
                                                  .free = release};
