// SPDX-License-Identifier: Apache-2.0
// Service account tokens, bound to their pods, kept until 80 % of their lives. Any thread may call.
#pragma once

#include "kubelet/base/kubelet.h"

struct tokens;
struct tokens *tokens_new(const struct kubelet *kubelet);
void tokens_free(struct tokens *tokens);
struct token_wish {
        const json_t *pod;
        const char *audience; // "": the apiserver's own
        int64_t seconds;      // of life
};
// A token; owned by the caller. ret_again: ns until another one is due. ret_expires: when it ends (µs); may be NULL. May ask
// the apiserver.
int tokens_get(struct tokens *tokens, const struct token_wish *wish, char **ret_token, int64_t *ret_again,
               int64_t *ret_expires, struct cx_error *err) CX_CHECK;
void tokens_forget(struct tokens *tokens, const char *pod_uid);
