// SPDX-License-Identifier: Apache-2.0
// How a node comes by its first credentials: with the token of --bootstrap-kubeconfig it asks for a client certificate, waits
// until it is signed, and writes the kubeconfig that it is known by from then on.
#pragma once

#include "kubelet/base/config.h"
#include "libcommon/client/kubeconfig.h"

// Nothing is done when the kubeconfig has credentials that are good. Servers that do not answer are waited for; -ECANCELED at
// SIGTERM. `folder`: of the certificates.
int bootstrap_join(const struct kubelet_settings *settings, const char *node_name, const char *folder,
                   struct cx_error *err) CX_CHECK;
// For a kubelet that renews its client certificate: from now on the credentials are those of <folder>/kubelet-client-current.pem,
// which is made of them when it is not there.
int bootstrap_adopt(const char *folder, struct cx_credentials *credentials, struct cx_error *err) CX_CHECK;
