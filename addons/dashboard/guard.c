// SPDX-License-Identifier: Apache-2.0
// Host, origin and path of requests; headers of answers.
#include "addons/dashboard/guard.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <strings.h>

#define HOST_MAX 255

// The host without its port, and without the brackets of an IPv6 address; false when it is malformed.
static bool split_host(const char *host, char to[HOST_MAX + 1])
{
        const char *end = *host == '[' ? strchr(host, ']') : strchr(host, ':');
        const char *from = *host == '[' ? host + 1 : host;
        if (*host == '[' && !end)
                return false;
        size_t length = end ? (size_t)(end - from) : strlen(from);
        const char *rest = end ? end + (*host == '[') : "";
        int64_t port;
        if (!length || length > HOST_MAX || (*rest && (*rest != ':' || cx_parse_int(rest + 1, 1, 65535, &port) < 0)))
                return false;
        memcpy(to, from, length);
        to[length] = '\0';
        return true;
}

bool guard_host_is_ours(const char *host, const struct cx_strings *hosts)
{
        char name[HOST_MAX + 1];
        unsigned char address[sizeof(struct in6_addr)];
        if (!host || !split_host(host, name))
                return false;
        if (inet_pton(*host == '[' ? AF_INET6 : AF_INET, name, address) == 1 || strcasecmp(name, "localhost") == 0)
                return true;
        for (size_t i = 0; i < hosts->count; i++)
                if (strcasecmp(hosts->items[i], name) == 0)
                        return true;
        return false;
}

int guard_same_origin(struct cx_http_request *request, bool upgrade, struct cx_error *err)
{
        const char *origin = cx_http_header(request, "Origin"), *site = cx_http_header(request, "Sec-Fetch-Site");
        CX_CLEANUP(cx_freep) char *own = cx_sprintf("https://%s", cx_str(cx_http_header(request, "Host")));
        bool good = origin ? strcasecmp(origin, own) == 0 : !upgrade;
        if (site && strcmp(site, "same-origin") != 0)
                good = false;
        if (!upgrade && !cx_http_header(request, GUARD_HEADER))
                good = false;
        return good ? 0
                    : cx_error_reason(err, CX_REASON_FORBIDDEN,
                                      "the request does not come from the dashboard's own page (header " GUARD_HEADER
                                      ", and Origin %s)",
                                      own);
}

// ".", ".." and "" between slashes: servers differ in what they make of them.
static bool has_odd_segment(const char *path)
{
        for (const char *at = path; *at == '/';) {
                size_t length = strcspn(++at, "/");
                if ((length == 0 && at[length]) || (length == 1 && *at == '.') ||
                    (length == 2 && strncmp(at, "..", 2) == 0))
                        return true;
                at += length;
        }
        return false;
}

static bool is_of_the_api(const char *path)
{
        static const char *const roots[] = {"/api", "/apis", "/openapi", "/version", "/readyz"};
        size_t length = path[0] == '/' ? 1 + strcspn(path + 1, "/") : 0;
        for (size_t i = 0; i < CX_ARRAY_SIZE(roots); i++)
                if (strlen(roots[i]) == length && strncmp(path, roots[i], length) == 0)
                        return true;
        return false;
}

int guard_path(const char *path, struct cx_buf *ret_path, struct cx_error *err)
{
        if (!is_of_the_api(path))
                return cx_error_reason(err, CX_REASON_NOT_FOUND, "there is nothing at this path");
        if (has_odd_segment(path))
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "the path has an empty segment, \".\" or \"..\"");
        for (const unsigned char *at = (const unsigned char *)path; *at; at++) {
                if (iscntrl(*at) || *at == '\\')
                        return cx_error_reason(err, CX_REASON_BAD_REQUEST, "the path has a character that it must not");
                if (isalnum(*at) || strchr("/-._~:", *at))
                        cx_buf_add_char(ret_path, (char)*at);
                else
                        cx_buf_printf(ret_path, "%%%02X", *at);
        }
        return ret_path->overflow ? cx_error_reason(err, CX_REASON_BAD_REQUEST, "the path is too long") : 0;
}

void guard_add_headers(struct cx_http_request *request, bool page)
{
        static const struct {
                const char *name, *value;
        } headers[] = {{"X-Content-Type-Options", "nosniff"},
                       {"X-Frame-Options", "DENY"},
                       {"Referrer-Policy", "no-referrer"},
                       {"Cross-Origin-Opener-Policy", "same-origin"},
                       {"Cross-Origin-Resource-Policy", "same-origin"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(headers); i++)
                cx_http_add_header(request, headers[i].name, headers[i].value);
        cx_http_add_header(
                request, "Content-Security-Policy",
                page ? "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src "
                       "'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
                     : "default-src 'none'; sandbox; frame-ancestors 'none'");
        if (!page)
                cx_http_add_header(request, "Cache-Control", "no-store");
}
