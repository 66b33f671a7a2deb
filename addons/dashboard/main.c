// SPDX-License-Identifier: Apache-2.0
// dashboard: a page to look at a cluster and to change it. It has no rights of its own: whatever it asks the API server, it
// asks as the user who logged in.
#include "addons/dashboard/server.h"
#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/base/version.h"
#include "libcommon/net/pki.h"

#include <stdio.h>

#define MAX_PEM ((size_t)1 << 20)

struct options {
        const char *server, *ca_file, *bind_address, *cert_file, *key_file, *login_socket;
        struct cx_strings hosts;
        int64_t port, idle, lifetime, verbosity;
        const char *format;
};

static int read_pem(const char *path, struct cx_buf *to, struct cx_error *err)
{
        int r = path ? cx_buf_read_file(to, path) : 0;
        return r < 0 ? cx_error_set(err, r, "cannot read %s: %s", path, strerror(-r)) : 0;
}

// For this run, unless --tls-cert-file is given.
static int make_certificate(const struct options *o, struct cx_buf *cert, struct cx_buf *key, struct cx_error *err)
{
        if (!o->cert_file != !o->key_file)
                return cx_error_set(err, -EINVAL, "--tls-cert-file and --tls-private-key-file belong together");
        if (o->cert_file)
                return 0; // the server reads them
        CX_CLEANUP(cx_freep) char *own_cert = NULL, *own_key = NULL;
        CX_STRINGS names = CX_STRINGS_INIT, addresses = CX_STRINGS_INIT;
        cx_strings_add(&names, "localhost");
        for (size_t i = 0; i < o->hosts.count; i++)
                cx_strings_add(&names, o->hosts.items[i]);
        cx_strings_add(&addresses, "127.0.0.1");
        const struct cx_certificate_spec spec = {.common_name = "dashboard",
                                                 .dns_names = &names,
                                                 .ip_addresses = &addresses,
                                                 .server = true,
                                                 .lifetime = 365 * 86400};
        int r = cx_pki_issue(&spec, NULL, NULL, &own_cert, &own_key, err);
        if (r < 0)
                return r;
        cx_buf_add(cert, own_cert);
        cx_buf_add(key, own_key);
        explicit_bzero(own_key, strlen(own_key));
        return 0;
}

static int listen_on(const struct options *o, struct dashboard *dashboard, struct cx_http_server **ret_http,
                     struct cx_error *err)
{
        CX_BUF cert = CX_BUF_INIT_MAX(MAX_PEM), key = CX_BUF_INIT_MAX(MAX_PEM);
        int r = make_certificate(o, &cert, &key, err);
        if (r == 0)
                r = cx_http_server_new(&(struct cx_http_server_options){.address = o->bind_address,
                                                                        .port = (int)o->port,
                                                                        .cert_pem = cert.length ? cert.data : NULL,
                                                                        .key_pem = key.length ? key.data : NULL,
                                                                        .cert_file = o->cert_file,
                                                                        .key_file = o->key_file,
                                                                        .io_threads = 1,
                                                                        .workers = 6,
                                                                        .max_body = (size_t)4 << 20,
                                                                        .max_bodies = (size_t)16 << 20,
                                                                        .body_limit = dashboard_body_limit,
                                                                        .max_connections = 1024,
                                                                        .max_upgrades = 512,
                                                                        .handler_inline = dashboard_handle_inline,
                                                                        .handler = dashboard_handle,
                                                                        .context = dashboard},
                                       ret_http, err);
        explicit_bzero(key.data, key.length);
        return r;
}

// What the main thread looks after while it waits for the end.
struct tended {
        struct dashboard *dashboard;
        struct cx_http_server *http;
};

static void tend(void *context)
{
        sessions_tend(((struct tended *)context)->dashboard->sessions);
}

static bool is_alive(void *context, int64_t limit)
{
        return cx_http_server_alive(((struct tended *)context)->http, limit / 2);
}

static int run(const struct options *o, struct cx_error *err)
{
        CX_BUF ca = CX_BUF_INIT_MAX(MAX_PEM);
        struct dashboard dashboard = {.hosts = &o->hosts};
        struct cx_http_server *http = NULL;
        if (!o->server || !cx_has_prefix(o->server, "https://"))
                return cx_error_set(err, -EINVAL, "--server: the API server's https address is needed");
        int r = read_pem(o->ca_file, &ca, err);
        if (r < 0)
                return r;
        dashboard_init(&dashboard);
        dashboard.passes = passes_new();
        dashboard.forwards = port_forwards_new(o->bind_address);
        dashboard.sessions = sessions_new(&(struct sessions_options){
                .server = o->server, .ca_pem = o->ca_file ? ca.data : NULL, .idle = o->idle, .lifetime = o->lifetime});
        if (o->login_socket)
                r = login_codes_new(o->login_socket, &dashboard.codes, err);
        if (r == 0)
                r = hangups_new(&dashboard.hangups, err);
        if (r == 0)
                r = listen_on(o, &dashboard, &http, err);
        if (r == 0) {
                cx_info("Serving securely", "address", o->bind_address, "port", CX_INT(cx_http_server_port(http)),
                        "version", CX_VERSION);
                struct tended watched = {&dashboard, http};
                int number = cx_process_wait_stop_with(
                        &(struct cx_service){.alive = is_alive, .tend = tend, .context = &watched});
                cx_info("Shutting down", "signal", CX_INT(number));
                cx_http_server_stop_accepting(http);
        }
        passes_cancel(dashboard.passes);
        port_forwards_cancel(dashboard.forwards);
        cx_http_server_free(http);
        passes_free(dashboard.passes);
        port_forwards_free(dashboard.forwards);
        hangups_free(dashboard.hangups);
        login_codes_free(dashboard.codes);
        sessions_free(dashboard.sessions);
        cx_metrics_free(dashboard.metrics);
        return r;
}

int main(int argc, char **argv)
{
        struct options o = {.bind_address = "0.0.0.0",
                            .port = 8443,
                            .idle = 3600 * CX_NS_PER_S,
                            .lifetime = 12 * 3600 * CX_NS_PER_S,
                            .format = "text"};
        bool help = false, version = false;
        const struct cx_flag flags[] = {
                {"server", 0, CX_FLAG_STRING, &o.server, "Address of the API server: https://host:port."},
                {"certificate-authority", 0, CX_FLAG_STRING, &o.ca_file,
                 "Authority of the API server's certificate; the system's by default."},
                {"bind-address", 0, CX_FLAG_STRING, &o.bind_address, "Address to listen on."},
                {"secure-port", 0, CX_FLAG_INT, &o.port, "Port for HTTPS; 0: any free one.", NULL, NULL, 0, 65535},
                {"tls-cert-file", 0, CX_FLAG_STRING, &o.cert_file,
                 "Certificate to serve with; without one a self-signed certificate is made in memory."},
                {"tls-private-key-file", 0, CX_FLAG_STRING, &o.key_file, "Key of --tls-cert-file."},
                {"allowed-host", 0, CX_FLAG_CSV, &o.hosts,
                 "Names that browsers may know the dashboard by, besides localhost and its addresses."},
                {"login-socket", 0, CX_FLAG_STRING, &o.login_socket,
                 "Unix socket that hands out links which are good once; none without it."},
                {"session-idle-timeout", 0, CX_FLAG_DURATION, &o.idle, "How long a session lasts that nobody uses."},
                {"session-lifetime", 0, CX_FLAG_DURATION, &o.lifetime, "How long a session lasts at most."},
                {"v", 'v', CX_FLAG_INT, &o.verbosity, "Verbosity of the log, 0 to 10.", NULL, NULL, 0, 10},
                {"logging-format", 0, CX_FLAG_STRING, &o.format, "text or json."},
                {"version", 0, CX_FLAG_BOOL, &version, "Print the version."},
                {"help", 'h', CX_FLAG_BOOL, &help, "Print this text."},
                {0},
        };
        const struct cx_flag *const tables[] = {flags};
        CX_STRINGS args = CX_STRINGS_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        cx_process_init();
        int r = cx_flags_parse(tables, 1, argc, argv, &args, NULL, &err);
        if (r == 0 && args.count)
                r = cx_error_set(&err, -EINVAL, "unknown command \"%s\" for \"dashboard\"", args.items[0]);
        if (r == 0 && (o.idle <= 0 || o.lifetime <= 0))
                r = cx_error_set(&err, -EINVAL, "--session-idle-timeout, --session-lifetime: must be above zero");
        if (r < 0) {
                fprintf(stderr, "Error: %s\n", cx_error_text(&err));
        } else if (version) {
                r = printf("Kubernetes " CX_VERSION "\n") < 0;
        } else if (help) {
                CX_BUF text = CX_BUF_INIT;
                cx_flags_help(flags, &text);
                r = printf("Serves a page to look at a cluster and to change it.\n\nUsage:\n  dashboard [flags]\n\n"
                           "Flags:\n%s",
                           text.data) < 0;
        } else {
                cx_log_settings.verbosity = (int)o.verbosity;
                cx_log_settings.json = strcmp(o.format, "json") == 0;
                r = run(&o, &err);
                if (r < 0)
                        cx_err(&err, "The dashboard cannot run");
        }
        cx_strings_release(&o.hosts);
        return r < 0;
}
