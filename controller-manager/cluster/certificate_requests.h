// SPDX-License-Identifier: Apache-2.0
// What those who approve and sign CertificateSigningRequests share.
#pragma once

#include "libcommon/net/pki.h"
#include "libcontroller/manager.h"

#define CLIENT_SIGNER "kubernetes.io/kube-apiserver-client"
#define KUBELET_CLIENT_SIGNER "kubernetes.io/kube-apiserver-client-kubelet"
#define KUBELET_SERVING_SIGNER "kubernetes.io/kubelet-serving"
#define NODE_USER_PREFIX "system:node:"

int csr_parse(const json_t *request, char **ret_pem, struct cx_csr_info *ret_info, struct cx_error *err) CX_CHECK;
bool csr_is_node(const struct cx_csr_info *info); // the subject is that of a node
bool csr_has_usage(const json_t *request, const char *usage);
// `main` and "digital signature", and nothing else but "key encipherment".
bool csr_has_usages(const json_t *request, const char *main);
// Names and addresses that clients know the API server by, and that lead nowhere but to oneself: no node may have a certificate for
// them, whatever it is called and has registered. So with names of Services, whose certificates the API server checks.
bool csr_is_server_name(const char *name);
bool csr_is_server_address(const char *address, const struct cx_strings *service_cidrs);
// The host of "https://HOST:PORT" as a certificate has it: in lower case, an IPv6 address in its short form and without brackets.
// Owned by the caller.
char *csr_host_of(const char *url);
bool csr_is_open(const json_t *request, const char *signer); // for that signer, and nobody has decided
// Says in an event of the request why nobody approves it by himself.
void csr_say_not_approved(struct manager *manager, const struct cx_object *request, const char *why);
int csr_approve(struct cx_rest *rest, const char *name, json_t *request, const char *message, struct cx_error *err)
        CX_CHECK;
