// SPDX-License-Identifier: Apache-2.0
// The key is kept beside the certificates until the request is signed, and the request is named after it: a kubelet that is
// started again meanwhile goes on waiting for the same one.
#include "kubelet/certificates/bootstrap.h"

#include "kubelet/certificates/pair.h"
#include "kubelet/certificates/request.h"
#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/random.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "libcommon/net/pki.h"

#define FIRST_RETRY (500 * CX_NS_PER_MS)
#define LAST_RETRY (10 * CX_NS_PER_S)

static bool stops(void *context CX_UNUSED)
{
        return cx_process_stop_pending();
}

// Whether a kubeconfig can be used. ret_why says why not.
static bool is_good(const char *path, struct cx_error *ret_why)
{
        CX_KUBECONFIG config = CX_KUBECONFIG_INIT;
        CX_CREDENTIALS credentials = CX_CREDENTIALS_INIT;
        if (cx_kubeconfig_load(path, false, &config, ret_why) < 0 ||
            cx_kubeconfig_resolve(&config, NULL, &credentials, ret_why) < 0)
                return false;
        if (credentials.cert_pem && !pair_is_valid(credentials.cert_pem)) {
                (void)cx_error_set(ret_why, -EPERM, "%s: the client certificate has expired or cannot be read", path);
                return false;
        }
        if (credentials.cert_pem || credentials.token || credentials.token_file || credentials.username)
                return true;
        (void)cx_error_set(ret_why, -EPERM, "%s: there are no credentials in it", path);
        return false;
}

static int take_key(const char *path, char **ret_key, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        CX_ERROR ignored = CX_ERROR_INIT;
        EVP_PKEY *key = NULL;
        if (cx_buf_read_file(&text, path) == 0 && cx_pki_load_private_key(text.data, &key, &ignored) == 0) {
                EVP_PKEY_free(key);
                *ret_key = cx_buf_detach(&text);
                return 0;
        }
        CX_CLEANUP(cx_freep) char *made = NULL;
        int r = cx_pki_new_key(&made, err);
        if (r == 0)
                r = cx_write_file(path, made, strlen(made), 0600, true, err);
        if (r == 0)
                *ret_key = cx_steal(&made);
        return r;
}

// The cluster of the bootstrap kubeconfig with all that it says, and the pair as the user.
static int write_kubeconfig(const char *path, const struct cx_kubeconfig *from, const char *pair, struct cx_error *err)
{
        CX_KUBECONFIG config = CX_KUBECONFIG_INIT;
        const json_t *context = cx_kubeconfig_context(from, cx_kubeconfig_current_context(from));
        const json_t *cluster = cx_kubeconfig_cluster(from, json_string_value(json_object_get(context, "cluster")));
        int r = cx_kubeconfig_load(path, true, &config, err);
        if (r < 0)
                return r;
        cx_kubeconfig_set(&config, "clusters", "default-cluster", json_deep_copy(cluster));
        cx_kubeconfig_set(&config, "users", "default-auth",
                          json_pack("{s:s, s:s}", "client-certificate", pair, "client-key", pair));
        cx_kubeconfig_set(&config, "contexts", "default-context",
                          json_pack("{s:s, s:s}", "cluster", "default-cluster", "user", "default-auth"));
        cx_kubeconfig_set_current(&config, "default-context");
        return cx_kubeconfig_save(&config, err);
}

struct joining {
        const char *node_name, *folder, *key_path;
        struct cx_rest *rest;
};

static int ask_once(const struct joining *j, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *key = NULL;
        CX_CLEANUP(cx_freep) char *cert = NULL;
        int r = take_key(j->key_path, &key, err);
        if (r < 0)
                return r;
        const struct certificate_want want = {.node_name = j->node_name};
        CX_CLEANUP(cx_freep) char *name = certificate_request_name(&want, key);
        r = certificate_request(j->rest, &want, key, name, stops, NULL, &cert, err);
        if (r == -EACCES || r == -ETIMEDOUT || r == -EINVAL)
                (void)unlink(j->key_path); // the next try is another request
        if (r == 0)
                r = pair_write(j->folder, PAIR_CLIENT, cert, key, err);
        if (r == 0)
                (void)unlink(j->key_path);
        explicit_bzero(key, strlen(key));
        return r;
}

static bool is_final(int r, const struct cx_error *why)
{
        return r == -ECANCELED || r == -EACCES || why->reason == CX_REASON_UNAUTHORIZED ||
               why->reason == CX_REASON_FORBIDDEN;
}

static int ask_until_signed(const struct joining *j, const char *file, struct cx_error *err)
{
        for (int64_t retry = FIRST_RETRY;; retry = retry * 2 < LAST_RETRY ? retry * 2 : LAST_RETRY) {
                CX_ERROR why = CX_ERROR_INIT;
                int r = ask_once(j, &why);
                if (r == 0)
                        return 0;
                if (why.reason == CX_REASON_UNAUTHORIZED)
                        cx_error_wrap(&why, "the token in %s is not accepted, put a new one there", file);
                if (is_final(r, &why))
                        return cx_error_move(err, &why);
                cx_err(&why, "The node cannot join yet, will try again");
                int64_t end = cx_time_monotonic() + retry / 2 + (int64_t)cx_random_below((uint64_t)retry);
                while (cx_time_monotonic() < end && !cx_process_stop_pending())
                        usleep(20000);
                if (cx_process_stop_pending())
                        return cx_error_set(err, -ECANCELED, "stopped before the node had joined");
        }
}

int bootstrap_join(const struct kubelet_settings *s, const char *node_name, const char *folder, struct cx_error *err)
{
        CX_ERROR why = CX_ERROR_INIT;
        CX_KUBECONFIG from = CX_KUBECONFIG_INIT;
        CX_CLEANUP(cx_freep) char *key_path = cx_sprintf("%s/%s.key.tmp", folder, PAIR_CLIENT);
        CX_CLEANUP(cx_freep) char *pair = pair_path(folder, PAIR_CLIENT), *pem = NULL;
        if (is_good(s->kubeconfig, &why))
                return 0;
        cx_info("The node joins", "node", node_name, "bootstrapKubeconfig", s->bootstrap_kubeconfig, "because",
                cx_error_text(&why));
        int r = cx_kubeconfig_load(s->bootstrap_kubeconfig, false, &from, err);
        if (r < 0)
                return cx_error_wrap(err, "--bootstrap-kubeconfig");
        r = cx_mkdir_all(folder, 0700, err);
        bool have = r == 0 && pair_read(folder, PAIR_CLIENT, &pem, NULL) == 0 && pair_is_valid(pem);
        if (r == 0 && !have) {
                struct joining j = {node_name, folder, key_path, NULL};
                r = cx_rest_from_kubeconfig(s->bootstrap_kubeconfig, NULL, &j.rest, err);
                if (r == 0)
                        r = ask_until_signed(&j, s->bootstrap_kubeconfig, err);
                cx_rest_free(j.rest);
        }
        return r < 0 ? r : write_kubeconfig(s->kubeconfig, &from, pair, err);
}

static void replace(char **text, const char *by)
{
        char *old = *text;
        *text = cx_strdup(by);
        if (old)
                explicit_bzero(old, strlen(old));
        free(old);
}

int bootstrap_adopt(const char *folder, struct cx_credentials *credentials, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = pair_path(folder, PAIR_CLIENT), *pem = NULL;
        int r = 0;
        bool have = pair_read(folder, PAIR_CLIENT, &pem, NULL) == 0 && pair_is_valid(pem);
        if (!have && (!credentials->cert_pem || !credentials->key_pem))
                return cx_error_set(
                        err, -EINVAL,
                        "rotateCertificates: the kubeconfig has no client certificate that could be renewed");
        if (!have)
                r = pair_write(folder, PAIR_CLIENT, credentials->cert_pem, credentials->key_pem, err);
        free(cx_steal(&pem));
        if (r == 0)
                r = pair_read(folder, PAIR_CLIENT, &pem, err);
        if (r < 0)
                return r;
        char **const texts[] = {&credentials->cert_pem, &credentials->key_pem},
                     **const files[] = {&credentials->cert_file, &credentials->key_file};
        for (size_t i = 0; i < CX_ARRAY_SIZE(texts); i++) {
                replace(texts[i], pem);
                replace(files[i], path);
        }
        return 0;
}
