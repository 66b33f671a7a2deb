// SPDX-License-Identifier: Apache-2.0
// A request over HTTP on its way through the chain: its transport, and the scope that it comes to.
#pragma once

#include "apiserver/request/request_info.h"
#include "apiserver/request/scope.h"

#define MAX_MANAGER 128

struct recorded;

struct call {
        struct apiserver *api;
        struct cx_http_request *request;
        struct request_info info;
        struct user user;
        struct served_kind *kind;        // reference
        struct scope scope;              // of a resource that is served; its resource is NULL on other paths
        struct api_service *api_service; // reference; who serves this group and version. NULL: this server
        bool no_page;                    // nothing of the API has this path
        char manager[MAX_MANAGER + 1];
        struct cx_strings warnings;
        struct cx_duplicates duplicates; // keys that the body has twice
        struct waiter waiter;            // of a read that waits for the cache
        struct recorded *recorded;       // for the audit log; NULL: it does not tell of this request
        struct cx_error refusal;         // by authentication
        bool entered;                    // on the I/O thread; else a worker has all of it to do
};
