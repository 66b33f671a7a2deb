// SPDX-License-Identifier: Apache-2.0
// Clients for kubelets, and for what runs behind pods and services.
#include "apiserver/endpoints/backend.h"

void backend_release(struct backend *backend)
{
        free(backend->base_url);
        free(backend->path);
}

static int read_pem(const char *path, struct cx_buf *to, struct cx_error *err)
{
        int r = path ? cx_buf_read_file(to, path) : 0;
        return r < 0 ? cx_error_set(err, r, "cannot read %s: %s", path, strerror(-r)) : 0;
}

int backend_client(struct call *call, const struct backend *backend, struct cx_http_client **ret_client,
                   struct cx_error *err)
{
        const struct apiserver_options *o = &call->api->options;
        CX_BUF ca = CX_BUF_INIT_MAX(1 << 20), cert = CX_BUF_INIT_MAX(1 << 20), key = CX_BUF_INIT_MAX(1 << 20);
        int r = 0;
        if (backend->kubelet) {
                r = read_pem(o->kubelet_ca_file, &ca, err);
                if (r == 0)
                        r = read_pem(o->kubelet_client_cert_file, &cert, err);
                if (r == 0)
                        r = read_pem(o->kubelet_client_key_file, &key, err);
        }
        if (r < 0)
                return r;
        struct cx_http_client_options options = {
                .base_url = backend->base_url,
                .ca_pem = ca.length ? ca.data : NULL,
                .cert_pem = cert.length ? cert.data : NULL,
                .key_pem = key.length ? key.data : NULL,
                .insecure = !ca.length, // as upstream without --kubelet-certificate-authority
        };
        return cx_http_client_new(&options, ret_client, err);
}

int start_thread(void *(*run)(void *), void *context)
{
        pthread_t thread;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&attributes, (size_t)512 << 10);
        int r = pthread_create(&thread, &attributes, run, context);
        pthread_attr_destroy(&attributes);
        return -r;
}
