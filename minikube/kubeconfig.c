// SPDX-License-Identifier: Apache-2.0
// The profile's context in the user's kubeconfig; everything else in it stays as it is.
#include "client/kubeconfig.h"
#include "format/json.h"
#include "minikube/commands.h"

int cx_context_write(const struct cx_profile *p, struct cx_error *err)
{
        CX_KUBECONFIG config = CX_KUBECONFIG_INIT;
        CX_CLEANUP(cx_freep) char *address = cx_node_address(p, 0);
        CX_CLEANUP(cx_freep) char *server = cx_sprintf("https://%s:%d", address, CX_API_PORT);
        CX_CLEANUP(cx_freep) char *ca = cx_sprintf("%s/ca.crt", p->home);
        CX_CLEANUP(cx_freep) char *cert = cx_profile_path(p, "certs/admin.crt");
        CX_CLEANUP(cx_freep) char *key = cx_profile_path(p, "certs/admin.key");
        int r = cx_kubeconfig_load(NULL, true, &config, err);
        if (r < 0)
                return r;
        (void)cx_kubeconfig_set(&config, "clusters", p->name,
                                json_pack("{s:s,s:s}", "certificate-authority", ca, "server", server));
        (void)cx_kubeconfig_set(&config, "users", p->name,
                                json_pack("{s:s,s:s}", "client-certificate", cert, "client-key", key));
        (void)cx_kubeconfig_set(
                &config, "contexts", p->name,
                json_pack("{s:s,s:s,s:s}", "cluster", p->name, "namespace", "default", "user", p->name));
        cx_kubeconfig_set_current(&config, p->name);
        return cx_kubeconfig_save(&config, err);
}

int cx_context_remove(const struct cx_profile *p, struct cx_error *err)
{
        CX_KUBECONFIG config = CX_KUBECONFIG_INIT;
        int r = cx_kubeconfig_load(NULL, true, &config, err);
        if (r < 0)
                return r;
        bool any = cx_kubeconfig_set(&config, "clusters", p->name, NULL);
        any |= cx_kubeconfig_set(&config, "users", p->name, NULL);
        any |= cx_kubeconfig_set(&config, "contexts", p->name, NULL);
        if (cx_streq(cx_kubeconfig_current_context(&config), p->name)) {
                cx_kubeconfig_set_current(&config, NULL);
                any = true;
        }
        return any ? cx_kubeconfig_save(&config, err) : 0;
}

bool cx_context_present(const struct cx_profile *p)
{
        CX_KUBECONFIG config = CX_KUBECONFIG_INIT;
        return cx_kubeconfig_load(NULL, true, &config, NULL) == 0 && cx_kubeconfig_context(&config, p->name);
}
