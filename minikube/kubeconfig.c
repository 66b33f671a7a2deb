// SPDX-License-Identifier: Apache-2.0
// The profile's context in the user's kubeconfig; everything else in it stays as it is. When the profile stops or goes no
// context is current, so that no command reaches another cluster unasked; and a file that minikube made itself goes with the
// last thing in it.
#include "libcommon/client/kubeconfig.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"
#include "libcommon/format/json.h"
#include "minikube/commands.h"
#include "minikube/out.h"

// Holds the path of the kubeconfig that minikube made.
static char *created_file(const struct profile *p)
{
        return cx_sprintf("%s/created-kubeconfig", p->home);
}

static bool any_exists(const struct cx_kubeconfig *config)
{
        for (size_t i = 0; i < config->n_files; i++)
                if (config->files[i].exists)
                        return true;
        return false;
}

static int remember(const struct profile *p, const struct cx_kubeconfig *config, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *created = created_file(p);
        int r = 0;
        for (size_t i = 0; r == 0 && !any_exists(config) && i < config->n_files; i++)
                if (config->files[i].changed)
                        r = cx_write_file(created, config->files[i].path, strlen(config->files[i].path), 0600, false,
                                          err);
        return r;
}

// Whether the entries of this name are the profile's.
static bool is_ours(const struct profile *p, const struct cx_kubeconfig *config)
{
        CX_CLEANUP(cx_freep) char *cert = profile_path(p, "certs/admin.crt");
        return cx_streq(cx_json_string(cx_kubeconfig_user(config, p->name), "client-certificate"), cert);
}

int context_check(const struct profile *p, struct cx_error *err)
{
        CX_KUBECONFIG config = CX_KUBECONFIG_INIT;
        int r = cx_kubeconfig_load(NULL, true, &config, err);
        if (r < 0)
                return r;
        const json_t *user = cx_kubeconfig_user(&config, p->name);
        const char *cert = cx_json_string(user, "client-certificate");
        bool any = user || cx_kubeconfig_cluster(&config, p->name) || cx_kubeconfig_context(&config, p->name);
        // What another minikube has left may go, as with minikube itself.
        if (!any || (cert && strstr(cert, "/.minikube/")))
                return 0;
        return cx_error_set(err, -EEXIST,
                            "GUEST_KUBECONFIG_CONFLICT: your kubeconfig has a \"%s\" that is not minikube's. Please "
                            "choose another name with -p",
                            p->name);
}

int context_write(const struct profile *p, struct cx_error *err)
{
        CX_KUBECONFIG config = CX_KUBECONFIG_INIT;
        CX_CLEANUP(cx_freep) char *address = node_address(p, 0);
        CX_CLEANUP(cx_freep) char *server = cx_sprintf("https://%s:%d", address, API_PORT);
        CX_CLEANUP(cx_freep) char *ca = cx_sprintf("%s/ca.crt", p->home);
        CX_CLEANUP(cx_freep) char *cert = profile_path(p, "certs/admin.crt");
        CX_CLEANUP(cx_freep) char *key = profile_path(p, "certs/admin.key");
        int r = cx_kubeconfig_load(NULL, true, &config, err);
        if (r < 0)
                return r;
        (void)cx_kubeconfig_set(&config, "clusters", p->name,
                                json_pack("{s:s,s:s}", "certificate-authority", ca, "server", server));
        r = remember(p, &config, err);
        if (r < 0)
                return r;
        (void)cx_kubeconfig_set(&config, "users", p->name,
                                json_pack("{s:s,s:s}", "client-certificate", cert, "client-key", key));
        (void)cx_kubeconfig_set(
                &config, "contexts", p->name,
                json_pack("{s:s,s:s,s:s}", "cluster", p->name, "namespace", "default", "user", p->name));
        cx_kubeconfig_set_current(&config, p->name);
        return cx_kubeconfig_save(&config, err);
}

// Whether it was.
static bool end_being_current(const struct profile *p, struct cx_kubeconfig *config)
{
        if (!cx_streq(cx_kubeconfig_current_context(config), p->name))
                return false;
        cx_kubeconfig_set_current(config, NULL);
        return true;
}

static void tell_that_none_is_current(const struct profile *p, const struct cx_kubeconfig *config)
{
        if (cx_json_count(config->merged, "contexts"))
                out(stdout,
                    "💡  kubectl's current context was \"%s\"; now there is none. To choose another, run: \"kubectl "
                    "config use-context NAME\"\n",
                    p->name);
}

// Removes the kubeconfig when it is minikube's own and nothing is left in it.
static void remove_if_empty(const struct profile *p, const struct cx_kubeconfig *config)
{
        static const char *const lists[] = {"clusters", "users", "contexts"};
        CX_CLEANUP(cx_freep) char *created = created_file(p);
        CX_BUF path = CX_BUF_INIT_MAX(65536);
        for (size_t i = 0; i < CX_ARRAY_SIZE(lists); i++)
                if (cx_json_count(config->merged, lists[i]))
                        return;
        if (cx_buf_read_file(&path, created) < 0)
                return;
        for (size_t i = 0; i < config->n_files; i++)
                if (strcmp(config->files[i].path, path.data) == 0) {
                        (void)unlink(path.data);
                        (void)unlink(created);
                }
}

int context_remove(const struct profile *p, struct cx_error *err)
{
        CX_KUBECONFIG config = CX_KUBECONFIG_INIT;
        int r = cx_kubeconfig_load(NULL, true, &config, err);
        if (r < 0)
                return r;
        if (!is_ours(p, &config))
                return 0;
        bool any = cx_kubeconfig_set(&config, "clusters", p->name, NULL);
        any |= cx_kubeconfig_set(&config, "users", p->name, NULL);
        any |= cx_kubeconfig_set(&config, "contexts", p->name, NULL);
        bool was_current = end_being_current(p, &config);
        r = any || was_current ? cx_kubeconfig_save(&config, err) : 0;
        if (r == 0 && was_current)
                tell_that_none_is_current(p, &config);
        if (r == 0)
                remove_if_empty(p, &config);
        return r;
}

int context_leave(const struct profile *p, struct cx_error *err)
{
        CX_KUBECONFIG config = CX_KUBECONFIG_INIT;
        int r = cx_kubeconfig_load(NULL, true, &config, err);
        if (r < 0 || !is_ours(p, &config) || !end_being_current(p, &config))
                return r;
        r = cx_kubeconfig_save(&config, err);
        if (r == 0)
                tell_that_none_is_current(p, &config);
        return r;
}

bool context_present(const struct profile *p)
{
        CX_KUBECONFIG config = CX_KUBECONFIG_INIT;
        return cx_kubeconfig_load(NULL, true, &config, NULL) == 0 && cx_kubeconfig_context(&config, p->name);
}

bool context_is_current(const struct profile *p)
{
        CX_KUBECONFIG config = CX_KUBECONFIG_INIT;
        return cx_kubeconfig_load(NULL, true, &config, NULL) == 0 && is_ours(p, &config) &&
               cx_streq(cx_kubeconfig_current_context(&config), p->name);
}
