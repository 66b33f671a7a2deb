// SPDX-License-Identifier: Apache-2.0
#include "controller-manager/cluster/certificate_requests.h"

#include "libcommon/base/address.h"
#include "libcommon/format/base64.h"

bool csr_has_usage(const json_t *request, const char *usage)
{
        size_t i;
        json_t *entry;
        json_array_foreach (cx_json_get(request, "spec.usages"), i, entry) {
                if (cx_streq(json_string_value(entry), usage))
                        return true;
        }
        return false;
}

bool csr_has_usages(const json_t *request, const char *main)
{
        size_t i;
        json_t *entry;
        json_array_foreach (cx_json_get(request, "spec.usages"), i, entry) {
                const char *usage = json_string_value(entry);
                if (!cx_streq(usage, main) && !cx_streq(usage, "digital signature") &&
                    !cx_streq(usage, "key encipherment"))
                        return false;
        }
        return csr_has_usage(request, main) && csr_has_usage(request, "digital signature");
}

int csr_parse(const json_t *request, char **ret_pem, struct cx_csr_info *ret_info, struct cx_error *err)
{
        const char *encoded = cx_json_string_or(request, "spec.request", "");
        CX_BUF pem = CX_BUF_INIT_MAX(1 << 20);
        if (cx_base64_decode(encoded, strlen(encoded), &pem) < 0)
                return cx_error_set(err, -EINVAL, "the request is not base64");
        int r = cx_pki_parse_csr(pem.data, ret_info, err);
        if (r == 0)
                *ret_pem = cx_buf_detach(&pem);
        return r;
}

bool csr_is_node(const struct cx_csr_info *info)
{
        return cx_has_prefix(info->common_name, NODE_USER_PREFIX) && info->organizations.count == 1 &&
               cx_streq(info->organizations.items[0], "system:nodes");
}

bool csr_is_server_name(const char *name)
{
        static const char *const names[] = {"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++)
                if (strcmp(name, names[i]) == 0)
                        return true;
        // Services' names, by which the API server knows webhooks and aggregated APIs.
        const char *service = strstr(name, ".svc");
        while (service && service[4] && service[4] != '.')
                service = strstr(service + 1, ".svc");
        return service;
}

char *csr_host_of(const char *url)
{
        const char *host = strstr(url, "://");
        host = host ? host + strlen("://") : url;
        bool brackets = *host == '[';
        host += brackets;
        char *text = cx_strndup(host, strcspn(host, brackets ? "]" : ":/"));
        size_t length = strlen(text);
        struct cx_address address;
        char canonical[CX_ADDRESS_TEXT];
        if (cx_address_parse(text, &address) == 0) {
                cx_address_unmap(&address);
                free(text);
                return cx_strdup(cx_address_format(&address, canonical));
        }
        for (char *p = text; *p; p++)
                *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
        while (length && text[length - 1] == '.')
                text[--length] = '\0';
        return text;
}

bool csr_is_server_address(const char *text, const struct cx_strings *service_cidrs)
{
        struct cx_address address;
        struct cx_network network;
        if (cx_address_parse(text, &address) < 0)
                return true;
        cx_address_unmap(&address);
        if (cx_address_why_special(&address))
                return true;
        for (size_t i = 0; i < service_cidrs->count; i++)
                if (cx_network_parse(service_cidrs->items[i], &network) == 0 && cx_network_has(&network, &address))
                        return true;
        return false;
}

bool csr_is_open(const json_t *request, const char *signer)
{
        return !cx_json_count(request, "status.conditions") && !cx_json_string(request, "status.certificate") &&
               cx_streq(cx_json_string(request, "spec.signerName"), signer);
}

void csr_say_not_approved(struct manager *manager, const struct cx_object *request, const char *why)
{
        cx_debug(2, "Request for a certificate is not approved", "request", request->name, "why", why);
        cx_event(manager->events,
                 &(struct cx_event_about){.api_version = "certificates.k8s.io/v1",
                                          .kind = "CertificateSigningRequest",
                                          .name = request->name,
                                          .uid = request->uid},
                 "Warning", "NotApproved", "Not approved automatically: %s", why);
}

int csr_approve(struct cx_rest *rest, const char *name, json_t *request, const char *message, struct cx_error *err)
{
        json_object_set_new(request, "apiVersion", json_string("certificates.k8s.io/v1"));
        json_object_set_new(request, "kind", json_string("CertificateSigningRequest"));
        json_array_append_new(cx_json_array_at(cx_json_object_at(request, "status"), "conditions"),
                              json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "type", "Approved", "status", "True",
                                        "reason", "AutoApproved", "message", message, "lastUpdateTime", json_now(),
                                        "lastTransitionTime", json_now()));
        return cx_rest_update_sub(rest, CX_REF("certificates.k8s.io", "v1", "certificatesigningrequests", NULL, name),
                                  "approval", request, NULL, err);
}
