// SPDX-License-Identifier: Apache-2.0
// kubectl proxy: what the command line says, and the socket.
#include "kubectl/proxy/proxy.h"
#include "kubectl/cmd/commands.h"
#include "libcommon/base/address.h"
#include "libcommon/base/time.h"
#include "libcommon/net/listen.h"

#include <fcntl.h>
#include <sys/stat.h>

#define DEFAULT_PORT 8001

struct proxy_flags {
        int64_t port, keepalive;
        bool port_given, disable_filter, append_path;
        const char *address, *socket, *www, *www_prefix, *prefix;
        const char *accept_hosts, *accept_paths, *reject_paths, *reject_methods;
};

static int make_filter(const struct proxy_flags *flags, struct request_filter *filter, struct cx_error *err)
{
        int r = patterns_parse(flags->accept_paths, &filter->accept_paths, err);
        if (r == 0)
                r = patterns_parse(flags->reject_paths, &filter->reject_paths, err);
        if (r == 0)
                r = patterns_parse(flags->accept_hosts, &filter->accept_hosts, err);
        if (r == 0)
                r = patterns_parse(flags->reject_methods, &filter->reject_methods, err);
        return r;
}

// "custom" is "/custom/".
static char *with_slashes(const char *prefix)
{
        size_t n = strlen(prefix);
        return cx_sprintf("%s%s%s", *prefix == '/' ? "" : "/", prefix, n && prefix[n - 1] == '/' ? "" : "/");
}

static int open_folder(const char *path, int *ret_fd, struct cx_error *err)
{
        *ret_fd = path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
        return !path || *ret_fd >= 0 ? 0 : cx_error_set(err, -errno, "--www=%s: %s", path, strerror(errno));
}

static int open_socket(const struct proxy_flags *flags, int *ret_fd, struct cx_error *err)
{
        struct cx_address address;
        char text[CX_ENDPOINT_TEXT];
        int port = (int)flags->port;
        if (flags->socket) {
                *ret_fd = cx_listen_unix(flags->socket);
                if (*ret_fd < 0)
                        return cx_error_set(err, *ret_fd, "listen unix %s: bind: %s", flags->socket,
                                            strerror(-*ret_fd));
                OUT("Starting to serve on %s\n", flags->socket);
                return 0;
        }
        const char *wanted = strcmp(flags->address, "localhost") == 0 ? "127.0.0.1" : flags->address;
        if (cx_address_parse(wanted, &address) < 0)
                return cx_error_set(err, -EINVAL, "--address=%s is no IP address", flags->address);
        *ret_fd = cx_listen(&address, &port);
        cx_address_format_port(&address, port, text);
        if (*ret_fd < 0)
                return cx_error_set(err, *ret_fd, "listen tcp %s: bind: %s", text,
                                    *ret_fd == -EADDRINUSE ? "address already in use" : strerror(-*ret_fd));
        OUT("Starting to serve on %s\n", text);
        return 0;
}

// The lines that make the server act for somebody else.
static void impersonation_lines(struct ctl *ctl, struct cx_buf *to)
{
        const char *headers[32];
        CX_BUF storage = CX_BUF_INIT;
        ctl_impersonation(ctl, true, headers, &storage);
        for (const char **header = headers; *header; header++)
                cx_buf_printf(to, "%s\r\n", *header);
}

static int serve(struct ctl *ctl, const struct proxy_flags *flags, const struct request_filter *filter,
                 struct cx_error *err)
{
        CX_BUF impersonation = CX_BUF_INIT;
        CX_CLEANUP(cx_freep)
        char *prefix = with_slashes(flags->prefix), *files_prefix = with_slashes(flags->www_prefix);
        int r = ctl_connect(ctl, err);
        if (r < 0)
                return r;
        impersonation_lines(ctl, &impersonation);
        const char *host = strstr(cx_rest_server(ctl->rest), "://");
        host = host ? host + 3 : cx_rest_server(ctl->rest);
        size_t length = strcspn(host, "/"), end = strlen(host);
        while (end > length && host[end - 1] == '/')
                end--;
        CX_CLEANUP(cx_freep) char *name = cx_strndup(host, length), *base = cx_strndup(host + length, end - length);
        struct api_proxy proxy = {.http = cx_rest_http(ctl->rest),
                                  .host = name,
                                  .base = flags->append_path ? base : "",
                                  .impersonation = impersonation.data,
                                  .prefix = prefix,
                                  .files_prefix = files_prefix,
                                  .filter = filter,
                                  .files = -1,
                                  .keepalive = (int)((flags->keepalive + CX_NS_PER_S - 1) / CX_NS_PER_S),
                                  .verbosity = (int)ctl->verbosity};
        CX_CLEANUP(cx_closep) int listener = -1;
        CX_CLEANUP(cx_closep) int files = -1;
        r = open_folder(flags->www, &files, err);
        if (r == 0)
                r = open_socket(flags, &listener, err);
        if (r < 0)
                return r;
        proxy.files = files;
        fflush(stdout);
        fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) & ~O_NONBLOCK);
        return proxy_serve(&proxy, listener, err);
}

COMMAND(proxy)
{
        struct proxy_flags proxy = {.port = DEFAULT_PORT,
                                    .address = "127.0.0.1",
                                    .www_prefix = "/static/",
                                    .prefix = "/",
                                    .accept_hosts = "^localhost$,^127\\.0\\.0\\.1$,^\\[::1\\]$",
                                    .accept_paths = "^.*",
                                    .reject_paths = "^/api/.*/pods/.*/exec,^/api/.*/pods/.*/attach",
                                    .reject_methods = "^$"};
        const struct cx_flag flags[] = {
                {"port", 'p', CX_FLAG_INT, &proxy.port, "The port to listen on; 0: any free one.", NULL, NULL, 0,
                 65535},
                {"address", 0, CX_FLAG_STRING, &proxy.address, "The IP address to listen on."},
                {"unix-socket", 'u', CX_FLAG_STRING, &proxy.socket, "Unix socket to listen on instead."},
                {"api-prefix", 0, CX_FLAG_STRING, &proxy.prefix, "Path that the API is served under."},
                {"www", 'w', CX_FLAG_STRING, &proxy.www, "Folder with files that are served, too."},
                {"www-prefix", 'P', CX_FLAG_STRING, &proxy.www_prefix, "Path that the files are served under."},
                {"accept-hosts", 0, CX_FLAG_STRING, &proxy.accept_hosts,
                 "Regular expressions, separated by commas, for the hosts of requests."},
                {"accept-paths", 0, CX_FLAG_STRING, &proxy.accept_paths,
                 "Regular expressions for paths that are passed on."},
                {"reject-paths", 0, CX_FLAG_STRING, &proxy.reject_paths,
                 "Regular expressions for paths that are not, even if they are accepted."},
                {"reject-methods", 0, CX_FLAG_STRING, &proxy.reject_methods,
                 "Regular expressions for methods that are rejected (POST,PUT,PATCH)."},
                {"disable-filter", 0, CX_FLAG_BOOL, &proxy.disable_filter,
                 "Pass everything on. Any web page that is open can then use the API with your rights."},
                {"keepalive", 0, CX_FLAG_DURATION, &proxy.keepalive,
                 "Time between probes of a quiet connection; 0: none."},
                {"append-server-path", 0, CX_FLAG_BOOL, &proxy.append_path,
                 "Put the path of the server's URL before that of each request."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        CX_CLEANUP(cx_freep) struct request_filter *filter = cx_alloc(sizeof *filter);
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        if (args.count)
                return ctl_usage_error(ctl, err, "unexpected args: %s", args.items[0]);
        if (proxy.port != DEFAULT_PORT && proxy.socket)
                return cx_error_set(err, -EINVAL, "cannot set --unix-socket and --port at the same time");
        if (proxy.keepalive < 0)
                return cx_error_set(err, -EINVAL, "--keepalive must not be negative");
        if (proxy.disable_filter && !proxy.socket)
                ctl_log_warning(
                        "Request filter disabled, your proxy is vulnerable to XSRF attacks, please be cautious");
        r = proxy.disable_filter ? 0 : make_filter(&proxy, filter, err);
        if (r == 0)
                r = serve(ctl, &proxy, proxy.disable_filter ? NULL : filter, err);
        filter_release(filter);
        return r;
}
