// SPDX-License-Identifier: Apache-2.0
// What the two halves of the informer share: informer.c (life, the thread, what callers see) and informer_transfer.c (a
// list or a watch from its request to its end).
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/map.h"
#include "libcommon/client/informer.h"
#include "libcommon/client/json_scan.h"
#include "libcommon/client/store.h"
#include "libcommon/format/json_arena.h"
#include "libcommon/net/http_client_internal.h"

#include <curl/curl.h>
#include <pthread.h>

#define CX_INFORMER_MAX_LINE ((size_t)64 << 20) // of a watch: one event

enum cx_informer_state { CX_INFORMER_IDLE, CX_INFORMER_WAITING, CX_INFORMER_LISTING, CX_INFORMER_WATCHING };

struct cx_informer_callback {
        cx_informer_handler call;
        void *context;
};

struct cx_informer {
        struct cx_informers *set;
        struct cx_informer *next;
        struct cx_informer_options options;
        char *group, *version, *resource, *namespace, *label_selector, *field_selector;
        struct cx_store store;
        struct cx_informer_callback *handlers;
        size_t n_handlers;

        // The I/O thread's own.
        enum cx_informer_state state;
        int64_t due, began;
        int failures;
        CURL *easy;
        struct cx_http_setup setup;
        char *rv;         // where to resume; NULL: list
        bool rv_unusable; // the server said that rv is gone: list without one
        bool relist, got_data, failed_parse;
        long code;
        struct cx_list_splitter splitter;
        struct cx_map seen; // keys of the list in progress; only when the store was not empty
        bool track_seen;
        struct cx_buf pending; // an incomplete watch line, or the body of an error

        // Guarded by the set's lock.
        bool start, started, stop, stopped, synced, poll_now;
};

struct cx_informers {
        struct cx_rest *rest;
        CURLM *multi;
        pthread_mutex_t lock; // guards the list, the flags of informers, and the following
        pthread_cond_t changed;
        struct cx_informer *first;
        bool running, stop, cancelled;
        int64_t turned; // when the thread last went round
        pthread_t thread;
        // The I/O thread's own.
        struct cx_json_arena arena;
        int transfers;
};

// All of these on the I/O thread only.
// Begins what is next: a watch where a resourceVersion is known, else a list.
void cx_informer_transfer_start(struct cx_informer *informer);
// Takes the end in, and sets when what begins next.
void cx_informer_transfer_ended(struct cx_informer *informer, CURLcode result);
// Drops the transfer, if there is one.
void cx_informer_transfer_drop(struct cx_informer *informer);
// Begins anew when the delay (ns) is over.
void cx_informer_wait_for(struct cx_informer *informer, int64_t delay);
// Lets libcurl keep as many connections as the set's transfers need.
void cx_informers_keep_connections(struct cx_informers *set);
