// SPDX-License-Identifier: Apache-2.0
// The name servers that know the rest of the world: a fixed list, or those of a resolv.conf, which is read again when it
// changes. One that did not answer rests for a while behind the others. Any thread.
#pragma once

#include "libcommon/base/error.h"
#include "libcommon/base/strings.h"

struct upstreams;
// `fixed` ("address" or "address:port"), or when that is empty the servers of `resolv_conf`.
int upstreams_new(const struct cx_strings *fixed, const char *resolv_conf, struct upstreams **ret_upstreams,
                  struct cx_error *err) CX_CHECK;
void upstreams_free(struct upstreams *upstreams);
// Asks one after the other, two seconds each. Bytes of the answer, whose id is the query's, or negative. What is no
// well-formed answer to this question is not taken for one.
ssize_t upstreams_ask(struct upstreams *upstreams, const uint8_t *query, size_t length, bool udp, uint8_t *to,
                      size_t max);
// 0 when the bytes are an answer to that query (of one question); -EBADMSG when id, direction or question are others;
// -EPROTO when it is the answer but malformed.
int dns_check_answer(const uint8_t *query, size_t length, const uint8_t *answer, size_t answer_length);
