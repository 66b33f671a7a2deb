// SPDX-License-Identifier: Apache-2.0
// Takes paths apart: /api/VERSION/… and /apis/GROUP/VERSION/…, with or without a namespace.
#include "apiserver/request/request_info.h"

// Copies the part of the path up to the next slash and steps behind it. False when there is none or it is too long.
static bool take_part(const char **path, char *to, size_t size)
{
        size_t length = strcspn(*path, "/");
        if (!length || length >= size)
                return false;
        memcpy(to, *path, length);
        to[length] = '\0';
        *path += length;
        *path += **path == '/';
        return true;
}

static const char *verb_of(const struct cx_http_request *request, const struct request_info *info)
{
        const char *method = cx_http_method(request);
        if (cx_streq(method, "POST"))
                return "create";
        if (cx_streq(method, "PUT"))
                return "update";
        if (cx_streq(method, "PATCH"))
                return "patch";
        if (cx_streq(method, "DELETE"))
                return *info->name ? "delete" : "deletecollection";
        if (!cx_streq(method, "GET") && !cx_streq(method, "HEAD"))
                return "";
        const char *watch = cx_http_query(request, "watch");
        if (info->watch_path ||
            (!*info->subresource && !*info->name && watch && strcasecmp(watch, "false") != 0 && !cx_streq(watch, "0")))
                return "watch";
        return *info->name ? "get" : "list";
}

// /api/v1/… or /apis/group/version/… behind the prefix: the resource part. False when it is not a resource path.
static bool parse_resource(const char *path, struct request_info *info)
{
        if (!take_part(&path, info->resource, sizeof info->resource))
                return false;
        if (cx_streq(info->resource, "watch") && *path) {
                info->watch_path = true;
                if (!take_part(&path, info->resource, sizeof info->resource))
                        return false;
        }
        if (cx_streq(info->resource, "namespaces") && *path) {
                char name[INFO_PART];
                if (!take_part(&path, name, sizeof name))
                        return false;
                bool of_namespace = !*path || cx_streq(path, "finalize") || cx_streq(path, "status");
                if (of_namespace) {
                        cx_copy_string(info->name, sizeof info->name, name);
                        cx_copy_string(info->namespace, sizeof info->namespace, name);
                        (void)take_part(&path, info->subresource, sizeof info->subresource);
                        info->rest = path;
                        return true;
                }
                cx_copy_string(info->namespace, sizeof info->namespace, name);
                if (!take_part(&path, info->resource, sizeof info->resource))
                        return false;
        }
        if (*path && !take_part(&path, info->name, sizeof info->name))
                return false;
        if (*path && !take_part(&path, info->subresource, sizeof info->subresource))
                return false;
        info->rest = path > info->path && path[-1] == '/' ? path - 1 : path;
        return true;
}

void request_info(const struct cx_http_request *request, struct request_info *ret_info)
{
        memset(ret_info, 0, sizeof *ret_info);
        const char *path = ret_info->path = cx_http_path(request);
        ret_info->rest = "";
        if (cx_has_prefix(path, "/api/")) {
                path += strlen("/api/");
                ret_info->is_resource = take_part(&path, ret_info->version, sizeof ret_info->version) && *path &&
                                        parse_resource(path, ret_info);
        } else if (cx_has_prefix(path, "/apis/")) {
                path += strlen("/apis/");
                ret_info->is_resource = take_part(&path, ret_info->group, sizeof ret_info->group) && *path &&
                                        take_part(&path, ret_info->version, sizeof ret_info->version) && *path &&
                                        parse_resource(path, ret_info);
        }
        ret_info->verb = ret_info->is_resource ? verb_of(request, ret_info) : NULL;
        if (!ret_info->verb) {
                static const struct {
                        const char *method, *verb;
                } verbs[] = {{"GET", "get"},     {"HEAD", "head"},     {"POST", "post"},      {"PUT", "put"},
                             {"PATCH", "patch"}, {"DELETE", "delete"}, {"OPTIONS", "options"}};
                ret_info->verb = "";
                for (size_t i = 0; i < CX_ARRAY_SIZE(verbs); i++)
                        if (cx_streq(cx_http_method(request), verbs[i].method))
                                ret_info->verb = verbs[i].verb;
        }
}
