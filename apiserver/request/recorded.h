// SPDX-License-Identifier: Apache-2.0
// What the audit log wants to know of a request, noted where it becomes known. There is one only for a request that is to
// be told of; the functions do nothing for others. Of a request one thread at a time.
#pragma once

#include "apiserver/request/call.h"

enum audit_level { AUDIT_NONE, AUDIT_METADATA, AUDIT_REQUEST, AUDIT_REQUEST_RESPONSE, AUDIT_LEVELS };

#define RECORDED_MAX ((size_t)4 << 20) // bytes of a body that is noted

struct recorded {
        enum audit_level level;
        struct user original; // who asks for somebody else; its name is NULL when nobody does
        // Of the object that was sent; NULL: not told
        char *name, *namespace, *uid, *resource_version;
        json_t *request, *response, *status; // what was sent, what is answered, and the Status that this is
        bool cut;                            // a body was too large
        bool decided, allowed;
        char *reason;                  // of the decision; NULL: none
        struct cx_strings annotations; // what else was found out: keys, each followed by its value (scope_annotate)
};

void recorded_release(struct recorded *recorded);
// The object that was sent, decoded and not yet changed; of this kind, or NULL: a patch or options.
void recorded_request(struct call *call, const struct cx_kind *kind, const json_t *object);
bool recorded_wants_answer(const struct call *call); // the body of an answer
void recorded_answer(struct call *call, const json_t *body);
void recorded_answer_text(struct call *call, const char *json, size_t length);
void recorded_cut(struct call *call); // the answer's body is too large
void recorded_status(struct call *call, const json_t *status);
void recorded_decision(struct call *call, bool allowed, const char *why);
// The user of the call is about to become another. True: the one that asked was taken over.
bool recorded_impersonation(struct call *call);
