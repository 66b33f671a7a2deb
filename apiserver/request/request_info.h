// SPDX-License-Identifier: Apache-2.0
// What a request is about, from its method and path: the shape that authentication, authorization, admission and the
// handlers share (upstream's RequestInfo).
#pragma once

#include "libcommon/net/http_server.h"

#define INFO_PART 256

struct request_info {
        bool is_resource, watch_path; // watch_path: the old way to watch, /api/v1/watch/…
        const char *verb;             // get, list, watch, create, update, patch, delete, deletecollection; else method
        char group[INFO_PART], version[64], resource[INFO_PART], subresource[64];
        char namespace[INFO_PART], name[INFO_PART];
        const char *rest; // path behind the subresource (proxy): "" or "/…"; into the request
        const char *path;
};

// Fills from a request; what is malformed or too long ends up as a non-resource path (404 later).
void request_info(const struct cx_http_request *request, struct request_info *ret_info);
